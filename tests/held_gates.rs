//! Gates that hold answers of one Redis: what they are asked for less, and that nobody gets in by it.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::caller::{Caller, Session};
use support::gate::Gate;
use support::http::Connection;
use support::redis::RedisServer;
use support::scrape::Scrape;
use support::scripted::Backend;
use ticketgate::clock::Clock;
use ticketgate::ids::{ClientId, SessionId, TokenHash, UserId};
use ticketgate::secret::Secret;
use ticketgate::store::record::{Algorithm, LiveSecret};
use ticketgate::store::{ClientRecord, Ending, Location, SessionRecord, Settings, Store, Tls};

const CONFIG: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "{redis}", timeout: 500ms, when_down: {when_down}}
clients:
  - {id: ios, secret: s3cret}
endpoint:
  - query: {module: mod, controller: ctl, action: act}
limits: {limits}
rules:
  - {endpoint: news, require: client}
default: user
"#;
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NO_LIMITS: &str = "{failed_tokens: ~, failed_logins: ~}";
const IDLE: Duration = Duration::from_secs(7200);
/// What ended is refused within this, wherever.
const BOUND: Duration = Duration::from_secs(1);
const INFO: &str = "user/info/get";

/// An application, a Redis, and a third hand on its data.
struct Site {
    backend: Backend,
    redis: RedisServer,
    hand: Store,
}

impl Site {
    async fn start() -> Self {
        let (backend, redis) = (Backend::answering(OK).await, RedisServer::start());
        let location = Location::Redis(Secret::new(redis.url()));
        let timeout = Duration::from_secs(20);
        let settings =
            Settings { location, prefix: "ticketgate:".into(), keys: Vec::new(), timeout, tls: Tls::default() };
        let hand = Store::open(&settings, Clock::system()).await.unwrap();
        Self { backend, redis, hand }
    }

    fn setup(&self, limits: &str, when_down: &str) -> support::gate::Setup {
        let setup = Gate::with(CONFIG).upstream(&self.backend.url()).put("redis", &self.redis.url());
        setup.put("limits", limits).put("when_down", when_down)
    }

    async fn gate(&self) -> Gate {
        self.setup(NO_LIMITS, "refuse").start().await
    }

    /// Logs a user in behind the gates' backs.
    async fn log_in(&self, user: &str) -> (TokenHash, Session) {
        let user_token = format!("token-of-{user}");
        let hash = self.hand.hash(user_token.as_bytes());
        let now = Clock::system().now();
        let record = SessionRecord {
            id: SessionId::new(format!("s-{user}")).unwrap(),
            user: UserId::new(user).ok(),
            client: Some(ClientId::new("ios").unwrap()),
            created: now,
            ends: now.plus(IDLE * 12),
            ip: "127.0.0.1".into(),
            user_agent: String::new(),
            jar: Vec::new(),
            holds_cookies: false,
            channel: None,
        };
        self.hand.create(hash, &record, IDLE, None).await.unwrap();
        (hash, Session { user_id: user.to_owned(), user_token, expire_time: 0 })
    }

    async fn user(&self, gate: &Gate, user: &str) -> Caller {
        gate.client("ios", "s3cret").with(self.log_in(user).await.1)
    }

    /// Commands that Redis has carried out, without those of connecting, of proofs that a connection lives, and of this question.
    fn commands(&self) -> u64 {
        let stats: String = self.redis.command(&["INFO", "commandstats"]);
        let ours = ["ping", "info", "hello", "client|setinfo", "select", "command"];
        let mut calls = 0;
        for line in stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")) {
            let (name, rest) = line.split_once(":calls=").unwrap();
            if !ours.contains(&name) {
                calls += rest.split(',').next().unwrap().parse::<u64>().unwrap();
            }
        }
        calls
    }
}

fn key(hash: TokenHash) -> String {
    format!("ticketgate:session:{}", hash.to_hex())
}

/// How many decisions held answers sufficed for, did not, or did while the store was away.
async fn held(gate: &Gate, result: &str) -> f64 {
    Scrape::of(&gate.admin).await.value(&format!("ticketgate_held_answers_total{{result=\"{result}\"}}"))
}

/// Asks over a connection that stays open; whether it was let through.
async fn passes(connection: &mut Connection, request: &[u8]) -> bool {
    connection.send(request).await;
    let reply = connection.reply_to("GET").await.unwrap();
    match (reply.status, reply.reason()) {
        (200, "") => true,
        (401, "user_refused" | "user_ended") => false,
        _ => panic!("{reply:?}"),
    }
}

