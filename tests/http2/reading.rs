//! What a request over HTTP/2 is to the gate and to the application.

use super::support::backend::{Answer, FakeBackend};
use super::support::gate::Gate;
use super::support::http2::*;
use super::support::tls::{self, Certificate};
use super::{open, setup};

/// The fields of a request with some of them changed or added.
fn with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = get("/a").to_vec();
    for (name, value) in changes {
        match fields.iter_mut().find(|(found, _)| found == name && name.starts_with(':')) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
    }
    fields
}

#[tokio::test]
async fn the_application_is_asked_as_by_any_other_client() {
    let (gate, backend) = open().await;
    let mut client = Client::open(&gate.address).await;
    let crumbs = [
        (":path", "/a?x=%20&y=1"),
        ("cookie", "a=1"),
        ("x-one", "1"),
        ("cookie", "b=2"),
        ("te", "trailers"),
        ("x_two", "2"),
        ("x-forwarded-for", "9.9.9.9"),
    ];
    assert!(matches!(client.ask(&with(&crumbs)).await, End::Answer(200, _)));
    let asked = backend.last();
    assert!(asked.starts_with("GET /a?x=%20&y=1 HTTP/1.1\r\n"), "{asked}");
    for line in [
        "host: gate.example",
        "x-one: 1",
        "cookie: a=1; b=2",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: gate.example",
        "x-forwarded-port: 443",
    ] {
        assert!(asked.lines().any(|one| one.eq_ignore_ascii_case(line)), "no {line} in {asked}");
    }
    let lower = asked.to_ascii_lowercase();
    for absent in ["x_two", "9.9.9.9", "\r\nte:", ":path", ":authority"] {
        assert!(!lower.contains(absent), "{absent} in {asked}");
    }
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused_with_an_answer() {
    let (gate, backend) = open().await;
    let mut client = Client::open(&gate.address).await;
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[(":path", "/a#/../b")], "the target holds #"),
        (&[(":path", "/a\\b")], "the target holds a backslash"),
        (&[(":path", "/a b")], "the target holds a space"),
        (&[(":path", "/caf\u{e9}")], "the target holds a byte outside 0x21-0x7e"),
        (&[(":path", "/a HTTP/1.1\r\nX-User-Id: 1\r\n\r\n")], "the target holds"),
        (&[(":path", "/a%2fb")], ""),
        (&[(":path", "/a/../b")], ""),
        (&[(":path", "https://gate.example/a")], "the target is not a path"),
        (&[(":method", "TRACE")], "the method is not one that may pass"),
        (&[(":method", "get")], "the method is not one that may pass"),
        (&[(":method", "GET / HTTP/1.1\r\nx:")], "the method is not one that may pass"),
        (&[(":authority", "a@b")], "Host names a user"),
        (&[(":authority", "a b")], "Host is not a host name"),
        (&[(":authority", "gate.example"), ("host", "other.example")], "Host is not :authority"),
        (&[("host", "gate.example"), ("host", "gate.example")], "Host is given twice"),
        (&[(":scheme", "file")], "the scheme is neither https nor http"),
    ];
    for (changes, why) in cases {
        match client.ask(&with(changes)).await {
            End::Answer(400, body) => assert!(body.contains(why) && body.starts_with("{\"code\":0,"), "{body}"),
            other => panic!("{changes:?}: {other:?}"),
        }
    }
    let no_host = [(":method", "GET"), (":scheme", "https"), (":path", "/a")];
    assert!(matches!(client.ask(&no_host).await, End::Answer(400, body) if body.contains("Host is missing")));
    backend.assert_untouched();
    assert!(matches!(client.get("/a").await, End::Answer(200, _)), "the connection goes on");
}

