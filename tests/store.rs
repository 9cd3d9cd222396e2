//! What every store keeps to: each behaviour below is proven on each engine, with sealed and with plain values.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use ticketgate::clock::{Clock, Timestamp};
use ticketgate::ids::{ClientId, SessionId, TokenHash, UserId};
use ticketgate::secret::Secret;
use ticketgate::store::record::{Algorithm, LiveSecret};
use ticketgate::store::{
    Cap, ClientRecord, Created, Ending, Fault, Found, HeldCookie, Key, Live, Location, Question, Remembered,
    SessionRecord, Settings, Store,
};

#[path = "support/redis.rs"]
mod redis_server;
use redis_server::RedisServer;

const IDLE: Duration = Duration::from_secs(7200);
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
const PREFIX: &str = "t*g:";

/// A store under test, and the means to move its time and to look inside.
struct Bench {
    store: Store,
    settings: Settings,
    clock: Clock,
    redis: Option<RedisServer>,
    directory: TempDir,
}

#[derive(Clone, Copy, Debug)]
enum Engine {
    Memory,
    File,
    Redis,
}

impl Bench {
    async fn start(engine: Engine, key: Option<u8>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let redis = matches!(engine, Engine::Redis).then(RedisServer::start);
        let location = match (&engine, &redis) {
            (Engine::Redis, Some(server)) => Location::Redis(Secret::new(server.url())),
            (Engine::File, _) => Location::File(directory.path().join("state.redb")),
            _ => Location::Memory,
        };
        let keys = key.map(sealing).into_iter().collect();
        let settings = Settings { location, prefix: PREFIX.into(), keys, timeout: Duration::from_secs(20) };
        let clock = Clock::movable();
        let store = Store::open(&settings, clock.clone()).await.unwrap();
        Self { store, settings, clock, redis, directory }
    }

    /// Another gate on the same store, or this one again where only one may hold it.
    async fn gates(&self, count: usize) -> Vec<Store> {
        match self.redis {
            Some(_) => {
                let mut gates = Vec::new();
                for _ in 0..count {
                    gates.push(Store::open(&self.settings, self.clock.clone()).await.unwrap());
                }
                gates
            }
            None => (0..count).map(|_| self.store.attach()).collect(),
        }
    }

    /// Lets `by` pass for everything that can expire.
    fn pass(&self, by: Duration) {
        self.clock.advance(by);
        let Some(redis) = &self.redis else { return };
        let mut connection = redis.connect();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        for key in keys {
            let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut connection).unwrap();
            if left >= 0 {
                let left = left - i64::try_from(by.as_millis()).unwrap();
                redis::cmd("PEXPIRE").arg(&key).arg(left).exec(&mut connection).unwrap();
            }
        }
    }

    fn session(&self, user: &str) -> SessionRecord {
        let now = self.clock.now();
        SessionRecord {
            id: sid(),
            user: user_id(user),
            client: Some(ClientId::new("ios").unwrap()),
            created: now,
            ends: now.plus(MAX_AGE),
            ip: "127.0.0.1".into(),
            user_agent: "AgentOfTheLogin/1.0".into(),
            jar: vec![cookie("PHPSESSID", "cookie-value-of-the-login")],
            holds_cookies: true,
            channel: None,
        }
    }

    /// Logs `user` in with a token.
    async fn log_in(&self, token: &str, user: &str) -> TokenHash {
        let hash = self.store.hash(token.as_bytes());
        let created = self.store.create(hash, &self.session(user), IDLE, None).await;
        assert_eq!(created, Ok(Created::Stands { displaced: 0 }));
        hash
    }

    async fn find(&self, hash: TokenHash) -> Option<Found> {
        let question = Question { client: None, session: &[hash] };
        self.store.ask(question).await.unwrap().session
    }

    async fn live(&self, hash: TokenHash) -> Live {
        match self.find(hash).await {
            Some(Found::Live(live)) => live,
            other => panic!("not living: {other:?}"),
        }
    }

    async fn ending(&self, hash: TokenHash) -> Option<Ending> {
        match self.find(hash).await {
            Some(Found::Ended(ending)) => Some(ending),
            None => None,
            Some(Found::Live(live)) => panic!("still living: {live:?}"),
        }
    }

    async fn listed(&self, user: &str) -> Vec<TokenHash> {
        let sessions = self.store.sessions(&user_id(user)).await.unwrap();
        sessions.into_iter().map(|live| live.hash).collect()
    }

    /// Every byte that this store has put anywhere.
    async fn dump(&self) -> Vec<u8> {
        self.store.flush().await.unwrap();
        let Some(redis) = &self.redis else { return std::fs::read(self.path()).unwrap_or_default() };
        let mut connection = redis.connect();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        let mut dump = keys.concat().into_bytes();
        for key in keys {
            // DUMP may compress, so the values are asked for as they are.
            let kind: String = redis::cmd("TYPE").arg(&key).query(&mut connection).unwrap();
            let values: Vec<Vec<u8>> = match kind.as_str() {
                "hash" => redis::cmd("HVALS").arg(&key).query(&mut connection).unwrap(),
                "zset" => redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).query(&mut connection).unwrap(),
                _ => vec![redis::cmd("GET").arg(&key).query(&mut connection).unwrap()],
            };
            dump.extend(values.concat());
        }
        dump
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("state.redb")
    }

    /// The store as a gate with other keys sees it: opened, or the fault that keeps it from opening.
    async fn reopened_with(self, keys: &[Key]) -> Result<Self, Fault> {
        let Self { store, mut settings, clock, redis, directory } = self;
        drop(store);
        settings.keys = keys.to_vec();
        let store = Store::open(&settings, clock.clone()).await?;
        Ok(Self { store, settings, clock, redis, directory })
    }
}

