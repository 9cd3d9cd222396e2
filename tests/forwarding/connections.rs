//! The connections that requests and replies come by.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::OPEN;
use crate::support::gate::Gate;
use crate::support::http::Connection;
use crate::support::scripted::Backend;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn ask(method: &str) -> Vec<u8> {
    let body = if method == "POST" { "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi" } else { "\r\n" };
    format!("{method} /a HTTP/1.1\r\nHost: h\r\n{body}").into_bytes()
}

#[tokio::test]
async fn one_connection_to_the_application_serves_many_requests() {
    let backend = Backend::answering(HELLO).await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
    // One connection is served by one worker, which has a pool of its own.
    let mut connection = gate.connect().await;
    for method in ["GET", "POST", "GET", "DELETE", "POST"] {
        connection.send(&ask(method)).await;
        assert_eq!(connection.reply_to(method).await.unwrap().text(), "hello");
    }
    assert_eq!(backend.connections(), 1);
}

/// An application that answers the first request on its first connection, and hangs up when it has read the second; on later
/// connections it answers everything, or nothing.
async fn fickle(answers_later: bool) -> (Backend, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let backend = Backend::start(move |mut conversation, number| {
        let asked = counter.clone();
        async move {
            let mut answered = 0;
            while conversation.request().await.is_some() {
                asked.fetch_add(1, Ordering::SeqCst);
                let answers = if number == 0 { answered == 0 } else { answers_later };
                if !answers {
                    return;
                }
                conversation.say(HELLO).await;
                answered += 1;
            }
        }
    })
    .await;
    (backend, asked)
}

#[tokio::test]
async fn a_request_that_may_be_repeated_is_when_its_pooled_connection_closes_under_it() {
    for method in ["GET", "DELETE", "OPTIONS"] {
        let (backend, asked) = fickle(true).await;
        let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
        let mut connection = gate.connect().await;
        for method in ["GET", method] {
            connection.send(&ask(method)).await;
            assert_eq!(connection.reply_to(method).await.unwrap().text(), "hello", "{method}");
        }
        assert_eq!((backend.connections(), asked.load(Ordering::SeqCst)), (2, 3));
    }
}

#[tokio::test]
async fn a_request_is_repeated_once_and_no_more() {
    let (backend, asked) = fickle(false).await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
    let mut connection = gate.connect().await;
    connection.send(&ask("GET")).await;
    assert_eq!(connection.reply_to("GET").await.unwrap().text(), "hello");
    connection.send(&ask("GET")).await;
    connection.reply_to("GET").await.unwrap().assert_refused(502, "upstream_failed");
    assert_eq!((backend.connections(), asked.load(Ordering::SeqCst)), (2, 3));
}

#[tokio::test]
async fn a_post_that_the_application_may_have_seen_is_not_repeated() {
    let (backend, asked) = fickle(true).await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
    let mut connection = gate.connect().await;
    for _ in 0..2 {
        connection.send(&ask("POST")).await;
        let reply = connection.reply_to("POST").await.unwrap();
        if asked.load(Ordering::SeqCst) == 2 {
            reply.assert_refused(502, "upstream_failed");
        }
    }
    assert_eq!((backend.connections(), asked.load(Ordering::SeqCst)), (1, 2));
    connection.send(&ask("POST")).await;
    assert_eq!(connection.reply_to("POST").await.unwrap().text(), "hello");
}

#[tokio::test]
async fn a_post_does_not_go_out_on_a_connection_that_closed_while_it_idled() {
    let (closed, gone) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (close, tell) = (closed.clone(), gone.clone());
    let backend = Backend::start(move |mut conversation, number| {
        let (close, tell) = (close.clone(), tell.clone());
        async move {
            conversation.request().await;
            conversation.say(HELLO).await;
            if number == 0 {
                close.acquire().await.unwrap().forget();
                drop(conversation);
                tell.add_permits(1);
            } else {
                conversation.rest().await;
            }
        }
    })
    .await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
    let mut connection = gate.connect().await;
    connection.send(&ask("GET")).await;
    assert_eq!(connection.reply_to("GET").await.unwrap().text(), "hello");
    closed.add_permits(1);
    gone.acquire().await.unwrap().forget();
    connection.send(&ask("POST")).await;
    assert_eq!(connection.reply_to("POST").await.unwrap().text(), "hello");
    assert_eq!(backend.connections(), 2);
}

