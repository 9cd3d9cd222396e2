use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use ticketgate::request::body::Body;
use ticketgate::upstream::{Fault, Outgoing, Settings, Upstream};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::backend::{Backend, get, post, request};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

async fn ask(upstream: &Upstream, request: Outgoing<'_>) -> Result<Bytes, Fault> {
    Ok(upstream.send(request).await?.into_body().collect().await?.to_bytes())
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_clean_end() {
    for reply in [
        HELLO,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: 1\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let backend = Backend::answering(reply).await;
        let upstream = backend.upstream();
        for _ in 0..3 {
            ask(&upstream, get("/")).await.unwrap();
            ask(&upstream, post("a=1")).await.unwrap();
        }
        assert_eq!(backend.connections(), 1, "{reply:?}");
    }
}

#[tokio::test]
async fn a_connection_is_not_used_again_where_anything_is_left_on_it() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 204 No Content\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nx",
    ] {
        let backend = Backend::answering(reply).await;
        let upstream = backend.upstream();
        for _ in 0..2 {
            let body = ask(&upstream, get("/")).await.unwrap();
            assert!(body.is_empty() || body == "hello", "{reply:?}");
        }
        assert_eq!(backend.connections(), 2, "{reply:?}");
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_to_its_end_takes_its_connection_along() {
    let backend =
        Backend::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(1_000_000)))
            .await;
    let upstream = backend.upstream();
    let mut body = upstream.send(get("/")).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    ask(&upstream, get("/")).await.unwrap();
    assert_eq!(backend.connections(), 2);
}

/// An application that answers the first request on its first connection, tells so, and does something else then; that answers
/// everything on later ones.
async fn fickle(then: &'static str) -> (Backend, Arc<Notify>) {
    let told = Arc::new(Notify::new());
    let tell = Arc::clone(&told);
    let backend = Backend::start(move |mut conversation, number| {
        let tell = Arc::clone(&tell);
        async move {
            if number == 0 {
                conversation.request().await;
                conversation.say(HELLO).await;
                match then {
                    "close" => drop(conversation),
                    "chatter" => {
                        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
                        tell.notify_one();
                        conversation.rest().await;
                        return;
                    }
                    "read and close" => drop(conversation.request().await),
                    _ => {
                        conversation.request().await;
                        conversation.say(then).await;
                    }
                }
                tell.notify_one();
                return;
            }
            while let Some(request) = conversation.request().await {
                let body = request.split("\r\n\r\n").nth(1).unwrap_or_default();
                conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
            }
        }
    })
    .await;
    (backend, told)
}

#[tokio::test]
async fn a_pooled_connection_that_closed_or_chattered_while_idle_is_not_used() {
    for then in ["close", "chatter"] {
        for method in ["GET", "POST"] {
            let (backend, told) = fickle(then).await;
            let upstream = backend.upstream();
            assert_eq!(ask(&upstream, get("/")).await.unwrap(), "hello");
            told.notified().await;
            let body = Body::Gathered(Bytes::from_static(b"again"));
            assert_eq!(ask(&upstream, request(method, "/", body)).await.unwrap(), "again", "{then}, {method}");
            assert_eq!(backend.connections(), 2);
        }
    }
}

#[tokio::test]
async fn a_request_that_may_be_repeated_is_when_its_pooled_connection_closes_without_a_reply() {
    let (backend, _) = fickle("read and close").await;
    let upstream = backend.upstream();
    ask(&upstream, get("/")).await.unwrap();
    let put = request("PUT", "/", Body::Gathered(Bytes::from_static(b"whole")));
    assert_eq!(ask(&upstream, put).await.unwrap(), "whole");
    assert_eq!(backend.connections(), 2);
}

#[tokio::test]
async fn a_post_that_the_application_may_have_seen_is_not_repeated() {
    let (backend, _) = fickle("read and close").await;
    let upstream = backend.upstream();
    ask(&upstream, get("/")).await.unwrap();
    assert!(matches!(ask(&upstream, post("a=1")).await, Err(Fault::Failed(_))));
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_reply_that_has_begun_is_not_asked_for_again() {
    for begun in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let (backend, _) = fickle(begun).await;
        let upstream = backend.upstream();
        ask(&upstream, get("/")).await.unwrap();
        assert!(matches!(ask(&upstream, get("/")).await, Err(Fault::Failed(_))), "{begun:?}");
        assert_eq!(backend.connections(), 1);
    }
}

