//! Names that decide something stand once, as text, and where they were configured: all else is refused, on public rules too.

mod support;

use support::backend::FakeBackend;
use support::bytes::{OPEN, all_refused, form, get, multipart, open, post, send, views, with};
use support::gate::Gate;

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
