//! Signed bodies: gathered, and on their way.

use std::time::Duration;

use crate::support::backend::FakeBackend;
use crate::support::gate::Gate;
use crate::support::http::{Connection, Reply};
use crate::support::scripted::Backend;
use crate::support::signing::{Algorithm, Call};
use crate::{SIGNED, gate, gate_with};

const MIB: usize = 1024 * 1024;

fn post(gate: &Gate, content_type: &str, body: impl Into<Vec<u8>>) -> Call {
    Call::get(gate, "ios", "s3cret", "news/list/save").posting(content_type, body)
}

/// Bytes that no piece of them is like another.
fn bytes(count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..count).map(|_| random.u8(b' '..b'~')).collect()
}

/// Sends a call in chunks, with that signature.
async fn send_chunked(call: &Call, gate: &Gate, sign: &str) -> Reply {
    let mut connection = gate.connect().await;
    connection.send(&chunked_head(call, gate, sign)).await;
    for chunk in call.body.chunks(50_000) {
        connection.send(format!("{:x}\r\n", chunk.len()).as_bytes()).await;
        connection.send(chunk).await;
        connection.send(b"\r\n").await;
    }
    connection.send(b"0\r\n\r\n").await;
    connection.reply_to("POST").await.unwrap_or_else(|| panic!("no reply"))
}

fn chunked_head(call: &Call, gate: &Gate, sign: &str) -> Vec<u8> {
    let whole = call.request_with(gate, sign).to_bytes();
    let head = &whole[..whole.len() - call.body.len()];
    let length = format!("Content-Length: {}\r\n", call.body.len());
    String::from_utf8(head.to_vec()).unwrap_or_default().replace(&length, "Transfer-Encoding: chunked\r\n").into_bytes()
}

/// Whether the backend was given the end of a body.
fn got_end(backend: &FakeBackend, body: &[u8]) -> bool {
    let end = &body[body.len().saturating_sub(20)..];
    let end: String = end.iter().map(|byte| char::from(*byte)).collect();
    backend.requests().iter().any(|request| request.contains(&end))
}

const MULTIPART: &str = "multipart/form-data; boundary=XX";

fn multipart(count: usize) -> Vec<u8> {
    let head = b"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n".to_vec();
    [head, bytes(count), b"\r\n--XX--\r\n".to_vec()].concat()
}

#[tokio::test]
async fn a_body_of_any_kind_and_size_passes_as_it_was_signed_and_no_other_does() {
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", b"title=%e6%88%91&a=1".to_vec()),
        ("application/json", b"{\"a\":1}".to_vec()),
        ("application/octet-stream", bytes(60_000)),
        ("application/octet-stream", bytes(5 * MIB)),
        (MULTIPART, multipart(1000)),
        (MULTIPART, multipart(3 * MIB)),
    ] {
        for chunked in [false, true] {
            passes_as_signed(content_type, &body, chunked).await;
        }
    }
}

async fn passes_as_signed(content_type: &str, body: &[u8], chunked: bool) {
    let what = format!("{content_type}, {} bytes, chunked: {chunked}", body.len());
    let (gate, backend) = gate().await;
    let call = post(&gate, content_type, body);
    let sign = call.sign();
    let send = async |call: &Call| match chunked {
        true => send_chunked(call, &gate, &sign).await,
        false => call.request_with(&gate, &sign).await,
    };
    let forged = call.clone().with(|call| {
        let middle = call.body.len() / 2;
        call.body[middle] ^= 1;
    });
    assert_eq!(send(&forged).await.reason(), "sign_refused", "{what}");
    if body.len() < 64 * 1024 {
        backend.assert_untouched();
    }
    assert!(!got_end(&backend, body), "{what}");
    let reply = send(&call).await;
    assert_eq!((reply.status, reply.reason()), (200, ""), "{what}");
    assert!(got_end(&backend, body), "{what}");
    assert_eq!(send(&call).await.reason(), "sign_replayed", "{what}");
}

#[tokio::test]
async fn md5_signs_no_body() {
    let (gate, _backend) = gate().await;
    for count in [10, 3 * MIB] {
        let call = post(&gate, "application/octet-stream", bytes(count)).with(|call| call.algorithm = Algorithm::Md5);
        let other = call.clone().with(|call| call.body = bytes(count + 1));
        other.request_with(&gate, &call.sign()).await.assert_passed();
        call.send(&gate).await.assert_refused(401, "sign_replayed");
    }
}

