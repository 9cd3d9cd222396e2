//! What every store keeps to of sessions that live on one connection, and of watching sessions.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use tempfile::TempDir;
use ticketgate::clock::Clock;
use ticketgate::ids::{ChannelId, SessionId, TokenHash, UserId};
use ticketgate::secret::Secret;
use ticketgate::store::channel::{Channel, Move, Moved, Unmoved};
use ticketgate::store::watch::{Over, Watch};
use ticketgate::store::{Created, Ending, Found, Key, Location, Question, SessionRecord, Settings, Store, Tls};
use tokio::time::timeout;

#[path = "support/redis.rs"]
mod redis_server;
use redis_server::RedisServer;

const WITHIN: Duration = Duration::from_secs(120);
const IDLE: Duration = Duration::from_secs(7200);

struct Bench {
    store: Store,
    /// Another gate on the same store, or another worker where only one gate may hold it.
    other: Store,
    clock: Clock,
    redis: Option<RedisServer>,
    _directory: TempDir,
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
        let keys = key.map(|byte| Key::Sealing(Secret::new([byte; 32]))).into_iter().collect();
        let settings =
            Settings { location, prefix: "t:".into(), keys, timeout: Duration::from_secs(20), tls: Tls::default() };
        let clock = Clock::movable();
        let store = Store::open(&settings, clock.clone()).await.unwrap();
        let other = match redis {
            Some(_) => Store::open(&settings, clock.clone()).await.unwrap(),
            None => store.attach(),
        };
        Self { store, other, clock, redis, _directory: directory }
    }

    fn session(&self, channel: Option<Channel>) -> SessionRecord {
        let now = self.clock.now();
        SessionRecord {
            id: sid(),
            user: UserId::new("u").ok(),
            client: None,
            created: now,
            ends: now.plus(IDLE * 100),
            ip: "127.0.0.1".into(),
            user_agent: String::new(),
            jar: Vec::new(),
            holds_cookies: true,
            channel: channel.map(Box::new),
        }
    }

    fn channel(&self, id: &str, wstoken: &str) -> Channel {
        Channel { id: cid(id), key: self.store.channel_key(wstoken.as_bytes()), lost: None }
    }

    async fn log_in(&self, token: &str, channel: Option<Channel>) -> TokenHash {
        let hash = self.store.hash(token.as_bytes());
        let created = self.store.create(hash, &self.session(channel), IDLE, None).await;
        assert_eq!(created, Ok(Created::Stands { displaced: 0 }));
        hash
    }

    async fn lives_on(&self, hash: TokenHash) -> Option<Channel> {
        match self.other.ask(Question { client: None, session: &[hash] }).await.unwrap().session {
            Some(Found::Live(live)) => live.record.channel.as_deref().cloned(),
            other => panic!("not living: {other:?}"),
        }
    }

    async fn move_to(&self, store: &Store, hash: TokenHash, wstoken: &str, to: &Channel) -> Moved {
        let shown = store.channel_keys(wstoken.as_bytes());
        let moving = Move { hash, session: &sid(), shown: &shown, to, within: WITHIN };
        store.rebind(&moving).await.unwrap()
    }
}

fn sid() -> SessionId {
    SessionId::new("s1").unwrap()
}

fn cid(id: &str) -> ChannelId {
    ChannelId::new(id).unwrap()
}

async fn on_every_store(behaviour: impl AsyncFn(Bench)) {
    for engine in [Engine::Memory, Engine::File, Engine::Redis] {
        for key in [None, Some(7)] {
            eprintln!("{engine:?} {key:?}");
            behaviour(Bench::start(engine, key).await).await;
        }
    }
}

async fn over(watch: &mut Watch) -> Option<Over> {
    timeout(Duration::from_secs(1), watch.over()).await.ok()
}

#[tokio::test]
async fn a_session_keeps_the_connection_it_was_made_on() {
    on_every_store(async |bench| {
        let channel = bench.channel("g-1", "w1");
        let hash = bench.log_in("t", Some(channel.clone())).await;
        assert_eq!(bench.lives_on(hash).await, Some(channel.clone()));
        bench.store.change_jar(hash, &sid(), &|_| true).await.unwrap();
        assert_eq!(bench.lives_on(hash).await, Some(channel));
    })
    .await;
}

