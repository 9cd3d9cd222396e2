//! Real servers of PHP behind the gate.

use std::path::Path;

use tempfile::TempDir;

use crate::OPEN;
use crate::support::gate::Gate;
use crate::support::http::{Connection, Reply};
use crate::support::php::{Php, PhpFpm};

/// Shows what came.
const ECHO: &str = r#"<?php
header('Content-Type: application/json');
$body = fopen('php://input', 'r');
$hash = hash_init('md5');
$size = hash_update_stream($hash, $body);
echo json_encode(array(
    'method' => $_SERVER['REQUEST_METHOD'],
    'uri' => $_SERVER['REQUEST_URI'],
    'length' => isset($_SERVER['CONTENT_LENGTH']) ? $_SERVER['CONTENT_LENGTH'] : null,
    'size' => $size,
    'md5' => hash_final($hash),
    'server' => array_filter($_SERVER, function ($name) { return strpos($name, 'HTTP_') === 0; }, ARRAY_FILTER_USE_KEY),
));
"#;

/// Sends each event only when the one before was seen.
const EVENTS: &str = r#"<?php
header('Content-Type: text/event-stream');
header('X-Accel-Buffering: no');
while (ob_get_level() > 0) ob_end_flush();
for ($i = 1; $i <= 3; $i++) {
    echo "data: $i\n\n";
    flush();
    for ($j = 0; $i < 3 && $j < 2000 && !is_file(__DIR__ . "/seen$i"); $j++) { clearstatcache(); usleep(5000); }
}
"#;

const ZIPPED: &str = r#"<?php
$body = gzencode(str_repeat('hello ', 1000));
header('Content-Encoding: gzip');
header('Content-Length: ' . strlen($body));
echo $body;
"#;

fn application() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    // nginx and the workers of php-fpm may run as somebody else.
    std::process::Command::new("chmod").arg("755").arg(directory.path()).status().unwrap();
    let put = |name: &str, text: &[u8]| std::fs::write(directory.path().join(name), text).unwrap();
    put("index.php", ECHO.as_bytes());
    put("events.php", EVENTS.as_bytes());
    put("zipped.php", ZIPPED.as_bytes());
    put("style.css", &b"0123456789".repeat(100));
    directory
}

fn upload(framing: &str) -> Vec<u8> {
    format!("POST /index.php HTTP/1.1\r\nHost: h\r\nContent-Type: image/png\r\n{framing}\r\n\r\n").into_bytes()
}

fn md5(bytes: &[u8]) -> String {
    use md5::Digest;
    hex::encode(md5::Md5::digest(bytes))
}

/// Five MiB in both framings, and a small body in chunks, arrive whole and in time.
async fn uploads_arrive(gate: &Gate) {
    let body = b"0123456789abcdef".repeat(5 << 16);
    let mut connection = gate.connect().await;
    let reply = send_upload(&mut connection, &format!("Content-Length: {}", body.len()), &body).await;
    assert_eq!((reply.at("/md5"), reply.at("/length")), (md5(&body).into(), body.len().to_string().into()));

    let small = send_upload(&mut connection, "Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n").await;
    assert_eq!((small.at("/md5"), small.at("/length")), (md5(b"hello").into(), "5".into()));
}

async fn send_upload(connection: &mut Connection, framing: &str, bytes: &[u8]) -> Reply {
    connection.send(&upload(framing)).await;
    connection.send(bytes).await;
    connection.reply_to("POST").await.expect("a reply")
}

