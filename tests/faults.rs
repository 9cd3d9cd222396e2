//! The store breaks under a running gate: what needs it is told so in time, what does not goes on, nothing is ended, and all is
//! well again by itself.

mod support;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::apps::MVC;
use support::caller::{Caller, mvc};
use support::gate::Gate;
use support::http::Reply;
use support::in_time::{TIMEOUT, in_time};
use support::php::Php;
use support::redis::RedisServer;

/// Within this every fault must have healed.
const HEALING: Duration = Duration::from_secs(10);
/// What was verified before Redis went away counts no longer than that.
const HELD: Duration = Duration::from_secs(1);

/// A gate over a Redis that keeps what it was told, and a user.
struct Case {
    gate: Gate,
    redis: RedisServer,
    lilei: Caller,
    _php: Php,
}

impl Case {
    async fn start() -> Self {
        Self::with("").await
    }

    /// With more keys of `store`.
    async fn with(more: &str) -> Self {
        let php = Php::application("mvc");
        let redis = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
        let yaml = MVC.replace("\"memory:\"", &format!("\"{}\"{more}", redis.url()));
        let gate = Gate::with(&yaml).upstream(&php.url).start().await;
        let lilei = gate.client("ios", "s3cret").logged_in("lilei").await;
        lilei.get("user/info/get").await.assert_passed();
        Self { gate, redis, lilei, _php: php }
    }

    /// That Redis is away need not be heard at once: until then what is held counts, and nobody waits longer.
    async fn is_heard(&self) {
        let since = Instant::now();
        while since.elapsed() < HELD {
            let reply = in_time(self.lilei.get("user/info/get")).await;
            if reply.status != 200 {
                assert_store_down(&reply);
            }
        }
    }

    /// What needs the store is refused in time, whichever worker is asked; all else passes.
    async fn is_down(&self) {
        for _ in 0..6 {
            assert_store_down(&in_time(self.lilei.get("user/info/get")).await);
        }
        let stranger = self.gate.client("stranger", "x");
        assert_store_down(&in_time(stranger.get("news/list/index")).await);
        self.gate.client("ios", "s3cret").get("news/list/index").await.assert_passed();
        self.gate.get(&mvc("debug/echo/open")).await.assert_passed();
        let ready = self.gate.admin("GET", "/readyz").await;
        assert!(ready.status == 503 && ready.text().contains("store"), "{}", ready.text());
        assert_eq!(self.gate.admin("GET", "/healthz").await.status, 200);
    }

    /// The same session passes again, before long.
    async fn heals(&self) {
        let since = Instant::now();
        loop {
            let reply = self.lilei.get("user/info/get").await;
            if reply.status == 200 {
                assert_eq!(reply.at("/data/name"), "李雷");
                break;
            }
            assert_store_down(&reply);
            assert!(since.elapsed() < HEALING, "it does not heal");
        }
        while self.gate.admin("GET", "/readyz").await.status != 200 {
            assert!(since.elapsed() < HEALING, "it is never ready again");
        }
    }
}

#[track_caller]
fn assert_store_down(reply: &Reply) {
    reply.assert_refused(503, "store_down");
    assert!(reply.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()), "{reply:?}");
    assert_eq!((reply.at("/code"), reply.at("/data")), (0.into(), serde_json::json!([])));
}

#[tokio::test]
async fn a_redis_that_hangs_costs_a_request_its_timeout_and_nobody_the_session() {
    let case = Case::start().await;
    case.redis.signal("STOP");
    case.is_heard().await;
    case.is_down().await;
    case.redis.signal("CONT");
    case.heals().await;
}

#[tokio::test]
async fn a_redis_that_hangs_costs_no_more_where_nothing_is_held() {
    let case = Case::with(", held: 0").await;
    case.redis.signal("STOP");
    case.is_down().await;
    case.redis.signal("CONT");
    case.heals().await;
}

