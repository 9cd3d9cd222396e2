use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::*;
use crate::request::reserved::{Kind, Name, Places, Reserved};

const LIMITS: Limits = Limits { form: 1000, body: 5000, idle: Duration::from_secs(30), rate: 100 };

/// A request whose head arrived: its body as hyper gives it, and the client's end of the connection.
async fn arriving(framing: &str) -> (Incoming, DuplexStream) {
    let (mut client, server) = duplex(1 << 16);
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let sender = Arc::new(sender);
    let service = service_fn(move |request: http::Request<Incoming>| {
        sender.send(request.into_body()).unwrap();
        pending::<Result<http::Response<Empty<Bytes>>, Infallible>>()
    });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
    client.write_all(format!("POST / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n").as_bytes()).await.unwrap();
    (receiver.recv().await.unwrap(), client)
}

async fn gather(
    rest: Incoming,
    framing: Framing,
    limit: u64,
    limits: Limits,
) -> Result<Result<Bytes, Streaming>, Unreadable> {
    Streaming::new(rest, framing, limits)?.gather(limit).await
}

async fn drain(streaming: &mut Streaming) -> Result<Vec<u8>, Unreadable> {
    let mut all = Vec::new();
    while let Some(bytes) = poll_fn(|context| streaming.poll_next(context)).await {
        all.extend_from_slice(&bytes?);
    }
    Ok(all)
}

#[tokio::test]
async fn a_body_is_gathered_in_either_framing() {
    let (body, mut client) = arriving("Content-Length: 10").await;
    client.write_all(b"hello").await.unwrap();
    tokio::task::yield_now().await;
    client.write_all(b"world").await.unwrap();
    assert_eq!(gather(body, Framing::Length(10), 100, LIMITS).await.unwrap().unwrap(), "helloworld");

    let (body, mut client) = arriving("Transfer-Encoding: chunked").await;
    client.write_all(b"5\r\nhello\r\n5;x=y\r\nworld\r\n0\r\nX-Trailer: 1\r\n\r\n").await.unwrap();
    assert_eq!(gather(body, Framing::Chunked, 100, LIMITS).await.unwrap().unwrap(), "helloworld");

    let (body, _client) = arriving("Content-Length: 0").await;
    assert_eq!(gather(body, Framing::Empty, 100, LIMITS).await.unwrap().unwrap(), "");
}

#[tokio::test]
async fn a_body_longer_than_what_is_gathered_streams_with_nothing_lost() {
    let (body, mut client) = arriving("Transfer-Encoding: chunked").await;
    client.write_all(b"5\r\nhello\r\n5\r\nworld\r\n5\r\nagain\r\n0\r\n\r\n").await.unwrap();
    let mut streaming = gather(body, Framing::Chunked, 7, LIMITS).await.unwrap().unwrap_err();
    assert_eq!(streaming.length(), None);
    assert_eq!(drain(&mut streaming).await.unwrap(), b"helloworldagain");

    let (body, mut client) = arriving("Content-Length: 10").await;
    let mut streaming = gather(body, Framing::Length(10), 7, LIMITS).await.unwrap().unwrap_err();
    assert_eq!(streaming.length(), Some(10));
    client.write_all(b"helloworld").await.unwrap();
    assert_eq!(drain(&mut streaming).await.unwrap(), b"helloworld");
}

#[tokio::test]
async fn a_body_over_its_limit_is_too_large() {
    let (body, _client) = arriving("Content-Length: 5001").await;
    let announced = gather(body, Framing::Length(5001), 1000, LIMITS).await.unwrap_err();
    assert_eq!(announced, Unreadable::TooLarge("the body is larger than 5000 bytes".to_owned()));

    let (body, mut client) = arriving("Transfer-Encoding: chunked").await;
    client.write_all(format!("1389\r\n{}\r\n", "x".repeat(0x1389)).as_bytes()).await.unwrap();
    let mut streaming = Streaming::new(body, Framing::Chunked, LIMITS).unwrap();
    assert!(matches!(drain(&mut streaming).await, Err(Unreadable::TooLarge(_))));
}

