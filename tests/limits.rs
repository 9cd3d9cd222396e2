//! Rates and lock-outs, as clients meet them.

mod support;

use std::time::Duration;

use support::backend::{Answer, FINE, FakeBackend};
use support::caller::{Caller, Session, mvc, session_of};
use support::gate::{Gate, Setup};
use support::http::{Reply, Request};
use support::redis::RedisServer;
use support::signing::Call;
use ticketgate::clock::Clock;
use tokio::task::JoinSet;

const CONFIG: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "{store}", timeout: 500ms}
clients:
  - {id: ios, secret: s3cret}
  - {id: android, secret: dr0id}
endpoint:
  - query: {module: mod, controller: ctl, action: act}
trusted_proxies: [127.0.0.1]
session: {bind: []}
rules:
  - {path: "/assets/**", require: public}
  - endpoint: user/auth/login
    require: client
    login: {success: {json: {/code: 1}}, user_id: "json:/data/uid", user_name: "form:username"}
  - endpoint: user/auth/nameless
    require: client
    login: {success: {json: {/code: 1}}, user_id: "json:/data/uid"}
  - {endpoint: sms/code/send, require: user, limit: {rate: 2/h, burst: 2}}
  - {endpoint: sms/code/list, require: client, limit: {rate: 2/h, burst: 2}}
  - {path: "/public/*", require: public, limit: {rate: 2/h, burst: 2}}
  - {endpoint: pay, require: client, signature: always}
  - {endpoint: news, require: client}
  - {endpoint: user, require: user}
"#;

const MINUTE: Duration = Duration::from_secs(60);

