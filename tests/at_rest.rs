//! What somebody reads who takes the store away: every byte that Redis or the file ever wrote holds no token, secret, cookie or
//! User-Agent in the clear, as long as `store.key` is set.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use support::apps::MVC;
use support::caller::Caller;
use support::gate::Gate;
use support::http::Request;
use support::php::Php;
use support::redis::RedisServer;
use ticketgate::clock::Clock;

const FIRST: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const SECOND: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

const AGENT: &str = "LileisPhone/17.3 (Unmistakable)";
const SECRET: &str = "an-unmistakable-secret";

/// Gathers what must not be found.
#[derive(Default)]
struct Secrets(Vec<(&'static str, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() >= 8, "{what} {secret:?} could be found by chance");
        self.0.push((what, secret.as_bytes().to_vec()));
        self.0.push((what, STANDARD.encode(secret).trim_end_matches('=').as_bytes().to_vec()));
        if let Ok(raw) = hex::decode(secret) {
            self.0.push((what, raw));
        }
    }

    /// The secrets that lie open in these bytes.
    fn found_in(&self, bytes: &[u8]) -> Vec<&'static str> {
        let holds = |secret: &[u8]| memchr::memmem::find(bytes, secret).is_some();
        self.0.iter().filter(|(_, secret)| holds(secret)).map(|(what, _)| *what).collect()
    }
}

struct Life<'a> {
    store: &'a str,
    application: &'a str,
    clock: Clock,
    secrets: Secrets,
}

impl Life<'_> {
    async fn gate(&self, key: &str) -> Gate {
        let store = format!("{{url: \"{}\", key: {key}, timeout: 5s}}", self.store);
        let yaml = MVC.replace("{url: \"memory:\"}", &store);
        let yaml = format!("{yaml}\nadmin: {{listen: \"127.0.0.1:0\", token: operator}}\nsession: {{per_user: 2}}\n");
        Gate::with(&yaml).upstream(self.application).clock(&self.clock).start().await
    }

    /// A login, with everything about it that is secret.
    async fn log_in(&mut self, gate: &Gate, secret: &str) -> Caller {
        let web = gate.client("web", secret);
        let form = [("username", "lilei"), ("password", "lilei123")];
        let reply = web.post("user/auth/login", &form).header("User-Agent", AGENT).await;
        let lilei = web.with(support::caller::session_of(&reply));
        let echo = lilei.get("debug/echo/all").await;
        self.secrets.add("the user_token", &lilei.session().user_token);
        self.secrets.add("the application's cookie", echo.at("/data/cookie/PHPSESSID").as_str().expect("a cookie"));
        lilei
    }

    /// Clients come, rotate and go; users log in, keep cookies, log out, are displaced and ended; the key is replaced.
    async fn live(&mut self, keys: [&str; 2]) {
        self.secrets.add("the User-Agent", AGENT);
        self.secrets.add("the client's secret", SECRET);
        let gate = self.gate(keys[0]).await;
        let api = |method: &str, path: &str| -> Request {
            gate.admin(method, path).header("Authorization", "Bearer operator")
        };
        let new = json!({"id": "web", "secret": SECRET}).to_string();
        assert_eq!(api("POST", "/api/v1/clients").body("application/json", new).await.status, 201);
        for _ in 0..4 {
            self.log_in(&gate, SECRET).await;
        }
        let lilei = self.log_in(&gate, SECRET).await;
        lilei.get("user/auth/renew").await.assert_passed();
        lilei.get("user/auth/logout").await.assert_passed();
        let rotation = json!({"keep_old": "1h"}).to_string();
        let rotated = api("POST", "/api/v1/clients/web/rotate").body("application/json", rotation).await;
        let fresh = rotated.at("/secret").as_str().expect("a secret").to_owned();
        self.secrets.add("the client's new secret", &fresh);
        self.log_in(&gate, &fresh).await;
        assert_eq!(api("DELETE", "/api/v1/users/7/sessions").await.status, 200);
        self.log_in(&gate, &fresh).await;
        gate.stop().await;

        let gate = self.gate(keys[1]).await;
        self.log_in(&gate, &fresh).await;
        let remove = gate.admin("DELETE", "/api/v1/clients/web").header("Authorization", "Bearer operator");
        assert_eq!(remove.await.status, 200);
        gate.stop().await;
    }
}

fn life<'a>(store: &'a str, php: &'a Php) -> Life<'a> {
    Life { store, application: &php.url, clock: Clock::movable(), secrets: Secrets::default() }
}

/// Every file below a directory, put together.
fn whole(directory: &Path) -> Vec<u8> {
    let mut bytes = vec![];
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            bytes.extend(whole(&path));
        } else {
            bytes.extend(std::fs::read(path).expect("a file"));
        }
    }
    bytes
}

/// A Redis that writes down everything it is told.
fn logging_redis() -> RedisServer {
    let arguments = ["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"];
    RedisServer::start_with(&[arguments.as_slice(), &["--rdbcompression", "no"]].concat())
}

/// All that Redis was ever told, and all that it holds.
fn dump(redis: &RedisServer) -> Vec<u8> {
    let _: String = redis.command(&["SAVE"]);
    let settings: Vec<String> = redis.command(&["CONFIG", "GET", "dir"]);
    let mut bytes = whole(Path::new(&settings[1]));
    for key in redis.command::<Vec<String>>(&["KEYS", "*"]) {
        bytes.extend(key.as_bytes());
        bytes.extend(redis.command::<Vec<u8>>(&["DUMP", &key]));
    }
    bytes
}

#[tokio::test]
async fn a_dump_of_redis_and_its_whole_history_holds_nothing_secret() {
    let (php, redis) = (Php::application("mvc"), logging_redis());
    let url = redis.url();
    let mut life = life(&url, &php);
    life.live([FIRST, &format!("[{SECOND}, {FIRST}]")]).await;
    let dump = dump(&redis);
    assert!(memchr::memmem::find(&dump, b"ticketgate:session:").is_some(), "the dump looks in the right place");
    assert_eq!(life.secrets.found_in(&dump), Vec::<&str>::new());
}

#[tokio::test]
async fn the_raw_bytes_of_the_file_hold_nothing_secret() {
    let (php, directory) = (Php::application("mvc"), tempfile::tempdir().expect("a directory"));
    let url = format!("file:{}/state.redb", directory.path().display());
    let mut life = life(&url, &php);
    life.live([FIRST, &format!("[{SECOND}, {FIRST}]")]).await;
    let dump = whole(directory.path());
    assert!(dump.len() > 10_000, "the dump looks in the right place");
    assert_eq!(life.secrets.found_in(&dump), Vec::<&str>::new());
}

#[tokio::test]
async fn without_a_key_everything_but_the_token_lies_open() {
    let (php, redis) = (Php::application("mvc"), logging_redis());
    let url = redis.url();
    let mut life = life(&url, &php);
    life.live(["~", "~"]).await;
    let found = life.secrets.found_in(&dump(&redis));
    for open in ["the User-Agent", "the client's secret", "the client's new secret", "the application's cookie"] {
        assert!(found.contains(&open), "{open} is not where this test looks for it");
    }
    assert!(!found.contains(&"the user_token"), "a token is never stored");
}
