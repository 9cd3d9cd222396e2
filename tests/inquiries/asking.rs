//! What a proxy is told, and whom the gate believes.

use crate::support::backend::FakeBackend;
use crate::support::caller::{Caller, Session, mvc};
use crate::support::gate::Gate;
use crate::support::http::{Reply, Request};

pub(super) const RULES: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
trusted_proxies: [127.0.0.1]
decide: {listen: 127.0.0.1:0, proxy: {proxy}}
clients: [{id: ios, secret: s3cret}]
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
admin: {listen: 127.0.0.1:0, token: adm1n}
forward: {assertion_key: k3y}
log: {level: error, access: true}
rules:
  - {path: "/assets/**", require: public}
  - {path: "/private/**", require: deny}
  - {endpoint: news/list/limited, require: client, limit: 1/h}
  - {endpoint: news, require: client}
  - {endpoint: user, require: user}
"#;

/// A gate that proxies ask, and what must never hear of it.
pub(super) struct Case {
    pub(super) gate: Gate,
    pub(super) backend: FakeBackend,
}

impl Case {
    pub(super) async fn of(proxy: &str) -> Self {
        Self::with(RULES, proxy).await
    }

    pub(super) async fn with(rules: &str, proxy: &str) -> Self {
        let backend = FakeBackend::start().await;
        let gate = Gate::with(rules).upstream(&backend.url).put("proxy", proxy).start().await;
        Self { gate, backend }
    }

    /// An inquiry, but for what it is about.
    pub(super) fn inquiry(&self) -> Request {
        Request::new(self.gate.decide(), "GET", "/ticketgate/decide").header("X-Forwarded-For", "192.0.2.7")
    }

    /// What nginx sends about a request.
    pub(super) fn about(&self, method: &str, target: &str) -> Request {
        self.inquiry().header("X-Original-Method", method).header("X-Original-URI", target)
    }

