//! An API over one connection for an application that knows only HTTP: messages become requests, and a token works on no other
//! connection.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::apps::{MVC, Site};
use support::backend::FakeBackend;
use support::gate::Gate;
use support::messages::{Messages, Pair, pair_of};
use support::redis::RedisServer;
use support::scrape::Scrape;

/// The route of these tests; rules say what is required of endpoints, types add to it.
pub const BRIDGE: &str = r#"
websocket:
  - path: /ws
    mode: bridge
    require: client
    endpoint: ws/main/open
    login: user/auth/login
    types:
      getuserinfo: {endpoint: user/info/get, require: user}
      saveuser: {endpoint: user/info/save, require: user}
      logout: {endpoint: user/auth/logout, require: user}
      echo: {endpoint: debug/echo/all, require: user}
      look: {endpoint: debug/echo/client, method: GET}
      open: {endpoint: debug/echo/open}
      poll: {endpoint: message/box/poll}
      gone: {endpoint: no/such/thing, require: client}
"#;

const FAKE: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
clients: [{id: ios, secret: s3cret}]
rules:
  - {endpoint: user/auth/login, require: client, login: {success: {json: {/code: 1}}, user_id: "json:/data/uid"}}
  - {endpoint: shop/closed/now, require: deny}
"#;

async fn site(more: &str) -> Site {
    Site::of("mvc", &format!("{more}\n{BRIDGE}{MVC}")).await
}

async fn connect(site: &Site) -> Messages {
    Messages::of(&site.ios(), &site.gate.address).await
}

fn info(token: &str) -> Value {
    json!({"type": "getuserinfo", "token": token})
}

fn resume(pair: &Pair) -> Value {
    json!({"type": "resume", "token": pair.token, "wstoken": pair.wstoken})
}

#[track_caller]
fn assert_wrong_channel(answer: &Value) {
    assert_eq!((&answer["code"], &answer["msg"]), (&json!(0), &json!("Illegal Sources")), "{answer}");
}

#[tokio::test]
async fn a_login_and_calls_go_over_one_connection() {
    let site = site("").await;
    let mut ws = connect(&site).await;
    let answer = ws.ask(json!({"type": "login", "id": 1, "username": "lilei", "password": "lilei123"})).await;
    assert_eq!((&answer["type"], &answer["id"], &answer["code"]), (&json!("login"), &json!(1), &json!(1)));
    assert_eq!((&answer["msg"], &answer["data"]["name"]), (&json!("登录成功"), &json!("李雷")));
    let Pair { token, wstoken } = pair_of(&answer);
    assert_eq!((token.len(), wstoken.len()), (32, 32));

    let answer = ws.ask(json!({"type": "getuserinfo", "id": "x", "token": token})).await;
    let expected = json!({
        "type": "getuserinfo", "id": "x", "token": token, "code": 1, "msg": "ok", "data": {"uid": 7, "name": "李雷"}
    });
    assert_eq!(answer, expected);
    assert_eq!(ws.ask(json!({"type": "saveuser", "token": token, "name": "雷哥"})).await["code"], 1);
    assert_eq!(ws.ask(info(&token)).await["data"]["name"], "雷哥", "the held cookies go along");
}

#[tokio::test]
async fn a_message_arrives_as_the_request_that_a_client_would_have_sent() {
    let site = site("").await;
    let mut ws = connect(&site).await;
    let Pair { token, .. } = ws.log_in("lilei").await;
    let answer =
        ws.ask(json!({"type": "echo", "token": token, "a": {"b": [1, true]}, "name": "a b&c", "z": null})).await;
    let data = &answer["data"];
    assert_eq!(data["post"], json!({"a": {"b": ["1", "1"]}, "name": "a b&c"}));
    assert_eq!(data["uri"], "/index.php?mod=debug&ctl=echo&act=all");
    let headers = &data["headers"];
    assert_eq!((&headers["HTTP_X_AUTH_USER_ID"], &headers["HTTP_X_AUTH_CLIENT_ID"]), (&json!("7"), &json!("ios")));
    assert_eq!(headers["HTTP_USER_AGENT"], "ws/1");
    assert!(data["cookie"]["PHPSESSID"].is_string() && headers["HTTP_X_REQUEST_ID"].is_string(), "{answer}");

    let answer = ws.ask(json!({"type": "look", "q": "王 五", "n": 12345678901234567890_u64})).await;
    assert_eq!(answer["data"]["method"], "GET");
    assert_eq!(answer["data"]["get"]["q"], "王 五");
    assert_eq!(answer["data"]["get"]["n"], "12345678901234567890");
    assert!(answer.get("token").is_none());
    assert_eq!(answer["data"]["headers"].get("HTTP_X_AUTH_USER_ID"), None, "no user where none is needed");
}

