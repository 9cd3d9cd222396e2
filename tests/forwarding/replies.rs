//! Replies pass as the application made them.

use crate::OPEN;
use crate::support::backend::FakeBackend;
use crate::support::gate::Gate;
use crate::support::http::Reply;
use crate::support::scripted::Backend;

/// The reply to a request of that method when the application says that.
async fn passed(method: &str, said: &[u8]) -> Reply {
    let backend = FakeBackend::answering(said).await;
    let gate = Gate::with(OPEN).upstream(&backend.url).start().await;
    let mut connection = gate.connect().await;
    // Twice over one connection, so that a body where there should be none would be noticed.
    connection.send(&gate.request(method, "/a").to_bytes()).await;
    let first = connection.reply_to(method).await.expect("a reply");
    connection.send(&gate.request(method, "/a").to_bytes()).await;
    let second = connection.reply_to(method).await.expect("a second reply");
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    assert_eq!(first.all("date").len(), 1, "{first:?}");
    first
}

#[tokio::test]
async fn a_reply_to_head_keeps_its_length_and_has_no_body() {
    let reply = passed("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: \"e\"\r\n\r\n").await;
    assert_eq!((reply.all("content-length"), reply.all("etag")), (vec!["12345"], vec!["\"e\""]));
    let reply = passed("HEAD", b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert_eq!((reply.status, reply.all("content-length")), (404, vec![]));
    let reply = passed("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(reply.all("content-length"), ["0"]);
}

#[tokio::test]
async fn replies_without_a_body_have_none() {
    let reply = passed("GET", b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n").await;
    assert_eq!((reply.status, reply.header("x-a")), (204, Some("1")));
    assert_eq!((reply.header("content-length"), reply.header("transfer-encoding")), (None, None));

    let reply = passed("GET", b"HTTP/1.1 304 Not Modified\r\nETag: W/\"5\"\r\nContent-Length: 77\r\n\r\n").await;
    assert_eq!((reply.status, reply.header("etag")), (304, Some("W/\"5\"")));
    assert_eq!(reply.header("transfer-encoding"), None);
    assert!(matches!(reply.all("content-length")[..], [] | ["77"]), "{reply:?}");

    let reply = passed("DELETE", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!((reply.status, reply.all("content-length")), (200, vec!["0"]));
}

#[tokio::test]
async fn a_part_of_a_file_passes_as_that_part() {
    let backend = FakeBackend::answering(
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/10\r\nAccept-Ranges: bytes\r\nETag: \"e\"\r\n\
          Content-Length: 3\r\n\r\ncde",
    )
    .await;
    let gate = Gate::with(OPEN).upstream(&backend.url).start().await;
    let reply = gate.get("/a").header("Range", "bytes=2-4").header("If-Range", "\"e\"").await;
    assert_eq!(
        (reply.status, reply.text().as_str(), reply.header("content-range")),
        (206, "cde", Some("bytes 2-4/10"))
    );
    assert!(backend.last().contains("Range: bytes=2-4\r\nIf-Range: \"e\"\r\n"));
}

#[tokio::test]
async fn a_compressed_body_is_left_alone() {
    let body = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xfe, b'\r', b'\n', 0];
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let reply = passed("GET", &[head.as_bytes(), &body].concat()).await;
    assert_eq!((reply.header("content-encoding"), &reply.body[..]), (Some("gzip"), &body[..]));
    assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
}

#[tokio::test]
async fn headers_that_come_more_than_once_do_so_for_the_client() {
    let said = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; path=/\r\nLink: <x>\r\nSet-Cookie: b=2\r\nX-Latin: caf\xe9\r\n\
                 Set-Cookie: a=3\r\nLink: <y>\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n";
    let backend = FakeBackend::answering(said).await;
    let gate = Gate::with(OPEN).upstream(&backend.url).start().await;
    let mut connection = gate.connect().await;
    connection.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let head = connection.until(b"\r\n\r\n").await.unwrap();
    let head: String = head.iter().map(|byte| char::from(*byte)).collect();
    let lines = |name: &str| head.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines("Set-Cookie"), ["Set-Cookie: a=1; path=/", "Set-Cookie: b=2", "Set-Cookie: a=3"]);
    assert_eq!(lines("Link"), ["Link: <x>", "Link: <y>"]);
    assert_eq!(lines("X-Latin"), ["X-Latin: caf\u{e9}"]);
    assert_eq!(lines("X-Empty"), ["X-Empty: "]);
}

#[tokio::test]
async fn cookies_of_public_rules_pass_even_where_cookies_are_held() {
    let said = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n";
    let backend = FakeBackend::answering(said).await;
    let gate = Gate::with(crate::support::apps::MVC).upstream(&backend.url).start().await;
    let open = gate.get(&crate::support::caller::mvc("debug/echo/open")).await;
    assert_eq!(open.all("set-cookie"), ["a=1", "b=2"]);
    let closed = gate.client("ios", "s3cret").get("news/list/index").await;
    closed.assert_passed();
    assert_eq!(closed.all("set-cookie"), Vec::<&str>::new());
}

#[tokio::test]
async fn names_that_the_gate_gives_are_in_title_case() {
    let reply = passed("GET", b"HTTP/1.1 200 OK\r\nx-lower: 1\r\ncontent-length: 0\r\n\r\n").await;
    let names: Vec<_> = reply.headers.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["X-Request-Id", "Date"] {
        assert!(names.contains(&name), "no {name} in {names:?}");
    }
}

#[tokio::test]
async fn a_length_that_is_told_twice_is_no_answer_and_a_date_is_the_applications() {
    let said = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nok";
    let reply = passed("GET", said).await;
    assert_eq!((reply.all("content-length"), reply.text()), (vec!["2"], "ok".to_owned()));
    assert_eq!(reply.all("date"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);

    let twice = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok";
    let backend = FakeBackend::answering(twice).await;
    let gate = Gate::with(OPEN).upstream(&backend.url).start().await;
    gate.get("/a").await.assert_refused(502, "upstream_failed");
}

#[tokio::test]
async fn what_concerns_the_applications_connection_does_not_reach_the_client() {
    let said =
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Kept: 1\r\n\
                 Proxy-Authenticate: x\r\nUpgrade: h2c\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n\
                 2\r\nok\r\n0\r\nX-T: 1\r\n\r\n";
    let reply = passed("GET", said).await;
    assert_eq!((reply.text().as_str(), reply.header("x-kept")), ("ok", Some("1")));
    for name in ["connection", "x-hop", "keep-alive", "proxy-authenticate", "upgrade", "trailer", "x-t"] {
        assert_eq!(reply.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_connection_outlives_a_reply_whose_application_closed_its_own() {
    let backend = Backend::answering_once("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end").await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
    let mut connection = gate.connect().await;
    for _ in 0..2 {
        connection.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(connection.reply_to("GET").await.unwrap().text(), "to the end");
    }
}

#[tokio::test]
async fn statuses_and_their_phrases_pass() {
    for (status, phrase) in [(200, "Fine"), (299, "Odd"), (418, "I'm a teapot"), (500, "Oh"), (599, "End")] {
        let backend =
            FakeBackend::answering(format!("HTTP/1.1 {status} {phrase}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
        let gate = Gate::with(OPEN).upstream(&backend.url).start().await;
        let mut connection = gate.connect().await;
        connection.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let line = connection.until(b"\r\n").await.unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), format!("HTTP/1.1 {status} {phrase}\r\n"));
    }
}

#[tokio::test]
async fn interim_replies_pass_to_clients_that_understand_them() {
    let said =
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let backend = Backend::answering(said).await;
    let gate = Gate::with(OPEN).upstream(&backend.url()).start().await;
    let mut connection = gate.connect().await;
    connection.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let (status, headers) = connection.head().await.unwrap();
    assert_eq!((status, headers), (103, vec![("Link".to_owned(), "</a.css>; rel=preload".to_owned())]));
    assert_eq!(connection.reply_to("GET").await.unwrap().text(), "ok");

    // A hint may come too late to be written between replies, but never within one.
    let mut connection = gate.connect().await;
    connection.send(&b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n".repeat(50)).await;
    for _ in 0..50 {
        assert_eq!(connection.reply_to("GET").await.unwrap().text(), "ok");
    }

    let mut old = gate.connect().await;
    old.send(b"GET /a HTTP/1.0\r\nHost: h\r\n\r\n").await;
    assert_eq!(old.head().await.unwrap().0, 200);
}

#[tokio::test]
async fn names_of_headers_keep_their_case_in_both_directions() {
    let said = b"HTTP/1.1 200 OK\r\nContent-type: text/html\r\nETag: \"e\"\r\nx-lower: 1\r\nX-UPPER-Id: 2\r\nSet-Cookie: a=1\r\n\
                 set-cookie: b=2\r\ncontent-length: 2\r\nX-Usual: 3\r\nsERVER: x\r\n\r\nhi";
    let backend = FakeBackend::answering(said).await;
    let gate = Gate::with(OPEN).upstream(&backend.url).start().await;
    // Twice: the second time the names are known.
    for _ in 0..2 {
        let request = gate.get("/a").header("x-lower", "1").header("X-UPPER-Id", "2").header("ACCEPT", "*/*");
        let reply = request.header("user-AGENT", "u").await;
        let names: Vec<&str> = reply.headers.iter().map(|(name, _)| name.as_str()).collect();
        for name in [
            "Content-type",
            "ETag",
            "x-lower",
            "X-UPPER-Id",
            "Set-Cookie",
            "set-cookie",
            "content-length",
            "X-Usual",
            "sERVER",
        ] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        assert_eq!((reply.all("set-cookie"), reply.text().as_str()), (vec!["a=1", "b=2"], "hi"));
        let asked = backend.last();
        for line in ["x-lower: 1", "X-UPPER-Id: 2", "ACCEPT: */*", "user-AGENT: u"] {
            assert!(asked.lines().any(|asked| asked == line), "{line} in {asked}");
        }
    }
}

#[tokio::test]
async fn an_interim_reply_keeps_the_case_of_its_names() {
    let said = b"HTTP/1.1 103 Early Hints\r\nLINK: <a>\r\nx-b: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let backend = FakeBackend::answering(said).await;
    let gate = Gate::with(OPEN).upstream(&backend.url).start().await;
    let mut connection = gate.connect().await;
    connection.send(&gate.get("/a").to_bytes()).await;
    let (status, headers) = connection.head().await.expect("an interim reply");
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((status, names), (103, vec!["LINK", "x-b"]));
}
