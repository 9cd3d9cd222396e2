//! Answers of Redis that are held: as good as fresh ones, for as long as Redis tells of changes, and no longer.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use ticketgate::clock::Clock;
use ticketgate::ids::{ClientId, SessionId, TokenHash, UserId};
use ticketgate::secret::Secret;
use ticketgate::store::held;
use ticketgate::store::record::Algorithm;
use ticketgate::store::{
    ClientRecord, Ending, Fault, Found, HeldCookie, Location, Question, SessionRecord, Settings, Store,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[path = "support/redis.rs"]
mod redis_server;
use redis_server::RedisServer;

const TIMEOUT: Duration = Duration::from_millis(250);
const IDLE: Duration = Duration::from_secs(7200);
/// What ended is refused within this, wherever.
const BOUND: Duration = Duration::from_secs(1);
/// Longer than it takes to be told of a change on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

const HELD: held::Settings = held::Settings { bytes: 16 << 20, trust: None };
const TRUSTING: held::Settings = held::Settings { trust: Some(Duration::from_secs(3)), ..HELD };

async fn open(url: &str) -> Store {
    let location = Location::Redis(Secret::new(url));
    let settings = Settings {
        location,
        prefix: "ticketgate:".into(),
        keys: Vec::new(),
        timeout: TIMEOUT,
        tls: Default::default(),
    };
    Store::open(&settings, Clock::system()).await.unwrap()
}

async fn gate(server: &RedisServer) -> Store {
    open(&server.url()).await.holding(HELD)
}

fn sid() -> SessionId {
    SessionId::new("sid").unwrap()
}

fn session() -> SessionRecord {
    let now = Clock::system().now();
    SessionRecord {
        id: sid(),
        user: UserId::new("7").ok(),
        client: None,
        created: now,
        ends: now.plus(IDLE * 12),
        ip: "127.0.0.1".into(),
        user_agent: String::new(),
        jar: Vec::new(),
        holds_cookies: true,
        channel: None,
    }
}

fn client(id: &str) -> ClientRecord {
    ClientRecord {
        id: ClientId::new(id).unwrap(),
        secrets: Vec::new(),
        enabled: true,
        algorithms: vec![Algorithm::Md5],
        endpoints: Vec::new(),
        signature: None,
        name: String::new(),
        created: Clock::system().now(),
    }
}

async fn log_in(store: &Store, token: &str) -> TokenHash {
    let hash = store.hash(token.as_bytes());
    store.create(hash, &session(), IDLE, None).await.unwrap();
    hash
}

async fn find(store: &Store, hash: TokenHash) -> Result<Option<Found>, Fault> {
    store.ask(Question { client: None, session: &[hash] }).await.map(|records| records.session)
}

async fn lives(store: &Store, hash: TokenHash) -> bool {
    matches!(find(store, hash).await, Ok(Some(Found::Live(_))))
}

/// Waits until something shows, and says how long that took.
async fn shows(mut shown: impl AsyncFnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !shown().await {
        assert!(started.elapsed() < PATIENCE, "it never shows");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    started.elapsed()
}

fn key(hash: TokenHash) -> String {
    format!("ticketgate:session:{}", hash.to_hex())
}

/// How often Redis was asked that command.
fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats: String = server.command(&["INFO", "commandstats"]);
    let name = format!("cmdstat_{command}:calls=");
    let calls = stats.lines().find_map(|line| line.strip_prefix(&name)).and_then(|rest| rest.split(',').next());
    calls.and_then(|calls| calls.parse().ok()).unwrap_or_default()
}

/// How often Redis was asked about a session.
fn questions(server: &RedisServer) -> u64 {
    calls(server, "hmget")
}

#[tokio::test]
async fn what_was_answered_once_is_not_asked_again() {
    let server = RedisServer::start();
    let store = gate(&server).await;
    let hash = log_in(&store, "t").await;
    store.add_client(&client("ios")).await.unwrap();
    let ios = ClientId::new("ios").unwrap();
    for _ in 0..100 {
        let records = store.ask(Question { client: Some(&ios), session: &[hash] }).await.unwrap();
        assert!(matches!(records.session, Some(Found::Live(_))) && records.client.is_some());
        assert!(!lives(&store, store.hash(b"nobody's")).await);
    }
    assert_eq!((questions(&server), calls(&server, "get")), (2, 1), "one about each session, and the client");
    let counted = store.held_counted();
    assert_eq!((counted.hits, counted.misses, counted.trusted), (198, 2, 0));
}

#[tokio::test]
async fn workers_share_what_is_held() {
    let server = RedisServer::start();
    let store = gate(&server).await;
    let hash = log_in(&store, "t").await;
    let workers: Vec<_> = (0..4).map(|_| store.attach()).collect();
    for worker in &workers {
        assert!(lives(worker, hash).await);
    }
    assert_eq!(questions(&server), 1);
    drop(workers);
    assert!(lives(&store, hash).await);
    assert_eq!(questions(&server), 2, "with the worker that had asked went the connection that promised");
}

#[tokio::test]
async fn a_held_session_is_as_a_fresh_one() {
    let server = RedisServer::start();
    let (store, fresh) = (gate(&server).await, open(&server.url()).await);
    let hash = log_in(&store, "t").await;
    lives(&store, hash).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (held, fresh) = (find(&store, hash).await.unwrap(), find(&fresh, hash).await.unwrap());
    let (Some(Found::Live(held)), Some(Found::Live(fresh))) = (held, fresh) else { panic!("not living") };
    assert_eq!((held.hash, &held.record, held.used), (fresh.hash, &fresh.record, fresh.used));
    let apart = held.expires.since(fresh.expires).max(fresh.expires.since(held.expires));
    assert!(apart < Duration::from_millis(20), "{held:?} {fresh:?}");
    assert_eq!(questions(&server), 2);
}

/// Everything that anybody can do to a session, and whether it lives afterwards.
#[tokio::test]
async fn every_change_by_anybody_is_told_of() {
    let server = RedisServer::start();
    let (store, other) = (gate(&server).await, gate(&server).await);
    let jar = |name: &'static str| {
        move |jar: &mut Vec<HeldCookie>| {
            jar.push(HeldCookie { name: name.into(), value: "x".into(), path: "/".into(), expires: None });
            true
        }
    };
    for (number, change) in ["del", "unlink", "expire", "pexpire", "flush", "rename", "end", "admin"].iter().enumerate()
    {
        let hash = log_in(&store, &format!("t{number}")).await;
        assert!(lives(&store, hash).await && lives(&other, hash).await, "{change}");
        match *change {
            "del" => server.command::<()>(&["DEL", &key(hash)]),
            "unlink" => server.command::<()>(&["UNLINK", &key(hash)]),
            "expire" => server.command::<()>(&["EXPIRE", &key(hash), "-1"]),
            "pexpire" => server.command::<()>(&["PEXPIRE", &key(hash), "20"]),
            "flush" => server.command::<()>(&["FLUSHALL"]),
            "rename" => server.command::<()>(&["RENAME", &key(hash), "elsewhere"]),
            "end" => assert_eq!(other.end(hash, Ending::Logout).await, Ok(true)),
            _ => assert_eq!(other.end(hash, Ending::Admin).await, Ok(true)),
        }
        let took = shows(async || !lives(&store, hash).await && !lives(&other, hash).await).await;
        assert!(took < BOUND, "{change}: {took:?}");
    }
    let hash = log_in(&store, "jar").await;
    assert!(lives(&store, hash).await && lives(&other, hash).await);
    assert_eq!(other.change_jar(hash, &sid(), &jar("cart")).await, Ok(true));
    let cookies = async |store: &Store| match find(store, hash).await {
        Ok(Some(Found::Live(live))) => live.record.jar.len(),
        found => panic!("{found:?}"),
    };
    assert_eq!(cookies(&other).await, 1, "whoever wrote it sees it at once");
    assert!(shows(async || cookies(&store).await == 1).await < BOUND);
    other.extend(hash, IDLE * 2);
    other.flush().await.unwrap();
    let expires = async |store: &Store| match find(store, hash).await {
        Ok(Some(Found::Live(live))) => live.expires,
        found => panic!("{found:?}"),
    };
    let longer = Clock::system().now().plus(IDLE + IDLE / 2);
    assert!(expires(&other).await > longer);
    assert!(shows(async || expires(&store).await > longer).await < BOUND);
}