fn sealing(byte: u8) -> Key {
    Key::Sealing(Secret::new([byte; 32]))
}

/// The id of every session here, unless a test says otherwise.
fn sid() -> SessionId {
    SessionId::new("sid").unwrap()
}

fn user_id(user: &str) -> UserId {
    UserId::new(user).unwrap()
}

fn cookie(name: &str, value: &str) -> HeldCookie {
    HeldCookie { name: name.into(), value: value.into(), path: "/".into(), expires: None }
}

fn client(id: &str) -> ClientRecord {
    ClientRecord {
        id: ClientId::new(id).unwrap(),
        secrets: vec![LiveSecret { secret: Secret::new("secret-of-the-client"), until: None }],
        enabled: true,
        algorithms: vec![Algorithm::Md5],
        endpoints: vec!["*".into()],
        signature: None,
        name: "a client".into(),
        created: Timestamp::from_secs(1),
    }
}

/// Runs a behaviour on every engine, plain and sealed.
async fn on_every_store(behaviour: impl AsyncFn(Bench)) {
    for engine in [Engine::Memory, Engine::File, Engine::Redis] {
        for key in [None, Some(1)] {
            // Shown where an assertion fails.
            println!("on {engine:?}, key {key:?}");
            behaviour(Bench::start(engine, key).await).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_as_it_was_written_with_its_client_in_one_question() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", "7").await;
        assert!(bench.store.add_client(&client("ios")).await.unwrap());
        let id = ClientId::new("ios").unwrap();
        let records = bench.store.ask(Question { client: Some(&id), session: &[hash] }).await.unwrap();
        assert_eq!(records.client, Some(client("ios")));
        let Some(Found::Live(live)) = records.session else { panic!("{records:?}") };
        let expected = bench.session("7");
        assert_eq!((live.hash, &live.record.jar, &live.record.user), (hash, &expected.jar, &expected.user));
        let life = live.expires.since(bench.clock.now());
        assert!(life <= IDLE && life > IDLE - Duration::from_secs(30), "{life:?}");
        assert!(bench.clock.now().since(live.used) < Duration::from_secs(30));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_no_fault() {
    on_every_store(async |bench| {
        let (hash, id, user) = (bench.store.hash(b"nobody's"), ClientId::new("none").unwrap(), user_id("nobody"));
        let records = bench.store.ask(Question { client: Some(&id), session: &[hash] }).await.unwrap();
        assert!(records.client.is_none() && records.session.is_none());
        assert!(bench.store.ask(Question::default()).await.is_ok());
        assert_eq!(bench.store.end(hash, Ending::Admin).await, Ok(false));
        assert!(bench.find(hash).await.is_none(), "no tombstone of what never lived");
        assert_eq!(bench.store.end_user(&user, None, Ending::Admin).await, Ok(0));
        assert_eq!(bench.store.change_jar(hash, &sid(), &|_| true).await, Ok(false));
        assert_eq!(bench.store.sessions(&user).await.unwrap().len(), 0);
        assert_eq!(bench.store.change_client(&id, &|_| ()).await, Ok(None));
        assert_eq!(bench.store.remove_client(&id).await, Ok(false));
        assert_eq!(bench.store.clients().await, Ok(vec![]));
        assert_eq!(bench.store.ping().await, Ok(()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_expires_after_its_life_and_is_gone_everywhere() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", "7").await;
        bench.pass(IDLE - Duration::from_secs(60));
        bench.live(hash).await;
        bench.pass(Duration::from_secs(61));
        assert!(bench.find(hash).await.is_none());
        assert_eq!(bench.listed("7").await, []);
        assert_eq!(bench.store.end(hash, Ending::Admin).await, Ok(false));
        assert_eq!(bench.store.change_jar(hash, &sid(), &|_| true).await, Ok(false));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_never_outlives_the_end_in_its_record() {
    on_every_store(async |bench| {
        let mut record = bench.session("7");
        record.ends = record.created.plus(Duration::from_secs(100));
        let hash = bench.store.hash(b"t");
        bench.store.create(hash, &record, IDLE, None).await.unwrap();
        bench.pass(Duration::from_secs(101));
        assert!(bench.find(hash).await.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_prolongs_and_notes_the_use() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", "7").await;
        bench.pass(Duration::from_secs(3600));
        let before = bench.live(hash).await;
        bench.store.extend(hash, IDLE);
        bench.store.flush().await.unwrap();
        let after = bench.live(hash).await;
        assert!(after.expires.since(before.expires) > Duration::from_secs(3500), "{before:?} {after:?}");
        assert!(after.used.since(before.used) >= Duration::from_secs(3600));
        bench.pass(IDLE - Duration::from_secs(60));
        bench.live(hash).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn extensions_arrive_soon_without_being_flushed() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", "7").await;
        bench.pass(Duration::from_secs(3600));
        bench.store.extend(hash, IDLE);
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while bench.live(hash).await.expires.since(bench.clock.now()) < IDLE - Duration::from_secs(60) {
            assert!(std::time::Instant::now() < deadline, "the extension never came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_stays_ended_when_a_request_was_under_way() {
    on_every_store(async |bench| {
        let (out, ended) = (bench.log_in("out", "7").await, bench.log_in("ended", "7").await);
        bench.store.extend(out, IDLE);
        bench.store.extend(ended, IDLE);
        assert_eq!(bench.store.end(out, Ending::Logout).await, Ok(true));
        assert_eq!(bench.store.end(ended, Ending::Admin).await, Ok(true));
        bench.store.extend(out, IDLE);
        bench.store.extend(ended, IDLE);
        bench.store.flush().await.unwrap();
        assert_eq!(bench.store.change_jar(out, &sid(), &|_| true).await, Ok(false));
        assert_eq!(bench.store.change_jar(ended, &sid(), &|_| true).await, Ok(false));
        assert!(bench.find(out).await.is_none());
        assert_eq!(bench.ending(ended).await, Some(Ending::Admin));
        assert_eq!(bench.listed("7").await, []);
        if let Some(redis) = &bench.redis {
            let left: Vec<String> = redis.command(&["KEYS", &format!("*{}", out.to_hex())]);
            assert!(left.is_empty(), "not even a trace was created");
        }
        bench.pass(IDLE + Duration::from_secs(60));
        assert_eq!(bench.ending(ended).await, Some(Ending::Admin), "a tombstone's life is no session's");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_leaves_nothing_and_other_endings_leave_a_tombstone_for_a_day() {
    on_every_store(async |bench| {
        for (ending, left) in [
            (Ending::Logout, None),
            (Ending::Admin, Some(Ending::Admin)),
            (Ending::NewerLogin, Some(Ending::NewerLogin)),
        ] {
            let hash = bench.log_in(&format!("{ending:?}"), "7").await;
            assert_eq!(bench.store.end(hash, ending).await, Ok(true));
            assert_eq!(bench.ending(hash).await, left);
            assert_eq!(bench.store.end(hash, ending).await, Ok(false), "ended once");
            assert_eq!(bench.ending(hash).await, left);
            bench.pass(Duration::from_secs(24 * 3600 + 1));
            assert!(bench.find(hash).await.is_none(), "{ending:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_logs_in_again_lives_again_and_belongs_to_its_new_user() {
    on_every_store(async |bench| {
        let hash = bench.log_in("adopted", "7").await;
        bench.store.end(hash, Ending::Admin).await.unwrap();
        assert_eq!(bench.log_in("adopted", "7").await, hash);
        assert_eq!(bench.listed("7").await, [hash]);
        bench.log_in("adopted", "8").await;
        assert_eq!(bench.live(hash).await.record.user, user_id("8"));
        assert_eq!(bench.listed("7").await, []);
        assert_eq!(bench.store.end_user(&user_id("7"), None, Ending::Admin).await, Ok(0));
        assert_eq!(bench.listed("8").await, [hash]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changing_cookies_keeps_expiry_and_use() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", "7").await;
        bench.pass(Duration::from_secs(3600));
        let before = bench.live(hash).await;
        let change = |jar: &mut Vec<HeldCookie>| {
            jar.push(cookie("cart", "1"));
            true
        };
        assert_eq!(bench.store.change_jar(hash, &sid(), &change).await, Ok(true));
        let after = bench.live(hash).await;
        assert_eq!(after.record.jar.len(), 2);
        assert_eq!(after.used, before.used);
        assert!(after.expires.since(before.expires) < Duration::from_secs(30));
        bench.pass(Duration::from_secs(3601));
        assert!(bench.find(hash).await.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_has_nothing_to_write_writes_nothing() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", "7").await;
        let change = |jar: &mut Vec<HeldCookie>| {
            jar.clear();
            false
        };
        assert_eq!(bench.store.change_jar(hash, &sid(), &change).await, Ok(true));
        assert_eq!(bench.live(hash).await.record.jar.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_a_request_under_way_do_not_reach_the_session_that_came_after_under_its_token() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", "7").await;
        let newer = SessionRecord { id: SessionId::new("newer").unwrap(), ..bench.session("8") };
        bench.store.create(hash, &newer, IDLE, None).await.unwrap();
        let change = |jar: &mut Vec<HeldCookie>| {
            jar.clear();
            true
        };
        assert_eq!(bench.store.change_jar(hash, &sid(), &change).await, Ok(false));
        assert_eq!(bench.live(hash).await.record.jar, newer.jar);
        assert_eq!(bench.store.change_jar(hash, &newer.id, &change).await, Ok(true));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_parallel_changes_of_cookies_lose_none() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", "7").await;
        let gates = bench.gates(5).await;
        let changes: Vec<_> = (0..50)
            .map(|number| {
                let store = gates[number % gates.len()].clone();
                tokio::spawn(async move {
                    let change = move |jar: &mut Vec<HeldCookie>| {
                        jar.push(cookie(&format!("c{number}"), "x"));
                        true
                    };
                    store.change_jar(hash, &sid(), &change).await
                })
            })
            .collect();
        for change in changes {
            assert_eq!(change.await.unwrap(), Ok(true));
        }
        let names: HashSet<_> = bench.live(hash).await.record.jar.into_iter().map(|cookie| cookie.name).collect();
        assert_eq!(names.len(), 51);
    })
    .await;
}

/// Fifty logins of one user at once, from five gates; what they were told, and the sessions that live after the last returned.
async fn race(bench: &Bench, cap: Cap) -> (Vec<Created>, Vec<TokenHash>, Vec<TokenHash>) {
    let gates = bench.gates(5).await;
    let hashes: Vec<_> = (0..50).map(|number| bench.store.hash(format!("race {number}").as_bytes())).collect();
    let logins: Vec<_> = hashes
        .iter()
        .enumerate()
        .map(|(number, &hash)| {
            let (store, record) = (gates[number % gates.len()].clone(), bench.session("7"));
            tokio::spawn(async move { store.create(hash, &record, IDLE, Some(cap)).await.unwrap() })
        })
        .collect();
    let mut told = Vec::new();
    for login in logins {
        told.push(login.await.unwrap());
    }
    let mut living = Vec::new();
    for hash in hashes {
        if let Some(Found::Live(_)) = bench.find(hash).await {
            living.push(hash);
        }
    }
    let listed = bench.listed("7").await;
    (told, living, listed)
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_logins_end_the_oldest_and_never_exceed_the_cap() {
    on_every_store(async |bench| {
        let first = bench.log_in("first", "7").await;
        let (told, living, listed) = race(&bench, Cap { sessions: 3, end_oldest: true }).await;
        assert!(told.iter().all(|created| matches!(created, Created::Stands { .. })));
        assert_eq!(bench.ending(first).await, Some(Ending::NewerLogin));
        assert_eq!(living.len(), 3);
        assert_eq!(listed.iter().collect::<HashSet<_>>(), living.iter().collect::<HashSet<_>>());
        let displaced: usize =
            told.iter().map(|created| if let Created::Stands { displaced } = created { *displaced } else { 0 }).sum();
        assert_eq!(displaced, 48, "each was ended by one login");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_logins_are_refused_over_the_cap_and_leave_nothing() {
    on_every_store(async |bench| {
        let first = bench.log_in("first", "7").await;
        let (told, living, listed) = race(&bench, Cap { sessions: 3, end_oldest: false }).await;
        assert_eq!(told.iter().filter(|created| **created == Created::Full).count(), 48);
        assert_eq!(living.len(), 2);
        bench.live(first).await;
        assert_eq!(listed.len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_sessions_do_not_count_against_the_cap() {
    on_every_store(async |bench| {
        let cap = Some(Cap { sessions: 2, end_oldest: false });
        let hash = |token: &str| bench.store.hash(token.as_bytes());
        bench.log_in("expires", "7").await;
        bench.pass(Duration::from_secs(3600));
        bench.log_in("stays", "7").await;
        assert_eq!(bench.store.create(hash("no room"), &bench.session("7"), IDLE, cap).await, Ok(Created::Full));
        assert!(bench.find(hash("no room")).await.is_none());
        bench.pass(Duration::from_secs(3601));
        let created = bench.store.create(hash("room"), &bench.session("7"), IDLE, cap).await;
        assert_eq!(created, Ok(Created::Stands { displaced: 0 }));
        bench.store.end(hash("room"), Ending::Logout).await.unwrap();
        let created = bench.store.create(hash("room again"), &bench.session("7"), IDLE, cap).await;
        assert_eq!(created, Ok(Created::Stands { displaced: 0 }));
        assert_eq!(bench.listed("7").await, [hash("stays"), hash("room again")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_sessions_of_a_user_end_except_one_however_many() {
    on_every_store(async |bench| {
        let mut hashes = Vec::new();
        for number in 0..1203 {
            hashes.push(bench.log_in(&format!("t{number}"), "7").await);
        }
        let other = bench.log_in("other", "8").await;
        let kept = hashes[600];
        assert_eq!(bench.listed("7").await.len(), 1203);
        assert_eq!(bench.store.end_user(&user_id("7"), Some(kept), Ending::Admin).await, Ok(1202));
        assert_eq!(bench.listed("7").await, [kept]);
        assert_eq!(bench.ending(hashes[0]).await, Some(Ending::Admin));
        assert_eq!(bench.ending(hashes[1202]).await, Some(Ending::Admin));
        bench.live(other).await;
        assert_eq!(bench.store.end_user(&user_id("7"), None, Ending::Logout).await, Ok(1));
        assert_eq!(bench.listed("7").await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_oldest_first() {
    on_every_store(async |bench| {
        let mut hashes = Vec::new();
        for token in ["c", "a", "b"] {
            hashes.push(bench.log_in(token, "王 五:*").await);
            bench.pass(Duration::from_secs(1));
        }
        assert_eq!(bench.listed("王 五:*").await, hashes);
        assert_eq!(bench.listed("王 五").await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_registered_changed_listed_and_removed() {
    on_every_store(async |bench| {
        for id in ["web", "ios", "a*b[c]"] {
            assert_eq!(bench.store.add_client(&client(id)).await, Ok(true));
        }
        let taken = ClientRecord { name: "another".into(), ..client("ios") };
        assert_eq!(bench.store.add_client(&taken).await, Ok(false));
        let ios = ClientId::new("ios").unwrap();
        let changed = bench.store.change_client(&ios, &|record| record.enabled = false).await.unwrap().unwrap();
        assert_eq!(changed, ClientRecord { enabled: false, ..client("ios") });
        bench.pass(MAX_AGE * 100);
        assert_eq!(bench.store.clients().await.unwrap(), [client("a*b[c]"), changed, client("web")]);
        assert_eq!(bench.store.remove_client(&ios).await, Ok(true));
        assert_eq!(bench.store.remove_client(&ios).await, Ok(false));
        assert_eq!(bench.store.clients().await.unwrap(), [client("a*b[c]"), client("web")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_parallel_changes_of_a_client_lose_none() {
    on_every_store(async |bench| {
        bench.store.add_client(&ClientRecord { endpoints: vec![], ..client("ios") }).await.unwrap();
        let gates = bench.gates(5).await;
        let changes: Vec<_> = (0..50)
            .map(|number| {
                let store = gates[number % gates.len()].clone();
                tokio::spawn(async move {
                    let change = move |record: &mut ClientRecord| record.endpoints.push(number.to_string());
                    store.change_client(&ClientId::new("ios").unwrap(), &change).await
                })
            })
            .collect();
        for change in changes {
            assert!(change.await.unwrap().unwrap().is_some());
        }
        let endpoints: HashSet<_> = bench.store.clients().await.unwrap()[0].endpoints.iter().cloned().collect();
        assert_eq!(endpoints.len(), 50);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_are_listed_each_once() {
    on_every_store(async |bench| {
        for number in 0..1100 {
            bench.store.add_client(&client(&format!("c{number:04}"))).await.unwrap();
        }
        let listed = bench.store.clients().await.unwrap();
        assert_eq!(listed.len(), 1100);
        assert!(listed.is_sorted_by(|a, b| a.id.as_str() < b.id.as_str()));
    })
    .await;
}

/// How long nonces are remembered here, and how many of one client.
const WINDOW: Duration = Duration::from_secs(600);
const MOST: u64 = 3;

impl Bench {
    async fn remember(&self, client: &str, nonce: &str) -> Remembered {
        let client = ClientId::new(client).unwrap();
        self.store.remember(&client, nonce.as_bytes(), WINDOW, MOST).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_fresh_once_for_each_client_until_it_may_be_forgotten() {
    on_every_store(async |bench| {
        for (client, nonce) in [("ios", "n1"), ("ios", "n2"), ("web", "n1"), ("ios:n1", "n1")] {
            assert_eq!(bench.remember(client, nonce).await, Remembered::Fresh, "{client} {nonce}");
            assert_eq!(bench.remember(client, nonce).await, Remembered::Seen, "{client} {nonce}");
        }
        bench.pass(WINDOW - Duration::from_secs(5));
        assert_eq!(bench.remember("ios", "n1").await, Remembered::Seen);
        bench.pass(Duration::from_secs(5));
        assert_eq!(bench.remember("ios", "n1").await, Remembered::Fresh);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_racing_uses_of_a_nonce_one_is_fresh() {
    on_every_store(async |bench| {
        let gates = bench.gates(5).await;
        let uses: Vec<_> = (0..50)
            .map(|number| {
                let store = gates[number % gates.len()].clone();
                tokio::spawn(async move { store.remember(&ClientId::new("ios").unwrap(), b"n", WINDOW, 50).await })
            })
            .collect();
        let mut fresh = 0;
        for each in uses {
            match each.await.unwrap().unwrap() {
                Remembered::Fresh => fresh += 1,
                other => assert_eq!(other, Remembered::Seen),
            }
        }
        assert_eq!(fresh, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_fill_the_store_with_nonces_and_replays_do_not_count() {
    on_every_store(async |bench| {
        for _ in 0..10 {
            bench.remember("ios", "n1").await;
        }
        for nonce in ["n2", "n3"] {
            assert_eq!(bench.remember("ios", nonce).await, Remembered::Fresh, "{nonce}");
        }
        bench.pass(Duration::from_secs(100));
        for _ in 0..3 {
            match bench.remember("ios", "n4").await {
                Remembered::Full(wait) => assert!(wait <= WINDOW && wait > WINDOW / 2, "{wait:?}"),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(bench.remember("ios", "n1").await, Remembered::Seen, "what is known is known all the same");
        assert_eq!(bench.remember("web", "n4").await, Remembered::Fresh, "others have room of their own");
        bench.pass(WINDOW - Duration::from_secs(100));
        for nonce in ["n4", "n5", "n6"] {
            assert_eq!(bench.remember("ios", nonce).await, Remembered::Fresh, "{nonce}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonces_are_remembered_over_a_restart_and_while_the_key_is_replaced() {
    for engine in [Engine::File, Engine::Redis] {
        let bench = Bench::start(engine, Some(1)).await;
        assert_eq!(bench.remember("ios", "n1").await, Remembered::Fresh);
        let bench = bench.reopened_with(&[sealing(2), sealing(1)]).await.unwrap();
        assert_eq!(bench.remember("ios", "n1").await, Remembered::Seen);
        bench.pass(WINDOW);
        let bench = bench.reopened_with(&[sealing(2), sealing(1)]).await.unwrap();
        assert_eq!(bench.remember("ios", "n1").await, Remembered::Fresh);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_redis_every_nonce_has_a_key_of_its_own_that_expires_and_does_not_hold_it() {
    let bench = Bench::start(Engine::Redis, None).await;
    for nonce in ["the-nonce-itself", "another-nonce", "the-nonce-itself"] {
        bench.remember("ios", nonce).await;
    }
    let server = bench.redis.as_ref().unwrap();
    let keys: Vec<String> = server.command(&["KEYS", "*"]);
    assert_eq!(keys.len(), 3, "two nonces and their count: {keys:?}");
    for key in keys {
        assert!(key.starts_with(&format!("{PREFIX}nonce:ios:")) && !key.contains("itself"), "{key}");
        let left: i64 = server.command(&["PTTL", &key]);
        assert!(left > 0 && left <= i64::try_from(WINDOW.as_millis()).unwrap(), "{key}: {left}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_stored_in_the_clear_under_a_key_and_never_a_token() {
    on_every_store(async |bench| {
        bench.log_in("the-token-itself", "7").await;
        bench.store.add_client(&client("ios")).await.unwrap();
        let dump = bench.dump().await;
        let holds = |text: &[u8]| dump.windows(text.len()).any(|window| window == text);
        assert!(!holds(b"the-token-itself"));
        if !bench.settings.keys.is_empty() {
            assert!(!holds(b"cookie-value-of-the-login"));
            assert!(!holds(b"AgentOfTheLogin"));
            assert!(!holds(b"secret-of-the-client"));
            // base64 of it, as it stands in the record.
            assert!(!holds(b"c2VjcmV0LW9mLXRoZS1jbGllbnQ"));
        } else if !matches!(bench.settings.location, Location::Memory) {
            assert!(holds(b"AgentOfTheLogin"), "the dump looks in the right place");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_under_another_key_is_a_fault_and_not_a_missing_session() {
    for engine in [Engine::File, Engine::Redis] {
        for (written, read) in [(Some(1), Some(2)), (Some(1), None), (None, Some(1))] {
            println!("on {engine:?}, written with {written:?}, read with {read:?}");
            let bench = Bench::start(engine, written).await;
            let hash = bench.log_in("t", "7").await;
            bench.store.add_client(&client("ios")).await.unwrap();
            match bench.reopened_with(&read.map(sealing).into_iter().collect::<Vec<_>>()).await {
                Err(fault) => assert!(matches!(fault, Fault::Unreadable(_)), "{fault}"),
                Ok(bench) => all_faults(&bench, hash).await,
            }
        }
    }
}

async fn all_faults(bench: &Bench, hash: TokenHash) {
    let id = ClientId::new("ios").unwrap();
    let session = bench.store.ask(Question { client: None, session: &[hash] }).await;
    assert!(matches!(session, Err(Fault::Unreadable(_))), "{session:?}");
    let client = bench.store.ask(Question { client: Some(&id), session: &[] }).await;
    assert!(matches!(client, Err(Fault::Unreadable(_))), "{client:?}");
    assert!(matches!(bench.store.clients().await, Err(Fault::Unreadable(_))));
    assert!(matches!(bench.store.sessions(&user_id("7")).await, Err(Fault::Unreadable(_))));
    assert!(matches!(bench.store.change_jar(hash, &sid(), &|_| true).await, Err(Fault::Unreadable(_))));
    assert_eq!(bench.store.end_user(&user_id("7"), None, Ending::Admin).await, Ok(1), "it can be ended all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_of_another_worker_sees_the_same() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", "7").await;
        let other = bench.store.attach();
        assert_eq!(other.hash(b"t"), hash);
        assert_eq!(other.end(hash, Ending::Admin).await, Ok(true));
        assert_eq!(bench.ending(hash).await, Some(Ending::Admin));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_redis_every_key_but_clients_has_an_expiry() {
    let bench = Bench::start(Engine::Redis, None).await;
    let cap = Some(Cap { sessions: 1, end_oldest: true });
    for token in ["a", "b"] {
        let hash = bench.store.hash(token.as_bytes());
        bench.store.create(hash, &bench.session("7"), IDLE, cap).await.unwrap();
        bench.store.change_jar(hash, &sid(), &|_| true).await.unwrap();
        bench.store.extend(hash, IDLE);
        bench.store.flush().await.unwrap();
    }
    bench.store.add_client(&client("ios")).await.unwrap();
    bench.store.change_client(&ClientId::new("ios").unwrap(), &|record| record.enabled = false).await.unwrap();
    let server = bench.redis.as_ref().unwrap();
    let mut keys: Vec<String> = server.command(&["KEYS", "*"]);
    keys.sort();
    let [a, b] = ["a", "b"].map(|token| format!("{PREFIX}session:{}", bench.store.hash(token.as_bytes()).to_hex()));
    let mut expected = vec![format!("{PREFIX}client:ios"), a, b, format!("{PREFIX}user:7")];
    expected.sort();
    assert_eq!(keys, expected);
    for key in keys {
        let expiry: i64 = server.command(&["PTTL", &key]);
        assert_eq!(expiry == -1, key.contains("client:"), "{key}: {expiry}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_redis_the_list_of_a_user_outlives_his_sessions_and_is_never_shortened() {
    let bench = Bench::start(Engine::Redis, None).await;
    let server = bench.redis.as_ref().unwrap();
    let expiry = || server.command::<i64>(&["PTTL", &format!("{PREFIX}user:7")]);
    bench.log_in("long", "7").await;
    let before = expiry();
    assert!(before > i64::try_from((MAX_AGE - Duration::from_secs(60)).as_millis()).unwrap());
    let mut short = bench.session("7");
    short.ends = short.created.plus(Duration::from_secs(10));
    bench.store.create(bench.store.hash(b"short"), &short, IDLE, None).await.unwrap();
    assert!(expiry() > before - 60_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_redis_the_names_of_dead_sessions_do_not_pile_up() {
    let bench = Bench::start(Engine::Redis, None).await;
    for number in 0..300 {
        let hash = bench.log_in(&format!("t{number}"), "7").await;
        let key = format!("{PREFIX}session:{}", hash.to_hex());
        bench.redis.as_ref().unwrap().command::<i64>(&["DEL", &key]);
    }
    let listed: i64 = bench.redis.as_ref().unwrap().command(&["ZCARD", &format!("{PREFIX}user:7")]);
    assert!(listed < 10, "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_deleted_by_hand_in_redis_is_gone() {
    let bench = Bench::start(Engine::Redis, Some(1)).await;
    let hash = bench.log_in("t", "7").await;
    bench.redis.as_ref().unwrap().command::<i64>(&["DEL", &format!("{PREFIX}session:{}", hash.to_hex())]);
    assert!(bench.find(hash).await.is_none());
    assert_eq!(bench.listed("7").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_key_ends_no_session_and_forgets_no_client() {
    for engine in [Engine::File, Engine::Redis] {
        for (before, old) in [(Some(1), sealing(1)), (None, Key::Plain)] {
            println!("on {engine:?}, from key {before:?}");
            let bench = Bench::start(engine, before).await;
            let hash = bench.log_in("t", "7").await;
            bench.store.add_client(&client("ios")).await.unwrap();

            let bench = bench.reopened_with(&[sealing(2), old]).await.unwrap();
            let candidates = bench.store.hashes(b"t");
            assert_eq!(candidates, [bench.store.hash(b"t"), hash]);
            let id = ClientId::new("ios").unwrap();
            let question = Question { client: Some(&id), session: &candidates };
            let records = bench.store.ask(question).await.unwrap();
            assert_eq!(records.client, Some(client("ios")));
            let Some(Found::Live(live)) = records.session else { panic!("{:?}", records.session) };
            assert_eq!((live.hash, &live.record.user), (hash, &user_id("7")), "found where it stands");

            bench.store.extend(live.hash, IDLE * 2);
            bench.store.flush().await.unwrap();
            assert!(bench.live(hash).await.expires >= bench.clock.now().plus(IDLE * 2 - Duration::from_secs(60)));
            let change = |jar: &mut Vec<HeldCookie>| {
                jar.push(cookie("cart", "full"));
                true
            };
            assert_eq!(bench.store.change_jar(hash, &sid(), &change).await, Ok(true));
            let newer = bench.log_in("u", "7").await;
            assert_eq!(newer, bench.store.hash(b"u"));
            assert_eq!(bench.listed("7").await.len(), 2);
            assert_eq!(bench.store.end(hash, Ending::Admin).await, Ok(true));
            assert_eq!(bench.ending(hash).await, Some(Ending::Admin));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_after_a_key_was_replaced_opens_with_the_new_one_alone() {
    for engine in [Engine::File, Engine::Redis] {
        println!("on {engine:?}");
        let bench = Bench::start(engine, Some(1)).await;
        let hash = bench.log_in("t", "7").await;
        bench.store.add_client(&client("ios")).await.unwrap();

        let bench = bench.reopened_with(&[sealing(2), sealing(1)]).await.unwrap();
        assert_eq!(bench.store.renew_clients().await.map(|_| ()), Ok(()));
        assert_eq!(bench.store.renew_clients().await, Ok(0), "once is enough");
        bench.store.change_jar(hash, &sid(), &|jar| jar.pop().is_some()).await.unwrap();
        bench.store.flush().await.unwrap();

        let bench = bench.reopened_with(&[sealing(2)]).await.unwrap();
        assert_eq!(bench.store.clients().await, Ok(vec![client("ios")]));
        assert_eq!(bench.live(hash).await.record.jar, []);
        assert!(bench.find(bench.store.hash(b"t")).await.is_none(), "but its token is hashed under the old key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_forgets_expired_sessions_of_a_key_that_was_given_up() {
    let bench = Bench::start(Engine::File, Some(1)).await;
    let hash = bench.log_in("t", "7").await;
    bench.pass(IDLE + Duration::from_secs(1));
    let bench = bench.reopened_with(&[sealing(2)]).await.unwrap();
    assert!(bench.find(hash).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sessions_under_one_token_the_one_under_the_first_key_counts() {
    for engine in [Engine::File, Engine::Redis] {
        println!("on {engine:?}");
        let bench = Bench::start(engine, Some(1)).await;
        bench.log_in("t", "old").await;
        let bench = bench.reopened_with(&[sealing(2), sealing(1)]).await.unwrap();
        bench.log_in("t", "new").await;
        let hashes = bench.store.hashes(b"t");
        let records = bench.store.ask(Question { client: None, session: &hashes }).await.unwrap();
        let Some(Found::Live(live)) = records.session else { panic!("{:?}", records.session) };
        assert_eq!(live.record.user, user_id("new"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_under_the_first_of_its_hashes_that_is_there() {
    on_every_store(async |bench| {
        let nobody = bench.store.hash(b"nobody's");
        let (older, newer) = (bench.log_in("t", "7").await, bench.log_in("u", "8").await);
        for (session, found) in [
            (&[nobody, older][..], older),
            (&[older, nobody], older),
            (&[newer, older], newer),
            (&[nobody, nobody, older, newer], older),
        ] {
            let records = bench.store.ask(Question { session, ..Question::default() }).await.unwrap();
            let Some(Found::Live(live)) = records.session else { panic!("{:?}", records.session) };
            assert_eq!(live.hash, found);
        }
        bench.store.end(newer, Ending::Admin).await.unwrap();
        let records = bench.store.ask(Question { session: &[newer, older], ..Question::default() }).await.unwrap();
        assert!(matches!(records.session, Some(Found::Ended(Ending::Admin))), "an ended one counts as well");
    })
    .await;
}
