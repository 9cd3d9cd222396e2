//! The admin listener over sockets.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ticketgate::ids::ClientId;
use ticketgate::shutdown::Phase;
use ticketgate::store::{ClientRecord, Ending, Found, Question};

use crate::support::{Admin, Answer, Setting, TOKEN};

#[path = "support/admin.rs"]
#[expect(dead_code, reason = "test crates use a part of it each")]
mod support;

#[test]
fn health_needs_no_token() {
    let admin = Admin::start();
    let answer = admin.ask_with("GET", "/healthz", &[], "");
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "ok"})));
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    assert_eq!(admin.ask_with("HEAD", "/healthz", &[], "").status, 200);
    assert_eq!(admin.ask_with("POST", "/healthz", &[], "").status, 405);
}

#[test]
fn readiness_says_which_part_is_not_ready() {
    let application = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = application.local_addr().unwrap().port();
    let admin = Admin::with(Setting { upstream: port, ..Setting::default() });
    let ready = || admin.ask_with("GET", "/readyz", &[], "");

    let answer = ready();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json(), json!({"status": "ready", "store": "ok", "upstream": "ok", "draining": false}));

    let began = Instant::now();
    drop(application);
    let status = ready().status;
    assert!(status == 200 || began.elapsed() > Duration::from_millis(500), "what was found counts for a second");
    admin.clock.advance(Duration::from_secs(1));
    let answer = ready();
    assert_eq!((answer.status, answer.text("status")), (503, "not_ready".to_owned()));
    assert_eq!(answer.text("store"), "ok");
    assert_ne!(answer.text("upstream"), "ok");
}

#[test]
fn a_gate_that_is_leaving_is_not_ready_and_still_answers() {
    let application = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = application.local_addr().unwrap().port();
    let admin = Admin::with(Setting { upstream: port, ..Setting::default() });
    for phase in [Phase::Leaving, Phase::Draining] {
        admin.trigger.announce(phase);
        let answer = admin.ask_with("GET", "/readyz", &[], "");
        assert_eq!((answer.status, answer.json()["draining"].clone()), (503, json!(true)), "{phase:?}");
        assert_eq!(admin.ask_with("GET", "/healthz", &[], "").status, 200);
    }
}

#[test]
fn the_api_opens_to_its_token_alone() {
    let admin = Admin::start();
    let wrong: [&[(&str, &str)]; 5] = [
        &[],
        &[("Authorization", "Bearer operator-tokem")],
        &[("Authorization", "Bearer ")],
        &[("Authorization", "Basic operator-token")],
        &[("X-Token", TOKEN)],
    ];
    for headers in wrong {
        let answer = admin.ask_with("GET", "/api/v1/clients", headers, "");
        assert_eq!(answer.status, 401, "{headers:?}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        assert!(answer.error().contains("admin.token"), "{}", answer.body);
    }
    assert_eq!(admin.ask("GET", "/api/v1/clients", "").status, 200);
}

#[test]
fn without_a_token_there_is_no_api_and_a_hint() {
    let admin = Admin::with(Setting { token: None, ..Setting::default() });
    for headers in [&[][..], &[("Authorization", "Bearer ")][..]] {
        let answer = admin.ask_with("GET", "/api/v1/clients", headers, "");
        assert_eq!(answer.status, 404);
        assert!(answer.error().contains("admin.token"), "{}", answer.body);
    }
}

#[test]
fn unknown_paths_and_methods_are_told_apart() {
    let admin = Admin::start();
    for path in [
        "/page",
        "/page/",
        "/page/main.rs",
        "/api/v1/",
        "/api/v1/clients/a/b",
        "/api/v1/users/7",
        "/api/v1/clients/ios/rotate/x",
    ] {
        assert_eq!(admin.ask("GET", path, "").status, 404, "{path}");
    }
    for (method, path, allowed) in [
        ("PUT", "/api/v1/clients", "get, post"),
        ("POST", "/api/v1/clients/ios", "get, patch, delete"),
        ("GET", "/api/v1/clients/ios/rotate", "post"),
        ("PATCH", "/api/v1/users/7/sessions", "get, post, delete"),
        ("GET", "/api/v1/users/7/sessions/x", "delete"),
    ] {
        let answer = admin.ask(method, path, "");
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.head.contains(&format!("allow: {allowed}")), "{}", answer.head);
    }
}

