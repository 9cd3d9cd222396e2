//! The published vectors (`tests/vectors.json`), asked of a whole gate.

mod support;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use support::backend::FakeBackend;
use support::caller::{Session, md5_token};
use support::gate::Gate;
use support::http::escape;
use support::signing::{Algorithm, Call};

const ONE_CLIENT: &str = r#"
upstream: {url: "{upstream}"}
clients: [{id: one, secret: "{secret}"}, {id: ios, secret: "{secret}"}]
signature: {require: when_present}
time: {zone: "{zone}", skew: {skew}}
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
rules: [{endpoint: "*", require: client}, {path: "/**", require: public}]
forward: {assertion_key: assert-key}
"#;

fn vectors(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("vectors.json")).unwrap_or_default();
    let some = all.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    assert!(!some.is_empty(), "no vectors of {name}");
    some
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {vector}"))
}

fn number(vector: &Value, name: &str) -> u64 {
    vector.get(name).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {name} in {vector}"))
}

async fn gate(backend: &FakeBackend, secret: &str, zone: &str, skew: u64) -> Gate {
    let setup = Gate::with(ONE_CLIENT).upstream(&backend.url);
    setup.put("secret", secret).put("zone", zone).put("skew", &format!("{skew}s")).start().await
}

/// Noon of a date in UTC, in Unix seconds.
fn noon(date: &str) -> u64 {
    let noon: jiff::Timestamp = format!("{date}T12:00:00Z").parse().unwrap_or_default();
    noon.as_second().unsigned_abs()
}

#[tokio::test]
async fn client_tokens() {
    let backend = FakeBackend::start().await;
    for vector in vectors("client_token") {
        let gate = gate(&backend, text(&vector, "client_secret"), "UTC", 300).await;
        gate.move_to(noon(text(&vector, "date")));
        let part = |name| escape(text(&vector, name));
        let target =
            format!("/?mod={}&ctl={}&act={}&client_id=one", part("module"), part("controller"), part("action"));
        for algorithm in ["md5", "hmac-sha256"] {
            let token = text(&vector, algorithm);
            let reply = gate.get(&format!("{target}&api_token={token}")).await;
            assert_eq!((reply.status, reply.reason()), (200, ""), "{algorithm} of {vector}");
            let wrong = gate.get(&format!("{target}&api_token={}", "0".repeat(token.len()))).await;
            wrong.assert_refused(401, "client_refused");
        }
    }
}

#[tokio::test]
async fn dates_of_client_tokens() {
    let backend = FakeBackend::start().await;
    for vector in vectors("client_token_dates") {
        let gate = gate(&backend, "s3cret", text(&vector, "zone"), number(&vector, "skew")).await;
        gate.move_to(number(&vector, "now"));
        let accepted: Vec<&str> =
            vector["accepted"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for date in neighbours(accepted[0]) {
            let token = md5_token("a/b/c", &date, "s3cret");
            let reply = gate.get(&format!("/?mod=a&ctl=b&act=c&client_id=one&api_token={token}")).await;
            assert_eq!(reply.status == 200, accepted.contains(&date.as_str()), "{date} in {vector}");
        }
    }
}

/// The days from two before to three after a date.
fn neighbours(date: &str) -> Vec<String> {
    let date: jiff::civil::Date = date.parse().unwrap_or_default();
    (-2..=3).map(|days| date.saturating_add(jiff::Span::new().days(days)).to_string()).collect()
}

/// The signature of an assertion over method, target, user, client, Unix second and request id.
fn assertion(key: &str, lines: [&str; 6]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap_or_else(|_| unreachable!("a key of any length"));
    mac.update(format!("v1\n{}", lines.join("\n")).as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// The call of a vector, with its credentials as headers so that the query is the vector's.
fn signed_call(gate: &Gate, vector: &Value) -> Call {
    let session =
        Session { user_id: "7".to_owned(), user_token: text(vector, "user_token").to_owned(), expire_time: 0 };
    Call {
        method: text(vector, "method").to_owned(),
        path: text(vector, "path").to_owned(),
        query: text(vector, "query").replace("&sign=ignored", ""),
        timestamp: number(vector, "timestamp").to_string(),
        nonce: Some(text(vector, "nonce").to_owned()),
        api_token: text(vector, "api_token").to_owned(),
        session: Some(session).filter(|session| !session.user_token.is_empty()),
        body: text(vector, "body").as_bytes().to_vec(),
        headers: true,
        ..Call::get(gate, "one", text(vector, "client_secret"), "news/list/index")
    }
}

#[tokio::test]
async fn signatures() {
    let backend = FakeBackend::start().await;
    for vector in vectors("signature") {
        let gate = gate(&backend, text(&vector, "client_secret"), "UTC", 300).await;
        let call = signed_call(&gate, &vector);
        assert_eq!(call.canonical(), text(&vector, "canonical"));
        for (algorithm, name) in [(Algorithm::Hmac, "hmac-sha256"), (Algorithm::Md5, "md5")] {
            let call = Call { algorithm, ..call.clone() };
            assert_eq!(call.sign(), text(&vector, name), "{name} of {vector}");
        }

        // The recipe above is right. A vector that is a whole call as it stands is asked of the gate.
        let query = text(&vector, "query");
        for name in ["hmac-sha256", "md5"].into_iter().filter(|_| query.contains("api_token=")) {
            let gate = self::gate(&backend, text(&vector, "client_secret"), "UTC", 300).await;
            gate.move_to(number(&vector, "timestamp"));
            let target = format!("{}?{query}", text(&vector, "path"));
            gate.get(&target).await.assert_refused(401, "sign_refused");
            let signed = target.replace("ignored", text(&vector, name));
            gate.get(&signed).await.assert_passed();
            gate.get(&signed).await.assert_refused(401, "sign_replayed");
        }
    }
}

#[tokio::test]
async fn assertions() {
    for vector in vectors("assertion") {
        let time = number(&vector, "t").to_string();
        let [method, target, user, client, id] =
            ["method", "target", "user", "client", "id"].map(|name| text(&vector, name));
        let expected = assertion(text(&vector, "key"), [method, target, user, client, &time, id]);
        assert_eq!(expected, text(&vector, "sig"), "{vector}");
    }

    // The recipe above is right, so what the gate sends can be measured by it.
    let backend = FakeBackend::start().await;
    let gate = gate(&backend, "s3cret", "UTC", 300).await;
    let target = gate.client("one", "s3cret").target("/?mod=a&ctl=b&act=c", "a/b/c");
    for (target, client) in [(target.as_str(), "one"), ("/public/x?y=1", "")] {
        gate.get(target).header("X-Ticketgate-Assertion", "t=1,id=1,u=1,c=1,sig=00").await.assert_passed();
        let asked = backend.last();
        let lines: Vec<&str> =
            asked.lines().filter(|line| line.to_ascii_lowercase().starts_with("x-ticketgate-assertion:")).collect();
        assert_eq!(lines.len(), 1, "{asked}");
        let value = lines[0].split_once(": ").map(|(_, value)| value).unwrap_or_default();
        let fields: Vec<&str> =
            value.split(',').filter_map(|field| field.split_once('=')).map(|(_, value)| value).collect();
        let [time, id, user, of, sig] = fields[..] else { panic!("{value}") };
        assert_eq!((user, of), ("", client));
        assert_eq!(time.parse::<u64>().unwrap_or_default().abs_diff(gate.clock.now().as_secs()) / 5, 0);
        assert_eq!(sig, assertion("assert-key", ["GET", target, "", client, time, id]));
    }
}
