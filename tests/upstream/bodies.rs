use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;
use ticketgate::request::Unreadable;
use ticketgate::request::body::{Body, Limits};
use ticketgate::request::head::Framing;
use ticketgate::upstream::{Fault, Settings, Upstream};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::backend::{Backend, LIMITS, get, request, upload};
use crate::replies::resident;

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// An application that tells what it was sent: each request whole, or what came of it before the connection ended.
async fn recording() -> (Backend, mpsc::UnboundedReceiver<String>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut conversation, _| {
        let sender = sender.clone();
        async move {
            while let Some(request) = conversation.request().await {
                sender.send(request).unwrap();
                conversation.say(EMPTY).await;
            }
            let rest = conversation.rest().await;
            if !rest.is_empty() {
                sender.send(format!("broken off: {}", rest.escape_ascii())).unwrap();
            }
        }
    })
    .await;
    (backend, receiver)
}

#[tokio::test]
async fn the_length_of_a_body_is_told_where_it_is_known() {
    let (backend, mut requests) = recording().await;
    let upstream = backend.upstream();
    let hello = || Body::Gathered(Bytes::from_static(b"hello"));
    let (with_length, mut client) = upload(Framing::Length(5), LIMITS).await;
    client.write_all(b"hello").await.unwrap();
    let (chunked, mut other) = upload(Framing::Chunked, LIMITS).await;
    other.write_all(b"5;ext\r\nhello\r\n0\r\nX-User-Id: 1\r\n\r\n").await.unwrap();

    let table = [
        ("GET", Body::Empty, "\r\n"),
        ("HEAD", Body::Empty, "\r\n"),
        ("DELETE", Body::Empty, "\r\n"),
        ("POST", Body::Empty, "Content-Length: 0\r\n\r\n"),
        ("PUT", Body::Empty, "Content-Length: 0\r\n\r\n"),
        ("PATCH", Body::Empty, "Content-Length: 0\r\n\r\n"),
        ("POST", hello(), "Content-Length: 5\r\n\r\nhello"),
        ("DELETE", hello(), "Content-Length: 5\r\n\r\nhello"),
        ("GET", hello(), "Content-Length: 5\r\n\r\nhello"),
        ("POST", with_length, "Content-Length: 5\r\n\r\nhello"),
        ("PUT", chunked, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ];
    for (method, body, expected) in table {
        upstream.send(request(method, "/", body)).await.unwrap();
        assert_eq!(requests.recv().await.unwrap(), format!("{method} / HTTP/1.1\r\nHost: h\r\n{expected}"));
    }
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_reply_may_come_before_the_request_is_sent_and_both_go_on() {
    const WHOLE: usize = 8 << 20;
    let backend = Backend::start(|mut conversation, _| async move {
        conversation.head().await;
        conversation.take(1000).await;
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
        conversation.take(WHOLE - 1000).await;
        conversation.say("world").await;
        conversation.request().await;
        conversation.say(EMPTY).await;
    })
    .await;
    let upstream = backend.upstream();
    let (body, mut client) = upload(Framing::Length(WHOLE as u64), LIMITS).await;
    client.write_all(&[b'x'; 1000]).await.unwrap();
    let response = upstream.send(request("POST", "/", body)).await.unwrap();
    let rest = tokio::spawn(async move {
        client.write_all(&vec![b'x'; WHOLE - 1000]).await.unwrap();
        client
    });
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "helloworld");
    rest.await.unwrap();
    upstream.send(get("/")).await.unwrap();
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_reply_that_is_over_before_the_request_is_sent_ends_the_connection() {
    let backend = Backend::start(|mut conversation, number| async move {
        conversation.head().await;
        let status = if number == 0 { "413 Too Large" } else { "200 OK" };
        conversation.say(format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nhello")).await;
        conversation.rest().await;
    })
    .await;
    let upstream = backend.upstream();
    let (body, mut client) = upload(Framing::Length(1 << 30), LIMITS).await;
    client.write_all(&[b'x'; 1000]).await.unwrap();
    let response = upstream.send(request("POST", "/", body)).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    assert_eq!(upstream.send(get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(backend.connections(), 2);
}

#[tokio::test]
async fn an_application_that_replies_and_hangs_up_during_an_upload_is_heard() {
    let backend = Backend::start(|mut conversation, _| async move {
        conversation.head().await;
        conversation.say("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").await;
        conversation.stream.shutdown().await.unwrap();
    })
    .await;
    let (body, mut client) = upload(Framing::Length(1 << 30), LIMITS).await;
    tokio::spawn(async move { while client.write_all(&[b'x'; 1 << 16]).await.is_ok() {} });
    let response = backend.upstream().send(request("POST", "/", body)).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
}

#[tokio::test]
async fn a_request_that_the_client_breaks_off_never_looks_whole_to_the_application() {
    let small = Limits { body: 8, ..LIMITS };
    let hasty = Limits { idle: Duration::from_millis(100), ..LIMITS };
    let bad_chunks = || Unreadable::Malformed("the body's chunks cannot be read".to_owned());
    let too_large = || Unreadable::TooLarge("the body is larger than 8 bytes".to_owned());
    let table = [
        (Framing::Length(10), LIMITS, "hello", true, Unreadable::Gone),
        (Framing::Chunked, LIMITS, "5\r\nhello\r\n", true, Unreadable::Gone),
        (Framing::Chunked, LIMITS, "5\r\nhello\r\nzz\r\n", false, bad_chunks()),
        (Framing::Chunked, small, "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n", false, too_large()),
        (Framing::Length(10), hasty, "hello", false, Unreadable::TooSlow),
        (Framing::Chunked, hasty, "5\r\nhello\r\n", false, Unreadable::TooSlow),
    ];
    for (framing, limits, sent, goes, expected) in table {
        let (backend, mut requests) = recording().await;
        let (body, mut client) = upload(framing, limits).await;
        client.write_all(sent.as_bytes()).await.unwrap();
        let client = (!goes).then_some(client);
        let outcome = backend.upstream().send(request("POST", "/", body)).await;
        assert_eq!(outcome.unwrap_err(), Fault::Body(expected), "{sent:?}");
        let seen = requests.recv().await.unwrap();
        assert!(seen.starts_with("broken off") && !seen.ends_with("0\\r\\n\\r\\n"), "{sent:?}: {seen}");
        drop(client);
    }
}

#[tokio::test]
async fn time_that_the_client_takes_is_not_the_applications() {
    let (backend, mut requests) = recording().await;
    let upstream = Upstream::new(Settings { response_timeout: Duration::from_millis(150), ..backend.settings() });
    let (body, mut client) = upload(Framing::Length(10), LIMITS).await;
    client.write_all(b"hello").await.unwrap();
    let slow = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        client.write_all(b"world").await.unwrap();
        client
    });
    upstream.send(request("POST", "/", body)).await.unwrap();
    assert!(requests.recv().await.unwrap().ends_with("helloworld"));
    slow.await.unwrap();
}

#[tokio::test]
async fn an_application_that_stops_taking_an_upload_times_out() {
    let backend = Backend::start(|conversation, _| async move {
        std::future::pending::<()>().await;
        drop(conversation);
    })
    .await;
    let upstream = Upstream::new(Settings { response_timeout: Duration::from_millis(200), ..backend.settings() });
    let (body, mut client) = upload(Framing::Length(1 << 30), LIMITS).await;
    tokio::spawn(async move { while client.write_all(&[b'x'; 1 << 16]).await.is_ok() {} });
    assert_eq!(upstream.send(request("POST", "/", body)).await.unwrap_err(), Fault::TimedOut);
}

#[tokio::test]
async fn a_hundred_megabytes_go_up_in_constant_memory() {
    const WHOLE: usize = 100 << 20;
    let backend = Backend::start(|mut conversation, _| async move {
        conversation.head().await;
        for _ in 0..WHOLE / (64 << 10) {
            assert_eq!(conversation.take(64 << 10).await.unwrap(), [b'x'; 64 << 10]);
        }
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
    })
    .await;
    let (body, mut client) = upload(Framing::Length(WHOLE as u64), LIMITS).await;
    let client = tokio::spawn(async move {
        for _ in 0..WHOLE / (64 << 10) {
            client.write_all(&[b'x'; 64 << 10]).await.unwrap();
        }
        client
    });
    let before = resident();
    let response = backend.upstream().send(request("POST", "/", body)).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "done");
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    client.await.unwrap();
}
