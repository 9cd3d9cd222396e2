//! Nonces and signatures that were used.

use super::*;

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
    let (server, keys, prefix) = (bench.redis.as_ref().unwrap().one(), bench.keys(), bench.prefix());
    assert_eq!(keys.len(), 3, "two nonces and their count: {keys:?}");
    for key in keys {
        assert!(key.starts_with(&format!("{prefix}nonce:ios:")) && !key.contains("itself"), "{key}");
        let left: i64 = server.command(&["PTTL", &key]);
        assert!(left > 0 && left <= i64::try_from(WINDOW.as_millis()).unwrap(), "{key}: {left}");
    }
}