#[tokio::test]
async fn what_is_no_message_is_told_so_and_the_connection_stays_open() {
    let site = site("").await;
    let mut ws = connect(&site).await;
    let deep = format!("{{\"type\":\"echo\",\"a\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
    for text in ["", "hello", "{", "[]", "7", "{}", r#"{"token":"x"}"#, r#"{"type":5}"#, &deep] {
        ws.say(text).await;
        assert_eq!(ws.text().await, r#"{"code":0,"msg":"error submit data"}"#, "{:.40}", text);
    }
    use futures_util::SinkExt as _;
    ws.stream.send(tokio_tungstenite::tungstenite::Message::binary(vec![1, 2])).await.unwrap();
    assert_eq!(ws.text().await, r#"{"code":0,"msg":"error submit data"}"#);
    let unknown = ws.ask(json!({"type": "nonsense", "id": 3})).await;
    assert_eq!((&unknown["type"], &unknown["id"], &unknown["code"]), (&json!("nonsense"), &json!(3), &json!(0)));
    assert_eq!(ws.ask(json!({"type": "gone"})).await["code"], 0);
    ws.log_in("lilei").await;
}

#[tokio::test]
async fn a_token_taken_from_the_wire_opens_nothing_elsewhere() {
    let site = site("").await;
    let (mut ws, mut thief) = (connect(&site).await, connect(&site).await);
    let pair = ws.log_in("lilei").await;
    assert_wrong_channel(&thief.ask(info(&pair.token)).await);
    thief.log_in("hanmeimei").await;
    assert_wrong_channel(&thief.ask(info(&pair.token)).await);

    let over_http =
        |names: &str| site.ios().target(&format!("/index.php?mod=user&ctl=info&act=get{names}"), "user/info/get");
    let target = over_http(&format!("&user_id=7&user_token={}", pair.token));
    let reply = site.gate.get(&target).await;
    reply.assert_refused(403, "wrong_channel");
    assert_eq!(reply.at("/msg"), "Illegal Sources");
    let logout = site.ios().target("/index.php?mod=user&ctl=auth&act=logout", "user/auth/logout");
    site.gate.get(&format!("{logout}&user_id=7&user_token={}", pair.token)).await.assert_refused(403, "wrong_channel");

    let guess = Pair { wstoken: "0".repeat(32), ..pair.clone() };
    assert_wrong_channel(&connect(&site).await.ask(resume(&guess)).await);
    assert_eq!(ws.ask(info(&pair.token)).await["code"], 1, "its own connection is not disturbed");
}

#[tokio::test]
async fn a_login_over_http_under_a_stolen_token_does_not_end_its_session() {
    let site = site("").await;
    let mut ws = connect(&site).await;
    let pair = ws.log_in("lilei").await;
    let target = site.ios().target("/index.php?mod=user&ctl=auth&act=login", "user/auth/login");
    let target = format!("{target}&user_id=7&user_token={}", pair.token);
    let login = site.gate.post(&target).form(&[("username", "hanmeimei"), ("password", "hanmeimei123")]);
    login.await.assert_passed();
    assert_eq!(ws.ask(info(&pair.token)).await["code"], 1);
}

#[tokio::test]
async fn a_session_of_http_is_not_used_over_a_connection() {
    let site = site("").await;
    let caller = site.ios().logged_in("lilei").await;
    let mut ws = connect(&site).await;
    assert_wrong_channel(&ws.ask(info(&caller.session().user_token)).await);
    caller.get("user/info/get").await.assert_passed();
}

#[tokio::test]
async fn fields_of_a_message_can_name_neither_an_endpoint_nor_a_caller() {
    let site = site("selectors: [addon]").await;
    let mut ws = connect(&site).await;
    let Pair { token, .. } = ws.log_in("lilei").await;
    for name in [
        "mod",
        "act",
        "user_id",
        "user_token",
        "user.id",
        "api_token",
        "client_id",
        " user_token",
        "user_id[x]",
        "addon",
        "sign",
    ] {
        for kind in ["echo", "look"] {
            let answer = ws.ask(json!({"type": kind, "token": token, name: "1"})).await;
            assert_eq!(answer["code"], 0, "{name}: {answer}");
            assert!(answer["msg"].as_str().unwrap().contains("in a message"), "{name}: {answer}");
        }
    }
    let nested = ws.ask(json!({"type": "echo", "token": token, "user_id": {"a": 1}})).await;
    assert_eq!(nested["code"], 0);
    assert!(site.gate.log().is_empty() || !site.gate.log().contains(&token));
}

#[tokio::test]
async fn a_type_asks_for_a_user_where_no_rule_does_and_a_rule_that_denies_holds() {
    let backend = FakeBackend::start().await;
    let types = "types: {mine: {endpoint: shop/cart/mine, require: user}, any: {endpoint: shop/list/all, require: client},\n      \
                 closed: {endpoint: shop/closed/now, require: client}, none: {endpoint: shop/other/one}}";
    let route = format!(
        "websocket:\n  - {{path: /ws, mode: bridge, require: client, endpoint: ws/main/open,\n      {types}}}\n"
    );
    let gate = Gate::with(&format!("{route}{FAKE}")).upstream(&backend.url).start().await;
    let mut ws = Messages::of(&gate.client("ios", "s3cret"), &gate.address).await;
    for (kind, msg) in [("mine", "please log in"), ("closed", "access denied"), ("none", "access denied")] {
        let answer = ws.ask(json!({"type": kind})).await;
        assert_eq!((&answer["code"], &answer["msg"]), (&json!(0), &json!(msg)), "{kind}");
    }
    assert_eq!(ws.ask(json!({"type": "mine", "token": "f00"})).await["code"], 0);
    backend.assert_untouched();
    assert_eq!(ws.ask(json!({"type": "any"})).await["code"], 1);
    assert_eq!(backend.requests().len(), 1);
    // A type that decides alone is part of its route, and told as that.
    let scrape = Scrape::of(&gate.admin).await;
    for (rule, outcome, reason) in [
        ("/ws", "refused", "user_missing"),
        ("/ws", "refused", "user_refused"),
        ("shop/closed/now", "refused", "denied"),
        ("default", "refused", "denied"),
    ] {
        let series = format!("ticketgate_requests_total{{rule=\"{rule}\",outcome=\"{outcome}\",reason=\"{reason}\"}}");
        assert_eq!(scrape.value(&series), 1.0, "{series}");
    }
    // The switch, and the message that passed.
    assert_eq!(scrape.value(r#"ticketgate_requests_total{rule="/ws",outcome="forwarded",reason=""}"#), 2.0);
}

#[tokio::test]
async fn the_upgrade_is_decided_like_any_request_and_by_its_origin() {
    let route = BRIDGE.replace("mode: bridge", "mode: bridge\n    origins: [\"https://app.example\"]");
    let site = Site::of("mvc", &format!("{route}{MVC}")).await;
    let target = site.ios().target("/ws", "ws/main/open");
    let open = |target: String, headers: &'static str| {
        let address = site.gate.address.clone();
        async move { Messages::open(&address, &target, headers).await.map(drop) }
    };
    assert!(open("/ws".into(), "").await.unwrap_err().contains("client_missing"));
    assert!(open(site.ios().target("/ws", "ws/main/other"), "").await.unwrap_err().contains("client_refused"));
    assert!(open(target.clone(), "Origin: https://evil.example\r\n").await.unwrap_err().contains("denied"));
    open(target.clone(), "Origin: https://app.example\r\n").await.unwrap();
    open(target, "").await.unwrap();
}

#[tokio::test]
async fn a_client_that_is_disabled_or_replaced_is_refused_on_its_open_connection() {
    let site = site("admin: {listen: 127.0.0.1:0, token: \"0123456789abcdef0123456789abcdef\"}").await;
    let admin = |method: &str, path: &str, body: &str| {
        let request = site.gate.admin(method, path).header("Authorization", "Bearer 0123456789abcdef0123456789abcdef");
        request.body("application/json", body.as_bytes())
    };
    let made = admin("POST", "/api/v1/clients", r#"{"id":"kiosk","secret":"hush-hush-hush"}"#).await;
    assert_eq!(made.status, 201, "{made:?}");
    let mut ws = Messages::of(&site.gate.client("kiosk", "hush-hush-hush"), &site.gate.address).await;
    assert_eq!(ws.ask(json!({"type": "look"})).await["code"], 1);
    admin("PATCH", "/api/v1/clients/kiosk", r#"{"status":"disabled"}"#).await;
    admin("PATCH", "/api/v1/clients/kiosk", r#"{"enabled":false}"#).await;
    assert_eq!(ws.ask(json!({"type": "look"})).await["msg"], "client refused");
}

#[tokio::test]
async fn a_session_goes_on_on_another_connection_by_its_wstoken_once() {
    let site = site("").await;
    let mut first = connect(&site).await;
    let before = first.log_in("lilei").await;
    drop(first);
    let mut second = connect(&site).await;
    let answer = second.ask(json!({"type": "resume", "id": 9, "token": before.token, "wstoken": before.wstoken})).await;
    assert_eq!((&answer["code"], &answer["id"]), (&json!(1), &json!(9)), "{answer}");
    let after = pair_of(&answer);
    assert_eq!(after.token, before.token);
    assert_ne!(after.wstoken, before.wstoken);
    assert_eq!(second.ask(info(&after.token)).await["data"]["name"], "李雷");

    let mut third = connect(&site).await;
    assert_wrong_channel(&third.ask(resume(&before)).await);
    assert_eq!(second.ask(info(&after.token)).await["code"], 1);
}

#[tokio::test]
async fn the_right_wstoken_takes_a_session_over_from_a_connection_that_still_stands() {
    let site = site("").await;
    let (mut first, mut second) = (connect(&site).await, connect(&site).await);
    let pair = first.log_in("lilei").await;
    let pair = pair_of(&second.ask(resume(&pair)).await);
    let asked = Instant::now();
    assert_eq!(first.closed().await, Some(4401));
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(second.ask(info(&pair.token)).await["code"], 1);
}

#[tokio::test]
async fn a_connection_lost_too_long_ago_is_not_resumed() {
    let site = site("").await;
    let mut first = connect(&site).await;
    let pair = first.log_in("lilei").await;
    drop(first);
    // The loss is noted once the gate has seen it.
    let mut second = connect(&site).await;
    second.ask(json!({"type": "look"})).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    site.gate.clock.advance(Duration::from_secs(121));
    let answer = second.ask(resume(&pair)).await;
    assert_eq!((&answer["code"], &answer["msg"]), (&json!(0), &json!("session expired, please log in again")));
}

#[tokio::test]
async fn of_many_who_resume_with_one_wstoken_one_gets_the_session() {
    let site = site("").await;
    let pair = {
        let mut first = connect(&site).await;
        first.log_in("lilei").await
    };
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let mut ws = connect(&site).await;
        let message = resume(&pair);
        racing.spawn(async move { ws.ask(message).await["code"].clone() });
    }
    let codes = racing.join_all().await;
    assert_eq!(codes.iter().filter(|code| **code == 1).count(), 1, "{codes:?}");
}

#[tokio::test]
async fn a_second_login_on_a_connection_ends_the_first_session_and_keeps_the_connection() {
    let site = site("").await;
    let mut ws = connect(&site).await;
    let first = ws.log_in("lilei").await;
    let second = ws.log_in("hanmeimei").await;
    assert_eq!(ws.ask(info(&first.token)).await["code"], 0);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(ws.ask(info(&second.token)).await["data"]["name"], "韩梅梅");
}

#[tokio::test]
async fn a_logout_is_answered_and_then_closes_the_connection() {
    let site = site("").await;
    let mut ws = connect(&site).await;
    let pair = ws.log_in("lilei").await;
    let answer = ws.ask(json!({"type": "logout", "token": pair.token})).await;
    assert_eq!(answer["code"], 1, "{answer}");
    let asked = Instant::now();
    assert_eq!(ws.closed().await, Some(4401));
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert_eq!(connect(&site).await.ask(resume(&pair)).await["code"], 0);
}

/// A gate over a Redis that others share.
async fn over(redis: &RedisServer, php: &support::php::Php, more: &str) -> Gate {
    let yaml = format!("{more}\n{BRIDGE}{}", MVC.replace("memory:", &redis.url()));
    Gate::with(&yaml).upstream(&php.url).start().await
}

/// An open connection with a session, and another gate on the same Redis.
struct Shared {
    redis: RedisServer,
    _php: support::php::Php,
    left: Gate,
    right: Gate,
    ws: Messages,
    pair: Pair,
}

async fn shared(more: &str) -> Shared {
    let (redis, php) = (RedisServer::start(), support::php::Php::application("mvc"));
    let (left, right) = (over(&redis, &php, more).await, over(&redis, &php, more).await);
    let mut ws = Messages::of(&left.client("ios", "s3cret"), &left.address).await;
    let pair = ws.log_in("lilei").await;
    Shared { redis, _php: php, left, right, ws, pair }
}

impl Shared {
    async fn assert_closed_soon(&mut self) {
        let asked = Instant::now();
        assert_eq!(self.ws.closed().await, Some(4401));
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    }
}

const ADMIN: &str = "admin: {listen: 127.0.0.1:0, token: \"0123456789abcdef0123456789abcdef\"}";

#[tokio::test]
async fn a_session_ended_at_another_gate_closes_its_connection_within_a_second() {
    let mut shared = shared(ADMIN).await;
    let request = shared.right.admin("DELETE", "/api/v1/users/7/sessions");
    let ended = request.header("Authorization", "Bearer 0123456789abcdef0123456789abcdef").await;
    assert!(ended.status < 300, "{ended:?}");
    shared.assert_closed_soon().await;
}

#[tokio::test]
async fn a_newer_login_at_another_gate_closes_the_connection_within_a_second() {
    let mut shared = shared("session: {per_user: 1}").await;
    shared.right.client("ios", "s3cret").logged_in("lilei").await;
    shared.assert_closed_soon().await;
}

#[tokio::test]
async fn a_session_deleted_by_hand_closes_its_connection_within_a_second() {
    let mut shared = shared("").await;
    let keys: Vec<String> = shared.redis.command(&["KEYS", "ticketgate:session:*"]);
    let deleted: i64 = shared.redis.command(&["DEL", &keys[0]]);
    assert_eq!(deleted, 1);
    shared.assert_closed_soon().await;
}

#[tokio::test]
async fn a_gate_that_may_not_be_told_of_endings_looks_for_them() {
    let (redis, php) = (RedisServer::start(), support::php::Php::application("mvc"));
    let rights = ["ACL", "SETUSER", "app", "on", ">pw", "~*", "resetchannels", "+@all"];
    let _: String = redis.command(&rights);
    let url = redis.url().replace("redis://", "redis://app:pw@");
    let yaml = format!("{BRIDGE}{}", MVC.replace("memory:", &url));
    let left = Gate::with(&yaml).upstream(&php.url).start().await;
    let right = Gate::with(&yaml).upstream(&php.url).start().await;
    let mut ws = Messages::of(&left.client("ios", "s3cret"), &left.address).await;
    let pair = ws.log_in("lilei").await;
    let caller = right.client("ios", "s3cret").logged_in("lilei").await;
    caller.get("user/auth/logout_all").await.assert_passed();
    let asked = Instant::now();
    assert_eq!(ws.closed().await, Some(4401));
    assert!(asked.elapsed() < Duration::from_millis(1100), "{:?}", asked.elapsed());
    drop(pair);
}

#[tokio::test]
async fn a_session_goes_on_at_another_gate() {
    let mut shared = shared("").await;
    let mut elsewhere = Messages::of(&shared.right.client("ios", "s3cret"), &shared.right.address).await;
    assert_wrong_channel(&elsewhere.ask(info(&shared.pair.token)).await);
    let pair = pair_of(&elsewhere.ask(resume(&shared.pair)).await);
    shared.assert_closed_soon().await;
    assert_eq!(elsewhere.ask(info(&pair.token)).await["data"]["name"], "李雷");
    assert!(!shared.left.log().contains(&pair.token));
}

#[tokio::test]
async fn a_session_that_expires_closes_its_connection_and_only_messages_keep_it() {
    let site = site("session: {idle: 10m, extend_every: 1m}").await;
    let (mut busy, mut quiet) = (connect(&site).await, connect(&site).await);
    let (busy_pair, _quiet_pair) = (busy.log_in("lilei").await, quiet.log_in("hanmeimei").await);
    for _ in 0..3 {
        site.gate.clock.advance(Duration::from_secs(240));
        use futures_util::SinkExt as _;
        quiet.stream.send(tokio_tungstenite::tungstenite::Message::Ping(Vec::new().into())).await.unwrap();
        assert_eq!(busy.ask(info(&busy_pair.token)).await["code"], 1);
    }
    let asked = Instant::now();
    assert_eq!(quiet.closed().await, Some(4401), "pings are no use of a session");
    assert!(asked.elapsed() < Duration::from_millis(1100), "{:?}", asked.elapsed());
    assert_eq!(busy.ask(info(&busy_pair.token)).await["code"], 1);
}

#[tokio::test]
async fn answers_come_as_they_are_ready_and_are_told_apart_by_their_ids() {
    let backend = FakeBackend::with(|request| {
        let slow = request.escape_ascii().to_string().contains("slow=1");
        if slow {
            support::backend::Answer::Never
        } else {
            support::backend::Answer::Bytes(support::backend::FINE.to_vec())
        }
    });
    let backend = backend.await;
    let route = "websocket:\n  - {path: /ws, mode: bridge, require: client, endpoint: ws/main/open, in_flight: 4,\n      \
                 types: {any: {endpoint: shop/list/all, require: client}}}\n";
    let yaml =
        format!("{route}{}", FAKE.replace("{url: \"{upstream}\"}", "{url: \"{upstream}\", response_timeout: 1s}"));
    let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
    let mut ws = Messages::of(&gate.client("ios", "s3cret"), &gate.address).await;
    ws.say(&json!({"type": "any", "id": 1, "slow": 1}).to_string()).await;
    for id in 2..20 {
        ws.say(&json!({"type": "any", "id": id}).to_string()).await;
    }
    let mut ids = Vec::new();
    for _ in 1..20 {
        let answer = ws.json().await;
        let expected = if answer["id"] == 1 { json!("application timed out") } else { json!("ok") };
        assert_eq!(answer["msg"], expected);
        ids.push(answer["id"].as_u64().unwrap());
    }
    assert_eq!(ids.last(), Some(&1), "a slow one holds no other up");
    ids.sort_unstable();
    assert_eq!(ids, (1..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn fields_may_have_other_names_and_answers_that_are_no_envelope_are_data() {
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"price\":1.10";
    let backend = FakeBackend::answering(format!("{}}}", body.replace("13", "14")).as_bytes()).await;
    let route = "websocket:\n  - {path: /ws, mode: bridge, require: client, endpoint: ws/main/open,\n      \
                 fields: {code: status, id: seq}, types: {any: {endpoint: shop/list/all, require: client}}}\n";
    let gate = Gate::with(&format!("{route}{FAKE}")).upstream(&backend.url).start().await;
    let mut ws = Messages::of(&gate.client("ios", "s3cret"), &gate.address).await;
    ws.say(r#"{"type":"any","seq":5,"id":"41"}"#).await;
    assert_eq!(ws.text().await, r#"{"type":"any","seq":5,"status":1,"msg":"","data":{"price":1.10}}"#);
    assert!(backend.last().ends_with("\r\n\r\nid=41"), "{}", backend.last());
    ws.say("?").await;
    assert_eq!(ws.text().await, r#"{"status":0,"msg":"error submit data"}"#);
}

#[tokio::test]
async fn each_message_is_one_line_of_the_log_without_its_token() {
    let site = site("log: {level: error, access: true}").await;
    let mut ws = connect(&site).await;
    let pair = ws.log_in("lilei").await;
    ws.ask(info(&pair.token)).await;
    ws.say("{").await;
    ws.text().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let log = site.gate.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rules: Vec<_> = lines.iter().map(|line| line["rule"].as_str().unwrap_or_default()).collect();
    assert_eq!(rules, ["/ws", "user/auth/login", "*", "/ws"], "{log}");
    assert_eq!((&lines[2]["user_id"], &lines[2]["client_id"]), (&json!("7"), &json!("ios")));
    assert_eq!(lines[3]["reason"], "malformed");
    assert!(!log.contains(&pair.token) && !log.contains(&pair.wstoken) && !log.contains("lilei123"));
}

#[tokio::test]
async fn a_sealed_token_is_handed_out_sealed_and_a_new_login_ends_the_session_all_the_same() {
    let site = site("session: {sealed: true, per_user: 1}").await;
    let mut ws = connect(&site).await;
    let sealed = ws.log_in("lilei").await.token;
    assert!(sealed.starts_with("v1."), "{sealed}");
    assert_eq!(ws.ask(info(&sealed)).await["code"], 0, "what lies in the phone opens nothing");
    ws.log_in("hanmeimei").await;
    // Of both users no session is left but the one that lives here.
    let mut other = connect(&site).await;
    other.log_in("lilei").await;
    assert_eq!(ws.ask(json!({"type": "look"})).await["code"], 1);
}
