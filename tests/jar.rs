//! What a session's jar keeps, sends and shows, whatever the application sets and the client tries.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use std::future::IntoFuture;
use std::time::Duration;

use serde_json::json;
use support::backend::{Answer, FakeBackend};
use support::caller::{Caller, Session, session_of};
use support::gate::Gate;
use support::http::{Reply, Request};
use support::redis::RedisServer;

const YAML: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "{store}", timeout: 5s}
clients: [{id: ios, secret: s3cret}, {id: android, secret: dr0id}]
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
admin: {listen: "127.0.0.1:0", token: operator}
rules:
  - {endpoint: user/auth/login, require: client, login: {success: {json: {/code: 1}}, user_id: "json:/data/uid"}}
  - {endpoint: user/auth/open, require: public, login: {success: {json: {/code: 1}}, user_id: "json:/data/uid"}}
  - {endpoint: user/auth/cookie, require: client, login: {success: {cookie: uid}, user_id: "cookie:uid"}}
  - {endpoint: user/auth/pass, require: client, login: {success: {cookie: uid}, user_id: "cookie:uid", cookies: pass}}
  - {endpoint: open, require: public}
  - {endpoint: news, require: client}
  - {endpoint: web, require: user_only}
default: user
"#;

/// A backend that sets the cookies it is asked for (`lines`, hex), and answers the Cookie line it was sent (hex).
async fn backend() -> FakeBackend {
    FakeBackend::with(|request| {
        let text: String = request.iter().map(|byte| char::from(*byte)).collect();
        let parameter = |name: &str| {
            let value = text.split_once(&format!("&{name}=")).map_or("", |(_, rest)| rest);
            value.split(['&', ' ']).next().unwrap_or_default().to_owned()
        };
        let line = text.lines().find_map(|line| line.strip_prefix("Cookie: ")).unwrap_or_default();
        let cookie: Vec<u8> = line.chars().map(|char| u8::try_from(char).expect("a byte")).collect();
        let uid = parameter("uid");
        let body = format!(r#"{{"code":1,"data":{{"uid":"{uid}","cookie":"{}"}}}}"#, hex::encode(cookie));
        let status = if parameter("status").is_empty() { "200".to_owned() } else { parameter("status") };
        let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len()).into_bytes();
        for line in hex::decode(parameter("lines")).expect("hex").split(|byte| *byte == b'\n') {
            if !line.is_empty() {
                head.extend([b"Set-Cookie: ", line, b"\r\n"].concat());
            }
        }
        let body = if status == "304" { String::new() } else { body };
        Answer::Bytes([&head, b"\r\n".as_slice(), body.as_bytes()].concat())
    })
    .await
}

struct Site {
    gate: Gate,
    _backend: FakeBackend,
}

impl Site {
    async fn new() -> Self {
        Self::over("memory:").await
    }

    async fn over(store: &str) -> Self {
        let backend = backend().await;
        let gate = Gate::with(YAML).upstream(&backend.url).put("store", store).start().await;
        Self { gate, _backend: backend }
    }

    fn ios(&self) -> Caller {
        self.gate.client("ios", "s3cret")
    }

    /// A user whose login set these cookies.
    async fn user(&self, uid: &str, lines: &str) -> Caller {
        self.ios().with(session_of(&ask(&self.ios(), "user/auth/login", &format!("&uid={uid}"), lines).await))
    }
}

/// Asks an endpoint so that the application sets these cookies (lines).
fn ask(caller: &Caller, endpoint: &str, more: &str, lines: impl AsRef<[u8]>) -> Request {
    let target = format!("{}&lines={}{more}", support::caller::mvc(endpoint), hex::encode(lines));
    caller.request("GET", &target, endpoint)
}

/// The Cookie line that the application was sent.
fn sent(reply: &Reply) -> Vec<u8> {
    hex::decode(reply.at("/data/cookie").as_str().unwrap_or_default()).expect("hex")
}

/// The Cookie line that the application is sent for this user.
async fn held(caller: &Caller) -> String {
    String::from_utf8(sent(&ask(caller, "any/page/show", "", "").await)).expect("text")
}

const NONE: Vec<&str> = vec![];

#[tokio::test]
async fn every_byte_of_a_value_comes_back() {
    let site = Site::new().await;
    let user = site.user("7", "sid=1; path=/").await;
    let values: [&[u8]; 7] = [
        b"a%20b+c==",
        b"\"quo ted\"",
        "李雷à".as_bytes(),
        b"\xc0\xee\xc0\xd7\xa0",
        b"{\"a\":1,[b]=(c)<d>@e:f?g/h\\i}",
        b"a=b=c",
        b"x\xff",
    ];
    for value in values {
        let line = [b"v=", value, b"; path=/; HttpOnly"].concat();
        ask(&user, "any/page/show", "", &line).await.assert_passed();
        let expected = [b"sid=1; v=", value].concat();
        let found = sent(&ask(&user, "any/page/show", "", "").await);
        assert_eq!(found, expected, "{} not {}", found.escape_ascii(), expected.escape_ascii());
    }
}

