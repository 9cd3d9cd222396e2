//! What goes wrong on a bridge's connection: stores and applications that fail, clients that misbehave or are gone.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use support::apps::MVC;
use support::backend::{Answer, FINE, FakeBackend};
use support::gate::Gate;
use support::messages::{Messages, pair_of};
use support::php::Php;
use support::redis::RedisServer;
use support::scripted::Backend;
use support::tls::{self, Certificate};
use support::websocket::{CLOSE, Frame, WebSocket, ask};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::tungstenite::Message;

const ROUTE: &str = r#"
  - path: /ws
    mode: bridge
    require: client
    endpoint: ws/main/open
    login: user/auth/login
    types:
      getuserinfo: {endpoint: user/info/get, require: user}
      news: {endpoint: news/list/index, require: client}
"#;

const LILEI: [(&str, &str); 2] = [("username", "lilei"), ("password", "lilei123")];

/// `route` is added to the route, `more` to the configuration.
fn yaml(route: &str, more: &str) -> String {
    format!("{more}\nwebsocket:{ROUTE}{route}\n{MVC}")
}

async fn connect(gate: &Gate) -> Messages {
    Messages::of(&gate.client("ios", "s3cret"), &gate.address).await
}

fn login(password: &str) -> Value {
    json!({"type": "login", "username": "lilei", "password": password})
}

async fn fake(backend: &FakeBackend, route: &str, more: &str) -> Gate {
    Gate::with(&yaml(route, more)).upstream(&backend.url).start().await
}

#[tokio::test]
async fn while_the_store_is_away_messages_are_answered_so_and_the_connection_stays() {
    let (mut redis, php) = (RedisServer::start(), Php::application("mvc"));
    let text = yaml("", "").replace("memory:", &redis.url());
    let gate = Gate::with(&text).upstream(&php.url).start().await;
    let mut ws = connect(&gate).await;
    let pair = ws.log_in("lilei").await;
    let info = json!({"type": "getuserinfo", "token": pair.token});
    redis.signal("STOP");
    let down = ws.ask(info.clone()).await;
    assert_eq!((&down["code"], &down["msg"]), (&json!(0), &json!("service unavailable, try again later")));
    assert_eq!(ws.ask(json!({"type": "news"})).await["code"], 1, "what needs no store goes on");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    redis.signal("CONT");
    let asked = Instant::now();
    while ws.ask(info.clone()).await["code"] != 1 {
        assert!(asked.elapsed() < Duration::from_secs(10), "it does not come back");
    }
    // A store that has forgotten everything has ended the session.
    redis.restart(None);
    assert_eq!(ws.closed().await, Some(4401));
}

#[tokio::test]
async fn a_backend_that_fails_fails_one_message() {
    let backend = FakeBackend::with(|request| match request.escape_ascii().to_string() {
        request if request.contains("how=close") => Answer::Close,
        request if request.contains("how=never") => Answer::Never,
        request if request.contains("how=half") => {
            Answer::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_vec())
        }
        request if request.contains("how=huge") => Answer::Last(
            [b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n".to_vec(), vec![b'x'; 3_000_000]].concat(),
        ),
        _ => Answer::Bytes(FINE.to_vec()),
    });
    let backend = backend.await;
    let gate =
        Gate::with(&yaml("", "").replace("{url: \"{upstream}\"}", "{url: \"{upstream}\", response_timeout: 1s}"));
    let gate = gate.upstream(&backend.url).start().await;
    let mut ws = connect(&gate).await;
    for (how, msg) in [
        ("close", "application unavailable"),
        ("never", "application timed out"),
        ("half", "application unavailable"),
        ("huge", "application unavailable"),
        ("well", "ok"),
    ] {
        assert_eq!(ws.ask(json!({"type": "news", "how": how})).await["msg"], msg, "{how}");
    }
}

