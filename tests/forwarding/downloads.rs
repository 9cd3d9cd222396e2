//! Bodies on their way to the client.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::OPEN;
use crate::support::gate::Gate;
use crate::support::scripted::{Backend, Conversation};

const MIB: usize = 1 << 20;
const BOUND: Duration = Duration::from_secs(120);
const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

async fn say_zeros(conversation: &mut Conversation, whole: usize) {
    let zeros = vec![0; 256 << 10];
    for _ in 0..whole / zeros.len() {
        conversation.say(&zeros).await;
    }
}

#[tokio::test]
async fn a_gigabyte_comes_down_in_constant_memory() {
    const WHOLE: usize = 1 << 30;
    let backend = Backend::start(|mut conversation, _| async move {
        conversation.request().await;
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        conversation.request().await;
        conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {WHOLE}\r\n\r\n")).await;
        say_zeros(&mut conversation, WHOLE).await;
    })
    .await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).process().await;
    let mut connection = gate.connect().await;
    connection.send(GET).await;
    assert_eq!(connection.reply_to("GET").await.unwrap().text(), "ok");
    let before = gate.most_memory();

    connection.send(GET).await;
    let (_, headers) = connection.head().await.unwrap();
    assert!(headers.contains(&("Content-Length".to_owned(), WHOLE.to_string())), "{headers:?}");
    assert_eq!(timeout(BOUND, connection.skip(WHOLE)).await.unwrap(), WHOLE);
    let grown = gate.most_memory() - before;
    assert!(grown < 16 * MIB, "{grown} bytes more");
}

#[tokio::test]
async fn a_long_reply_without_a_length_comes_down_in_constant_memory() {
    const WHOLE: usize = 128 * MIB;
    for framing in ["Transfer-Encoding: chunked", "Connection: close"] {
        let backend = Backend::start(move |mut conversation, _| async move {
            conversation.request().await;
            conversation.say(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n")).await;
            if framing.starts_with('T') {
                for _ in 0..WHOLE / MIB {
                    conversation.say("100000\r\n").await;
                    say_zeros(&mut conversation, MIB).await;
                    conversation.say("\r\n").await;
                }
                conversation.say("0\r\n\r\n").await;
            } else {
                say_zeros(&mut conversation, WHOLE).await;
            }
        })
        .await;
        let gate = Gate::with(OPEN).upstream(&backend.url()).process().await;
        let before = gate.most_memory();
        let mut connection = gate.connect().await;
        connection.send(GET).await;
        connection.head().await.unwrap();
        let mut whole = 0;
        loop {
            let line = connection.until(b"\r\n").await.unwrap();
            let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            assert_eq!(connection.skip(size + 2).await, size + 2);
            whole += size;
            if size == 0 {
                break;
            }
        }
        assert_eq!(whole, WHOLE, "{framing}");
        let grown = gate.most_memory() - before;
        assert!(grown < 16 * MIB, "{framing}: {grown} bytes more");
    }
}

#[tokio::test]
async fn a_client_that_takes_its_time_holds_the_application_back_and_not_the_memory() {
    const WHOLE: usize = 256 * MIB;
    let (report, mut reports) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut conversation, _| {
        let report = report.clone();
        async move {
            conversation.request().await;
            conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {WHOLE}\r\n\r\n")).await;
            let (mut taken, mut told) = (0, false);
            let zeros = vec![0; 256 << 10];
            while taken < WHOLE {
                let some = &zeros[..zeros.len().min(WHOLE - taken)];
                let write = tokio::io::AsyncWriteExt::write(&mut conversation.stream, some);
                match timeout(Duration::from_millis(500), write).await {
                    Ok(count) => taken += count.unwrap(),
                    Err(_) if !told => {
                        told = true;
                        report.send(taken).unwrap();
                    }
                    Err(_) => {}
                }
            }
        }
    })
    .await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).process().await;
    let before = gate.most_memory();
    let mut connection = gate.connect().await;
    connection.send(GET).await;
    let taken = reports.recv().await.unwrap();
    assert!(taken < 32 * MIB, "{taken} bytes were taken");
    let grown = gate.most_memory() - before;
    assert!(grown < 16 * MIB, "{grown} bytes more");
    connection.head().await.unwrap();
    assert_eq!(connection.skip(WHOLE).await, WHOLE);
}

/// An application that says each piece only when it is told to.
async fn piecemeal(head: &'static str, pieces: [&'static str; 3]) -> (Backend, mpsc::UnboundedSender<()>) {
    let (next, told) = mpsc::unbounded_channel::<()>();
    let told = std::sync::Arc::new(tokio::sync::Mutex::new(told));
    let backend = Backend::start(move |mut conversation, _| {
        let told = told.clone();
        async move {
            conversation.request().await;
            conversation.say(head).await;
            let mut told = told.lock().await;
            for piece in pieces {
                told.recv().await;
                conversation.say(piece).await;
            }
        }
    })
    .await;
    (backend, next)
}

#[tokio::test]
async fn events_reach_the_client_while_their_stream_is_open() {
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    let with_length = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 27\r\n\r\n";
    let events = ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"];
    let chunks = ["9\r\ndata: 1\n\n\r\n", "9\r\ndata: 2\n\n\r\n", "9\r\ndata: 3\n\n\r\n0\r\n\r\n"];
    for (head, pieces) in [(chunked, chunks), (until_close, events), (with_length, events)] {
        let (backend, next) = piecemeal(head, pieces).await;
        let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
        let mut connection = gate.connect().await;
        connection.send(GET).await;
        // The head comes before the first event is there.
        let (status, headers) = connection.head().await.unwrap();
        assert_eq!(status, 200);
        assert!(headers.contains(&("Content-Type".to_owned(), "text/event-stream".to_owned())), "{headers:?}");
        for event in events {
            next.send(()).unwrap();
            connection.until(event.as_bytes()).await.unwrap_or_else(|| panic!("{event:?} of {head}"));
        }
    }
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_download_along() {
    let (report, mut reports) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut conversation, _| {
        let report = report.clone();
        async move {
            conversation.request().await;
            conversation.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            let event = b"9\r\ndata: 1\n\n\r\n";
            while tokio::io::AsyncWriteExt::write_all(&mut conversation.stream, event).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            report.send(()).unwrap();
        }
    })
    .await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
    let mut connection = gate.connect().await;
    connection.send(GET).await;
    connection.until(b"data: 1\n\n").await.unwrap();
    drop(connection);
    timeout(Duration::from_secs(20), reports.recv()).await.unwrap().unwrap();
}