/// An application to which any user name may log in with the password `right`.
fn application(request: &[u8]) -> Answer {
    let text: String = request.iter().map(|byte| char::from(*byte)).collect();
    if !text.contains("password=") {
        return Answer::Bytes(FINE.to_vec());
    }
    let name = text.split("username=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or("nobody");
    let body = match text.contains("password=right") {
        true => format!("{{\"code\":1,\"data\":{{\"uid\":\"{}\"}}}}", name.to_lowercase()),
        false => "{\"code\":0,\"data\":[]}".to_owned(),
    };
    Answer::Bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

struct Case {
    gate: Gate,
    backend: FakeBackend,
}

impl Case {
    async fn with(limits: &str) -> Self {
        let backend = FakeBackend::with(application).await;
        let gate = setup(limits, &backend, "memory:").start().await;
        Self { gate, backend }
    }

    fn ios(&self) -> Caller {
        self.gate.client("ios", "s3cret")
    }

    async fn log_in(&self, address: &str, name: &str, password: &str) -> Reply {
        log_in(&self.ios(), address, name, password).await
    }

    async fn fail_logins(&self, address: &str, name: &str, times: usize) {
        for _ in 0..times {
            let reply = self.log_in(address, name, "wrong").await;
            assert_eq!((reply.status, reply.at("/code")), (200, 0.into()), "{reply:?}");
        }
    }

    fn reached(&self) -> usize {
        self.backend.requests().len()
    }
}

fn setup(limits: &str, backend: &FakeBackend, store: &str) -> Setup {
    Gate::with(&format!("{CONFIG}\n{limits}\n")).upstream(&backend.url).put("store", store)
}

async fn log_in(client: &Caller, address: &str, name: &str, password: &str) -> Reply {
    from(address, client.post("user/auth/login", &[("username", name), ("password", password)])).await
}

fn from(address: &str, request: Request) -> Request {
    request.header("X-Forwarded-For", address)
}

/// Seconds that a refused caller is told to wait.
#[track_caller]
fn told(reply: &Reply, reason: &str) -> Duration {
    reply.assert_refused(429, reason);
    let seconds = reply.header("retry-after").and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or_else(|| panic!("no Retry-After in {reply:?}")))
}

/// Sends until it is refused; says how often it passed before, and how long it is to wait.
async fn passes(request: impl Fn() -> Request) -> (usize, Duration) {
    let mut passed = 0;
    loop {
        let reply = request().await;
        if reply.status == 429 {
            return (passed, told(&reply, "limited"));
        }
        reply.assert_passed();
        passed += 1;
        assert!(passed < 1000, "nothing is limited");
    }
}

#[tokio::test]
async fn an_address_passes_as_often_as_its_rate_allows_and_again_after_waiting_as_told() {
    let case = Case::with("limits: {per_ip: {rate: 6/m, burst: 4}}").await;
    let asset = || from("203.0.113.7", case.gate.get("/assets/a.css"));
    let (passed, wait) = passes(asset).await;
    assert_eq!((passed, case.reached()), (4, 4), "no limited request reached the backend");
    assert!(wait <= Duration::from_secs(10), "{wait:?}");
    from("203.0.113.8", case.gate.get("/assets/a.css")).await.assert_passed();

    case.gate.clock.advance(wait);
    assert_eq!(passes(asset).await.0, 1);
    case.gate.clock.advance(10 * MINUTE);
    assert_eq!(passes(asset).await.0, 4, "no more than the burst gathers");
}

#[tokio::test]
async fn every_request_of_an_address_counts_whatever_becomes_of_it() {
    let case = Case::with("limits: {per_ip: {rate: 1/h, burst: 3}}").await;
    case.gate.get(&mvc("news/list/index")).await.assert_refused(401, "client_missing");
    case.gate.client("ios", "wrong").get("news/list/index").await.assert_refused(401, "client_refused");
    case.ios().get("user/info/get").await.assert_refused(401, "user_missing");
    told(&case.ios().get("news/list/index").await, "limited");
    let health = case.gate.admin("GET", "/healthz").await;
    assert_eq!(health.status, 200);
    assert_eq!(case.gate.admin("GET", "/readyz").await.status, 200);
}

#[tokio::test]
async fn a_network_of_ipv6_counts_as_one_address() {
    let case = Case::with("limits: {per_ip: {rate: 1/h, burst: 2}}").await;
    let asset = |address| from(address, case.gate.get("/assets/a.css"));
    asset("2001:db8:1:2::1").await.assert_passed();
    asset("2001:db8:1:2:ffff:ffff:ffff:ffff").await.assert_passed();
    told(&asset("2001:db8:1:2:abcd::").await, "limited");
    asset("2001:db8:1:3::1").await.assert_passed();
}

#[tokio::test]
async fn a_client_is_counted_only_once_it_has_proved_itself() {
    let case = Case::with("limits: {per_client: {rate: 1/h, burst: 3}}").await;
    for _ in 0..5 {
        case.gate.client("ios", "guess").get("news/list/index").await.assert_refused(401, "client_refused");
    }
    let ios = case.ios();
    let (passed, wait) = passes(|| ios.get("news/list/index")).await;
    assert_eq!(passed, 3);
    case.gate.client("android", "dr0id").get("news/list/index").await.assert_passed();
    case.gate.get("/assets/a.css").await.assert_passed();
    case.gate.clock.advance(wait);
    ios.get("news/list/index").await.assert_passed();
}

#[tokio::test]
async fn a_user_is_counted_over_all_sessions_and_only_once_one_is_proved() {
    let case = Case::with("limits: {per_user: {rate: 1/h, burst: 3}}").await;
    let phone = case.ios().with(session_of(&case.log_in("203.0.113.1", "lilei", "right").await));
    let tablet = case.ios().with(session_of(&case.log_in("203.0.113.2", "lilei", "right").await));
    let guess = Session { user_token: "0".repeat(32), ..phone.session().clone() };
    for _ in 0..5 {
        case.ios().with(guess.clone()).get("user/info/get").await.assert_refused(401, "user_refused");
    }
    phone.get("user/info/get").await.assert_passed();
    tablet.get("user/info/get").await.assert_passed();
    assert_eq!(passes(|| phone.get("user/info/get")).await.0, 1);
    told(&tablet.get("user/info/get").await, "limited");
    let other = case.ios().with(session_of(&case.log_in("203.0.113.1", "hanmeimei", "right").await));
    other.get("user/info/get").await.assert_passed();
}

#[tokio::test]
async fn a_rules_own_limit_counts_users_else_clients_else_addresses() {
    let case = Case::with("").await;
    let lilei = case.ios().with(session_of(&case.log_in("203.0.113.1", "lilei", "right").await));
    let other = case.ios().with(session_of(&case.log_in("203.0.113.1", "hanmeimei", "right").await));
    assert_eq!(passes(|| lilei.get("sms/code/send")).await.0, 2);
    assert_eq!(passes(|| other.get("sms/code/send")).await.0, 2);
    assert_eq!(passes(|| lilei.get("sms/code/list")).await.0, 2);
    told(&other.get("sms/code/list").await, "limited");
    let android = case.gate.client("android", "dr0id");
    assert_eq!(passes(|| android.get("sms/code/list")).await.0, 2);
    for address in ["203.0.113.1", "203.0.113.2"] {
        assert_eq!(passes(|| from(address, case.gate.get("/public/a"))).await.0, 2);
    }
    lilei.get("user/info/get").await.assert_passed();
}

#[tokio::test]
async fn ten_seconds_of_flood_pass_within_one_percent_of_the_rate() {
    let case = Case::with("limits: {per_ip: 50/s}").await;
    let mut connection = case.gate.connect().await;
    let bytes = case.gate.get("/assets/a.css").to_bytes();
    // The burst first: time begins when it is used up.
    let (mut passed, mut started) = (0_u32, None);
    let elapsed = loop {
        connection.send(&bytes).await;
        let limited = connection.reply_to("GET").await.expect("a reply").status == 429;
        let now = case.gate.clock.now();
        match started {
            None if limited => started = Some(now),
            Some(_) if !limited => passed += 1,
            _ => {}
        }
        // What passes on the wall counts as well.
        case.gate.clock.advance(Duration::from_millis(5));
        if let Some(elapsed) = started.map(|started| now.since(started)).filter(|elapsed| *elapsed >= 10 * MINUTE / 60)
        {
            break elapsed;
        }
    };
    let expected = 50.0 * elapsed.as_secs_f64();
    assert!((f64::from(passed) - expected).abs() <= expected * 0.01, "{passed} of {expected}");
}

#[tokio::test]
async fn two_gates_on_one_redis_count_together() {
    let (backend, redis) = (FakeBackend::with(application).await, RedisServer::start());
    let limits = "limits: {per_ip: {rate: 1/h, burst: 10}, failed_tokens: {tries: 4, within: 1m, lock: 3s}}";
    let gate = || setup(limits, &backend, &redis.url());
    let (left, right) = (gate().start().await, gate().start().await);
    let mut requests = JoinSet::new();
    for number in 0..40 {
        let gate = if number % 2 == 0 { &left } else { &right };
        let request = from("203.0.113.7", gate.get("/assets/a.css"));
        requests.spawn(async move { request.await.status });
    }
    let statuses = requests.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10);
    assert_eq!(backend.requests().len(), 10);

    let news = |gate: &Gate, secret| from("203.0.113.8", gate.client("ios", secret).get("news/list/index"));
    for gate in [&left, &right, &left, &right] {
        news(gate, "guess").await.assert_refused(401, "client_refused");
    }
    let wait = told(&news(&left, "s3cret").await, "locked");
    assert!(told(&news(&right, "s3cret").await, "locked") <= wait);
    tokio::time::sleep(wait).await;
    news(&left, "s3cret").await.assert_passed();
    news(&right, "s3cret").await.assert_passed();
}