#[tokio::test]
async fn it_moves_to_who_shows_the_wstoken_and_that_is_used_up() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", Some(bench.channel("g-1", "w1"))).await;
        let (second, third) = (bench.channel("g-2", "w2"), bench.channel("g-3", "w3"));
        assert_eq!(bench.move_to(&bench.other, hash, "wrong", &second).await, Moved::Not(Unmoved::WrongKey));
        assert_eq!(bench.move_to(&bench.other, hash, "t", &second).await, Moved::Not(Unmoved::WrongKey));
        assert_eq!(bench.move_to(&bench.other, hash, "w1", &second).await, Moved::Done);
        assert_eq!(bench.lives_on(hash).await, Some(second));
        assert_eq!(bench.move_to(&bench.store, hash, "w1", &third).await, Moved::Not(Unmoved::WrongKey));
        assert_eq!(bench.move_to(&bench.store, hash, "w2", &third).await, Moved::Done);
        bench.store.end(hash, Ending::Logout).await.unwrap();
        assert_eq!(bench.move_to(&bench.store, hash, "w3", &third).await, Moved::Gone);
        let unbound = bench.log_in("other", None).await;
        assert_eq!(bench.move_to(&bench.store, unbound, "w", &third).await, Moved::Not(Unmoved::Unbound));
    })
    .await;
}

#[tokio::test]
async fn of_fifty_who_race_with_one_wstoken_one_gets_it() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", Some(bench.channel("g-1", "w1"))).await;
        let mut racing = tokio::task::JoinSet::new();
        for number in 0..50 {
            let store = if number % 2 == 0 { bench.store.clone() } else { bench.other.clone() };
            let (to, shown) = (bench.channel(&format!("g-{number}"), "next"), store.channel_keys(b"w1"));
            racing.spawn(async move {
                let session = sid();
                let moving = Move { hash, session: &session, shown: &shown, to: &to, within: WITHIN };
                (store.rebind(&moving).await.unwrap(), to)
            });
        }
        let outcomes = racing.join_all().await;
        let winners: Vec<_> = outcomes.into_iter().filter(|(moved, _)| *moved == Moved::Done).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(bench.lives_on(hash).await.as_ref(), winners.first().map(|(_, to)| to));
    })
    .await;
}

#[tokio::test]
async fn a_lost_connection_is_noted_once_and_only_by_itself_and_resumed_within_its_time() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", Some(bench.channel("g-1", "w1"))).await;
        assert_eq!(bench.store.lose_channel(hash, &sid(), &cid("g-9")).await, Ok(false));
        assert_eq!(bench.lives_on(hash).await.unwrap().lost, None);
        assert_eq!(bench.store.lose_channel(hash, &sid(), &cid("g-1")).await, Ok(true));
        let lost = bench.lives_on(hash).await.unwrap().lost;
        assert!(lost.is_some());
        bench.clock.advance(Duration::from_secs(100));
        assert_eq!(bench.store.lose_channel(hash, &sid(), &cid("g-1")).await, Ok(true));
        assert_eq!(bench.lives_on(hash).await.unwrap().lost, lost);
        let second = bench.channel("g-2", "w2");
        assert_eq!(bench.move_to(&bench.other, hash, "w1", &second).await, Moved::Done);
        bench.store.lose_channel(hash, &sid(), &cid("g-2")).await.unwrap();
        bench.clock.advance(WITHIN + Duration::from_millis(1));
        assert_eq!(bench.move_to(&bench.other, hash, "w2", &second).await, Moved::Not(Unmoved::Late));
        assert_eq!(bench.store.lose_channel(bench.store.hash(b"none"), &sid(), &cid("g-1")).await, Ok(false));
    })
    .await;
}

