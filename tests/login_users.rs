//! Who logged in: every source of a user's id, and callers that would like to be somebody else.

mod support;

use serde_json::json;
use support::backend::{Answer, FakeBackend};
use support::caller::session_of;
use support::gate::Gate;
use support::http::{Reply, Request};
use support::php::Php;

/// A site whose login rule succeeds with code 1 and reads the user so.
fn yaml(user_id: &str) -> String {
    format!(
        "upstream: {{url: \"{{upstream}}\"}}\nclients: [{{id: ios, secret: s3cret}}]\n\
         endpoint: [{{query: {{module: mod, controller: ctl, action: act}}}}]\n\
         rules: [{{endpoint: user/auth/login, require: client, \
         login: {{success: {{json: {{/code: 1}}}}, user_id: {user_id}}}}}]\ndefault: user\n"
    )
}

fn answer(headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn log_in(user_id: &str, answer: &[u8]) -> Reply {
    let backend = FakeBackend::answering(answer).await;
    let gate = Gate::with(&yaml(user_id)).upstream(&backend.url).start().await;
    gate.client("ios", "s3cret").post("user/auth/login", &[("username", "LiLei"), ("password", "x")]).await
}

async fn assert_user(user_id: &str, headers: &str, body: &str, expected: Option<&str>) {
    let reply = log_in(user_id, &answer(headers, body)).await;
    let found = reply.at("/data/user_id");
    assert_eq!(found.as_str(), expected, "{user_id} of {headers:?} {body}");
}

const OK: &str = "{\"code\":1}";

#[tokio::test]
async fn an_id_may_stand_in_json_form_header_cookie_or_body() {
    let table: &[(&str, &str, &str, Option<&str>)] = &[
        ("'json:/data/uid'", "", r#"{"code":1,"data":{"uid":7}}"#, Some("7")),
        ("'json:/data/uid'", "", r#"{"code":1,"data":{"uid":"007"}}"#, Some("007")),
        ("'json:/data/uid'", "", r#"{"code":1,"data":{"uid":"\u674e\u96f7"}}"#, Some("李雷")),
        ("'form:username'", "", OK, Some("LiLei")),
        ("'form:nobody'", "", OK, None),
        ("'header:X-Uid'", "X-Uid: 7\r\n", OK, Some("7")),
        ("'header:x-uid'", "X-UID: 8\r\n", OK, Some("8")),
        ("'header:X-Uid'", "", OK, None),
        ("'header:X-Uid'", "X-Uid:\r\n", OK, None),
        ("'cookie:uid'", "Set-Cookie: uid=7; path=/\r\n", OK, Some("7")),
        ("'cookie:uid'", "Set-Cookie: uid=7; path=/\r\nSet-Cookie: uid=; path=/; Max-Age=0\r\n", OK, None),
        ("'cookie:*_uid'", "Set-Cookie: x=1\r\nSet-Cookie: app_uid=7\r\n", OK, Some("7")),
        ("'body:\"uid\":(\\d+)'", "", r#"{"code":1,"uid":7}"#, Some("7")),
        ("'body:\"uid\":(\\d+)|code'", "", OK, None),
    ];
    for (user_id, headers, body, expected) in table {
        assert_user(user_id, headers, body, *expected).await;
    }
}

#[tokio::test]
async fn an_id_may_be_decoded_cut_out_and_folded() {
    let table: &[(&str, &str, Option<&str>)] = &[
        ("{from: 'cookie:u', decode: url}", "u=%E6%9D%8E%E9%9B%B7+x", Some("李雷 x")),
        ("{from: 'cookie:u', decode: base64}", "u=N3xsaWxlaQ==", Some("7|lilei")),
        ("{from: 'cookie:u', decode: base64}", "u=N3xsaWxlaQ%3D%3D", Some("7|lilei")),
        ("{from: 'cookie:u', decode: base64}", "u=N3xsaWxlaQ", Some("7|lilei")),
        ("{from: 'cookie:u', decode: base64}", "u=5p2O+w", None),
        ("{from: 'cookie:u', decode: base64, match: '^(\\d+)\\|'}", "u=N3xsaWxlaQ==", Some("7")),
        ("{from: 'cookie:u', match: '^[a-z]+'}", "u=lilei-77", Some("lilei")),
        ("{from: 'cookie:u', match: '^([a-z]+)-(\\d+)'}", "u=lilei-77", Some("lilei")),
        ("{from: 'cookie:u', match: '^a(b)?|lilei'}", "u=lilei-77", None),
        ("{from: 'cookie:u', match: '^\\d+$'}", "u=lilei", None),
        ("{from: 'cookie:u', match: '(?i)^UID=(.*)$', decode: url, fold: lower}", "u=uid%3DLiLei", Some("lilei")),
        ("{from: 'form:username', fold: lower}", "u=1", Some("lilei")),
        ("{from: 'json:/nothing', fold: lower}", "u=1", None),
    ];
    for (user_id, cookie, expected) in table {
        assert_user(user_id, &format!("Set-Cookie: {cookie}\r\n"), OK, *expected).await;
    }
}

/// An application of which the field `LoginForm[username]` logs in; it says whom.
const YII: &str = r#"<?php
$form = isset($_POST['LoginForm']) ? $_POST['LoginForm'] : null;
$name = is_array($form) && isset($form['username']) && is_string($form['username']) ? $form['username'] : null;
echo json_encode(array('code' => 1, 'who' => $name));
"#;

#[tokio::test]
async fn a_field_inside_an_array_is_the_one_that_php_reads() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("index.php"), YII).expect("an application");
    let php = Php::serve(directory.path());
    let gate = Gate::with(&yaml("'form:LoginForm[username]'")).upstream(&php.url).start().await;
    let ios = gate.client("ios", "s3cret");
    let deep = format!("LoginForm[username]=victim&LoginForm{}=x", "[a]".repeat(65));
    let forms = [
        "LoginForm[username]=lilei&LoginForm[password]=x",
        "LoginForm%5Busername%5D=li%20lei",
        "LoginForm[username]=victim&LoginForm[username]=me",
        "LoginForm[username]=victim&LoginForm%5busername%5d=me",
        "LoginForm[username]=victim&LoginForm[username]junk=me",
        "LoginForm[username]=victim&LoginForm[username]junk[x]=me",
        "LoginForm[username]=victim&LoginForm[username][x=me",
        "LoginForm[username]=victim&+LoginForm[username]=me",
        "LoginForm[username]=victim&LoginForm[username]%00x=me",
        "LoginForm[username]=victim&LoginForm[username%00]=me",
        "LoginForm[username]=victim&LoginForm[+username]=me",
        "LoginForm[username]=victim&LoginForm[username][]=me",
        "LoginForm[username]=victim&LoginForm[username][ ]=me",
        "LoginForm[username]=victim&LoginForm=me",
        "LoginForm=victim&LoginForm[username]=me",
        "LoginForm[username][a]=victim&LoginForm[username]=me",
        "LoginForm[]=victim&LoginForm[username]=me",
        "LoginForm[username]=victim&LoginForm[]=me",
        "LoginForm[username=victim&LoginForm[username]=me",
        "LoginForm[username]=victim&LoginForm.[username]=me",
        "LoginForm[username]=victim;LoginForm[username]=me",
        "LoginForm[username]",
        &deep,
    ];
    for form in forms {
        let target = ios.target(&support::caller::mvc("user/auth/login"), "user/auth/login");
        let reply = Request::new(&gate.address, "POST", &target).body("application/x-www-form-urlencoded", form).await;
        let read = reply.at("/who");
        let expected = read.as_str().filter(|name| !name.is_empty()).map_or(json!(null), |name| json!(name));
        assert_eq!(reply.at("/data/user_id"), expected, "{form}: {}", reply.text());
    }
}

#[tokio::test]
async fn what_only_looks_like_a_form_names_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("index.php"), YII).expect("an application");
    let php = Php::serve(directory.path());
    let multipart = "--B\r\nContent-Disposition: form-data; name=\"LoginForm[username]\"\r\n\r\nme\r\n--B\r\n\
                     Content-Disposition: form-data; name=\"x\"\r\n\r\n&LoginForm[username]=victim&\r\n--B--\r\n";
    for source in ["'form:LoginForm[username]'", "'form:username'"] {
        let gate = Gate::with(&yaml(source)).upstream(&php.url).start().await;
        let target = gate.client("ios", "s3cret").target(&support::caller::mvc("user/auth/login"), "user/auth/login");
        for (method, content_type, body) in [
            ("POST", "multipart/form-data; boundary=B", multipart),
            ("POST", "text/plain", "LoginForm[username]=victim&username=victim"),
            ("PUT", "application/x-www-form-urlencoded", "LoginForm[username]=victim&username=victim"),
        ] {
            let reply = Request::new(&gate.address, method, &target).body(content_type, body).await;
            reply.assert_passed();
            assert_eq!(reply.at("/data/user_id"), json!(null), "{source} {method} {content_type}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn a_name_in_the_query_is_not_the_one_that_was_posted() {
    let backend = FakeBackend::answering(&answer("", OK)).await;
    let gate = Gate::with(&yaml("'form:username'")).upstream(&backend.url).start().await;
    let target = gate
        .client("ios", "s3cret")
        .target(&format!("{}&username=victim", support::caller::mvc("user/auth/login")), "user/auth/login");
    let reply = gate.post(&target).form(&[("username", "me")]).await;
    assert_eq!(reply.at("/data/user_id"), json!("me"));
    let reply = gate.post(&target).form(&[("password", "x")]).await;
    assert_eq!(reply.at("/data/user_id"), json!(null));
}

#[tokio::test]
async fn an_adopted_token_must_be_one() {
    let login = "'json:/data/uid', user_token: 'json:/data/token'";
    for token in ["null", "true", "false", "\"\"", "[]", "{}"] {
        let body = format!(r#"{{"code":1,"data":{{"uid":7,"token":{token}}}}}"#);
        let reply = log_in(login, &answer("", &body)).await;
        assert_eq!(reply.text(), body, "a login without a token did not succeed");
    }
    let body = r#"{"code":1,"data":{"uid":7,"token":"0f1e2d3c4b5a69788796a5b4c3d2e1f0"}}"#;
    assert_eq!(session_of(&log_in(login, &answer("", body)).await).user_token, "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
}

/// An application that names nobody when it logs in; `/me` tells who the cookie is, and renews it.
async fn silent_application(me: &'static str) -> FakeBackend {
    FakeBackend::with(move |request| {
        let text: String = request.iter().map(|byte| char::from(*byte)).collect();
        let cookie = text.lines().find_map(|line| line.strip_prefix("Cookie: ")).unwrap_or_default();
        Answer::Bytes(match (text.starts_with("GET /me?a=1 "), cookie) {
            (true, "sid=1") => me.as_bytes().to_vec(),
            (true, _) => answer("", "{}"),
            (false, _) => answer("Set-Cookie: sid=1; path=/\r\nSet-Cookie: deep=1; path=/other\r\n", OK),
        })
    })
    .await
}

const ME: &str = "HTTP/1.1 200 OK\r\nSet-Cookie: sid=2; path=/\r\nContent-Length: 9\r\n\r\n{\"uid\":7}";

async fn log_in_silently(me: &'static str) -> (Reply, FakeBackend, Gate) {
    let backend = silent_application(me).await;
    let gate = Gate::with(&yaml("{get: '/me?a=1', from: 'json:/uid'}")).upstream(&backend.url).start().await;
    let request = gate.client("ios", "s3cret").post("user/auth/login", &[("username", "LiLei")]);
    let request = request.header("User-Agent", "App/1").header("Authorization", "Basic eDp5").header("X-Own", "1");
    (request.header("Cookie", "sid=chosen").await, backend, gate)
}

#[tokio::test]
async fn an_id_may_stand_in_a_page_that_is_asked_for_with_the_new_cookies() {
    let (reply, backend, gate) = log_in_silently(ME).await;
    let session = session_of(&reply);
    assert_eq!(session.user_id, "7");
    let page = backend.last();
    assert!(page.starts_with("GET /me?a=1 HTTP/1.1\r\n") && page.contains("\r\nUser-Agent: App/1\r\n"), "{page}");
    assert!(
        page.contains("\r\nX-Auth-Client-Id: ios\r\n") && page.contains("\r\nX-Forwarded-For: 127.0.0.1\r\n"),
        "{page}"
    );
    for absent in ["content-", "authorization", "x-own", "accept-encoding", "chosen", "deep", "lilei", "api_token"] {
        assert!(!page.to_ascii_lowercase().contains(absent), "{absent} in {page}");
    }
    gate.client("ios", "s3cret").with(session).get("any/page/show").await.assert_passed();
    assert!(backend.last().contains("\r\nCookie: sid=2\r\n"), "cookies of the page are taken up: {}", backend.last());
}

#[tokio::test]
async fn a_page_that_names_nobody_makes_the_login_a_failed_one() {
    for me in [
        "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"uid\":null}",
    ] {
        let (reply, _backend, _gate) = log_in_silently(me).await;
        assert_eq!((reply.status, reply.text().as_str(), reply.header("set-cookie")), (200, OK, None));
    }
    let (reply, _backend, _gate) = log_in_silently("HTTP/1.1 nonsense\r\n\r\n").await;
    reply.assert_refused(502, "upstream_failed");
}
