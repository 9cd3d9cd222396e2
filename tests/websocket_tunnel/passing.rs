//! What passes through a tunnel, and how.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Site;
use super::support::scrape::Scrape;
use super::support::scripted::{Backend, Conversation};
use super::support::websocket::{
    BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT, WebSocket, answer_to, application_frame, ask, echo_saying,
    switching,
};

/// Long enough for what must not come to come.
const MOMENT: Duration = Duration::from_millis(200);

/// An application that switches, and then does what the script says.
async fn switched<F>(script: impl Fn(Conversation) -> F + Clone + Send + 'static) -> Backend
where
    F: Future<Output = ()> + Send + 'static,
{
    Backend::start(move |mut conversation, _| {
        let script = script.clone();
        async move {
            let Some(request) = conversation.request().await else { return };
            conversation.say(answer_to(&request, "")).await;
            script(conversation).await;
        }
    })
    .await
}

#[tokio::test]
async fn frames_of_every_kind_pass_as_they_are() {
    let site = Site::new().await;
    let mut socket = site.open("/ws/open").await;
    for frame in [
        Frame::text("grüße"),
        Frame::text(""),
        Frame::of(BINARY, (0..=255).collect::<Vec<u8>>()),
        Frame::of(TEXT, "one").first(),
        Frame::of(CONTINUATION, "two").first(),
        Frame::of(CONTINUATION, "three"),
        Frame::of(BINARY, vec![7; 65_535]),
        Frame::of(BINARY, vec![8; 65_536]),
        Frame::of(PONG, "unasked"),
    ] {
        socket.send(frame.clone()).await;
        assert_eq!(socket.next().await, Some(frame));
    }
    socket.send(Frame::of(PING, "p")).await;
    assert_eq!(socket.next().await, Some(Frame::of(PONG, "p")));
    socket.send(Frame::of(CLOSE, [3, 232])).await;
    assert_eq!(socket.closed().await, Some(1000));
    assert_eq!(socket.next().await, None);
}

#[tokio::test]
async fn it_is_counted_as_long_as_it_is_open() {
    let site = Site::new().await;
    let open = async || Scrape::of(&site.gate.admin).await.value("ticketgate_websockets");
    let mut sockets = [site.open("/ws/open").await, site.open("/ws/open").await];
    for socket in &mut sockets {
        socket.send(Frame::text("a")).await;
        assert_eq!(socket.next().await, Some(Frame::text("a")));
    }
    assert_eq!(open().await, 2.0);
    drop(sockets);
    let over = async { while open().await > 0.0 {} };
    timeout(Duration::from_secs(20), over).await.expect("they are counted no longer");
}

#[tokio::test]
async fn a_frame_larger_than_any_buffer_passes_whole() {
    let site = Site::new().await;
    let mut socket = site.open("/ws/open").await;
    let large = Frame::of(BINARY, (0..8 << 20).map(|at: u32| (at ^ (at >> 9)) as u8).collect::<Vec<u8>>());
    socket.send(large.clone()).await;
    assert_eq!(socket.next().await, Some(large));
}

#[tokio::test]
async fn subprotocol_and_extensions_are_between_client_and_application() {
    let chosen = "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    let site = Site::before(echo_saying(chosen).await, "", "idle: 5m").await;
    let request = ask(&site.gate.address, "/ws/open")
        .header("Sec-WebSocket-Protocol", "superchat, chat")
        .header("Sec-WebSocket-Extensions", "permessage-deflate");
    let mut socket = WebSocket::open(request).await;
    assert_eq!(socket.reply.all("sec-websocket-protocol"), ["chat"]);
    assert_eq!(socket.reply.all("sec-websocket-extensions"), ["permessage-deflate"]);
    // With the bit that says so, a compressed message is a frame as any other.
    let mut compressed = Frame::of(TEXT, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]).to_bytes(Some([9, 8, 7, 6]));
    compressed[0] |= 0x40;
    socket.connection.send(&compressed).await;
    socket.next().await.expect("the same");
    socket.assert_echoes("after").await;
}

