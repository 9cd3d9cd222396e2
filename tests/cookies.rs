//! The application's cookies are held by the gate: it gets them back, the client never sees them.

mod support;

use std::future::IntoFuture;
use std::time::Duration;

use serde_json::json;
use support::apps::{MVC, Site};
use support::backend::FakeBackend;
use support::caller::Caller;
use support::gate::Gate;
use support::php::PhpFpm;

const NONE: Vec<&str> = vec![];

/// The JSON application with its cookies left to the client.
const PASSING: &str = r#"
upstream: {url: "{upstream}"}
clients: [{id: ios, secret: s3cret}]
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
rules:
  - endpoint: user/auth/login
    require: client
    login: {success: {json: {/code: 1}}, user_id: "json:/data/uid", cookies: pass}
  - {endpoint: user, require: user}
"#;

/// The cookies that the application is sent with this caller's requests.
async fn cookies_of(caller: &Caller) -> serde_json::Value {
    caller.get("debug/echo/all").await.at("/data/cookie")
}

#[tokio::test]
async fn held_cookies_reach_the_application_and_are_never_shown() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    assert_eq!(lilei.get("cookie/set/cart").await.all("set-cookie"), NONE);
    assert_eq!(lilei.get("cookie/set/odd").await.all("set-cookie"), NONE);

    let cookies = cookies_of(&lilei).await;
    assert_eq!(cookies["cart"], "full");
    assert_eq!((&cookies["odd"], &cookies["raw"]), (&json!("中文; a=b"), &json!("a b+c")));
    assert!(cookies["PHPSESSID"].as_str().is_some_and(|id| id.len() >= 22));
}

#[tokio::test]
async fn a_deleted_cookie_is_held_no_longer() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    lilei.get("cookie/set/cart").await.assert_passed();
    lilei.get("cookie/set/uncart").await.assert_passed();
    assert_eq!(cookies_of(&lilei).await["cart"], json!(null));
    assert_eq!(lilei.get("user/info/get").await.at("/data/uid"), 7);
}

#[tokio::test]
async fn a_cookie_lapses_when_the_application_said() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    lilei.get("cookie/set/hour").await.assert_passed();
    assert_eq!(cookies_of(&lilei).await["hour"], "yes");
    site.gate.clock.advance(Duration::from_secs(3700));
    let cookies = cookies_of(&lilei).await;
    assert_eq!(cookies["hour"], json!(null));
    assert!(cookies["PHPSESSID"].is_string(), "a cookie without an expiry stays with the session");
}

#[tokio::test]
async fn a_cookie_goes_to_its_path_alone() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    lilei.get("cookie/set/path").await.assert_passed();
    assert_eq!(cookies_of(&lilei).await["deep"], json!(null));
    let target = "/admin/?mod=debug&ctl=echo&act=all";
    let deeper = lilei.request("GET", target, "debug/echo/all").await;
    assert_eq!(deeper.at("/data/cookie/deep"), "yes");
    assert!(deeper.at("/data/cookie/PHPSESSID").is_string(), "a cookie for / goes to paths below it too");
}

#[tokio::test]
async fn the_session_follows_when_the_application_renews_its_id() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    let before = cookies_of(&lilei).await["PHPSESSID"].clone();
    lilei.get("user/auth/renew").await.assert_passed();
    assert_ne!(cookies_of(&lilei).await["PHPSESSID"], before);
    assert_eq!(lilei.get("user/info/get").await.at("/data/uid"), 7);
}

#[tokio::test]
async fn parallel_replies_do_not_undo_each_others_cookies() {
    // One worker of `php -S` may take both connections and answer them in turn; php-fpm answers them side by side.
    let php = PhpFpm::application("mvc");
    let gate = Gate::with(MVC).upstream(&php.url).start().await;
    let lilei = gate.client("ios", "s3cret").logged_in("lilei").await;
    // The application answers each of the two only when the other has arrived.
    let (a, b) = tokio::join!(lilei.get("cookie/set/a").into_future(), lilei.get("cookie/set/b").into_future());
    assert_eq!((a.at("/code"), b.at("/code")), (json!(1), json!(1)));
    let cookies = cookies_of(&lilei).await;
    assert_eq!((&cookies["a"], &cookies["b"]), (&json!("1"), &json!("2")));
}

#[tokio::test]
async fn a_session_id_chosen_by_the_client_never_reaches_the_application_at_login() {
    let backend = FakeBackend::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"code\":0}").await;
    let gate = Gate::with(MVC).upstream(&backend.url).start().await;
    let ios = gate.client("ios", "s3cret");
    let reply = ios.post("user/auth/login", &[("username", "x")]).header("Cookie", "PHPSESSID=chosen; lang=zh").await;
    reply.assert_passed();
    let asked = backend.last();
    assert!(!asked.contains("chosen") && !asked.to_ascii_lowercase().contains("cookie:"), "{asked}");
}

#[tokio::test]
async fn where_cookies_are_held_those_of_the_client_stop_at_the_gate() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    let reply = lilei.get("debug/echo/all").header("Cookie", "PHPSESSID=chosen; mine=1").await;
    assert_ne!(reply.at("/data/cookie/PHPSESSID"), "chosen");
    assert_eq!(reply.at("/data/cookie/mine"), json!(null));

    let reply = site.ios().get("debug/echo/client").header("Cookie", "PHPSESSID=chosen; mine=1").await;
    assert_eq!(reply.at("/data/cookie"), json!({}));
}

#[tokio::test]
async fn on_public_rules_cookies_pass_as_they_are() {
    let site = Site::mvc().await;
    let reply = site.gate.get("/index.php?mod=debug&ctl=echo&act=open").header("Cookie", "PHPSESSID=mine; a=1").await;
    assert_eq!(reply.at("/data/cookie"), json!({"PHPSESSID": "mine", "a": "1"}));
    assert_eq!(reply.all("set-cookie"), ["visitor=v1"]);
}

#[tokio::test]
async fn cookies_that_are_left_alone_go_to_the_client_and_come_from_it() {
    let site = Site::of("mvc", PASSING).await;
    let reply = site.ios().post("user/auth/login", &[("username", "lilei"), ("password", "lilei123")]).await;
    let cookie =
        reply.header("set-cookie").expect("the application's own cookie").split(';').next().unwrap_or_default();
    assert!(cookie.starts_with("PHPSESSID="), "{cookie}");

    let lilei = site.ios().with(support::caller::session_of(&reply));
    assert_eq!(lilei.get("user/info/get").await.at("/msg"), "请先登录");
    assert_eq!(lilei.get("user/info/get").header("Cookie", cookie).await.at("/data/uid"), 7);
}

#[tokio::test]
async fn authorization_is_not_passed_on_where_a_session_is_held() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    let reply = lilei.get("debug/echo/all").header("Authorization", "Basic bGk6bGk=").await;
    assert_eq!(reply.at("/data/headers/HTTP_AUTHORIZATION"), json!(null));
    assert!(!reply.text().contains("bGk6bGk="), "{}", reply.text());
}

#[tokio::test]
async fn authorization_passes_where_no_session_is_held_unless_credentials_are_hidden() {
    for (hidden, passes) in [("false", true), ("true", false)] {
        let backend = FakeBackend::start().await;
        let yaml = format!("{MVC}\nforward: {{hide_credentials: {hidden}}}\n");
        let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
        let public = gate.get("/index.php?mod=debug&ctl=echo&act=open").header("Authorization", "Bearer own");
        public.await.assert_passed();
        assert_eq!(backend.last().contains("Authorization: Bearer own"), passes, "{}", backend.last());
    }
}
