//! Applications that are slow, absent, or break off.

use std::time::{Duration, Instant};

use crate::OPEN;
use crate::support::gate::Gate;
use crate::support::http::Reply;
use crate::support::scripted::{Backend, Conversation};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

/// What becomes of a request whose application ends like that.
async fn outcome(end: impl Fn(Conversation) + Send + Copy + 'static) -> Reply {
    let backend = Backend::start(move |mut conversation, _| async move {
        conversation.request().await;
        end(conversation);
    })
    .await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
    gate.raw(GET).await.expect("an envelope")
}

fn assert_envelope(reply: &Reply, status: u16, reason: &str) {
    reply.assert_refused(status, reason);
    assert_eq!((reply.at("/code"), reply.at("/data")), (0.into(), serde_json::json!([])));
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(reply.header("x-request-id").is_some());
}

#[tokio::test]
async fn an_application_that_hangs_up_or_resets_before_its_head_has_failed() {
    assert_envelope(&outcome(drop).await, 502, "upstream_failed");
    assert_envelope(&outcome(Conversation::reset).await, 502, "upstream_failed");

    let nobody = Gate::with(OPEN).upstream("http://127.0.0.1:1").start().await;
    assert_envelope(&nobody.raw(GET).await.unwrap(), 502, "upstream_failed");
    let no_socket = Gate::with(OPEN).upstream("unix:/nonexistent/app.sock").start().await;
    assert_envelope(&no_socket.raw(GET).await.unwrap(), 502, "upstream_failed");
}

#[tokio::test]
async fn an_application_that_breaks_off_within_its_head_has_failed() {
    for head in
        ["HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", "HTTP/1.1 100 Continue\r\n\r\n"]
    {
        let backend = Backend::answering_once(head).await;
        let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
        assert_envelope(&gate.raw(GET).await.unwrap(), 502, "upstream_failed");
        assert_eq!(backend.connections(), 1, "a reply that has begun is not asked for again");
    }
}

#[tokio::test]
async fn a_reply_that_cannot_be_read_in_one_way_has_failed() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "no HTTP at all\r\n\r\n",
    ] {
        let backend = Backend::answering_once(head).await;
        let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
        assert_envelope(&gate.raw(GET).await.unwrap(), 502, "upstream_failed");
    }
}

#[tokio::test]
async fn an_application_that_is_slow_with_its_head_times_out() {
    let yaml = OPEN.replace("upstream: {", "upstream: {response_timeout: 300ms, ");
    for head in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let backend = Backend::start(move |mut conversation, _| async move {
            conversation.request().await;
            conversation.say(head).await;
            conversation.rest().await;
        })
        .await;
        let gate = Gate::with(&yaml).upstream(&backend.url()).start().await;
        let started = Instant::now();
        assert_envelope(&gate.raw(GET).await.unwrap(), 504, "upstream_timeout");
        assert!((300..5000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_rule_may_give_the_application_more_time_or_less() {
    let backend = Backend::start(|mut conversation, _| async move {
        while conversation.request().await.is_some() {
            tokio::time::sleep(Duration::from_millis(600)).await;
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let rules = "[{path: /slow, require: public, response_timeout: 20s}, {path: \"/**\", require: public}]";
    let yaml = OPEN
        .replace("upstream: {", "upstream: {response_timeout: 200ms, ")
        .replace("[{path: \"/**\", require: public}]", rules);
    let gate = Gate::with(&yaml).upstream(&backend.url()).start().await;
    gate.get("/slow").await.assert_passed();
    gate.get("/other").await.assert_refused(504, "upstream_timeout");
}

#[tokio::test]
async fn a_body_may_take_longer_than_the_head_may() {
    let backend = Backend::start(|mut conversation, _| async move {
        conversation.request().await;
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no").await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        conversation.say("k").await;
    })
    .await;
    let yaml = OPEN.replace("upstream: {", "upstream: {response_timeout: 200ms, ");
    let gate = Gate::with(&yaml).upstream(&backend.url()).start().await;
    assert_eq!(gate.get("/a").await.text(), "ok");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_broken_for_the_client_too() {
    let table: [(&str, &[u8]); 3] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it", b"half of it"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf of it\r\n", b"A\r\nhalf of it\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf", b"4\r\nhalf\r\n"),
    ];
    for (said, seen) in table {
        for resets in [false, true] {
            let backend = Backend::start(move |mut conversation, _| async move {
                conversation.request().await;
                conversation.say(said).await;
                // The bytes before the reset shall arrive.
                tokio::time::sleep(Duration::from_millis(100)).await;
                if resets {
                    conversation.reset();
                }
            })
            .await;
            let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
            let mut connection = gate.connect().await;
            connection.send(GET).await;
            assert_eq!(connection.head().await.unwrap().0, 200);
            let rest = connection.rest().await;
            assert_eq!(rest.escape_ascii().to_string(), seen.escape_ascii().to_string(), "resets: {resets}");
        }
    }
}

#[tokio::test]
async fn a_body_without_a_length_that_is_reset_is_broken_for_the_client_too() {
    let backend = Backend::start(|mut conversation, _| async move {
        conversation.request().await;
        conversation.say("HTTP/1.1 200 OK\r\n\r\nhalf of it").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        conversation.reset();
    })
    .await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
    let mut connection = gate.connect().await;
    connection.send(GET).await;
    connection.head().await.unwrap();
    let rest = connection.rest().await;
    assert!(rest.starts_with(b"A\r\nhalf of it\r\n") && !rest.ends_with(b"0\r\n\r\n"), "{}", rest.escape_ascii());
}

/// RFC 9112, 8: a client that cannot be told of an end by framing is told by a reset.
#[tokio::test]
async fn a_client_of_http_1_0_is_told_of_a_broken_body_by_a_reset() {
    let said = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf of it\r\n";
    let backend = Backend::answering_once(said).await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
    let mut stream = tokio::net::TcpStream::connect(&gate.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /a HTTP/1.0\r\nHost: h\r\n\r\n").await.unwrap();
    let mut seen = vec![];
    let error = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut seen).await.expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn what_came_before_a_body_broke_off_reaches_every_client() {
    for (said, seen) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it", "half of it"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", ""),
    ] {
        for version in ["1.0", "1.1"] {
            // It closes at once, so the end is there with the bytes before it.
            let backend = Backend::answering_once(said).await;
            let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
            let mut connection = gate.connect().await;
            connection.send(format!("GET /a HTTP/{version}\r\nHost: h\r\n\r\n").as_bytes()).await;
            let (status, _) = connection.head().await.expect("a head");
            let rest = connection.rest().await;
            assert_eq!((status, rest.escape_ascii().to_string().as_str()), (200, seen), "HTTP/{version}");
        }
    }
}
