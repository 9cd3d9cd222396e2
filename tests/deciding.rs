//! Who passes and who is refused, and how a refusal looks.

mod support;

use std::time::Duration;

use serde_json::json;
use support::backend::{Answer, FakeBackend};
use support::caller::{Caller, Session, mvc};
use support::gate::Gate;
use support::http::{Reply, Request};

const RULES: &str = r#"
upstream: {url: "{upstream}", response_timeout: 300ms, max_connections: 1, queue_timeout: 50ms}
store: {url: "memory:"}
clients:
  - {id: ios, secret: s3cret}
  - {id: robot, secret: r0b0t, endpoints: [news/list], algorithms: [hmac-sha256]}
endpoint:
  - query: {module: mod, controller: ctl, action: act}
limits: {form: 1KiB, header: 4KiB}
admin: {listen: 127.0.0.1:0, token: adm1n}
session: {per_user: 1}
rules:
  - {path: "/assets/**", require: public}
  - {path: "/private/**", require: deny}
  - {path: "/client/**", require: client}
  - {path: "/given/**", require: client, endpoint: {is: news/list/index}}
  - {endpoint: news, methods: [GET, HEAD], require: client}
  - {endpoint: shop/cart/show, params: {kind: "gift*"}, require: client}
  - {endpoint: shop/cart/show, require: user}
  - {endpoint: user/*/peek, require: user_only}
  - {endpoint: user, require: user}
"#;

struct Case {
    gate: Gate,
    backend: FakeBackend,
}

impl Case {
    async fn new() -> Self {
        Self::with(RULES).await
    }

    async fn with(yaml: &str) -> Self {
        let backend = FakeBackend::start().await;
        let gate = Gate::with(yaml).upstream(&backend.url).start().await;
        Self { gate, backend }
    }

    fn ios(&self) -> Caller {
        self.gate.client("ios", "s3cret")
    }

    /// A session of user 7 for the client `ios`, issued over the admin listener.
    async fn user(&self) -> Caller {
        let request = self.gate.admin("POST", "/api/v1/users/7/sessions").header("Authorization", "Bearer adm1n");
        let reply = request.body("application/json", r#"{"client_id":"ios"}"#).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let text = |name: &str| reply.at(name).as_str().map(str::to_owned).unwrap_or_default();
        let expire_time = reply.at("/expire_time").as_u64().unwrap_or_default();
        self.ios().with(Session { user_id: text("/user_id"), user_token: text("/user_token"), expire_time })
    }
}

#[tokio::test]
async fn each_requirement_lets_pass_what_holds_it_and_nothing_less() {
    let case = Case::new().await;
    let (ios, user) = (case.ios(), case.user().await);
    case.gate.get("/assets/a.css").await.assert_passed();
    ios.get("news/list/index").await.assert_passed();
    user.get("news/list/index").await.assert_passed();
    user.get("user/info/get").await.assert_passed();
    assert_eq!(case.backend.requests().len(), 4);

    case.gate.get(&mvc("news/list/index")).await.assert_refused(401, "client_missing");
    ios.get("user/info/get").await.assert_refused(401, "user_missing");
    case.gate.get("/private/a").await.assert_refused(403, "denied");
    case.gate.get("/elsewhere").await.assert_refused(403, "denied");
    ios.get("other/thing/here").await.assert_refused(403, "denied");
    ios.request("POST", &mvc("news/list/index"), "news/list/index").await.assert_refused(403, "denied");
    ios.request("GET", "/client/x", "//").await.assert_refused(404, "endpoint_unknown");
    assert_eq!(case.backend.requests().len(), 4, "no refused request reached the backend");
}

#[tokio::test]
async fn a_user_rule_without_a_client_asks_for_the_user_alone() {
    let case = Case::new().await;
    let user = case.user().await;
    let Session { user_id, user_token, .. } = user.session().clone();
    let target = format!("{}&user_id={user_id}&user_token={user_token}", mvc("user/info/peek"));
    case.gate.get(&target).await.assert_passed();
    case.gate.get(&mvc("user/info/peek")).await.assert_refused(401, "user_missing");
}

#[tokio::test]
async fn parts_of_an_endpoint_compare_in_any_case_and_tokens_as_sent() {
    let case = Case::new().await;
    case.ios().get("News/List/INDEX").await.assert_passed();
    let target = case.ios().target(&mvc("News/List/INDEX"), "news/list/index");
    case.gate.get(&target).await.assert_refused(401, "client_refused");
}

#[tokio::test]
async fn a_rule_may_give_a_path_an_endpoint() {
    let case = Case::new().await;
    case.ios().request("GET", "/given/x.php", "news/list/index").await.assert_passed();
    case.ios().request("GET", "/given/x.php", "a/b/c").await.assert_refused(401, "client_refused");
}

#[tokio::test]
async fn a_rule_may_ask_for_parameters() {
    let case = Case::new().await;
    let target = |rest: &str| format!("{}{rest}", mvc("shop/cart/show"));
    let get = |rest: &str| case.ios().request("GET", &target(rest), "shop/cart/show");
    get("&kind=gift-card").await.assert_passed();
    get("&kind=other").await.assert_refused(401, "user_missing");
    get("").await.assert_refused(401, "user_missing");
    let both = case.ios().request("POST", &target("&kind=gift"), "shop/cart/show").form(&[("kind", "other")]);
    both.await.assert_refused(400, "ambiguous");
    get("&kind=gift").header("Cookie", "kind=gift").await.assert_refused(400, "ambiguous");
}

#[tokio::test]
async fn a_client_is_refused_alike_whatever_is_wrong_with_it() {
    let case = Case::new().await;
    let target = mvc("news/list/index");
    let token = case.ios().api_token("news/list/index");
    let wrong = "0".repeat(32);
    for query in [
        format!("client_id=nobody&api_token={token}"),
        format!("client_id=ios&api_token={wrong}"),
        format!("client_id=robot&api_token={}", case.gate.client("robot", "r0b0t").api_token("news/list/index")),
    ] {
        let reply = case.gate.get(&format!("{target}&{query}")).await;
        reply.assert_refused(401, "client_refused");
        assert!(reply.text().is_ascii());
    }
    for query in ["client_id=ios", "client_id=ios&api_token=", "client_id=&api_token=x"] {
        case.gate.get(&format!("{target}&{query}")).await.assert_refused(401, "client_missing");
    }
    let upper = format!("{target}&client_id=ios&api_token={}", token.to_uppercase());
    case.gate.get(&upper).await.assert_passed();
}

#[tokio::test]
async fn a_client_may_call_its_own_endpoints_by_its_own_algorithms() {
    let case = Case::new().await;
    let robot = case.gate.client("robot", "r0b0t");
    let target = |endpoint: &str| format!("{}&client_id=robot&api_token={}", mvc(endpoint), robot.hmac_token(endpoint));
    case.gate.get(&target("news/list/index")).await.assert_passed();
    case.gate.get(&target("news/item/show")).await.assert_refused(403, "denied");
}

#[tokio::test]
async fn credentials_may_stand_in_headers_and_forms() {
    let case = Case::new().await;
    let user = case.user().await;
    let token = case.ios().api_token("user/info/get");
    let Session { user_id, user_token, .. } = user.session().clone();

    let headers = case.gate.get(&mvc("user/info/get")).header("X-Client-Id", "ios").header("X-Api-Token", &token);
    let whole = headers.clone().header("X-User-Id", &user_id).header("X-User-Token", &user_token);
    whole.await.assert_passed();
    let bearer = headers.header("X-User-Id", &user_id).header("Authorization", &format!("Bearer {user_token}"));
    bearer.await.assert_passed();

    let fields =
        [("client_id", "ios"), ("api_token", token.as_str()), ("user_id", &user_id), ("user_token", &user_token)];
    case.gate.post(&mvc("user/info/get")).form(&fields).await.assert_passed();
}

#[tokio::test]
async fn a_session_that_an_operator_ended_says_so() {
    let case = Case::new().await;
    let user = case.user().await;
    user.get("user/info/get").await.assert_passed();
    let end = case.gate.admin("DELETE", "/api/v1/users/7/sessions").header("Authorization", "Bearer adm1n");
    assert!(end.await.status < 300);
    user.get("user/info/get").await.assert_refused(401, "user_ended");
}

#[tokio::test]
async fn a_made_up_token_opens_nothing() {
    let case = Case::new().await;
    let user = case.user().await;
    let mut session = user.session().clone();
    session.user_token = "0123456789abcdef0123456789abcdef".to_owned();
    case.ios().with(session.clone()).get("user/info/get").await.assert_refused(401, "user_refused");
    session.user_token = "x".repeat(3000);
    case.ios().with(session).get("user/info/get").await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_the_backend_sees_it() {
    let case = Case::new().await;
    let form = "a=".to_owned() + &"x".repeat(2000);
    let request = case.ios().request("POST", &mvc("user/info/get"), "user/info/get");
    request.body("application/x-www-form-urlencoded", form).await.assert_refused(413, "too_large");
    let wide = case.gate.get("/assets/a").header("X-Long", &"x".repeat(8000));
    wide.await.assert_refused(431, "header_too_large");
    case.backend.assert_untouched();
}

/// `{"code":CODE,"msg":"MSG","data":[]}` with an ASCII message that is not empty.
#[track_caller]
fn assert_envelope(reply: &Reply, code: i64) {
    let text = reply.text();
    let inside = text
        .strip_prefix(&format!("{{\"code\":{code},\"msg\":\""))
        .and_then(|rest| rest.strip_suffix("\",\"data\":[]}"));
    assert!(inside.is_some_and(|msg| !msg.is_empty() && msg.is_ascii()), "{text}");
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(reply.header("x-request-id").is_some_and(|id| !id.is_empty()));
}

#[tokio::test]
async fn every_refusal_is_the_same_envelope() {
    let case = Case::new().await;
    let mut ids = vec![];
    for (target, status, reason) in [
        ("/assets/%zz", 400, "malformed"),
        ("/assets/a?user_id=1&user_id=2", 400, "ambiguous"),
        ("/private/a", 403, "denied"),
        ("/client/a", 404, "endpoint_unknown"),
        ("/index.php?mod=news&ctl=list&act=index", 401, "client_missing"),
        ("/index.php?mod=news&ctl=list&act=index&client_id=a&api_token=b", 401, "client_refused"),
    ] {
        let reply = case.gate.get(target).await;
        reply.assert_refused(status, reason);
        assert_envelope(&reply, 0);
        assert_eq!(reply.header("www-authenticate").is_some(), status == 401, "{target}");
        ids.push(reply.header("x-request-id").map(str::to_owned));

        let head = case.gate.request("HEAD", target).await;
        head.assert_refused(status, reason);
        assert_eq!(head.body, b"");
    }
    ids.dedup();
    assert_eq!(ids.len(), 6, "every request has an id of its own");
    case.backend.assert_untouched();
}

#[tokio::test]
async fn messages_speak_the_language_that_is_asked_for() {
    let case = Case::new().await;
    let said = async |language: &str| case.gate.get("/private/a").header("Accept-Language", language).await.text();
    let plain = case.gate.get("/private/a").await.text();
    assert!(!plain.contains("\\u"), "{plain}");
    for (language, chinese) in
        [("zh", true), ("zh-CN,zh;q=0.9,en;q=0.8", true), ("zh-Hant-TW", true), ("en-US,en;q=0.5", false), ("*", false)]
    {
        assert_eq!(said(language).await.contains("\\u"), chinese, "{language}");
    }

    let yaml = format!("{RULES}\nreject: {{language: zh}}\n");
    let chinese = Case::with(&yaml).await;
    assert!(chinese.gate.get("/private/a").await.text().contains("\\u"));
}

#[tokio::test]
async fn refusals_can_look_as_old_clients_expect_them() {
    let reject = "{status: 200, codes: {denied: 403, user_missing: -1}, messages: {denied: \"没有权限 \\\"x\\\"\"}}";
    let case = Case::with(&format!("{RULES}\nreject: {reject}\n")).await;
    let denied = case.gate.get("/private/a").await;
    denied.assert_refused(200, "denied");
    assert_eq!(denied.text(), r#"{"code":403,"msg":"\u6ca1\u6709\u6743\u9650 \"x\"","data":[]}"#);
    let missing = case.ios().get("user/info/get").await;
    missing.assert_refused(200, "user_missing");
    assert_envelope(&missing, -1);

    let keys = format!("{RULES}\nreject: {{keys: {{code: status, msg: info, data: result}}}}\n");
    let renamed = Case::with(&keys).await;
    let denied = renamed.gate.get("/private/a").await;
    assert_eq!((denied.at("/status"), denied.at("/result")), (json!(0), json!([])));
    assert!(denied.text().starts_with(r#"{"status":0,"info":""#), "{}", denied.text());
}

#[tokio::test]
async fn observing_forwards_what_would_be_refused_but_not_what_is_malformed() {
    let case = Case::with(&format!("{RULES}\nmode: observe\n")).await;
    for target in ["/private/a", "/elsewhere", &mvc("news/list/index"), &mvc("user/info/get")] {
        let reply = case.gate.get(target).await;
        assert_eq!(reply.status, 200, "{target}");
    }
    assert_eq!(case.backend.requests().len(), 4);
    case.gate.get("/assets/%zz").await.assert_refused(400, "malformed");
    let form = "a=".to_owned() + &"x".repeat(2000);
    let large = case.gate.post("/assets/a").body("application/x-www-form-urlencoded", form);
    large.await.assert_refused(413, "too_large");
    assert_eq!(case.backend.requests().len(), 4);
}

#[tokio::test]
async fn a_default_may_be_looser_than_deny() {
    let case = Case::with(&format!("{RULES}\ndefault: client\n")).await;
    case.ios().get("other/thing/here").await.assert_passed();
    case.gate.get(&mvc("other/thing/here")).await.assert_refused(401, "client_missing");
}

#[tokio::test]
async fn failures_behind_the_gate_are_told_apart() {
    let backend = FakeBackend::with(|request| match request {
        _ if request.starts_with(b"GET /assets/close") => Answer::Close,
        _ if request.starts_with(b"GET /assets/never") => Answer::Never,
        _ if request.starts_with(b"GET /assets/garbage") => Answer::Bytes(b"no HTTP at all\r\n\r\n".to_vec()),
        _ => Answer::Bytes(support::backend::FINE.to_vec()),
    })
    .await;
    let gate = Gate::with(RULES).upstream(&backend.url).start().await;
    for (target, status, reason) in [
        ("/assets/close", 502, "upstream_failed"),
        ("/assets/garbage", 502, "upstream_failed"),
        ("/assets/never", 504, "upstream_timeout"),
    ] {
        let reply = gate.get(target).await;
        reply.assert_refused(status, reason);
        assert_envelope(&reply, 0);
    }
    gate.get("/assets/fine").await.assert_passed();

    let nobody = Gate::with(RULES).upstream("http://127.0.0.1:1").start().await;
    nobody.get("/assets/fine").await.assert_refused(502, "upstream_failed");
}

#[tokio::test]
async fn more_requests_than_the_application_takes_wait_and_then_give_up() {
    let backend = FakeBackend::with(|_| Answer::Never).await;
    let yaml = RULES.replace("response_timeout: 300ms", "response_timeout: 10s");
    let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
    let mut first = gate.connect().await;
    let held: Request = gate.get("/assets/first");
    first.send(&held.to_bytes()).await;
    while backend.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let second = gate.get("/assets/second").await;
    second.assert_refused(503, "overloaded");
    assert!(second.header("retry-after").is_some());
}

#[tokio::test]
async fn a_store_that_is_away_stops_sessions_and_nothing_else() {
    let yaml = RULES.replace("memory:", "redis://127.0.0.1:1/0");
    let case = Case::with(&yaml).await;
    case.gate.get("/assets/a").await.assert_passed();
    case.ios().get("news/list/index").await.assert_passed();

    let session = Session { user_id: "7".to_owned(), user_token: "0".repeat(32), expire_time: 0 };
    let before = tokio::time::Instant::now();
    let reply = case.ios().with(session).get("user/info/get").await;
    reply.assert_refused(503, "store_down");
    assert!(reply.header("retry-after").is_some());
    assert!(before.elapsed() < Duration::from_secs(2));
    assert_envelope(&reply, 0);

    let unknown = case.gate.client("nobody", "x").get("news/list/index").await;
    unknown.assert_refused(503, "store_down");
}

#[tokio::test]
async fn methods_never_loosen() {
    let yaml = r#"
upstream: {url: "{upstream}"}
endpoint: []
rules:
  - {path: "/read", methods: [GET, HEAD], require: public}
  - {path: "/dav", methods: [PROPFIND, X-PURGE], require: public}
  - {path: "/both", methods: [GET], require: public}
  - {path: "/both", require: user_only}
"#;
    let case = Case::with(yaml).await;
    for (method, path, status, reason) in [
        ("GET", "/read", 200, ""),
        ("HEAD", "/read", 200, ""),
        ("POST", "/read", 403, "denied"),
        ("OPTIONS", "/read", 403, "denied"),
        ("PROPFIND", "/read", 403, "denied"),
        ("PROPFIND", "/dav", 200, ""),
        ("X-PURGE", "/dav", 200, ""),
        ("GET", "/dav", 403, "denied"),
        ("propfind", "/dav", 400, "malformed"),
        ("PROPPATCH", "/dav", 400, "malformed"),
        ("TRACE", "/read", 400, "malformed"),
        ("GET", "/both", 200, ""),
        ("HEAD", "/both", 401, "user_missing"),
        ("POST", "/both", 401, "user_missing"),
        ("OPTIONS", "/both", 401, "user_missing"),
        ("X-PURGE", "/both", 401, "user_missing"),
    ] {
        let reply = case.gate.request(method, path).await;
        assert_eq!((reply.status, reply.reason()), (status, reason), "{method} {path}");
    }
}