#[tokio::test]
async fn requests_over_the_limit_of_connections_wait_their_turn_and_then_give_up() {
    let (release, released) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (hold, arrived) = (release.clone(), released.clone());
    let backend = Backend::start(move |mut conversation, _| {
        let (hold, arrived) = (hold.clone(), arrived.clone());
        async move {
            while conversation.request().await.is_some() {
                arrived.add_permits(1);
                hold.acquire().await.unwrap().forget();
                conversation.say(HELLO).await;
            }
        }
    })
    .await;
    let yaml = OPEN.replace("upstream: {", "upstream: {max_connections: 2, queue_timeout: 1s, ");
    let gate = Gate::with(&yaml).upstream(&backend.url()).start().await;
    let mut under_way = vec![];
    for _ in 0..2 {
        let mut connection = gate.connect().await;
        connection.send(&ask("GET")).await;
        under_way.push(connection);
    }
    released.acquire_many(2).await.unwrap().forget();

    let started = Instant::now();
    let reply = gate.get("/a").await;
    reply.assert_refused(503, "overloaded");
    assert!(reply.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()));
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());

    let mut waiting = gate.connect().await;
    waiting.send(&ask("GET")).await;
    release.add_permits(3);
    for mut connection in under_way {
        assert_eq!(connection.reply_to("GET").await.unwrap().text(), "hello");
    }
    assert_eq!(waiting.reply_to("GET").await.unwrap().text(), "hello");
    assert!(backend.connections() <= 3, "{}", backend.connections());
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let backend = Backend::start(|mut conversation, _| async move {
        while let Some(request) = conversation.request().await {
            let said = format!("{} {}", request.split(' ').nth(1).unwrap(), request.rsplit("\r\n").next().unwrap());
            conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len())).await;
        }
    })
    .await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
    let mut connection = gate.connect().await;
    let mut all = vec![];
    for number in 0..20 {
        all.extend(format!("GET /get{number} HTTP/1.1\r\nHost: h\r\n\r\n").bytes());
        all.extend(format!("POST /post{number} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{number:02}").bytes());
        all.extend(
            format!("POST /chunks{number} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{number:02}\r\n0\r\n\r\n")
                .bytes(),
        );
    }
    connection.send(&all).await;
    for number in 0..20 {
        assert_eq!(connection.reply_to("GET").await.unwrap().text(), format!("/get{number} "));
        assert_eq!(connection.reply_to("POST").await.unwrap().text(), format!("/post{number} {number:02}"));
        assert_eq!(connection.reply_to("POST").await.unwrap().text(), format!("/chunks{number} {number:02}"));
    }
}

#[tokio::test]
async fn gate_and_application_may_listen_on_unix_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let (gate_path, app_path) = (directory.path().join("gate.sock"), directory.path().join("app.sock"));
    let listener = UnixListener::bind(&app_path).unwrap();
    let application = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = vec![];
        while !seen.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
        }
        stream.write_all(HELLO.as_bytes()).await.unwrap();
        String::from_utf8(seen).unwrap()
    });
    let listen = format!("listen: unix:{}\n{OPEN}", gate_path.display());
    let gate = Gate::with(&listen).upstream(&format!("unix:{}", app_path.display())).start().await;
    assert_eq!(gate.address, format!("unix:{}", gate_path.display()));

    let mut stream = UnixStream::connect(&gate_path).await.unwrap();
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("\r\n\r\nhello"), "{reply}");
    let asked = application.await.unwrap();
    for line in
        ["Host: app.example", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: app.example", "X-Forwarded-Port: 80"]
    {
        assert!(asked.lines().any(|one| one == line), "no {line} in {asked}");
    }
    gate.stop().await;
    assert!(!gate_path.exists());
}

#[tokio::test]
async fn a_client_of_http_1_0_is_answered_in_its_own_terms() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    for (said, body) in [(HELLO, "hello"), (chunked, "hello world")] {
        let backend = Backend::answering(said).await;
        let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
        let mut connection = Connection::open(&gate.address).await;
        connection.send(b"GET /a HTTP/1.0\r\nHost: h\r\n\r\n").await;
        let reply = String::from_utf8(connection.rest().await).unwrap();
        assert!(reply.starts_with("HTTP/1.0 200 OK\r\n"), "{reply}");
        assert!(reply.ends_with(&format!("\r\n\r\n{body}")), "{reply}");
        assert!(!reply.to_ascii_lowercase().contains("transfer-encoding"), "{reply}");
    }

    let backend = Backend::answering(HELLO).await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
    let mut connection = Connection::open(&gate.address).await;
    for _ in 0..2 {
        connection.send(b"GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n").await;
        let reply = connection.reply_to("GET").await.unwrap();
        assert_eq!((reply.text().as_str(), reply.header("connection")), ("hello", Some("keep-alive")));
    }
}
