//! How long a connection and its streams may take, and how they end.

use std::time::{Duration, Instant};

use super::support::backend::{Answer, FINE, FakeBackend};
use super::support::gate::Gate;
use super::support::http2::*;
use super::support::process::until;
use super::support::scrape::Scrape;
use super::support::scripted::Backend;
use super::support::tls::Certificate;
use super::{OPEN, setup};

async fn lasts(address: &str, begin: impl AsyncFnOnce(&mut Client)) -> Duration {
    let mut client = Client::silent(address).await;
    let started = Instant::now();
    begin(&mut client).await;
    // Without a word from now on, not even to settings.
    let (mut reader, _writer) = client.split();
    while reader.some().await {}
    started.elapsed()
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn a_client_that_is_late_with_its_first_request_or_the_rest_of_a_head_is_left() {
    let backend = FakeBackend::start().await;
    let gate = setup(&backend, &Certificate::new(), "timeouts: {header: 400ms, keep_alive: 60s}\n").start().await;
    let in_time = Duration::from_millis(400)..Duration::from_secs(5);
    for bytes in [&b""[..], &PREFACE[..10], PREFACE] {
        let lasted = lasts(&gate.address, async |client| client.send(bytes).await).await;
        assert!(in_time.contains(&lasted), "{}: {lasted:?}", bytes.escape_ascii());
    }
    let lasted = lasts(&gate.address, async |client| {
        client.send(PREFACE).await;
        assert!(matches!(client.get("/a").await, End::Answer(200, _)));
        client.frame(HEADERS, END_STREAM, 3, &block(&get("/a"))).await;
    });
    assert!(in_time.contains(&lasted.await));
    assert_eq!(backend.requests().len(), 1);
}

/// The time for a head, or for the next request, is over once it has come: however long its answer takes.
#[tokio::test]
async fn a_request_may_take_longer_than_its_head_or_the_pause_before_it() {
    let backend = Backend::start(|mut conversation, _| async move {
        while conversation.request().await.is_some() {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow").await;
        }
    })
    .await;
    let certificate = Certificate::new();
    let yaml = format!("{}{OPEN}timeouts: {{header: 700ms, keep_alive: 900ms}}\n", certificate.yaml());
    let gate = Gate::with(&yaml).upstream(&backend.url()).start().await;
    let mut client = Client::open(&gate.address).await;
    let slow = |end: &End| matches!(end, End::Answer(200, body) if body == "slow");
    let first = client.get("/first").await;
    assert!(slow(&first), "{first:?}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = client.get("/after-a-pause").await;
    assert!(slow(&second), "{second:?}");
    // One whose head came in two pieces.
    let (stream, head) = (client.stream(), block(&get("/in-pieces")));
    let whole = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
    client.send(&whole[..20]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.send(&whole[20..]).await;
    let third = client.end_of(stream).await;
    assert!(slow(&third), "{third:?}");
}

#[tokio::test]
async fn a_connection_without_requests_is_told_to_go() {
    let backend = FakeBackend::start().await;
    let gate = setup(&backend, &Certificate::new(), "timeouts: {keep_alive: 500ms}\n").start().await;
    let mut client = Client::open(&gate.address).await;
    assert!(matches!(client.get("/a").await, End::Answer(200, _)));
    let started = Instant::now();
    // Pings do not keep it.
    client.frame(PING, 0, 0, &[0; 8]).await;
    assert_eq!(client.closed().await, Some(0), "GOAWAY without error");
    let lasted = started.elapsed();
    assert!((Duration::from_millis(400)..Duration::from_secs(5)).contains(&lasted), "{lasted:?}");
}

#[tokio::test]
async fn a_body_that_stops_ends_its_own_stream_alone() {
    let backend = FakeBackend::start().await;
    let gate = setup(&backend, &Certificate::new(), "timeouts: {body_idle: 400ms}\n").start().await;
    let mut client = Client::open(&gate.address).await;
    let form =
        [&get("/a")[1..], &[(":method", "POST"), ("content-type", "application/x-www-form-urlencoded")]].concat();
    let form: Vec<_> = [&form[3..4], &form[..3], &form[4..]].concat();
    let slow = client.begin(&form, false).await;
    client.frame(DATA, 0, slow, b"a=").await;
    assert!(matches!(client.get("/b").await, End::Answer(200, _)));
    assert!(matches!(client.end_of(slow).await, End::Answer(400, body) if body.contains("too slowly")));
    assert!(matches!(client.get("/c").await, End::Answer(200, _)));
    assert_eq!(backend.requests().len(), 2);
}

#[tokio::test]
async fn a_drain_tells_the_client_and_finishes_what_is_under_way() {
    let backend = FakeBackend::start().await;
    let gate = setup(&backend, &Certificate::new(), "timeouts: {drain: 20s}\n").start().await;
    let (mut busy, mut idle) = (Client::open(&gate.address).await, Client::open(&gate.address).await);
    assert!(matches!(idle.get("/a").await, End::Answer(200, _)));
    let post =
        [(":method", "POST"), (":scheme", "https"), (":authority", "h"), (":path", "/a"), ("content-type", "a/b")];
    let slow = busy.begin(&post, false).await;
    busy.frame(DATA, 0, slow, b"ab").await;
    let started = Instant::now();
    let stopping = tokio::spawn(gate.stop());
    assert_eq!(idle.closed().await, Some(0), "GOAWAY without error");
    busy.frame(DATA, END_STREAM, slow, b"cd").await;
    assert!(matches!(busy.end_of(slow).await, End::Answer(200, _)), "the reply came whole");
    assert!(backend.last().ends_with("\r\n\r\nabcd"), "{}", backend.last());
    busy.closed().await;
    stopping.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_request_taken_back_while_it_waits_gives_up_its_turn() {
    let backend = FakeBackend::with(|_| Answer::Never).await;
    let yaml = "upstream: {url: \"{upstream}\", max_connections: 1, queue_timeout: 60s}\ndefault: public\n";
    let certificate = Certificate::new();
    let gate = Gate::with(&format!("{}{yaml}", certificate.yaml())).upstream(&backend.url).start().await;
    let waiting = async || Scrape::of(&gate.admin).await.value("ticketgate_upstream_queue");
    let mut client = Client::open(&gate.address).await;
    client.begin(&get("/held"), true).await;
    until(|| backend.requests().len() == 1).await;
    let stream = client.begin(&get("/waits"), true).await;
    while waiting().await != 1.0 {}
    client.frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]).await;
    while waiting().await != 0.0 {}
    assert_eq!(backend.requests().len(), 1);
}

#[tokio::test]
async fn a_request_that_its_client_takes_back_is_not_waited_for() {
    let backend = FakeBackend::with(|request| match request.starts_with(b"GET /never") {
        true => Answer::Never,
        false => Answer::Bytes(FINE.to_vec()),
    })
    .await;
    let yaml = "upstream: {url: \"{upstream}\", max_connections: 1, queue_timeout: 10s}\nstore: {key: plain}\ndefault: public\n";
    let certificate = Certificate::new();
    let log = "log: {level: error, access: true}\n";
    let gate = Gate::with(&format!("{}{yaml}{log}", certificate.yaml())).upstream(&backend.url).start().await;
    let mut client = Client::open(&gate.address).await;
    let stream = client.begin(&get("/never"), true).await;
    until(|| backend.requests().len() == 1).await;
    client.frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]).await;
    assert!(matches!(client.get("/a").await, End::Answer(200, _)), "its place at the application is free");
    let closed = r#"ticketgate_requests_total{rule="default",outcome="closed",reason="client_closed"}"#;
    assert_eq!(Scrape::of(&gate.admin).await.value(closed), 1.0);
    until(|| gate.log().lines().count() == 2).await;
    let log = gate.log();
    let line = log.lines().find(|line| line.contains("/never")).unwrap();
    assert!(line.contains(r#""outcome":"closed""#) && line.contains(r#""reason":"client_closed""#), "{line}");
    assert!(line.contains(r#""status":499"#), "{line}");
}