#[tokio::test]
async fn what_breaks_http2_ends_its_stream_and_no_other() {
    let (gate, backend) = open().await;
    let mut client = Client::open(&gate.address).await;
    let cases: &[&[(&str, &str)]] = &[
        &[("X-Upper", "1")],
        &[("connection", "close")],
        &[("transfer-encoding", "chunked")],
        &[("te", "gzip")],
        &[(":path", "")],
        &[(":extra", "1")],
        &[("x-a", "1\r\nX-User-Id: 1")],
        &[("content-length", "5")],
    ];
    for changes in cases {
        assert_eq!(client.ask(&with(changes)).await, End::Reset(1), "{changes:?}");
    }
    for more in [&[(":path", "/b")][..], &[("x-a", "1"), (":path", "/b")], &[(":status", "200")]] {
        let fields = [&get("/a")[..], more].concat();
        assert_eq!(client.ask(&fields).await, End::Reset(1), "{more:?}");
    }
    backend.assert_untouched();
    assert!(matches!(client.get("/a").await, End::Answer(200, _)), "the connection goes on");
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_it_says_reaches_nobody() {
    let (gate, backend) = open().await;
    let mut client = Client::open(&gate.address).await;
    let form = [(":method", "POST"), ("content-type", "application/x-www-form-urlencoded"), ("content-length", "5")];
    for body in [&b"a=1"[..], b"a=12345"] {
        let stream = client.begin(&with(&form), false).await;
        client.frame(DATA, END_STREAM, stream, body).await;
        assert_eq!(client.end_of(stream).await, End::Reset(1), "{}", body.escape_ascii());
    }
    backend.assert_untouched();
    let stream = client.begin(&with(&form), false).await;
    client.frame(DATA, 0, stream, b"a=1").await;
    client.frame(DATA, END_STREAM, stream, b"23").await;
    assert!(matches!(client.end_of(stream).await, End::Answer(200, _)));
    assert!(backend.last().ends_with("\r\n\r\na=123"), "{}", backend.last());
}

#[tokio::test]
async fn trailers_are_dropped_and_counted_into_nothing() {
    let (gate, backend) = open().await;
    let mut client = Client::open(&gate.address).await;
    let stream = client.begin(&with(&[(":method", "POST"), ("content-type", "text/plain")]), false).await;
    client.frame(DATA, 0, stream, b"hello").await;
    client.frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(&[("x-user-id", "1"), ("cookie", "a=1")])).await;
    assert!(matches!(client.end_of(stream).await, End::Answer(200, _)));
    let asked = backend.last();
    assert!(asked.ends_with("\r\n\r\nhello") && asked.to_ascii_lowercase().contains("content-length: 5"), "{asked}");
    assert!(!asked.contains("x-user-id") && !asked.to_ascii_lowercase().contains("cookie"), "{asked}");

    let stream = client.begin(&with(&[(":method", "POST"), ("content-type", "text/plain")]), false).await;
    client.frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(&[(":path", "/admin")])).await;
    assert_eq!(client.end_of(stream).await, End::Reset(1));
    assert_eq!(backend.requests().len(), 1);
}

#[tokio::test]
async fn a_head_over_its_limit_is_answered_and_the_next_is_read() {
    let backend = FakeBackend::start().await;
    let gate = setup(&backend, &Certificate::new(), "limits: {header: 4KiB}\n").start().await;
    let mut client = Client::open(&gate.address).await;
    let long = "x".repeat(5000);
    match client.ask(&with(&[("x-long", &long)])).await {
        End::Answer(_, body) => assert!(body.contains("the head is larger than 4096 bytes"), "{body}"),
        other => panic!("{other:?}"),
    }
    // In pieces.
    let (stream, whole) = (client.stream(), block(&with(&[("x-long", &"y".repeat(3000))])));
    let (first, rest) = whole.split_at(10);
    client.frame(HEADERS, END_STREAM, stream, first).await;
    for (index, piece) in rest.chunks(1000).enumerate() {
        let flags = if (index + 1) * 1000 >= rest.len() { END_HEADERS } else { 0 };
        client.frame(CONTINUATION, flags, stream, piece).await;
    }
    assert!(matches!(client.end_of(stream).await, End::Answer(200, _)));
    assert!(backend.last().contains("yyy"));
    assert_eq!(backend.requests().len(), 1);
}

/// A head of a few bytes that stands for one of megabytes: each byte names an entry of 4 KB in the table.
#[tokio::test]
async fn a_compressed_bomb_is_one_more_head_over_its_limit() {
    let (gate, backend) = open().await;
    let mut client = Client::open(&gate.address).await;
    let stream = client.stream();
    let mut bomb = block(&get("/a"));
    bomb.extend([0x40, 0x01, b'x', 0x7f, 0x80 | 0x01, 0x1e]);
    bomb.extend(vec![b'y'; 127 + 1 + 30 * 128]);
    bomb.extend(vec![0xbe; 12_000]);
    client.frame(HEADERS, END_STREAM | END_HEADERS, stream, &bomb).await;
    match client.end_of(stream).await {
        End::Answer(_, body) => assert!(body.contains("the head is larger than 32768 bytes"), "{body}"),
        other => panic!("{other:?}"),
    }
    backend.assert_untouched();
    assert!(matches!(client.get("/a").await, End::Answer(200, _)));
}

