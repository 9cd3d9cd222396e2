//! How a gate begins and ends, as an operator sees it: signals, what is under way meanwhile, exit codes.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::gate::Gate;
use support::http::Connection;
use support::process::{Ended, Process};
use support::scripted::Backend;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

const OPEN: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
rules: [{path: "/**", require: public}]
"#;
const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const HALF: usize = 1 << 20;

/// An application that begins to answer `/download`, and answers all else, when it is let; it tells of each request it has the head of.
struct Held {
    backend: Backend,
    arrived: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl Held {
    async fn start() -> Self {
        let (arrived, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (tell, wait) = (arrived.clone(), go.clone());
        let backend = Backend::start(move |mut conversation, _| {
            let (tell, wait) = (tell.clone(), wait.clone());
            async move {
                while let Some(head) = conversation.head().await {
                    let half = "x".repeat(HALF);
                    if head.contains("/download") {
                        conversation
                            .say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{half}", 2 * HALF))
                            .await;
                    }
                    tell.add_permits(1);
                    let Ok(permit) = wait.acquire().await else { return };
                    permit.forget();
                    if head.contains("/upload") && conversation.take(2 * HALF).await.is_none() {
                        return;
                    }
                    let rest = if head.contains("/download") {
                        half
                    } else {
                        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".into()
                    };
                    conversation.say(rest).await;
                }
            }
        })
        .await;
        Self { backend, arrived, go }
    }

    async fn gate(&self, more: &str) -> Process {
        Gate::with(&format!("{OPEN}{more}")).upstream(&self.backend.url()).process().await
    }

    async fn has(&self, requests: u32) {
        tokio::time::timeout(Duration::from_secs(20), self.arrived.acquire_many(requests))
            .await
            .unwrap()
            .unwrap()
            .forget();
    }
}

async fn refuses_connections(address: &str) {
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.expect("connections are still taken");
}

async fn asked(gate: &Process, bytes: &[u8]) -> Connection {
    let mut connection = gate.connect().await;
    connection.send(bytes).await;
    connection
}

#[tokio::test]
async fn a_signal_loses_nothing_that_is_under_way() {
    let held = Held::start().await;
    let gate = held.gate("").await;
    let mut waiting = vec![];
    for _ in 0..20 {
        waiting.push(asked(&gate, GET).await);
    }
    let head = format!("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 2 * HALF);
    let mut upload = asked(&gate, head.as_bytes()).await;
    upload.send(&vec![b'x'; HALF]).await;
    let mut download = asked(&gate, b"GET /download HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(download.head().await.unwrap().0, 200);
    held.has(22).await;
    let mut half_a_head = asked(&gate, b"GET /a HTTP/1.1\r\nHo").await;
    let mut fresh = gate.connect().await;

    gate.signal(Signal::TERM);
    until_draining(&gate).await;
    // What was connected when the signal came may still ask.
    fresh.send(GET).await;
    half_a_head.send(b"st: h\r\n\r\n").await;
    held.has(2).await;
    refuses_connections(&gate.address).await;
    upload.send(&vec![b'x'; HALF]).await;
    held.go.add_permits(24);

    for connection in waiting.iter_mut().chain([&mut upload, &mut half_a_head, &mut fresh]) {
        let reply = connection.reply_to("GET").await.expect("a reply");
        assert_eq!((reply.status, reply.text().as_str(), reply.header("connection")), (200, "done", Some("close")));
        assert!(connection.rest().await.is_empty());
    }
    assert_eq!(download.skip(2 * HALF).await, 2 * HALF);
    assert_eq!(gate.ended().await.code, Some(0));
}

async fn until_draining(gate: &Process) {
    loop {
        let ready = gate.admin("GET", "/readyz").await;
        if ready.status == 503 {
            assert_eq!(ready.at("/draining"), true, "{}", ready.text());
            return;
        }
    }
}

#[tokio::test]
async fn connections_that_are_kept_alive_learn_of_the_end_without_losing_a_request() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).process().await;
    let (busy, mut callers) = (Arc::new(Semaphore::new(0)), tokio::task::JoinSet::new());
    for _ in 0..8 {
        let (mut connection, busy) = (gate.connect().await, busy.clone());
        callers.spawn(async move {
            loop {
                connection.send(GET).await;
                let reply = connection.reply_to("GET").await.expect("an answer to each request");
                assert_eq!(reply.text(), "done");
                busy.add_permits(1);
                if reply.header("connection") == Some("close") {
                    return;
                }
            }
        });
    }
    busy.acquire_many(100).await.unwrap().forget();
    gate.signal(Signal::TERM);
    callers.join_all().await;
    assert_eq!(gate.ended().await.code, Some(0));
}

#[tokio::test]
async fn what_is_not_done_in_time_is_cut_off() {
    let held = Held::start().await;
    let gate = held.gate("timeouts: {drain: 300ms}").await;
    let mut connection = asked(&gate, GET).await;
    held.has(1).await;
    let since = Instant::now();
    gate.signal(Signal::INT);
    assert!(connection.reply_to("GET").await.is_none());
    assert_eq!(gate.ended().await.code, Some(0));
    assert!((300..5000).contains(&since.elapsed().as_millis()), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let held = Held::start().await;
    let mut gate = held.gate("timeouts: {drain: 60s}").await;
    let mut connection = asked(&gate, GET).await;
    held.has(1).await;
    gate.signal(Signal::TERM);
    until_draining(&gate).await;
    assert!(!gate.is_over());
    gate.signal(Signal::TERM);
    assert!(connection.reply_to("GET").await.is_none());
    assert_eq!(gate.ended().await.code, Some(0));
}

#[tokio::test]
async fn a_gate_may_go_on_accepting_for_a_while_though_it_is_not_ready() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
    let gate = Gate::with(&format!("{OPEN}drain_delay: 1s")).upstream(&backend.url()).process().await;
    let since = Instant::now();
    gate.signal(Signal::TERM);
    until_draining(&gate).await;
    assert_eq!(gate.get("/a").await.text(), "done");
    assert_eq!(gate.admin("GET", "/healthz").await.status, 200);
    refuses_connections(&gate.address).await;
    assert!(since.elapsed() >= Duration::from_secs(1), "{:?}", since.elapsed());
    assert_eq!(gate.ended().await.code, Some(0));
}

#[tokio::test]
async fn an_idle_gate_ends_soon() {
    let gate = Gate::with(OPEN).upstream("http://127.0.0.1:1").process().await;
    let _idle = gate.connect().await;
    let since = Instant::now();
    gate.signal(Signal::TERM);
    let Ended { code, said } = gate.ended().await;
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

/// One line that names the trouble, besides warnings of other things, and exit code 1.
#[track_caller]
fn assert_told(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let said: Vec<_> = ended.said.iter().filter(|line| !line.ends_with("(warning)")).collect();
    let [line] = &said[..] else { panic!("{:#?}", ended.said) };
    assert!(parts.iter().all(|part| line.contains(part)), "{line}");
}

fn listening(public: &str, admin: &str, more: &str) -> String {
    let open = OPEN.replace("{upstream}", "http://127.0.0.1:1");
    format!("listen: {public}\nadmin: {{listen: \"{admin}\"}}\n{open}{more}")
}

#[tokio::test]
async fn an_address_in_use_is_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let _keep = TcpListener::bind(&taken).await;
    let held = Gate::with(OPEN).upstream("http://127.0.0.1:1").process().await;
    let public = Process::fails(&listening(&held.address, "127.0.0.1:0", "")).await;
    assert_told(&public, &["cannot listen on", &held.address, "in use"]);
    let admin = Process::fails(&listening("127.0.0.1:0", &held.admin, "")).await;
    assert_told(&admin, &["admin", "cannot listen on", &held.admin, "in use"]);
}

#[tokio::test]
async fn what_cannot_be_read_or_opened_is_told_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let secret = |path: &Path| format!("clients: [{{id: ios, secret: {{file: \"{}\"}}}}]\n", path.display());
    for path in [missing.as_path(), directory.path()] {
        let ended = Process::fails(&listening("127.0.0.1:0", "127.0.0.1:0", &secret(path))).await;
        assert_told(&ended, &["secret", path.to_str().unwrap()]);
    }

    let no_store = listening("127.0.0.1:0", "127.0.0.1:0", "").replace("memory:", "file:/nonexistent/state.redb");
    assert_told(&Process::fails(&no_store).await, &["/nonexistent/state.redb"]);
    assert_told(&Process::fails("listen: [\n").await, &["ticketgate.yaml"]);

    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_ticketgate"));
    for path in [missing.as_path(), directory.path()] {
        let output = command.args(["serve", "-c"]).arg(path).output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(path.to_str().unwrap()), "{said}");
        command = tokio::process::Command::new(env!("CARGO_BIN_EXE_ticketgate"));
    }
}

