//! Requests as exact bytes, sent to a gate that refuses nothing but what it cannot read in one way only.

use super::backend::FakeBackend;
use super::gate::Gate;
use super::http::Reply;

/// All but one path is public, so that nothing but the reading of a request can refuse it.
pub const OPEN: &str = r#"
upstream: {url: "{upstream}"}
clients: [{id: ios, secret: s3cret}]
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
selectors: [_method]
limits: {form: 64KiB}
rules:
  - {path: "/form/**", params: {kind: "*"}, require: public}
  - {path: "/closed/**", require: client}
  - {path: "/**", require: public}
"#;

pub async fn open() -> (Gate, FakeBackend) {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(OPEN).upstream(&backend.url).start().await;
    (gate, backend)
}

/// Sends bytes in which `HOST` stands for the address of the gate.
pub async fn send(gate: &Gate, bytes: &[u8]) -> Reply {
    let mut all = vec![];
    let mut rest = bytes;
    while let Some(at) = rest.windows(4).position(|window| window == b"HOST") {
        let (before, after) = rest.split_at(at);
        all.extend_from_slice(before);
        all.extend_from_slice(gate.address.as_bytes());
        rest = after.split_at(4).1;
    }
    all.extend_from_slice(rest);
    gate.raw(&all).await.unwrap_or_else(|| panic!("no reply to {}", bytes.escape_ascii()))
}

/// Each of these is refused for that reason, and nothing of it reaches the backend.
pub async fn all_refused(reason: &str, requests: &[&[u8]]) {
    let (gate, backend) = open().await;
    for request in requests {
        let reply = send(&gate, request).await;
        let seen = (reply.status, reply.reason());
        assert_eq!(seen, (400, reason), "{}: {}", request.escape_ascii(), reply.body.escape_ascii());
    }
    backend.assert_untouched();
}

/// Each of these passes.
pub async fn all_pass(requests: &[&[u8]]) {
    let (gate, backend) = open().await;
    for request in requests {
        let reply = send(&gate, request).await;
        let seen = (reply.status, reply.reason());
        assert_eq!(seen, (200, ""), "{}: {}", request.escape_ascii(), reply.body.escape_ascii());
    }
    assert_eq!(backend.requests().len(), requests.len());
}

pub fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: HOST\r\n\r\n").into_bytes()
}

pub fn with(target: &str, header: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: HOST\r\n{header}\r\n\r\n").into_bytes()
}

pub fn post(target: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: HOST\r\nContent-Type: {content_type}\r\nContent-Length: {length}");
    format!("{head}\r\n\r\n{body}").into_bytes()
}

pub fn form(target: &str, body: &str) -> Vec<u8> {
    post(target, "application/x-www-form-urlencoded", body)
}

pub fn multipart(disposition: &str) -> Vec<u8> {
    let body = format!("--X\r\nContent-Disposition: form-data; {disposition}\r\n\r\nv\r\n--X--\r\n");
    post("/a", "multipart/form-data; boundary=X", &body)
}

pub fn views(requests: &[Vec<u8>]) -> Vec<&[u8]> {
    requests.iter().map(Vec::as_slice).collect()
}
