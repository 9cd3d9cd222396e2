//! Counting in a store: each behaviour below holds on every engine, and for gates that share one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use tempfile::TempDir;
use ticketgate::clock::Clock;
use ticketgate::secret::Secret;
use ticketgate::store::counting::{Count, Counter, Lockout, Over, Rate, Standing};
use ticketgate::store::{Location, Settings, Store};
use tokio::task::JoinSet;

#[path = "support/redis.rs"]
mod redis_server;
use redis_server::RedisServer;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const LOCKOUT: Lockout = Lockout { tries: 3, within: MINUTE, lock: HOUR };

/// Stores that count together: of two gates where the store is shared, of two workers otherwise.
struct Bench {
    left: Store,
    right: Store,
    redis: Option<RedisServer>,
    _directory: TempDir,
}

fn settings(location: Location, timeout: Duration) -> Settings {
    Settings { location, prefix: "t:".into(), keys: Vec::new(), timeout, tls: Default::default() }
}

impl Bench {
    async fn on_redis() -> Self {
        let redis = RedisServer::start();
        let settings = settings(Location::Redis(Secret::new(redis.url())), Duration::from_secs(20));
        let left = Store::open(&settings, Clock::system()).await.unwrap();
        let right = Store::open(&settings, Clock::system()).await.unwrap();
        Self { left, right, redis: Some(redis), _directory: tempfile::tempdir().unwrap() }
    }

    async fn embedded(durable: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let location = if durable { Location::File(directory.path().join("state.redb")) } else { Location::Memory };
        let left = Store::open(&settings(location, Duration::from_secs(20)), Clock::system()).await.unwrap();
        let right = left.attach();
        Self { left, right, redis: None, _directory: directory }
    }

    fn key(&self, name: &str) -> Counter {
        self.left.counter(&[b"test", name.as_bytes()])
    }

    fn count(&self, name: &'static str, rate: Rate) -> Count {
        Count { what: name, key: self.key(name), rate }
    }
}

async fn on_every_store(behaviour: impl AsyncFn(Bench)) {
    for bench in [Bench::embedded(false).await, Bench::embedded(true).await, Bench::on_redis().await] {
        // Shown where an assertion fails.
        println!("on {}", if bench.redis.is_some() { "Redis" } else { "an embedded store" });
        behaviour(bench).await;
    }
}