/// What one of those who end sessions has seen.
#[derive(Default)]
struct Seen {
    ended: usize,
    late: usize,
    longest: Duration,
}

/// Uses two living sessions all the time; how often.
async fn load(site: Arc<Site>, gate: Arc<Gate>, number: usize, over: Arc<AtomicBool>) -> usize {
    let users = [site.user(&gate, &format!("load-{number}")).await, site.user(&gate, "busy").await];
    let mut connection = gate.connect().await;
    let mut asked = 0;
    while !over.load(Ordering::Relaxed) {
        assert!(passes(&mut connection, &users[asked % 2].get(INFO).to_bytes()).await);
        asked += 1;
    }
    asked
}

/// Logs in, uses both gates, ends the session in one of three ways, and tries both gates until they refuse.
async fn end_them(site: Arc<Site>, gates: [Arc<Gate>; 2], numbers: impl Iterator<Item = usize>) -> Seen {
    let mut redis = site.redis.connect();
    let mut connections = [gates[0].connect().await, gates[1].connect().await];
    let mut seen = Seen::default();
    for number in numbers {
        let (hash, session) = site.log_in(&format!("u{number}")).await;
        let request = gates[0].client("ios", "s3cret").with(session).get(INFO).to_bytes();
        for connection in &mut connections {
            assert!(passes(connection, &request).await, "{number}");
        }
        match number % 3 {
            0 => redis::cmd("DEL").arg(key(hash)).exec(&mut redis).unwrap(),
            1 => assert_eq!(site.hand.end(hash, Ending::Logout).await, Ok(true)),
            _ => assert_eq!(site.hand.end(hash, Ending::Admin).await, Ok(true)),
        }
        let ended = Instant::now();
        seen.ended += 1;
        for connection in &mut connections {
            loop {
                let after = ended.elapsed();
                if !passes(connection, &request).await {
                    break;
                }
                seen.late += usize::from(after >= BOUND);
                seen.longest = seen.longest.max(after);
            }
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_sessions_that_end_under_load_none_is_accepted_late_at_any_gate() {
    const SESSIONS: usize = 10_000;
    const HANDS: usize = 12;
    let site = Arc::new(Site::start().await);
    let gates = [Arc::new(site.gate().await), Arc::new(site.gate().await)];
    let over = Arc::new(AtomicBool::new(false));
    let load = |number: usize| load(Arc::clone(&site), Arc::clone(&gates[number]), number, Arc::clone(&over));
    let loads = [tokio::spawn(load(0)), tokio::spawn(load(1))];
    let hands: Vec<_> = (0..HANDS)
        .map(|hand| tokio::spawn(end_them(Arc::clone(&site), gates.clone(), (hand..SESSIONS).step_by(HANDS))))
        .collect();
    let mut all = Seen::default();
    for hand in hands {
        let seen = hand.await.unwrap();
        all.ended += seen.ended;
        all.late += seen.late;
        all.longest = all.longest.max(seen.longest);
    }
    over.store(true, Ordering::Relaxed);
    for load in loads {
        assert!(load.await.unwrap() > 0);
    }
    eprintln!("{} ended; the latest was accepted {:?} after", all.ended, all.longest);
    assert_eq!((all.ended, all.late), (SESSIONS, 0));
}

#[tokio::test]
async fn active_users_cost_redis_next_to_nothing() {
    let site = Site::start().await;
    let gate = site.gate().await;
    let mut users = Vec::new();
    for number in 0..20 {
        users.push(site.user(&gate, &format!("u{number}")).await.get(INFO).to_bytes());
    }
    let mut connections = [gate.connect().await, gate.connect().await];
    for request in &users {
        assert!(passes(&mut connections[0], request).await);
    }
    let before = site.commands();
    for round in 0..50 {
        for request in &users {
            assert!(passes(&mut connections[round % 2], request).await);
        }
    }
    let commands = site.commands() - before;
    assert!(commands <= 5, "{commands} commands for 1000 requests");
    let (hits, misses) = (held(&gate, "hit").await, held(&gate, "miss").await);
    assert!(hits >= 995.0 && hits + misses >= 1020.0, "{hits} and {misses}");
    assert_eq!(held(&gate, "trusted").await, 0.0);
}

#[tokio::test]
async fn who_proves_nothing_costs_no_question_about_a_client_or_a_session() {
    let site = Site::start().await;
    let record = ClientRecord {
        id: ClientId::new("web").unwrap(),
        secrets: vec![LiveSecret { secret: Secret::new("s3cret-of-web"), until: None }],
        enabled: true,
        algorithms: vec![Algorithm::Md5],
        endpoints: vec!["*".into()],
        signature: None,
        name: String::new(),
        created: Clock::system().now(),
    };
    site.hand.add_client(&record).await.unwrap();
    let gate = site.gate().await;
    let lilei = site.log_in("lilei").await.1;
    let callers = ["ios", "web", "nobody"].map(|id| gate.client(id, "guessed"));
    for caller in &callers {
        caller.clone().with(lilei.clone()).get(INFO).await.assert_refused(401, "client_refused");
    }
    let before = site.commands();
    for number in 0..20 {
        let session = Session { user_token: format!("guessed-{number}"), ..lilei.clone() };
        for caller in &callers {
            caller.get("news/list/index").await.assert_refused(401, "client_refused");
            caller.clone().with(session.clone()).get(INFO).await.assert_refused(401, "client_refused");
        }
    }
    assert_eq!(site.commands() - before, 0);
    gate.client("web", "s3cret-of-web").get("news/list/index").await.assert_passed();
}

#[tokio::test]
async fn limits_count_whether_or_not_the_session_is_held() {
    let site = Site::start().await;
    let gate = site.setup("{per_user: {rate: 1/h, burst: 10}, failed_tokens: ~}", "refuse").start().await;
    let lilei = site.user(&gate, "lilei").await;
    for _ in 0..10 {
        lilei.get(INFO).await.assert_passed();
    }
    lilei.get(INFO).await.assert_refused(429, "limited");
}

#[tokio::test]
async fn a_refused_request_extends_nothing_however_much_is_held() {
    let site = Site::start().await;
    let gate = site.gate().await;
    let (hash, session) = site.log_in("lilei").await;
    let lilei = gate.client("ios", "s3cret").with(session.clone());
    lilei.get(INFO).await.assert_passed();
    site.redis.command::<()>(&["PEXPIRE", &key(hash), "60000"]);
    let stranger = gate.client("ios", "s3cret").with(Session { user_id: "hanmeimei".into(), ..session.clone() });
    let guess = gate.client("ios", "guessed").with(session);
    for _ in 0..5 {
        stranger.get(INFO).await.assert_refused(401, "user_refused");
        guess.get(INFO).await.assert_refused(401, "client_refused");
    }
    assert!(site.redis.command::<i64>(&["PTTL", &key(hash)]) <= 60_000);
    lilei.get(INFO).await.assert_passed();
    assert!(site.redis.command::<i64>(&["PTTL", &key(hash)]) > 7_000_000);
}

#[tokio::test]
async fn a_gate_that_is_killed_right_after_its_answer_has_told_of_the_use() {
    let site = Site::start().await;
    let (hash, session) = site.log_in("lilei").await;
    for _ in 0..3 {
        let gate = site.setup(NO_LIMITS, "refuse").process().await;
        site.redis.command::<()>(&["PEXPIRE", &key(hash), "60000"]);
        gate.client("ios", "s3cret").with(session.clone()).get(INFO).await.assert_passed();
        gate.signal(Signal::KILL);
        assert!(site.redis.command::<i64>(&["PTTL", &key(hash)]) >= 7_199_000);
        gate.ended().await;
    }
}

#[tokio::test]
async fn verified_users_still_pass_while_redis_is_away_where_that_is_wanted() {
    let mut site = Site::start().await;
    let trusting = site.setup(NO_LIMITS, "{trust: 30s}").start().await;
    let strict = site.gate().await;
    let lilei = site.user(&trusting, "lilei").await;
    let never = site.user(&trusting, "hanmeimei").await;
    for gate in [&trusting, &strict] {
        lilei.clone().at(gate).get(INFO).await.assert_passed();
    }
    site.redis.kill();
    for _ in 0..20 {
        lilei.get(INFO).await.assert_passed();
        never.get(INFO).await.assert_refused(503, "store_down");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    lilei.clone().at(&strict).get(INFO).await.assert_refused(503, "store_down");
    assert!(held(&trusting, "trusted").await > 0.0);
    assert_eq!(held(&strict, "trusted").await, 0.0);
    lilei.clone().at(&trusting).get("news/list/index").await.assert_passed();
    // It comes back empty: then the session is known to be gone.
    site.redis.restart(None);
    let back = Instant::now();
    while lilei.get(INFO).await.reason() != "user_refused" {
        assert!(back.elapsed() < Duration::from_secs(10), "a session that is gone is still trusted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
