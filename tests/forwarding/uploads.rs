//! Bodies on their way to the application.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::OPEN;
use crate::support::gate::Gate;
use crate::support::http::Connection;
use crate::support::scripted::{Backend, Conversation};

const MIB: usize = 1 << 20;
const BOUND: Duration = Duration::from_secs(120);

/// An application that answers with how its body was framed and how long it was, and keeps nothing of it.
async fn counting() -> Backend {
    Backend::start(|mut conversation, _| async move {
        while let Some(head) = conversation.head().await {
            let Some(counted) = counted(&mut conversation, &head).await else { return };
            let length = counted.len();
            conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{counted}")).await;
        }
    })
    .await
}

async fn counted(conversation: &mut Conversation, head: &str) -> Option<String> {
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let Some(length) = length else {
        let mut whole = 0;
        loop {
            let line = conversation.until(b"\r\n").await?;
            let size = usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
            conversation.take(size + 2).await?;
            whole += size;
            if size == 0 {
                return Some(format!("chunked {whole}"));
            }
        }
    };
    let length: usize = length.parse().ok()?;
    let mut left = length;
    while left > 0 {
        left -= conversation.take(left.min(64 << 10)).await?.len();
    }
    Some(format!("length {length}"))
}

fn post(framing: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: image/png\r\n{framing}\r\n\r\n")
}

/// Sends a body in chunks of 64 KiB.
async fn send_chunks(connection: &mut Connection, whole: usize) {
    let mut chunk = b"10000\r\n".to_vec();
    chunk.resize(chunk.len() + (64 << 10), b'x');
    chunk.extend(b"\r\n");
    for _ in 0..whole / (64 << 10) {
        connection.send(&chunk).await;
    }
    connection.send(b"0\r\n\r\n").await;
}

#[tokio::test]
async fn a_hundred_megabytes_go_up_in_constant_memory() {
    let backend = counting().await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).process().await;
    let mut connection = gate.connect().await;
    connection.send(&[post("Content-Length: 3").as_bytes(), b"abc"].concat()).await;
    assert_eq!(connection.reply_to("POST").await.unwrap().text(), "length 3");
    let before = gate.most_memory();

    connection.send(post("Content-Length: 104857600").as_bytes()).await;
    let sent = timeout(BOUND, async {
        for _ in 0..100 {
            connection.send(&vec![b'x'; MIB]).await;
        }
        connection.reply_to("POST").await.unwrap().text()
    });
    assert_eq!(sent.await.unwrap(), "length 104857600");

    connection.send(post("Transfer-Encoding: chunked").as_bytes()).await;
    timeout(BOUND, send_chunks(&mut connection, 100 * MIB)).await.unwrap();
    assert_eq!(connection.reply_to("POST").await.unwrap().text(), "chunked 104857600");

    let grown = gate.most_memory() - before;
    assert!(grown < 16 * MIB, "{grown} bytes more");
}

#[tokio::test]
async fn a_small_body_in_chunks_goes_on_with_its_length_and_without_its_trailers() {
    let backend = crate::support::backend::FakeBackend::start().await;
    let gate = Gate::with(OPEN).upstream(&backend.url).start().await;
    let body = "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Auth-User-Id: 1\r\nX-Trailer: 1\r\n\r\n";
    gate.raw(format!("{}{body}", post("Trailer: X-Trailer\r\nTransfer-Encoding: chunked")).as_bytes()).await.unwrap();
    let asked = backend.last();
    assert!(asked.ends_with("\r\nContent-Length: 5\r\n\r\nabcde"), "{asked}");
    assert!(!asked.to_ascii_lowercase().contains("trailer") && !asked.contains("X-Auth"), "{asked}");
}

#[tokio::test]
async fn trailers_of_a_long_body_in_chunks_are_dropped() {
    let (report, mut reports) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut conversation, _| {
        let report = report.clone();
        async move {
            conversation.head().await.unwrap();
            report.send(conversation.until(b"0\r\n\r\n").await.is_some()).unwrap();
            conversation.say("HTTP/1.1 204 No Content\r\n\r\n").await;
            report.send(conversation.rest().await.is_empty()).unwrap();
        }
    })
    .await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
    let mut connection = gate.connect().await;
    connection.send(post("Transfer-Encoding: chunked").as_bytes()).await;
    connection.send(format!("200000\r\n{}\r\n", "x".repeat(2 * MIB)).as_bytes()).await;
    connection.send(b"0\r\nX-Auth-User-Id: 1\r\n\r\n").await;
    assert_eq!(connection.reply_to("POST").await.unwrap().status, 204);
    gate.stop().await;
    assert_eq!((reports.recv().await, reports.recv().await), (Some(true), Some(true)));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_unread_where_its_length_is_told() {
    let backend = counting().await;
    let yaml = OPEN.replace("2GiB", "2MiB");
    let gate = Gate::with(&yaml).upstream(&backend.url()).start().await;
    gate.raw(post("Content-Length: 2097153").as_bytes()).await.unwrap().assert_refused(413, "too_large");
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_body_that_turns_out_too_long_is_refused_and_never_looks_whole_to_the_application() {
    let (report, mut reports) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut conversation, _| {
        let report = report.clone();
        async move {
            conversation.head().await.unwrap();
            report.send(conversation.rest().await).unwrap();
        }
    })
    .await;
    let yaml = OPEN.replace("2GiB", "2MiB");
    let gate = Gate::with(&yaml).upstream(&backend.url()).start().await;
    let mut connection = gate.connect().await;
    connection.send(post("Transfer-Encoding: chunked").as_bytes()).await;
    send_chunks(&mut connection, 3 * MIB).await;
    connection.reply_to("POST").await.unwrap().assert_refused(413, "too_large");
    let came = reports.recv().await.unwrap();
    assert!(!came.ends_with(b"0\r\n\r\n") && came.len() < 3 * MIB, "{} bytes", came.len());
}

