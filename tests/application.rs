//! What an application sends and is sent, through the gate and unchanged.

mod support;

use md5::{Digest, Md5};
use support::apps::{MVC, Site};
use support::caller::mvc;
use support::gate::Gate;
use support::http::{Connection, Request};
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
    let site = Site::mvc().await;
    let mut stream = Connection::open(&site.gate.address).await;
    stream.send(&site.ios().get("sse/stream/open").to_bytes()).await;
    let (status, _) = stream.head().await.expect("a head");
    assert_eq!(status, 200);
    for event in ["1", "2", "3"] {
        // The application sends the next event only when it is told that this one was seen.
        let end = format!("data: 消息{event}\n\n");
        assert!(stream.until(end.as_bytes()).await.is_some(), "event {event}");
        let seen = site.ios().target(&format!("{}&id={event}", mvc("sse/stream/seen")), "sse/stream/seen");
        site.gate.get(&seen).await.assert_passed();
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
async fn an_application_under_php_fpm_and_nginx_is_used_alike() {
    let php = PhpFpm::application("mvc");
    let gate = Gate::with(MVC).upstream(&php.url).start().await;
    let lilei = gate.client("ios", "s3cret").logged_in("lilei").await;
    lilei.get("user/auth/renew").await.assert_passed();
    assert_eq!(lilei.get("user/info/get").await.at("/data/name"), "李雷");
    lilei.get("user/auth/logout").await.assert_passed();
    lilei.get("user/info/get").await.assert_refused(401, "user_refused");
}
