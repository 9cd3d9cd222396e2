//! What an application sends and is sent, through the gate and unchanged.

mod support;

use md5::{Digest, Md5};
use support::apps::{MVC, Site};
use support::backend::{Answer, FINE, FakeBackend};
use support::caller::mvc;
use support::gate::Gate;
use support::http::Request;
use support::php::PhpFpm;

/// 1 MiB, as the application makes it.
fn megabyte() -> Vec<u8> {
    b"0123456789abcde\n".repeat(65536)
}

fn md5_of(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

#[tokio::test]
async fn a_reply_that_is_not_utf_8_passes_byte_by_byte() {
    let site = Site::mvc().await;
    let direct = Request::new(site.php.address(), "GET", &mvc("news/list/gbk")).await;
    let reply = site.ios().get("news/list/gbk").await;
    assert_eq!(reply.body, direct.body);
    assert!(std::str::from_utf8(&reply.body).is_err());
    assert_eq!(reply.header("content-type"), Some("text/html; charset=gbk"));
}

#[tokio::test]
async fn a_location_that_names_the_backend_names_the_gate() {
    let site = Site::mvc().await;
    let rest = "/index.php?mod=news&ctl=list&act=index";
    let reply = site.ios().get("news/list/old").await;
    let expected = format!("http://{}{rest}", site.gate.address);
    assert_eq!((reply.status, reply.header("location")), (301, Some(expected.as_str())));

    let reply = site.ios().get("news/list/old").host("shop.example").await;
    assert_eq!(reply.header("location"), Some(format!("http://shop.example{rest}").as_str()));
}

#[tokio::test]
async fn a_download_arrives_whole() {
    let site = Site::mvc().await;
    let reply = site.ios().get("file/store/download").await;
    assert_eq!(md5_of(&reply.body), md5_of(&megabyte()));
    assert_eq!(reply.header("etag"), Some(format!("\"{}\"", md5_of(&megabyte())).as_str()));
    assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"report.bin\""));

    let head = site.ios().request("HEAD", &mvc("file/store/download"), "file/store/download").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("1048576")));
}

#[tokio::test]
async fn uploads_arrive_whole() {
    let site = Site::mvc().await;
    let body = megabyte();
    let target = mvc("file/store/upload");
    let reply = site.ios().request("POST", &target, "file/store/upload").body("image/png", body.clone()).await;
    assert_eq!((reply.at("/data/size"), reply.at("/data/md5")), (1_048_576.into(), md5_of(&body).into()));

    let mut parts = b"--XX\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nphoto\r\n".to_vec();
    parts.extend(b"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n");
    parts.extend(b"Content-Type: image/png\r\n\r\n");
    parts.extend(&body);
    parts.extend(b"\r\n--XX--\r\n");
    let request = site.ios().request("POST", &target, "file/store/upload");
    let reply = request.body("multipart/form-data; boundary=XX", parts).await;
    assert_eq!((reply.at("/data/md5"), reply.at("/data/fields/title")), (md5_of(&body).into(), "photo".into()));
}

#[tokio::test]
async fn a_chunked_upload_arrives_whole() {
    let site = Site::mvc().await;
    let target = site.ios().target(&mvc("file/store/upload"), "file/store/upload");
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n",
        site.gate.address
    );
    let mut connection = site.gate.connect().await;
    connection.send(head.as_bytes()).await;
    connection.send(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n").await;
    let reply = connection.reply_to("POST").await.expect("a reply");
    assert_eq!((reply.at("/data/size"), reply.at("/data/md5")), (11.into(), md5_of(b"hello world").into()));
}

#[tokio::test]
async fn events_arrive_as_they_are_sent() {
    let php = PhpFpm::application("mvc");
    let gate = Gate::with(MVC).upstream(&php.url).start().await;
    let ios = gate.client("ios", "s3cret");
    let mut stream = gate.connect().await;
    stream.send(&ios.get("sse/stream/open").to_bytes()).await;
    let (status, _) = stream.head().await.expect("a head");
    assert_eq!(status, 200);
    for event in ["1", "2", "3"] {
        // The application sends the next event only when it is told that this one was seen.
        let end = format!("data: 消息{event}\n\n");
        assert!(stream.until(end.as_bytes()).await.is_some(), "event {event}");
        let seen = ios.target(&format!("{}&id={event}", mvc("sse/stream/seen")), "sse/stream/seen");
        gate.get(&seen).await.assert_passed();
    }
}