#[test]
fn a_client_gets_an_id_and_a_secret_that_fit_old_columns() {
    let admin = Admin::start();
    let answer = admin.ask("POST", "/api/v1/clients", "");
    assert_eq!(answer.status, 201, "{}", answer.body);
    let (id, secret) = (answer.text("id"), answer.text("secret"));
    assert_eq!((id.len(), secret.len()), (12, 20));
    assert!(format!("{id}{secret}").bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(answer.json()["algorithms"], json!(["md5", "hmac-sha256"]));
    assert_eq!(answer.json()["endpoints"], json!(["*"]));

    for path in ["/api/v1/clients".to_owned(), format!("/api/v1/clients/{id}")] {
        let shown = admin.ask("GET", &path, "");
        assert_eq!(shown.status, 200);
        assert!(shown.body.contains(&id) && !shown.body.contains(&secret), "{}", shown.body);
    }
    assert_eq!(stored(&admin, &id).unwrap().secrets[0].secret.expose(), secret.as_bytes());
}

#[test]
fn a_client_may_bring_its_id_and_secret() {
    let admin = Admin::start();
    let new =
        r#"{"id": "a/b 王", "secret": "old secret", "algorithms": ["md5"], "endpoints": ["news"], "name": "News"}"#;
    let answer = admin.ask("POST", "/api/v1/clients", new);
    assert_eq!((answer.status, answer.text("secret")), (201, "old secret".to_owned()));
    let shown = admin.ask("GET", "/api/v1/clients/a%2Fb%20%E7%8E%8B", "").json();
    assert_eq!(shown["id"], "a/b 王");
    assert_eq!(shown["name"], "News");
    assert_eq!((&shown["algorithms"], &shown["endpoints"]), (&json!(["md5"]), &json!(["news"])));
    assert_eq!((&shown["source"], &shown["enabled"]), (&json!("store"), &json!(true)));

    let again = admin.ask("POST", "/api/v1/clients", new);
    assert_eq!(again.status, 409);
    assert!(again.error().contains("a/b 王"), "{}", again.body);
}

#[test]
fn clients_of_the_file_are_shown_and_not_changed() {
    let admin = Admin::start();
    let listed = admin.ask("GET", "/api/v1/clients", "");
    assert_eq!(
        (&listed.json()["clients"][0]["id"], &listed.json()["clients"][0]["source"]),
        (&json!("ios"), &json!("file"))
    );
    assert!(!listed.body.contains("s3cret"), "{}", listed.body);
    assert_eq!(admin.ask("GET", "/api/v1/clients/ios", "").json()["source"], "file");
    for (method, path, body) in [
        ("POST", "/api/v1/clients", r#"{"id": "ios"}"#),
        ("PATCH", "/api/v1/clients/ios", r#"{"enabled": false}"#),
        ("DELETE", "/api/v1/clients/ios", ""),
        ("POST", "/api/v1/clients/ios/rotate", ""),
    ] {
        let answer = admin.ask(method, path, body);
        assert_eq!(answer.status, 409, "{method} {path}");
        assert!(answer.error().contains("configuration file"), "{}", answer.body);
    }
}

#[test]
fn a_change_touches_what_it_names() {
    let admin = Admin::start();
    admin.ask("POST", "/api/v1/clients", r#"{"id": "web", "name": "Web", "endpoints": ["news"]}"#);
    let before = stored(&admin, "web").unwrap();
    let changed = admin.ask("PATCH", "/api/v1/clients/web", r#"{"enabled": false}"#);
    assert_eq!((changed.status, changed.json()["enabled"].clone()), (200, json!(false)));
    assert_eq!(stored(&admin, "web").unwrap(), ClientRecord { enabled: false, ..before.clone() });
    let body = r#"{"enabled": true, "name": "W", "algorithms": ["md5"], "endpoints": ["user/info"]}"#;
    assert_eq!(admin.ask("PATCH", "/api/v1/clients/web", body).status, 200);
    let after = stored(&admin, "web").unwrap();
    assert_eq!((after.name.as_str(), after.endpoints.as_slice()), ("W", &["user/info".to_owned()][..]));
    assert_eq!(after.secrets, before.secrets);
    assert_eq!(admin.ask("PATCH", "/api/v1/clients/nobody", "{}").status, 404);
}

#[test]
fn whether_a_client_must_sign_is_its_own_affair_or_nobodys() {
    let admin = Admin::start();
    let signature = |answer: Answer| answer.json()["signature"].clone();
    assert_eq!(signature(admin.ask("POST", "/api/v1/clients", r#"{"id": "a", "signature": "always"}"#)), "always");
    assert_eq!(signature(admin.ask("POST", "/api/v1/clients", r#"{"id": "b"}"#)), Value::Null);
    for (change, expected) in [
        (r#"{"signature": "when_present"}"#, json!("when_present")),
        (r#"{"enabled": true}"#, json!("when_present")),
        (r#"{"signature": null}"#, Value::Null),
    ] {
        assert_eq!(signature(admin.ask("PATCH", "/api/v1/clients/a", change)), expected, "{change}");
        assert_eq!(signature(admin.ask("GET", "/api/v1/clients/a", "")), expected, "{change}");
    }
    let refused = admin.ask("PATCH", "/api/v1/clients/a", r#"{"signature": "often"}"#);
    assert_eq!(refused.status, 400);
    assert!(refused.error().contains("signature") && refused.error().contains("when_present"), "{}", refused.body);
}

#[test]
fn an_old_secret_lives_as_long_as_was_asked() {
    let admin = Admin::start();
    let old = admin.ask("POST", "/api/v1/clients", r#"{"id": "web"}"#).text("secret");
    let rotated = admin.ask("POST", "/api/v1/clients/web/rotate", r#"{"keep_old": "24h"}"#);
    assert_eq!(rotated.status, 200, "{}", rotated.body);
    let new = rotated.text("secret");
    assert_ne!(old, new);
    let secrets = stored(&admin, "web").unwrap().secrets;
    let live: Vec<&[u8]> = secrets.iter().map(|live| live.secret.expose()).collect();
    assert_eq!(live, [new.as_bytes(), old.as_bytes()]);
    let until = secrets[1].until.unwrap().as_secs();
    assert!(until.abs_diff(admin.clock.now().as_secs() + 86400) < 30, "{until}");
    assert_eq!(rotated.json()["old_secret_until"], json!(until));

    admin.ask("POST", "/api/v1/clients/web/rotate", r#"{"keep_old": "1h"}"#);
    assert_eq!(stored(&admin, "web").unwrap().secrets.len(), 2, "two live at most");
    admin.ask("POST", "/api/v1/clients/web/rotate", "");
    assert_eq!(stored(&admin, "web").unwrap().secrets.len(), 1, "kept only where asked");
    assert_eq!(admin.ask("POST", "/api/v1/clients/nobody/rotate", "").status, 404);
}

#[test]
fn a_removed_client_is_gone() {
    let admin = Admin::start();
    admin.ask("POST", "/api/v1/clients", r#"{"id": "web"}"#);
    assert_eq!(admin.ask("DELETE", "/api/v1/clients/web", "").status, 200);
    assert_eq!(admin.ask("GET", "/api/v1/clients/web", "").status, 404);
    assert_eq!(admin.ask("DELETE", "/api/v1/clients/web", "").status, 404);
}

#[test]
fn bad_requests_are_told_what_is_wrong() {
    let admin = Admin::start();
    let clients = "/api/v1/clients";
    for (method, path, body, hint) in [
        ("POST", clients, "{", "the body"),
        ("POST", clients, "[]x", "the body"),
        ("POST", clients, r#"{"ID": "x"}"#, "unknown field `ID`"),
        ("POST", clients, r#"{"id": 7}"#, "id: "),
        ("POST", clients, r#"{"id": ""}"#, "is empty"),
        ("POST", clients, r#"{"id": "a\nb"}"#, "control character"),
        ("POST", clients, r#"{"secret": ""}"#, "secret: "),
        ("POST", clients, r#"{"algorithms": ["sha1"]}"#, "algorithms[0]: "),
        ("POST", clients, r#"{"algorithms": []}"#, "algorithms: is empty"),
        ("POST", clients, r#"{"endpoints": []}"#, "endpoints: is empty"),
        ("PATCH", "/api/v1/clients/web", r#"{"secret": "x"}"#, "unknown field `secret`"),
        ("POST", "/api/v1/clients/web/rotate", r#"{"keep_old": "soon"}"#, "keep_old: must be a duration"),
        ("GET", "/api/v1/clients/%ff", "", "percent-encoded"),
        ("GET", "/api/v1/users//sessions", "", "the user id is empty"),
        ("POST", "/api/v1/users/7/sessions", r#"{"client": "ios"}"#, "unknown field `client`"),
    ] {
        let answer = admin.ask(method, path, body);
        assert_eq!(answer.status, 400, "{method} {path} {body}: {}", answer.body);
        assert!(answer.error().contains(hint), "{method} {path} {body}: {}", answer.body);
    }
}

#[test]
fn a_body_over_64_kib_is_refused() {
    let admin = Admin::start();
    let body = format!(r#"{{"name": "{}"}}"#, "x".repeat(64 * 1024));
    assert_eq!(admin.ask("POST", "/api/v1/clients", &body).status, 413);
}

#[test]
fn an_issued_session_is_a_login_of_that_user() {
    let admin = Admin::start();
    let answer = admin.ask("POST", "/api/v1/users/7/sessions", r#"{"client_id": "ios"}"#);
    assert_eq!(answer.status, 201, "{}", answer.body);
    let token = answer.text("user_token");
    assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    assert_eq!(answer.text("user_id"), "7");
    let expires = answer.json()["expire_time"].as_u64().unwrap();
    assert!(expires.abs_diff(admin.clock.now().as_secs() + 7200) < 30, "{expires}");

    let Some(Found::Live(live)) = found(&admin, &token) else { panic!("no live session") };
    assert_eq!(
        (live.record.user.as_ref().map(|user| user.as_str()), live.record.id.as_str()),
        (Some("7"), answer.text("session").as_str())
    );
    assert_eq!(live.record.client.as_ref().unwrap().as_str(), "ios");

    let listed = admin.ask("GET", "/api/v1/users/7/sessions", "");
    let session = &listed.json()["sessions"][0];
    assert_eq!((&session["id"], &session["client_id"]), (&answer.json()["session"], &json!("ios")));
    assert_eq!(session["expires"].as_u64().unwrap(), expires);
    assert!(!listed.body.contains(&token), "{}", listed.body);
}

#[test]
fn a_session_for_an_unknown_client_is_refused_and_one_without_is_not() {
    let admin = Admin::start();
    let refused = admin.ask("POST", "/api/v1/users/7/sessions", r#"{"client_id": "nobody"}"#);
    assert_eq!(refused.status, 404);
    assert!(refused.error().contains("nobody"), "{}", refused.body);
    assert_eq!(admin.ask("POST", "/api/v1/users/7/sessions", "").status, 201);
    admin.ask("POST", "/api/v1/clients", r#"{"id": "web"}"#);
    assert_eq!(admin.ask("POST", "/api/v1/users/7/sessions", r#"{"client_id": "web"}"#).status, 201);
}

#[test]
fn a_session_bound_to_an_address_needs_one() {
    let mut setting = Setting::default();
    setting.session.bind_ip = true;
    let admin = Admin::with(setting);
    let answer = admin.ask("POST", "/api/v1/users/7/sessions", "");
    assert_eq!((answer.status, answer.error().starts_with("ip: ")), (400, true), "{}", answer.body);
    assert_eq!(admin.ask("POST", "/api/v1/users/7/sessions", r#"{"ip": "192.0.2.1"}"#).status, 201);
    assert_eq!(sessions(&admin, "7")[0]["ip"], "192.0.2.1");
}

#[test]
fn sessions_end_one_by_one_or_all_at_once() {
    let admin = Admin::start();
    let issue = |user: &str| admin.ask("POST", &format!("/api/v1/users/{user}/sessions"), "");
    let (first, second, third, other) = (issue("7"), issue("7"), issue("7"), issue("8"));

    let path = format!("/api/v1/users/7/sessions/{}", second.text("session"));
    let ended = admin.ask("DELETE", &path, "");
    assert_eq!((ended.status, ended.json()), (200, json!({"ended": 1})));
    assert_eq!(admin.ask("DELETE", &path, "").status, 404);
    assert!(is_ended(&admin, &second) && !is_ended(&admin, &first) && !is_ended(&admin, &third));
    let foreign = format!("/api/v1/users/8/sessions/{}", first.text("session"));
    assert_eq!(admin.ask("DELETE", &foreign, "").status, 404, "a session is ended under its own user alone");

    assert_eq!(admin.ask("DELETE", "/api/v1/users/7/sessions", "").json(), json!({"ended": 2}));
    assert!(is_ended(&admin, &first) && is_ended(&admin, &third) && !is_ended(&admin, &other));
    assert_eq!(admin.ask("DELETE", "/api/v1/users/7/sessions", "").json(), json!({"ended": 0}));
    assert_eq!(sessions(&admin, "7"), Vec::<Value>::new());
}

#[test]
fn user_ids_may_hold_anything_that_is_percent_encoded() {
    let admin = Admin::start();
    for (path, user) in
        [("a%2Fb", "a/b"), ("%E7%8E%8B%20%E4%BA%94", "王 五"), ("..%2f..", "../.."), ("a%25", "a%"), ("q?x", "q")]
    {
        let path = if let Some((path, query)) = path.split_once('?') {
            format!("/api/v1/users/{path}/sessions?{query}")
        } else {
            format!("/api/v1/users/{path}/sessions")
        };
        assert_eq!(admin.ask("POST", &path, "").text("user_id"), user);
        assert_eq!(admin.ask("GET", &path, "").json()["sessions"].as_array().unwrap().len(), 1, "{user}");
        assert_eq!(admin.ask("DELETE", &path, "").json(), json!({"ended": 1}), "{user}");
    }
}

#[test]
fn a_full_user_gets_no_further_session_where_the_oldest_may_not_be_ended() {
    for (end_oldest, status) in [(false, 409), (true, 201)] {
        let mut setting = Setting::default();
        (setting.session.per_user, setting.session.end_oldest) = (1, end_oldest);
        let admin = Admin::with(setting);
        assert_eq!(admin.ask("POST", "/api/v1/users/7/sessions", "").status, 201);
        assert_eq!(admin.ask("POST", "/api/v1/users/7/sessions", "").status, status);
        assert_eq!(sessions(&admin, "7").len(), 1);
    }
}

fn sessions(admin: &Admin, user: &str) -> Vec<Value> {
    let listed = admin.ask("GET", &format!("/api/v1/users/{user}/sessions"), "");
    listed.json()["sessions"].as_array().unwrap().clone()
}

fn is_ended(admin: &Admin, issued: &Answer) -> bool {
    matches!(found(admin, &issued.text("user_token")), Some(Found::Ended(Ending::Admin)))
}

fn found(admin: &Admin, token: &str) -> Option<Found> {
    ask(admin, Question { client: None, session: &admin.store.hashes(token.as_bytes()) }).session
}

fn stored(admin: &Admin, id: &str) -> Option<ClientRecord> {
    let id = ClientId::new(id).unwrap();
    ask(admin, Question { client: Some(&id), session: &[] }).client.map(Arc::unwrap_or_clone)
}

fn ask(admin: &Admin, question: Question<'_>) -> ticketgate::store::Records {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin.store.ask(question)).unwrap()
}

#[test]
fn wrong_tokens_are_answered_late_and_counted() {
    let admin = Admin::start();
    let wrong = || admin.ask_with("GET", "/api/v1/clients", &[("Authorization", "Bearer wrong")], "").status;
    let counted = || {
        let page = admin.ask_with("GET", "/metrics", &[], "").body;
        let line = page.lines().find_map(|line| line.strip_prefix("ticketgate_admin_tokens_refused_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(admin.ask_with("GET", "/api/v1/clients", &[], "").status, 401);
    assert_eq!(counted(), 0, "who shows no token guesses none");
    let began = Instant::now();
    assert_eq!(wrong(), 401);
    assert!(began.elapsed() >= Duration::from_millis(450), "{:?}", began.elapsed());
    assert_eq!(counted(), 1);

    // However many guess at once, sixteen are looked at in half a second.
    let began = Instant::now();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..64).map(|_| scope.spawn(wrong)).collect();
        guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    let most = 16.0 * (began.elapsed().as_secs_f64() / 0.5 + 1.0);
    assert!(looked_at > 0 && looked_at as f64 <= most, "{looked_at} of at most {most}: {statuses:?}");
    assert_eq!(counted(), 1 + looked_at as u64);
    assert_eq!(admin.ask("GET", "/api/v1/clients", "").status, 200, "it passes by itself");
}
