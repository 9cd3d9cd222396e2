//! Secrets are replaced under logged-in users, and nobody is logged out: gates are started anew over one store, as an operator
//! would restart them.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod support;

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::apps::MVC;
use support::backend::FakeBackend;
use support::caller::Caller;
use support::gate::{Gate, Setup};
use support::http::Reply;
use support::php::Php;
use support::redis::RedisServer;
use ticketgate::clock::Clock;

const FIRST: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const SECOND: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

const HOUR: Duration = Duration::from_secs(3600);

/// A store that outlives its gates, an application that outlives them too, and their time.
struct House {
    url: String,
    application: String,
    clock: Clock,
    _redis: Option<RedisServer>,
    _directory: tempfile::TempDir,
    _php: Option<Php>,
}

impl House {
    fn on_redis() -> Self {
        let redis = RedisServer::start();
        Self::over(redis.url(), Some(redis))
    }

    fn on_a_file() -> Self {
        Self::over(String::new(), None)
    }

    fn over(url: String, redis: Option<RedisServer>) -> Self {
        let (php, directory) = (Php::application("mvc"), tempfile::tempdir().expect("a directory"));
        let url = if redis.is_some() { url } else { format!("file:{}/state.redb", directory.path().display()) };
        let (application, clock) = (php.url.clone(), Clock::movable());
        Self { url, application, clock, _redis: redis, _directory: directory, _php: Some(php) }
    }

    /// A gate with this `store.key`.
    async fn gate(&self, key: &str) -> Gate {
        self.gate_with(key, "operator", "s3cret").await
    }

    /// A gate with this `store.key`, `admin.token` and `secret` of the client ios.
    async fn gate_with(&self, key: &str, token: &str, secret: &str) -> Gate {
        self.setup(key, token, secret).start().await
    }

    fn setup(&self, key: &str, token: &str, secret: &str) -> Setup {
        let store = format!("{{url: \"{}\", key: {key}, timeout: 5s}}", self.url);
        let yaml = MVC.replace("{url: \"memory:\"}", &store).replace("secret: s3cret", &format!("secret: {secret}"));
        let yaml = format!("{yaml}\nadmin: {{listen: \"127.0.0.1:0\", token: {token}}}\n");
        Gate::with(&yaml).upstream(&self.application).clock(&self.clock)
    }
}

async fn api(gate: &Gate, token: &str, method: &str, path: &str, body: &Value) -> Reply {
    let request = gate.admin(method, path).header("Authorization", &format!("Bearer {token}"));
    request.body("application/json", body.to_string()).await
}

/// Registers a client and answers its secret.
async fn register(gate: &Gate, id: &str) -> String {
    let reply = api(gate, "operator", "POST", "/api/v1/clients", &json!({"id": id})).await;
    reply.at("/secret").as_str().unwrap_or_else(|| panic!("{reply:?}")).to_owned()
}

#[track_caller]
fn assert_name(reply: &Reply) {
    reply.assert_passed();
    assert_eq!(reply.at("/data/name"), "李雷", "the application knows him too: its cookie was opened");
}

/// The way of the documentation from one key to the next, with a user logged in before it and one at each step.
async fn walk(house: &House, steps: &[&str]) {
    let (first, rest) = steps.split_first().expect("a first step");
    let gate = house.gate(first).await;
    let secret = register(&gate, "web").await;
    let mut callers = vec![gate.client("web", &secret).logged_in("lilei").await];
    gate.stop().await;
    for step in rest {
        let gate = house.gate(step).await;
        for caller in &mut callers {
            *caller = caller.clone().at(&gate);
            assert_name(&caller.get("user/info/get").await);
        }
        callers.push(gate.client("web", &secret).logged_in("lilei").await);
        gate.stop().await;
    }
}

#[tokio::test]
async fn a_new_store_key_logs_nobody_out_on_redis() {
    walk(&House::on_redis(), &[FIRST, &format!("[{FIRST}, {SECOND}]"), &format!("[{SECOND}, {FIRST}]")]).await;
}

#[tokio::test]
async fn a_new_store_key_logs_nobody_out_on_a_file() {
    walk(&House::on_a_file(), &[FIRST, &format!("[{SECOND}, {FIRST}]")]).await;
}

