//! The sessions of a user: how many, which, in what order.

use super::*;

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