#[tokio::test]
async fn clients_that_are_registered_changed_or_removed_elsewhere_are_told_of() {
    let server = RedisServer::start();
    let (store, other) = (gate(&server).await, gate(&server).await);
    let ios = ClientId::new("ios").unwrap();
    let known = async |store: &Store| {
        store.ask(Question { client: Some(&ios), session: &[] }).await.unwrap().client.map(|client| client.enabled)
    };
    assert_eq!(known(&store).await, None);
    assert_eq!(store.known_client(&ios).map(|known| known.is_some()), Some(false), "it is known not to be there");
    other.add_client(&client("ios")).await.unwrap();
    assert!(shows(async || known(&store).await == Some(true)).await < BOUND);
    other.change_client(&ios, &|client| client.enabled = false).await.unwrap();
    assert!(shows(async || known(&store).await == Some(false)).await < BOUND);
    other.remove_client(&ios).await.unwrap();
    assert!(shows(async || known(&store).await.is_none()).await < BOUND);
}

#[tokio::test]
async fn what_this_process_did_shows_at_once() {
    let server = RedisServer::start();
    let store = gate(&server).await;
    let worker = store.attach();
    for number in 0..50 {
        let token = format!("t{number}");
        let hash = store.hash(token.as_bytes());
        assert!(!lives(&worker, hash).await);
        log_in(&store, &token).await;
        assert!(lives(&worker, hash).await, "{number}: a login");
        store.end(hash, Ending::Admin).await.unwrap();
        assert!(matches!(find(&worker, hash).await, Ok(Some(Found::Ended(Ending::Admin)))), "{number}: an end");
    }
}

