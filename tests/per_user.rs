//! How many sessions a user may hold, whatever races; and what the one is told whose session made room.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::Commands;
use support::backend::FakeBackend;
use support::caller::{Caller, Session, session_of};
use support::gate::Gate;
use support::http::Reply;
use support::redis::RedisServer;
use ticketgate::clock::Clock;
use ticketgate::secret::Secret;
use ticketgate::store::{Location, Settings, Store};

const YAML: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "{redis}", timeout: 10s}
clients: [{id: ios, secret: s3cret}]
rules:
  - {endpoint: user/auth/login, require: client, login: {success: {json: {/code: 1}}, user_id: "json:/data/uid"}}
  - {endpoint: user/auth/logout, require: user, logout: this}
  - {endpoint: user, require: user}
admin: {listen: "127.0.0.1:0", token: operator}
"#;

const LOGIN: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{\"code\":1,\"data\":{\"uid\":7}}\n";

const LOGINS: usize = 50;

/// Two gates on one Redis, before an application that lets everybody in as user 7.
struct Pair {
    gates: [Gate; 2],
    redis: RedisServer,
    _backend: FakeBackend,
}

impl Pair {
    async fn with(session: &str) -> Self {
        let (backend, redis) = (FakeBackend::answering(LOGIN).await, RedisServer::start());
        let yaml = format!("{YAML}\nsession: {{{session}}}\n");
        let gate = || Gate::with(&yaml).upstream(&backend.url).put("redis", &redis.url());
        let left = gate().start().await;
        let right = gate().clock(&left.clock).start().await;
        Self { gates: [left, right], redis, _backend: backend }
    }

    /// The app, at one gate and the other in turn.
    fn ios(&self, number: usize) -> Caller {
        self.gates[number % 2].client("ios", "s3cret")
    }

    /// Fifty logins at once; what each was answered, and the most sessions that lived at one moment among those handed out.
    async fn race(&self) -> (Vec<Reply>, usize) {
        let watch = Watch::over(&self.redis).await;
        let mut logins = tokio::task::JoinSet::new();
        for number in 0..LOGINS {
            let (ios, handed_out) = (self.ios(number), watch.handed_out.clone());
            logins.spawn(async move {
                let reply = ios.post("user/auth/login", &[("username", "lilei")]).await;
                if reply.reason().is_empty() {
                    handed_out.lock().unwrap().push(session_of(&reply).user_token);
                }
                reply
            });
        }
        let replies = logins.join_all().await;
        (replies, watch.end())
    }

    /// How many of these sessions pass, at either gate.
    async fn passing(&self, sessions: &[Session]) -> usize {
        let mut passing = 0;
        for session in sessions {
            for number in 0..2 {
                let reply = self.ios(number).with(session.clone()).get("user/info/get").await;
                match reply.reason() {
                    "" => passing += 1,
                    reason => assert_eq!(reason, "user_ended", "{reply:?}"),
                }
            }
        }
        assert_eq!(passing % 2, 0, "the gates do not agree");
        passing / 2
    }

    /// How many sessions an operator sees.
    async fn listed(&self) -> usize {
        let list = self.gates[0].admin("GET", "/api/v1/users/7/sessions").header("Authorization", "Bearer operator");
        list.await.at("/sessions").as_array().map_or(0, Vec::len)
    }
}

/// Counts, in one atomic look at a time, how many of the sessions live whose token somebody was given.
struct Watch {
    handed_out: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<usize>,
}

impl Watch {
    async fn over(redis: &RedisServer) -> Self {
        let location = Location::Redis(Secret::new(redis.url()));
        let settings = Settings {
            location,
            prefix: "ticketgate:".into(),
            keys: vec![],
            timeout: Duration::from_secs(5),
            tls: Default::default(),
        };
        let store = Store::open(&settings, Clock::system()).await.unwrap();
        let (handed_out, ended) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (tokens, end, mut connection) = (handed_out.clone(), ended.clone(), redis.connect());
        let thread = std::thread::spawn(move || {
            let mut most = 0;
            while !end.load(Ordering::SeqCst) {
                let tokens = tokens.lock().unwrap().clone();
                let key = |token: &String| format!("ticketgate:session:{}", store.hash(token.as_bytes()).to_hex());
                most = most.max(living(&mut connection, &tokens.iter().map(key).collect::<Vec<_>>()));
            }
            most
        });
        Self { handed_out, ended, thread }
    }

    fn end(self) -> usize {
        self.ended.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

fn living(connection: &mut redis::Connection, keys: &[String]) -> usize {
    let count = "local n = 0 for _, k in ipairs(KEYS) do n = n + redis.call('HEXISTS', k, 'v') end return n";
    redis::Script::new(count).key(keys).invoke(connection).unwrap()
}

#[tokio::test]
async fn racing_logins_at_two_gates_never_leave_more_sessions_than_allowed() {
    for per_user in [1, 3] {
        let pair = Pair::with(&format!("per_user: {per_user}")).await;
        let (replies, most) = pair.race().await;
        let sessions: Vec<Session> = replies.iter().map(session_of).collect();
        assert!(most <= per_user, "{most} sessions lived at once, {per_user} are allowed");
        assert_eq!((sessions.len(), pair.passing(&sessions).await), (LOGINS, per_user));
        assert_eq!(pair.listed().await, per_user);
    }
}

#[tokio::test]
async fn racing_logins_over_the_number_are_refused_where_the_oldest_may_not_end() {
    for per_user in [1, 3] {
        let pair = Pair::with(&format!("per_user: {per_user}, when_full: refuse")).await;
        let (replies, most) = pair.race().await;
        let (in_, out): (Vec<Reply>, Vec<Reply>) = replies.into_iter().partition(|reply| reply.reason().is_empty());
        let sessions: Vec<Session> = in_.iter().map(session_of).collect();
        assert!(most <= per_user, "{most} sessions lived at once, {per_user} are allowed");
        assert_eq!(
            (sessions.len(), pair.passing(&sessions).await, pair.listed().await),
            (per_user, per_user, per_user)
        );
        for reply in out {
            reply.assert_refused(403, "denied");
            assert_eq!(reply.at("/msg"), "the user holds as many sessions as allowed");
        }
        let [session, ..] = sessions.as_slice() else { panic!("no session") };
        pair.ios(0).with(session.clone()).get("user/auth/logout").await.assert_passed();
        session_of(&pair.ios(1).post("user/auth/login", &[]).await);
        pair.ios(0).post("user/auth/login", &[]).await.assert_refused(403, "denied");
    }
}

#[tokio::test]
async fn nothing_is_left_in_redis_of_a_race_but_what_lives_and_tombstones() {
    let pair = Pair::with("per_user: 3, when_full: refuse").await;
    pair.race().await;
    let mut connection = pair.redis.connect();
    let keys: Vec<String> = connection.keys("ticketgate:session:*").unwrap();
    assert_eq!((keys.len(), living(&mut connection, &keys)), (3, 3));
}

#[tokio::test]
async fn a_displaced_device_is_told_that_another_one_logged_in() {
    let pair = Pair::with("per_user: 1").await;
    let login = async |number: usize| {
        let ios = pair.ios(number);
        ios.clone().with(session_of(&ios.post("user/auth/login", &[]).await))
    };
    let first = login(0).await;
    let second = login(1).await;
    for gate in &pair.gates {
        let reply = first.clone().at(gate).get("user/info/get").await;
        reply.assert_refused(401, "user_ended");
        assert_eq!(reply.text(), r#"{"code":0,"msg":"logged in on another device","data":[]}"#);
        let reply = first.clone().at(gate).get("user/info/get").header("Accept-Language", "zh-CN,zh;q=0.9").await;
        assert_eq!(reply.at("/msg"), "您的账号已在其他设备登录");
        second.clone().at(gate).get("user/info/get").await.assert_passed();
    }
}

#[tokio::test]
async fn an_operators_end_is_told_and_a_logout_is_not() {
    let pair = Pair::with("per_user: 0").await;
    let ios = pair.ios(0);
    let login = async || ios.clone().with(session_of(&ios.post("user/auth/login", &[]).await));
    let (ended, out) = (login().await, login().await);
    out.get("user/auth/logout").await.assert_passed();
    let end = pair.gates[1].admin("DELETE", "/api/v1/users/7/sessions").header("Authorization", "Bearer operator");
    assert_eq!(end.await.at("/ended"), 1);
    for gate in &pair.gates {
        ended.clone().at(gate).get("user/info/get").await.assert_refused(401, "user_ended");
        out.clone().at(gate).get("user/info/get").await.assert_refused(401, "user_refused");
    }
}
