//! `/api/v1/events`: what happens is told as it happens, to those with the token, and no secret with it.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

use serde_json::Value;
use support::apps::Site;
use support::backend::FakeBackend;
use support::caller::mvc;
use support::gate::Gate;
use support::http::Connection;
use support::scrape::Scrape;

const MOST: usize = 16;

/// Somebody who listens.
struct Listener(Connection);

impl Listener {
    async fn at(gate: &Gate) -> Self {
        let mut connection = Connection::open(&gate.admin).await;
        let request = gate.admin("GET", "/api/v1/events").header("Authorization", "Bearer adm1n");
        connection.send(&request.to_bytes()).await;
        let (status, headers) = connection.head().await.unwrap();
        assert_eq!(status, 200);
        let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        assert_eq!(kind.unwrap().1, "text/event-stream");
        Self(connection)
    }

    /// The next event: its kind and what it tells.
    async fn next(&mut self) -> (String, Value) {
        loop {
            let piece = String::from_utf8(self.0.until(b"\n\n").await.unwrap()).unwrap();
            // Chunk sizes stand between the events.
            let kind = piece.lines().find_map(|line| line.strip_prefix("event: "));
            let data = piece.lines().find_map(|line| line.strip_prefix("data: "));
            if let (Some(kind), Some(data)) = (kind, data) {
                return (kind.to_owned(), serde_json::from_str(data).unwrap());
            }
        }
    }
}

async fn site() -> Site {
    let yaml =
        format!("admin: {{listen: 127.0.0.1:0, token: adm1n}}\nsession: {{per_user: 1}}\n{}", support::apps::MVC);
    Site::of("mvc", &yaml).await
}

#[tokio::test]
async fn denials_logins_and_ended_sessions_are_told() {
    let site = site().await;
    let mut listener = Listener::at(&site.gate).await;

    site.gate.get(&mvc("user/info/get")).header("User-Agent", "x").await.assert_refused(401, "client_missing");
    let (kind, denial) = listener.next().await;
    assert_eq!((kind.as_str(), &denial["reason"], &denial["rule"]), ("denial", &"client_missing".into(), &"*".into()));

    let first = site.ios().logged_in("lilei").await;
    let (kind, login) = listener.next().await;
    assert_eq!((kind.as_str(), &login["result"], &login["user_id"]), ("login", &"succeeded".into(), &"7".into()));

    site.ios().logged_in("lilei").await;
    assert_eq!(listener.next().await.0, "login");
    let (kind, ended) = listener.next().await;
    assert_eq!((kind.as_str(), &ended["why"], &ended["count"]), ("session_ended", &"newer_login".into(), &1.into()));
    first.get("user/info/get").await.assert_refused(401, "user_ended");
    assert_eq!(listener.next().await.1["reason"], "user_ended");

    site.ios().post("user/auth/login", &[("username", "lilei"), ("pwd", "wr0ng")]).await;
    assert_eq!(listener.next().await.1["result"], "failed");

    let second = site.ios().logged_in("lilei").await;
    let secret = second.session().user_token.clone();
    listener.next().await;
    listener.next().await;
    second.get("user/auth/logout").await.assert_passed();
    let (kind, ended) = listener.next().await;
    assert_eq!((kind.as_str(), &ended["why"], &ended["user_id"]), ("session_ended", &"logout".into(), &"7".into()));
    assert_eq!(ended["session"].as_str().map(str::len), Some(16));
    assert!(!ended.to_string().contains(&secret));

    site.ios().logged_in("lilei").await;
    listener.next().await;
    let operator = ("Authorization", "Bearer adm1n");
    site.gate.admin("DELETE", "/api/v1/users/7/sessions").header(operator.0, operator.1).await.assert_passed();
    let (kind, ended) = listener.next().await;
    assert_eq!((kind.as_str(), &ended["why"]), ("session_ended", &"admin".into()));
}

#[tokio::test]
async fn a_session_that_a_login_takes_the_place_of_is_told() {
    let site = site().await;
    let first = site.ios().logged_in("lilei").await;
    let mut listener = Listener::at(&site.gate).await;
    // Under the old session, as an application does that logs in anew.
    first.logged_in("hanmeimei").await;
    assert_eq!(listener.next().await.0, "login");
    let (kind, ended) = listener.next().await;
    assert_eq!(
        (kind.as_str(), &ended["why"], &ended["user_id"]),
        ("session_ended", &"newer_login".into(), &"7".into())
    );
    assert_eq!((ended["session"].as_str().map(str::len), &ended["count"]), (Some(16), &1.into()));
    first.get("user/info/get").await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn the_latest_refusals_can_be_asked_for_and_hold_no_secret() {
    let site = site().await;
    let lilei = site.ios().logged_in("lilei").await;
    let token = lilei.session().user_token.clone();
    for number in 0..250 {
        site.gate.get(&format!("/a?user_token={token}&n={number}")).await.assert_refused(403, "denied");
    }
    let request = site.gate.admin("GET", "/api/v1/refusals").header("Authorization", "Bearer adm1n");
    let reply = request.await;
    let refusals = reply.at("/refusals").as_array().unwrap().clone();
    assert_eq!(refusals.len(), 200, "the latest of them");
    assert!(refusals[0]["path"].as_str().unwrap().contains("n=249"), "{}", refusals[0]);
    assert!(refusals[199]["path"].as_str().unwrap().contains("n=50"), "{}", refusals[199]);
    assert!(!reply.text().contains(&token));
}

#[tokio::test]
async fn only_so_many_listen_and_only_with_the_token() {
    let backend = FakeBackend::start().await;
    let yaml = "upstream: {url: \"{upstream}\"}\nadmin: {listen: 127.0.0.1:0, token: adm1n}\n";
    let gate = Gate::with(yaml).upstream(&backend.url).start().await;
    assert_eq!(gate.admin("GET", "/api/v1/events").await.status, 401);
    let authorised = |method| gate.admin(method, "/api/v1/events").header("Authorization", "Bearer adm1n");
    assert_eq!(authorised("POST").await.status, 405);
    let mut listeners = Vec::new();
    for _ in 0..MOST {
        listeners.push(Listener::at(&gate).await);
    }
    assert_eq!(authorised("GET").await.status, 503);
    assert_eq!(Scrape::of(&gate.admin).await.value("ticketgate_event_listeners"), MOST as f64);
    drop(listeners);
    gate.stop().await;
}
