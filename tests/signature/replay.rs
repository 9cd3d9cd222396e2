//! What was used before.

use std::time::Duration;

use crate::support::backend::FakeBackend;
use crate::support::gate::Gate;
use crate::support::redis::RedisServer;
use crate::support::signing::{ALGORITHMS, Algorithm, Call};
use crate::{SIGNED, gate, gate_with, get};

#[tokio::test]
async fn a_signed_call_passes_once() {
    let (gate, backend) = gate().await;
    for algorithm in ALGORITHMS {
        for nonce in [true, false] {
            let call = get(&gate).with(|call| {
                call.algorithm = algorithm;
                call.nonce = call.nonce.take().filter(|_| nonce);
            });
            call.send(&gate).await.assert_passed();
            call.send(&gate).await.assert_refused(401, "sign_replayed");
            call.request_with(&gate, &call.sign().to_uppercase()).await.assert_refused(401, "sign_replayed");
        }
    }
    assert_eq!(backend.requests().len(), 4);
}

#[tokio::test]
async fn a_nonce_counts_for_its_client_alone_and_whatever_else_was_signed() {
    let (gate, _backend) = gate().await;
    let call = get(&gate);
    call.send(&gate).await.assert_passed();
    let nonce = call.nonce.clone();
    let other_call = Call { nonce: nonce.clone(), ..Call::get(&gate, "ios", "s3cret", "news/list/other") };
    other_call.send(&gate).await.assert_refused(401, "sign_replayed");
    let other_client = Call { nonce, ..Call::get(&gate, "strict", "s3cret", "news/list/index") };
    other_client.send(&gate).await.assert_passed();
}

#[tokio::test]
async fn a_new_nonce_beside_an_old_md5_signature_that_does_not_cover_it_is_no_new_call() {
    let (gate, _backend) = gate().await;
    let call = get(&gate).with(|call| (call.algorithm, call.headers) = (Algorithm::Md5, true));
    call.send(&gate).await.assert_passed();
    let renamed = call.with(|call| call.nonce = Some("another-nonce".to_owned()));
    renamed.send(&gate).await.assert_refused(401, "sign_replayed");
}

#[tokio::test]
async fn a_nonce_is_remembered_only_once_its_signature_has_proved_right() {
    let (gate, _backend) = gate().await;
    let call = get(&gate);
    for _ in 0..3 {
        call.request_with(&gate, &"0".repeat(64)).await.assert_refused(401, "sign_refused");
        call.clone().with(|call| call.timestamp = "1".to_owned()).send(&gate).await.assert_refused(401, "sign_expired");
        call.clone()
            .with(|call| call.api_token = "0".repeat(32))
            .send(&gate)
            .await
            .assert_refused(401, "client_refused");
    }
    call.send(&gate).await.assert_passed();
}

#[tokio::test]
async fn a_nonce_is_remembered_as_long_as_its_timestamp_can_pass() {
    let (gate, _backend) = gate().await;
    let start = gate.clock.now().as_secs();
    // From a clock that is as far ahead as allowed.
    let call = get(&gate).with(|call| call.timestamp = (start + 290).to_string());
    call.send(&gate).await.assert_passed();
    gate.move_to(start + 580);
    call.send(&gate).await.assert_refused(401, "sign_replayed");
    gate.move_to(start + 620);
    call.send(&gate).await.assert_refused(401, "sign_expired");
}

#[tokio::test]
async fn a_call_passes_once_at_all_gates_of_one_redis_however_they_race() {
    let (backend, redis) = (FakeBackend::start().await, RedisServer::start());
    let setup = || Gate::with(SIGNED).upstream(&backend.url).put("store", &redis.url()).put("more", "");
    let left = setup().start().await;
    let right = setup().clock(&left.clock).start().await;
    for algorithm in ALGORITHMS {
        let call = get(&left).with(|call| call.algorithm = algorithm);
        call.send(&left).await.assert_passed();
        call.send(&right).await.assert_refused(401, "sign_replayed");
    }
    let call = get(&left);
    let mut race = tokio::task::JoinSet::new();
    for number in 0..50 {
        race.spawn(call.request(if number % 2 == 0 { &left } else { &right }).into_future());
    }
    let replies = race.join_all().await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    assert_eq!(replies.iter().filter(|reply| reply.reason() == "sign_replayed").count(), 49);
    assert_eq!(backend.requests().len(), 3);

    let keys: Vec<String> = redis.command(&["KEYS", "*"]);
    assert!(!keys.is_empty());
    for key in keys {
        let left: i64 = redis.command(&["TTL", &key]);
        assert!(left > 0 && left <= 601, "{key}: {left}");
        assert!(!key.contains(call.nonce.as_deref().unwrap_or_default()), "{key}");
    }
}

#[tokio::test]
async fn without_its_store_nobody_can_tell_whether_a_call_is_new() {
    let (backend, redis) = (FakeBackend::start().await, RedisServer::start());
    let gate = Gate::with(SIGNED).upstream(&backend.url).put("store", &redis.url()).put("more", "").start().await;
    let call = get(&gate);
    redis.signal("STOP");
    call.send(&gate).await.assert_refused(503, "store_down");
    call.request_with(&gate, &"0".repeat(64)).await.assert_refused(401, "sign_refused");
    backend.assert_untouched();
}

#[tokio::test]
async fn a_client_that_uses_too_many_nonces_is_limited_for_a_while_and_no_other_is() {
    let (gate, _backend) = gate_with("").await;
    for _ in 0..50 {
        get(&gate).send(&gate).await.assert_passed();
    }
    let reply = get(&gate).send(&gate).await;
    reply.assert_refused(429, "limited");
    let wait: u64 = reply.header("retry-after").unwrap_or_default().parse().unwrap_or_default();
    assert!((500..=601).contains(&wait), "{wait}");
    Call::get(&gate, "strict", "s3cret", "news/list/index").send(&gate).await.assert_passed();
    // Wrong ones do not count, and do not pass for limited either.
    get(&gate).request_with(&gate, &"0".repeat(64)).await.assert_refused(401, "sign_refused");
    gate.clock.advance(Duration::from_secs(wait));
    get(&gate).send(&gate).await.assert_passed();
}