#[tokio::test]
async fn while_redis_hangs_each_gate_counts_for_itself() {
    let (backend, redis) = (FakeBackend::with(application).await, RedisServer::start());
    let limits = "limits: {per_ip: {rate: 1/h, burst: 3}, failed_tokens: {tries: 2, within: 1m, lock: 1m}}";
    let gate = setup(limits, &backend, &redis.url()).start().await;
    let asset = || from("203.0.113.7", gate.get("/assets/a.css"));
    let news = |secret| from("203.0.113.8", gate.client("ios", secret).get("news/list/index"));
    asset().await.assert_passed();
    redis.signal("STOP");
    assert_eq!(passes(asset).await.0, 3);
    for _ in 0..2 {
        news("guess").await.assert_refused(401, "client_refused");
    }
    told(&news("s3cret").await, "locked");
    redis.signal("CONT");
}

#[tokio::test]
async fn wrong_client_tokens_lock_their_address_and_nothing_is_told_about_right_ones() {
    let case = Case::with("limits: {failed_tokens: {tries: 3, within: 1m, lock: 5m}}").await;
    let news = |address, id, secret| from(address, case.gate.client(id, secret).get("news/list/index"));
    for (id, secret) in [("ios", "guess"), ("nobody", "s3cret"), ("android", "guess")] {
        news("203.0.113.7", id, secret).await.assert_refused(401, "client_refused");
    }
    let wait = told(&news("203.0.113.7", "ios", "s3cret").await, "locked");
    assert_eq!(wait, 5 * MINUTE);
    told(&news("203.0.113.7", "ios", "guess").await, "locked");
    told(&from("203.0.113.7", case.ios().get("user/info/get")).await, "locked");
    told(&case.log_in("203.0.113.7", "lilei", "right").await, "locked");
    case.backend.assert_untouched();
    news("203.0.113.8", "ios", "s3cret").await.assert_passed();
    from("203.0.113.7", case.gate.get("/assets/a.css")).await.assert_passed();
    from("203.0.113.7", case.gate.get(&mvc("news/list/index"))).await.assert_refused(401, "client_missing");

    case.gate.clock.advance(wait);
    news("203.0.113.7", "ios", "s3cret").await.assert_passed();
    news("203.0.113.7", "ios", "guess").await.assert_refused(401, "client_refused");
}