/// Below the limit of a head, but each stream of a few bytes would hold as much.
#[tokio::test]
async fn a_head_that_repeats_a_compressed_field_again_and_again_is_refused() {
    let (gate, backend) = open().await;
    let mut client = Client::open(&gate.address).await;
    let mut first = block(&get("/a"));
    first.extend([0x40, 0x01, b'x', 0x7f, 0x80 | 0x01, 0x1e]);
    first.extend(vec![b'y'; 127 + 1 + 30 * 128]);
    let stream = client.stream();
    client.frame(HEADERS, END_STREAM | END_HEADERS, stream, &first).await;
    assert!(matches!(client.end_of(stream).await, End::Answer(200, _)));
    // The field of the dynamic table, and one of the static table that stands for 28 bytes.
    for (field, times, status) in [(0xbe, 1, 200), (0xbe, 2, 400), (0xbe, 7, 400), (0x90, 100, 200), (0x90, 200, 400)] {
        let mut again = block(&get("/a"));
        again.extend(vec![field; times]);
        let stream = client.stream();
        client.frame(HEADERS, END_STREAM | END_HEADERS, stream, &again).await;
        match client.end_of(stream).await {
            End::Answer(answered, body) => assert_eq!(answered, status, "{times} times: {body}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(backend.requests().len(), 3);
}

#[tokio::test]
async fn rules_credentials_and_limits_are_those_of_any_request() {
    let backend = FakeBackend::start().await;
    let rules = "endpoint: [{query: {module: m, controller: c, action: a}}]\nlimits: {per_ip: 3/h}\n\
                 rules: [{endpoint: news, require: client}, {path: \"/no/**\", require: deny}]\n";
    let gate = setup(&backend, &Certificate::new(), rules).start().await;
    let mut client = Client::open(&gate.address).await;
    let body = |end| match end {
        End::Answer(_, body) => body,
        other => panic!("{other:?}"),
    };
    assert!(body(client.get("/?m=news&c=b&a=c").await).contains("client_id"), "client_missing");
    assert!(body(client.get("/no/where").await).contains("\"code\":0"));
    assert!(matches!(client.get("/x").await, End::Answer(200, _)));
    // Three an hour, all on one connection.
    assert!(!matches!(client.get("/x").await, End::Answer(200, _)));
    assert_eq!(backend.requests().len(), 1);
}

#[tokio::test]
async fn large_replies_and_uploads_go_through_whole() {
    let body = vec![b'x'; 3_000_000];
    let mut reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    reply.extend(&body);
    let backend = FakeBackend::answering(&reply).await;
    let gate = setup(&backend, &Certificate::new(), "").start().await;
    let mut client = Client::open(&gate.address).await;
    let End::Answer(200, got) = client.get("/big").await else { panic!("no answer") };
    assert!(got.as_bytes() == body, "{} bytes", got.len());

    let sent = tokio::process::Command::new("curl")
        .args([
            "-sSk",
            "--http2",
            "-o",
            "/dev/null",
            "-w",
            "%{http_version} %{http_code}",
            "-H",
            "Expect:",
            "--data-binary",
            "@Cargo.lock",
        ])
        .arg(format!("https://{}/upload", gate.address))
        .output()
        .await
        .unwrap();
    assert_eq!(String::from_utf8(sent.stdout).unwrap(), "2 200", "{}", sent.stderr.escape_ascii());
    let lock = std::fs::read_to_string("Cargo.lock").unwrap();
    assert!(backend.last().ends_with(&lock), "the upload came whole");
}

#[tokio::test]
async fn a_reply_that_breaks_off_ends_its_stream_as_broken() {
    let half = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\nhalf";
    let backend = FakeBackend::answering(half).await;
    let gate = setup(&backend, &Certificate::new(), "").start().await;
    let mut client = Client::open(&gate.address).await;
    assert_eq!(client.get("/a").await, End::Reset(2));
    assert_eq!(client.get("/a").await, End::Reset(2), "the connection goes on");
}

#[tokio::test]
async fn many_streams_share_a_connection() {
    let backend = FakeBackend::with(|request| {
        let path = request.split(|byte| *byte == b' ').nth(1).unwrap_or_default().to_vec();
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", path.len()).into_bytes();
        answer.extend(path);
        Answer::Bytes(answer)
    })
    .await;
    let gate = setup(&backend, &Certificate::new(), "").start().await;
    let mut client = Client::open(&gate.address).await;
    let mut bytes = vec![];
    let streams: Vec<u32> = (0..90).map(|_| client.stream()).collect();
    for stream in &streams {
        let path = format!("/{stream}");
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, *stream, &block(&get(&path))));
    }
    client.send(&bytes).await;
    let mut bodies = std::collections::BTreeMap::new();
    while bodies.len() < streams.len() {
        let frame = client.next().await.unwrap();
        if frame.kind == DATA {
            bodies.insert(frame.stream, String::from_utf8(frame.payload).unwrap());
        }
    }
    for stream in streams {
        assert_eq!(bodies[&stream], format!("/{stream}"), "answers go to whom they are for");
    }
}

#[tokio::test]
async fn without_tls_nobody_speaks_http2() {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(super::OPEN).upstream(&backend.url).start().await;
    let reply = gate.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    reply.assert_refused(400, "malformed");
    // An upgrade is a header like others, and goes no further.
    let upgrade = b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
    assert_eq!(gate.raw(upgrade).await.unwrap().status, 200);
    assert!(!backend.last().to_ascii_lowercase().contains("h2c"), "{}", backend.last());
}

#[tokio::test]
async fn the_protocol_is_the_one_agreed_on() {
    let (gate, _backend) = open().await;
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let stream = tls::connect(&gate.address, offered).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed, "{offered:?}");
    }
    assert!(tls::try_connect(&gate.address, &["spdy/3"]).await.is_err());
}
