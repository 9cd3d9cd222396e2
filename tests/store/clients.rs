//! Registered clients.

use super::*;

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