/// What we write ourselves ends the promise, unless the key is read again.
#[tokio::test]
async fn an_extension_of_our_own_keeps_the_promise() {
    let server = RedisServer::start();
    let store = gate(&server).await;
    for number in 0..20 {
        let hash = log_in(&store, &format!("t{number}")).await;
        assert!(lives(&store, hash).await);
        for _ in 0..3 {
            store.extend(hash, IDLE);
            store.flush().await.unwrap();
        }
        let asked = questions(&server);
        assert!(lives(&store, hash).await);
        assert_eq!(questions(&server), asked, "it is still held");
        server.command::<()>(&["DEL", &key(hash)]);
        let took = shows(async || !lives(&store, hash).await).await;
        assert!(took < BOUND, "{took:?}");
    }
}

#[tokio::test]
async fn an_extension_of_a_session_that_has_ended_brings_nothing_back() {
    let server = RedisServer::start();
    let (store, other) = (gate(&server).await, open(&server.url()).await);
    for number in 0..50 {
        let hash = log_in(&store, &format!("t{number}")).await;
        assert!(lives(&store, hash).await);
        store.extend(hash, IDLE);
        let (ended, flushed) = tokio::join!(other.end(hash, Ending::Logout), store.flush());
        assert_eq!((ended, flushed), (Ok(true), Ok(())));
        assert!(shows(async || !lives(&store, hash).await).await < BOUND);
        assert_eq!(server.command::<i64>(&["EXISTS", &key(hash)]), 0);
    }
}

