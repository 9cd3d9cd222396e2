//! Bytes that servers read differently: refused, or taken off, before the application sees them, whatever the rules say.

mod support;

use support::bytes::{all_pass, all_refused, form, get, multipart, open, send, views, with};

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

#[tokio::test]
async fn an_answer_to_head_has_no_body_however_the_head_goes_on() {
    let (gate, backend) = open().await;
    for request in
        [&b"HEAD /a#b HTTP/1.1\r\nHost: HOST\r\n\r\n"[..], b"HEAD /a HTTP/1.1\r\n\r\n", b"HEAD /a b HTTP/1.1\r\n"]
    {
        let mut connection = gate.connect().await;
        connection.send(request).await;
        let reply = connection.reply_to("HEAD").await.expect("a reply");
        assert_eq!((reply.status, reply.reason()), (400, "malformed"));
        assert_eq!(connection.rest().await, b"", "{}", request.escape_ascii());
    }
    backend.assert_untouched();
}