#[tokio::test]
async fn the_last_bytes_of_a_long_body_wait_for_the_verdict() {
    let (gate, backend) = gate().await;
    let call = post(&gate, "application/octet-stream", bytes(2 * MIB));
    call.request_with(&gate, &"0".repeat(64)).await.assert_refused(401, "sign_refused");
    assert!(!got_end(&backend, &call.body));
    crate::support::process::until(|| backend.requests().len() == 1).await;
    let seen = backend.last();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap_or_default();
    assert!(head.contains(&format!("{}", 2 * MIB)), "it was told how much to wait for: {head}");
    assert!(body.len() > MIB && body.len() < 2 * MIB, "it came as it streamed, but for the end: {}", body.len());
}

#[tokio::test]
async fn of_two_copies_of_an_upload_one_passes() {
    let (gate, backend) = gate().await;
    let call = post(&gate, "application/octet-stream", bytes(2 * MIB));
    let (left, right) = tokio::join!(call.request(&gate).into_future(), call.request(&gate).into_future());
    let mut reasons = [left.reason(), right.reason()];
    reasons.sort_unstable();
    assert_eq!(reasons, ["", "sign_replayed"]);
    let whole = backend.requests().iter().filter(|request| request.len() > 2 * MIB).count();
    assert_eq!(whole, 1);
}

/// A connection on which all of a call was sent but its last bytes.
async fn all_but_the_end(call: &Call, gate: &Gate, sign: &str) -> (Connection, Vec<u8>) {
    let mut request = call.request_with(gate, sign).to_bytes();
    let end = request.split_off(request.len() - 10);
    let mut connection = gate.connect().await;
    connection.send(&request).await;
    (connection, end)
}

/// Sends the last bytes of a call.
async fn end_of((mut connection, end): (Connection, Vec<u8>)) -> Reply {
    connection.send(&end).await;
    connection.reply_to("POST").await.unwrap_or_else(|| panic!("no reply"))
}

#[tokio::test]
async fn an_upload_may_end_after_its_window_but_not_much_later_and_its_nonce_is_remembered_as_long() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let gate = Gate::with(SIGNED).upstream(&backend.url()).put("store", "memory:").put("more", "").start().await;
    let call = || post(&gate, "application/octet-stream", bytes(MIB));
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let (once, slow, late) = (call(), call(), call());
    let copy = all_but_the_end(&once, &gate, &once.sign()).await;
    let slow = all_but_the_end(&slow, &gate, &slow.sign()).await;
    let late = all_but_the_end(&late, &gate, &late.sign()).await;
    crate::support::process::until(|| backend.connections() == 3).await;
    once.send(&gate).await.assert_passed();

    gate.clock.advance(minutes(20));
    end_of(slow).await.assert_passed();
    gate.clock.advance(minutes(40));
    end_of(copy).await.assert_refused(401, "sign_replayed");
    gate.clock.advance(minutes(10));
    end_of(late).await.assert_refused(401, "sign_expired");
}

#[tokio::test]
async fn a_reply_that_comes_before_the_end_of_a_body_counts_only_if_the_body_does() {
    for keeps_reading in [true, false] {
        let backend = Backend::start(move |mut conversation, _| async move {
            conversation.head().await;
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret").await;
            if keeps_reading {
                conversation.rest().await;
            }
        })
        .await;
        let gate = Gate::with(SIGNED).upstream(&backend.url()).put("store", "memory:").put("more", "").start().await;
        let call = post(&gate, "application/octet-stream", bytes(4 * MIB));
        let refused = call.request_with(&gate, &"0".repeat(64)).await;
        refused.assert_refused(401, "sign_refused");
        assert!(!refused.text().contains("secret"));
        let passed = call.send(&gate).await;
        assert_eq!((passed.status, passed.text().as_str()), (200, "secret"), "{keeps_reading}");
    }
}

#[tokio::test]
async fn an_observed_upload_passes_whatever_it_is_signed_with_and_is_noted() {
    let (gate, backend) = gate_with("mode: observe\n").await;
    let call = post(&gate, "application/octet-stream", bytes(2 * MIB));
    call.request_with(&gate, &"0".repeat(64)).await.assert_passed();
    assert!(got_end(&backend, &call.body));
    crate::support::process::until(|| !gate.log().is_empty()).await;
    assert!(gate.log().contains(r#""outcome":"observed""#) && gate.log().contains("sign_refused"), "{}", gate.log());
}

#[tokio::test]
async fn nobody_is_asked_for_a_body_whose_client_is_refused() {
    let (gate, _backend) = gate().await;
    let call = post(&gate, "application/json", "{}").with(|call| call.api_token = "0".repeat(32));
    let mut connection = gate.connect().await;
    let head = call.request(&gate).header("Expect", "100-continue").to_bytes();
    connection.send(&head[..head.len() - 2]).await;
    let (status, _) = connection.head().await.unwrap_or_default();
    assert_eq!(status, 401);
}