#[tokio::test]
async fn wrong_signatures_lock_as_wrong_tokens_do_also_at_the_end_of_a_long_body() {
    let case = Case::with("limits: {failed_tokens: {tries: 3, within: 1m, lock: 5m}}").await;
    let call = || Call::get(&case.gate, "ios", "s3cret", "pay/order/make");
    let upload = call().posting("application/octet-stream", vec![b'x'; 3 << 20]);
    from("203.0.113.7", call().request(&case.gate)).await.assert_passed();
    for forged in [call(), upload.clone(), call()] {
        let request = forged.request_with(&case.gate, &"0".repeat(64));
        from("203.0.113.7", request).await.assert_refused(401, "sign_refused");
    }
    told(&from("203.0.113.7", call().request(&case.gate)).await, "locked");
    told(&from("203.0.113.7", case.ios().get("pay/order/make")).await, "locked");
    from("203.0.113.8", upload.request(&case.gate)).await.assert_passed();
}

#[tokio::test]
async fn who_holds_a_session_passes_an_address_that_others_locked() {
    let case = Case::with("limits: {failed_tokens: {tries: 2, within: 1m, lock: 5m}}").await;
    let lilei = case.ios().with(session_of(&case.log_in("203.0.113.7", "lilei", "right").await));
    for _ in 0..2 {
        let guess = case.gate.client("ios", "guess").get("news/list/index");
        from("203.0.113.7", guess).await.assert_refused(401, "client_refused");
    }
    from("203.0.113.7", lilei.get("user/info/get")).await.assert_passed();
    let stolen = case.gate.client("ios", "guess").with(lilei.session().clone());
    told(&from("203.0.113.7", stolen.get("user/info/get")).await, "locked");
}

#[tokio::test]
async fn failed_logins_lock_the_name_and_the_backend_is_not_asked() {
    let case = Case::with("limits: {failed_logins: {tries: 3, within: 15m, lock: 10m}}").await;
    case.fail_logins("203.0.113.7", "lilei", 3).await;
    let reached = case.reached();
    for (address, name) in [("203.0.113.7", "lilei"), ("203.0.113.7", " LiLei "), ("203.0.113.8", "lilei")] {
        let wait = told(&case.log_in(address, name, "right").await, "locked");
        assert!(wait <= 10 * MINUTE && wait > 9 * MINUTE, "{wait:?}");
    }
    assert_eq!(case.reached(), reached, "a locked login is not asked of the backend");
    session_of(&case.log_in("203.0.113.7", "hanmeimei", "right").await);

    case.gate.clock.advance(10 * MINUTE);
    session_of(&case.log_in("203.0.113.7", "lilei", "right").await);
}

