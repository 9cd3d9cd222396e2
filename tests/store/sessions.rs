//! One session: written, found, extended, changed, ended.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_as_it_was_written_with_its_client_in_one_question() {
    on_every_store(async |bench| {
        let hash = bench.log_in("t", "7").await;
        assert!(bench.store.add_client(&client("ios")).await.unwrap());
        let id = ClientId::new("ios").unwrap();
        let records = bench.store.ask(Question { client: Some(&id), session: &[hash] }).await.unwrap();
        assert_eq!(records.client.as_deref(), Some(&client("ios")));
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
        if bench.redis.is_some() {
            assert!(!bench.keys().iter().any(|key| key.contains(&out.to_hex())), "not even a trace was created");
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
        assert_eq!(bench.live(hash).await.record.user, Some(user_id("8")));
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
        let names: HashSet<_> = bench.live(hash).await.record.jar.iter().map(|cookie| cookie.name.clone()).collect();
        assert_eq!(names.len(), 51);
    })
    .await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_guests_session_lives_as_others_do_and_is_nobodys() {
    on_every_store(async |bench| {
        let guest = SessionRecord { user: None, ..bench.session("7") };
        let (hash, user) = (bench.store.hash(b"guest"), bench.store.hash(b"user"));
        let cap = Some(Cap { sessions: 1, end_oldest: false });
        let stands = Ok(Created::Stands { displaced: 0 });
        assert_eq!(bench.store.create(hash, &guest, IDLE, cap).await, stands);
        assert_eq!(*bench.live(hash).await.record, guest);
        let put = |jar: &mut Vec<HeldCookie>| {
            jar.push(cookie("cart", "tea"));
            true
        };
        assert_eq!(bench.store.change_jar(hash, &sid(), &put).await, Ok(true));
        assert_eq!(bench.live(hash).await.record.jar.len(), 2);
        bench.store.extend(hash, IDLE * 2);
        bench.store.flush().await.unwrap();
        bench.pass(IDLE + Duration::from_secs(60));
        bench.live(hash).await;
        let admission = Admission { hash: user, record: &bench.session("7"), idle: IDLE, cap, older: Some(hash) };
        assert_eq!(bench.store.admit(admission).await, stands, "it counts for no user's cap");
        assert!(bench.find(hash).await.is_none(), "replaced by the user's");
        assert_eq!(bench.listed("7").await, [user]);
        assert_eq!(bench.store.create(hash, &guest, IDLE, None).await, stands);
        assert_eq!(bench.store.end(hash, Ending::Logout).await, Ok(true));
        assert!(bench.find(hash).await.is_none());
        assert_eq!(bench.store.end_user(&user_id("7"), None, Ending::Admin).await, Ok(1));
    })
    .await;
}