/// The same without a restart, in a gate that runs on; the last step stands by itself after one.
async fn walk_running(house: &House, steps: &[&str]) {
    let (first, rest) = steps.split_first().expect("a first step");
    let mut gate = house.gate(first).await;
    let secret = register(&gate, "web").await;
    let mut callers = vec![gate.client("web", &secret).logged_in("lilei").await];
    for step in rest {
        gate.take_up(&house.setup(step, "operator", "s3cret")).expect("no restart is needed");
        callers.push(gate.client("web", &secret).logged_in("lilei").await);
        for caller in &callers {
            assert_name(&caller.get("user/info/get").await);
        }
    }
    until_renewed(house).await;
    gate.stop().await;
    let gate = house.gate(rest.last().expect("a last step")).await;
    for caller in callers {
        assert_name(&caller.at(&gate).get("user/info/get").await);
    }
}

#[tokio::test]
async fn a_new_store_key_needs_no_restart_and_logs_nobody_out() {
    for house in [House::on_redis(), House::on_a_file()] {
        let (both, swapped) = (format!("[{FIRST}, {SECOND}]"), format!("[{SECOND}, {FIRST}]"));
        walk_running(&house, &[FIRST, &both, &swapped]).await;
    }
}

#[tokio::test]
async fn an_older_key_given_up_by_a_reload_leaves_a_file_that_opens() {
    let house = House::on_a_file();
    let mut gate = house.gate(FIRST).await;
    let secret = register(&gate, "web").await;
    for key in [format!("[{SECOND}, {FIRST}]"), SECOND.to_owned()] {
        gate.take_up(&house.setup(&key, "operator", "s3cret")).expect("no restart is needed");
    }
    let new = gate.client("web", &secret).logged_in("lilei").await;
    gate.stop().await;
    let gate = house.gate(SECOND).await;
    assert_name(&new.at(&gate).get("user/info/get").await);
}

#[tokio::test]
async fn a_reload_that_would_end_every_session_is_refused() {
    let house = House::on_a_file();
    let mut gate = house.gate(FIRST).await;
    for key in [SECOND, "~"] {
        assert_eq!(gate.take_up(&house.setup(key, "operator", "s3cret")), Err(vec!["store.key"]), "{key}");
    }
    gate.client("ios", "s3cret").logged_in("lilei").await.get("user/info/get").await.assert_passed();
}

#[tokio::test]
async fn secrets_of_clients_and_operators_are_replaced_without_a_restart() {
    let house = House::on_redis();
    let mut gate = house.gate(FIRST).await;
    let old = gate.client("ios", "s3cret").logged_in("lilei").await;
    let new = gate.client("ios", "fr3sh").with(old.session().clone());
    for (tokens, secrets, old_passes) in [("[new, operator]", "[fr3sh, s3cret]", true), ("new", "fr3sh", false)] {
        gate.take_up(&house.setup(FIRST, tokens, secrets)).expect("no restart is needed");
        assert_secrets(&old, &new, old_passes).await;
        for (token, status) in [("new", 200), ("operator", if old_passes { 200 } else { 401 })] {
            assert_eq!(api(&gate, token, "GET", "/api/v1/clients", &Value::Null).await.status, status, "{token}");
        }
    }
}

#[tokio::test]
async fn a_store_without_a_key_gets_one_and_nobody_is_logged_out() {
    for house in [House::on_redis(), House::on_a_file()] {
        walk(&house, &["~", &format!("[plain, {SECOND}]"), &format!("[{SECOND}, plain]")]).await;
    }
}

#[tokio::test]
async fn gates_on_either_side_of_a_step_understand_each_other() {
    let house = House::on_redis();
    let behind = house.gate(&format!("[{FIRST}, {SECOND}]")).await;
    let ahead = house.gate(&format!("[{SECOND}, {FIRST}]")).await;
    for (here, there) in [(&behind, &ahead), (&ahead, &behind)] {
        let caller = here.client("ios", "s3cret").logged_in("lilei").await;
        assert_name(&caller.clone().at(there).get("user/info/get").await);
        caller.clone().at(there).get("user/auth/logout").await.assert_passed();
        caller.get("user/info/get").await.assert_refused(401, "user_refused");
    }
}

