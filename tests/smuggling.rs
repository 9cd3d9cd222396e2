//! Streams that two servers could part into requests in two ways: whatever the application gets was decided on, once, and is parted alike by all.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod support;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::backend::FakeBackend;
use support::gate::Gate;

const PATIENCE: Duration = Duration::from_secs(60);

/// What nobody may reach without credentials, and what all the streams try to reach.
const SMUGGLED: &str = "GET /closed HTTP/1.1\r\nHost: h\r\nX-Odd: ";

/// How a length may be said. `N` stands for the length of what follows the head.
const LENGTHS: [&str; 18] = [
    "",
    "Content-Length: N\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 4\r\n",
    "content-length:4\r\n",
    "Content-Length: 4\r\nContent-Length: N\r\n",
    "Content-Length: 4, 4\r\n",
    "Content-Length: +4\r\n",
    "Content-Length: 0x4\r\n",
    "Content-Length: 4 \r\n",
    "Content-Length:  4\r\n",
    "Content-Length:\r\n",
    "Content-Length : 4\r\n",
    "Content_Length: 4\r\n",
    "Content-Length: 4\r\nConnection: Content-Length\r\n",
    "X: y\nContent-Length: 4\r\n",
    "X: y\rContent-Length: 4\r\n",
    "X: y\r\n Content-Length: 4\r\n",
];

/// How chunks may be announced.
const CODINGS: [&str; 18] = [
    "",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding:chunked\r\n",
    "Transfer-Encoding: Chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding: \x0bchunked\r\n",
    "Transfer-Encoding: chunked\x0c\r\n",
    "Transfer-Encoding: identity, chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked;a=b\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Transfer-Encoding: ,chunked\r\n",
    "Transfer_Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n",
    "X: y\nTransfer-Encoding: chunked\r\n",
];

/// How the line of a chunk's size may look, and how a chunk may end.
const SIZES: [&str; 22] = [
    "0",
    "00",
    "1",
    "01",
    "0x1",
    "+1",
    "-1",
    "1_0",
    " 1",
    "1 ",
    "1\t",
    "1;a",
    "1;a=\"\r\n\"",
    "1;\n",
    "1\r",
    "1\0",
    "",
    "g",
    "1g",
    "ffffffffffffffff",
    "10000000000000001",
    "fffffffffffffffff1",
];
const ENDS: [&str; 9] = [
    "\r\n\r\n",
    "\r\nZ\r\n0\r\n\r\n",
    "\nZ\r\n0\r\n\r\n",
    "\r\nZ\n0\r\n\r\n",
    "\r\nZ0\r\n\r\n",
    "\r\nZZ\r\n0\r\n\r\n",
    "\r\nZ\r\n0\n\n",
    "\r\nZ\r\n0\r\nContent-Length: 4\r\n\r\n",
    "\r\nZ\r\n0\r\n\r\r\n",
];

async fn start() -> (Gate, FakeBackend) {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(
        r#"
upstream: {url: "{upstream}"}
rules: [{path: "/", require: public}]
default: client
"#,
    );
    (gate.upstream(&backend.url).start().await, backend)
}

/// Sends a stream on a connection of its own, and waits until the gate has done with it.
async fn send(gate: &Gate, stream: &str) {
    let mut connection = gate.connect().await;
    connection.send(stream.as_bytes()).await;
    connection.finish().await;
    connection.rest().await;
}

/// All that came was decided on, for the open path, and says in one way how long it is. Tells how many came.
async fn assert_decided(gate: &Gate, backend: &FakeBackend) -> usize {
    let requests = backend.requests();
    let ids: HashSet<&str> = requests.iter().map(|request| assert_plain(request)).collect();
    assert_eq!(ids.len(), requests.len(), "a request came twice");
    let told = lines(gate, &ids).await;
    for id in ids {
        assert_eq!(told[id]["path"], "/", "{}", told[id]);
    }
    requests.len()
}

/// The gate's own identifier of a request at the backend.
fn assert_plain(request: &str) -> &str {
    let head = request.split("\r\n\r\n").next().expect("a head");
    let line = head.lines().next().expect("a line");
    assert!(matches!(line, "POST / HTTP/1.1" | "GET / HTTP/1.1" | "DELETE / HTTP/1.1"), "{request:?}");
    assert!(!head.contains("\n\n") && head.replace("\r\n", "").chars().all(|one| one >= ' '), "{request:?}");
    let all = |name: &str| head.lines().filter(|line| line.to_ascii_lowercase().starts_with(name)).count();
    assert!(all("content-length:") + all("transfer-encoding:") <= 1, "{request:?}");
    assert_eq!(all("content_length") + all("transfer_encoding"), 0, "{request:?}");
    let mut ids = head.lines().filter_map(|line| line.strip_prefix("X-Request-Id: "));
    let id = ids.next().expect("an identifier");
    assert_eq!(ids.next(), None, "{request:?}");
    id
}

/// The lines of the gate's log for these identifiers: all of them, or it never knew of one.
async fn lines(gate: &Gate, ids: &HashSet<&str>) -> HashMap<String, Value> {
    let start = Instant::now();
    loop {
        let log = gate.log();
        let all = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line"));
        let told: HashMap<String, Value> =
            all.map(|line| (line["request_id"].as_str().unwrap_or_default().to_owned(), line)).collect();
        if ids.iter().all(|id| told.contains_key(*id)) {
            return told;
        }
        assert!(start.elapsed() < PATIENCE, "the gate knows nothing of a request that the backend got");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn however_a_length_is_said_only_what_was_decided_on_reaches_the_application() {
    let (gate, backend) = start().await;
    let mut plain = 0;
    for (length, coding) in LENGTHS.iter().flat_map(|length| CODINGS.map(|coding| (length, coding))) {
        for (method, before) in
            [("POST", ""), ("POST", "0\r\n\r\n"), ("POST", "1\r\nZ\r\n0\r\n\r\n"), ("GET", ""), ("DELETE", "0\r\n\r\n")]
        {
            let rest = format!("{before}{SMUGGLED}y\r\n\r\n");
            let length = length.replace('N', &rest.len().to_string());
            send(&gate, &format!("{method} / HTTP/1.1\r\nHost: h\r\n{length}{coding}\r\n{rest}")).await;
            plain += usize::from(length.is_empty() && coding.is_empty());
        }
    }
    let came = assert_decided(&gate, &backend).await;
    assert!(came > plain, "hardly anything passed: {came}");
}

#[tokio::test]
async fn however_chunks_are_spelled_only_what_was_decided_on_reaches_the_application() {
    let (gate, backend) = start().await;
    for (size, end) in SIZES.iter().flat_map(|size| ENDS.map(|end| (size, end))) {
        let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        send(&gate, &format!("{head}{size}{end}{SMUGGLED}y\r\n\r\n")).await;
    }
    let came = assert_decided(&gate, &backend).await;
    assert!(came > 0, "nothing passed");
    for request in backend.requests() {
        let body = request.split_once("\r\n\r\n").expect("a head").1;
        assert!(matches!(body, "" | "Z"), "{request:?}");
    }
}
