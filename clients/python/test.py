"""Proves the client by the published vectors, and by a gate where one is given:

    python3 test.py ../../tests/vectors.json [http://127.0.0.1:8080]
"""

import json
import os
import sys
import urllib.error
import urllib.request

import ticketgate
from ticketgate import Ticketgate


def same(expected, found, of):
    if expected != found:
        sys.exit(f"{of}\n  expected {expected}\n  found    {found}")


def call(method, url, form=None):
    """The reply's JSON and its X-Ticketgate-Reason."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        reply = opener.open(urllib.request.Request(url, data=form, method=method))
    except urllib.error.HTTPError as refused:
        reply = refused
    return json.load(reply), reply.headers.get("X-Ticketgate-Reason", "")


def refused(action, of):
    try:
        action()
    except ValueError:
        return
    sys.exit(f"{of} was opened")


def vectors(file):
    with open(file, encoding="utf-8") as text:
        all_of = json.load(text)
    for v in all_of["client_token"]:
        endpoint = f"{v['module']}/{v['controller']}/{v['action']}"
        for algorithm in ("md5", "hmac-sha256"):
            client = Ticketgate("id", v["client_secret"], algorithm=algorithm)
            same(v[algorithm], client.api_token(endpoint, v["date"]), f"api_token {algorithm} of {endpoint}")
    for v in all_of["signature"]:
        client = Ticketgate("id", v["client_secret"])
        of = (v["method"], v["path"], v["query"], v["timestamp"], v["nonce"], v["user_token"], v["body"].encode())
        same(v["hmac-sha256"], client.sign(*of), f"signature hmac-sha256 of {v['nonce']}")
        token = v["user_token"] or v["api_token"]
        same(v["md5"], client.sign_md5(v["path"], v["query"], v["timestamp"], token), f"signature md5 of {v['nonce']}")
    for v in all_of["sealed_token"]:
        sealed_token(v)


def sealed_token(v):
    """Opened by the library where it is installed, and by the code of our own."""
    client = Ticketgate("id", v["client_secret"])
    library = ticketgate.AESGCM
    for ticketgate.AESGCM in {library, None}:
        same(v["user_token"], client.open_token(v["sealed"]), "a sealed token")
        refused(lambda: Ticketgate("id", "other").open_token(v["sealed"]), "a token of another secret")
        for at in range(3, len(v["sealed"])):
            other = "A" if v["sealed"][at] != "A" else "B"
            changed = v["sealed"][:at] + other + v["sealed"][at + 1 :]
            refused(lambda: client.open_token(changed), "a changed token")
        refused(lambda: client.open_token(v["user_token"]), "a plain token")
    ticketgate.AESGCM = library


def aes():
    """Own and library's AES-GCM agree on any length."""
    if ticketgate.AESGCM is None:
        return
    for length in range(50):
        key, nonce, plain = os.urandom(32), os.urandom(12), os.urandom(length)
        sealed = ticketgate.AESGCM(key).encrypt(nonce, plain, None)
        same(plain, ticketgate._open_slowly(key, nonce, sealed), f"AES-GCM over {length} bytes")


def gate(base):
    login = f"{base}/index.php?mod=user&ctl=auth&act=login"
    info = f"{base}/index.php?mod=user&ctl=info&act=get"
    client = Ticketgate("ios", "s3cret")
    for algorithm in ("hmac-sha256", "md5"):
        form = b"username=lilei&password=lilei123"
        client.user_token = ""
        reply, _ = call("POST", client.signed_url("POST", login, "user/auth/login", form, algorithm), form)
        same("v1.", reply["data"]["user_token"][:3], "a sealed login")

        client.user_id, client.user_token = reply["data"]["user_id"], reply["data"]["user_token"]
        _, reason = call("GET", client.url(info, "user/info/get"))
        same("user_refused", reason, "a token sent as it was handed out")

        client.login(reply["data"])
        for url in (client.url(info, "user/info/get"), client.signed_url("GET", info, "user/info/get", b"", algorithm)):
            reply, reason = call("GET", url)
            same(("", 7), (reason, reply["data"]["uid"]), "a call with an opened token")


vectors(sys.argv[1])
aes()
if len(sys.argv) > 2:
    gate(sys.argv[2])
print("ok")
