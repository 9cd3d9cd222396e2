//! The access log: one line per request, and no secret in it.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::apps::Site;
use support::caller::mvc;
use support::gate::Gate;

/// The lines of the log, once there are so many.
async fn lines(gate: &Gate, count: usize) -> Vec<Value> {
    let asked = Instant::now();
    loop {
        let log = gate.log();
        if log.lines().count() >= count {
            return log.lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect();
        }
        assert!(asked.elapsed() < Duration::from_secs(10), "{log}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn every_request_leaves_a_line_that_says_what_became_of_it() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    lilei.get("user/info/get").await.assert_passed();
    let refused = site.gate.get(&mvc("user/info/get")).await;

    let lines = lines(&site.gate, 3).await;
    assert_eq!(lines.len(), 3);
    let fields = |index: usize, names: [&str; 6]| names.map(|name| lines[index][name].clone());
    let names = ["method", "outcome", "reason", "status", "client_id", "user_id"];
    assert_eq!(
        fields(0, names),
        [json!("POST"), json!("forwarded"), json!(null), json!(200), json!("ios"), json!("7")]
    );
    assert_eq!(fields(1, names), [json!("GET"), json!("forwarded"), json!(null), json!(200), json!("ios"), json!("7")]);
    let missing = json!("client_missing");
    assert_eq!(fields(2, names), [json!("GET"), json!("refused"), missing, json!(401), json!(null), json!(null)]);
    assert_eq!(lines[2]["request_id"].as_str(), refused.header("x-request-id"));
    assert_eq!(lines[0]["rule"], "user/auth/login");
    assert!(lines[1]["session"].is_string() && lines[1]["upstream_ms"].is_number());
    assert_eq!(lines[0]["session"], lines[1]["session"], "a login tells which session it made");
}

#[tokio::test]
async fn no_secret_stands_in_the_log() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    let token = &lilei.session().user_token;
    lilei.get("user/info/get").await.assert_passed();
    // The same in other spellings, in the wrong place, and in a request that cannot be read.
    for target in [
        format!("/a?user%5Ftoken={token}"),
        format!("/a?user.token={token}&api%5ftoken={token}"),
        format!("/a?user_token={token}&user_token={token}"),
        format!("/a?user_token[]={token}"),
        format!("/a?password={token}"),
        format!("/%zz?user_token={token}"),
        format!("/a/user_token/{token}"),
        format!("/a/User%5Ftoken-{token}/b?x=1"),
        format!("/index.php?s=/user/info/user_token/{token}&x=1"),
        format!("/a?back=%2Fb%3Fuser%5Ftoken%3D{token}"),
        format!("/a?/user_token/{token}"),
    ] {
        site.gate.get(&target).header("Cookie", &format!("user_token={token}")).await;
    }
    site.gate.get("/a").header("Authorization", &format!("Bearer {token}")).await;
    lines(&site.gate, 14).await;
    let log = site.gate.log();
    for secret in [token.as_str(), "lilei123", "s3cret", &site.ios().api_token("user/info/get"), "PHPSESSID"] {
        assert!(!log.contains(secret), "{secret} stands in\n{log}");
    }
}
