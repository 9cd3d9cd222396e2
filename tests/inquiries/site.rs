//! The examples of `deploy/`, set up with other ports and paths: a proxy, the gate beside it, and PHP behind both.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::caller::mvc;
use crate::support::gate::Gate;
use crate::support::http::{Reply, Request};
use crate::support::php::{Group, Php};

const RULES: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
trusted_proxies: [127.0.0.1]
decide: {listen: 127.0.0.1:0, proxy: {proxy}}
clients: [{id: ios, secret: s3cret}]
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
rules:
  - endpoint: user/auth/login
    require: client
    login: {success: {json: {/code: 1}}, user_id: "json:/data/uid", cookies: pass}
  - {path: "/assets/**", require: public}
  - {endpoint: debug/echo/open, require: public}
  - {endpoint: debug/echo/client, require: client}
  - {endpoint: news, require: client}
  - {endpoint: "*", require: user}
"#;

/// A proxy that asks.
pub(super) struct Site {
    pub(super) gate: Gate,
    pub(super) php: Php,
    pub(super) folder: TempDir,
    /// `host:port` of the proxy.
    pub(super) address: String,
    pub(super) proxy: Option<Group>,
}

impl Site {
    /// All but the proxy itself.
    pub(super) async fn before(proxy: &str) -> Self {
        let php = Php::application("mvc");
        let gate = Gate::with(RULES).upstream(&php.url).put("proxy", proxy).start().await;
        let folder = tempfile::tempdir().unwrap();
        Self { gate, php, folder, address: String::new(), proxy: None }
    }

    /// An example, with its addresses replaced.
    pub(super) fn example(&self, name: &str, others: &[(&str, String)]) -> String {
        let own = [
            ("127.0.0.1:8080", self.gate.address.clone()),
            ("127.0.0.1:8081", self.php.address().to_owned()),
            ("127.0.0.1:9901", self.gate.decide().to_owned()),
        ];
        // Comments name the same addresses.
        let text = fs::read_to_string(name).unwrap();
        let text: String =
            text.lines().filter(|line| !line.trim().starts_with('#')).map(|line| format!("{line}\n")).collect();
        own.iter().chain(others).fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        })
    }

    pub(super) fn request(&self, method: &str, target: &str) -> Request {
        Request::new(&self.address, method, target).host("app.example.org")
    }

    pub(super) fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }
}

/// What PHP was told under the name of a header.
pub(super) fn told<'a>(echo: &'a Value, name: &str) -> Option<&'a str> {
    echo["data"]["headers"][name].as_str().filter(|value| !value.is_empty())
}

/// What every proxy must see to.
pub(super) async fn serves_and_refuses(site: &Site) {
    let ios = site.gate.client("ios", "s3cret").at_address(&site.address);
    let host = |request: Request| request.host("app.example.org");

    let open = site.get(&mvc("debug/echo/open")).await.json();
    assert_eq!(open["code"], 1, "{open}");
    assert_eq!((told(&open, "HTTP_X_AUTH_USER_ID"), told(&open, "HTTP_X_AUTH_CLIENT_ID")), (None, None), "{open}");
    let client = host(ios.get("debug/echo/client")).await.json();
    assert_eq!(told(&client, "HTTP_X_AUTH_CLIENT_ID"), Some("ios"), "{client}");
    assert!(told(&client, "HTTP_X_REQUEST_ID").is_some());

    // A login is a POST, which goes to the gate; its session counts for what is asked about.
    let form = [("username", "lilei"), ("password", "lilei123")];
    let login = host(ios.post("user/auth/login", &form)).await;
    let user = ios.clone().with(crate::support::caller::session_of(&login));
    let all = host(user.get("debug/echo/all")).await.json();
    assert_eq!(told(&all, "HTTP_X_AUTH_USER_ID"), user.session().user_id.as_str().into(), "{all}");

    let refused = site.get(&mvc("news/list/index")).await;
    refused.assert_refused(401, "client_missing");
    assert_eq!((refused.at("/code"), refused.at("/data")), (0.into(), Value::Array(Vec::new())));
    assert_eq!(refused.header("Content-Type"), Some("application/json; charset=utf-8"));
    host(ios.get("user/info/get")).await.assert_refused(401, "user_missing");
    site.get("/index.php?mod=news&mod=user&ctl=list&act=index").await.assert_refused(400, "ambiguous");
    site.get("/nowhere").await.assert_refused(403, "denied");
}

/// What a client might try.
pub(super) async fn is_not_fooled(site: &Site) {
    let refused = |reply: &Reply| (400..500).contains(&reply.status);
    let closed = mvc("user/info/get");
    let open = mvc("debug/echo/open");
    // Another request is told than is made.
    for (name, value) in [
        ("X-Original-URI", open.as_str()),
        ("X-Forwarded-Uri", open.as_str()),
        ("X-Original-URL", open.as_str()),
        ("X-Rewrite-URL", open.as_str()),
        ("X-Original-Method", "OPTIONS"),
        ("X-Forwarded-Method", "OPTIONS"),
    ] {
        let reply = site.get(&closed).header(name, value).await;
        assert!(refused(&reply), "{name}: {reply:?}");
    }
    // Somebody else is told to be asking.
    for name in ["X-Auth-User-Id", "x-auth-user-id", "X_Auth_User_Id", "X-Auth_User-Id", "X.Auth.User.Id"] {
        let reply = site.get(&open).header(name, "1").await;
        let echo = if reply.status == 200 { reply.json() } else { Value::Null };
        assert!(refused(&reply) || told(&echo, "HTTP_X_AUTH_USER_ID").is_none(), "{name}: {reply:?}");
        let reply = site.get(&closed).header(name, "1").await;
        assert!(refused(&reply), "{name}: {reply:?}");
    }
    // Paths that the proxy reads otherwise than it sends them on.
    for target in [
        "/assets/../index.php?mod=user&ctl=info&act=get",
        "/assets/%2e%2e/index.php?mod=user&ctl=info&act=get",
        "/assets/..%2findex.php?mod=user&ctl=info&act=get",
        "//index.php?mod=user&ctl=info&act=get",
        "/assets//../index.php?mod=user&ctl=info&act=get",
        "/assets/.//../../index.php?mod=user&ctl=info&act=get",
        "/index.php/?mod=user&ctl=info&act=get",
        "/ticketgate/decide?mod=user&ctl=info&act=get",
        "/ticketgate/decide",
    ] {
        let reply = site.get(target).header("X-Original-URI", "/assets/a").header("X-Original-Method", "GET").await;
        assert!(refused(&reply), "{target}: {reply:?}");
    }
    // Its address is the proxy's to tell.
    let echo = site.get(&open).header("X-Forwarded-For", "6.6.6.6").await.json();
    assert_eq!(echo["code"], 1, "{echo}");
    assert!(!told(&echo, "HTTP_X_FORWARDED_FOR").unwrap_or_default().contains("6.6.6.6"), "{echo}");
}
