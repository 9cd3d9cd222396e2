//! Real PHP behind the gate: its built-in server, and php-fpm behind nginx.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// One of the applications in `tests/apps`.
pub fn application(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps").join(name)
}

/// A child process in a group of its own, which is killed with all its children.
#[derive(Debug)]
pub struct Group(Child);

impl Group {
    fn start(command: &mut Command) -> Self {
        let program = command.get_program().to_owned();
        Self(command.process_group(0).spawn().unwrap_or_else(|error| panic!("the tests need {program:?}: {error}")))
    }

    /// Starts a program and waits until it listens at that address; `None` where it ends before.
    pub fn listening(command: &mut Command, address: &str) -> Option<Self> {
        let mut program = Self::start(command);
        while TcpStream::connect(address).is_err() {
            if program.0.try_wait().expect("its status").is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(program)
    }

    /// Waits for the line of its stderr that holds `mark`, and goes on reading, so that it never blocks on a full pipe.
    fn line_with(&mut self, mark: &'static str) -> String {
        let stderr = BufReader::new(self.0.stderr.take().expect("a piped stderr"));
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // Nobody listens any more once the line was found.
                let _ = sender.send(line);
            }
        });
        let mut seen = vec![];
        loop {
            match receiver.recv_timeout(Duration::from_secs(20)) {
                Ok(line) if line.contains(mark) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no {mark:?} in {seen:#?}"),
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.0.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

/// `php -S` with four workers.
#[derive(Debug)]
pub struct Php {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    _process: Group,
    _sessions: TempDir,
}

impl Php {
    /// Serves a directory.
    pub fn serve(directory: impl AsRef<Path>) -> Self {
        Self::serve_with(directory, &[], &[])
    }

    /// Serves a directory, with further arguments and environment.
    pub fn serve_with(directory: impl AsRef<Path>, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let sessions = tempfile::tempdir().expect("a directory");
        let mut process = Group::start(
            Command::new("php")
                .arg("-d")
                .arg(format!("session.save_path={}", sessions.path().display()))
                .args(["-d", "upload_max_filesize=64M", "-d", "post_max_size=64M"])
                .args(arguments)
                .envs(environment.iter().copied())
                .args(["-S", "127.0.0.1:0", "-t"])
                .arg(directory.as_ref())
                .env("PHP_CLI_SERVER_WORKERS", "4")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped()),
        );
        let line = process.line_with(") started");
        let url = line.split(['(', ')']).nth(1).expect("an address").to_owned();
        Self { url, _process: process, _sessions: sessions }
    }

    /// Serves one of the applications in `tests/apps`.
    pub fn application(name: &str) -> Self {
        Self::serve(application(name))
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }
}

/// nginx before php-fpm, as most PHP applications run.
#[derive(Debug)]
pub struct PhpFpm {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    _nginx: Group,
    _fpm: Group,
    _directory: TempDir,
}

impl PhpFpm {
    /// Serves a directory.
    pub fn serve(root: impl AsRef<Path>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let fpm = start_fpm(directory.path());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let nginx = start_nginx(directory.path(), root.as_ref(), listener);
        Self { url: format!("http://{address}"), _nginx: nginx, _fpm: fpm, _directory: directory }
    }

    /// Serves one of the applications in `tests/apps`.
    pub fn application(name: &str) -> Self {
        Self::serve(application(name))
    }
}

/// php-fpm on `fpm.sock` in that directory.
pub fn start_fpm(directory: &Path) -> Group {
    let here = directory.display();
    let configuration = directory.join("fpm.conf");
    let text = format!(
        "[global]\nerror_log = /proc/self/fd/2\npid = {here}/fpm.pid\n\
         [www]\nlisten = {here}/fpm.sock\nlisten.mode = 0666\npm = static\npm.max_children = 4\n\
         php_admin_value[session.save_path] = {here}\n"
    );
    fs::write(&configuration, text).expect("a configuration");
    let mut command = Command::new(fpm_program());
    command.args(["-n", "-F", "-R", "-y"]).arg(configuration);
    let mut fpm = Group::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()));
    fpm.line_with("ready to handle connections");
    fpm
}

/// Debian calls it by its version.
fn fpm_program() -> PathBuf {
    let found = fs::read_dir("/usr/sbin").into_iter().flatten().flatten().map(|entry| entry.path());
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("php-fpm"));
    found.filter(named).max().unwrap_or_else(|| PathBuf::from("php-fpm"))
}

fn start_nginx(directory: &Path, root: &Path, listener: TcpListener) -> Group {
    let address = listener.local_addr().expect("its address").to_string();
    start_nginx_on(directory, &nginx_configuration(directory, root, &address), listener)
}

/// nginx with a configuration of its own, which listens at the address of that socket. It takes the socket over from the descriptor
/// named in `NGINX` (ngx_add_inherited_sockets), so the port cannot be lost between choosing and binding, and connections wait until
/// it is ready.
pub fn start_nginx_on(directory: &Path, configuration: &str, listener: TcpListener) -> Group {
    let path = directory.join("nginx.conf");
    fs::write(&path, configuration).expect("a configuration");
    let mut command = Command::new("nginx");
    command.arg("-p").arg(directory).arg("-c").arg(path).args(["-e", "stderr"]);
    Group::start(command.env("NGINX", "0;").stdin(Stdio::from(OwnedFd::from(listener))).stderr(Stdio::null()))
}

/// nginx with a configuration of its own, which listens on sockets in that directory; returns when `socket` is there.
pub fn start_nginx_with(directory: &Path, configuration: &str, socket: &Path) -> Group {
    let path = directory.join("nginx.conf");
    fs::write(&path, configuration).expect("a configuration");
    let mut command = Command::new("nginx");
    command.arg("-p").arg(directory).arg("-c").arg(path).args(["-e", "stderr"]);
    let mut nginx = Group::start(command.stdin(Stdio::null()).stderr(Stdio::inherit()));
    while UnixStream::connect(socket).is_err() {
        assert!(nginx.0.try_wait().expect("its status").is_none(), "nginx ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    nginx
}

fn nginx_configuration(directory: &Path, root: &Path, address: &str) -> String {
    let (here, root) = (directory.display(), root.display());
    format!(
        "daemon off; worker_processes 1; user root; pid {here}/nginx.pid;\n\
         events {{}}\n\
         http {{\n\
           access_log off; client_max_body_size 64m;\n\
           client_body_temp_path {here}/body; fastcgi_temp_path {here}/fastcgi; proxy_temp_path {here}/proxy;\n\
           uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;\n\
           types {{ text/html html; text/css css; }}\n\
           server {{\n\
             listen {address}; root {root}; index index.php;\n\
             location / {{ try_files $uri $uri/ /index.php?$args; }}\n\
             location ~ \\.php(/|$) {{\n\
               fastcgi_split_path_info ^(.+?\\.php)(/.*)$;\n\
               include /etc/nginx/fastcgi_params;\n\
               fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;\n\
               fastcgi_param PATH_INFO $fastcgi_path_info;\n\
               fastcgi_pass unix:{here}/fpm.sock;\n\
             }}\n\
           }}\n\
         }}\n"
    )
}
