//! `Expect: 100-continue` (RFC 9110, 10.1.1): the client is asked for its body once the request may pass, and not before.

use crate::support::backend::FakeBackend;
use crate::support::gate::Gate;
use crate::support::http::Connection;

const RULES: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
limits: {form: 4KiB}
clients: [{id: ios, secret: s3cret}]
endpoint: [{path: "/{module}/{controller}/{action}"}]
rules:
  - {path: "/open/**", require: public}
  - {path: "/small/**", require: public, max_body: 10}
  - {endpoint: news, require: client}
"#;

async fn standing() -> (Gate, FakeBackend) {
    let backend = FakeBackend::start().await;
    (Gate::with(RULES).upstream(&backend.url).start().await, backend)
}

/// Sends the head of an upload that waits, and gives the status of the first head that comes back.
async fn first_answer(gate: &Gate, target: &str, headers: &str) -> (u16, Connection) {
    let mut connection = gate.connect().await;
    let head = format!("POST {target} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n{headers}\r\n\r\n");
    connection.send(head.as_bytes()).await;
    let (status, _) = connection.head().await.expect("an answer to the head");
    (status, connection)
}

const BODIES: [(&str, &str); 6] = [
    ("Content-Type: image/png\r\nContent-Length: 3", "abc"),
    ("Content-Type: image/png\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"),
    ("Content-Type: application/json\r\nContent-Length: 3", "abc"),
    ("Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 7", "--B--\r\n"),
    ("Content-Type: multipart/form-data; boundary=B\r\nTransfer-Encoding: chunked", "7\r\n--B--\r\n\r\n0\r\n\r\n"),
    ("Content-Length: 3", "abc"),
];

#[tokio::test]
async fn a_client_that_waits_is_asked_for_its_body_and_the_application_gets_it() {
    let (gate, backend) = standing().await;
    let form = ("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3", "a=1");
    for (headers, body) in BODIES.into_iter().chain([form]) {
        let (status, mut connection) = first_answer(&gate, "/open/a", headers).await;
        assert_eq!(status, 100, "{headers}");
        connection.send(body.as_bytes()).await;
        connection.reply_to("POST").await.unwrap().assert_passed();
        let asked = backend.last();
        assert!(!asked.contains("Expect") && asked.contains("\r\nContent-Length: "), "{asked}");
    }
}

#[tokio::test]
async fn a_refused_request_is_never_asked_for_its_body() {
    let (gate, backend) = standing().await;
    for (headers, _) in BODIES {
        for (target, refused) in [("/news/list/add", 401), ("/no/such/rule", 403), ("/open/%zz", 400)] {
            let (status, mut connection) = first_answer(&gate, target, headers).await;
            assert_eq!(status, refused, "{target} {headers}");
            // What the client would send next might be the body or another request: nobody can tell any more.
            connection.finish().await;
            assert!(connection.until(b"HTTP/1.1").await.is_none(), "{target} {headers}");
        }
    }
    backend.assert_untouched();
}

#[tokio::test]
async fn a_body_that_would_be_too_large_is_not_asked_for() {
    let (gate, backend) = standing().await;
    let table = [
        ("/small/a", "Content-Type: image/png\r\nContent-Length: 11"),
        ("/small/a", "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 11"),
        ("/open/a", "Content-Type: image/png\r\nContent-Length: 99999999999"),
        ("/open/a", "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000"),
    ];
    for (target, headers) in table {
        assert_eq!(first_answer(&gate, target, headers).await.0, 413, "{target} {headers}");
    }
    backend.assert_untouched();
}

#[tokio::test]
async fn a_client_of_http_1_0_is_not_asked() {
    let (gate, _backend) = standing().await;
    let mut connection = gate.connect().await;
    connection.send(b"POST /open/a HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc").await;
    assert_eq!(connection.head().await.map(|(status, _)| status), Some(200));
}
