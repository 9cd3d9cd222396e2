//! The master of a service fails or steps down under load: no session that Redis kept is lost, nobody passes who should not, and
//! requests are left undecided for a few seconds at most.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use support::apps::MVC;
use support::backend::FakeBackend;
use support::caller::Caller;
use support::gate::Gate;
use support::load::{Load, Tale};
use support::redis::sentinels::{SERVICE, Sentinels};

const LOGIN: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{\"code\":1,\"data\":{\"uid\":7}}\n";
/// Requests may be left undecided for so long: a second until the Sentinels believe it, the rest for their vote.
const UNDECIDED: Duration = Duration::from_secs(5);
/// Sessions under load; the last one has ended before.
const SESSIONS: usize = 12;
const ENDED: usize = SESSIONS - 1;

/// A gate over a service, and sessions that were known to all its servers when the test began.
struct Case {
    redis: Sentinels,
    sessions: Vec<Caller>,
    _gate: Gate,
    _backend: FakeBackend,
}

impl Case {
    async fn start() -> Self {
        let (redis, backend) = (Sentinels::start(1, &[]), FakeBackend::answering(LOGIN).await);
        let yaml = MVC.replace("memory:", &redis.url());
        let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            sessions.push(gate.client("ios", "s3cret").logged_in("lilei").await);
        }
        sessions[ENDED].get("user/auth/logout").await.assert_passed();
        let mut master = redis.servers[0].connect();
        redis::cmd("SET").arg("mark").arg(1).exec(&mut master).expect("it takes it");
        assert_eq!(redis::cmd("WAIT").arg(1).arg(5000).query(&mut master), Ok(1));
        Self { redis, sessions, _gate: gate, _backend: backend }
    }

    /// Requests before, while and after `failure` is done to the master, until the other server is it and all sessions pass.
    async fn under_load(&mut self, failure: impl FnOnce(&mut Sentinels)) -> Tale {
        let load = Load::start(&self.sessions, 6);
        tokio::time::sleep(Duration::from_millis(300)).await;
        failure(&mut self.redis);
        let promoted = || self.redis.servers[1].replication().contains("role:master");
        support::process::until(promoted).await;
        for session in &self.sessions[..ENDED] {
            while session.get("user/info/get").await.status != 200 {}
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        load.stop().await
    }
}

/// Nothing was said to living sessions but that they pass or are undecided, and those that ended never passed.
fn assert_sound(tale: &Tale) {
    let living = tale.counts(|caller| caller != ENDED);
    println!("{living:?}, undecided for {:?}, slowest {:?}", tale.undecided(|_| true), tale.slowest());
    assert!(living.keys().all(|what| ["passed", "store_down"].contains(what)), "{living:?}");
    let ended = tale.counts(|caller| caller == ENDED);
    assert!(ended.keys().all(|what| ["user_refused", "store_down"].contains(what)), "{ended:?}");
    assert!(tale.undecided(|_| true) < UNDECIDED, "undecided for {:?}", tale.undecided(|_| true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_dies_loses_no_session_and_leaves_requests_undecided_for_less_than_five_seconds() {
    let mut case = Case::start().await;
    let tale = case.under_load(|redis| redis.servers[0].kill()).await;
    assert_sound(&tale);
    case.sessions[0].get("user/auth/logout").await.assert_passed();
    case.sessions[0].get("user/info/get").await.assert_refused(401, "user_refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_hangs_costs_each_request_its_timeout_until_another_is_master() {
    let mut case = Case::start().await;
    let tale = case.under_load(|redis| redis.servers[0].signal("STOP")).await;
    assert_sound(&tale);
    assert!(tale.slowest() < Duration::from_secs(1), "{:?}", tale.slowest());
    // It comes back, believes for a moment that it is the master still, and is not believed.
    let load = Load::start(&case.sessions, 6);
    case.redis.servers[0].signal("CONT");
    let demoted = || case.redis.servers[0].replication().contains("role:slave");
    support::process::until(demoted).await;
    let tale = load.stop().await;
    let living = tale.counts(|caller| caller != ENDED);
    assert_eq!(living.keys().collect::<Vec<_>>(), [&"passed"], "{living:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_steps_down_hands_over_within_a_moment() {
    let mut case = Case::start().await;
    let order = |redis: &mut Sentinels| redis.sentinels[0].command::<()>(&["SENTINEL", "FAILOVER", SERVICE]);
    let tale = case.under_load(order).await;
    assert_sound(&tale);
}