#[tokio::test]
async fn a_watch_tells_within_a_second_of_every_end_and_of_nothing_else() {
    on_every_store(async |bench| {
        for (index, ending) in [Ending::Logout, Ending::Admin, Ending::NewerLogin].into_iter().enumerate() {
            let hash = bench.log_in(&format!("t{index}"), Some(bench.channel("g-1", "w1"))).await;
            let mut watch = bench.store.watch(hash, sid(), Some(cid("g-1")));
            let mut any = bench.store.watch(hash, sid(), None);
            bench.other.extend(hash, IDLE);
            bench.other.change_jar(hash, &sid(), &|_| true).await.unwrap();
            assert_eq!(over(&mut watch).await, None);
            bench.other.end(hash, ending).await.unwrap();
            assert_eq!((over(&mut watch).await, over(&mut any).await), (Some(Over::Ended), Some(Over::Ended)));
            assert_eq!(over(&mut watch).await, Some(Over::Ended), "it says so again");
        }
        let hash = bench.log_in("all", None).await;
        let mut watch = bench.store.watch(hash, sid(), None);
        assert_eq!(bench.other.end_user(&UserId::new("u").unwrap(), None, Ending::Admin).await, Ok(1));
        assert_eq!(over(&mut watch).await, Some(Over::Ended));
    })
    .await;
}

#[tokio::test]
async fn a_watch_over_a_connection_tells_when_its_session_moves() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", Some(bench.channel("g-1", "w1"))).await;
        let mut here = bench.store.watch(hash, sid(), Some(cid("g-1")));
        let mut anywhere = bench.store.watch(hash, sid(), None);
        assert_eq!(bench.move_to(&bench.other, hash, "w1", &bench.channel("g-2", "w2")).await, Moved::Done);
        assert_eq!(over(&mut here).await, Some(Over::Moved));
        assert_eq!(over(&mut anywhere).await, None);
    })
    .await;
}

#[tokio::test]
async fn a_watch_that_begins_too_late_tells_at_once_and_another_session_under_the_token_is_an_end() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", None).await;
        let mut stranger = bench.store.watch(hash, SessionId::new("s0").unwrap(), None);
        assert_eq!(over(&mut stranger).await, Some(Over::Ended));
        bench.store.end(hash, Ending::Logout).await.unwrap();
        let mut late = bench.store.watch(hash, sid(), None);
        assert_eq!(over(&mut late).await, Some(Over::Ended));
        drop(late);
        let again = bench.log_in("t", None).await;
        assert_eq!(over(&mut bench.store.watch(again, sid(), None)).await, None, "an old watch is forgotten");
    })
    .await;
}

#[tokio::test]
async fn in_redis_a_session_that_an_operator_deletes_and_one_that_expires_end_their_watches() {
    let bench = Bench::start(Engine::Redis, Some(7)).await;
    let redis = bench.redis.as_ref().unwrap();
    for command in ["DEL", "EXPIRE"] {
        let hash = bench.log_in(command, None).await;
        let mut watch = bench.store.watch(hash, sid(), None);
        assert_eq!(over(&mut watch).await, None);
        let key = format!("t:session:{}", hash.to_hex());
        let words = if command == "DEL" { vec!["DEL", &key] } else { vec!["PEXPIRE", &key, "1"] };
        let _: i64 = redis.command(&words);
        assert_eq!(over(&mut watch).await, Some(Over::Ended), "{command}");
    }
}

#[tokio::test]
async fn a_redis_that_is_away_ends_no_watch() {
    let mut bench = Bench::start(Engine::Redis, None).await;
    let (ended, living) = (bench.log_in("a", None).await, bench.log_in("b", None).await);
    let mut watches = [ended, living].map(|hash| bench.store.watch(hash, sid(), None));
    assert_eq!(over(&mut watches[0]).await, None);
    let redis = bench.redis.as_mut().unwrap();
    redis.signal("STOP");
    assert_eq!(over(&mut watches[1]).await, None);
    redis.signal("CONT");
    bench.other.end(ended, Ending::Admin).await.unwrap();
    assert_eq!(timeout(Duration::from_secs(30), watches[0].over()).await, Ok(Over::Ended));
    assert_eq!(over(&mut watches[1]).await, None);
}