#[tokio::test]
async fn broken_frames_are_closed_with_the_status_of_what_is_wrong() {
    let backend = FakeBackend::start().await;
    let gate = fake(&backend, "    frame: 1KiB\n    message: 4KiB", "").await;
    let masked = |head: &[u8], payload: &[u8]| [head, &[0, 0, 0, 0], payload].concat();
    let long = |length: usize| masked(&[0x81, 0xfe, (length >> 8) as u8, length as u8], &vec![b' '; length]);
    let part = |first: u8| masked(&[first, 0xfe, 4, 0], &[b' '; 1024]);
    let parts = [part(0x01), part(0), part(0), part(0), part(0), part(0x80)].concat();
    for (bytes, status) in [
        (long(1025), 1009),
        (masked(&[0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], b""), 1009),
        (parts, 1009),
        (masked(&[0x81, 0x82], b"\xc3\x28"), 1007),
        (masked(&[0x01, 0x81], b"\xc3"), 0),
        (vec![0x81, 0x02, b'{', b'}'], 1002),
        (masked(&[0xc1, 0x82], b"{}"), 1002),
        (masked(&[0x83, 0x82], b"{}"), 1002),
        (masked(&[0x80, 0x82], b"{}"), 1002),
        (masked(&[0x09, 0x80], b""), 1002),
        (masked(&[0x89, 0xfe, 0, 126], &[0; 126]), 1002),
        (masked(&[0x88, 0x81], b"x"), 1002),
        (masked(&[0x88, 0x82], &[3, 232]), 1000),
    ] {
        let mut ws = connect(&gate).await;
        ws.stream.get_mut().write_all(&bytes).await.unwrap();
        if status == 0 {
            // The rest of a character may still come.
            ws.stream.get_mut().write_all(&masked(&[0x80, 0x81], b"\xa4")).await.unwrap();
            assert_eq!(ws.text().await, r#"{"code":0,"msg":"error submit data"}"#);
            continue;
        }
        assert_eq!(ws.closed().await, Some(status), "{:02x?}", &bytes[..bytes.len().min(16)]);
    }
    let mut ws = connect(&gate).await;
    let text = format!("{{\"type\":\"news\",\"a\":\"{}\"}}", "x".repeat(990));
    assert_eq!(ws.ask(serde_json::from_str(&text).unwrap()).await["code"], 1, "what is small enough passes");
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed_and_its_session_can_go_on() {
    let php = Php::application("mvc");
    let gate = Gate::with(&yaml("    ping: 300ms", "")).upstream(&php.url).start().await;
    let mut ws = connect(&gate).await;
    let pair = ws.log_in("lilei").await;
    // Whatever comes is left unanswered from here on.
    let begun = Instant::now();
    let mut scratch = [0; 256];
    while ws.stream.get_mut().read(&mut scratch).await.unwrap_or_default() > 0 {}
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let mut again = connect(&gate).await;
    let resumed = again.ask(json!({"type": "resume", "token": pair.token, "wstoken": pair.wstoken})).await;
    assert_eq!(resumed["code"], 1, "{resumed}");
    // Whoever answers stays.
    for _ in 0..4 {
        assert_eq!(again.ask(json!({"type": "getuserinfo", "token": pair.token})).await["code"], 1);
        let quiet = tokio::time::timeout(Duration::from_millis(500), again.next()).await;
        assert!(quiet.is_err(), "{quiet:?}");
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_closed_and_little_waits_for_it() {
    let body = format!("{{\"code\":1,\"data\":\"{}\"}}", "x".repeat(500_000));
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let backend = FakeBackend::answering(answer.as_bytes()).await;
    let gate = fake(&backend, "    in_flight: 4", "timeouts: {write: 1s}").await;
    let mut ws = connect(&gate).await;
    for id in 0..200 {
        if ws.stream.feed(Message::text(json!({"type": "news", "id": id}).to_string())).await.is_err() {
            break;
        }
    }
    let _ = ws.stream.flush().await;
    // Asked for are 100 MB. What the sockets hold and four more is all that was fetched for it.
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        match ws.stream.get_mut().write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await {
            Err(_) => break,
            Ok(()) => assert!(begun.elapsed() < Duration::from_secs(10), "it is still open"),
        }
    }
    assert!(backend.requests().len() < 40, "{} answers were fetched", backend.requests().len());
}

#[tokio::test]
async fn no_more_messages_are_under_way_than_allowed() {
    let backend = FakeBackend::with(|_| Answer::Never).await;
    let gate = fake(&backend, "    in_flight: 3", "").await;
    let mut ws = connect(&gate).await;
    for id in 0..50 {
        ws.say(&json!({"type": "news", "id": id}).to_string()).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(backend.requests().len(), 3);
}

#[tokio::test]
async fn a_storm_of_logins_meets_the_lock_the_rate_and_one_login_at_a_time() {
    let php = Php::application("mvc");
    let more = "limits: {failed_logins: {tries: 3, within: 15m, lock: 15m}}";
    let gate = Gate::with(&yaml("", more)).upstream(&php.url).start().await;
    let mut ws = connect(&gate).await;
    for _ in 0..3 {
        assert_eq!(ws.ask(login("wrong")).await["msg"], "用户名或密码错误");
    }
    let mut other = connect(&gate).await;
    for connection in [&mut ws, &mut other] {
        assert_eq!(connection.ask(login("lilei123")).await["msg"], "locked, try again later");
    }
    let target = gate.client("ios", "s3cret").target("/index.php?mod=user&ctl=auth&act=login", "user/auth/login");
    gate.post(&target).form(&LILEI).await.assert_refused(429, "locked");

    let backend = FakeBackend::with(|_| Answer::Never).await;
    let gate = fake(&backend, "", "").await;
    let mut ws = connect(&gate).await;
    ws.say(&login("x").to_string()).await;
    assert_eq!(ws.ask(login("y")).await["msg"], "too many requests");
    assert_eq!(backend.requests().len(), 1);

    let backend = FakeBackend::start().await;
    let gate = fake(&backend, "    rate: 5/m", "").await;
    let mut ws = connect(&gate).await;
    let mut passed = 0;
    for _ in 0..20 {
        passed += usize::from(ws.ask(json!({"type": "news"})).await["code"] == 1);
    }
    assert_eq!(passed, 5);
    assert_eq!(connect(&gate).await.ask(json!({"type": "news"})).await["code"], 1, "it is counted for each connection");
}

#[tokio::test]
async fn limits_of_addresses_count_messages() {
    let backend = FakeBackend::start().await;
    let gate = fake(&backend, "", "limits: {per_ip: 10/m}").await;
    let mut passed = 0;
    for _ in 0..4 {
        let Ok(mut ws) =
            Messages::open(&gate.address, &gate.client("ios", "s3cret").target("/ws", "ws/main/open"), "").await
        else {
            break;
        };
        for _ in 0..10 {
            passed += usize::from(ws.ask(json!({"type": "news"})).await["code"] == 1);
        }
    }
    assert!(passed <= 9, "{passed}");
}

#[tokio::test]
async fn a_gate_that_drains_answers_what_is_under_way_and_closes_with_1001() {
    let (go, (tell, mut asked)) = (Arc::new(Semaphore::new(0)), mpsc::unbounded_channel());
    let wait = Arc::clone(&go);
    let backend = Backend::start(move |mut conversation, _| {
        let (wait, tell) = (Arc::clone(&wait), tell.clone());
        async move {
            while conversation.request().await.is_some() {
                let _ = tell.send(());
                wait.acquire().await.unwrap().forget();
                conversation.say(FINE).await;
            }
        }
    });
    let backend = backend.await;
    let gate = Gate::with(&yaml("", "timeouts: {drain: 30s}")).upstream(&backend.url()).start().await;
    let (mut busy, mut idle) = (connect(&gate).await, connect(&gate).await);
    busy.say(&json!({"type": "news", "id": "last"}).to_string()).await;
    asked.recv().await.unwrap();
    let stopping = tokio::spawn(gate.stop());
    assert_eq!(idle.closed().await, Some(1001));
    go.add_permits(1);
    let answer = busy.json().await;
    assert_eq!((&answer["id"], &answer["code"]), (&json!("last"), &json!(1)));
    assert_eq!(busy.closed().await, Some(1001));
    stopping.await.unwrap();
}

#[tokio::test]
async fn messages_of_an_open_connection_go_by_a_configuration_that_is_taken_up() {
    let backend = FakeBackend::start().await;
    let text = yaml("", "");
    let setup = |text: &str| Gate::with(text).upstream(&backend.url);
    let mut gate = setup(&text).start().await;
    let mut ws = connect(&gate).await;
    assert_eq!(ws.ask(json!({"type": "news"})).await["msg"], "ok");
    let denied = "access denied";
    for (before, after, kind, msg) in [
        ("{endpoint: news, require: client}", "{endpoint: news, require: deny}", "news", denied),
        ("      news: {", "      latest: {", "latest", "ok"),
        ("secret: s3cret", "secret: an0ther", "news", "client refused"),
        ("id: ios,", "id: ipados,", "news", "client refused"),
    ] {
        let changed = text.replace(before, after);
        assert_ne!(changed, text, "{before}");
        gate.take_up(&setup(&changed)).unwrap();
        assert_eq!(ws.ask(json!({"type": kind})).await["msg"], msg, "{after}");
        gate.take_up(&setup(&text)).unwrap();
        assert_eq!(ws.ask(json!({"type": "news"})).await["msg"], "ok", "{before}");
    }
    gate.take_up(&setup(&text.replace("path: /ws", "path: /elsewhere"))).unwrap();
    ws.say(&json!({"type": "news"}).to_string()).await;
    assert_eq!(ws.closed().await, Some(1001));
}

#[tokio::test]
async fn a_session_goes_on_at_a_connection_of_its_own_client_alone() {
    let php = Php::application("mvc");
    let gate = Gate::with(&yaml("", "")).upstream(&php.url).start().await;
    let pair = connect(&gate).await.log_in("lilei").await;
    let resume = json!({"type": "resume", "token": pair.token, "wstoken": pair.wstoken});
    let mut stranger = Messages::of(&gate.client("android", "dr0id"), &gate.address).await;
    assert_eq!(stranger.ask(resume.clone()).await["code"], 0);
    assert_eq!(stranger.ask(json!({"type": "getuserinfo", "token": pair.token})).await["code"], 0);
    // Its wstoken is not used up by that.
    assert_eq!(connect(&gate).await.ask(resume).await["code"], 1);
}

#[tokio::test]
async fn over_tls_it_is_the_same() {
    let (backend, certificate) = (FakeBackend::start().await, Certificate::new());
    let gate = fake(&backend, "", &certificate.yaml()).await;
    let mut connection = tls::open(&gate.address).await;
    let target = gate.client("ios", "s3cret").target("/ws", "ws/main/open");
    // The first message comes along with the request.
    let news = Frame::text(r#"{"type":"news","id":1}"#).to_bytes(Some([1, 2, 3, 4]));
    connection.send(&[ask(&gate.address, &target).to_bytes(), news].concat()).await;
    let reply = connection.reply_to("GET").await.unwrap();
    assert_eq!(reply.status, 101, "{reply:?}");
    let mut ws = WebSocket { reply, connection };
    let answer = Frame::text(r#"{"type":"news","id":1,"code":1,"msg":"ok","data":{}}"#);
    assert_eq!(ws.next().await, Some(answer));
    assert!(backend.last().contains("X-Forwarded-Proto: https\r\n"), "{}", backend.last());
    let large = json!({"type": "news", "q": "x".repeat(60_000)}).to_string();
    ws.text(&large).await;
    assert!(ws.next().await.is_some_and(|frame| frame.payload.starts_with(br#"{"type":"news","code":1"#)));
    ws.send(Frame::of(CLOSE, [3, 232])).await;
    assert_eq!(ws.closed().await, Some(1000));
}

#[tokio::test]
async fn a_session_whose_gate_was_killed_goes_on_at_another() {
    let (redis, php) = (RedisServer::start(), Php::application("mvc"));
    let text = yaml("", "").replace("memory:", &redis.url());
    let setup = || Gate::with(&text).upstream(&php.url);
    let (doomed, gate) = (setup().process().await, setup().start().await);
    let caller = gate.client("ios", "s3cret");
    let mut ws = Messages::of(&caller, &doomed.address).await;
    let pair = ws.log_in("lilei").await;
    doomed.signal(rustix::process::Signal::KILL);
    assert_eq!(ws.closed().await, None);
    let mut again = connect(&gate).await;
    let resumed = again.ask(json!({"type": "resume", "token": pair.token, "wstoken": pair.wstoken})).await;
    assert_eq!(again.ask(json!({"type": "getuserinfo", "token": pair_of(&resumed).token})).await["code"], 1);
}