#[tokio::test]
async fn connections_serve_one_request_after_another() {
    let site = Site::mvc().await;
    let mut connection = site.gate.connect().await;
    for _ in 0..3 {
        connection.send(&site.ios().get("news/list/index").to_bytes()).await;
        assert_eq!(connection.reply_to("GET").await.expect("a reply").at("/data/1/id"), 2);
    }
}

#[tokio::test]
async fn a_client_may_wait_to_be_asked_for_its_body() {
    let site = Site::mvc().await;
    let target = site.ios().target(&mvc("file/store/upload"), "file/store/upload");
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Type: image/png\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        site.gate.address
    );
    let mut connection = site.gate.connect().await;
    connection.send(head.as_bytes()).await;
    assert_eq!(connection.head().await.map(|(status, _)| status), Some(100));
    connection.send(b"hello").await;
    assert_eq!(connection.reply_to("POST").await.expect("a reply").at("/data/size"), 5);
}

/// A gate that lets everything pass to a backend.
async fn open(backend: &FakeBackend) -> Gate {
    let yaml = "upstream: {url: \"{upstream}\"}\nrules: [{path: \"/**\", require: public}]\n";
    Gate::with(yaml).upstream(&backend.url).start().await
}

#[tokio::test]
async fn replies_of_every_kind_pass_untouched() {
    let table: &[(&str, u16, &str, &[u8])] = &[
        ("HTTP/1.1 204 No Content\r\nX-Kind: none\r\n\r\n", 204, "none", b""),
        ("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nX-Kind: same\r\n\r\n", 304, "same", b""),
        (
            "HTTP/1.1 206 Partial\r\nX-Kind: part\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab",
            206,
            "part",
            b"ab",
        ),
        (
            "HTTP/1.1 200 OK\r\nX-Kind: gzip\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x01\x02",
            200,
            "gzip",
            b"\x1f\x01\x02",
        ),
        (
            "HTTP/1.1 200 OK\r\nX-Kind: chunks\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            200,
            "chunks",
            b"abc",
        ),
        ("HTTP/1.1 200 OK\r\nX-Kind: close\r\nConnection: close\r\n\r\nuntil the end", 200, "close", b"until the end"),
        ("HTTP/1.0 200 OK\r\nX-Kind: old\r\nConnection: close\r\n\r\nold", 200, "old", b"old"),
        ("HTTP/1.1 500 Oops\r\nX-Kind: error\r\nContent-Length: 4\r\n\r\nfail", 500, "error", b"fail"),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nX-Kind: late\r\nContent-Length: 1\r\n\r\nx",
            200,
            "late",
            b"x",
        ),
    ];
    for (answer, status, kind, body) in table {
        let backend = FakeBackend::answering(answer.as_bytes()).await;
        let gate = open(&backend).await;
        for _ in 0..2 {
            let reply = gate.get("/a").await;
            assert_eq!((reply.status, reply.header("x-kind")), (*status, Some(*kind)));
            assert_eq!(&reply.body, body, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_meanwhile_is_replaced() {
    let backend = FakeBackend::with(|_| Answer::Last(FINE.to_vec())).await;
    let gate = open(&backend).await;
    for _ in 0..8 {
        gate.get("/a").await.assert_passed();
        gate.post("/a").form(&[("x", "1")]).await.assert_passed();
    }
    assert_eq!(backend.requests().len(), 16, "and nothing is done twice");
}

#[tokio::test]
async fn an_application_under_php_fpm_and_nginx_is_used_alike() {
    let php = PhpFpm::application("mvc");
    let gate = Gate::with(MVC).upstream(&php.url).start().await;
    let lilei = gate.client("ios", "s3cret").logged_in("lilei").await;
    lilei.get("user/auth/renew").await.assert_passed();
    assert_eq!(lilei.get("user/info/get").await.at("/data/name"), "李雷");
    lilei.get("user/auth/logout").await.assert_passed();
    lilei.get("user/info/get").await.assert_refused(401, "user_refused");
}
