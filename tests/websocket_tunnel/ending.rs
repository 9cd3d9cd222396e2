//! How tunnels end that nobody on either side ends.

use std::time::{Duration, Instant};

use super::Site;
use super::support::scripted::Backend;
use super::support::websocket::{CLOSE, Frame, WebSocket, answer_to, application_frame, ask};

/// An application that tells what frames it gets, and sends none.
async fn listening() -> (Backend, tokio::sync::mpsc::UnboundedReceiver<Option<Frame>>) {
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let backend = Backend::start(move |mut conversation, _| {
        let tell = tell.clone();
        async move {
            let Some(request) = conversation.request().await else { return };
            conversation.say(answer_to(&request, "")).await;
            loop {
                let frame = application_frame(&mut conversation).await;
                let over = frame.is_none();
                let _ = tell.send(frame);
                if over {
                    return;
                }
            }
        }
    });
    (backend.await, told)
}

#[tokio::test]
async fn a_tunnel_on_which_nothing_moves_is_closed() {
    let site = Site::with("", "idle: 400ms").await;
    let mut socket = site.open("/ws/more").await;
    for _ in 0..4 {
        // What moves keeps it open.
        tokio::time::sleep(Duration::from_millis(150)).await;
        socket.assert_echoes("still there").await;
    }
    let quiet = Instant::now();
    assert_eq!(socket.closed().await, Some(1001));
    assert!(quiet.elapsed() >= Duration::from_millis(350), "{:?}", quiet.elapsed());
    assert_eq!(socket.next().await, None);
}