async fn events_arrive(gate: &Gate, directory: &Path) {
    let mut connection = gate.connect().await;
    connection.send(b"GET /events.php HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(connection.head().await.unwrap().0, 200);
    for event in ["1", "2", "3"] {
        assert!(connection.until(format!("data: {event}\n\n").as_bytes()).await.is_some(), "event {event}");
        std::fs::write(directory.join(format!("seen{event}")), "").unwrap();
    }
}

async fn zipped_stays_zipped(gate: &Gate) {
    let reply = gate.get("/zipped.php").await;
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    assert!(reply.body.starts_with(&[0x1f, 0x8b]) && reply.body.len() < 1000, "{} bytes", reply.body.len());
    assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
}

#[tokio::test]
async fn uploads_events_and_compressed_bodies_pass_before_the_built_in_server() {
    let directory = application();
    let php = Php::serve(directory.path());
    let gate = Gate::with(OPEN).upstream(&php.url).start().await;
    uploads_arrive(&gate).await;
    events_arrive(&gate, directory.path()).await;
    zipped_stays_zipped(&gate).await;
}

#[tokio::test]
async fn uploads_events_and_compressed_bodies_pass_before_nginx_and_php_fpm() {
    let directory = application();
    let php = PhpFpm::serve(directory.path());
    let gate = Gate::with(OPEN).upstream(&php.url).start().await;
    uploads_arrive(&gate).await;
    events_arrive(&gate, directory.path()).await;
    zipped_stays_zipped(&gate).await;

    // nginx gives even a long body in chunks its length.
    let body = vec![b'x'; 3 << 20];
    let framed = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    let reply = send_upload(&mut gate.connect().await, "Transfer-Encoding: chunked", &framed).await;
    assert_eq!((reply.at("/md5"), reply.at("/length")), (md5(&body).into(), body.len().to_string().into()));
}

#[tokio::test]
async fn parts_and_marks_of_files_pass_before_nginx() {
    let directory = application();
    let php = PhpFpm::serve(directory.path());
    let gate = Gate::with(OPEN).upstream(&php.url).start().await;
    let whole = gate.get("/style.css").await;
    let mark = whole.header("etag").expect("an ETag").to_owned();
    assert_eq!((whole.status, whole.body.len(), whole.header("accept-ranges")), (200, 1000, Some("bytes")));

    let part = gate.get("/style.css").header("Range", "bytes=10-14").await;
    assert_eq!((part.status, part.text().as_str()), (206, "01234"));
    assert_eq!(part.header("content-range"), Some("bytes 10-14/1000"));
    let same = gate.get("/style.css").header("If-None-Match", &mark).await;
    assert_eq!((same.status, same.header("etag"), same.body.len()), (304, Some(mark.as_str()), 0));
    let head = gate.request("HEAD", "/style.css").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("1000")));
    assert_eq!(gate.get("/style.css").header("Range", "bytes=5000-").await.status, 416);
}

#[tokio::test]
async fn nginx_may_refuse_an_upload_before_it_was_sent() {
    let directory = application();
    let php = PhpFpm::serve(directory.path());
    let gate = Gate::with(OPEN).upstream(&php.url).start().await;
    let mut connection = gate.connect().await;
    connection.send(&upload("Content-Length: 100000000")).await;
    connection.send(&vec![b'x'; 1 << 20]).await;
    let reply = connection.reply_to("POST").await.expect("a reply");
    assert_eq!((reply.status, reply.reason()), (413, ""));
    assert!(reply.text().contains("nginx"), "{}", reply.text());
}

/// The application with `deploy/php/ticketgate_prepend.php` before every script.
struct Guarded {
    php: Php,
    _directory: TempDir,
}

impl Guarded {
    fn start() -> Self {
        let directory = application();
        let prepend = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/php/ticketgate_prepend.php");
        let prepend = format!("auto_prepend_file={}", prepend.display());
        let php = Php::serve_with(directory.path(), &["-d", &prepend], &[("TICKETGATE_ASSERTION_KEY", "assert-key")]);
        Self { php, _directory: directory }
    }
}

#[tokio::test]
async fn an_application_that_asks_for_the_assertion_is_reached_through_the_gate_alone() {
    let guarded = Guarded::start();
    let yaml = format!("forward: {{assertion_key: assert-key}}\n{OPEN}");
    let gate = Gate::with(&yaml).upstream(&guarded.php.url).start().await;
    let reply = gate.get("/index.php?a=1&b=%zz").await;
    assert_eq!((reply.status, reply.at("/uri")), (200, "/index.php?a=1&b=%zz".into()));
    gate.post("/index.php").form(&[("a", "1")]).await.assert_passed();
    let assertion = reply.at("/server/HTTP_X_TICKETGATE_ASSERTION").as_str().unwrap().to_owned();

    let direct = |target: &str| crate::support::http::Request::new(guarded.php.address(), "GET", target);
    assert_eq!(direct("/index.php").await.status, 403);
    // The assertion of one request is worth nothing for another, and nothing without its own key.
    let again = direct("/index.php?a=2").header("X-Ticketgate-Assertion", &assertion);
    assert_eq!(again.await.status, 403);
    for lie in ["", "t=1,id=,u=,c=,sig=", "nonsense", "t=1,t=2,sig=a,sig=b"] {
        assert_eq!(direct("/index.php").header("X-Ticketgate-Assertion", lie).await.status, 403, "{lie}");
    }
    let other_key = Gate::with(&yaml.replace("assert-key", "other-key")).upstream(&guarded.php.url);
    assert_eq!(other_key.start().await.get("/index.php").await.status, 403);
    gate.move_to(gate.clock.now().as_secs() - 3600);
    assert_eq!(gate.get("/index.php").await.status, 403);
}
