//! What attackers try who hold something they should not: an overheard token, another site, the store.

#![expect(clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use serde_json::json;
use support::apps::{MVC, Site};
use support::backend::FakeBackend;
use support::caller::{Caller, mvc};
use support::gate::Gate;
use support::redis::RedisServer;

const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Redis users of the gate and of an application in the same Redis, as the documentation writes them.
const ACL_GATE: &str = "ACL SETUSER gate on >GATE_PASSWORD ~ticketgate:* +@all -@admin -@dangerous";
const ACL_APPLICATION: &str = "ACL SETUSER app on >APP_PASSWORD ~app:* +@all -@admin -@dangerous";

const LOGIN: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{\"code\":1,\"data\":{\"uid\":7}}\n";

#[tokio::test]
async fn an_overheard_api_token_serves_its_endpoint_on_its_day_alone() {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(MVC).upstream(&backend.url).start().await;
    let token = gate.client("ios", "s3cret").api_token("news/list/index");
    let ask =
        |client: &str, endpoint: &str| gate.get(&format!("{}&client_id={client}&api_token={token}", mvc(endpoint)));
    ask("ios", "news/list/index").await.assert_passed();
    ask("ios", "news/list/hot").await.assert_refused(401, "client_refused");
    ask("ios", "user/auth/login").await.assert_refused(401, "client_refused");
    ask("android", "news/list/index").await.assert_refused(401, "client_refused");
    gate.clock.advance(Duration::from_secs(48 * 3600));
    ask("ios", "news/list/index").await.assert_refused(401, "client_refused");
}

#[tokio::test]
async fn a_login_form_posted_by_another_site_logs_nobody_in() {
    let site = Site::mvc().await;
    let form = [("username", "lilei"), ("password", "lilei123")];
    // What a browser sends for a page elsewhere: the fields, its cookies, and no word about a client.
    let posted = |target: &str| {
        let request = site.gate.post(target).form(&form).header("Origin", "https://evil.example");
        request.header("Cookie", "PHPSESSID=chosen")
    };
    let reply = posted(&mvc("user/auth/login")).await;
    reply.assert_refused(401, "client_missing");
    assert_eq!(reply.all("set-cookie"), Vec::<&str>::new());
    // Even with a client's token the browser is left as it was: whoever reads no reply has no session.
    let target = site.ios().target(&mvc("user/auth/login"), "user/auth/login");
    let reply = posted(&target).await;
    assert_eq!((reply.status, reply.all("set-cookie")), (200, vec![]));
}

/// A gate with a key over a Redis that somebody else may write to, and user 7 logged in.
struct Writable {
    gate: Gate,
    redis: RedisServer,
    user: Caller,
    _backend: FakeBackend,
}

impl Writable {
    async fn start() -> Self {
        let (backend, redis) = (FakeBackend::answering(LOGIN).await, RedisServer::start());
        let store = format!("{{url: \"{}\", key: {KEY}, timeout: 5s}}", redis.url());
        let yaml = MVC.replace("{url: \"memory:\"}", &store);
        let yaml = format!("{yaml}\nsession: {{idle: 2h, max_age: 5h}}\n");
        let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
        let user = gate.client("ios", "s3cret").logged_in("lilei").await;
        Self { gate, redis, user, _backend: backend }
    }

    /// Where his session stands.
    fn key(&self) -> String {
        let keys: Vec<String> = self.redis.command(&["KEYS", "ticketgate:session:*"]);
        assert_eq!(keys.len(), 1, "{keys:?}");
        keys[0].clone()
    }
}

#[tokio::test]
async fn a_record_written_into_redis_by_hand_opens_nothing() {
    let held = Writable::start().await;
    let forged = json!({
        "v": 1, "id": "s", "user": "1", "client": "ios", "created": 1, "ends": u64::MAX, "ip": "", "user_agent": "",
        "jar": [], "holds_cookies": true,
    });
    let _: i64 = held.redis.command(&["HSET", &held.key(), "v", &forged.to_string()]);
    held.user.get("user/info/get").await.assert_refused(503, "store_down");

    let client = json!({
        "v": 1, "id": "evil", "secrets": [{"secret": "aHVudGVyMg=="}], "enabled": true, "algorithms": ["md5"],
        "endpoints": ["*"], "name": "", "created": 1,
    });
    let _: String = held.redis.command(&["SET", "ticketgate:client:evil", &client.to_string()]);
    held.gate.client("evil", "hunter2").get("news/list/index").await.assert_refused(503, "store_down");
}

#[tokio::test]
async fn a_session_prolonged_in_redis_by_hand_ends_at_its_greatest_age() {
    let held = Writable::start().await;
    let _: i64 = held.redis.command(&["PERSIST", &held.key()]);
    held.gate.clock.advance(Duration::from_secs(4 * 3600));
    held.user.get("user/info/get").await.assert_passed();
    held.gate.clock.advance(Duration::from_secs(3600 + 60));
    held.user.get("user/info/get").await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn a_session_ended_in_redis_by_hand_is_over_and_no_other_is_touched() {
    let held = Writable::start().await;
    let other = held.gate.client("android", "dr0id").logged_in("lilei").await;
    let keys: Vec<String> = held.redis.command(&["KEYS", "ticketgate:session:*"]);
    assert_eq!(keys.len(), 2);
    let _: i64 = held.redis.command(&["DEL", &keys[0]]);
    let reasons = [held.user.get("user/info/get").await, other.get("user/info/get").await];
    let mut reasons = reasons.map(|reply| reply.reason().to_owned());
    reasons.sort();
    assert_eq!(reasons, ["", "user_refused"]);
}

#[tokio::test]
async fn redis_users_of_their_own_keep_gate_and_application_apart() {
    let manual = std::fs::read_to_string("docs/operations.md").unwrap_or_default();
    let (backend, redis) = (FakeBackend::answering(LOGIN).await, RedisServer::start());
    for line in [ACL_GATE, ACL_APPLICATION] {
        assert!(manual.contains(line), "the manual no longer says {line}");
        let _: String = redis.command(&line.split(' ').collect::<Vec<_>>());
    }
    let url = redis.url().replace("redis://", "redis://gate:GATE_PASSWORD@");
    let yaml = MVC.replace("{url: \"memory:\"}", &format!("{{url: \"{url}\", key: {KEY}, timeout: 5s}}"));
    let yaml = format!("{yaml}\nsession: {{per_user: 1}}\nadmin: {{listen: \"127.0.0.1:0\", token: operator}}\n");
    let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
    let api = |method: &str, path: &str| gate.admin(method, path).header("Authorization", "Bearer operator");

    let new = json!({"id": "web", "secret": "s"}).to_string();
    assert_eq!(api("POST", "/api/v1/clients").body("application/json", new).await.status, 201);
    let first = gate.client("web", "s").logged_in("lilei").await;
    let second = gate.client("web", "s").logged_in("lilei").await;
    first.get("user/info/get").await.assert_refused(401, "user_ended");
    second.get("user/info/get").await.assert_passed();
    assert_eq!(api("GET", "/api/v1/clients").await.at("/clients").as_array().map(Vec::len), Some(3));
    assert_eq!(api("GET", "/api/v1/users/7/sessions").await.at("/sessions").as_array().map(Vec::len), Some(1));
    second.get("user/auth/logout").await.assert_passed();
    assert_eq!(gate.admin("GET", "/readyz").await.at("/store"), "ok");

    let mut application = redis.connect();
    let _: String = redis::cmd("AUTH").arg("app").arg("APP_PASSWORD").query(&mut application).unwrap_or_default();
    let mut refused = |words: &[&str]| {
        let (name, arguments) = words.split_first().unwrap_or((&"", &[]));
        let answer: Result<redis::Value, _> = redis::cmd(name).arg(arguments).query(&mut application);
        answer.err().and_then(|error| error.code().map(str::to_owned)).as_deref() == Some("NOPERM")
    };
    assert!(!refused(&["SET", "app:cache", "x"]));
    for words in [
        &["GET", "ticketgate:client:web"][..],
        &["DEL", "ticketgate:client:web"],
        &["SET", "ticketgate:client:evil", "x"],
        &["KEYS", "*"],
        &["FLUSHALL"],
        &["EVAL", "return redis.call('GET', KEYS[1])", "1", "ticketgate:client:web"],
    ] {
        assert!(refused(words), "{words:?} is allowed");
    }
}
