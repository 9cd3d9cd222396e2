//! `store.key`: what is sealed, what opens, what happens when it is replaced.

use super::*;

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
            assert_eq!(records.client.as_deref(), Some(&client("ios")));
            let Some(Found::Live(live)) = records.session else { panic!("{:?}", records.session) };
            assert_eq!((live.hash, &live.record.user), (hash, &Some(user_id("7"))), "found where it stands");

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
        assert_eq!(live.record.user, Some(user_id("new")));
    }
}
