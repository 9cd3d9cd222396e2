use std::time::Duration;

use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use ticketgate::upstream::{Address, Fault, Outgoing, Settings, Upstream};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::backend::{Backend, get, request};

/// What comes of a GET that is answered by those bytes, on a connection that is closed behind them.
async fn outcome_of(reply: &str) -> Result<String, Fault> {
    let backend = Backend::answering_once(reply).await;
    let response = backend.upstream().send(get("/")).await?;
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn bodies_of_every_framing_arrive_whole() {
    let long = "x".repeat(300_000);
    let table = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(), "hello"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), ""),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nX: 1\r\n\r\n".to_owned(), "hello"),
        ("HTTP/1.1 200 OK\r\n\r\nhello".to_owned(), "hello"),
        ("HTTP/1.0 200 OK\r\n\r\nhello".to_owned(), "hello"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(), "hello"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(), "hello"),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n{long}"), long.as_str()),
        (format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n{long}\r\n0\r\n\r\n"), long.as_str()),
        (format!("HTTP/1.1 200 OK\r\n\r\n{long}"), long.as_str()),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), ""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".to_owned(), ""),
    ];
    for (reply, body) in table {
        assert!(outcome_of(&reply).await.unwrap() == body, "{reply:.100}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_never_a_short_success() {
    let table = [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfoo\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloo\r\n0\r\n\r\n",
    ];
    for reply in table {
        let backend = Backend::answering_once(reply).await;
        let response = backend.upstream().send(get("/")).await.unwrap();
        let error = response.into_body().collect().await.unwrap_err();
        assert!(matches!(error, Fault::Failed(_)), "{reply:?}");
    }
}

#[tokio::test]
async fn replies_that_cannot_be_trusted_are_failures() {
    let long_head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(300));
    let table = [
        "",
        "HTTP/1.1 200 OK\r\nContent-Len",
        "220 mail.example ESMTP\r\n",
        "\0\0\0\0",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        long_head.as_str(),
        many_headers.as_str(),
    ];
    for reply in table {
        assert!(matches!(outcome_of(reply).await, Err(Fault::Failed(_))), "{reply:.80}");
    }
}

#[tokio::test]
async fn a_reply_to_head_has_no_body_and_keeps_its_length() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: x\r\n\r\n").await;
    let upstream = backend.upstream();
    for _ in 0..2 {
        let response = upstream.send(request("HEAD", "/", ticketgate::request::body::Body::Empty)).await.unwrap();
        assert_eq!(response.headers()["content-length"], "5");
        assert!(response.body().is_end_stream());
    }
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_known_length_is_told_before_the_body_is_read() {
    for (reply, length) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Some(5)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\nhello", Some(50_000)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", None),
    ] {
        let backend = Backend::answering(reply).await;
        let response = backend.upstream().send(get("/")).await.unwrap();
        assert_eq!(response.body().size_hint().exact(), length, "{reply:?}");
    }
}

#[tokio::test]
async fn events_pass_one_by_one_as_they_come() {
    let (next, waiting) = mpsc::unbounded_channel::<()>();
    let waiting = std::sync::Arc::new(tokio::sync::Mutex::new(waiting));
    let backend = Backend::start(move |mut conversation, _| {
        let waiting = waiting.clone();
        async move {
            conversation.request().await;
            conversation
                .say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            while waiting.lock().await.recv().await.is_some() {
                conversation.say("9\r\ndata: x\n\n\r\n").await;
            }
        }
    })
    .await;
    let mut body = backend.upstream().send(get("/")).await.unwrap().into_body();
    for _ in 0..3 {
        next.send(()).unwrap();
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "data: x\n\n");
    }
}

