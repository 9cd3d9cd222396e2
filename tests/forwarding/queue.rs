//! Those who wait for a place before `upstream.max_connections` take turns.

use std::collections::HashSet;
use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::gate::Gate;
use crate::support::http::{Reply, Request};
use crate::support::scrape::Scrape;
use crate::support::scripted::Backend;

/// Two requests at once, from whoever a proxy says.
const NARROW: &str = r#"
upstream: {url: "{upstream}", max_connections: 2, queue_timeout: 60s}
store: {url: "memory:"}
trusted_proxies: [127.0.0.1]
clients: [{id: ios, secret: s1}, {id: web, secret: s2}]
endpoint: {query: {module: mod, controller: ctl, action: act}}
rules: [{endpoint: news/list/index, require: client}, {path: "/**", require: public}]
"#;

/// How many requests one sends who sends too many.
const MANY: usize = 60;

/// Waits until it is so.
async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("in a minute it did not become so that {what}"));
}

/// A slow application: it answers as often as it is let.
struct Slow {
    gate: Gate,
    answers: Arc<Semaphore>,
    seen: Arc<Mutex<Vec<String>>>,
    _backend: Backend,
}

impl Slow {
    async fn new() -> Self {
        let (answers, seen) = (Arc::new(Semaphore::new(0)), Arc::<Mutex<Vec<String>>>::default());
        let (wait, tell) = (answers.clone(), seen.clone());
        let backend = Backend::start(move |mut conversation, _| {
            let (wait, tell) = (wait.clone(), tell.clone());
            async move {
                while let Some(request) = conversation.request().await {
                    let name = request.split("who=").nth(1).unwrap().split([' ', '&']).next().unwrap();
                    tell.lock().unwrap().push(name.to_owned());
                    wait.acquire().await.unwrap().forget();
                    conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                }
            }
        })
        .await;
        let gate = Gate::with(NARROW).upstream(&backend.url()).start().await;
        Self { gate, answers, seen, _backend: backend }
    }

    /// Sends a request often, all at once, and waits until so many wait in all.
    async fn queue(&self, request: &Request, times: usize, in_all: usize) -> JoinSet<Reply> {
        let replies = (0..times).map(|_| request.clone().into_future()).collect();
        eventually("so many wait", async || {
            Scrape::of(&self.gate.admin).await.value("ticketgate_upstream_queue") == in_all as f64
        })
        .await;
        replies
    }

    /// Lets it answer once more, and tells who came to it in all once another one did.
    async fn answer(&self) -> Vec<String> {
        let before = self.seen.lock().unwrap().len();
        self.answers.add_permits(1);
        eventually("another request came", async || self.seen.lock().unwrap().len() > before).await;
        self.seen.lock().unwrap().clone()
    }

    /// The others are answered before long while one has many requests waiting.
    async fn assert_shared(self, greedy: &Request, others: &[Request]) {
        let mut many = self.queue(greedy, MANY, MANY - 2).await;
        let mut few = JoinSet::new();
        for (number, other) in others.iter().enumerate() {
            let mut reply = self.queue(other, 1, MANY - 1 + number).await;
            few.spawn(async move { reply.join_next().await.unwrap().unwrap() });
        }
        let mut seen = vec![];
        for _ in 0..=others.len() {
            seen = self.answer().await;
        }
        let turns = seen.iter().skip(2).filter(|who| *who != "greedy").collect::<HashSet<_>>();
        assert_eq!(turns.len(), others.len(), "{seen:?}");
        self.answers.add_permits(2);
        for reply in few.join_all().await {
            assert_eq!(reply.status, 200);
        }
        assert!(!many.is_empty());
        self.answers.add_permits(MANY);
        while let Some(reply) = many.join_next().await {
            assert_eq!(reply.unwrap().status, 200);
        }
    }
}

#[tokio::test]
async fn an_address_with_many_requests_waiting_does_not_hold_up_another() {
    let slow = Slow::new().await;
    let from = |address, who| slow.gate.get(&format!("/a?who={who}")).header("X-Forwarded-For", address);
    let greedy = from("2001:db8::1", "greedy");
    let others = [from("2001:db8:0:1::1", "one"), from("192.0.2.1", "two"), from("192.0.2.2", "three")];
    slow.assert_shared(&greedy, &others).await;
}

#[tokio::test]
async fn a_client_with_many_requests_waiting_does_not_hold_up_another_at_the_same_address() {
    let slow = Slow::new().await;
    let of = |id, secret, who| {
        let client = slow.gate.client(id, secret);
        client.request("GET", &format!("/index.php?mod=news&ctl=list&act=index&who={who}"), "news/list/index")
    };
    let greedy = of("ios", "s1", "greedy");
    let others = [of("web", "s2", "web"), slow.gate.get("/a?who=nobody")];
    slow.assert_shared(&greedy, &others).await;
}
