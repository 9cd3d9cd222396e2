//! Answers that are held of a master that may be deposed, and of nodes whose slots may move: as good as fresh ones all the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use ticketgate::clock::Clock;
use ticketgate::ids::{ClientId, SessionId, TokenHash, UserId};
use ticketgate::secret::Secret;
use ticketgate::store::record::Algorithm;
use ticketgate::store::{
    ClientRecord, Ending, Fault, Found, Location, Question, SessionRecord, Settings, Store, Tls, held,
};

#[path = "support/redis.rs"]
mod redis_server;
use redis_server::cluster::{Cluster, SLOTS};
use redis_server::sentinels::{SERVICE, Sentinels};

const IDLE: Duration = Duration::from_secs(7200);
/// What ended is refused within this, wherever.
const BOUND: Duration = Duration::from_secs(1);
/// Within this every fault must have healed.
const HEALING: Duration = Duration::from_secs(10);

async fn gate(url: &str) -> Store {
    let location = Location::Redis(Secret::new(url));
    let timeout = Duration::from_millis(500);
    let settings = Settings { location, prefix: "ticketgate:".into(), keys: Vec::new(), timeout, tls: Tls::default() };
    let store = Store::open(&settings, Clock::system()).await.unwrap();
    store.holding(held::Settings { bytes: 16 << 20, trust: None })
}

async fn log_in(store: &Store, token: &str) -> TokenHash {
    let (hash, now) = (store.hash(token.as_bytes()), Clock::system().now());
    let record = SessionRecord {
        id: SessionId::new("sid").unwrap(),
        user: UserId::new("7").ok(),
        client: None,
        created: now,
        ends: now.plus(IDLE * 12),
        ip: "127.0.0.1".into(),
        user_agent: String::new(),
        jar: Vec::new(),
        holds_cookies: false,
        channel: None,
    };
    store.create(hash, &record, IDLE, None).await.unwrap();
    hash
}

async fn lives(store: &Store, hash: TokenHash) -> Result<bool, Fault> {
    let records = store.ask(Question { client: None, session: &[hash] }).await?;
    Ok(matches!(records.session, Some(Found::Live(_))))
}

async fn knows(store: &Store, id: &ClientId) -> Result<bool, Fault> {
    let records = store.ask(Question { client: Some(id), session: &[] }).await?;
    Ok(records.client.is_some())
}

/// Asks until something is so, and says how long that took; faults are no answers.
async fn until(mut is_so: impl AsyncFnMut() -> Result<bool, Fault>) -> Duration {
    let started = Instant::now();
    while is_so().await != Ok(true) {
        assert!(started.elapsed() < HEALING, "still not so");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    started.elapsed()
}

/// Asks again and again until the answer is held.
async fn until_held(store: &Store, hash: TokenHash) {
    until(async || {
        let before = store.held_counted().hits;
        lives(store, hash).await.map(|living| living && store.held_counted().hits > before)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_tells_of_its_own_sessions() {
    let cluster = Cluster::start(3, 0, &["--cluster-node-timeout", "60000"]);
    let (left, right) = (gate(&cluster.url()).await, gate(&cluster.url()).await);
    let mut hashes = Vec::new();
    for number in 0..30 {
        hashes.push(log_in(&left, &format!("t{number}")).await);
        until_held(&right, hashes[number]).await;
    }
    for hash in &hashes {
        left.end(*hash, Ending::Admin).await.unwrap();
        let took = until(async || lives(&right, *hash).await.map(|living| !living)).await;
        assert!(took < BOUND, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_moved_to_another_node_is_told_of_by_that_one() {
    let cluster = Cluster::start(3, 0, &["--cluster-node-timeout", "60000"]);
    let (left, right) = (gate(&cluster.url()).await, gate(&cluster.url()).await);
    let hash = log_in(&left, "t").await;
    until_held(&right, hash).await;
    let slot: usize =
        cluster.masters()[0].command(&["CLUSTER", "KEYSLOT", &format!("ticketgate:session:{}", hash.to_hex())]);
    let owner = slot * 3 / SLOTS;
    cluster.move_slot(slot, &cluster.masters()[owner], &cluster.masters()[(owner + 1) % 3]);
    until_held(&right, hash).await;
    left.end(hash, Ending::Admin).await.unwrap();
    let took = until(async || lives(&right, hash).await.map(|living| !living)).await;
    assert!(took < BOUND, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_unknown_is_known_when_it_is_registered_behind_a_move_of_its_slot() {
    let cluster = Cluster::start(3, 0, &["--cluster-node-timeout", "60000"]);
    let (left, right) = (gate(&cluster.url()).await, gate(&cluster.url()).await);
    let id = ClientId::new("web").unwrap();
    until(async || {
        let before = right.held_counted().hits;
        knows(&right, &id).await.map(|known| !known && right.held_counted().hits > before)
    })
    .await;
    // There is no key that its old node would tell of when it goes.
    let slot: usize = cluster.masters()[0].command(&["CLUSTER", "KEYSLOT", "ticketgate:client:web"]);
    let owner = slot * 3 / SLOTS;
    cluster.move_slot(slot, &cluster.masters()[owner], &cluster.masters()[(owner + 1) % 3]);
    let record = ClientRecord {
        id: id.clone(),
        secrets: Vec::new(),
        enabled: true,
        algorithms: vec![Algorithm::Md5],
        endpoints: Vec::new(),
        signature: None,
        name: String::new(),
        created: Clock::system().now(),
    };
    left.add_client(&record).await.unwrap();
    let took = until(async || knows(&right, &id).await).await;
    assert!(took < BOUND * 3, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_of_a_deposed_master_counts_no_more() {
    let sentinels = Sentinels::start(1, &[]);
    let (left, right) = (gate(&sentinels.url()).await, gate(&sentinels.url()).await);
    let hash = log_in(&left, "t").await;
    until_held(&right, hash).await;
    redis::cmd("WAIT").arg(1).arg(5000).exec(&mut sentinels.servers[0].connect()).unwrap();
    sentinels.sentinels[0].command::<()>(&["SENTINEL", "FAILOVER", SERVICE]);
    let promoted = || sentinels.servers[1].replication().contains("role:master");
    tokio::task::block_in_place(|| redis_server::until("the replica is master", promoted));
    until(async || left.end(hash, Ending::Admin).await).await;
    let took = until(async || lives(&right, hash).await.map(|living| !living)).await;
    assert!(took < BOUND, "{took:?}");
}
