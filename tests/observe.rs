//! `mode: observe`: every request is decided and logged, and goes on all the same where that is safe.

mod support;

use std::time::{Duration, Instant};

use serde_json::Value;
use support::backend::FakeBackend;
use support::caller::{Session, mvc};
use support::gate::Gate;
use support::http::Request;

const YAML: &str = r#"
upstream: {url: "{upstream}"}
mode: observe
clients:
  - {id: ios, secret: s3cret}
  - {id: robot, secret: r0b0t, endpoints: [shop]}
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
limits: {form: 1KiB, header: 4KiB, body: 8KiB}
admin: {listen: 127.0.0.1:0, token: adm1n}
rules:
  - {path: "/assets/**", require: public, max_body: 16}
  - {path: "/private/**", require: deny}
  - {path: "/client/**", require: client}
  - {endpoint: news, require: client}
  - {endpoint: user, require: user}
"#;

struct Case {
    gate: Gate,
    backend: FakeBackend,
}

impl Case {
    async fn new() -> Self {
        Self::with(YAML).await
    }

    async fn with(yaml: &str) -> Self {
        let backend = FakeBackend::start().await;
        let gate = Gate::with(yaml).upstream(&backend.url).start().await;
        Self { gate, backend }
    }

    /// The line of the request that was sent last, the log having been empty before.
    async fn line(&self, earlier: usize) -> Value {
        let asked = Instant::now();
        loop {
            if let Some(line) = self.gate.log().lines().nth(earlier) {
                return serde_json::from_str(line).unwrap_or_default();
            }
            assert!(asked.elapsed() < Duration::from_secs(10), "no line");
            tokio::task::yield_now().await;
        }
    }