#[tokio::test]
async fn a_cookie_as_large_as_a_browser_keeps_is_kept() {
    let site = Site::new().await;
    let value = "x".repeat(4096 - "v".len());
    let attributes = "; expires=Fri, 20-Nov-2099 08:00:00 GMT; Max-Age=7200; path=/; domain=.app.example; HttpOnly";
    let user = site.user("7", &format!("v={value}{attributes}")).await;
    assert_eq!(held(&user).await, format!("v={value}"));
    let user = site.user("7", &format!("v={value}x{attributes}")).await;
    assert_eq!(held(&user).await, "");
}

#[tokio::test]
async fn cookies_that_lapsed_make_room() {
    let site = Site::new().await;
    let user = site.user("7", "sid=1; path=/").await;
    let many: Vec<String> = (0..60).map(|n| format!("c{n}=1; Max-Age=60; path=/")).collect();
    ask(&user, "any/page/show", "", many.join("\n")).await.assert_passed();
    site.gate.clock.advance(Duration::from_secs(61));
    ask(&user, "any/page/show", "", "late=1; path=/").await.assert_passed();
    assert_eq!(held(&user).await, "sid=1; late=1");
}

#[tokio::test]
async fn a_jar_goes_by_name_and_path() {
    let site = Site::new().await;
    let table: &[(&str, &str)] = &[
        ("sid=2; path=/", "sid=2"),
        ("sid=2; path=/\nsid=3; path=/", "sid=3"),
        ("sid=2; path=/index.php", "sid=2; sid=1"),
        ("sid=2; path=/other", "sid=1"),
        ("sid=2; path=/index", "sid=1"),
        ("sid=; path=/", "sid="),
        ("sid=x; path=/; Max-Age=0", ""),
        ("sid=x; path=/; Max-Age=0\nsid=4; path=/", "sid=4"),
        ("sid=x; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT", ""),
        ("sid=x; path=/other; Max-Age=0", "sid=1"),
        ("SID=2; path=/", "sid=1; SID=2"),
        ("sid=2; path=/; Secure", "sid=2"),
        ("sid=2; path=/; domain=elsewhere.example", "sid=2"),
        ("sid=2; path=nonsense", "sid=2"),
        ("sid=2; PATH=/; HTTPONLY; samesite=None; Partitioned; x=y", "sid=2"),
        ("a[b]=2; path=/", "sid=1; a[b]=2"),
        ("=2; path=/", "sid=1"),
        ("nothing", "sid=1"),
    ];
    for (lines, expected) in table {
        let user = site.user("7", "sid=1; path=/").await;
        ask(&user, "any/page/show", "", lines).await.assert_passed();
        assert_eq!(held(&user).await, *expected, "{lines}");
    }
}

#[tokio::test]
async fn cookies_are_taken_up_and_hidden_whatever_the_status() {
    let site = Site::new().await;
    for status in ["200", "201", "302", "304", "404", "500"] {
        let user = site.user("7", "sid=1; path=/").await;
        let reply = ask(&user, "any/page/show", &format!("&status={status}"), "sid=2; path=/\nb=1; path=/").await;
        assert_eq!((reply.status.to_string().as_str(), reply.all("set-cookie")), (status, NONE));
        assert_eq!(held(&user).await, "sid=2; b=1", "{status}");
        let reply = ask(&site.ios(), "news/list/index", &format!("&status={status}"), "sid=2; path=/").await;
        assert_eq!(reply.all("set-cookie"), NONE, "a client without a user is shown none either: {status}");
    }
}

#[tokio::test]
async fn no_cookie_of_the_client_goes_through_where_cookies_are_held() {
    let site = Site::new().await;
    let user = site.user("7", "sid=1; path=/").await;
    let token = user.session().user_token.clone();
    for (request, expected) in [
        (ask(&user, "any/page/show", "", ""), "sid=1"),
        (ask(&user, "news/list/index", "", ""), ""),
        (ask(&site.ios(), "news/list/index", "", ""), ""),
        (ask(&site.ios(), "user/auth/login", "&uid=8", ""), ""),
        (ask(&site.ios(), "user/auth/open", "&uid=8", ""), ""),
        (site.gate.get("/index.php?mod=user&ctl=auth&act=open&uid=8"), ""),
        (site.gate.get(&format!("/index.php?mod=web&ctl=x&act=y&user_id=7&user_token={token}")), "sid=1"),
        (site.gate.get("/index.php?mod=open&ctl=x&act=y"), "sid=chosen; c=1"),
    ] {
        let reply = request.header("Cookie", "sid=chosen").header("cookie", "c=1").await;
        assert_eq!(String::from_utf8(sent(&reply)).expect("text"), expected);
    }
}

#[tokio::test]
async fn a_public_login_holds_its_cookies_too() {
    let site = Site::new().await;
    let reply = site
        .gate
        .get(&format!("/index.php?mod=user&ctl=auth&act=open&uid=7&lines={}", hex::encode("sid=1; path=/")))
        .header("Cookie", "sid=chosen")
        .await;
    let Session { user_id, user_token, .. } = session_of(&reply);
    assert_eq!((reply.all("set-cookie"), sent(&reply)), (NONE, vec![]));
    let page = format!("/index.php?mod=web&ctl=x&act=y&user_id={user_id}&user_token={user_token}");
    assert_eq!(sent(&site.gate.get(&page).await), b"sid=1");
}