#[tokio::test]
async fn a_key_that_redis_lets_expire_is_told_of() {
    let server = RedisServer::start();
    let store = gate(&server).await;
    let hash = store.hash(b"t");
    store.create(hash, &session(), Duration::from_millis(300), None).await.unwrap();
    assert!(lives(&store, hash).await);
    let took = shows(async || !lives(&store, hash).await).await;
    assert!(took < Duration::from_millis(300) + BOUND, "{took:?}");
}

#[tokio::test]
async fn keys_that_redis_will_remember_no_longer_are_told_of() {
    let server = RedisServer::start_with(&["--tracking-table-max-keys", "10"]);
    let store = gate(&server).await;
    let mut sessions = Vec::new();
    for number in 0..50 {
        sessions.push(log_in(&store, &format!("t{number}")).await);
    }
    for hash in &sessions {
        assert!(lives(&store, *hash).await);
    }
    let ended = Instant::now();
    for hash in &sessions {
        server.command::<()>(&["DEL", &key(*hash)]);
    }
    for hash in &sessions {
        assert!(shows(async || !lives(&store, *hash).await).await < BOUND);
    }
    assert!(ended.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_lost_connection_drops_everything_and_the_next_one_promises_anew() {
    let mut server = RedisServer::start();
    let store = gate(&server).await;
    for round in 0..6 {
        let hash = log_in(&store, &format!("t{round}")).await;
        assert!(lives(&store, hash).await);
        if round % 2 == 0 {
            server.command::<i64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            server.command::<()>(&["DEL", &key(hash)]);
        } else {
            // It comes up empty.
            server.restart(None);
        }
        let took = shows(async || matches!(find(&store, hash).await, Ok(None))).await;
        assert!(took < PATIENCE, "round {round}: {took:?}");
        shows(async || store.ping().await.is_ok()).await;
    }
    let hash = log_in(&store, "again").await;
    assert!(lives(&store, hash).await);
    let asked = questions(&server);
    assert!(lives(&store, hash).await);
    assert_eq!(questions(&server), asked, "it is held again");
}

#[tokio::test]
async fn where_nothing_is_promised_every_question_is_asked() {
    let server = RedisServer::start();
    server.command::<()>(&["ACL", "SETUSER", "gate", "on", ">pw", "~*", "&*", "+@all", "-client|tracking"]);
    let store = open(&format!("redis://gate:pw@127.0.0.1:{}", server.port())).await.holding(HELD);
    let hash = log_in(&store, "t").await;
    for _ in 0..10 {
        assert!(lives(&store, hash).await);
    }
    assert_eq!(questions(&server), 10);
    store.extend(hash, IDLE);
    assert_eq!(store.flush().await, Ok(()));
    server.command::<()>(&["DEL", &key(hash)]);
    assert!(!lives(&store, hash).await, "at once");
}

#[tokio::test]
async fn many_who_ask_the_same_at_once_ask_once() {
    let server = RedisServer::start();
    let store = gate(&server).await;
    let hash = log_in(&store, "t").await;
    let asking: Vec<_> = (0..200)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { lives(&store, hash).await })
        })
        .collect();
    for answer in asking {
        assert!(answer.await.unwrap());
    }
    assert_eq!(questions(&server), 1);
}

#[tokio::test]
async fn those_who_wait_for_another_s_answer_are_not_lost_with_it() {
    let server = RedisServer::start();
    let store = gate(&server).await;
    let hash = log_in(&store, "t").await;
    lives(&store, store.hash(b"connects")).await;
    server.signal("STOP");
    let ask = || {
        let store = store.clone();
        tokio::spawn(async move { lives(&store, hash).await })
    };
    let (first, second) = (ask(), ask());
    tokio::task::yield_now().await;
    first.abort();
    server.signal("CONT");
    assert!(second.await.unwrap());
}

/// A Redis behind a network that can swallow everything, connections and all, without a word.
struct Network {
    port: u16,
    swallows: watch::Sender<bool>,
}

