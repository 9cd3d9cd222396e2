//! What lies in Redis, as an operator sees it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn in_redis_every_key_but_clients_has_an_expiry() {
    let bench = Bench::start(Engine::Redis, None).await;
    let prefix = bench.prefix();
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
    let server = bench.redis.as_ref().unwrap().one();
    let mut keys: Vec<String> = server.command(&["KEYS", "*"]);
    keys.sort();
    let [a, b] = ["a", "b"].map(|token| format!("{prefix}session:{}", bench.store.hash(token.as_bytes()).to_hex()));
    let mut expected = vec![format!("{prefix}client:ios"), a, b, format!("{prefix}user:7")];
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
    let prefix = bench.prefix();
    let server = bench.redis.as_ref().unwrap().one();
    let expiry = || server.command::<i64>(&["PTTL", &format!("{prefix}user:7")]);
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
    let prefix = bench.prefix();
    for number in 0..300 {
        let hash = bench.log_in(&format!("t{number}"), "7").await;
        let key = format!("{prefix}session:{}", hash.to_hex());
        bench.redis.as_ref().unwrap().one().command::<i64>(&["DEL", &key]);
    }
    let listed: i64 = bench.redis.as_ref().unwrap().one().command(&["ZCARD", &format!("{prefix}user:7")]);
    assert!(listed < 10, "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_deleted_by_hand_in_redis_is_gone() {
    let bench = Bench::start(Engine::Redis, Some(1)).await;
    let prefix = bench.prefix();
    let hash = bench.log_in("t", "7").await;
    bench.redis.as_ref().unwrap().one().command::<i64>(&["DEL", &format!("{prefix}session:{}", hash.to_hex())]);
    assert!(bench.find(hash).await.is_none());
    assert_eq!(bench.listed("7").await, []);
}
