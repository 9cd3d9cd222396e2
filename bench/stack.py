"""What the measurements in this folder have in common: servers on loopback, a gate before them, and what clients send to it.

Python standard library only. Everything runs in a temporary folder, on free ports, and is stopped by its process id.
"""
import concurrent.futures
import contextlib
import datetime
import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

SECRET = "Kx9fQ2mT7bLp4WvZ1dRs"
ADMIN_TOKEN = "only-for-this-measurement"
# 310 bytes, as a small reply of an API.
BODY = '{"code":1,"msg":"ok","data":{"list":["' + "x" * 269 + '"]}}'
NGINX = """\
daemon off; worker_processes {workers}; pid {folder}/nginx-{port}.pid; error_log {folder}/nginx-{port}.log; {modules}
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 600s; client_max_body_size 0; sendfile on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{http}
  server {{ listen 127.0.0.1:{port} backlog=4096; {server} }}
}}
"""
GATE = """\
listen: 127.0.0.1:{port}
upstream: {{url: "http://127.0.0.1:{application}"}}
store: {{url: "{store}", timeout: 30s}}
clients: [{{id: ios, secret: {secret}}}]
endpoint: [{{query: {{module: mod, controller: ctl, action: act}}}}]
rules: [{{path: "/public/**", require: public}}]
default: user
limits: {{connections: 30000, body: 1024MiB, failed_tokens: {failed}}}
admin: {{listen: "127.0.0.1:{admin}", token: {token}}}
log: {{level: error, access: {access}}}
"""


# Connections over which sessions are issued at once.
ISSUERS = 8


class Stack(contextlib.ExitStack):
    """Processes in a folder of their own, stopped at the end."""

    def __init__(self):
        super().__init__()
        self.folder = self.enter_context(tempfile.TemporaryDirectory(prefix="ticketgate-bench-"))

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self, argv, port, **options):
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **options)
        self.callback(stop, process)
        wait_for(port, process)
        return process

    def nginx(self, server, http="", modules="", workers=2):
        """Debian's nginx with that server; (process, port)."""
        port = free_port()
        text = NGINX.format(folder=self.folder, port=port, server=server, http=http, modules=modules, workers=workers)
        return self.start(["nginx", "-e", "stderr", "-c", self.write(f"nginx-{port}.conf", text)], port), port

    def application(self, root=""):
        """What stands behind everybody: 310 bytes for any request, uploads too, and files under /files/."""
        files = f"location /files/ {{ alias {root}/; }}" if root else ""
        # Asks itself, because a body is read only to be passed on.
        upload = ("location /upload { client_body_buffer_size 8m; proxy_pass_request_body off; "
                  'proxy_set_header Content-Length ""; proxy_pass http://127.0.0.1:$server_port/; }')
        return self.nginx(f"location / {{ default_type application/json; return 200 '{BODY}'; }} {upload} {files}", workers=1)

    def redis(self):
        port = free_port()
        argv = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", self.folder]
        return self.start(argv, port), port

    def gate(self, binary, application, store, watch=(), access_log=False, failed="~", cores=None):
        """A gate, started by `watch` where given; on fewer `cores` it has fewer workers."""
        port, admin = free_port(), free_port()
        config = self.write(f"ticketgate-{port}.yaml", GATE.format(
            port=port, application=application, store=store, secret=SECRET, admin=admin, token=ADMIN_TOKEN,
            failed=failed, access="true" if access_log else "false"))
        options = {"preexec_fn": lambda: os.sched_setaffinity(0, cores)} if cores else {}
        if access_log:
            options["stdout"] = self.enter_context(open(os.path.join(self.folder, "access.log"), "wb"))
        process = self.start([*watch, binary, "serve", "-c", config], port, **options)
        wait_for(admin)
        return Gate(process, port, admin)


class Gate:
    def __init__(self, process, port, admin):
        self.process, self.pid, self.port, self.admin = process, process.pid, port, admin

    def issue(self, users, first=0):
        """Sessions for so many users; their tokens."""
        shares = [range(first + share, first + users, ISSUERS) for share in range(ISSUERS)]
        with concurrent.futures.ThreadPoolExecutor(ISSUERS) as issuers:
            issued = dict(pair for share in issuers.map(self.issue_some, shares) for pair in share)
        return [issued[user] for user in range(first, first + users)]

    def issue_some(self, users):
        """Over one connection; users and tokens."""
        admin, tokens = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60), []
        for user in users:
            admin.request("POST", f"/api/v1/users/{user}/sessions", '{"client_id": "ios"}',
                          {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"})
            tokens.append((user, json.loads(admin.getresponse().read())["user_token"]))
        return tokens


def api_token():
    day = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    return hashlib.md5(f"newslistindex{day}{SECRET}".encode()).hexdigest()


def target(user, user_token, token=None, path="/api.php"):
    return (f"{path}?mod=news&ctl=list&act=index&client_id=ios&api_token={token or api_token()}"
            f"&user_id={user}&user_token={user_token}")


def wait_for(port, process=None):
    while True:
        if process and process.poll() is not None:
            sys.exit(f"{sys.argv[0]}: {process.args[0]} ended with code {process.returncode}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)


def stop(process):
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