impl Network {
    async fn before(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (swallows, swallowing) = watch::channel(false);
        let beyond = server.port();
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(("127.0.0.1", beyond)).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, swallowing.clone()));
                tokio::spawn(carry(far_in, near_out, swallowing.clone()));
            }
        });
        Self { port, swallows }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    swallowing: watch::Receiver<bool>,
) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if !*swallowing.borrow() && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_cut_off_without_a_word_accepts_for_less_than_a_second() {
    let server = RedisServer::start();
    let network = Network::before(&server).await;
    let store = open(&network.url()).await.holding(HELD);
    let hash = log_in(&store, "t").await;
    for round in 0..3 {
        shows(async || lives(&store, hash).await).await;
        // Just used, or just proved, or about to be.
        tokio::time::sleep(Duration::from_millis(130 * round)).await;
        network.swallows.send_replace(true);
        let ended = Instant::now();
        let took = shows(async || {
            let asked = Instant::now();
            let lives = lives(&store, hash).await;
            assert!(!lives || asked.duration_since(ended) < BOUND, "accepted {:?} after", asked.duration_since(ended));
            !lives
        })
        .await;
        assert!(took < BOUND + TIMEOUT, "{took:?}");
        network.swallows.send_replace(false);
    }
}

#[tokio::test]
async fn a_hung_redis_is_a_fault_within_a_second_and_ends_nothing() {
    let server = RedisServer::start();
    let store = gate(&server).await;
    let hash = log_in(&store, "t").await;
    assert!(lives(&store, hash).await);
    server.signal("STOP");
    let took = shows(async || find(&store, hash).await.is_err()).await;
    assert!(took < BOUND + TIMEOUT, "{took:?}");
    server.signal("CONT");
    shows(async || lives(&store, hash).await).await;
}

#[tokio::test]
async fn what_is_not_used_is_not_proved_and_still_not_accepted_late() {
    let server = RedisServer::start();
    let store = gate(&server).await;
    let hash = log_in(&store, "t").await;
    assert!(lives(&store, hash).await);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let pings = calls(&server, "ping");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(calls(&server, "ping"), pings, "an idle gate leaves Redis alone");
    let asked = questions(&server);
    assert!(lives(&store, hash).await);
    assert_eq!(questions(&server), asked + 1, "the promise was not proved of late");
    assert!(lives(&store, hash).await);
    assert_eq!(questions(&server), asked + 1);
}

/// Each way in which Redis can go away.
#[tokio::test(flavor = "multi_thread")]
async fn verified_sessions_are_trusted_for_so_long_while_redis_is_away() {
    for way in ["stopped", "killed", "cut off"] {
        let mut server = RedisServer::start();
        let network = Network::before(&server).await;
        let store = open(&network.url()).await.holding(TRUSTING);
        store.add_client(&client("ios")).await.unwrap();
        let (used, unused) = (log_in(&store, "used").await, log_in(&store, "unused").await);
        let (ended, unknown) = (log_in(&store, "ended").await, log_in(&store, "unknown").await);
        for hash in [used, unused, ended] {
            assert!(lives(&store, hash).await);
        }
        store.end(ended, Ending::Admin).await.unwrap();
        assert!(!lives(&store, ended).await);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(lives(&store, used).await);
        let down = Instant::now();
        match way {
            "stopped" => server.signal("STOP"),
            "killed" => server.kill(),
            _ => drop(network.swallows.send_replace(true)),
        }
        while down.elapsed() < Duration::from_secs(2) {
            assert!(lives(&store, used).await, "{way}, after {:?}", down.elapsed());
            assert!(!lives(&store, ended).await, "{way}");
            assert!(find(&store, unknown).await.is_err(), "{way}: it was never verified");
        }
        assert!(find(&store, unused).await.is_err(), "{way}: it was verified too long ago");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(find(&store, used).await.is_err(), "{way}: it, too, by now");
        assert!(store.held_counted().trusted > 0);
        match way {
            "stopped" => server.signal("CONT"),
            "killed" => continue,
            _ => drop(network.swallows.send_replace(false)),
        }
        shows(async || lives(&store, used).await && lives(&store, unused).await).await;
    }
}