#[tokio::test]
async fn a_tunnel_grows_no_older_than_it_may() {
    let site = Site::with("", "max_age: 500ms").await;
    let mut socket = site.open("/ws/more").await;
    let begun = Instant::now();
    loop {
        socket.text("busy").await;
        match socket.next().await.expect("a frame") {
            frame if frame.opcode == CLOSE => break assert_eq!(frame.status(), 1001),
            frame => assert_eq!(frame, Frame::text("busy")),
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_draining_gate_closes_its_tunnels_on_both_sides() {
    let (backend, mut told) = listening().await;
    let site = Site::before(backend, "", "idle: 5m").await;
    let mut socket = site.open("/ws/open").await;
    socket.text("before").await;
    assert_eq!(told.recv().await, Some(Some(Frame::text("before"))));
    let begun = Instant::now();
    let ((), status) = tokio::join!(site.gate.stop(), async {
        let status = socket.closed().await;
        assert_eq!(socket.next().await, None);
        drop(socket);
        status
    });
    assert_eq!(status, Some(1001));
    assert_eq!(told.recv().await.flatten().expect("a close frame").status(), 1001);
    assert_eq!(told.recv().await, Some(None));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn within_a_frame_no_other_is_begun() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let backend = Backend::start(move |mut conversation, _| {
        let tell = tell.clone();
        async move {
            let Some(request) = conversation.request().await else { return };
            let half = Frame::of(2, vec![7; 1000]).to_bytes(None);
            conversation.say([answer_to(&request, "").as_bytes(), &half[..500]].concat()).await;
            let _ = tell.send(application_frame(&mut conversation).await);
            conversation.say(&half[500..]).await;
            conversation.rest().await;
        }
    });
    let site = Site::before(backend.await, "", "idle: 5m").await;
    let mut socket = site.open("/ws/open").await;
    assert_eq!(socket.connection.exactly(500).await.map(|bytes| bytes.len()), Some(500));
    let ((), ()) = tokio::join!(site.gate.stop(), async {
        // Told of the end, the application finishes its frame, and ours comes after it.
        assert_eq!(told.recv().await.flatten().expect("a close frame").status(), 1001);
        assert_eq!(socket.connection.exactly(504).await.map(|bytes| bytes.len()), Some(504));
        assert_eq!(socket.closed().await, Some(1001));
    });
}

#[tokio::test]
async fn a_frame_that_never_ends_holds_up_no_end() {
    let backend = Backend::start(move |mut conversation, _| async move {
        let Some(request) = conversation.request().await else { return };
        conversation.say([answer_to(&request, "").as_bytes(), &[0x82, 126, 255]].concat()).await;
        conversation.rest().await;
    });
    let site = Site::before(backend.await, "", "idle: 5m").await;
    let mut socket = site.open("/ws/open").await;
    assert_eq!(socket.connection.exactly(3).await, Some(vec![0x82, 126, 255]));
    let begun = Instant::now();
    let ((), rest) = tokio::join!(site.gate.stop(), socket.connection.rest());
    assert_eq!(rest, b"");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_broken_side_ends_the_other() {
    let backend = Backend::start(move |mut conversation, _| async move {
        let Some(request) = conversation.request().await else { return };
        conversation.say(answer_to(&request, "")).await;
        application_frame(&mut conversation).await;
        conversation.reset();
    });
    let site = Site::before(backend.await, "", "idle: 5m").await;
    let mut socket = site.open("/ws/open").await;
    socket.text("go").await;
    assert_eq!(socket.next().await, None);
}

#[tokio::test]
async fn a_tunnel_keeps_its_places_until_it_ends() {
    let yaml = "limits: {connections: 1}\n";
    let site = Site::with(yaml, "idle: 5m").await;
    let mut socket = site.open("/ws/open").await;
    socket.assert_echoes("in").await;
    site.gate.get("/plain/x").await.assert_refused(503, "overloaded");
    socket.send(Frame::of(CLOSE, [3, 232])).await;
    assert_eq!(socket.connection.rest().await.len(), 4);
    drop(socket);
    while site.gate.get("/plain/x").await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_tunnel_counts_among_the_connections_of_the_application() {
    let backend = super::support::websocket::echo().await;
    let gate = super::Gate::with(
        &super::YAML.replace("response_timeout: 1s", "max_connections: 1, queue_timeout: 100ms").replace("{more}", "x"),
    )
    .upstream(&backend.url());
    let gate = gate.start().await;
    let socket = WebSocket::open(ask(&gate.address, "/ws/open")).await;
    gate.get("/plain/x").await.assert_refused(503, "overloaded");
    drop(socket);
    while gate.get("/plain/x").await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn messages_of_the_client_are_uses_of_its_session_and_pings_are_none() {
    const HALF_HOUR: Duration = Duration::from_secs(1800);
    let site = Site::with("session: {idle: 1h, extend_every: 1m}\n", "idle: 5m").await;
    let user = site.user().await;
    let target = user.target("/ws/user", "chat/room/join");
    let mut socket = site.open(&target).await;
    for _ in 0..4 {
        site.gate.clock.advance(HALF_HOUR);
        // The first frame of a message is a use, whatever its kind; who pings may be gone.
        socket.assert_echoes("here").await;
        socket.send(Frame::of(super::support::websocket::PING, "p")).await;
        socket.next().await.expect("a pong");
    }
    user.get("user/auth/logout").await.assert_passed();

    let user = site.user().await;
    let mut socket = site.open(&user.target("/ws/user", "chat/room/join")).await;
    for _ in 0..3 {
        site.gate.clock.advance(HALF_HOUR);
        socket.send(Frame::of(super::support::websocket::PING, "p")).await;
        socket.next().await.expect("a pong");
    }
    user.get("user/auth/logout").await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn a_tunnel_is_closed_within_a_second_of_its_sessions_end() {
    let site = Site::new().await;
    let user = site.user().await;
    let mut socket = site.open(&user.target("/ws/user", "chat/room/join")).await;
    socket.assert_echoes("hello").await;
    user.get("user/auth/logout").await.assert_passed();
    let ended = Instant::now();
    assert_eq!(socket.closed().await, Some(4401));
    assert!(ended.elapsed() < Duration::from_secs(1), "{:?}", ended.elapsed());
}
