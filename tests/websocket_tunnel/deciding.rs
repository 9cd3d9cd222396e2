//! Which requests for a WebSocket pass, and what becomes of those that do not.

use super::Site;
use super::support::http::Request;
use super::support::scripted::Backend;
use super::support::websocket::{KEY, WebSocket, ask, asking, echo_saying};

async fn refused(request: Request, status: u16, reason: &str) {
    let Err(reply) = WebSocket::ask(request).await else { panic!("it was let pass") };
    reply.assert_refused(status, reason);
    assert_eq!(reply.at("/code"), 0);
    assert_eq!((reply.header("upgrade"), reply.header("sec-websocket-accept")), (None, None), "{reply:?}");
}

#[tokio::test]
async fn credentials_in_the_query_open_what_they_open_over_http() {
    let site = Site::new().await;
    let address = &site.gate.address;
    let user = site.user().await;
    let open = |target: String| WebSocket::open(ask(address, &target));
    open(site.ios().target("/ws/client", "chat/room/join")).await.assert_echoes("client").await;
    open(user.target("/ws/user", "chat/room/join")).await.assert_echoes("user").await;
    open("/ws/open?a=1".to_owned()).await.assert_echoes("open").await;
    let by_header = ask(address, "/ws/client")
        .header("X-Client-Id", "ios")
        .header("X-Api-Token", &site.ios().api_token("chat/room/join"));
    WebSocket::open(by_header).await.assert_echoes("header").await;
}

#[tokio::test]
async fn every_refusal_is_the_usual_envelope_and_no_upgrade() {
    let site = Site::with("limits: {per_ip: {rate: 1/h, burst: 30}}\nmode: enforce\n", "idle: 5m").await;
    let address = &site.gate.address;
    let user = site.user().await;
    let seen = site.backend.connections();
    let ios = site.ios();
    let robot = site.gate.client("robot", "r0b0t");
    let valid = user.target("/ws/user", "chat/room/join");
    for (target, status, reason) in [
        ("/ws/client".to_owned(), 401, "client_missing"),
        ("/ws/client?client_id=ios&api_token=00000000000000000000000000000000".to_owned(), 401, "client_refused"),
        (ios.target("/ws/client", "chat/room/leave"), 401, "client_refused"),
        (robot.target("/ws/client", "chat/room/join"), 403, "denied"),
        (ios.target("/ws/user", "chat/room/join"), 401, "user_missing"),
        (valid.replace("user_token=", "user_token=0"), 401, "user_refused"),
        (format!("{valid}&user_token=1"), 400, "ambiguous"),
        ("/ws/denied".to_owned(), 403, "denied"),
        ("/ws/open/%2e%2e/user".to_owned(), 400, "malformed"),
    ] {
        refused(ask(address, &target), status, reason).await;
    }
    site.gate.stop().await;
    assert_eq!(site.backend.connections(), seen, "something reached the backend");
}

#[tokio::test]
async fn limits_count_requests_for_websockets_too() {
    let site = Site::with("limits: {per_ip: {rate: 1/h, burst: 1}}\n", "idle: 5m").await;
    site.open("/ws/open").await.assert_echoes("first").await;
    refused(ask(&site.gate.address, "/ws/open"), 429, "limited").await;
}

#[tokio::test]
async fn an_ended_session_opens_nothing() {
    let site = Site::new().await;
    let user = site.user().await;
    let target = user.target("/ws/user", "chat/room/join");
    site.open(&target).await.assert_echoes("before").await;
    user.get("user/auth/logout").await.assert_passed();
    refused(ask(&site.gate.address, &target), 401, "user_refused").await;
}

#[tokio::test]
async fn what_asks_wrongly_is_malformed() {
    let site = Site::new().await;
    let seen = site.backend.connections();
    let right = || ask(&site.gate.address, "/ws/open");
    for (request, what) in [
        (right().without("Sec-WebSocket-Key"), "Sec-WebSocket-Key is missing"),
        (right().header("Sec-WebSocket-Key", KEY), "Sec-WebSocket-Key is given twice"),
        (right().without("Sec-WebSocket-Key").header("Sec-WebSocket-Key", "short"), "Sec-WebSocket-Key is not"),
        (right().without("Sec-WebSocket-Version"), "Sec-WebSocket-Version is missing"),
        (right().without("Sec-WebSocket-Version").header("Sec-WebSocket-Version", "8"), "Sec-WebSocket-Version is not"),
        (right().header("Content-Length", "3"), "has a body"),
        (right().header("Transfer-Encoding", "chunked"), "has a body"),
        (right().header("Content-Length", "3").header("Transfer-Encoding", "chunked"), "both Content-Length and"),
    ] {
        let Err(reply) = WebSocket::ask(request).await else { panic!("it was let pass: {what}") };
        reply.assert_refused(400, "malformed");
        assert!(reply.text().contains(what), "{reply:?}");
        let version = (!what.starts_with("both")).then_some("13");
        assert_eq!(reply.header("sec-websocket-version"), version, "{what}");
    }
    assert_eq!(site.backend.connections(), seen);
}