#[tokio::test]
async fn a_session_that_should_have_ended_while_redis_was_away_is_trusted_no_more() {
    let server = RedisServer::start();
    let store = gate(&server).await.attach();
    let store = {
        drop(store);
        open(&server.url()).await.holding(TRUSTING)
    };
    let (one, other) = (log_in(&store, "one").await, log_in(&store, "other").await);
    assert!(lives(&store, one).await && lives(&store, other).await);
    server.signal("STOP");
    assert!(store.end(one, Ending::Logout).await.is_err());
    assert!(find(&store, one).await.is_err());
    assert!(lives(&store, other).await);
    assert!(store.end_user(&UserId::new("7").unwrap(), None, Ending::Logout).await.is_err());
    assert!(find(&store, other).await.is_err());
}

#[tokio::test]
async fn a_use_is_told_before_whoever_waits_for_it_goes_on() {
    let server = RedisServer::start();
    let store = gate(&server).await;
    for number in 0..20 {
        let hash = log_in(&store, &format!("t{number}")).await;
        store.extend(hash, IDLE * 2).wait().await;
        assert!(server.command::<i64>(&["PTTL", &key(hash)]) > 10_000_000);
    }
}

#[tokio::test]
async fn uses_noted_together_are_written_in_few_round_trips_and_each_once() {
    let server = RedisServer::start();
    let store = gate(&server).await;
    let mut sessions = Vec::new();
    for number in 0..300 {
        sessions.push(log_in(&store, &format!("t{number}")).await);
    }
    lives(&store, sessions[0]).await;
    let written = calls(&server, "eval");
    for _ in 0..3 {
        sessions.iter().for_each(|hash| drop(store.extend(*hash, IDLE * 2)));
    }
    store.flush().await.unwrap();
    assert_eq!(calls(&server, "eval") - written, 300);
    let asked = questions(&server);
    for hash in sessions {
        assert!(lives(&store, hash).await);
    }
    assert_eq!(questions(&server), asked, "each was read again behind its write");
}

/// A reader must never be more than a second behind a writer, however the two race.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_reader_stays_behind_a_writer() {
    let server = RedisServer::start();
    let (reading, writing) = (gate(&server).await, open(&server.url()).await);
    let hash = log_in(&writing, "t").await;
    let (done, written) = watch::channel((0_usize, Instant::now()));
    let readers: Vec<_> = (0..4)
        .map(|number| {
            let (store, written) = (reading.attach(), written.clone());
            tokio::spawn(async move {
                let mut asked = 0_u64;
                while written.has_changed().is_ok() {
                    let ((least, at), before) = (*written.borrow(), Instant::now());
                    let Ok(Some(Found::Live(live))) = find(&store, hash).await else { continue };
                    let seen = live.record.jar.len();
                    assert!(seen >= least || before.duration_since(at) < BOUND, "{number}: {seen} of {least}");
                    asked += 1;
                    if asked.is_multiple_of(64) {
                        store.extend(hash, IDLE);
                        tokio::task::yield_now().await;
                    }
                }
                asked
            })
        })
        .collect();
    for number in 1..=300 {
        let push = |jar: &mut Vec<HeldCookie>| {
            jar.push(HeldCookie { name: "c".into(), value: "x".into(), path: "/".into(), expires: None });
            true
        };
        writing.change_jar(hash, &sid(), &push).await.unwrap();
        done.send_replace((number, Instant::now()));
    }
    shows(async || match find(&reading, hash).await {
        Ok(Some(Found::Live(live))) => live.record.jar.len() == 300,
        _ => false,
    })
    .await;
    drop(done);
    let mut asked = 0;
    for reader in readers {
        asked += reader.await.unwrap();
    }
    assert!(asked > 1000, "only {asked} questions raced");
}