#[tokio::test]
async fn the_old_store_key_can_be_given_up_when_its_sessions_are_over() {
    for house in [House::on_redis(), House::on_a_file()] {
        let gate = house.gate(FIRST).await;
        let secret = register(&gate, "web").await;
        let old = gate.client("web", &secret).logged_in("lilei").await;
        gate.stop().await;

        let gate = house.gate(&format!("[{SECOND}, {FIRST}]")).await;
        let new = gate.client("web", &secret).logged_in("lilei").await;
        until_renewed(&house).await;
        gate.stop().await;

        let gate = house.gate(SECOND).await;
        assert_name(&new.at(&gate).get("user/info/get").await);
        old.at(&gate).get("user/info/get").await.assert_refused(401, "user_refused");
        gate.stop().await;
    }
}

/// Waits until the gate has sealed the client `web` anew; on a file that happened before it served.
async fn until_renewed(house: &House) {
    let Some(redis) = &house._redis else { return };
    let before: Vec<u8> = redis.command(&["GET", "ticketgate:client:web"]);
    let second_id = || -> Vec<u8> {
        // Both gates wrote sessions, so the id of the second key is the one that the newest session begins with.
        let keys: Vec<String> = redis.command(&["ZRANGE", "ticketgate:user:7", "-1", "-1"]);
        let session: Vec<u8> = redis.command(&["HGET", &format!("ticketgate:session:{}", keys[0]), "v"]);
        session[..5].to_vec()
    };
    let wanted = second_id();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    let mut stored = before;
    while stored[..5] != wanted {
        assert!(std::time::Instant::now() < deadline, "the client still lies under the old key");
        tokio::time::sleep(Duration::from_millis(10)).await;
        stored = redis.command(&["GET", "ticketgate:client:web"]);
    }
}

#[tokio::test]
async fn a_wrong_store_key_is_undecided_and_ends_nothing() {
    let house = House::on_redis();
    let gate = house.gate(FIRST).await;
    let secret = register(&gate, "web").await;
    let lilei = gate.client("web", &secret).logged_in("lilei").await;
    gate.stop().await;

    let gate = house.gate(SECOND).await;
    lilei.clone().at(&gate).get("user/info/get").await.assert_refused(503, "store_down");
    lilei.clone().at(&gate).get("news/list/index").await.assert_refused(503, "store_down");
    gate.stop().await;

    let gate = house.gate(FIRST).await;
    assert_name(&lilei.at(&gate).get("user/info/get").await);
}

#[tokio::test]
async fn a_session_value_moved_under_another_token_is_undecided_and_opens_nothing() {
    let house = House::on_redis();
    let gate = house.gate(FIRST).await;
    let lilei = gate.client("ios", "s3cret").logged_in("lilei").await;
    let mei = gate.client("ios", "s3cret").logged_in("hanmeimei").await;
    let redis = house._redis.as_ref().expect("a Redis");
    let key = |user: &str| -> String {
        let members: Vec<String> = redis.command(&["ZRANGE", &format!("ticketgate:user:{user}"), "0", "0"]);
        format!("ticketgate:session:{}", members[0])
    };
    let _: i64 = redis.command(&["COPY", &key("7"), &key("8"), "REPLACE"]);
    mei.get("user/info/get").await.assert_refused(503, "store_down");
    assert_name(&lilei.get("user/info/get").await);
}

#[tokio::test]
async fn a_token_adopted_again_after_a_key_was_replaced_has_one_session() {
    let json = r#"{"code":1,"data":{"uid":7,"token":"the-same-again"}}"#;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{json}", json.len());
    let backend = FakeBackend::answering(answer.as_bytes()).await;
    let mut house = House::on_redis();
    house.application = backend.url.clone();
    let login = async |gate: &Gate| {
        let ios = gate.client("ios", "s3cret");
        let reply = ios.post("user/auth/login_v1", &[("username", "lilei")]).await;
        ios.with(support::caller::session_of(&reply))
    };
    let gate = house.gate(FIRST).await;
    login(&gate).await.get("user/info/get").await.assert_passed();
    gate.stop().await;

    let gate = house.gate(&format!("[{SECOND}, {FIRST}]")).await;
    let again = login(&gate).await;
    again.get("user/info/get").await.assert_passed();
    again.get("user/auth/logout").await.assert_passed();
    again.get("user/info/get").await.assert_refused(401, "user_refused");
}