#[tokio::test]
async fn pages_of_other_origins_are_denied_and_programs_have_none() {
    let site = Site::new().await;
    let from = |origin: &str| ask(&site.gate.address, "/ws/page").header("Origin", origin);
    for origin in ["https://app.example", "HTTPS://APP.example", "https://a.shop.example"] {
        WebSocket::open(from(origin)).await.assert_echoes(origin).await;
    }
    site.open("/ws/page").await.assert_echoes("a program").await;
    for origin in
        ["https://evil.example", "http://app.example", "https://app.example:444", "null", "https://shop.example"]
    {
        refused(from(origin), 403, "denied").await;
    }
    refused(from("https://app.example").header("Origin", "https://app.example"), 400, "malformed").await;
    // Where no origins are given, none is looked at.
    WebSocket::open(ask(&site.gate.address, "/ws/open").header("Origin", "null")).await.assert_echoes("any").await;
}

/// What the application was sent, by asking it for that.
async fn sent(request: impl AsyncFnOnce(&Site)) -> String {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let backend = Backend::start(move |mut conversation, _| {
        let tell = tell.clone();
        async move {
            while let Some(head) = conversation.head().await {
                let _ = tell.send(head);
                conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain").await;
            }
        }
    })
    .await;
    let site = Site::before(backend, "default: public\n", "idle: 5m").await;
    request(&site).await;
    told.recv().await.expect("a request")
}

#[tokio::test]
async fn elsewhere_an_upgrade_goes_no_further_than_the_gate() {
    for target in ["/plain/ws", "/ws/opens", "/ws", "/"] {
        let head = sent(async |site| {
            let Err(reply) = WebSocket::ask(ask(&site.gate.address, target)).await else { panic!("{target}") };
            assert_eq!((reply.status, reply.text().as_str()), (200, "plain"));
        });
        let head = head.await.to_ascii_lowercase();
        assert!(!head.contains("\r\nupgrade") && !head.contains("\r\nconnection"), "{head}");
    }
}