    async fn issue(&self, user: &str) -> Session {
        let target = format!("/api/v1/users/{user}/sessions");
        let request = self.gate.admin("POST", &target).header("Authorization", "Bearer adm1n");
        let reply = request.body("application/json", r#"{"client_id":"ios"}"#).await;
        let text = |name: &str| reply.at(name).as_str().unwrap_or_default().to_owned();
        Session { user_id: text("/user_id"), user_token: text("/user_token"), expire_time: 0 }
    }
}

#[tokio::test]
async fn what_would_be_refused_is_forwarded_and_logged_with_its_reason() {
    let case = Case::new().await;
    let gate = &case.gate;
    let (ios, robot) = (gate.client("ios", "s3cret"), gate.client("robot", "r0b0t"));
    let live = case.issue("7").await;
    let ended = case.issue("8").await;
    gate.admin("DELETE", "/api/v1/users/8/sessions").header("Authorization", "Bearer adm1n").await;
    let other = Session { user_id: "9".to_owned(), ..live.clone() };
    let user = |session: &Session| ios.clone().with(session.clone()).get("user/info/get");
    let robot_with_session = robot.clone().with(live.clone());
    let all: Vec<(&str, &str, Request)> = vec![
        ("denied", "/private/**", gate.get("/private/a")),
        ("denied", "default", gate.get("/elsewhere")),
        ("denied", "news", robot.get("news/list/index")),
        ("endpoint_unknown", "/client/**", gate.get("/client/a")),
        ("client_missing", "news", gate.get(&mvc("news/list/index"))),
        ("client_refused", "news", gate.get(&format!("{}&client_id=ios&api_token=hush", mvc("news/list/index")))),
        ("client_refused", "news", gate.client("nobody", "x").get("news/list/index")),
        ("user_missing", "user", ios.get("user/info/get")),
        ("user_refused", "user", user(&other)),
        ("user_ended", "user", user(&ended)),
        ("denied", "user", robot_with_session.get("user/info/get")),
        ("ambiguous", "", gate.get("/assets/a?user_id=1&user_id=2")),
        ("ambiguous", "", gate.get("/assets/user_token/hush")),
        ("ambiguous", "", gate.get("/assets/a").header("Cookie", "user_token=hush")),
        ("", "/assets/**", gate.get("/assets/a")),
        ("", "user", user(&live)),
    ];
    for (index, (reason, rule, request)) in all.into_iter().enumerate() {
        let sent = request.clone();
        let reply = request.header("X-Auth-User-Id", "forged").await;
        assert_eq!((reply.status, reply.reason()), (200, ""), "{reason} {sent:?}");
        assert_eq!(case.backend.requests().len(), index + 1);
        assert!(!case.backend.last().contains("forged"), "{}", case.backend.last());

        let line = case.line(index).await;
        let reason = if reason.is_empty() { Value::Null } else { reason.into() };
        let outcome = if reason.is_null() { "forwarded" } else { "observed" };
        assert_eq!((&line["reason"], &line["outcome"]), (&reason, &outcome.into()), "{line}");
        let rule = if rule.is_empty() { Value::Null } else { rule.into() };
        assert_eq!((&line["rule"], &line["status"]), (&rule, &200.into()), "{line}");
    }
    let log = case.gate.log();
    for secret in ["hush", live.user_token.as_str(), &ended.user_token, &ios.api_token("user/info/get")] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
}

#[tokio::test]
async fn what_is_malformed_or_too_large_is_refused_all_the_same() {
    let case = Case::new().await;
    let gate = &case.gate;
    let form = "application/x-www-form-urlencoded";
    let all: Vec<(&str, u16, Request)> = vec![
        ("malformed", 400, gate.get("/assets/%zz")),
        ("malformed", 400, gate.get("/assets//a")),
        ("malformed", 400, gate.get("/index.php?mod=a.b&ctl=c&act=d")),
        ("malformed", 400, gate.get("/a").header("Content-Length", "0").header("Content-Length", "0")),
        ("too_large", 413, gate.post("/private/a").body(form, "x".repeat(1025))),
        ("too_large", 413, gate.post("/private/a").body("a/b", "x".repeat(8193))),
        ("too_large", 413, gate.post("/assets/a").body("a/b", "x".repeat(17))),
        ("header_too_large", 431, gate.get("/private/a").header("X", &"x".repeat(4096))),
    ];
    for (index, (reason, status, request)) in all.into_iter().enumerate() {
        let sent = request.clone();
        let reply = request.await;
        assert_eq!((reply.status, reply.reason()), (status, reason), "{sent:?}");
        let line = case.line(index).await;
        assert_eq!((&line["reason"], &line["outcome"]), (&reason.into(), &"refused".into()), "{line}");
    }
    case.backend.assert_untouched();
}

#[tokio::test]
async fn a_store_that_is_away_stops_nobody() {
    let case = Case::with(&format!("{YAML}\nstore: {{url: \"redis://127.0.0.1:1/0\"}}\n")).await;
    let session = Session { user_id: "7".to_owned(), user_token: "0".repeat(32), expire_time: 0 };
    let reply = case.gate.client("ios", "s3cret").with(session).get("user/info/get").await;
    assert_eq!((reply.status, reply.reason()), (200, ""));
    let line = case.line(0).await;
    assert_eq!((&line["reason"], &line["outcome"]), (&"store_down".into(), &"observed".into()), "{line}");
}

#[tokio::test]
async fn an_application_that_fails_is_told_as_such() {
    let case = Case::with(&YAML.replace("{upstream}", "http://127.0.0.1:1")).await;
    case.gate.get("/private/a").await.assert_refused(502, "upstream_failed");
    let line = case.line(0).await;
    assert_eq!(line["outcome"], "failed", "{line}");
}

#[tokio::test]
async fn the_body_and_cookies_go_on_as_they_came() {
    let case = Case::new().await;
    let request =
        case.gate.post("/private/a?x=1").header("Cookie", "PHPSESSID=1").header("Authorization", "Basic eA==");
    request.body("application/x-www-form-urlencoded", "a=1&b=2").await.assert_passed();
    let seen = case.backend.last();
    for part in ["POST /private/a?x=1 HTTP/1.1\r\n", "PHPSESSID=1", "Basic eA==", "\r\n\r\na=1&b=2"] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
    assert!(!seen.to_lowercase().contains("x-auth-"), "{seen}");
}
