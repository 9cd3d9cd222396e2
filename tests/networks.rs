//! What becomes of requests when the network to Redis or to the application is slow, silent or cut: bounded in time, refused and never
//! let through, and well again soon after it is.

mod support;

use std::time::{Duration, Instant};

use support::apps::MVC;
use support::caller::Caller;
use support::fault_proxy::{FaultProxy, Network};
use support::gate::Gate;
use support::in_time::{TIMEOUT, in_time};
use support::php::Php;
use support::process::Process;
use support::redis::RedisServer;

/// What was verified before the network broke counts no longer than that.
const HELD: Duration = Duration::from_secs(1);
/// Within this all must be well again; an attempt to connect that was under way takes the time-out first.
const STEADY: Duration = Duration::from_millis(200 + 250);
/// What a machine under load may add to that.
const LOAD: Duration = Duration::from_secs(2);

struct Case {
    gate: Gate,
    proxy: FaultProxy,
    lilei: Caller,
    _redis: RedisServer,
    _php: Php,
}

impl Case {
    async fn start() -> Self {
        let (php, redis) = (Php::application("mvc"), RedisServer::start());
        let proxy = FaultProxy::before(format!("127.0.0.1:{}", redis.port())).await;
        let yaml = MVC.replace("memory:", &format!("redis://{}", proxy.address));
        let gate = Gate::with(&yaml).upstream(&php.url).start().await;
        let lilei = gate.client("ios", "s3cret").logged_in("lilei").await;
        lilei.get("user/info/get").await.assert_passed();
        Self { gate, proxy, lilei, _redis: redis, _php: php }
    }

    /// Wrong tokens, which nothing held can answer for: never let through, each answer in time.
    async fn lets_nobody_in(&self) {
        let stranger = self.gate.client("stranger", "x");
        for _ in 0..4 {
            let reply = in_time(stranger.get("news/list/index")).await;
            assert!(
                matches!((reply.status, reply.reason()), (503, "store_down") | (401, "client_refused")),
                "{reply:?}"
            );
        }
    }

    /// Once what is held counts no more, a good session is neither let through nor ended.
    async fn refuses(&self) {
        let since = Instant::now();
        while since.elapsed() < HELD {
            let reply = in_time(self.lilei.get("user/info/get")).await;
            assert!(reply.status == 200 || reply.reason() == "store_down", "{reply:?}");
        }
        for _ in 0..4 {
            in_time(self.lilei.get("user/info/get")).await.assert_refused(503, "store_down");
        }
        self.lets_nobody_in().await;
    }