#[tokio::test]
async fn what_does_not_ask_for_a_websocket_is_a_request_like_others() {
    for (method, version, headers) in [
        ("GET", "1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        ("POST", "1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n"),
        ("GET", "1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
        ("GET", "1.1", "Upgrade: websocket\r\n"),
        ("GET", "1.1", ""),
    ] {
        let raw = format!(
            "{method} /ws/client HTTP/{version}\r\nHost: h\r\n{headers}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        let head = sent(async |site| {
            let reply = site.gate.raw(raw.as_bytes()).await.expect("a reply");
            assert_eq!((reply.status, reply.text().as_str()), (200, "plain"), "{raw}");
        });
        let head = head.await.to_ascii_lowercase();
        assert!(!head.contains("\r\nupgrade") && !head.contains("\r\nconnection"), "{head}");
    }
}

#[tokio::test]
async fn the_application_gets_a_head_of_ours() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let backend = Backend::start(move |mut conversation, _| {
        let tell = tell.clone();
        async move {
            while let Some(head) = conversation.head().await {
                let _ = tell.send(head);
                conversation.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    let site = Site::before(backend, "forward: {hide_credentials: true}\n", "idle: 5m").await;
    let request = ask(&site.gate.address, &site.ios().target("/ws/client?room=1", "chat/room/join"))
        .without("Connection")
        .header("Connection", "keep-alive, Upgrade, Sec-WebSocket-Key, X-Hop")
        .header("X-Hop", "1")
        .header("Sec-WebSocket-Protocol", "chat, superchat")
        .header("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
        .header("Sec-WebSocket-Accept", "forged")
        .header("X-Auth-User-Id", "forged")
        .header("Origin", "https://app.example")
        .header("Cookie", "theme=dark");
    let Err(reply) = WebSocket::ask(request).await else { panic!("the application refuses") };
    assert_eq!((reply.status, reply.reason()), (403, ""));
    let head = told.recv().await.expect("a request");
    let lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines[0], "GET /ws/client?room=1 HTTP/1.1");
    for line in [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        &format!("Sec-WebSocket-Key: {KEY}"),
        "Sec-WebSocket-Protocol: chat, superchat",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        "X-Auth-Client-Id: ios",
        "Origin: https://app.example",
        "X-Forwarded-For: 127.0.0.1",
    ] {
        assert_eq!(lines.iter().filter(|other| **other == line).count(), 1, "{line} in {head}");
    }
    for absent in ["forged", "api_token", "X-Hop", "theme=dark"] {
        // Cookies of clients pass on public routes alone, where any are held.
        assert!(absent == "theme=dark" || !head.contains(absent), "{absent} in {head}");
    }
}

#[tokio::test]
async fn a_session_sends_its_cookies_and_keeps_those_that_come() {
    let backend = echo_saying("Set-Cookie: sid=fresh\r\nX-Theirs: 1\r\n").await;
    let site = Site::before(backend, "admin: {listen: 127.0.0.1:0, token: adm1n}\n", "idle: 5m").await;
    let user = site.user().await;
    let socket = site.open(&user.target("/ws/user", "chat/room/join")).await;
    assert_eq!((socket.reply.header("set-cookie"), socket.reply.header("x-theirs")), (None, Some("1")));
    let open = site.open("/ws/open").await;
    assert_eq!(open.reply.header("set-cookie"), Some("sid=fresh"));
    assert!(open.reply.header("x-request-id").is_some());
}

#[tokio::test]
async fn a_websocket_stands_in_the_log_as_any_request_and_without_a_secret() {
    let site = Site::with("log: {level: error, access: true}\n", "idle: 5m").await;
    let user = site.user().await;
    let session = user.session().user_token.clone();
    site.open(&user.target("/ws/user", "chat/room/join")).await.assert_echoes("x").await;
    let line = loop {
        match site.gate.log().lines().find(|line| line.contains("/ws/user")) {
            Some(line) => break serde_json::from_str::<serde_json::Value>(line).expect("JSON"),
            None => tokio::task::yield_now().await,
        }
    };
    assert_eq!(
        (&line["status"], &line["outcome"], &line["rule"]),
        (&101.into(), &"forwarded".into(), &"/ws/user".into())
    );
    assert_eq!((&line["client_id"], &line["user_id"]), (&"ios".into(), &"7".into()));
    assert!(!site.gate.log().contains(&session));
}

#[tokio::test]
async fn in_mode_observe_what_would_be_refused_passes_and_is_told() {
    let site = Site::with("mode: observe\nlog: {level: error, access: true}\n", "idle: 5m").await;
    for (target, reason) in [("/ws/client", "client_missing"), ("/ws/denied", "denied")] {
        site.open(target).await.assert_echoes(reason).await;
        let told = || site.gate.log().lines().any(|line| line.contains(target) && line.contains(reason));
        while !told() {
            tokio::task::yield_now().await;
        }
    }
    refused(ask(&site.gate.address, "/ws/open").without("Sec-WebSocket-Key"), 400, "malformed").await;
}

#[tokio::test]
async fn after_a_refusal_what_follows_is_decided_on_its_own() {
    let site = Site::new().await;
    let seen = site.backend.connections();
    let ask = asking(Request::new(&site.gate.address, "GET", "/ws/client")).to_bytes();
    let mut connection = site.gate.connect().await;
    connection.send(&[&ask[..], b"GET /secret HTTP/1.1\r\nHost: h\r\n\r\n"].concat()).await;
    connection.reply_to("GET").await.expect("a reply").assert_refused(401, "client_missing");
    connection.reply_to("GET").await.expect("a reply").assert_refused(403, "denied");
    // A frame is no request.
    connection.send(&ask).await;
    connection.send(b"\x81\x85\x01\x02\x03\x04hello\r\n\r\n").await;
    connection.reply_to("GET").await.expect("a reply").assert_refused(401, "client_missing");
    connection.reply_to("GET").await.expect("a reply").assert_refused(400, "malformed");
    assert_eq!(connection.rest().await, b"");
    assert_eq!(site.backend.connections(), seen);
}
