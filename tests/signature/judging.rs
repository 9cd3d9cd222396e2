//! What counts as signed, and how everything else is refused.

use crate::support::caller::Session;
use crate::support::signing::{ALGORITHMS, Algorithm, Call};
use crate::{gate, gate_with, get, user};

#[tokio::test]
async fn a_call_signed_in_either_way_passes_from_the_query_and_from_headers() {
    let (gate, backend) = gate().await;
    for algorithm in ALGORITHMS {
        for headers in [false, true] {
            for nonce in [true, false] {
                let call = |mut call: Call| {
                    (call.algorithm, call.headers) = (algorithm, headers);
                    call.nonce = call.nonce.filter(|_| nonce);
                    call.query.push_str(&format!("&z=%e7%8E%8b&a=+&a=1&headers={headers}&nonce_is={nonce}"));
                    call
                };
                call(get(&gate)).send(&gate).await.assert_passed();
                call(user(&gate).await).send(&gate).await.assert_passed();
            }
        }
    }
    assert!(backend.last().contains("x-auth-user-id: 7") || backend.last().contains("X-Auth-User-Id: 7"));
}

#[tokio::test]
async fn md5_signs_the_query_as_sent_where_credentials_stand_in_the_form() {
    let (gate, backend) = gate().await;
    let call = get(&gate).with(|call| (call.algorithm, call.headers) = (Algorithm::Md5, true));
    let nonce = call.nonce.clone().unwrap_or_default();
    let fields = [
        ("title", "a"),
        ("client_id", &call.client_id),
        ("api_token", &call.api_token),
        ("timestamp", &call.timestamp),
        ("nonce", &nonce),
    ];
    let post = |sign: &str| {
        gate.post(&format!("{}?{}", call.path, call.query)).form(&[&fields[..], &[("sign", sign)]].concat())
    };
    post(&"0".repeat(32)).await.assert_refused(401, "sign_refused");
    post(&call.sign()).await.assert_passed();
    post(&call.sign()).await.assert_refused(401, "sign_replayed");
    assert_eq!(backend.requests().len(), 1);
}

#[tokio::test]
async fn whatever_was_signed_cannot_be_altered() {
    let (gate, backend) = gate().await;
    let of_user = user(&gate).await;
    let before = backend.requests().len();
    for (call, changes) in [(get(&gate), 5), (of_user, 6)] {
        let altered: [fn(&mut Call); 6] = [
            |call| call.query.push_str("&a=1"),
            |call| call.path = "/".to_owned(),
            |call| call.timestamp = (call.timestamp.parse::<u64>().unwrap_or_default() + 1).to_string(),
            |call| call.nonce = Some("another-nonce".to_owned()),
            |call| call.query = call.query.replace('&', "&&x&"),
            |call| {
                call.session =
                    Some(Session { user_token: "f".repeat(32), ..call.session.take().unwrap_or_else(nobody) })
            },
        ];
        for algorithm in ALGORITHMS {
            for alter in &altered[..changes] {
                let call = call.clone().with(|call| call.algorithm = algorithm);
                let forged = call.clone().with(alter);
                forged.request_with(&gate, &call.sign()).await.assert_refused(401, "sign_refused");
            }
        }
        let call = call.with(|call| call.method = "DELETE".to_owned());
        let forged = call.clone().with(|call| call.method = "GET".to_owned());
        forged.request_with(&gate, &call.sign()).await.assert_refused(401, "sign_refused");
    }
    let other_secret = get(&gate).with(|call| call.secret = "S3cret".to_owned());
    other_secret.send(&gate).await.assert_refused(401, "sign_refused");
    assert_eq!(backend.requests().len(), before);
}

fn nobody() -> Session {
    Session { user_id: "7".to_owned(), user_token: String::new(), expire_time: 0 }
}