#[tokio::test]
async fn an_application_that_does_not_answer_times_out() {
    let backend = Backend::start(|conversation, _| async { drop(conversation.rest().await) }).await;
    let upstream = Upstream::new(Settings { response_timeout: Duration::from_millis(100), ..backend.settings() });
    assert_eq!(upstream.send(get("/")).await.unwrap_err(), Fault::TimedOut);

    let hasty = Outgoing { response_timeout: Some(Duration::from_millis(50)), ..get("/") };
    assert_eq!(backend.upstream().send(hasty).await.unwrap_err(), Fault::TimedOut);
}

#[tokio::test]
async fn a_head_that_drips_times_out_all_the_same() {
    let backend = Backend::start(|mut conversation, _| async move {
        conversation.say("HTTP/1.1 200 OK\r\n").await;
        loop {
            conversation.say("X: 1\r\n").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let upstream = Upstream::new(Settings { response_timeout: Duration::from_millis(200), ..backend.settings() });
    assert_eq!(upstream.send(get("/")).await.unwrap_err(), Fault::TimedOut);
}

#[tokio::test]
async fn nobody_there_is_a_failure() {
    let backend = Backend::answering("").await;
    let settings = backend.settings();
    assert_eq!(backend.upstream().ping().await, Ok(()));
    let unix = Settings { address: Address::Unix("/nonexistent/socket".into()), ..backend.settings() };
    assert!(matches!(Upstream::new(unix).ping().await, Err(Fault::Failed(_))));

    drop(backend);
    let upstream = Upstream::new(settings);
    // The port is freed when the task that listens is dropped.
    while upstream.ping().await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(upstream.ping().await, Err(Fault::Failed(_))));
    assert!(matches!(upstream.send(get("/")).await, Err(Fault::Failed(_))));
}

#[tokio::test]
async fn an_application_may_listen_on_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("php.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            let mut request = [0; 64];
            tokio::io::AsyncReadExt::read(&mut stream, &mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
        }
    });
    let backend = Backend::answering("").await;
    let upstream = Upstream::new(Settings { address: Address::Unix(path), ..backend.settings() });
    for _ in 0..2 {
        let response = upstream.send(get("/")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
}

#[tokio::test]
async fn a_slow_reader_makes_the_application_wait() {
    const WHOLE: usize = 256 << 20;
    let (report, mut reports) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut conversation, _| {
        let report = report.clone();
        async move {
            conversation.request().await;
            conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {WHOLE}\r\n\r\n")).await;
            let (zeros, mut written) = (vec![0; 1 << 20], 0);
            while written < WHOLE {
                match timeout(Duration::from_millis(300), conversation.stream.write(&zeros)).await {
                    Ok(count) => written += count.unwrap(),
                    Err(_) => report.send(written).unwrap(),
                }
            }
        }
    })
    .await;
    let body = backend.upstream().send(get("/")).await.unwrap().into_body();
    let taken_before_anybody_read = reports.recv().await.unwrap();
    assert!(taken_before_anybody_read < 32 << 20, "{taken_before_anybody_read}");
    assert_eq!(length_of(body).await, WHOLE);
}

async fn length_of(mut body: ticketgate::upstream::ResponseBody) -> usize {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.unwrap().into_data().unwrap().len();
    }
    length
}

/// Resident memory of this process, in bytes.
pub(crate) fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test]
async fn a_gigabyte_passes_in_constant_memory() {
    const WHOLE: usize = 1 << 30;
    let backend = Backend::start(|mut conversation, _| async move {
        conversation.request().await;
        conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {WHOLE}\r\n\r\n")).await;
        let zeros = vec![0; 256 << 10];
        for _ in 0..WHOLE / zeros.len() {
            conversation.say(&zeros).await;
        }
    })
    .await;
    let before = resident();
    let mut body = backend.upstream().send(get("/")).await.unwrap().into_body();
    let (mut length, mut frames) = (0, 0);
    while let Some(frame) = body.frame().await {
        length += frame.unwrap().into_data().unwrap().len();
        frames += 1;
    }
    assert_eq!(length, WHOLE);
    assert!(frames < WHOLE / (16 << 10), "{frames} frames");
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
}