    pub(super) async fn user(&self) -> Caller {
        let request = self.gate.admin("POST", "/api/v1/users/7/sessions").header("Authorization", "Bearer adm1n");
        let reply = request.body("application/json", r#"{"client_id":"ios"}"#).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let text = |name: &str| reply.at(name).as_str().map(str::to_owned).unwrap_or_default();
        let session = Session { user_id: text("/user_id"), user_token: text("/user_token"), expire_time: 0 };
        self.gate.client("ios", "s3cret").with(session)
    }

    /// The target that a caller asks for, with its credentials.
    pub(super) fn target(caller: &Caller, endpoint: &str) -> String {
        caller.target(&mvc(endpoint), endpoint)
    }
}

/// User, client and session, as told.
fn identity(reply: &Reply) -> [Option<&str>; 3] {
    ["X-Auth-User-Id", "X-Auth-Client-Id", "X-Auth-Session-Id"].map(|name| reply.header(name))
}

#[tokio::test]
async fn who_asks_is_told_where_a_request_may_pass_and_the_refusal_where_not() {
    let case = Case::of("nginx").await;
    let user = case.user().await;
    let ios = case.gate.client("ios", "s3cret");

    let public = case.about("GET", "/assets/a.css").await;
    assert_eq!((public.status, identity(&public)), (200, [Some(""), Some(""), Some("")]), "{public:?}");
    let client = case.about("GET", &Case::target(&ios, "news/list/index")).await;
    assert_eq!((client.status, identity(&client)), (200, [Some(""), Some("ios"), Some("")]), "{client:?}");
    let told = case.about("GET", &Case::target(&user, "user/info/get")).await;
    let [Some("7"), Some("ios"), Some(session)] = identity(&told) else { panic!("{told:?}") };
    assert!(!session.is_empty() && told.body.is_empty());
    assert!(told.header("X-Ticketgate-Assertion").unwrap().contains(",u=7,c=ios,sig="));

    let refused = case.about("GET", &mvc("news/list/index")).await;
    refused.assert_refused(401, "client_missing");
    assert_eq!(refused.header("X-Ticketgate-Envelope"), Some(refused.text().as_str()));
    assert_eq!(refused.at("/code"), 0);
    case.about("GET", "/private/a").await.assert_refused(403, "denied");
    case.about("GET", "/nowhere").await.assert_refused(403, "denied");
    case.about("GET", &Case::target(&ios, "user/info/get")).await.assert_refused(401, "user_missing");
    case.about("GET", "/index.php?mod=news&mod=user&ctl=list&act=index").await.assert_refused(400, "ambiguous");
    let limited = Case::target(&ios, "news/list/limited");
    assert_eq!(case.about("GET", &limited).await.status, 200);
    case.about("GET", &limited).await.assert_refused(429, "limited");
    case.backend.assert_untouched();
}

#[tokio::test]
async fn a_decision_is_logged_as_the_request_that_it_is_about() {
    let case = Case::of("nginx").await;
    case.about("DELETE", "/private/a?api_token=0123").await.assert_refused(403, "denied");
    crate::support::process::until(|| case.gate.log().contains('\n')).await;
    let line: serde_json::Value = serde_json::from_str(case.gate.log().trim()).unwrap();
    assert_eq!((&line["method"], &line["ip"], &line["status"]), (&"DELETE".into(), &"192.0.2.7".into(), &403.into()));
    assert!(!case.gate.log().contains("0123"), "{line}");
}

#[tokio::test]
async fn an_ended_session_is_refused_at_once_and_use_extends_it() {
    let case = Case::of("nginx").await;
    let user = case.user().await;
    let target = Case::target(&user, "user/info/get");
    let begun = case.gate.clock.now().as_secs();
    for hours in 1..4 {
        case.gate.move_to(begun + hours * 3600);
        let target = Case::target(&user, "user/info/get");
        assert_eq!(case.about("GET", &target).await.status, 200, "after {hours} h, idle being 2 h");
    }
    case.gate.move_to(begun);
    let end = case.gate.admin("DELETE", "/api/v1/users/7/sessions").header("Authorization", "Bearer adm1n");
    assert!(end.await.status < 300);
    case.about("GET", &target).await.assert_refused(401, "user_ended");
}

#[tokio::test]
async fn a_status_of_200_is_never_a_refusal() {
    let case = Case::with(&format!("{RULES}reject: {{status: 200}}\n"), "nginx").await;
    assert_eq!(case.gate.get("/private/a").await.status, 200);
    case.about("GET", "/private/a").await.assert_refused(403, "denied");
    case.about("GET", &mvc("news/list/index")).await.assert_refused(401, "client_missing");
    case.about("get", "/assets/a").await.assert_refused(400, "malformed");
}

#[tokio::test]
async fn a_preflight_is_a_request_like_any_other() {
    let case = Case::with(&format!("{RULES}cors: {{origins: [\"https://a.example\"]}}\n"), "nginx").await;
    let preflight =
        |request: Request| request.header("Origin", "https://a.example").header("Access-Control-Request-Method", "GET");
    let target = mvc("news/list/index");
    assert_eq!(preflight(case.gate.request("OPTIONS", &target)).await.status, 204);
    preflight(case.about("OPTIONS", &target)).await.assert_refused(401, "client_missing");
}

#[tokio::test]
async fn whoever_is_no_trusted_proxy_is_told_nothing() {
    let case = Case::of("nginx").await;
    let log = || case.gate.log();
    let stranger = case.about("GET", "/assets/a.css").from("127.0.0.2").await;
    stranger.assert_refused(403, "denied");
    assert_eq!(identity(&stranger), [None; 3]);
    crate::support::process::until(|| log().contains("127.0.0.2 asks for a decision, and is none of trusted_proxies"))
        .await;
    // Not even where everything passes that can be forwarded.
    let observing = Case::with(&format!("{RULES}mode: observe\n"), "nginx").await;
    assert_eq!(observing.about("GET", "/private/a").await.status, 200);
    observing.about("GET", "/private/a").from("127.0.0.2").await.assert_refused(403, "denied");
    observing.about("GET", "/a/../b").await.assert_refused(400, "malformed");
}

#[tokio::test]
async fn the_endpoint_is_on_its_own_listener_alone() {
    let case = Case::of("nginx").await;
    case.gate
        .get("/ticketgate/decide")
        .header("X-Original-Method", "GET")
        .header("X-Original-URI", "/assets/a")
        .await
        .assert_refused(403, "denied");
    let admin = case.gate.admin("GET", "/ticketgate/decide").await;
    assert_eq!(admin.status, 404);
    let other = Request::new(case.gate.decide(), "GET", "/assets/a.css").header("X-Forwarded-For", "192.0.2.7");
    other.await.assert_refused(400, "malformed");
    case.backend.assert_untouched();
}

#[tokio::test]
async fn any_method_asks_and_only_the_told_one_counts() {
    let case = Case::of("nginx").await;
    for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS"] {
        let ask = |told: &str| {
            let inquiry =
                Request::new(case.gate.decide(), method, "/ticketgate/decide").header("X-Forwarded-For", "192.0.2.7");
            inquiry.header("X-Original-Method", told).header("X-Original-URI", "/assets/a")
        };
        for told in ["GET", "HEAD", "DELETE"] {
            assert_eq!(ask(told).await.status, 200, "{method} about {told}");
        }
        ask("TRACE").await.assert_refused(400, "malformed");
    }
    // The head of a refusal tells a length only where a body of that length follows.
    let refused = case.about("HEAD", "/private/a").await;
    assert_eq!((refused.status, refused.at("/code")), (403, 0.into()));
}