#[tokio::test]
async fn each_way_to_be_wrong_has_its_reason_after_the_clients_and_before_the_sessions() {
    let (gate, backend) = gate().await;
    type Change = fn(&mut Call);
    let cases: [(Change, &str); 11] = [
        (|call| call.timestamp = String::new(), "sign_missing"),
        (|call| call.timestamp = "yesterday".to_owned(), "sign_refused"),
        (|call| call.timestamp = format!("0{}", call.timestamp), "sign_refused"),
        (|call| call.timestamp = format!("{}000", call.timestamp), "sign_expired"),
        (|call| call.nonce = Some("short-7".to_owned()), "sign_refused"),
        (|call| call.nonce = Some("with a blank".to_owned()), "sign_refused"),
        (|call| call.nonce = Some("n".repeat(65)), "sign_refused"),
        (|call| call.client_id = "nobody".to_owned(), "client_refused"),
        (|call| call.api_token = "0".repeat(32), "client_refused"),
        (|call| call.api_token = String::new(), "client_missing"),
        (|call| call.secret = "wrong".to_owned(), "sign_refused"),
    ];
    for algorithm in ALGORITHMS {
        for (change, reason) in &cases {
            // With a session that does not exist: nobody gets as far as that.
            let session = Some(Session { user_token: "0".repeat(32), ..nobody() });
            let call = Call { session, algorithm, ..Call::get(&gate, "ios", "s3cret", "user/info/get") };
            call.with(change).send(&gate).await.assert_refused(401, reason);
        }
        let session = Some(Session { user_token: "0".repeat(32), ..nobody() });
        let call = Call { session, algorithm, ..Call::get(&gate, "ios", "s3cret", "user/info/get") };
        call.send(&gate).await.assert_refused(401, "user_refused");
    }
    gate.client("ios", "s3cret").get("news/list/index").await.assert_refused(401, "sign_missing");
    let call = get(&gate);
    for sign in ["abc", &"z".repeat(64), &format!("{}0", call.sign()), &"0".repeat(32)] {
        call.request_with(&gate, sign).await.assert_refused(401, "sign_refused");
    }
    call.request_with(&gate, "").await.assert_refused(401, "sign_missing");
    call.request_with(&gate, "x&sign=y").await.assert_refused(400, "ambiguous");
    call.request_with(&gate, &call.sign()).await.assert_passed();
    assert_eq!(backend.requests().len(), 1);
}

#[tokio::test]
async fn a_timestamp_passes_within_the_window_and_one_outside_is_told_the_time() {
    let (gate, _backend) = gate().await;
    let start = gate.clock.now().as_secs() + 100;
    for (offset, passes) in [(-301, false), (-300, true), (300, true), (301, false)] {
        gate.move_to(start);
        let call = get(&gate).with(|call| call.timestamp = (start.strict_add_signed(offset)).to_string());
        let reply = call.send(&gate).await;
        if passes {
            reply.assert_passed();
        } else {
            reply.assert_refused(401, "sign_expired");
            let told: u64 = reply.header("x-ticketgate-time").unwrap_or_default().parse().unwrap_or_default();
            assert!(told.abs_diff(start) < 20, "{told} {start}");
        }
    }
    gate.move_to(start);
    let pay = |offset: i64| {
        let call = Call::get(&gate, "ios", "s3cret", "pay/order/index");
        call.with(|call| call.timestamp = start.strict_add_signed(offset).to_string())
    };
    pay(30).send(&gate).await.assert_passed();
    pay(-60).send(&gate).await.assert_refused(401, "sign_expired");
}

#[tokio::test]
async fn rules_and_clients_say_whether_a_signature_is_asked_for() {
    let (gate, _backend) = gate().await;
    let outcome = async |id: &str, endpoint: &str, sign: Option<bool>| {
        let call = Call::get(&gate, id, "s3cret", endpoint);
        let reply = match sign {
            None => gate.client(id, "s3cret").get(endpoint).await,
            Some(true) => call.send(&gate).await,
            Some(false) => call.request_with(&gate, &"0".repeat(64)).await,
        };
        reply.reason().to_owned()
    };
    let (none, right, wrong) = (None, Some(true), Some(false));
    for (id, endpoint, sign, reason) in [
        ("ios", "news/list/index", none, "sign_missing"),
        ("ios", "free/list/index", none, ""),
        ("ios", "free/list/index", wrong, ""),
        ("ios", "maybe/list/index", none, ""),
        ("ios", "maybe/list/index", right, ""),
        ("ios", "maybe/list/index", wrong, "sign_refused"),
        ("weak", "news/list/index", none, ""),
        ("weak", "news/list/index", wrong, ""),
        ("weak", "maybe/list/index", wrong, "sign_refused"),
        ("weak", "pay/list/index", none, "sign_missing"),
        ("strict", "free/list/index", none, "sign_missing"),
        ("strict", "maybe/list/index", none, "sign_missing"),
        ("strict", "free/list/index", right, ""),
        ("ios", "public/list/index", none, ""),
        ("ios", "message/list/index", none, "user_missing"),
    ] {
        assert_eq!(outcome(id, endpoint, sign).await, reason, "{id} {endpoint} {sign:?}");
    }
}

