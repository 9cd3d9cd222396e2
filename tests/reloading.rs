//! A configuration that changes under a running gate: who notices, what is taken up, what is kept out, and what goes on meanwhile.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;
use std::future::IntoFuture as _;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::backend::FakeBackend;
use support::gate::{Gate, Setup};
use support::http::Reply;
use support::process::Process;
use support::scrape::Scrape;
use support::scripted::Backend;
use tokio::sync::Semaphore;

const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";

/// Everything passes but `/closed`; operators may look.
const OPEN: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
admin: {listen: "127.0.0.1:0", token: operator}
log: {level: info, access: false}
rules:
  - {path: /closed, require: deny}
  - {path: "/**", require: public}
"#;
/// Nothing does.
const SHUT: &str = "- {path: \"/**\", require: deny}";

fn open(upstream: &str) -> String {
    Gate::with(OPEN).upstream(upstream).text()
}

/// The same with that in place of the rule that lets all pass.
fn with_rule(yaml: &str, rule: &str) -> String {
    yaml.replace("- {path: \"/**\", require: public}", rule)
}

async fn reload(gate: &Process) -> Reply {
    gate.admin("POST", "/api/v1/reload").header("Authorization", "Bearer operator").await
}

/// Waits until `/a` is answered with that status.
async fn until_answered(gate: &Process, status: u16) {
    let waited = async {
        while gate.get("/a").await.status != status {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("the change is taken up");
}

#[tokio::test]
async fn a_signal_takes_up_the_file_and_requests_under_way_finish() {
    let (arrived, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (tell, wait) = (arrived.clone(), go.clone());
    let backend = Backend::start(move |mut conversation, _| {
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            while conversation.request().await.is_some() {
                tell.add_permits(1);
                wait.acquire().await.unwrap().forget();
                conversation.say(DONE).await;
            }
        }
    })
    .await;
    let yaml = open(&backend.url());
    let mut gate = Process::serve(&yaml).await;
    let mut slow = gate.connect().await;
    slow.send(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
    arrived.acquire().await.unwrap().forget();

    fs::write(gate.file("ticketgate.yaml"), with_rule(&yaml, SHUT)).unwrap();
    gate.signal(Signal::HUP);
    gate.line_with("the configuration was taken up").await;
    gate.get("/a").await.assert_refused(403, "denied");
    go.add_permits(1);
    assert_eq!(slow.reply_to("GET").await.expect("a reply").text(), "done");
    slow.send(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
    slow.reply_to("GET").await.expect("a reply").assert_refused(403, "denied");
}

#[tokio::test]
async fn an_operator_is_told_what_changed() {
    let backend = FakeBackend::start().await;
    let yaml = open(&backend.url);
    let gate = Process::serve(&yaml).await;
    assert_eq!(reload(&gate).await.at("/changed"), Value::Array(vec![]));
    fs::write(gate.file("ticketgate.yaml"), with_rule(&yaml, SHUT) + "session: {idle: 1h}\nmode: observe\n").unwrap();
    let reply = reload(&gate).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.at("/changed"), serde_json::json!(["mode", "rules", "session.idle"]));
    assert!(reply.at("/warnings/0").as_str().unwrap().contains("admin.token"), "{}", reply.text());
    assert!(reply.at("/warnings/1").as_str().unwrap().contains("mode: observe"), "{}", reply.text());
    let without = gate.admin("POST", "/api/v1/reload").await;
    assert_eq!(without.status, 401);
    let wrong = gate.admin("GET", "/api/v1/reload").header("Authorization", "Bearer operator").await;
    assert_eq!(wrong.status, 405);
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_every_fault_is_told() {
    let backend = FakeBackend::start().await;
    let yaml = open(&backend.url);
    let mut gate = Process::serve(&yaml).await;
    let bad = with_rule(&yaml, "- {path: \"/**\", require: nobody}") + "sesion: {}\n";
    let file = gate.file("ticketgate.yaml");
    for text in [bad.as_str(), "", "listen: [\n", "\u{0}"] {
        fs::write(&file, text).unwrap();
        let reply = reload(&gate).await;
        assert_eq!(reply.status, 422, "{}", reply.text());
        let faults = reply.at("/faults").as_array().unwrap().clone();
        assert!(faults.iter().all(|fault| fault.as_str().unwrap().contains("ticketgate.yaml")), "{faults:?}");
        assert_eq!(Scrape::of(&gate.admin).await.value("ticketgate_config_reload_success"), 0.0);
        gate.get("/a").await.assert_passed();
        gate.get("/closed").await.assert_refused(403, "denied");
    }
    fs::write(&file, &bad).unwrap();
    let said = reload(&gate).await.text();
    let line = |mark: &str| 1 + bad.lines().position(|line| line.contains(mark)).unwrap();
    for (key, mark) in [("rules[1].require", "nobody"), ("sesion", "sesion")] {
        assert!(said.contains(&format!("ticketgate.yaml:{}: {key}: ", line(mark))), "{said}");
    }
    gate.line_with("the configuration was not taken up").await;
    gate.line_with("rules[1].require").await;

    fs::remove_file(&file).unwrap();
    assert_eq!(reload(&gate).await.status, 422);
    gate.get("/a").await.assert_passed();
    fs::write(&file, with_rule(&yaml, SHUT)).unwrap();
    assert_eq!(reload(&gate).await.status, 200);
    gate.get("/a").await.assert_refused(403, "denied");
    let scrape = Scrape::of(&gate.admin).await;
    assert_eq!(scrape.value("ticketgate_config_reload_success"), 1.0);
    // It notices changes by itself as well.
    assert!(scrape.value("ticketgate_config_reloads_total{result=\"failed\"}") >= 6.0);
    assert!(scrape.value("ticketgate_config_reloads_total{result=\"succeeded\"}") >= 1.0);
}

#[tokio::test]
async fn what_needs_a_restart_is_told_and_nothing_else_is_taken_up_with_it() {
    let backend = FakeBackend::start().await;
    let yaml = open(&backend.url);
    let gate = Process::serve(&yaml).await;
    let changed = with_rule(&yaml, SHUT)
        .replace("listen: 127.0.0.1:0", "listen: 127.0.0.2:0")
        .replace("{listen: \"127.0.0.1:0\",", "{listen: \"127.0.0.2:0\",")
        .replace("{url: \"memory:\"}", "{url: \"file:other.redb\", prefix: \"other:\"}");
    fs::write(gate.file("ticketgate.yaml"), &changed).unwrap();
    let reply = reload(&gate).await;
    assert_eq!(reply.status, 422);
    let said = reply.text();
    for key in ["1: listen: ", "admin.listen: ", "store.url: ", "store.prefix: "] {
        assert!(said.contains(key) && said.contains("restart"), "{key} in {said}");
    }
    gate.get("/a").await.assert_passed();
    fs::write(gate.file("ticketgate.yaml"), &yaml).unwrap();
    assert_eq!(reload(&gate).await.status, 200);
}

#[tokio::test]
async fn a_change_of_the_file_is_noticed_however_it_is_made() {
    let backend = FakeBackend::start().await;
    let yaml = open(&backend.url);
    let gate = Process::serve(&yaml).await;
    let (file, other) = (gate.file("ticketgate.yaml"), gate.file("new.yaml"));
    until_answered(&gate, 200).await;
    fs::write(&file, with_rule(&yaml, SHUT)).unwrap();
    until_answered(&gate, 403).await;
    fs::write(&other, &yaml).unwrap();
    fs::rename(&other, &file).unwrap();
    until_answered(&gate, 200).await;
}

#[tokio::test]
async fn a_swap_as_kubernetes_makes_it_and_a_new_secret_file_are_noticed() {
    let backend = FakeBackend::start().await;
    let yaml = open(&backend.url).replace("token: operator", "token: {file: token}");
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (version, text, token) in
        [("..1", yaml.clone(), "operator"), ("..2", with_rule(&yaml, SHUT), "second"), ("..3", yaml, "third")]
    {
        fs::create_dir(path(version)).unwrap();
        fs::write(path(version).join("ticketgate.yaml"), text).unwrap();
        fs::write(path(version).join("token"), token).unwrap();
    }
    symlink("..1", path("..data")).unwrap();
    symlink("..data/ticketgate.yaml", path("ticketgate.yaml")).unwrap();
    symlink("..data/token", path("token")).unwrap();
    let root = directory.path().to_owned();
    let gate = Process::serve_in(directory).await;
    assert_eq!(reload(&gate).await.status, 200);
    for (version, status, token) in [("..2", 403, "second"), ("..3", 200, "third")] {
        symlink(version, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        until_answered(&gate, status).await;
        let asked = gate.admin("GET", "/api/v1/clients").header("Authorization", &format!("Bearer {token}")).await;
        assert_eq!(asked.status, 200, "{token}");
        assert_eq!(reload(&gate).await.status, 401, "the old token");
    }
    fs::remove_file(root.join("token")).unwrap();
    fs::write(root.join("token"), "operator\n").unwrap();
    let waited = async { while reload(&gate).await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("the secret is taken up");
}

#[tokio::test]
async fn the_level_of_the_log_may_change() {
    let yaml = open("http://127.0.0.1:1");
    let mut gate = Process::serve(&yaml.replace("level: info", "level: error")).await;
    fs::write(gate.file("ticketgate.yaml"), &yaml).unwrap();
    assert_eq!(reload(&gate).await.at("/changed"), serde_json::json!(["log.level"]));
    gate.signal(Signal::TERM);
    gate.line_with("ending: what is under way may finish").await;
}

/// Under one of them `PURGE` is known and refused, under the other no head may say it. With the heads of one and the rules of the other
/// it would pass.
const PURGE_KNOWN: &str = r#"
upstream: {url: "{upstream}"}
rules:
  - {path: "/**", methods: [PURGE], require: deny}
  - {path: "/**", require: public}
"#;
const PURGE_UNKNOWN: &str = r#"
upstream: {url: "{upstream}"}
rules:
  - {path: "/**", require: public}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_or_decided_by_half_a_configuration() {
    let backend = Backend::answering(DONE).await;
    let setup = |yaml: &str| Gate::with(yaml).upstream(&backend.url());
    let mut gate = setup(PURGE_KNOWN).start().await;
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (mut connection, over, address) = (gate.connect().await, over.clone(), gate.address.clone());
        callers.spawn(async move {
            let mut asked = 0;
            while !over.load(Ordering::Relaxed) {
                connection.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
                assert_eq!(connection.reply_to("GET").await.expect("an answer to each request").text(), "done");
                connection.send(b"PURGE /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
                let purged = connection.reply_to("PURGE").await.expect("an answer to each request");
                match (purged.status, purged.reason()) {
                    (403, "denied") => {}
                    (400, "malformed") => connection = support::http::Connection::open(&address).await,
                    other => panic!("{other:?}: half a configuration"),
                }
                asked += 1;
            }
            asked
        });
    }
    for round in 0..400 {
        gate.take_up(&setup(if round % 2 == 0 { PURGE_UNKNOWN } else { PURGE_KNOWN })).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    over.store(true, Ordering::Relaxed);
    let asked: usize = callers.join_all().await.into_iter().sum();
    assert!(asked > 100, "{asked}");
}

/// An application that says which one it is.
async fn named(name: &str) -> Backend {
    Backend::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len())).await
}

fn public(upstream: &str, more: &str) -> Setup {
    let yaml = "upstream: {url: \"{upstream}\"{more}}\nrules: [{path: \"/**\", require: public}]\n";
    Gate::with(&yaml.replace("{more}", more)).upstream(upstream)
}

#[tokio::test]
async fn connections_to_the_application_survive_unless_it_is_another_one() {
    let (first, second) = (named("first").await, named("second").await);
    let mut gate = public(&first.url(), "").start().await;
    let mut connection = gate.connect().await;
    let mut ask = async || {
        connection.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
        connection.reply_to("GET").await.expect("a reply").text()
    };
    assert_eq!(ask().await, "first");
    for more in [", response_timeout: 5s", ", max_connections: 4", ", max_connections: 1, idle_timeout: 50s", ""] {
        gate.take_up(&public(&first.url(), more)).unwrap();
        assert_eq!(ask().await, "first");
        assert_eq!(first.connections(), 1, "{more}");
    }
    gate.take_up(&public(&second.url(), ", max_connections: 1")).unwrap();
    assert_eq!((ask().await.as_str(), second.connections(), first.connections()), ("second", 1, 1));
}

#[tokio::test]
async fn a_smaller_number_of_connections_counts_those_under_way() {
    let (arrived, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (tell, wait) = (arrived.clone(), go.clone());
    let backend = Backend::start(move |mut conversation, _| {
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            while conversation.request().await.is_some() {
                tell.add_permits(1);
                wait.acquire().await.unwrap().forget();
                conversation.say(DONE).await;
            }
        }
    })
    .await;
    let limited = |most: u32| public(&backend.url(), &format!(", max_connections: {most}, queue_timeout: 200ms"));
    let mut gate = limited(3).start().await;
    let mut under_way = tokio::task::JoinSet::new();
    for _ in 0..3 {
        under_way.spawn(gate.get("/a").into_future());
    }
    arrived.acquire_many(3).await.unwrap().forget();
    gate.take_up(&limited(1)).unwrap();
    go.add_permits(2);
    for _ in 0..2 {
        assert_eq!(under_way.join_next().await.unwrap().unwrap().status, 200);
    }
    gate.get("/a").await.assert_refused(503, "overloaded");
    go.add_permits(2);
    assert_eq!(under_way.join_next().await.unwrap().unwrap().status, 200);
    assert_eq!(gate.get("/a").await.status, 200);

    gate.take_up(&limited(2)).unwrap();
    under_way.spawn(gate.get("/a").into_future());
    under_way.spawn(gate.get("/a").into_future());
    arrived.acquire_many(3).await.unwrap().forget();
    go.add_permits(2);
    assert!(under_way.join_all().await.iter().all(|reply| reply.status == 200));
}

#[tokio::test]
async fn open_connections_count_for_a_limit_that_changed() {
    let backend = named("a").await;
    let limited = |most: u32| {
        let yaml = format!(
            "upstream: {{url: \"{{upstream}}\"}}\nlimits: {{connections: {most}}}\nrules: [{{path: \"/**\", require: public}}]\n"
        );
        Gate::with(&yaml).upstream(&backend.url())
    };
    let mut gate = limited(10).start().await;
    let mut held = vec![];
    for _ in 0..3 {
        let mut connection = gate.connect().await;
        connection.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(connection.reply_to("GET").await.expect("a reply").status, 200);
        held.push(connection);
    }
    gate.take_up(&limited(3)).unwrap();
    gate.get("/a").await.assert_refused(503, "overloaded");
    gate.take_up(&limited(4)).unwrap();
    assert_eq!(gate.get("/a").await.status, 200);
}
