//! A Cluster under load: slots move, nodes die and hang. What other nodes know goes on, nothing is lost that Redis kept, and nobody
//! passes who should not.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use support::apps::MVC;
use support::backend::FakeBackend;
use support::caller::Caller;
use support::gate::Gate;
use support::load::{Load, Tale};
use support::redis::RedisServer;
use support::redis::cluster::Cluster;

const LOGIN: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{\"code\":1,\"data\":{\"uid\":7}}\n";
const UNDECIDED: Duration = Duration::from_secs(5);
/// Sessions under load; the last one has ended before.
const SESSIONS: usize = 24;
const ENDED: usize = SESSIONS - 1;
/// For where a busy machine must not be mistaken for a dead node.
const PATIENT: [&str; 2] = ["--cluster-node-timeout", "60000"];

/// A gate over a Cluster, and sessions. Where nothing hangs, its time-out is longer than a busy machine may take.
struct Case {
    redis: Cluster,
    gate: Gate,
    sessions: Vec<Caller>,
    /// The slot of each session.
    slots: Vec<usize>,
    _backend: FakeBackend,
}

impl Case {
    async fn start(redis: Cluster, timeout: &str) -> Self {
        let backend = FakeBackend::answering(LOGIN).await;
        let store = format!("{{url: \"{}\", timeout: {timeout}}}", redis.url());
        let yaml = MVC.replace("{url: \"memory:\"}", &store);
        let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
        let (mut sessions, mut slots, mut known) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..SESSIONS {
            sessions.push(gate.client("ios", "s3cret").logged_in("lilei").await);
            let key = keys_of(&redis).into_iter().find(|key| !known.contains(key)).expect("a new session");
            slots.push(redis.masters()[0].command(&["CLUSTER", "KEYSLOT", &key]));
            known.push(key);
        }
        sessions[ENDED].get("user/auth/logout").await.assert_passed();
        Self { redis, gate, sessions, slots, _backend: backend }
    }

    /// Whether a session's key was first with that master.
    fn is_of(&self, caller: usize, master: usize) -> bool {
        self.slots[caller] * 3 / support::redis::cluster::SLOTS == master
    }

    async fn all_pass(&self) {
        for session in &self.sessions[..ENDED] {
            while session.get("user/info/get").await.status != 200 {}
        }
    }
}

fn keys_of(redis: &Cluster) -> Vec<String> {
    let keys = |node: &RedisServer| node.command::<Vec<String>>(&["KEYS", "ticketgate:session:*"]);
    redis.masters().iter().flat_map(keys).collect()
}

/// The ended session never passed.
fn assert_closed(tale: &Tale) {
    let ended = tale.counts(|caller| caller == ENDED);
    assert!(ended.keys().all(|what| ["user_refused", "store_down"].contains(what)), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_move_under_load_refuse_and_lose_nothing() {
    let case = Case::start(Cluster::start(3, 0, &PATIENT), "2s").await;
    let load = Load::start(&case.sessions, 6);
    let logins = tokio::spawn({
        let ios = case.gate.client("ios", "s3cret");
        async move {
            for _ in 0..50 {
                ios.logged_in("lilei").await.get("user/info/get").await.assert_passed();
            }
        }
    });
    let cluster = case.redis;
    let cluster = tokio::task::spawn_blocking({
        let mut slots = case.slots.clone();
        slots.push(cluster.masters()[0].command(&["CLUSTER", "KEYSLOT", "ticketgate:user:7"]));
        move || {
            // Round the Cluster once, and the slots between them with none of these keys in them.
            for step in 0..3 {
                for &slot in &slots {
                    let owner = slot * 3 / support::redis::cluster::SLOTS + step;
                    cluster.move_slot(slot, &cluster.masters()[owner % 3], &cluster.masters()[(owner + 1) % 3]);
                }
            }
            cluster
        }
    });
    let _cluster = cluster.await.unwrap();
    logins.await.unwrap();
    let tale = load.stop().await;
    let living = tale.counts(|caller| caller != ENDED);
    println!("{living:?}, slowest {:?}", tale.slowest());
    assert_eq!(living.keys().collect::<Vec<_>>(), [&"passed"], "{living:?}");
    assert_eq!(tale.counts(|caller| caller == ENDED).keys().collect::<Vec<_>>(), [&"user_refused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_is_replaced_by_its_replica_while_the_others_go_on() {
    let mut case = Case::start(Cluster::start(3, 1, &[]), "2s").await;
    case.redis.replicated(0);
    let load = Load::start(&case.sessions, 6);
    case.redis.nodes[0].kill();
    let promoted = || case.redis.nodes[3].replication().contains("role:master");
    support::process::until(promoted).await;
    case.all_pass().await;
    let tale = load.stop().await;
    let (lost, others) = (|caller| case.is_of(caller, 0), |caller| !case.is_of(caller, 0) && caller != ENDED);
    println!("{:?}, undecided for {:?}, slowest {:?}", tale.counts(lost), tale.undecided(lost), tale.slowest());
    assert!(tale.counts(lost).keys().all(|what| ["passed", "store_down"].contains(what)), "{:?}", tale.counts(lost));
    assert!(tale.undecided(lost) < UNDECIDED, "{:?}", tale.undecided(lost));
    assert_eq!(tale.counts(others).keys().collect::<Vec<_>>(), [&"passed"], "{:?}", tale.counts(others));
    assert_closed(&tale);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_without_a_replica_takes_only_its_own_sessions_along_until_it_is_back() {
    let keeping = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut case = Case::start(Cluster::start(3, 0, &keeping), "2s").await;
    let load = Load::start(&case.sessions, 6);
    case.redis.nodes[0].kill();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let tale = load.stop().await;
    let (lost, others) = (|caller| case.is_of(caller, 0), |caller| !case.is_of(caller, 0) && caller != ENDED);
    assert!(tale.counts(lost).contains_key("store_down"));
    assert_eq!(tale.counts(others).keys().collect::<Vec<_>>(), [&"passed"], "{:?}", tale.counts(others));
    assert_closed(&tale);
    assert_eq!(case.gate.admin("GET", "/readyz").await.status, 200, "two thirds are better than none");
    case.redis.nodes[0].restart(None);
    case.all_pass().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_costs_those_it_knows_the_timeout_and_others_nothing() {
    let case = Case::start(Cluster::start(3, 0, &PATIENT), "250ms").await;
    case.redis.nodes[1].signal("STOP");
    let load = Load::start(&case.sessions, 6);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let tale = load.stop().await;
    case.redis.nodes[1].signal("CONT");
    let (hung, others) = (|caller| case.is_of(caller, 1), |caller| !case.is_of(caller, 1) && caller != ENDED);
    assert_eq!(tale.counts(hung).keys().filter(|what| **what != "user_refused").collect::<Vec<_>>(), [&"store_down"]);
    assert_eq!(tale.counts(others).keys().collect::<Vec<_>>(), [&"passed"], "{:?}", tale.counts(others));
    assert!(tale.slowest() < Duration::from_secs(1), "{:?}", tale.slowest());
    assert_closed(&tale);
    case.all_pass().await;
}
