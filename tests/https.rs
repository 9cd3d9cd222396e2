//! HTTPS on the public listener: the same requests read as strictly, and certificates replaced while it serves.

mod support;

use std::time::{Duration, Instant};

use support::apps::MVC;
use support::backend::FakeBackend;
use support::gate::{Gate, Setup};
use support::http::Connection;
use support::http2::{Client, End};
use support::tls::{self, Certificate};
use tokio::net::TcpStream;

const OPEN: &str = "upstream: {url: \"{upstream}\"}\nstore: {key: plain}\ndefault: public\n";

/// A request that is under way.
const HALF: &[u8] = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nab";
const REST: &[u8] = b"cd";

fn setup(backend: &FakeBackend, certificate: &Certificate, more: &str) -> Setup {
    Gate::with(&format!("{}{OPEN}{more}", certificate.yaml())).upstream(&backend.url)
}

async fn certificate_of(gate: &Gate) -> Vec<u8> {
    tls::shown(&tls::connect(&gate.address, &["http/1.1"]).await)
}

/// Waits until new handshakes get that certificate.
async fn shows(gate: &Gate, certificate: &Certificate) {
    let wanted = certificate.der();
    let started = Instant::now();
    while certificate_of(gate).await != wanted {
        assert!(started.elapsed() < Duration::from_secs(20), "the certificate is not taken up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn requests_are_read_as_strictly_as_without_tls_and_told_as_https() {
    let backend = FakeBackend::start().await;
    let gate = setup(&backend, &Certificate::new(), "").start().await;
    let mut connection = tls::open(&gate.address).await;
    for _ in 0..3 {
        connection.send(b"GET /a HTTP/1.1\r\nHost: gate.example\r\n\r\n").await;
        connection.reply_to("GET").await.unwrap().assert_passed();
    }
    let asked = backend.last();
    for line in ["X-Forwarded-Proto: https", "X-Forwarded-Host: gate.example", "X-Forwarded-Port: 443"] {
        assert!(asked.lines().any(|one| one.eq_ignore_ascii_case(line)), "no {line} in {asked}");
    }
    for bytes in [
        &b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"[..],
        b"GET /a HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
        b"GET /a HTTP/1.1\nHost: h\n\n",
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let mut connection = tls::open(&gate.address).await;
        connection.send(bytes).await;
        connection.reply_to("GET").await.unwrap().assert_refused(400, "malformed");
        assert_eq!(connection.rest().await, b"");
    }
    assert_eq!(backend.requests().len(), 3);
}

#[tokio::test]
async fn old_and_new_tls_are_spoken_and_nothing_older() {
    let backend = FakeBackend::start().await;
    let gate = setup(&backend, &Certificate::new(), "").start().await;
    for (option, code) in [("--tls-max 1.2", "200"), ("--tlsv1.3", "200"), ("--tls-max 1.1", "000")] {
        let output = tokio::process::Command::new("curl")
            .args(["-sk", "-o", "/dev/null", "-w", "%{http_code}"])
            .args(option.split(' '))
            .arg(format!("https://{}/a", gate.address))
            .output()
            .await
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), code, "{option}");
    }
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_nobody_notices() {
    let backend = FakeBackend::start().await;
    let (certificate, next) = (Certificate::new(), Certificate::new());
    let gate = setup(&backend, &certificate, "").start().await;
    assert_eq!(certificate_of(&gate).await, certificate.der());
    let (mut idle, mut busy) = (tls::open(&gate.address).await, tls::open(&gate.address).await);
    let mut streams = Client::open(&gate.address).await;
    idle.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    idle.reply_to("GET").await.unwrap().assert_passed();
    assert!(matches!(streams.get("/a").await, End::Answer(200, _)));
    busy.send(HALF).await;

    certificate.replace_with(&next);
    shows(&gate, &next).await;
    idle.send(b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n").await;
    idle.reply_to("GET").await.unwrap().assert_passed();
    assert!(matches!(streams.get("/b").await, End::Answer(200, _)));
    busy.send(REST).await;
    busy.reply_to("POST").await.unwrap().assert_passed();
    assert!(backend.last().ends_with("\r\n\r\nabcd"), "{}", backend.last());
}

#[tokio::test]
async fn a_new_tls_key_logs_nobody_out() {
    let backend = FakeBackend::start().await;
    let (certificate, next) = (Certificate::new(), Certificate::new());
    let yaml = "upstream: {url: \"{upstream}\"}\nstore: {key: plain}\nadmin: {listen: 127.0.0.1:0, token: t0ken}\n\
                clients: [{id: ios, secret: s3cret}]\nsession: {user_id: optional}\n\
                rules: [{path: /me, require: user_only}]\n";
    let gate = Gate::with(&format!("{}{yaml}", certificate.yaml())).upstream(&backend.url).start().await;
    let issued = gate.admin("POST", "/api/v1/users/7/sessions").header("Authorization", "Bearer t0ken");
    let issued = issued.body("application/json", "{\"client_id\":\"ios\"}").await;
    assert_eq!(issued.status, 201, "{issued:?}");
    let token = issued.at("/user_token").as_str().unwrap().to_owned();
    let ask = format!("GET /me HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n");
    for replaced in [false, true] {
        if replaced {
            certificate.replace_with(&next);
            shows(&gate, &next).await;
        }
        let mut connection = tls::open(&gate.address).await;
        connection.send(ask.as_bytes()).await;
        connection.reply_to("GET").await.unwrap().assert_passed();
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_change_nothing_and_are_said() {
    let backend = FakeBackend::start().await;
    let (certificate, next) = (Certificate::new(), Certificate::new());
    let mut process =
        setup(&backend, &certificate, "log: {format: text, level: info, access: false}\n").process().await;
    let before = certificate.der();
    // A certificate without its key.
    std::fs::copy(&next.cert, &certificate.cert).unwrap();
    let said = process.line_with("the TLS certificate stays as it was").await;
    assert!(said.contains("key.pem") && said.contains("is not the key of the first certificate"), "{said}");
    assert_eq!(tls::shown(&tls::connect(&process.address, &["h2"]).await), before);
    // Its key comes later.
    std::fs::copy(&next.key, &certificate.key).unwrap();
    process.line_with("a new TLS certificate is in use").await;
    assert_eq!(tls::shown(&tls::connect(&process.address, &["h2"]).await), next.der());
    std::fs::write(&certificate.cert, "nonsense").unwrap();
    process.line_with("holds no certificate").await;
    assert_eq!(tls::shown(&tls::connect(&process.address, &["h2"]).await), next.der());
}

#[tokio::test]
async fn a_handshake_that_does_not_come_on_is_left() {
    let backend = FakeBackend::start().await;
    let gate = setup(&backend, &Certificate::new(), "timeouts: {header: 400ms}\n").start().await;
    for bytes in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut connection = Connection::open(&gate.address).await;
        let started = Instant::now();
        connection.send(bytes).await;
        connection.rest().await;
        let lasted = started.elapsed();
        assert!((Duration::from_millis(350)..Duration::from_secs(5)).contains(&lasted), "{lasted:?}");
    }
    // Once greeted, the head has its time.
    let mut connection = tls::open(&gate.address).await;
    connection.send(b"GET /a HT").await;
    connection.reply_to("GET").await.unwrap().assert_refused(400, "malformed");
}

#[tokio::test]
async fn who_speaks_something_else_gets_no_answer_and_is_no_trouble() {
    let backend = FakeBackend::start().await;
    let gate = setup(&backend, &Certificate::new(), "").start().await;
    assert!(gate.raw(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await.is_none());
    backend.assert_untouched();
    let mut connection = tls::open(&gate.address).await;
    connection.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    connection.reply_to("GET").await.unwrap().assert_passed();
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_so_over_tls() {
    let backend = FakeBackend::start().await;
    let gate = setup(&backend, &Certificate::new(), "limits: {connections: 1}\n").start().await;
    let mut first = tls::open(&gate.address).await;
    first.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    first.reply_to("GET").await.unwrap().assert_passed();
    let started = Instant::now();
    let stream = tls::connect(&gate.address, &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let reply = Connection::over(stream).reply_to("GET").await.unwrap();
    reply.assert_refused(503, "overloaded");
    assert!(reply.header("retry-after").is_some());
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_drain_finishes_what_is_under_way() {
    let backend = FakeBackend::start().await;
    let gate = setup(&backend, &Certificate::new(), "").start().await;
    let address = gate.address.clone();
    let mut busy = tls::open(&address).await;
    let silent = TcpStream::connect(&address).await.unwrap();
    busy.send(HALF).await;
    let started = Instant::now();
    let stopping = tokio::spawn(gate.stop());
    while TcpStream::connect(&address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    busy.send(REST).await;
    let reply = busy.reply_to("POST").await.unwrap();
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    stopping.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(8), "a handshake that never begins is not waited for");
    drop(silent);
}

#[tokio::test]
async fn a_unix_socket_stays_plain_beside_https() {
    let backend = FakeBackend::start().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gate.sock");
    let listen = format!("listen: [\"127.0.0.1:0\", \"unix:{}\"]\n", path.display());
    let gate = setup(&backend, &Certificate::new(), &listen).start().await;
    let mut connection = Connection::over(tokio::net::UnixStream::connect(&path).await.unwrap());
    connection.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    connection.reply_to("GET").await.unwrap().assert_passed();
    assert!(backend.last().to_ascii_lowercase().contains("x-forwarded-proto: http\r\n"), "{}", backend.last());
    let mut connection = tls::open(&gate.address).await;
    connection.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    connection.reply_to("GET").await.unwrap().assert_passed();
}

#[tokio::test]
async fn on_unix_sockets_a_proxy_is_heard_once_it_is_trusted_and_operators_are_served() {
    let backend = FakeBackend::start().await;
    let directory = tempfile::tempdir().unwrap();
    let (path, admin) = (directory.path().join("gate.sock"), directory.path().join("admin.sock"));
    for (trusted, told) in [("", "127.0.0.1"), ("trusted_proxies: [127.0.0.1]\n", "203.0.113.7, 127.0.0.1")] {
        let yaml = format!(
            "listen: \"unix:{}\"\nadmin: {{listen: \"unix:{}\"}}\n{trusted}{OPEN}",
            path.display(),
            admin.display()
        );
        let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
        let mut connection = Connection::over(tokio::net::UnixStream::connect(&path).await.unwrap());
        connection.send(b"GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n").await;
        connection.reply_to("GET").await.unwrap().assert_passed();
        let asked = backend.last().to_ascii_lowercase();
        assert!(asked.contains(&format!("x-forwarded-for: {told}\r\n")), "{asked}");
        let mut operator = Connection::over(tokio::net::UnixStream::connect(&admin).await.unwrap());
        operator.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(operator.reply_to("GET").await.unwrap().status, 200);
        drop(connection);
        drop(operator);
        gate.stop().await;
        assert!(!path.exists() && !admin.exists(), "the sockets go with the gate");
    }
}

/// In front of PHP, and by HTTP/2 as curl speaks it.
#[tokio::test]
async fn an_application_is_used_over_https() {
    let php = support::php::Php::application("mvc");
    let certificate = Certificate::new();
    let gate = Gate::with(&format!("{}{MVC}", certificate.yaml())).upstream(&php.url).start().await;
    let output = tokio::process::Command::new("curl")
        .args(["-sSk", "--http2", "-w", " %{http_version} %{http_code}"])
        .arg(format!("https://{}/index.php?mod=debug&ctl=echo&act=all", gate.address))
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with('{') && text.contains(" 2 "), "{text} {}", output.stderr.escape_ascii());
}
