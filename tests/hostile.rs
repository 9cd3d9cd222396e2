//! Requests that servers read differently: refused before a byte of them reaches the backend, whatever the rules say.

mod support;

use support::backend::FakeBackend;
use support::gate::Gate;
use support::http::Reply;

/// All but one path is public, so that nothing but the reading of a request can refuse it.
const OPEN: &str = r#"
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

async fn open() -> (Gate, FakeBackend) {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(OPEN).upstream(&backend.url).start().await;
    (gate, backend)
}

/// Sends bytes in which `HOST` stands for the address of the gate.
async fn send(gate: &Gate, bytes: &[u8]) -> Reply {
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
async fn all_refused(reason: &str, requests: &[&[u8]]) {
    let (gate, backend) = open().await;
    for request in requests {
        let reply = send(&gate, request).await;
        let seen = (reply.status, reply.reason());
        assert_eq!(seen, (400, reason), "{}: {}", request.escape_ascii(), reply.body.escape_ascii());
    }
    backend.assert_untouched();
}

/// Each of these passes.
async fn all_pass(requests: &[&[u8]]) {
    let (gate, backend) = open().await;
    for request in requests {
        let reply = send(&gate, request).await;
        let seen = (reply.status, reply.reason());
        assert_eq!(seen, (200, ""), "{}: {}", request.escape_ascii(), reply.body.escape_ascii());
    }
    assert_eq!(backend.requests().len(), requests.len());
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: HOST\r\n\r\n").into_bytes()
}

fn with(target: &str, header: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: HOST\r\n{header}\r\n\r\n").into_bytes()
}

fn post(target: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: HOST\r\nContent-Type: {content_type}\r\nContent-Length: {length}");
    format!("{head}\r\n\r\n{body}").into_bytes()
}

fn form(target: &str, body: &str) -> Vec<u8> {
    post(target, "application/x-www-form-urlencoded", body)
}

fn multipart(disposition: &str) -> Vec<u8> {
    let body = format!("--X\r\nContent-Disposition: form-data; {disposition}\r\n\r\nv\r\n--X--\r\n");
    post("/a", "multipart/form-data; boundary=X", &body)
}

fn views(requests: &[Vec<u8>]) -> Vec<&[u8]> {
    requests.iter().map(Vec::as_slice).collect()
}

#[tokio::test]
async fn plain_requests_pass() {
    all_pass(&views(&[
        get("/"),
        get("/a/b.css?v=1"),
        get("/%E6%96%B0%E9%97%BB"),
        get("/a%20b"),
        get("/a?x=%zz&y[]=1&y[]=2&z=//"),
        get("/index.php?mod=a&ctl=b&act=c&user_id=1&user_token=2"),
        get("/a?my_user_id=1&user_ids=2"),
        with("/a", "Cookie: a=1; b=2"),
        with("/a", "Cookie: user_ids=1"),
        form("/a", "x=1&y=2"),
        form("/form/a?kind=1", "x=1"),
        multipart("name=\"x\""),
        multipart("name=\"x\"; filename=\"user_id.txt\""),
        b"GET http://HOST/a HTTP/1.1\r\nHost: HOST\r\n\r\n".to_vec(),
        b"POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_vec(),
    ]))
    .await;
}

#[tokio::test]
async fn methods_are_upper_case_tokens_that_are_known() {
    all_refused(
        "malformed",
        &[
            b"get / HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"Post / HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"TRACE / HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"CONNECT / HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"FOO / HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"G!T / HTTP/1.1\r\nHost: HOST\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test]
async fn the_length_of_a_body_is_said_once_and_in_one_way() {
    all_refused(
        "malformed",
        &[
            b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: +1\r\n\r\na",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0x1\r\n\r\na",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1, 2\r\n\r\nab",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\na",
            b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 99999999999999999999999\r\n\r\na",
            b"POST / HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test]
async fn there_is_one_host_and_the_target_agrees_with_it() {
    all_refused(
        "malformed",
        &[
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: HOST\r\nhost: evil\r\n\r\n",
            b"GET http://evil/ HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET http://user@HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET http://HOST@evil/ HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: good@evil\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test]
async fn heads_are_lines_that_every_server_reads_alike() {
    all_refused(
        "malformed",
        &[
            b"GET / HTTP/1.1\r\nHost: HOST\r\nX-A: 1\r\n folded\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: HOST\r\nX-A : 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: HOST\r\nX-A: a\x00b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: HOST\r\nX-A: a\rb\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: HOST\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: HOST\r\n: empty\r\n\r\n",
            b"GET / HTTP/1.1\nHost: HOST\n\n\r\n\r\n",
            b"GET  / HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET /a b HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET /\ta HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET / HTTP/1.2\r\nHost: HOST\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_target_is_ascii_without_fragment_and_backslash() {
    all_refused(
        "malformed",
        &[
            b"GET /\xc3\xa9 HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET /a\x7fb HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET /a\x00b HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET /a?x=\xff HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET /a#b HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET /a?t=1#&t=2 HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET /a\\b HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET /a?x=\\ HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET a HTTP/1.1\r\nHost: HOST\r\n\r\n",
            b"GET ?a=1 HTTP/1.1\r\nHost: HOST\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_path_means_one_thing() {
    let paths = [
        "/%",
        "/%2",
        "/%zz",
        "/a%2561",
        "/a%25",
        "/a%00",
        "/a%0a",
        "/a%7f",
        "/a%3fb",
        "/a%23b",
        "/a%3bb",
        "/a;b",
        "/a;jsessionid=1",
        "/a%5cb",
        "//a",
        "/a//b",
        "/./a",
        "/a/.",
        "/a/..",
        "/a/../b",
        "/%2e%2e/b",
        "/a/%2e/b",
        "/a/.%2e/b",
        "/a%2fb",
        "/a%2Fb",
        "/%2fa",
    ];
    let requests: Vec<Vec<u8>> = paths.iter().map(|path| get(path)).collect();
    all_refused("malformed", &views(&requests)).await;
}

#[tokio::test]
async fn parts_of_an_endpoint_are_plain_words() {
    let parts = ["%3Cb%3Eindex", "us%00er", "a/b", "a%2fb", "a.b", "a%20b", "..", "a%5cb", "a%0a", "a:b"];
    let requests: Vec<Vec<u8>> = parts.iter().map(|part| get(&format!("/index.php?mod={part}&ctl=b&act=c"))).collect();
    all_refused("malformed", &views(&requests)).await;
}

#[tokio::test]
async fn a_reserved_name_stands_once_and_as_text() {
    let queries = [
        "user_id=1&user_id=2",
        "user_id=1&user_id=1",
        "user_id[]=1",
        "user_id[a]=1",
        "user_id=1&user.id=2",
        "user_id=1&user+id=2",
        "user_id=1&user%20id=2",
        "user_id=1&user[id=2",
        "user_id=1&+user_id=2",
        "user_id=1&%20user_id=2",
        "user_id=1&user_id%00x=2",
        "user_id=1&%75ser_id=2",
        "user.id[]=1",
        "client_id=1&client_id=2",
        "api_token[]=1",
        "user_token=1&user_token[]=2",
        "sign=1&sign=2",
        "nonce[]=1",
        "mod=a&mod=b",
        "mod[]=a",
        "m%6fd=a&mod=b",
        "_method=DELETE",
        ".method=x",
        "_method[]=x",
    ];
    let requests: Vec<Vec<u8>> = queries.iter().map(|query| get(&format!("/a?{query}"))).collect();
    all_refused("ambiguous", &views(&requests)).await;
}

#[tokio::test]
async fn a_reserved_name_stands_in_one_place_that_is_configured() {
    all_refused(
        "ambiguous",
        &views(&[
            form("/a?user_id=1", "user_id=1"),
            form("/a", "user_id=1&user.id=2"),
            form("/a", "mod=a"),
            form("/a?mod=a&ctl=b&act=c", "act=d"),
            form("/a", "_method=PUT"),
            post("/a?user_id=1", "application/x-www-form-urlencoded, text/plain", "user_id=2"),
            post("/a?user_id=1", "Application/X-WWW-Form-URLEncoded;charset=gbk", "user_id=2"),
            post("/a?user_id=1", "application/x-www-form-urlencoded x", "user_id=2"),
            with("/a?user_id=1", "Cookie: user_id=1"),
            with("/a", "Cookie: user_id=1"),
            with("/a", "Cookie: a=1; user.id=1"),
            with("/a", "Cookie: user_id[x]=1"),
            with("/a", "Cookie: a=1\r\nCookie: user_token=1"),
            with("/a", "Cookie: mod=a"),
            with("/a", "Cookie: _method=PUT"),
            with("/a?user_id=1", "X-User-Id: 1"),
            with("/a", "X-User-Id: 1\r\nX-User-Id: 1"),
            with("/a", "X-Api-Token: 1\r\nx-api-token: 2"),
            with("/a", "X-User-Token: 1\r\nAuthorization: Bearer 1"),
            with("/a?user_token=1", "Authorization: Bearer 1"),
            get("/closed/user_id/5"),
            get("/closed/foo-user_id/5"),
            get("/closed/a/mod/x"),
            get("/a?/user/del"),
            get("/form/a?kind[]=1"),
            with("/form/a?kind=1", "Cookie: kind=1"),
            form("/form/a?kind=1", "kind=2"),
        ]),
    )
    .await;
}

#[tokio::test]
async fn a_multipart_body_holds_no_reserved_name_in_any_spelling() {
    all_refused(
        "ambiguous",
        &views(&[
            multipart("name=\"user_id\""),
            multipart("name=user_id"),
            multipart("name='user_id'"),
            multipart("name=\"user.id\""),
            multipart("name=\"user_id[]\""),
            multipart("name=\" user_id\""),
            multipart("NAME=\"user_id\""),
            multipart("name=\"x\"; name=\"user_id\""),
            multipart("name=\"mod\""),
            multipart("name=\"_method\""),
            multipart("name=\"user_id\"; filename=\"\""),
            post(
                "/a",
                "multipart/form-data; xboundary=A; boundary=B",
                "--A\nContent-Disposition: form-data; name=user_id\n\n1\n",
            ),
            post(
                "/a",
                "multipart/form-data; boundary=X",
                "--X--\r\n--X\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\n1\r\n--X--\r\n",
            ),
        ]),
    )
    .await;
}

#[tokio::test]
async fn a_long_multipart_body_is_broken_off_before_a_reserved_name() {
    let (gate, backend) = open().await;
    let padding = "x".repeat(200 * 1024);
    let body = format!(
        "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{padding}\r\n\
         --X\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\nhushhush\r\n--X--\r\n"
    );
    let reply = send(&gate, &post("/a", "multipart/form-data; boundary=X", &body)).await;
    assert_eq!((reply.status, reply.reason()), (400, "ambiguous"));
    let seen = backend.requests().concat();
    assert!(!seen.contains("user_id") && !seen.contains("hushhush"), "{} bytes reached the backend", seen.len());
}

#[tokio::test]
async fn a_form_without_a_length_is_bounded_as_well() {
    let (gate, backend) = open().await;
    let mut request = b"POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\n".to_vec();
    request.extend(b"Transfer-Encoding: chunked\r\n\r\n");
    for _ in 0..100 {
        request.extend(format!("400\r\n{}\r\n", "x".repeat(1024)).as_bytes());
    }
    request.extend(b"0\r\n\r\n");
    let reply = send(&gate, &request).await;
    assert_eq!((reply.status, reply.reason()), (413, "too_large"));
    backend.assert_untouched();
}

#[tokio::test]
async fn trailers_of_a_chunked_body_do_not_pass() {
    let (gate, backend) = open().await;
    let request = b"POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nTrailer: X-Auth-User-Id\r\n\r\n\
        2\r\nhi\r\n0\r\nX-Auth-User-Id: 1\r\nX-User-Id: 1\r\n\r\n";
    let reply = send(&gate, request).await;
    if reply.status == 200 {
        let asked = backend.last().to_ascii_lowercase();
        assert!(!asked.contains("user-id: 1") && asked.ends_with("hi"), "{asked}");
    }
}

#[tokio::test]
async fn a_refusal_names_what_and_where_and_no_value() {
    let (gate, _backend) = open().await;
    let reply = send(&gate, &with("/a?user_id=hushhush", "Cookie: user_id=hushhush")).await;
    let text = reply.text();
    assert!(text.contains("user_id") && text.contains("query") && text.contains("cookie"), "{text}");
    assert!(!text.contains("hushhush"), "{text}");
}

#[tokio::test]
async fn names_may_be_left_to_the_application_where_the_gate_does_not_look() {
    let yaml = OPEN.replace("selectors: [_method]", "credentials: [header]\nelsewhere: ignore");
    let backend = FakeBackend::start().await;
    let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
    for request in [get("/a?user_id=1&nonce=2&user_id=3"), form("/a", "user_id=1"), multipart("name=\"user_id\"")] {
        assert_eq!(send(&gate, &request).await.reason(), "", "{}", request.escape_ascii());
    }
    assert_eq!(send(&gate, &form("/a", "mod=x")).await.reason(), "ambiguous");
}

#[tokio::test]
async fn a_connection_with_a_malformed_request_serves_no_second_one() {
    let (gate, backend) = open().await;
    let mut connection = gate.connect().await;
    let smuggled = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
                    GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    connection.send(smuggled.as_bytes()).await;
    assert_eq!(connection.reply_to("POST").await.map(|reply| reply.status), Some(400));
    assert!(connection.reply_to("GET").await.is_none());
    backend.assert_untouched();
}

#[tokio::test]
async fn headers_that_would_lie_to_the_application_do_not_reach_it() {
    let (gate, backend) = open().await;
    let lies = [
        "X-Auth-User-Id: 1",
        "X-Auth-Client-Id: 1",
        "X-Auth-Session-Id: 1",
        "X_Auth_User_Id: 1",
        "X.Auth.User.Id: 1",
        "X-Ticketgate-Assertion: 1",
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Host: lie",
        "X_Forwarded_For: 6.6.6.6",
        "X-Forwarded-Prefix: /lie",
        "X-Real-IP: 6.6.6.6",
        "Client-IP: 6.6.6.6",
        "X-Client-IP: 6.6.6.6",
        "True-Client-IP: 6.6.6.6",
        "X-Cluster-Client-IP: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
        "Proxy: lie",
        "X-Original-URL: /lie",
        "X-Rewrite-URL: /lie",
        "X-HTTP-Method: PUT",
        "X-HTTP-Method-Override: PUT",
        "X-Method-Override: PUT",
        "Content_Length: 9",
        "X-Lie[a]: 1",
        "Keep-Alive: 1",
        "TE: trailers",
        "Upgrade: lie",
    ];
    for lie in lies {
        let reply = send(&gate, &with("/a", &format!("{lie}\r\nX-Kept: yes\r\nConnection: X-Gone\r\nX-Gone: 1"))).await;
        if reply.status == 400 {
            // Refusing the whole request keeps the lie from the application as well.
            continue;
        }
        let asked = backend.last();
        let name = lie.split(':').next().unwrap_or_default();
        let value = lie.split(": ").nth(1).unwrap_or_default();
        let passed = asked.lines().any(|line| line.eq_ignore_ascii_case(&format!("{name}: {value}")));
        assert!(!passed, "{lie} reached the application:\n{asked}");
        assert!(asked.contains("X-Kept: yes") || asked.contains("x-kept: yes"), "{asked}");
        assert!(!asked.to_ascii_lowercase().contains("x-gone"), "{asked}");
    }
}