#[tokio::test]
async fn a_registered_client_may_have_to_sign_on_its_own() {
    let (gate, _backend) = gate_with("admin: {listen: 127.0.0.1:0, token: t0ken}\n").await;
    let tell = async |method: &str, path: &str, json: &str| {
        let request = gate.admin(method, path).header("Authorization", "Bearer t0ken");
        request.body("application/json", json).await.status
    };
    let new = r#"{"id": "pos", "secret": "s3cret", "signature": "always"}"#;
    assert_eq!(tell("POST", "/api/v1/clients", new).await, 201);
    let unsigned = async || gate.client("pos", "s3cret").get("free/list/index").await;
    unsigned().await.assert_refused(401, "sign_missing");
    Call::get(&gate, "pos", "s3cret", "free/list/index").send(&gate).await.assert_passed();
    assert_eq!(tell("PATCH", "/api/v1/clients/pos", r#"{"signature": null}"#).await, 200);
    unsigned().await.assert_passed();
    assert_eq!(tell("POST", "/api/v1/clients/pos/rotate", r#"{"secret": "n3w", "keep_old": "1h"}"#).await, 200);
    for secret in ["s3cret", "n3w"] {
        Call::get(&gate, "pos", secret, "news/list/index").send(&gate).await.assert_passed();
    }
    let rotated = Call::get(&gate, "pos", "n3w", "news/list/index");
    rotated.with(|call| call.secret = "s3cret".to_owned()).send(&gate).await.assert_passed();
}

#[tokio::test]
async fn a_rule_may_allow_fewer_algorithms_and_want_a_nonce() {
    let (gate, _backend) = gate().await;
    let pay = || Call::get(&gate, "ios", "s3cret", "pay/order/index");
    pay().send(&gate).await.assert_passed();
    pay().with(|call| call.algorithm = Algorithm::Md5).send(&gate).await.assert_refused(401, "sign_refused");
    pay().with(|call| call.nonce = None).send(&gate).await.assert_refused(401, "sign_missing");
}

#[tokio::test]
async fn a_client_whose_secret_is_replaced_signs_with_either() {
    let (gate, _backend) = gate().await;
    for (secret, passes) in [("n3w", true), ("0ld", true), ("other", false)] {
        for algorithm in ALGORITHMS {
            let call = Call { algorithm, ..Call::get(&gate, "web", "n3w", "news/list/index") };
            let reply = call.with(|call| call.secret = secret.to_owned()).send(&gate).await;
            assert_eq!(reply.status == 200, passes, "{secret} {algorithm:?} {}", reply.reason());
        }
    }
}

#[tokio::test]
async fn a_parameter_called_sign_is_the_applications_own_and_signed_where_ours_is_a_header() {
    let (gate, _backend) = gate_with("credentials: [header]\nelsewhere: ignore\n").await;
    let call = get(&gate).with(|call| {
        call.headers = true;
        call.query.push_str("&sign=of-the-application");
    });
    call.send(&gate).await.assert_passed();
    let forged = call.clone().with(|call| call.query = call.query.replace("of-the", "of-no"));
    forged.request_with(&gate, &call.sign()).await.assert_refused(401, "sign_refused");
}

#[tokio::test]
async fn what_is_observed_passes_and_is_noted() {
    let (gate, backend) = gate_with("mode: observe\n").await;
    let call = get(&gate);
    for sign in [&"0".repeat(64), &call.sign(), &call.sign()] {
        call.request_with(&gate, sign).await.assert_passed();
    }
    assert_eq!(backend.requests().len(), 3);
    crate::support::process::until(|| gate.log().lines().count() == 3).await;
    let outcomes: Vec<_> = gate.log().lines().map(|line| line.contains(r#""outcome":"observed""#)).collect();
    assert_eq!(outcomes, [true, false, true], "{}", gate.log());
    assert!(gate.log().contains("sign_refused") && gate.log().contains("sign_replayed"));
}