/// What the old and the new secret of a client are worth, and that its session goes on under the new one.
async fn assert_secrets(old: &Caller, new: &Caller, old_passes: bool) {
    assert_name(&new.get("user/info/get").await);
    match old_passes {
        true => assert_name(&old.get("user/info/get").await),
        false => old.get("user/info/get").await.assert_refused(401, "client_refused"),
    }
}

#[tokio::test]
async fn a_clients_old_secret_passes_until_its_time_is_over_and_sessions_stay() {
    let house = House::on_redis();
    let gate = house.gate(FIRST).await;
    let secret = register(&gate, "web").await;
    let old = gate.client("web", &secret).logged_in("lilei").await;
    let reply = api(&gate, "operator", "POST", "/api/v1/clients/web/rotate", &json!({"keep_old": "90m"})).await;
    let fresh = reply.at("/secret").as_str().expect("a new secret").to_owned();
    let new = gate.client("web", &fresh).with(old.session().clone());

    assert_secrets(&old, &new, true).await;
    gate.clock.advance(HOUR);
    assert_secrets(&old, &new, true).await;
    gate.clock.advance(HOUR);
    assert_secrets(&old, &new, false).await;
}

#[tokio::test]
async fn the_command_line_rotates_a_secret_as_the_api_does() {
    let house = House::on_a_file();
    let gate = house.gate(FIRST).await;
    let secret = register(&gate, "web").await;
    let old = gate.client("web", &secret).logged_in("lilei").await;
    let rotated = Command::new(env!("CARGO_BIN_EXE_ticketgate"))
        .args(["client", "rotate", "web", "--keep-old", "90m", "--json"])
        .env_clear()
        .env("TICKETGATE_ADMIN", format!("http://{}", gate.admin))
        .env("TICKETGATE_ADMIN_TOKEN", "operator")
        .output()
        .expect("the command runs");
    let answer: Value = serde_json::from_slice(&rotated.stdout).unwrap_or_else(|_| panic!("{rotated:?}"));
    let fresh = answer["secret"].as_str().expect("a new secret").to_owned();
    let new = gate.client("web", &fresh).with(old.session().clone());
    assert_secrets(&old, &new, true).await;
    gate.stop().await;

    let gate = house.gate(FIRST).await;
    let (old, new) = (old.at(&gate), new.at(&gate));
    assert_secrets(&old, &new, true).await;
    gate.clock.advance(HOUR + HOUR / 2);
    assert_secrets(&old, &new, false).await;
}

#[tokio::test]
async fn a_secret_rotated_without_overlap_stops_at_once() {
    let house = House::on_a_file();
    let gate = house.gate(FIRST).await;
    let secret = register(&gate, "web").await;
    let old = gate.client("web", &secret).logged_in("lilei").await;
    let reply = api(&gate, "operator", "POST", "/api/v1/clients/web/rotate", &json!({"secret": "chosen"})).await;
    assert_eq!(reply.at("/secret"), "chosen");
    assert_secrets(&old, &gate.client("web", "chosen").with(old.session().clone()), false).await;
}

#[tokio::test]
async fn a_client_of_the_file_may_have_two_secrets() {
    let house = House::on_redis();
    let gate = house.gate(FIRST).await;
    let old = gate.client("ios", "s3cret").logged_in("lilei").await;
    for (secrets, old_passes) in [("[fr3sh, s3cret]", true), ("[fr3sh]", false), ("fr3sh", false)] {
        let gate = house.gate_with(FIRST, "operator", secrets).await;
        let new = gate.client("ios", "fr3sh").with(old.session().clone());
        assert_secrets(&old.clone().at(&gate), &new, old_passes).await;
    }
}

#[tokio::test]
async fn the_admin_token_is_replaced_in_two_steps() {
    let house = House::on_redis();
    for (configured, old, new) in [("old", 200, 401), ("[new, old]", 200, 200), ("[new]", 401, 200)] {
        let gate = house.gate_with(FIRST, configured, "s3cret").await;
        for (token, status) in [("old", old), ("new", new), ("", 401), ("newold", 401)] {
            let reply = api(&gate, token, "GET", "/api/v1/clients", &Value::Null).await;
            assert_eq!(reply.status, status, "{token:?} of {configured}");
        }
        gate.stop().await;
    }
}