fn rate(count: u32, per: Duration, burst: u32) -> Rate {
    Rate::new(count, per, Some(burst)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_requests_pass_exactly_as_often_as_the_burst_allows() {
    on_every_store(async |bench| {
        let count = bench.count("a", rate(1, HOUR, 10));
        let mut racing = JoinSet::new();
        for number in 0..60 {
            let store = if number % 2 == 0 { bench.left.clone() } else { bench.right.clone() };
            racing.spawn(async move { store.take(&[count]).await });
        }
        let waits = racing.join_all().await;
        assert_eq!(waits.iter().filter(|over| over.is_none()).count(), 10);
        for over in waits.into_iter().flatten() {
            assert_eq!(over.what, "a");
            assert!(over.wait <= HOUR + Duration::from_millis(1) && over.wait > HOUR - MINUTE, "{over:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_as_told_passes() {
    on_every_store(async |bench| {
        let count = bench.count("a", rate(10, Duration::from_secs(1), 2));
        for _ in 0..5 {
            let wait = loop {
                if let Some(Over { wait, .. }) = bench.left.take(&[count]).await {
                    break wait;
                }
            };
            assert!(wait <= Duration::from_millis(101), "{wait:?}");
            tokio::time::sleep(wait).await;
            assert_eq!(bench.right.take(&[count]).await, None);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_limits_all_count_or_none() {
    on_every_store(async |bench| {
        let (wide, narrow) = (bench.count("wide", rate(1, HOUR, 5)), bench.count("narrow", rate(1, HOUR, 2)));
        for passes in [true, true, false, false, false, false] {
            let over = bench.left.take(&[wide, narrow]).await;
            assert_eq!(over.map(|over| over.what), (!passes).then_some("narrow"));
        }
        for _ in 0..3 {
            assert_eq!(bench.right.take(&[wide]).await, None, "the refused ones did not count");
        }
        assert!(bench.left.take(&[wide]).await.is_some());
        assert_eq!(bench.left.take(&[]).await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_passes_within_one_percent_of_the_rate() {
    on_every_store(async |bench| {
        // The burst bridges pauses of a busy machine; it is used up before the time is taken.
        let count = bench.count("a", rate(200, Duration::from_secs(1), 60));
        while bench.left.take(&[count]).await.is_none() {}
        let started = Instant::now();
        let mut flood = JoinSet::new();
        for store in [&bench.left, &bench.right, &bench.left, &bench.right] {
            let store = store.clone();
            flood.spawn(async move {
                let (mut passed, mut last) = (0_u32, started);
                while started.elapsed() < Duration::from_secs(2) {
                    last = Instant::now();
                    match store.take(&[count]).await {
                        None => passed += 1,
                        Some(_) => tokio::task::yield_now().await,
                    }
                }
                (passed, last)
            });
        }
        let (passed, ends): (Vec<u32>, Vec<Instant>) = flood.join_all().await.into_iter().unzip();
        // Until the last was asked, whenever this machine got round to counting them.
        let elapsed = ends.into_iter().max().unwrap().duration_since(started);
        let (passed, expected) = (f64::from(passed.into_iter().sum::<u32>()), 200.0 * elapsed.as_secs_f64());
        assert!((passed - expected).abs() <= expected * 0.01, "{passed} of {expected}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_failures_lock_everywhere_and_a_lock_is_not_prolonged() {
    on_every_store(async |bench| {
        let (key, other) = (bench.key("lilei"), bench.key("hanmeimei"));
        assert_eq!(bench.left.standings(&[key], &LOCKOUT).await, [Standing::default()]);
        for failures in 1..3 {
            assert_eq!(bench.left.fail(&[key], &LOCKOUT, false).await, None);
            let standings = bench.right.standings(&[other, key], &LOCKOUT).await;
            assert_eq!(standings, [Standing::default(), Standing { locked: None, failures }]);
        }
        assert_eq!(
            bench.right.fail(&[key, other], &LOCKOUT, false).await,
            None,
            "the one that locks was still let try"
        );

        let locked = async |store: &Store| {
            let standings = store.standings(&[key], &LOCKOUT).await;
            standings.first().and_then(|standing| standing.locked)
        };
        let first = locked(&bench.left).await.unwrap();
        assert!(first <= HOUR && first > HOUR - MINUTE, "{first:?}");
        assert!(bench.left.fail(&[key, other], &LOCKOUT, false).await.unwrap() <= first);
        assert!(locked(&bench.right).await.unwrap() <= first);
        let standings = bench.left.standings(&[other], &LOCKOUT).await;
        assert_eq!(standings, [Standing { locked: None, failures: 2 }]);

        bench.right.clear(&[key, other]).await;
        assert_eq!(bench.left.standings(&[key, other], &LOCKOUT).await, [Standing::default(); 2]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_failures_are_each_counted_once() {
    on_every_store(async |bench| {
        let lockout = Lockout { tries: 20, ..LOCKOUT };
        let key = bench.key("lilei");
        let mut racing = JoinSet::new();
        for number in 0..50 {
            let store = if number % 2 == 0 { bench.left.clone() } else { bench.right.clone() };
            racing.spawn(async move { store.fail(&[key], &lockout, false).await });
        }
        let counted = racing.join_all().await.iter().filter(|locked| locked.is_none()).count();
        assert_eq!(counted, 20);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_and_locks_pass_by_themselves() {
    on_every_store(async |bench| {
        let short = Duration::from_millis(600);
        let lockout = Lockout { tries: 2, within: short, lock: short };
        let key = bench.key("lilei");
        bench.left.fail(&[key], &lockout, false).await;
        tokio::time::sleep(short).await;
        bench.left.fail(&[key], &lockout, false).await;
        let standings = bench.left.standings(&[key], &lockout).await;
        assert_eq!(standings, [Standing { locked: None, failures: 1 }], "the first is too long ago");
        bench.left.fail(&[key], &lockout, false).await;
        let locked = bench.left.standings(&[key], &lockout).await.first().and_then(|standing| standing.locked);
        tokio::time::sleep(locked.unwrap()).await;
        assert_eq!(bench.left.standings(&[key], &lockout).await, [Standing::default()]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_at_one_gate_is_known_at_the_other_soon() {
    on_every_store(async |bench| {
        assert!(!bench.right.is_alarmed().await && !bench.left.is_alarmed().await);
        bench.left.fail(&[bench.key("a")], &LOCKOUT, true).await;
        assert!(bench.left.is_alarmed().await, "at once where it was raised");
        let raised = Instant::now();
        while !bench.right.is_alarmed().await {
            assert!(raised.elapsed() < Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_redis_counters_expire_and_their_keys_name_nobody() {
    let bench = Bench::on_redis().await;
    bench.left.take(&[bench.count("lilei", rate(1, HOUR, 5))]).await;
    bench.left.fail(&[bench.key("lilei"), bench.key("10.0.0.1")], &LOCKOUT, true).await;
    for _ in 0..3 {
        bench.left.fail(&[bench.key("locked")], &LOCKOUT, false).await;
    }
    let redis = bench.redis.as_ref().unwrap();
    let keys: Vec<String> = redis.command(&["KEYS", "*"]);
    assert_eq!(keys.len(), 5, "{keys:?}");
    for key in keys {
        assert!(key.starts_with("t:rate:") || key.starts_with("t:tries:"), "{key}");
        assert!(!key.contains("lilei") && !key.contains("10.0.0.1"), "{key}");
        let life: i64 = redis.command(&["PTTL", &key]);
        assert!(life > 0 && life <= 3_600_000, "{key} lives for {life}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_each_gate_counts_for_itself_and_says_so() {
    let mut redis = RedisServer::start();
    let settings = settings(Location::Redis(Secret::new(redis.url())), Duration::from_millis(250));
    let left = Store::open(&settings, Clock::system()).await.unwrap();
    let right = Store::open(&settings, Clock::system()).await.unwrap();
    let count = Count { what: "a", key: left.counter(&[b"a"]), rate: rate(1, HOUR, 2) };
    let key = left.counter(&[b"lilei"]);
    assert_eq!(left.take(&[count]).await, None);
    assert_eq!((left.counted_locally(), right.counted_locally()), (0, 0));

    redis.kill();
    for store in [&left, &right] {
        assert_eq!(store.take(&[count]).await, None);
        assert_eq!(store.attach().take(&[count]).await, None, "workers count together");
        assert_eq!(store.take(&[count]).await.map(|over| over.what), Some("a"));
    }
    assert_eq!((left.counted_locally(), right.counted_locally()), (3, 3));
    for _ in 0..3 {
        assert_eq!(left.fail(&[key], &LOCKOUT, true).await, None);
    }
    assert!(left.is_alarmed().await && left.fail(&[key], &LOCKOUT, true).await.is_some());

    redis.restart(None);
    let back = Instant::now();
    while left.ping().await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(left.take(&[count]).await, None, "this Redis knows of nothing");
    assert_eq!(left.standings(&[key], &LOCKOUT).await, [Standing::default()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_only_refuses_to_count_is_no_less_asked() {
    let bench = Bench::on_redis().await;
    let redis = bench.redis.as_ref().unwrap();
    let count = bench.count("a", rate(1, HOUR, 2));
    // Full: it reads, and writes nothing.
    let _: String = redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(bench.left.take(&[count]).await, None);
    assert_eq!(bench.left.take(&[count]).await, None);
    assert!(bench.left.take(&[count]).await.is_some());
    assert_eq!(bench.left.counted_locally(), 3);
    assert_eq!(bench.left.ping().await, Ok(()));
}