#[tokio::test]
async fn any_other_answer_is_passed_on_as_it_is_and_the_connection_goes_on() {
    for (head, body) in [
        ("HTTP/1.1 403 Forbidden\r\nX-Why: full\r\nContent-Length: 4\r\n\r\n", "full"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfull\r\n0\r\n\r\n", "full"),
        ("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", ""),
        ("HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 4\r\n\r\nold!", "old!"),
    ] {
        let whole = if head.ends_with("4\r\n\r\n") { format!("{head}{body}") } else { head.to_owned() };
        let site = Site::before(Backend::answering(whole).await, "", "idle: 5m").await;
        let (mut connection, reply) = ask(&site.gate.address, "/ws/open").begin().await;
        assert_eq!((reply.reason(), reply.text().as_str()), ("", body), "{head}");
        assert_eq!(reply.status.to_string(), head[9..12]);
        connection.send(b"GET /plain/x HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(connection.reply_to("GET").await.expect("another reply").status, reply.status);
    }
}

#[tokio::test]
async fn an_application_that_switches_wrongly_has_failed() {
    let right = switching("");
    for wrong in [
        right.replace("s3pP", "s3pQ"),
        right.replace("Sec-WebSocket-Accept", "X-Accept"),
        right.replace("Upgrade: websocket", "Upgrade: h2c"),
        right.replace("Connection: Upgrade", "Connection: close"),
        right.replace("HTTP/1.1 101", "HTTP/1.0 101"),
    ] {
        let site = Site::before(Backend::answering_once(wrong.clone()).await, "", "idle: 5m").await;
        let Err(reply) = WebSocket::ask(ask(&site.gate.address, "/ws/open")).await else { panic!("{wrong}") };
        reply.assert_refused(502, "upstream_failed");
    }
}

#[tokio::test]
async fn an_application_that_is_down_or_slow_is_told_as_over_http() {
    let gone = Backend::answering("").await.url();
    let gate = super::setup("", "idle: 5m").upstream(&gone).start().await;
    let Err(reply) = WebSocket::ask(ask(&gate.address, "/ws/open")).await else { panic!("nobody is there") };
    reply.assert_refused(502, "upstream_failed");
    let silent = Backend::start(|mut conversation, _| async move {
        conversation.head().await;
        conversation.rest().await;
    });
    let site = Site::before(silent.await, "", "idle: 5m").await;
    let Err(reply) = WebSocket::ask(ask(&site.gate.address, "/ws/open")).await else { panic!("nobody answers") };
    reply.assert_refused(504, "upstream_timeout");
}

#[tokio::test]
async fn what_the_client_sends_early_waits_for_the_switch() {
    let go = std::sync::Arc::new(Semaphore::new(0));
    let wait = go.clone();
    let backend = Backend::start(move |mut conversation, _| {
        let wait = wait.clone();
        async move {
            let Some(request) = conversation.head().await else { return };
            let Ok(permit) = wait.acquire().await else { return };
            permit.forget();
            let early = timeout(MOMENT, conversation.stream.readable()).await.is_ok();
            assert!(conversation.unread().is_empty() && !early, "bytes came before the switch");
            // Its own first frame comes along with the head.
            let mut bytes = answer_to(&request, "").into_bytes();
            bytes.extend(Frame::text("welcome").to_bytes(None));
            conversation.say(bytes).await;
            super::support::websocket::echo_frames(&mut conversation).await;
        }
    })
    .await;
    let site = Site::before(backend, "", "idle: 5m").await;
    let mut bytes = ask(&site.gate.address, "/ws/open").to_bytes();
    bytes.extend(Frame::text("early").to_bytes(Some([1, 2, 3, 4])));
    let large = Frame::of(BINARY, vec![5; 100_000]);
    bytes.extend(large.to_bytes(Some([1, 2, 3, 4])));
    let mut connection = site.gate.connect().await;
    connection.send(&bytes).await;
    go.add_permits(1);
    let reply = connection.reply_to("GET").await.expect("a reply");
    let mut socket = WebSocket { reply, connection };
    for frame in [Frame::text("welcome"), Frame::text("early"), large] {
        assert_eq!(socket.next().await, Some(frame));
    }
}

#[tokio::test]
async fn a_websocket_may_come_after_other_requests_on_one_connection() {
    let site = Site::new().await;
    let mut connection = site.gate.connect().await;
    let plain = b"GET /plain/x HTTP/1.1\r\nHost: h\r\n\r\n";
    connection.send(&[&plain[..], plain, &ask(&site.gate.address, "/ws/open").to_bytes()].concat()).await;
    for _ in 0..2 {
        connection.reply_to("GET").await.expect("a reply").assert_passed();
    }
    let reply = connection.reply_to("GET").await.expect("a switch");
    assert_eq!(reply.status, 101);
    WebSocket { reply, connection }.assert_echoes("at last").await;
}

#[tokio::test]
async fn an_application_that_does_not_read_stops_the_client() {
    let backend = switched(|conversation: Conversation| async move {
        std::future::pending::<()>().await;
        drop(conversation);
    });
    let site = Site::before(backend.await, "", "idle: 5m").await;
    let mut socket = site.open("/ws/open").await;
    let most = 64 << 20;
    let taken = socket.connection.send_until_stuck(most).await;
    assert!(taken < most / 2, "{taken} bytes were taken");
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_application_and_is_closed() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let backend = switched(move |mut conversation: Conversation| {
        let tell = tell.clone();
        async move {
            use tokio::io::AsyncWriteExt as _;
            let mut sent = 0;
            let frame = Frame::of(BINARY, vec![0; 64 << 10]).to_bytes(None);
            while conversation.stream.write_all(&frame).await.is_ok() && sent < 256 << 20 {
                sent += frame.len();
            }
            let _ = tell.send(sent);
        }
    });
    let site = Site::before(backend.await, "timeouts: {write: 500ms}\n", "idle: 5m").await;
    let socket = site.open("/ws/open").await;
    let sent = timeout(Duration::from_secs(20), told.recv()).await.expect("an end").expect("a number");
    assert!(sent < 64 << 20, "{sent} bytes were taken");
    drop(socket);
}

#[tokio::test]
async fn either_side_may_end_its_half_first() {
    let backend = switched(|mut conversation: Conversation| async move {
        let frame = application_frame(&mut conversation).await.expect("a frame");
        assert_eq!(application_frame(&mut conversation).await, None);
        conversation.say(frame.to_bytes(None)).await;
    });
    let site = Site::before(backend.await, "", "idle: 5m").await;
    let mut socket = site.open("/ws/open").await;
    socket.text("last words").await;
    socket.connection.finish().await;
    assert_eq!(socket.next().await, Some(Frame::text("last words")));
    assert_eq!(socket.next().await, None);

    let backend = switched(|mut conversation: Conversation| async move {
        use tokio::io::AsyncWriteExt as _;
        conversation.say(Frame::text("mine").to_bytes(None)).await;
        conversation.stream.shutdown().await.expect("an open connection");
        assert_eq!(application_frame(&mut conversation).await, Some(Frame::text("yours")));
    });
    let site = Site::before(backend.await, "", "idle: 5m").await;
    let mut socket = site.open("/ws/open").await;
    assert_eq!(socket.next().await, Some(Frame::text("mine")));
    assert_eq!(socket.next().await, None);
    socket.text("yours").await;
    assert_eq!(socket.connection.rest().await, b"");
}

#[tokio::test]
async fn a_tunnel_over_a_unix_socket_is_one_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.sock");
    let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut head = vec![];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut head).await.expect("a head");
        }
        stream.write_all(switching("").as_bytes()).await.expect("a reader");
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    });
    let gate = super::setup("", "idle: 5m").upstream(&format!("unix:{}", path.display())).start().await;
    let mut socket = WebSocket::open(ask(&gate.address, "/ws/open")).await;
    socket.text("all the same").await;
    // It echoes bytes, mask and all.
    assert_eq!(socket.next().await, Some(Frame::text("all the same")));
}
