//! Sessions: whose they are, what they are bound to, when they end.

mod support;

use std::time::Duration;

use serde_json::json;
use support::backend::FakeBackend;
use support::caller::{Caller, Session, mvc, session_of};
use support::gate::{Gate, move_to};
use support::http::{Reply, Request};
use ticketgate::clock::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const MILLI: Duration = Duration::from_millis(1);

const BASE: &str = r#"
upstream: {url: "{upstream}"}
clients:
  - {id: ios, secret: s3cret}
  - {id: android, secret: dr0id}
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
admin: {listen: 127.0.0.1:0, token: adm1n}
rules:
  - endpoint: user/auth/login
    require: client
    login: {success: {json: {/code: 1}}, user_id: "json:/data/uid"}
  - endpoint: user/auth/enter
    require: public
    login: {success: {json: {/code: 1}}, user_id: "json:/data/uid"}
  - {endpoint: user/auth/logout, require: user, logout: this}
  - {endpoint: user/auth/password, require: user, logout: others}
  - {endpoint: user/auth/leave, require: user, logout: all}
  - {endpoint: user/box/poll, require: user, extend: false}
  - {endpoint: user/box/peek, require: user_only}
  - {endpoint: user, require: user}
"#;

/// Whoever logs in is user 7.
const SEVEN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{\"code\":1,\"data\":{\"uid\":7}}";

struct Case {
    gate: Gate,
    _backend: FakeBackend,
}

impl Case {
    async fn new(session: &str) -> Self {
        let backend = FakeBackend::answering(SEVEN).await;
        let gate = Gate::with(&format!("{BASE}\nsession: {session}\n")).upstream(&backend.url).start().await;
        Self { gate, _backend: backend }
    }

    fn ios(&self) -> Caller {
        self.gate.client("ios", "s3cret")
    }

    async fn login(&self) -> Caller {
        let reply = self.ios().post("user/auth/login", &[]).await;
        self.ios().with(session_of(&reply))
    }

    fn admin(&self, method: &str, target: &str) -> Request {
        self.gate.admin(method, target).header("Authorization", "Bearer adm1n")
    }

    /// Moves the clock to so long after `then`.
    fn move_past(&self, then: Timestamp, by: Duration) {
        let now = self.gate.clock.now();
        self.gate.clock.advance(then.plus(by).since(now));
        self.gate.clock.set_back(now.since(then.plus(by)));
    }
}

/// Without extending it.
async fn poll(user: &Caller) -> Reply {
    user.get("user/box/poll").await
}

fn with_user_id(caller: &Caller, user_id: &str) -> Caller {
    caller.clone().with(Session { user_id: user_id.to_owned(), ..caller.session().clone() })
}

#[tokio::test]
async fn a_user_token_opens_for_its_owner_alone() {
    let case = Case::new("{}").await;
    let user = case.login().await;
    assert_eq!(user.session().user_id, "7");
    poll(&user).await.assert_passed();
    for other in ["8", "07", "7 ", " 7", "7%00", "+7", "70"] {
        poll(&with_user_id(&user, other)).await.assert_refused(401, "user_refused");
    }
    let without = |query: &str| {
        let target = case.ios().target(&mvc("user/box/poll"), "user/box/poll");
        case.gate.get(&format!("{target}{query}"))
    };
    let token = &user.session().user_token;
    without("").await.assert_refused(401, "user_missing");
    without("&user_id=7").await.assert_refused(401, "user_missing");
    without("&user_id=7&user_token=").await.assert_refused(401, "user_missing");
    without(&format!("&user_token={token}")).await.assert_refused(401, "user_missing");
    without(&format!("&user_token={token}&user_id=")).await.assert_refused(401, "user_missing");
    without(&format!("&user_token={}&user_id=7", token.to_uppercase())).await.assert_refused(401, "user_refused");
    without(&format!("&user_token={token}0&user_id=7")).await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn a_user_id_that_is_optional_must_fit_where_it_is_given() {
    let case = Case::new("{user_id: optional}").await;
    let user = case.login().await;
    let target = case.ios().target(&mvc("user/box/poll"), "user/box/poll");
    let token = &user.session().user_token;
    for (query, reason) in [("", ""), ("&user_id=", ""), ("&user_id=7", ""), ("&user_id=8", "user_refused")] {
        let reply = case.gate.get(&format!("{target}&user_token={token}{query}")).await;
        assert_eq!(reply.reason(), reason, "{query}");
    }
    let header = case.gate.get(&target).header("Authorization", &format!("Bearer {token}"));
    header.clone().await.assert_passed();
    header.header("X-User-Id", "8").await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn an_unused_session_ends_when_its_login_said() {
    let case = Case::new("{idle: 2h, max_age: 30d, extend_every: 1m}").await;
    let before = case.gate.clock.now();
    let user = case.login().await;
    let after = case.gate.clock.now();
    let told = user.session().expire_time;
    assert!((before.plus(2 * HOUR).as_secs()..=after.plus(2 * HOUR).as_secs()).contains(&told));
    case.move_past(before, 2 * HOUR - 500 * MILLI);
    poll(&user).await.assert_passed();
    case.move_past(after, 2 * HOUR + MINUTE + MILLI);
    poll(&user).await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn a_session_lives_idle_after_each_use_and_at_most_extend_every_longer() {
    for (idle, every) in [(2 * HOUR, MINUTE), (10 * MINUTE, 9 * MINUTE), (Duration::from_secs(2), MILLI)] {
        let yaml = format!("{{idle: {}ms, extend_every: {}ms}}", idle.as_millis(), every.as_millis());
        // Uses that come at odd distances, of which the store is told of some only.
        for steps in [vec![1], vec![every.as_millis() + 1], vec![every.as_millis() / 2, 7, every.as_millis() / 2, 1]] {
            let case = Case::new(&yaml).await;
            let user = case.login().await;
            for step in steps {
                case.gate.clock.advance(Duration::from_millis(u64::try_from(step).unwrap_or_default()));
                user.get("user/info/get").await.assert_passed();
            }
            let used = case.gate.clock.now();
            case.move_past(used, idle - 300 * MILLI);
            poll(&user).await.assert_passed();
            case.move_past(used, idle + every + MILLI);
            poll(&user).await.assert_refused(401, "user_refused");
        }
    }
}

#[tokio::test]
async fn uses_that_do_not_count_prolong_nothing() {
    let case = Case::new("{idle: 1h, extend_every: 1s}").await;
    let user = case.login().await;
    let login = case.gate.clock.now();
    case.gate.clock.advance(HOUR - 10 * Duration::from_secs(1));
    poll(&user).await.assert_passed();
    user.get("user/box/peek").header("X-Nonce", "a").header("X-Nonce", "b").await.assert_refused(400, "ambiguous");
    with_user_id(&user, "8").get("user/info/get").await.assert_refused(401, "user_refused");
    case.gate
        .client("ios", "wrong")
        .with(user.session().clone())
        .get("user/info/get")
        .await
        .assert_refused(401, "client_refused");
    case.gate
        .client("android", "dr0id")
        .with(user.session().clone())
        .get("user/info/get")
        .await
        .assert_refused(403, "wrong_channel");
    case.move_past(login, HOUR + 2 * Duration::from_secs(1));
    poll(&user).await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn whatever_happens_a_session_ends_at_its_greatest_age() {
    for (idle, max_age) in [(HOUR, 2 * HOUR + MINUTE), (HOUR, 30 * MINUTE), (HOUR, HOUR)] {
        let case = Case::new(&format!("{{idle: {}s, max_age: {}s}}", idle.as_secs(), max_age.as_secs())).await;
        let before = case.gate.clock.now();
        let user = case.login().await;
        let after = case.gate.clock.now();
        let told = Duration::from_secs(user.session().expire_time);
        assert!(told <= Duration::from_millis(after.plus(idle.min(max_age)).as_millis()));
        let mut at = Duration::ZERO;
        while at + 29 * MINUTE < max_age {
            at += 29 * MINUTE;
            case.move_past(before, at);
            user.get("user/info/get").await.assert_passed();
        }
        case.move_past(before, max_age - 300 * MILLI);
        user.get("user/info/get").await.assert_passed();
        case.move_past(after, max_age + MILLI);
        user.get("user/info/get").await.assert_refused(401, "user_refused");
    }
}

#[tokio::test]
async fn a_session_is_bound_to_its_client_unless_told_otherwise() {
    let case = Case::new("{}").await;
    let user = case.login().await;
    let android = case.gate.client("android", "dr0id").with(user.session().clone());
    poll(&android).await.assert_refused(403, "wrong_channel");
    let without_client = format!("{}&user_id=7&user_token={}", mvc("user/box/peek"), user.session().user_token);
    case.gate.get(&without_client).await.assert_passed();

    // Who logged in without a client is bound to none.
    let entered = session_of(&case.gate.post(&mvc("user/auth/enter")).await);
    poll(&case.ios().with(entered.clone())).await.assert_refused(403, "wrong_channel");
    let target = format!("{}&user_id=7&user_token={}", mvc("user/box/peek"), entered.user_token);
    case.gate.get(&target).await.assert_passed();

    let loose = Case::new("{bind: []}").await;
    let user = loose.login().await;
    poll(&loose.gate.client("android", "dr0id").with(user.session().clone())).await.assert_passed();
}

#[tokio::test]
async fn a_session_may_be_bound_to_the_address_and_the_program() {
    let backend = FakeBackend::answering(SEVEN).await;
    let yaml = format!("{BASE}\nsession: {{bind: [client, ip, user_agent]}}\ntrusted_proxies: [127.0.0.0/8]\n");
    let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
    let ios = gate.client("ios", "s3cret");
    let from =
        |request: Request, ip: &str, agent: &str| request.header("X-Forwarded-For", ip).header("User-Agent", agent);
    let login = from(ios.post("user/auth/login", &[]), "10.1.1.1", "app/1").await;
    let user = ios.with(session_of(&login));
    for (ip, agent, status, reason) in [
        ("10.1.1.1", "app/1", 200, ""),
        ("10.1.1.2", "app/1", 403, "wrong_channel"),
        ("10.1.1.1", "app/2", 403, "wrong_channel"),
        ("10.1.1.1", "", 403, "wrong_channel"),
        ("6.6.6.6, 10.1.1.1", "app/1", 200, ""),
        ("10.1.1.1, 6.6.6.6", "app/1", 403, "wrong_channel"),
    ] {
        let reply = from(user.get("user/info/get"), ip, agent).await;
        assert_eq!((reply.status, reply.reason()), (status, reason), "{ip} {agent}");
    }
}

#[tokio::test]
async fn the_newest_login_ends_the_oldest_session_where_a_user_holds_too_many() {
    let case = Case::new("{per_user: 2}").await;
    let first = case.login().await;
    case.gate.clock.advance(MINUTE);
    let second = case.login().await;
    case.gate.clock.advance(MINUTE);
    first.get("user/info/get").await.assert_passed();
    let third = case.login().await;
    poll(&first).await.assert_refused(401, "user_ended");
    poll(&second).await.assert_passed();
    poll(&third).await.assert_passed();
    let listed = case.admin("GET", "/api/v1/users/7/sessions").await;
    assert_eq!(listed.status, 200);
    assert!(!listed.text().contains(&second.session().user_token));
}

#[tokio::test]
async fn a_full_user_may_be_refused_instead() {
    let case = Case::new("{per_user: 1, when_full: refuse}").await;
    let first = case.login().await;
    let second = case.ios().post("user/auth/login", &[]).await;
    assert_eq!(second.status, 403, "{}", second.text());
    poll(&first).await.assert_passed();
    first.get("user/auth/logout").await.assert_passed();
    poll(&case.login().await).await.assert_passed();
}

#[tokio::test]
async fn how_a_session_ended_decides_what_its_holder_is_told() {
    let case = Case::new("{}").await;
    let user = case.login().await;
    user.get("user/auth/logout").await.assert_passed();
    poll(&user).await.assert_refused(401, "user_refused");

    let (one, other) = (case.login().await, case.login().await);
    one.get("user/auth/password").await.assert_passed();
    poll(&one).await.assert_passed();
    let told = poll(&other).await;
    assert_eq!((told.status, told.reason()), (401, "user_refused"));
    let again = case.login().await;
    one.get("user/auth/leave").await.assert_passed();
    poll(&one).await.assert_refused(401, "user_refused");
    poll(&again).await.assert_refused(401, "user_refused");

    let user = case.login().await;
    assert_eq!(case.admin("DELETE", "/api/v1/users/7/sessions").await.status, 200);
    let told = poll(&user).await;
    told.assert_refused(401, "user_ended");
    assert_eq!(told.at("/data"), json!([]));
    // Nothing brings it back.
    user.get("user/info/get").await.assert_refused(401, "user_ended");
    poll(&user).await.assert_refused(401, "user_ended");
}

#[tokio::test]
async fn what_the_client_lacks_is_told_before_what_the_user_lacks() {
    let case = Case::new("{}").await;
    let user = case.login().await;
    let target = format!("{}&user_id=8&user_token=x", mvc("user/info/get"));
    case.gate.get(&target).await.assert_refused(401, "client_missing");
    case.gate.get(&format!("{target}&client_id=ios&api_token=0")).await.assert_refused(401, "client_refused");
    case.ios().request("GET", &target, "user/info/get").await.assert_refused(401, "user_refused");
    let elsewhere = format!("/x?user_id=7&user_token={}", user.session().user_token);
    case.gate.get(&elsewhere).await.assert_refused(403, "denied");
}

#[tokio::test]
async fn a_store_that_is_away_is_no_reason_to_refuse_otherwise() {
    let backend = FakeBackend::start().await;
    let yaml = format!("{BASE}\nstore: {{url: \"redis://127.0.0.1:1/0\"}}\n");
    let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
    let session = Session { user_id: "7".to_owned(), user_token: "0".repeat(32), expire_time: 0 };
    let ios = gate.client("ios", "s3cret").with(session.clone());
    ios.get("user/info/get").await.assert_refused(503, "store_down");
    gate.client("ios", "wrong").with(session.clone()).get("user/info/get").await.assert_refused(401, "client_refused");
    gate.client("ios", "s3cret").get("user/info/get").await.assert_refused(401, "user_missing");
    with_user_id(&ios, "").get("user/info/get").await.assert_refused(401, "user_missing");
    gate.client("nobody", "x").with(session).get("user/info/get").await.assert_refused(503, "store_down");
    backend.assert_untouched();
}

#[tokio::test]
async fn a_clock_that_is_set_back_ends_no_session() {
    let case = Case::new("{idle: 1h}").await;
    let user = case.login().await;
    move_to(&case.gate.clock, case.gate.clock.now().as_secs() - 60);
    user.get("user/info/get").await.assert_passed();
}