#[tokio::test]
async fn what_the_gate_would_take_off_is_refused_because_it_cannot() {
    let case = Case::of("nginx").await;
    for (name, value) in [
        ("X-Auth-User-Id", "1"),
        ("x-auth-client-id", "ios"),
        ("X-Auth-Session-Id", "a"),
        ("X_Auth_User_Id", "1"),
        ("X.Auth.User.Id", "1"),
        ("X-Ticketgate-Assertion", "t=1"),
        ("X-Original-URL", "/private"),
        ("X-Rewrite-URL", "/private"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Proxy", "http://a"),
    ] {
        let reply = case.about("GET", "/assets/a").header(name, value).await;
        reply.assert_refused(400, "malformed");
        assert!(reply.at("/msg").as_str().unwrap().starts_with(name), "{reply:?}");
    }
    for missing in ["X-Original-Method", "X-Original-URI", "X-Forwarded-For"] {
        case.about("GET", "/assets/a").without(missing).await.assert_refused(400, "malformed");
    }
    for twice in ["X-Original-Method", "X-Original-URI"] {
        case.about("GET", "/assets/a").header(twice, "/assets/b").await.assert_refused(400, "ambiguous");
    }
    for target in [
        "/assets/../private/a",
        "/assets//a",
        "/assets/%2e%2e/private/a",
        "/assets/a%2fb",
        "/assets/a;b",
        "assets",
        "/a#b",
    ] {
        case.about("GET", target).await.assert_refused(400, "malformed");
    }
}

#[tokio::test]
async fn each_proxy_is_believed_in_its_own_words_alone() {
    let caddy = Case::of("traefik").await;
    let about = |target: &str| caddy.inquiry().header("X-Forwarded-Method", "GET").header("X-Forwarded-Uri", target);
    assert_eq!(about("/assets/a").await.status, 200);
    about("/private/a")
        .header("X-Original-URI", "/assets/a")
        .header("X-Original-Method", "GET")
        .await
        .assert_refused(403, "denied");
    caddy.about("GET", "/assets/a").await.assert_refused(400, "malformed");

    let envoy = Case::of("envoy").await;
    let about = |target: &str| Request::new(envoy.gate.decide(), "GET", target).header("X-Forwarded-For", "192.0.2.7");
    assert_eq!(about("/ticketgate/decide/assets/a").await.status, 200);
    about("/ticketgate/decide/private/a").header("X-Original-URI", "/assets/a").await.assert_refused(403, "denied");
    for target in
        ["/ticketgate/decide", "/ticketgate/decideassets/a", "/assets/a", "/ticketgate/decide/assets/../private/a"]
    {
        about(target).await.assert_refused(400, "malformed");
    }
}