#[tokio::test]
async fn a_client_that_goes_away_within_its_body_never_looks_finished_to_the_application() {
    for framing in ["Content-Length: 4194304", "Transfer-Encoding: chunked"] {
        let (report, mut reports) = mpsc::unbounded_channel();
        let backend = Backend::start(move |mut conversation, _| {
            let report = report.clone();
            async move {
                conversation.head().await.unwrap();
                report.send(conversation.rest().await).unwrap();
            }
        })
        .await;
        let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
        let mut connection = gate.connect().await;
        connection.send(post(framing).as_bytes()).await;
        if framing.starts_with('T') {
            connection.send(b"200000\r\n").await;
        }
        connection.send(&vec![b'x'; 2 * MIB]).await;
        drop(connection);
        let came = reports.recv().await.unwrap();
        assert!(!came.ends_with(b"0\r\n\r\n") && came.len() < 3 * MIB, "{framing}: {} bytes", came.len());
    }
}

#[tokio::test]
async fn an_application_that_takes_its_time_holds_the_client_back_and_not_the_memory() {
    const WHOLE: usize = 256 * MIB;
    let (go, told) = tokio::sync::watch::channel(false);
    let backend = Backend::start(move |mut conversation, _| {
        let mut told = told.clone();
        async move {
            let head = conversation.head().await.unwrap();
            told.wait_for(|told| *told).await.unwrap();
            let counted = counted(&mut conversation, &head).await.unwrap();
            conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{counted}", counted.len())).await;
        }
    })
    .await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).process().await;
    let mut connection = gate.connect().await;
    let before = gate.most_memory();
    connection.send(post(&format!("Content-Length: {WHOLE}")).as_bytes()).await;
    let sent = connection.send_until_stuck(WHOLE).await;
    assert!(sent < 32 * MIB, "{sent} bytes were taken");
    let grown = gate.most_memory() - before;
    assert!(grown < 16 * MIB, "{grown} bytes more");

    go.send(true).unwrap();
    assert_eq!(connection.send_until_stuck(WHOLE - sent).await, WHOLE - sent);
    assert_eq!(connection.reply_to("POST").await.unwrap().text(), format!("length {WHOLE}"));
}

#[tokio::test]
async fn a_reply_that_comes_while_the_upload_runs_is_heard_at_once() {
    for hangs_up in [false, true] {
        let backend = Backend::start(move |mut conversation, _| async move {
            conversation.head().await.unwrap();
            conversation.say("HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nbig!").await;
            if !hangs_up {
                conversation.rest().await;
            }
        })
        .await;
        let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;

        // A client that listens while it sends.
        let mut connection = gate.connect().await;
        connection.send(post("Content-Length: 104857600").as_bytes()).await;
        connection.send(&vec![b'x'; MIB]).await;
        let reply = connection.reply_to("POST").await.unwrap();
        assert_eq!((reply.status, reply.text()), (413, "big!".to_owned()), "hangs up: {hangs_up}");

        // A client that listens only when it has sent everything.
        let mut connection = gate.connect().await;
        connection.send(post("Content-Length: 8388608").as_bytes()).await;
        connection.send(&vec![b'x'; 8 * MIB]).await;
        let reply = connection.reply_to("POST").await.unwrap();
        assert_eq!((reply.status, reply.text()), (413, "big!".to_owned()), "hangs up: {hangs_up}");
    }
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_is_refused_and_its_request_taken_back() {
    let (report, mut reports) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut conversation, _| {
        let report = report.clone();
        async move {
            conversation.head().await.unwrap();
            report.send(conversation.rest().await).unwrap();
        }
    })
    .await;
    let gate = Gate::with(&format!("{OPEN}timeouts: {{body_idle: 300ms}}")).upstream(&backend.url()).start().await;
    let mut connection = gate.connect().await;
    connection.send(&[post("Content-Length: 10").as_bytes(), b"half"].concat()).await;
    connection.reply_to("POST").await.unwrap().assert_refused(400, "malformed");
    assert!(connection.rest().await.is_empty());
    assert_eq!(reports.recv().await.unwrap(), b"half");
}