#[tokio::test]
async fn a_session_that_an_operator_issued_holds_cookies_as_well() {
    let site = Site::new().await;
    let issued = site
        .gate
        .admin("POST", "/api/v1/users/7/sessions")
        .header("Authorization", "Bearer operator")
        .body("application/json", r#"{"client_id":"ios"}"#)
        .await;
    assert_eq!(issued.status, 201);
    let text = |key| issued.at(key).as_str().expect("a text").to_owned();
    let session = Session { user_id: text("/user_id"), user_token: text("/user_token"), expire_time: 0 };
    let user = site.ios().with(session);
    let reply = ask(&user, "any/page/show", "", "sid=1; path=/").header("Cookie", "sid=chosen").await;
    assert_eq!((reply.all("set-cookie"), sent(&reply)), (NONE, vec![]));
    assert_eq!(held(&user).await, "sid=1");
}

#[tokio::test]
async fn an_identity_never_changes_under_a_token() {
    let site = Site::new().await;
    let table: &[(&str, bool)] = &[
        ("uid=7; path=/", true),
        ("uid=7; path=/; Max-Age=60", true),
        ("other=8; path=/", true),
        ("uid=; path=/", true),
        ("uid=8; path=/; Max-Age=0", true),
        ("uid=8; path=/\nuid=7; path=/", true),
        ("uid=8; path=/", false),
        ("UID=8; path=/", false),
        ("uid=7; path=/\nuid=8; path=/", false),
        ("uid=7; path=/\nuid=8; path=/other", false),
        ("uid=8; path=/other\nuid=7; path=/", false),
    ];
    for endpoint in ["user/auth/cookie", "user/auth/pass"] {
        for (lines, lives) in table {
            let login = ask(&site.ios(), endpoint, "&uid=7", "uid=7; path=/").await;
            let user = site.ios().with(session_of(&login));
            let reply = ask(&user, "any/page/show", "", lines).await;
            let after = ask(&user, "any/page/show", "", "").await;
            if *lives {
                reply.assert_passed();
                after.assert_passed();
            } else {
                reply.assert_refused(401, "session_lost");
                assert_eq!(reply.all("set-cookie"), NONE);
                after.assert_refused(401, "user_refused");
            }
        }
    }
}

#[tokio::test]
async fn a_cookie_that_never_named_the_user_ends_nothing() {
    let site = Site::new().await;
    // This login's user is read from JSON; a cookie of the name that another login reads holds something else.
    let user = site.user("lilei", "uid=7; path=/").await;
    ask(&user, "any/page/show", "", "uid=8; path=/").await.assert_passed();
    assert_eq!(held(&user).await, "uid=8");
}

async fn fifty_replies_lose_no_cookie(store: &str) {
    let site = Site::over(store).await;
    let (one, two) = (site.user("7", "sid=one; path=/").await, site.user("8", "sid=two; path=/").await);
    let set = |user: &Caller, n: usize| {
        let line = format!("{}{n}={}; path=/", user.session().user_id, user.session().user_id);
        tokio::spawn(ask(user, "any/page/show", "", line).into_future())
    };
    let requests: Vec<_> = (0..40).flat_map(|n| [set(&one, n), set(&two, n)]).collect();
    for request in requests {
        let reply = request.await.expect("a reply");
        reply.assert_passed();
        assert_eq!(reply.all("set-cookie"), NONE);
    }
    for (user, sid, id) in [(&one, "one", "7"), (&two, "two", "8")] {
        let line = held(user).await;
        let mut held: Vec<&str> = line.split("; ").collect();
        let mut expected: Vec<String> = (0..40).map(|n| format!("{id}{n}={id}")).collect();
        expected.push(format!("sid={sid}"));
        held.sort_unstable();
        expected.sort_unstable();
        assert_eq!(held, expected, "{store}");
    }
}

#[tokio::test]
async fn parallel_replies_lose_no_cookie_and_mix_no_users() {
    let directory = tempfile::tempdir().expect("a directory");
    let redis = RedisServer::start();
    for store in ["memory:".to_owned(), format!("file:{}/state.redb", directory.path().display()), redis.url()] {
        fifty_replies_lose_no_cookie(&store).await;
    }
}

#[tokio::test]
async fn a_wrong_user_id_shows_nothing_of_a_jar() {
    let site = Site::new().await;
    let user = site.user("7", "sid=1; path=/").await;
    let stolen = Session { user_id: "8".to_owned(), ..user.session().clone() };
    let reply = ask(&site.ios().with(stolen), "any/page/show", "", "sid=2; path=/").await;
    reply.assert_refused(401, "user_refused");
    assert_eq!((held(&user).await, reply.at("/data")), ("sid=1".to_owned(), json!([])));
}
