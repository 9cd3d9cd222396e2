//! What a logout ends, whatever the application makes of it, and what a login ends.

mod support;

use std::time::Duration;

use support::backend::{Answer, FakeBackend};
use support::caller::{Caller, session_of};
use support::gate::Gate;
use support::http::{Connection, Request};
use support::redis::RedisServer;

const YAML: &str = r#"
upstream: {url: "{upstream}", response_timeout: 300ms}
store: {url: "{store}", timeout: 500ms}
clients: [{id: ios, secret: s3cret}, {id: android, secret: dr0id}]
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
rules:
  - endpoint: user/auth/login
    require: client
    login: {success: {json: {/code: 1}}, user_id: "json:/uid", reply: envelope}
  - {endpoint: user/auth/logout, require: user, logout: {end: this}}
  - {endpoint: user/auth/others, require: user, logout: others}
  - {endpoint: user/auth/all, require: user, logout: all}
default: user
"#;

/// A backend that answers with the status that the query asks for; `slow` never, `dead` by closing, `short` with half a body.
async fn backend() -> FakeBackend {
    FakeBackend::with(|request| {
        let text: String = request.iter().map(|byte| char::from(*byte)).collect();
        let parameter = |name: &str| {
            let value = text.split_once(&format!("&{name}=")).map_or("", |(_, rest)| rest);
            value.split(['&', ' ']).next().unwrap_or_default().to_owned()
        };
        let body = format!(r#"{{"code":1,"uid":"{}"}}"#, parameter("uid"));
        match parameter("status").as_str() {
            "slow" => Answer::Never,
            "dead" => Answer::Close,
            "short" => Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhalf".to_vec()),
            "" => {
                Answer::Bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
            }
            status => Answer::Bytes(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").into_bytes()),
        }
    })
    .await
}

struct Site {
    gate: Gate,
    backend: FakeBackend,
}

impl Site {
    async fn new() -> Self {
        Self::with("memory:", "").await
    }

    async fn with(store: &str, more: &str) -> Self {
        let backend = backend().await;
        let gate = Gate::with(&format!("{YAML}\n{more}\n")).upstream(&backend.url).put("store", store).start().await;
        Self { gate, backend }
    }

    fn ios(&self) -> Caller {
        self.gate.client("ios", "s3cret")
    }

    async fn user(&self, uid: &str) -> Caller {
        logged_in(&self.ios(), uid).await
    }
}

fn login(caller: &Caller, uid: &str) -> Request {
    ask(caller, "user/auth/login", &format!("&uid={uid}"))
}

/// A new session, logged in with whatever session the caller has.
async fn logged_in(caller: &Caller, uid: &str) -> Caller {
    caller.clone().with(session_of(&login(caller, uid).await))
}

fn ask(caller: &Caller, endpoint: &str, more: &str) -> Request {
    caller.request("GET", &format!("{}{more}", support::caller::mvc(endpoint)), endpoint)
}

/// Whether a session lives, or why not.
async fn reason_for(caller: &Caller) -> String {
    ask(caller, "any/page/show", "").await.reason().to_owned()
}

#[tokio::test]
async fn logging_out_ends_this_session_whatever_the_application_answers() {
    let site = Site::new().await;
    for status in ["200", "204", "302", "400", "401", "404", "500", "503"] {
        let (user, other) = (site.user("7").await, site.user("7").await);
        let reply = ask(&user, "user/auth/logout", &format!("&status={status}")).await;
        assert_eq!((reply.status.to_string().as_str(), reply.reason()), (status, ""));
        assert_eq!(reason_for(&user).await, "user_refused", "{status}");
        assert_eq!(reason_for(&other).await, "", "{status}");
    }
}

#[tokio::test]
async fn a_logout_whose_reply_breaks_off_is_one_all_the_same() {
    let site = Site::new().await;
    let user = site.user("7").await;
    let mut connection = Connection::open(&site.gate.address).await;
    connection.send(&ask(&user, "user/auth/logout", "&status=short").to_bytes()).await;
    connection.rest().await;
    assert_eq!(reason_for(&user).await, "user_refused");
}

#[tokio::test]
async fn a_logout_that_the_application_does_not_answer_ends_nothing() {
    let site = Site::new().await;
    for endpoint in ["user/auth/logout", "user/auth/others", "user/auth/all"] {
        let (user, other) = (site.user("7").await, site.user("7").await);
        ask(&user, endpoint, "&status=dead").await.assert_refused(502, "upstream_failed");
        ask(&user, endpoint, "&status=slow").await.assert_refused(504, "upstream_timeout");
        assert_eq!((reason_for(&user).await, reason_for(&other).await), (String::new(), String::new()));
    }
}

#[tokio::test]
async fn other_sessions_end_only_where_the_application_did_not_fail() {
    let site = Site::new().await;
    for (endpoint, status, this, others) in [
        ("user/auth/others", "200", "", "user_refused"),
        ("user/auth/others", "302", "", "user_refused"),
        ("user/auth/others", "500", "", ""),
        ("user/auth/others", "403", "", ""),
        ("user/auth/all", "200", "user_refused", "user_refused"),
        ("user/auth/all", "500", "", ""),
    ] {
        let (user, other, stranger) = (site.user("7").await, site.user("7").await, site.user("8").await);
        ask(&user, endpoint, &format!("&status={status}")).await;
        let after = (reason_for(&user).await, reason_for(&other).await, reason_for(&stranger).await);
        assert_eq!(after, (this.to_owned(), others.to_owned(), String::new()), "{endpoint} {status}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_the_answer_has_logged_out() {
    let site = Site::new().await;
    let user = site.user("7").await;
    let before = site.backend.requests().len();
    let mut connection = Connection::open(&site.gate.address).await;
    connection.send(&ask(&user, "user/auth/logout", "").to_bytes()).await;
    drop(connection);
    while site.backend.requests().len() == before {
        tokio::task::yield_now().await;
    }
    let ended = async {
        while reason_for(&user).await != "user_refused" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the session ends");
}

#[tokio::test]
async fn a_login_ends_the_session_under_which_it_was_made() {
    let site = Site::new().await;
    for uid in ["7", "8"] {
        let (old, other) = (site.user("7").await, site.user("7").await);
        let new = logged_in(&old, uid).await;
        assert_eq!(reason_for(&old).await, "user_refused");
        assert_eq!((reason_for(&new).await, reason_for(&other).await), (String::new(), String::new()));
    }
}

#[tokio::test]
async fn a_login_ends_no_session_that_the_caller_could_not_use() {
    let site = Site::new().await;
    let old = site.user("7").await;
    // The token of a session with another's name, or by another client, proves nothing.
    let mut foreign = old.session().clone();
    foreign.user_id = "8".to_owned();
    logged_in(&site.ios().with(foreign), "8").await;
    assert_eq!(reason_for(&old).await, "");
    logged_in(&site.gate.client("android", "dr0id").with(old.session().clone()), "8").await;
    assert_eq!(reason_for(&old).await, "");
    let mut unknown = old.session().clone();
    unknown.user_token = "0".repeat(32);
    logged_in(&site.ios().with(unknown), "8").await;
    assert_eq!(reason_for(&old).await, "");
}

/// Two stores, because one gate at a time holds a file.
async fn a_login_takes_the_place_of_the_old_session(store: &str, another: &str) {
    let site = Site::with(store, "session: {per_user: 2}").await;
    let first = site.user("7").await;
    site.gate.clock.advance(Duration::from_millis(10));
    let second = site.user("7").await;
    let third = logged_in(&second, "7").await;
    assert_eq!(reason_for(&first).await, "", "{store}: there was room");
    assert_eq!((reason_for(&second).await.as_str(), reason_for(&third).await.as_str()), ("user_refused", ""));

    let site = Site::with(another, "session: {per_user: 1, when_full: refuse}").await;
    let first = site.user("9").await;
    login(&site.ios(), "9").await.assert_refused(403, "denied");
    let second = logged_in(&first, "9").await;
    assert_eq!(
        (reason_for(&first).await.as_str(), reason_for(&second).await.as_str()),
        ("user_refused", ""),
        "{store}"
    );
}

#[tokio::test]
async fn where_sessions_are_counted_a_login_takes_the_place_of_the_old_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let redis = RedisServer::start();
    let file = |name: &str| format!("file:{}/{name}.redb", directory.path().display());
    for [one, two] in
        [["memory:".to_owned(), "memory:".to_owned()], [file("one"), file("two")], [redis.url(), redis.url()]]
    {
        a_login_takes_the_place_of_the_old_session(&one, &two).await;
    }
}

#[tokio::test]
async fn a_login_while_the_store_is_down_makes_no_session_and_ends_none() {
    let redis = RedisServer::start();
    let site = Site::with(&redis.url(), "").await;
    let old = site.user("7").await;
    redis.signal("STOP");
    for caller in [site.ios(), old.clone()] {
        let reply = login(&caller, "7").await;
        reply.assert_refused(503, "store_down");
        assert!(reply.header("retry-after").is_some() && reply.all("set-cookie").is_empty());
    }
    redis.signal("CONT");
    let again = async {
        loop {
            let reply = login(&site.ios(), "7").await;
            if reply.status == 200 {
                return site.ios().with(session_of(&reply));
            }
        }
    };
    let new = tokio::time::timeout(Duration::from_secs(10), again).await.expect("the store heals");
    // Each worker finds back to the store by itself.
    for user in [&new, &old] {
        let mut reason = reason_for(user).await;
        while reason == "store_down" {
            reason = reason_for(user).await;
        }
        assert_eq!(reason, "");
    }
}
