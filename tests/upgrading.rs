//! Gates are replaced one after the other behind one address, as an upgrade does it, and their clients notice nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use support::gate::Gate;
use support::http::Connection;
use support::php::{Group, start_nginx_on};
use support::process::Process;
use support::scripted::Backend;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 64;
/// `bench/upgrade` makes more, under wrk.
const RESTARTS: usize = 6;
/// nginx asks each gate once, so one that it found closed must not be its only hope when the other one goes.
const BETWEEN: Duration = Duration::from_millis(300);

/// nginx before the gates on `0.sock` and `1.sock`, as `docs/operations.md` has it.
fn start_nginx(here: &Path, listener: TcpListener) -> Group {
    let (at, address) = (here.display(), listener.local_addr().unwrap());
    let text = format!(
        "daemon off; worker_processes 1; user root; pid {at}/nginx.pid;\nevents {{}}\nhttp {{\n\
           access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
           uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi; keepalive_requests 1000000;\n\
           upstream gates {{ server unix:{at}/0.sock max_fails=0; server unix:{at}/1.sock max_fails=0; keepalive 64; }}\n\
           server {{\n\
             listen {address};\n\
             location / {{ proxy_pass http://gates; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}\n\
           }}\n\
         }}\n"
    );
    start_nginx_on(here, &text, listener)
}

async fn gate(here: &Path, number: usize, upstream: &str) -> Process {
    let yaml = format!(
        "listen: unix:{}/{number}.sock\nupstream: {{url: \"{{upstream}}\"}}\nrules: [{{path: \"/**\", require: public}}]\n",
        here.display()
    );
    Gate::with(&yaml).upstream(upstream).process().await
}

/// Asks again and again, reading and writing in turn; says which request got no answer, or a wrong one.
async fn ask(mut connection: Connection, over: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Result<(), String> {
    let requests: [&[u8]; 2] =
        [b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nx=1"];
    while !over.load(Ordering::Relaxed) {
        for request in requests {
            connection.send(request).await;
            let reply = connection.reply_to("GET").await.ok_or("a request without an answer")?;
            if (reply.status, reply.text().as_str()) != (200, "done") {
                return Err(format!("{} {}", reply.status, reply.text()));
            }
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_restarted_in_turn_behind_nginx_lose_no_request() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let mut gates = vec![gate(here, 0, &backend.url()).await, gate(here, 1, &backend.url()).await];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let front = listener.local_addr().unwrap().to_string();
    let _nginx = start_nginx(here, listener);
    let (over, answered, mut callers) = (Arc::new(AtomicBool::new(false)), Arc::default(), JoinSet::new());
    for _ in 0..CONNECTIONS {
        callers.spawn(ask(Connection::open(&front).await, over.clone(), Arc::clone(&answered)));
    }
    for round in 0..RESTARTS {
        tokio::time::sleep(BETWEEN).await;
        let old = gates.remove(0);
        old.signal(Signal::TERM);
        assert_eq!(old.ended().await.code, Some(0));
        gates.push(gate(here, round % 2, &backend.url()).await);
    }
    over.store(true, Ordering::Relaxed);
    let outcomes = callers.join_all().await;
    let lost: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(lost.is_empty(), "of {answered:?}: {lost:?}");
    assert!(answered.load(Ordering::Relaxed) > 1000, "{answered:?}");
}