#[tokio::test]
async fn a_file_store_in_use_is_told_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let yaml = OPEN.replace("memory:", &format!("file:{}", directory.path().join("state.redb").display()));
    let _first = Gate::with(&yaml).upstream("http://127.0.0.1:1").process().await;
    let second = Process::fails(&Gate::with(&yaml).upstream("http://127.0.0.1:1").text()).await;
    assert_told(&second, &["state.redb"]);
}

#[tokio::test]
async fn two_hundred_requests_and_twenty_half_sent_uploads_are_finished() {
    const PART: usize = 64 << 10;
    let held = Held::start().await;
    let gate = held.gate("").await;
    let mut waiting = vec![];
    for _ in 0..200 {
        waiting.push(asked(&gate, GET).await);
    }
    let head = format!("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 2 * HALF);
    let mut uploads = vec![];
    for _ in 0..20 {
        let mut upload = asked(&gate, head.as_bytes()).await;
        upload.send(&vec![b'x'; PART]).await;
        uploads.push(upload);
    }
    held.has(220).await;
    gate.signal(Signal::TERM);
    until_draining(&gate).await;
    refuses_connections(&gate.address).await;
    held.go.add_permits(220);
    for upload in &mut uploads {
        upload.send(&vec![b'x'; 2 * HALF - PART]).await;
    }
    for connection in waiting.iter_mut().chain(&mut uploads) {
        let reply = connection.reply_to("GET").await.expect("a reply");
        assert_eq!((reply.status, reply.text().as_str()), (200, "done"));
    }
    assert_eq!(gate.ended().await.code, Some(0));
}
