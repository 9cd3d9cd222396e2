//! `/metrics`: what is counted, under names and labels that stay.

mod support;

use std::collections::BTreeSet;
use std::fs;

use support::apps::Site;
use support::backend::FakeBackend;
use support::caller::mvc;
use support::gate::Gate;
use support::redis::RedisServer;
use support::scrape::Scrape;

const LOCAL: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "{store}", timeout: 500ms}
clients: [{id: ios, secret: s3cret}]
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
limits: {per_client: 1000/s}
rules:
  - {path: "/assets/**", require: public}
  - {endpoint: news, require: client}
"#;

async fn local(store: &str) -> (Gate, FakeBackend) {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(LOCAL).upstream(&backend.url).put("store", store).start().await;
    (gate, backend)
}

#[tokio::test]
async fn requests_are_counted_by_rule_outcome_and_reason() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    for _ in 0..3 {
        lilei.get("user/info/get").await.assert_passed();
    }
    site.gate.get(&mvc("user/info/get")).await.assert_refused(401, "client_missing");
    site.gate.get("/a?user_id=1&user_id=2").await.assert_refused(400, "ambiguous");
    let wrong = site.ios().post("user/auth/login", &[("username", "lilei"), ("pwd", "wrong")]).await;
    assert_eq!(wrong.reason(), "");

    let scrape = Scrape::of(&site.gate.admin).await;
    for (rule, outcome, reason, count) in [
        ("user/auth/login", "forwarded", "", 2.0),
        ("*", "forwarded", "", 3.0),
        ("*", "refused", "client_missing", 1.0),
        ("", "refused", "ambiguous", 1.0),
        ("news", "forwarded", "", 0.0),
    ] {
        let series = format!("ticketgate_requests_total{{rule=\"{rule}\",outcome=\"{outcome}\",reason=\"{reason}\"}}");
        assert_eq!(scrape.get(&series), Some(count), "{series}\n{}", scrape.0);
    }
    for (name, count) in [
        ("ticketgate_request_duration_seconds_count", 7.0),
        ("ticketgate_request_duration_seconds_bucket{le=\"+Inf\"}", 7.0),
        ("ticketgate_upstream_duration_seconds_count", 5.0),
        ("ticketgate_logins_total{result=\"succeeded\"}", 1.0),
        ("ticketgate_logins_total{result=\"failed\"}", 1.0),
        ("ticketgate_store_duration_seconds_count{op=\"login\"}", 1.0),
        ("ticketgate_store_errors_total", 0.0),
        ("ticketgate_config_reload_success", 1.0),
        ("ticketgate_websockets", 0.0),
        ("ticketgate_held_answers_total{result=\"hit\"}", 0.0),
    ] {
        assert_eq!(scrape.value(name), count, "{name}");
    }
    assert!(scrape.value("ticketgate_store_duration_seconds_count{op=\"decide\"}") >= 3.0);
    let (request, upstream) = ("ticketgate_request_duration_seconds_sum", "ticketgate_upstream_duration_seconds_sum");
    assert!(scrape.value(request) > scrape.value(upstream) && scrape.value(upstream) > 0.0);
    assert!(scrape.value("process_resident_memory_bytes") > 1e6 && scrape.value("process_open_fds") > 3.0);
    assert!(scrape.0.contains(concat!("ticketgate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1\n")));
}

#[tokio::test]
async fn nothing_of_a_request_becomes_a_label() {
    let (gate, _backend) = local("memory:").await;
    let before = Scrape::of(&gate.admin).await.samples().count();
    for number in 0..20 {
        gate.get(&format!("/assets/path{number}")).await.assert_passed();
        gate.get(&format!("/secret{number}?mod=m{number}&user_id=user{number}")).await.assert_refused(403, "denied");
        gate.request(&format!("METHOD{number}"), "/").await.assert_refused(400, "malformed");
    }
    let scrape = Scrape::of(&gate.admin).await;
    let after = scrape.samples().count();
    assert_eq!(after, before + 2, "two more, denied and malformed:\n{}", scrape.0);
    for word in ["path1", "secret1", "user1", "METHOD1", "m1"] {
        assert!(!scrape.0.contains(word), "{word}");
    }
}

#[tokio::test]
async fn connections_are_counted_while_they_are_open() {
    let (gate, _backend) = local("memory:").await;
    let mut connection = gate.connect().await;
    connection.send(gate.get("/assets/a").to_bytes().as_slice()).await;
    assert!(connection.reply_to("GET").await.is_some());
    let scrape = Scrape::of(&gate.admin).await;
    assert_eq!(scrape.value("ticketgate_connections"), 1.0);
    assert_eq!(scrape.value("ticketgate_upstream_connections{state=\"idle\"}"), 1.0);
    assert_eq!(scrape.value("ticketgate_upstream_connections{state=\"busy\"}"), 0.0);
    drop(connection);
    while Scrape::of(&gate.admin).await.value("ticketgate_connections") > 0.0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_store_that_fails_shows_and_so_does_what_is_counted_without_it() {
    let mut redis = RedisServer::start();
    let (gate, _backend) = local(&redis.url()).await;
    let ios = gate.client("ios", "s3cret");
    ios.get("news/list/index").await.assert_passed();
    let scrape = Scrape::of(&gate.admin).await;
    assert_eq!(scrape.value("ticketgate_store_errors_total"), 0.0);
    assert_eq!(scrape.value("ticketgate_limits_counted_locally_total"), 0.0);
    assert!(scrape.value("ticketgate_store_duration_seconds_count{op=\"count\"}") > 0.0);
    redis.kill();
    ios.get("news/list/index").await.assert_passed();
    let scrape = Scrape::of(&gate.admin).await;
    assert!(scrape.value("ticketgate_store_errors_total") > 0.0, "{}", scrape.0);
    assert!(scrape.value("ticketgate_limits_counted_locally_total") > 0.0, "{}", scrape.0);
}

#[tokio::test]
async fn metrics_need_no_token_and_take_no_other_method() {
    let (gate, _backend) = local("memory:").await;
    assert_eq!(gate.admin("POST", "/metrics").await.status, 405);
    assert_eq!(gate.admin("HEAD", "/metrics").await.status, 200);
    assert_eq!(gate.get("/metrics").await.status, 403, "only the admin listener tells");
}

#[tokio::test]
async fn every_metric_is_explained_and_every_explained_one_is_there() {
    let (gate, _backend) = local("memory:").await;
    let scrape = Scrape::of(&gate.admin).await;
    let names = |kind: &str| -> BTreeSet<String> {
        let lines = scrape.0.lines().filter_map(|line| line.strip_prefix(kind)?.split(' ').next());
        lines.map(str::to_owned).collect()
    };
    let told = names("# TYPE ");
    assert_eq!(told, names("# HELP "));
    for name in scrape.names() {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        assert!(told.contains(family) || told.contains(name), "{name}");
    }
    let manual = fs::read_to_string("docs/operations.md").unwrap();
    let section = manual.split("\n## Metrics\n").nth(1).unwrap().split("\n##").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `")).map(|row| row.split('|').nth(1).unwrap());
    let explained: BTreeSet<String> = rows
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|name| name.split('{').next().unwrap().to_owned())
        .collect();
    assert_eq!(told, explained);
}