#[tokio::test]
async fn many_requests_at_once_wait_for_a_hanging_redis_no_longer_than_one() {
    let case = Case::with(", held: 0").await;
    case.redis.signal("STOP");
    let mut requests = tokio::task::JoinSet::new();
    let started = Instant::now();
    for _ in 0..100 {
        requests.spawn(case.lilei.get("user/info/get").into_future());
    }
    for reply in requests.join_all().await {
        assert_store_down(&reply);
    }
    // A hundred requests are work of their own for a debug build, so the bound is not that of a single one; waiting for each
    // other, they would take a hundred time-outs.
    assert!(started.elapsed() < 2 * TIMEOUT, "they took {:?}", started.elapsed());
    case.redis.signal("CONT");
    case.heals().await;
}

#[tokio::test]
async fn a_redis_that_is_killed_and_comes_back_finds_its_gate_waiting() {
    let mut case = Case::start().await;
    case.redis.kill();
    case.is_heard().await;
    case.is_down().await;
    case.redis.restart(None);
    case.heals().await;
}

#[tokio::test]
async fn a_redis_that_became_a_replica_lets_sessions_pass_and_nothing_change() {
    let case = Case::start().await;
    let other = case.gate.client("ios", "s3cret").logged_in("lilei").await;
    case.redis.command::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    case.lilei.get("user/info/get").await.assert_passed();
    let login = [("username", "lilei"), ("password", "lilei123")];
    let reply = case.gate.client("ios", "s3cret").post("user/auth/login", &login).await;
    assert_store_down(&reply);
    assert_eq!(reply.header("set-cookie"), None);
    // Sessions cannot be ended, and that is said.
    assert_store_down(&other.get("user/auth/logout_all").await);
    // Its cookies cannot be kept, which is no reason to withhold what the application answered.
    case.lilei.get("cookie/set/cart").await.assert_passed();

    case.redis.command::<()>(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    assert_store_down(&in_time(case.lilei.get("user/info/get")).await);
    case.redis.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    case.heals().await;
    case.gate.client("ios", "s3cret").logged_in("lilei").await.get("user/info/get").await.assert_passed();
}

#[tokio::test]
async fn a_gate_may_be_started_before_its_redis() {
    let mut redis = RedisServer::start();
    redis.kill();
    let php = Php::application("mvc");
    let gate = Gate::with(&MVC.replace("memory:", &redis.url())).upstream(&php.url).start().await;
    gate.client("ios", "s3cret").get("news/list/index").await.assert_passed();
    redis.restart(None);
    let since = Instant::now();
    while gate.admin("GET", "/readyz").await.status != 200 {
        assert!(since.elapsed() < HEALING, "it never finds it");
    }
    // Each worker has a connection of its own, and finds the store by itself: some in a row mean that all have.
    let login = [("username", "lilei"), ("password", "lilei123")];
    let mut in_a_row = 0;
    while in_a_row < 8 {
        let reply = gate.client("ios", "s3cret").post("user/auth/login", &login).await;
        in_a_row = if reply.status == 200 { in_a_row + 1 } else { 0 };
        assert!(reply.status == 200 || reply.status == 503, "{}", reply.text());
        assert!(since.elapsed() < HEALING, "some worker never finds it");
    }
    gate.client("ios", "s3cret").logged_in("lilei").await.get("user/info/get").await.assert_passed();
}

#[tokio::test]
async fn sessions_in_a_file_outlive_a_gate_that_is_killed() {
    let php = Php::application("mvc");
    let directory = tempfile::tempdir().unwrap();
    let yaml = MVC.replace("memory:", &format!("file:{}", directory.path().join("state.redb").display()));
    let start = || Gate::with(&yaml).upstream(&php.url).process();

    let mut gate = start().await;
    let lilei = gate.client("ios", "s3cret").logged_in("lilei").await;
    lilei.get("cookie/set/cart").await.assert_passed();
    let ended = gate.client("ios", "s3cret").logged_in("hanmeimei").await;
    ended.get("user/auth/logout").await.assert_passed();
    gate.signal(Signal::KILL);
    support::process::until(|| gate.is_over()).await;

    let gate = start().await;
    let again = |caller: &Caller| gate.client("ios", "s3cret").with(caller.session().clone());
    let lilei = again(&lilei);
    assert_eq!(lilei.get("user/info/get").await.at("/data/name"), "李雷");
    assert_eq!(lilei.get("debug/echo/all").await.at("/data/cookie/cart"), "full", "held cookies");
    again(&ended).get("user/info/get").await.assert_refused(401, "user_refused");
}