#[tokio::test]
async fn a_request_is_repeated_once_and_only_from_a_pooled_connection() {
    let backend = Backend::start(|mut conversation, number| async move {
        conversation.request().await;
        if number == 0 {
            conversation.say(HELLO).await;
            conversation.request().await;
        }
    })
    .await;
    let upstream = backend.upstream();
    ask(&upstream, get("/")).await.unwrap();
    assert!(matches!(ask(&upstream, get("/")).await, Err(Fault::Failed(_))));
    assert_eq!(backend.connections(), 2);
    assert!(matches!(ask(&upstream, get("/")).await, Err(Fault::Failed(_))));
    assert_eq!(backend.connections(), 3);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time_without_another_request() {
    let (ended, mut ends) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut conversation, _| {
        let ended = ended.clone();
        async move {
            conversation.request().await;
            conversation.say(HELLO).await;
            conversation.rest().await;
            ended.send(()).unwrap();
        }
    })
    .await;
    let upstream = Upstream::new(Settings { idle_timeout: Duration::from_millis(100), ..backend.settings() });
    ask(&upstream, get("/")).await.unwrap();
    timeout(Duration::from_secs(5), ends.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn requests_over_the_limit_wait_and_are_refused_in_time() {
    let backend = Backend::answering(HELLO).await;
    let settings = Settings { max_connections: 1, queue_timeout: Duration::from_millis(100), ..backend.settings() };
    let upstream = Upstream::new(settings);

    let stalled = Backend::start(|conversation, _| async { drop(conversation.rest().await) }).await;
    let settings = Settings { max_connections: 1, queue_timeout: Duration::from_millis(100), ..stalled.settings() };
    let busy = Upstream::new(settings);
    let first = tokio::spawn({
        let busy = busy.clone();
        async move { busy.send(get("/")).await.map(drop) }
    });
    while stalled.connections() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(busy.send(get("/")).await.unwrap_err(), Fault::Overloaded);
    assert_eq!(busy.attach().send(get("/")).await.unwrap_err(), Fault::Overloaded);
    first.abort();

    for _ in 0..3 {
        ask(&upstream, get("/")).await.unwrap();
    }
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_place_is_taken_until_the_body_ends() {
    let release = Arc::new(Notify::new());
    let go_on = Arc::clone(&release);
    let backend = Backend::start(move |mut conversation, _| {
        let go_on = Arc::clone(&go_on);
        async move {
            while conversation.request().await.is_some() {
                conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel").await;
                go_on.notified().await;
                conversation.say("lo").await;
            }
        }
    })
    .await;
    let settings = Settings { max_connections: 1, queue_timeout: Duration::from_millis(100), ..backend.settings() };
    let upstream = Upstream::new(settings);
    let response = upstream.send(get("/")).await.unwrap();
    assert_eq!(upstream.send(get("/")).await.unwrap_err(), Fault::Overloaded);
    release.notify_one();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    release.notify_one();
    assert_eq!(ask(&upstream, get("/")).await.unwrap(), "hello");
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn idle_connections_of_one_worker_make_room_for_another() {
    let (ended, mut ends) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut conversation, number| {
        let ended = ended.clone();
        async move {
            while conversation.request().await.is_some() {
                conversation.say(HELLO).await;
            }
            ended.send(number).unwrap();
        }
    })
    .await;
    let one = Upstream::new(Settings { max_connections: 1, ..backend.settings() });
    let other = one.attach();
    ask(&one, get("/")).await.unwrap();
    ask(&other, get("/")).await.unwrap();
    assert_eq!(timeout(Duration::from_secs(5), ends.recv()).await.unwrap(), Some(0));
    ask(&other, get("/")).await.unwrap();
    assert_eq!(backend.connections(), 2);
}