#[tokio::test]
async fn guesses_from_many_addresses_lock_the_name() {
    let case = Case::with("limits: {failed_logins: {tries: 3, within: 15m, lock: 10m}}").await;
    for address in ["203.0.113.1", "203.0.113.2", "2001:db8::1"] {
        case.fail_logins(address, "lilei", 1).await;
    }
    told(&case.log_in("203.0.113.9", "lilei", "right").await, "locked");
}

#[tokio::test]
async fn guesses_touch_no_session_that_the_victim_holds() {
    let case = Case::with("limits: {failed_logins: {tries: 3, within: 15m, lock: 10m}}").await;
    let lilei = case.ios().with(session_of(&case.log_in("203.0.113.7", "lilei", "right").await));
    case.fail_logins("203.0.113.66", "lilei", 3).await;
    told(&case.log_in("203.0.113.66", "lilei", "wrong").await, "locked");
    from("203.0.113.7", lilei.get("user/info/get")).await.assert_passed();
    from("203.0.113.66", lilei.get("user/info/get")).await.assert_passed();
}

#[tokio::test]
async fn a_login_that_succeeds_forgets_failures_of_its_own_address_and_of_the_name() {
    let case = Case::with("limits: {failed_logins: {tries: 3, within: 15m, lock: 10m}}").await;
    for _ in 0..3 {
        case.fail_logins("203.0.113.7", "lilei", 2).await;
        session_of(&case.log_in("203.0.113.7", "lilei", "right").await);
    }
    // The attacker's own failures stay, however often the victim logs in.
    case.fail_logins("203.0.113.66", "lilei", 2).await;
    session_of(&case.log_in("203.0.113.7", "lilei", "right").await);
    case.fail_logins("203.0.113.66", "lilei", 1).await;
    told(&case.log_in("203.0.113.66", "lilei", "right").await, "locked");
    session_of(&case.log_in("203.0.113.7", "lilei", "right").await);
}

#[tokio::test]
async fn failures_longer_ago_than_the_time_that_counts_are_forgotten() {
    let case = Case::with("limits: {failed_logins: {tries: 3, within: 15m, lock: 10m}}").await;
    case.fail_logins("203.0.113.7", "lilei", 1).await;
    case.gate.clock.advance(10 * MINUTE);
    case.fail_logins("203.0.113.7", "lilei", 1).await;
    case.gate.clock.advance(6 * MINUTE);
    case.fail_logins("203.0.113.7", "lilei", 1).await;
    case.gate.clock.advance(3 * MINUTE);
    case.fail_logins("203.0.113.7", "lilei", 1).await;
    told(&case.log_in("203.0.113.7", "lilei", "right").await, "locked");
}

#[tokio::test]
async fn without_a_user_name_the_address_alone_counts() {
    let case = Case::with("limits: {failed_logins: {tries: 2, within: 15m, lock: 10m}}").await;
    let log_in = |address, password| from(address, case.ios().post("user/auth/nameless", &[("password", password)]));
    for _ in 0..2 {
        log_in("203.0.113.7", "wrong").await.assert_passed();
    }
    told(&log_in("203.0.113.7", "right").await, "locked");
    session_of(&log_in("203.0.113.8", "right").await);
}

#[tokio::test]
async fn a_burst_of_guesses_is_no_more_guesses() {
    let backend = FakeBackend::with(application).await;
    let gate = setup("limits: {failed_logins: {tries: 4, within: 15m, lock: 10m}}", &backend, "memory:").start().await;
    let ios = gate.client("ios", "s3cret");
    let mut guesses = JoinSet::new();
    for number in 0..40 {
        let ios = ios.clone();
        guesses.spawn(async move { log_in(&ios, &format!("203.0.113.{number}"), "lilei", "wrong").await.status });
    }
    let statuses = guesses.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 4);
    assert_eq!(backend.requests().len(), 4);
}

#[tokio::test]
async fn many_logins_of_one_name_at_once_all_succeed() {
    let case = Case::with("").await;
    let mut logins = JoinSet::new();
    for _ in 0..20 {
        let ios = case.ios();
        logins.spawn(async move { session_of(&log_in(&ios, "203.0.113.7", "lilei", "right").await) });
    }
    assert_eq!(logins.join_all().await.len(), 20);
}