    /// The network is well: so is the gate, soon and from then on.
    async fn heals(&self) {
        self.proxy.set(Network::Well);
        let since = Instant::now();
        while self.lilei.get("user/info/get").await.status != 200 {
            assert!(since.elapsed() < STEADY + LOAD, "it does not heal");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        eprintln!("well again after {:?}", since.elapsed());
        let steady = tokio::time::sleep(STEADY);
        steady.await;
        for _ in 0..20 {
            self.lilei.get("user/info/get").await.assert_passed();
        }
    }
}

#[tokio::test]
async fn a_redis_that_nothing_reaches_and_nothing_comes_from_costs_the_timeout() {
    let case = Case::start().await;
    case.proxy.set(Network::Blackhole);
    case.refuses().await;
    case.heals().await;
}

#[tokio::test]
async fn a_redis_whose_answers_come_too_late_is_away_and_no_answer_is_anothers() {
    let case = Case::start().await;
    case.proxy.set(Network::Late(TIMEOUT * 2));
    case.refuses().await;
    case.heals().await;
}

#[tokio::test]
async fn a_redis_that_is_a_little_late_is_waited_for() {
    let case = Case::start().await;
    case.proxy.set(Network::Late(Duration::from_millis(20)));
    for _ in 0..5 {
        in_time(case.lilei.get("user/info/get")).await.assert_passed();
        case.lets_nobody_in().await;
    }
    case.heals().await;
}

#[tokio::test]
async fn a_redis_whose_bytes_trickle_is_away() {
    let case = Case::start().await;
    case.proxy.set(Network::Slow(Duration::from_millis(40)));
    case.refuses().await;
    case.heals().await;
}

#[tokio::test]
async fn a_redis_whose_bytes_come_one_by_one_is_understood() {
    let case = Case::start().await;
    case.proxy.set(Network::Sliced);
    for user in ["lilei", "hanmeimei"] {
        let caller = case.gate.client("ios", "s3cret").logged_in(user).await;
        caller.get("user/info/get").await.assert_passed();
    }
    let stranger = case.gate.client("stranger", "x");
    stranger.get("news/list/index").await.assert_refused(401, "client_refused");
    case.heals().await;
}

#[tokio::test]
async fn a_redis_whose_connections_are_cut_is_away_at_once() {
    let case = Case::start().await;
    for network in [Network::Reset, Network::Closed, Network::CutOff] {
        case.proxy.set(network);
        case.refuses().await;
        case.heals().await;
    }
}

#[tokio::test]
async fn a_login_under_a_broken_network_hands_out_no_token() {
    let case = Case::start().await;
    for network in [Network::Blackhole, Network::Reset, Network::Late(TIMEOUT * 2), Network::CutOff] {
        case.proxy.set(network);
        let caller = case.gate.client("ios", "s3cret");
        let reply = caller.post("user/auth/login", &[("username", "hanmeimei"), ("password", "hanmeimei123")]).await;
        assert!(reply.status == 503 || reply.at("/data/user_token").is_null(), "{network:?}: {reply:?}");
        case.heals().await;
    }
}

// ---- the application

const OPEN: &str = r#"
upstream: {url: "{upstream}", response_timeout: 3s}
store: {url: "memory:"}
rules: [{path: "/**", require: public}]
"#;

#[tokio::test]
async fn an_application_behind_a_broken_network_is_a_failed_one_and_well_again_at_once() {
    let backend = support::backend::FakeBackend::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let proxy = FaultProxy::before(backend.url.trim_start_matches("http://").to_owned()).await;
    let gate = Gate::with(OPEN).upstream(&format!("http://{}", proxy.address)).start().await;
    gate.get("/a").await.assert_passed();
    for (network, status, reason) in [
        (Network::Blackhole, 504, "upstream_timeout"),
        (Network::Late(Duration::from_secs(6)), 504, "upstream_timeout"),
        (Network::Reset, 502, "upstream_failed"),
        (Network::Closed, 502, "upstream_failed"),
        (Network::CutOff, 502, "upstream_failed"),
    ] {
        proxy.set(network);
        let started = Instant::now();
        gate.get("/a").await.assert_refused(status, reason);
        assert!(started.elapsed() < Duration::from_secs(3) + LOAD, "{network:?}: {:?}", started.elapsed());
        proxy.set(Network::Well);
        gate.get("/a").await.assert_passed();
    }
    for network in [Network::Sliced, Network::Late(Duration::from_millis(50)), Network::Slow(Duration::from_millis(2))]
    {
        proxy.set(network);
        assert_eq!(gate.get("/a").await.text(), "ok", "{network:?}");
    }
}

/// More connections than the process has files for: the admin listener answers all the same.
#[tokio::test]
async fn files_that_run_out_silence_nobody() {
    let backend = support::backend::FakeBackend::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let yaml = OPEN.replace("{upstream}", &backend.url);
    let yaml = format!("listen: 127.0.0.1:0\nadmin: {{listen: \"127.0.0.1:0\"}}\n{yaml}");
    let gate = Process::serve_with_files(&yaml, 200).await;
    let mut connections = Vec::new();
    for _ in 0..300 {
        connections.push(gate.connect().await);
    }
    assert_eq!(gate.admin("GET", "/healthz").await.status, 200);

    connections.clear();
    let since = Instant::now();
    while gate.get("/a").await.status != 200 {
        assert!(since.elapsed() < Duration::from_secs(20), "it never serves again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
