//! `ticketgate serve`, `explain` and `sign` with a configuration: the program as an operator runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const RULES: &str = r#"
clients:
  - {id: ios, secret: "${IOS_SECRET}"}
endpoint:
  - query: {module: mod, controller: ctl, action: act}
  - form: {module: mod, controller: ctl, action: act}
rules:
  - {path: "/open/**", require: public}
  - {endpoint: user/info, require: user}
  - {endpoint: news, require: client}
time: {zone: Asia/Shanghai}
"#;

fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ticketgate.yaml");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ticketgate"));
    command.env_clear().env("IOS_SECRET", "s3cret").stdin(Stdio::null());
    command
}

/// Runs it with that configuration; says how it ended and what it wrote.
fn run(configuration: &str, arguments: &[&str]) -> (i32, String, String) {
    let (_directory, path) = file(configuration);
    let mut command = command();
    command.arg(arguments.first().unwrap()).arg("-c").arg(&path).args(arguments.get(1..).unwrap());
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn run_json(configuration: &str, arguments: &[&str]) -> Value {
    let (code, out, err) = run(configuration, arguments);
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

fn configuration() -> String {
    format!("upstream: {{url: \"http://127.0.0.1:1\"}}\n{RULES}")
}

#[test]
fn explain_tells_what_php_sees_and_what_is_missing() {
    let target = "/index.php?mod=user&ctl=info&act=get&client_id=ios&api_token=abc";
    let told = run_json(&configuration(), &["explain", "--json", "GET", target, "-H", "Cookie: lang=en"]);
    assert_eq!(told.get("endpoint").unwrap(), "user/info/get");
    assert_eq!(told.get("requirement").unwrap(), "user");
    assert_eq!(told.get("missing").unwrap(), &json!(["user_id", "user_token"]));
    assert!(!told.to_string().contains("abc"), "{told}");

    let (_, out, _) = run(&configuration(), &["explain", "GET", target]);
    assert!(out.contains("requires    user\n  missing     user_id, user_token\n"), "{out}");
}

#[test]
fn explain_reads_forms_and_tells_why_a_request_is_refused() {
    let form = ["explain", "--json", "--form", "mod=news&ctl=a&act=b&user_id=7", "POST", "/index.php?user_id=7"];
    let told = run_json(&configuration(), &form);
    assert_eq!(told.pointer("/refused/reason").unwrap(), "ambiguous");
    assert!(told.pointer("/refused/why").unwrap().as_str().unwrap().contains("user_id"), "{told}");
    let told = run_json(&configuration(), &["explain", "--json", "GET", "/a//b"]);
    assert_eq!(told.pointer("/refused/reason").unwrap(), "malformed");
}

#[test]
fn sign_takes_what_it_needs_from_a_configuration() {
    let arguments = ["sign", "--client", "ios", "--date", "2013-12-18", "--json", "POST"];
    let by_query = [&arguments[..], &["/?mod=user&ctl=auth&act=login"]].concat();
    let by_form = [&arguments[..], &["--data", "mod=user&ctl=auth&act=login", "/"]].concat();
    for arguments in [by_query, by_form] {
        let signed = run_json(&configuration(), &arguments);
        assert_eq!(signed.pointer("/credentials/api_token").unwrap(), "ea5c241756c8c8c441090ba291f47d83");
    }
    let headers = format!("{}credentials: [header]\n", configuration());
    let signed = run_json(&headers, &["sign", "--client", "ios", "--json", "GET", "/?mod=a&ctl=b&act=c"]);
    assert_eq!(signed.get("url").unwrap(), "/?mod=a&ctl=b&act=c");
    assert_eq!(signed.pointer("/headers/X-Client-Id").unwrap(), "ios");
}

#[test]
fn a_faulty_configuration_is_told_whole_and_nothing_is_served() {
    let (code, out, err) = run("listen: nowhere\nupstream: {uri: x}\n", &["serve"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.lines().count() >= 2 && err.contains("ticketgate.yaml:1: listen"), "{err}");
    let (code, _, err) = run("", &["serve", "--upstream", "ftp://x"]);
    assert!(code == 1 && !err.is_empty(), "{err}");
}

/// A served gate; killed when dropped.
struct Served {
    child: Child,
    gate: String,
    admin: String,
    /// What it wrote to stderr after its addresses.
    rest: BufReader<ChildStderr>,
    _directory: TempDir,
}

impl Served {
    /// A gate before an application on that address.
    fn before(upstream: &str) -> Self {
        let (directory, path) = file(&format!("{RULES}\nadmin: {{listen: 127.0.0.1:0}}\n"));
        let mut command = command();
        command.env("TICKETGATE_CONFIG", &path).env("TICKETGATE_LISTEN", "127.0.0.1:0");
        command.env("TICKETGATE_UPSTREAM", upstream).env("TICKETGATE_STORE", "memory:").arg("serve");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut rest = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("ticketgate listening on ") {
            line.clear();
            assert_ne!(rest.read_line(&mut line).unwrap(), 0, "it ended");
        }
        let (gate, admin) = line.trim_start_matches("ticketgate listening on ").split_once(", admin on ").unwrap();
        Self { gate: gate.to_owned(), admin: admin.trim().to_owned(), child, rest, _directory: directory }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    fn end(&mut self) -> i32 {
        let mut status = None;
        wait_until(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code()).unwrap()
    }
}

fn wait_until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "it does not come to that");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An application that says it was asked, and answers when told to.
struct Slow {
    address: String,
    answer: std::sync::mpsc::Sender<()>,
    asked: std::sync::mpsc::Receiver<()>,
}

impl Slow {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (answer, told) = std::sync::mpsc::channel::<()>();
        let (tell, asked) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            tell.send(()).unwrap();
            if told.recv().is_ok() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").unwrap();
            }
        });
        Self { address, answer, asked }
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn get_meanwhile(address: &str, path: &'static str) -> JoinHandle<String> {
    let address = address.to_owned();
    std::thread::spawn(move || get(&address, path))
}

#[test]
fn a_first_signal_lets_what_is_under_way_finish() {
    for signal in ["TERM", "INT"] {
        let application = Slow::start();
        let mut served = Served::before(&application.address);
        assert!(get(&served.admin, "/healthz").starts_with("HTTP/1.1 200"));
        let reply = get_meanwhile(&served.gate, "/open/a");
        application.asked.recv_timeout(Duration::from_secs(20)).unwrap();

        served.signal(signal);
        let mut line = String::new();
        served.rest.read_line(&mut line).unwrap();
        assert!(line.contains("ending"), "{line}");
        wait_until(|| get(&served.admin, "/readyz").contains(r#""draining":true"#));
        application.answer.send(()).unwrap();
        assert!(reply.join().unwrap().ends_with("\r\n\r\ndone"));
        assert_eq!(served.end(), 0, "{signal}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let application = Slow::start();
    let mut served = Served::before(&application.address);
    let reply = get_meanwhile(&served.gate, "/open/a");
    application.asked.recv_timeout(Duration::from_secs(20)).unwrap();
    served.signal("TERM");
    let mut line = String::new();
    served.rest.read_line(&mut line).unwrap();
    served.signal("TERM");
    assert_eq!(served.end(), 0);
    assert!(!reply.join().unwrap().contains("done"));
}

#[test]
fn a_hangup_ends_nothing() {
    let mut served = Served::before("http://127.0.0.1:1");
    served.signal("HUP");
    let mut line = String::new();
    served.rest.read_line(&mut line).unwrap();
    assert!(line.contains("SIGHUP"), "{line}");
    assert!(get(&served.admin, "/healthz").starts_with("HTTP/1.1 200"));
    served.signal("TERM");
    assert_eq!(served.end(), 0);
}
