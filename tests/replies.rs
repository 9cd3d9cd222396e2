//! Refusals, byte by byte.

mod support;

use support::backend::FakeBackend;
use support::caller::mvc;
use support::gate::Gate;
use support::http::{Reply, Request};

const YAML: &str = r#"
upstream: {url: "{upstream}"}
clients: [{id: ios, secret: s3cret}]
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
limits: {form: 16, header: 2KiB, body: 32}
rules:
  - {path: "/open/**", require: public}
  - {path: "/client/**", require: client}
  - {path: "/busy/**", require: public}
  - {endpoint: news, require: client}
  - {endpoint: user, require: user}
"#;

struct Case {
    gate: Gate,
    backend: FakeBackend,
}

impl Case {
    async fn new(more: &str) -> Self {
        let backend = FakeBackend::start().await;
        let gate = Gate::with(&format!("{YAML}\n{more}\n")).upstream(&backend.url).start().await;
        Self { gate, backend }
    }

    /// One request for each reason that a caller can be refused for without a session, with its status.
    fn refused(&self) -> Vec<(u16, &'static str, Request)> {
        let gate = &self.gate;
        let form = "application/x-www-form-urlencoded";
        vec![
            (400, "malformed", gate.get("/open/%")),
            (400, "malformed", gate.get("/open/a").header("Host", "other")),
            (400, "ambiguous", gate.get("/open/a?sign=1&sign=2")),
            (413, "too_large", gate.post("/open/a").body(form, "a=1234567890123456")),
            (413, "too_large", gate.post("/open/a").body("a/b", [b'x'; 33])),
            (431, "header_too_large", gate.get("/open/a").header("X", &"x".repeat(3000))),
            (403, "denied", gate.get("/elsewhere")),
            (404, "endpoint_unknown", gate.get("/client/a")),
            (401, "client_missing", gate.get(&mvc("news/a/b"))),
            (401, "client_refused", gate.get(&format!("{}&client_id=ios&api_token=0", mvc("news/a/b")))),
            (401, "user_missing", gate.client("ios", "s3cret").get("user/a/b")),
        ]
    }
}

/// The headers of a refusal, in no order, without those that change each time.
#[track_caller]
fn assert_headers(reply: &Reply, semantic: u16) {
    for (name, value) in [("content-type", "application/json; charset=utf-8"), ("cache-control", "no-store")] {
        assert_eq!(reply.all(name), [value], "{reply:?}");
    }
    for name in ["x-request-id", "x-ticketgate-reason", "content-length"] {
        assert_eq!(reply.all(name).len(), 1, "{name} in {reply:?}");
    }
    assert_eq!(reply.all("www-authenticate").len(), usize::from(semantic == 401), "{reply:?}");
}

#[tokio::test]
async fn every_refusal_has_its_status_its_headers_and_the_one_body() {
    let case = Case::new("").await;
    for (status, reason, request) in case.refused() {
        let reply = request.await;
        reply.assert_refused(status, reason);
        assert_headers(&reply, status);
        let text = reply.text();
        let told = text.strip_prefix(r#"{"code":0,"msg":""#).and_then(|rest| rest.strip_suffix(r#"","data":[]}"#));
        assert!(told.is_some_and(|message| !message.is_empty() && !message.contains('"')), "{text}");
        assert_eq!(reply.header("content-length"), Some(text.len().to_string().as_str()));
    }
}

#[tokio::test]
async fn old_clients_get_200_and_everything_else_alike() {
    let case = Case::new("reject: {status: 200, codes: {client_missing: 1001, malformed: -2}}").await;
    for (_, reason, request) in case.refused() {
        let reply = request.await;
        reply.assert_refused(200, reason);
        let code = match reason {
            "client_missing" => "1001",
            "malformed" => "-2",
            _ => "0",
        };
        assert!(reply.text().starts_with(&format!("{{\"code\":{code},\"msg\":\"")), "{}", reply.text());
    }
}

#[tokio::test]
async fn messages_are_replaced_per_reason_in_every_language() {
    let messages = "{denied: \"n\\u00f6 \\\"a\\\" \\U0001F600\\n\", malformed: 坏, client_missing: \"\"}";
    let case = Case::new(&format!("reject: {{messages: {messages}}}")).await;
    for language in ["en", "zh", "fr"] {
        let told = async |target: &str| case.gate.get(target).header("Accept-Language", language).await.text();
        let denied = told("/elsewhere").await;
        assert_eq!(denied, "{\"code\":0,\"msg\":\"n\\u00f6 \\\"a\\\" \\ud83d\\ude00\\n\",\"data\":[]}");
        assert_eq!(told("/open/%").await, "{\"code\":0,\"msg\":\"\\u574f\",\"data\":[]}");
        assert_eq!(told(&mvc("news/a/b")).await, "{\"code\":0,\"msg\":\"\",\"data\":[]}");
    }
}

#[tokio::test]
async fn keys_are_renamed() {
    let case = Case::new("reject: {keys: {code: 状态, msg: info, data: result}}").await;
    let denied = case.gate.get("/elsewhere").await;
    assert_eq!(denied.text(), "{\"\\u72b6\\u6001\":0,\"info\":\"access denied\",\"result\":[]}");
}

#[tokio::test]
async fn a_refused_client_is_not_told_what_is_wrong_with_it() {
    let case = Case::new("").await;
    let token = case.gate.client("ios", "s3cret").api_token("news/a/b");
    let mut answers = vec![];
    for query in [
        "client_id=ios&api_token=0".to_owned(),
        format!("client_id=nobody&api_token={token}"),
        format!("client_id={}&api_token={token}", "x".repeat(200)),
        format!("client_id=%00%ff&api_token={token}"),
        format!("client_id=ios&api_token={token}0"),
    ] {
        let reply = case.gate.get(&format!("{}&{query}", mvc("news/a/b"))).await;
        reply.assert_refused(401, "client_refused");
        let mut headers = reply.headers.clone();
        headers
            .retain(|(name, _)| !["x-request-id", "date", "x-ticketgate-time"].contains(&name.to_lowercase().as_str()));
        answers.push((reply.text(), headers));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn head_is_answered_alike_without_a_body() {
    let case = Case::new("").await;
    for target in ["/open/%", "/elsewhere", "/client/a", &mvc("news/a/b")] {
        let (get, head) = (case.gate.get(target).await, case.gate.request("HEAD", target).await);
        assert_eq!((get.status, get.reason()), (head.status, head.reason()));
        assert_eq!((get.header("content-length"), head.body.len()), (head.header("content-length"), 0));
    }
}

#[tokio::test]
async fn the_request_id_is_the_gates_own_and_the_same_everywhere() {
    let case = Case::new("log: {level: error, access: true}").await;
    let reply = case.gate.get("/open/a").header("X-Request-Id", "forged").await;
    let id = reply.header("x-request-id").expect("an id").to_owned();
    assert_ne!(id, "forged");
    let seen = case.backend.last().to_lowercase();
    assert!(seen.contains(&format!("x-request-id: {}", id.to_lowercase())) && !seen.contains("forged"), "{seen}");
}

#[tokio::test]
async fn what_cannot_be_read_is_named_in_every_language() {
    let case = Case::new("").await;
    for (language, chinese) in [("en", false), ("zh-CN", true)] {
        let reply = case.gate.get("/open/a?sign=hush&sign=hush").header("Accept-Language", language).await;
        let text = reply.text();
        assert!(text.contains("sign twice in query") && !text.contains("hush"), "{text}");
        assert_eq!(text.contains("\\u8bf7"), chinese, "{text}");
    }
}