#[tokio::test]
async fn observed_limits_and_locks_are_counted_and_let_pass_as_who_they_are() {
    let limits =
        "limits: {per_user: {rate: 1/h, burst: 1}, failed_logins: {tries: 2, within: 15m, lock: 10m}}\nmode: observe";
    let case = Case::with(&format!("{limits}\nlog: {{level: error, access: true}}")).await;
    let lilei = case.ios().with(session_of(&case.log_in("203.0.113.7", "lilei", "right").await));
    for _ in 0..3 {
        lilei.get("user/info/get").await.assert_passed();
        assert!(case.backend.last().contains("X-Auth-User-Id: lilei"), "{}", case.backend.last());
    }
    case.fail_logins("203.0.113.7", "lilei", 2).await;
    session_of(&case.log_in("203.0.113.7", "lilei", "right").await);
    let log = case.gate.log();
    let observed = |reason: &str| log.lines().filter(|line| line.contains(reason) && line.contains("observed")).count();
    assert_eq!((observed("\"limited\""), observed("\"locked\"")), (2, 1), "{log}");
}

#[tokio::test]
async fn each_is_turned_off_by_zero_or_nothing() {
    for off in ["0", "~"] {
        let limits = format!(
            "limits: {{per_ip: {off}, per_client: {off}, per_user: {off}, failed_logins: {off}, failed_tokens: {off}}}"
        );
        let case = Case::with(&limits).await;
        case.fail_logins("203.0.113.7", "lilei", 7).await;
        let lilei = case.ios().with(session_of(&case.log_in("203.0.113.7", "lilei", "right").await));
        lilei.get("user/info/get").await.assert_passed();
        for _ in 0..110 {
            case.gate.client("ios", "guess").get("news/list/index").await.assert_refused(401, "client_refused");
        }
        case.ios().get("news/list/index").await.assert_passed();
    }
}

#[tokio::test]
async fn where_nobody_fails_redis_is_asked_no_more_than_without_limits() {
    let (backend, redis) = (FakeBackend::with(application).await, RedisServer::start());
    let gate = setup("", &backend, &redis.url()).clock(&Clock::system()).start().await;
    let ios = gate.client("ios", "s3cret");
    let lilei = ios.clone().with(session_of(&log_in(&ios, "203.0.113.7", "lilei", "right").await));
    lilei.get("user/info/get").await.assert_passed();
    ios.get("news/list/index").await.assert_passed();

    let calls = |command: &str| {
        let stats: String = redis.command(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse::<u32>().ok()).unwrap_or_default()
    };
    // Scripts that count begin with GET; others may be under way here and note the use of the session.
    let (before, started) = ((calls("get"), calls("hmget"), calls("pttl")), std::time::Instant::now());
    for _ in 0..20 {
        lilei.get("user/info/get").await.assert_passed();
        ios.get("news/list/index").await.assert_passed();
    }
    let most = u32::try_from(started.elapsed().as_millis() / 250 + 1).unwrap_or(u32::MAX);
    assert_eq!((calls("get"), calls("hmget")), (before.0, before.1 + 20));
    // One belongs to each look at the session, and the note of its use may ask once.
    assert!(calls("pttl") <= before.2 + 20 + 1 + most, "the alarm is looked at now and then alone");
}

#[tokio::test]
async fn locks_and_rates_go_on_under_another_configuration() {
    let limits = "limits: {per_ip: {rate: 6/h, burst: 4}, failed_tokens: {tries: 2, within: 1m, lock: 5m}}";
    let mut case = Case::with(limits).await;
    for _ in 0..2 {
        let guess = case.gate.client("ios", "guess").get("news/list/index");
        from("203.0.113.7", guess).await.assert_refused(401, "client_refused");
    }
    passes(|| from("203.0.113.8", case.gate.get("/assets/a.css"))).await;
    let changed = setup(&format!("{limits}\ntimeouts: {{keep_alive: 5s}}"), &case.backend, "memory:");
    case.gate.take_up(&changed).expect("no restart is needed");
    told(&from("203.0.113.7", case.ios().get("news/list/index")).await, "locked");
    told(&from("203.0.113.8", case.gate.get("/assets/a.css")).await, "limited");
}