#[tokio::test]
async fn a_lower_bound_counts_what_was_gathered_before_it_was_known() {
    let (body, mut client) = arriving("Transfer-Encoding: chunked").await;
    client.write_all(b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n").await.unwrap();
    let streaming = gather(body, Framing::Chunked, 7, LIMITS).await.unwrap().unwrap_err();
    let mut body = Body::Streaming(Box::new(streaming));
    assert!(body.limit_to(10).is_ok());
    assert!(matches!(body.limit_to(9), Err(Unreadable::TooLarge(_))));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_gone_and_bad_chunks_are_malformed() {
    let (body, mut client) = arriving("Content-Length: 10").await;
    client.write_all(b"hello").await.unwrap();
    drop(client);
    assert_eq!(gather(body, Framing::Length(10), 100, LIMITS).await.unwrap_err(), Unreadable::Gone);

    let (body, mut client) = arriving("Transfer-Encoding: chunked").await;
    client.write_all(b"5\r\nhello\r\n").await.unwrap();
    drop(client);
    assert_eq!(gather(body, Framing::Chunked, 100, LIMITS).await.unwrap_err(), Unreadable::Gone);

    for bad in ["x\r\nhello", "5\r\nhelloXX", "ffffffffffffffffff\r\nhello"] {
        let (body, mut client) = arriving("Transfer-Encoding: chunked").await;
        client.write_all(bad.as_bytes()).await.unwrap();
        let error = gather(body, Framing::Chunked, 100, LIMITS).await.unwrap_err();
        assert_eq!(error, Unreadable::Malformed("the body's chunks cannot be read".to_owned()), "{bad:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_too_slow_after_the_idle_time() {
    let (body, mut client) = arriving("Content-Length: 10").await;
    let limits = Limits { idle: Duration::from_secs(5), ..LIMITS };
    client.write_all(b"hello").await.unwrap();
    let begin = Instant::now();
    assert_eq!(gather(body, Framing::Length(10), 100, limits).await.unwrap_err(), Unreadable::TooSlow);
    assert_eq!(begin.elapsed().as_secs(), 5);
}

/// Sends one byte each second, and counts the seconds until the body is refused.
async fn seconds_of_dripping(rate: u64) -> u64 {
    let (body, mut client) = arriving("Content-Length: 40").await;
    tokio::spawn(async move {
        for _ in 0..40 {
            sleep(Duration::from_secs(1)).await;
            client.write_all(b"x").await.unwrap();
        }
        pending::<()>().await;
    });
    let begin = Instant::now();
    let outcome = gather(body, Framing::Length(40), 100, Limits { rate, ..LIMITS }).await;
    assert_eq!(outcome.is_ok(), rate <= 1, "at {rate} bytes a second");
    begin.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_dripping_client_must_keep_the_rate_after_ten_seconds() {
    assert_eq!(seconds_of_dripping(100).await, 10);
    assert_eq!(seconds_of_dripping(2).await, 19); // the nineteenth byte lasts until 19.5
    assert_eq!(seconds_of_dripping(1).await, 40);
    assert_eq!(seconds_of_dripping(0).await, 40);
}

#[tokio::test(start_paused = true)]
async fn time_in_which_nobody_asks_for_the_body_does_not_count() {
    let (body, mut client) = arriving("Content-Length: 10").await;
    let mut streaming = Streaming::new(body, Framing::Length(10), LIMITS).unwrap();
    client.write_all(b"hello").await.unwrap();
    assert_eq!(poll_fn(|context| streaming.poll_next(context)).await.unwrap().unwrap(), "hello");
    sleep(Duration::from_secs(3600)).await;
    client.write_all(b"world").await.unwrap();
    assert_eq!(drain(&mut streaming).await.unwrap(), b"world");
}

#[test]
fn only_cleared_bytes_pass() {
    let mut held = Held::default();
    held.push(Bytes::from_static(b"hello"));
    assert_eq!(held.pass(), None);
    held.clear(3);
    assert_eq!(held.pass().unwrap(), "hel");
    assert_eq!(held.pass(), None);
    held.push(Bytes::from_static(b"world"));
    held.clear(4);
    assert_eq!(held.pass().unwrap(), "lo");
    assert_eq!(held.pass().unwrap(), "wo");
    assert!(!held.is_empty());
    held.clear(usize::MAX);
    assert_eq!(held.pass().unwrap(), "rld");
    assert!(held.is_empty());
    assert_eq!(held.pass(), None);
}

/// What passes of a multipart body that comes in pieces of seven bytes, and how it ends.
async fn watched(text: &'static str) -> (String, Option<Unreadable>) {
    let kind = Kind::Endpoint { places: Places::default() };
    let reserved = Reserved::new(vec![Name { name: b"mod".to_vec(), header: None, kind }], false);
    let (body, mut client) = arriving(&format!("Content-Length: {}", text.len())).await;
    tokio::spawn(async move {
        for piece in text.as_bytes().chunks(7) {
            client.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        pending::<()>().await;
    });
    let mut streaming = Streaming::new(body, Framing::Length(text.len() as u64), LIMITS).unwrap();
    streaming.watch_with(Scan::new(&reserved));
    let mut passed = Vec::new();
    loop {
        match poll_fn(|context| streaming.poll_next(context)).await {
            Some(Ok(bytes)) => passed.extend_from_slice(&bytes),
            end => return (String::from_utf8(passed).unwrap(), end.and_then(Result::err)),
        }
    }
}

#[tokio::test]
async fn a_watched_body_is_broken_off_before_a_reserved_part_and_passes_whole_otherwise() {
    let harmless = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nmod and name=\"mod\"\r\n--b--\r\n";
    assert_eq!(watched(harmless).await, (harmless.to_owned(), None));

    let ambiguous = Some(Unreadable::Ambiguous("mod in a multipart body".to_owned()));
    for bad in [
        "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=\"mod\"\r\n\r\nx",
        "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=\"mod\"",
    ] {
        let (passed, end) = watched(bad).await;
        assert_eq!(end, ambiguous, "{bad:?}");
        assert!(!passed.contains("mod") && passed.contains("name=\"a\""), "{passed:?}");
    }
}
