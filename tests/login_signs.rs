//! How a login that succeeded is told: every kind of sign, on replies as old applications write them.

mod support;

use support::backend::FakeBackend;
use support::gate::Gate;
use support::http::Reply;

/// A site whose login rule has these contents.
fn yaml(login: &str) -> String {
    format!(
        "upstream: {{url: \"{{upstream}}\"}}\nclients: [{{id: ios, secret: s3cret}}]\n\
         endpoint: [{{query: {{module: mod, controller: ctl, action: act}}}}]\n\
         rules: [{{endpoint: user/auth/login, require: client, login: {login}}}]\ndefault: user\n"
    )
}

/// Bytes of a reply: header lines, then the body.
fn reply(status: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {}\r\n\r\n", body.as_ref().len());
    [head.as_bytes(), body.as_ref()].concat()
}

async fn log_in(login: &str, answer: &[u8]) -> Reply {
    let backend = FakeBackend::answering(answer).await;
    let gate = Gate::with(&yaml(login)).upstream(&backend.url).start().await;
    gate.client("ios", "s3cret").post("user/auth/login", &[("username", "lilei"), ("password", "x")]).await
}

/// The user that logged in, where one did.
fn user(reply: &Reply) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
    let token = json.pointer("/data/user_token")?.as_str()?;
    assert!(token.len() >= 32, "{token}");
    json.pointer("/data/user_id")?.as_str().map(str::to_owned)
}

/// Fails unless that rule takes that answer for the login of that user (`None`: for a failed one).
async fn assert_user(login: &str, answer: &[u8], expected: Option<&str>) {
    let reply = log_in(login, answer).await;
    assert_eq!(user(&reply).as_deref(), expected, "{login} on {}: {reply:?}", answer.escape_ascii());
}

#[tokio::test]
async fn values_in_json_compare_as_text() {
    let yes = "{success: {json: {/code: 1}}, user_id: \"json:/data/uid\"}";
    let table: &[(&str, &str, Option<&str>)] = &[
        (yes, r#"{"code":1,"data":{"uid":7}}"#, Some("7")),
        (yes, r#"{"code":"1","data":{"uid":"7"}}"#, Some("7")),
        (yes, r#"{"code":10,"data":{"uid":7}}"#, None),
        (yes, r#"{"code":true,"data":{"uid":7}}"#, None),
        (yes, r#"{"code":[1],"data":{"uid":7}}"#, None),
        (yes, r#"{"data":{"uid":7}}"#, None),
        ("{success: {json: {/code: '1'}}, user_id: \"json:/data/uid\"}", r#"{"code":1,"data":{"uid":7}}"#, Some("7")),
        ("{success: {json: {/ok: true}}, user_id: \"json:/data/uid\"}", r#"{"ok":true,"data":{"uid":7}}"#, Some("7")),
        ("{success: {json: {/ok: true}}, user_id: \"json:/data/uid\"}", r#"{"ok":"true","data":{"uid":7}}"#, Some("7")),
        ("{success: {json: {/ok: true}}, user_id: \"json:/data/uid\"}", r#"{"ok":false,"data":{"uid":7}}"#, None),
        (
            "{success: {json: {/error: ~}}, user_id: \"json:/data/uid\"}",
            r#"{"error":null,"data":{"uid":7}}"#,
            Some("7"),
        ),
        ("{success: {json: {/error: ~}}, user_id: \"json:/data/uid\"}", r#"{"error":"no","data":{"uid":7}}"#, None),
        ("{success: {json: {/error: ''}}, user_id: \"json:/data/uid\"}", r#"{"error":"","data":{"uid":7}}"#, Some("7")),
        ("{success: {json: {/0/ok: 1}}, user_id: \"json:/1/uid\"}", r#"[{"ok":1},{"uid":9}]"#, Some("9")),
        ("{success: {json: {/a~1b/m~0n: 1}}, user_id: \"json:/uid\"}", r#"{"a/b":{"m~n":1},"uid":9}"#, Some("9")),
        (
            "{success: {json: {/code: 1, /data/uid: 7}}, user_id: \"json:/data/uid\"}",
            r#"{"code":1,"data":{"uid":8}}"#,
            None,
        ),
        (yes, r#"{"code":1,"data":{"uid":123456789012345678901234567890}}"#, Some("123456789012345678901234567890")),
        (yes, r#"{"code":1,"data":{"uid":18446744073709551615}}"#, Some("18446744073709551615")),
    ];
    for (login, body, expected) in table {
        assert_user(login, &reply("200 OK", &[], body), *expected).await;
    }
}

#[tokio::test]
async fn what_names_nobody_is_no_user() {
    let login = "{success: {json: {/code: 1}}, user_id: \"json:/data/uid\"}";
    for uid in ["true", "false", "null", "\"\"", "[7]", "{}", r#""a\nb""#] {
        assert_user(login, &reply("200 OK", &[], format!(r#"{{"code":1,"data":{{"uid":{uid}}}}}"#)), None).await;
    }
}

#[tokio::test]
async fn json_is_recognised_by_its_content() {
    let login = "{success: {json: {/code: 1}}, user_id: \"json:/data/uid\"}";
    let json = br#"{"code":1,"msg":"ok","data":{"uid":7}}"#;
    let html = "Content-Type: text/html";
    let gbk = [&b"{\"code\":1,\"msg\":\"\xb5\xc7\xc2\xbc\xb3\xc9\xb9\xa6\",\"data\":{\"uid\":7}}"[..]].concat();
    let tricky = b"{\"code\":1,\"msg\":\"\x83\x5c\xd5\x5c\",\"data\":{\"uid\":7}}".to_vec();
    let table: Vec<(&str, Vec<u8>)> = vec![
        (html, json.to_vec()),
        ("Content-Type: application/octet-stream", json.to_vec()),
        (html, [b"\xef\xbb\xbf", &json[..]].concat()),
        (html, [b"\xef\xbb\xbf\xef\xbb\xbf", &json[..]].concat()),
        (html, [b"\r\n \xef\xbb\xbf\n", &json[..], b"\n\n"].concat()),
        ("Content-Type: text/html; charset=gbk", gbk.clone()),
        ("Content-Type: text/html; charset=\"GB2312\"", gbk.clone()),
        ("Content-Type: text/html; charset=utf-8", gbk.clone()),
        (html, gbk),
        ("Content-Type: text/html; charset=gbk", tricky.clone()),
        (html, tricky),
        ("Content-Type: text/html; charset=gbk", json.to_vec()),
        (html, b"{\"code\":1,\"msg\":\"caf\xe9\",\"data\":{\"uid\":7}}".to_vec()),
    ];
    for (header, body) in table {
        assert_user(login, &reply("200 OK", &[header], &body), Some("7")).await;
    }
    for body in ["{\"code\":1,\"data\":{\"uid\":7}", "{\"code\":1}{\"data\":{\"uid\":7}}", "", "code=1"] {
        assert_user(login, &reply("200 OK", &[html], body), None).await;
    }
}

#[tokio::test]
async fn a_reply_in_another_charset_is_told_in_ascii_and_says_the_same() {
    let login = "{success: {json: {/code: 1}}, user_id: \"json:/data/uid\"}";
    let gbk = b"{\"code\":1,\"msg\":\"\xb5\xc7\xc2\xbc\xb3\xc9\xb9\xa6\",\"data\":{\"uid\":7}}";
    let reply = log_in(login, &reply("200 OK", &["Content-Type: text/html; charset=gbk"], gbk)).await;
    assert_eq!((reply.at("/msg"), reply.header("content-type")), ("登录成功".into(), Some("text/html; charset=gbk")));
    assert!(reply.body.is_ascii());
}

#[tokio::test]
async fn an_id_whose_charset_is_a_guess_names_nobody() {
    let login = "{success: {json: {/code: 1}}, user_id: \"json:/data/name\"}";
    let body = |name: &[u8]| [b"{\"code\":1,\"data\":{\"name\":\"", name, b"\"}}"].concat();
    let (gbk, utf8) = (&b"\xd5\xc5\xc8\xfd"[..], "张三".as_bytes());
    let table: [(&str, &[u8], Option<&str>); 6] = [
        ("Content-Type: text/html; charset=gbk", gbk, Some("张三")),
        ("Content-Type: text/html", gbk, None),
        ("Content-Type: text/html; charset=utf-8", utf8, Some("张三")),
        ("Content-Type: text/html", utf8, Some("张三")),
        // Somebody else's name in GBK, whose bytes happen to be UTF-8 too.
        ("Content-Type: text/html; charset=gbk", utf8, None),
        ("Content-Type: text/html; charset=gbk", b"zhang", Some("zhang")),
    ];
    for (header, name, expected) in table {
        assert_user(login, &reply("200 OK", &[header], body(name)), expected).await;
    }
}

#[tokio::test]
async fn a_status_is_a_number_or_a_list() {
    let body = "<a href=\"/u/7\">";
    let with = |status: &str| format!("{{success: {{status: {status}}}, user_id: 'body:/u/(\\d+)'}}");
    assert_user(&with("200"), &reply("200 OK", &[], body), Some("7")).await;
    assert_user(&with("[301, 302]"), &reply("302 Found", &[], body), Some("7")).await;
    assert_user(&with("[301, 302]"), &reply("200 OK", &[], body), None).await;
    assert_user(&with("200"), &reply("201 Created", &[], body), None).await;
}

#[tokio::test]
async fn a_cookie_counts_when_it_lives_after_the_whole_reply() {
    let login = "{success: {cookie: 'auth_*'}, user_id: 'cookie:auth_*'}";
    let past = "auth_x=1; expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/";
    let table: &[(&[&str], Option<&str>)] = &[
        (&["auth_x=7; path=/"], Some("7")),
        (&["AUTH_X=7; path=/"], Some("7")),
        (&["auth_x=; path=/"], None),
        (&["auth_x=7; path=/; Max-Age=0"], None),
        (&["auth_x=7; path=/; Max-Age=-1"], None),
        (&[past], None),
        (&["auth_x=7; Max-Age=60; expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/"], Some("7")),
        (&["auth_x=7; path=/", past], None),
        (&[past, "auth_x=7; path=/"], Some("7")),
        (&["auth_x=7; path=/", past, "auth_x=8; path=/"], Some("8")),
        (&["auth_x=7; path=/a", past], Some("7")),
        (&["auth_x=7; path=/", "auth_x=; path=/"], None),
        (&["other=7; path=/"], None),
        (&["auth_x=7; path=/; domain=elsewhere.example; Secure; HttpOnly; SameSite=Strict"], Some("7")),
        (&["auth_x=7"], Some("7")),
        (&["auth_x=7; path=/; expires=Sun, 06 Nov 2094 08:49:37 GMT"], Some("7")),
        (&["auth_x=7; path=/; expires=Sunday, 06-Nov-94 08:49:37 GMT"], None),
    ];
    for (cookies, expected) in table {
        let lines: Vec<String> = cookies.iter().map(|cookie| format!("Set-Cookie: {cookie}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_user(login, &reply("200 OK", &lines, "ok"), *expected).await;
    }
}

#[tokio::test]
async fn a_location_is_compared_by_path_and_query() {
    let login = |glob: &str| format!("{{success: {{location: '{glob}'}}, user_id: 'form:username'}}");
    let table: &[(&str, &str, bool)] = &[
        ("/home.php", "/home.php", true),
        ("/home.php", "http://app.example/home.php", true),
        ("/home.php", "https://app.example:8443/home.php", true),
        ("/home.php", "//app.example/home.php", true),
        ("/home.php", "/home.php?from=login", false),
        ("/home.php*", "/home.php?from=login", true),
        ("/home.php*", "http://app.example/home.php?from=login", true),
        ("/home.php", "/home.php#top", true),
        ("/home.php", "home.php", true),
        ("home.php", "home.php", true),
        ("/home.php", "./home.php", true),
        ("/home.php", "../home.php", true),
        ("/a/home.php", "a/home.php", true),
        ("/login?next=*", "/login?next=http://app.example/home.php", true),
        ("/home.php", "/login?next=http://app.example/home.php", false),
        ("/home.php", "login?next=http://app.example/home.php", false),
        ("/?ok=1", "http://app.example?ok=1", true),
        ("/?ok=1", "http://app.example/?ok=1", true),
        ("/", "http://app.example", true),
        ("/", "/", true),
        ("/admin/", "/admin/", true),
        ("/admin/", "http://app.example/admin/", true),
        ("/admin/*", "/admin/", true),
        ("*error*", "http://error.example/home.php", false),
        ("/**", "/a/b/c?d=/e", true),
        ("/index.php?mod=user&ctl=home", "?mod=user&ctl=home", true),
    ];
    for (glob, location, expected) in table {
        let header = format!("Location: {location}");
        let answer = reply("302 Found", &[&header], "");
        assert_user(&login(glob), &answer, expected.then_some("lilei")).await;
    }
    assert_user(&login("**"), &reply("302 Found", &[], ""), None).await;
}

#[tokio::test]
async fn a_body_is_searched_for_an_expression() {
    let login = |regex: &str| format!("{{success: {{body: '{regex}'}}, user_id: 'form:username'}}");
    let gbk = b"<title>\xbb\xb6\xd3\xad</title>".to_vec();
    let table: Vec<(&str, Vec<u8>, bool)> = vec![
        ("欢迎", "<title>欢迎</title>".into(), true),
        ("欢迎", gbk, true),
        ("^ok$", "ok".into(), true),
        ("^ok$", "ok\n<br>".into(), false),
        ("(?m)^ok$", "ok\n<br>".into(), true),
        ("(?i)welcome", "WELCOME".into(), true),
        ("x", "".into(), false),
    ];
    for (regex, body, expected) in table {
        let answer = reply("200 OK", &["Content-Type: text/html; charset=gb2312"], &body);
        assert_user(&login(regex), &answer, expected.then_some("lilei")).await;
    }
}

#[tokio::test]
async fn all_conditions_of_a_map_must_hold_and_any_map_of_a_list() {
    let user_id = "user_id: 'form:username'";
    let table: &[(&str, &str, &[&str], &str, bool)] = &[
        ("{status: 200, body: ok}", "200 OK", &[], "ok", true),
        ("{status: 200, body: ok}", "200 OK", &[], "no", false),
        ("{status: 200, body: ok}", "500 Oops", &[], "ok", false),
        ("{status: 200, not: {body: error}}", "200 OK", &[], "ok", true),
        ("{status: 200, not: {body: error}}", "200 OK", &[], "error", false),
        ("{cookie: sid, not: {location: '*error*'}}", "302 Found", &["Set-Cookie: sid=1", "Location: /home"], "", true),
        (
            "{cookie: sid, not: {location: '*error*'}}",
            "302 Found",
            &["Set-Cookie: sid=1", "Location: /?error=1"],
            "",
            false,
        ),
        ("{not: {json: {/code: 0}}}", "200 OK", &[], "{\"code\":1}", true),
        ("{not: {json: {/code: 0}}}", "200 OK", &[], "{\"code\":0}", false),
        ("{status: 200, not: {not: {body: ok}}}", "200 OK", &[], "ok", true),
        ("{body: ok, not: {status: 200, body: captcha}}", "200 OK", &[], "ok", true),
        ("{body: ok, not: {status: 200, body: captcha}}", "200 OK", &[], "ok captcha", false),
        ("{body: ok, not: [{status: 500}, {body: captcha}]}", "200 OK", &[], "ok", true),
        ("{body: ok, not: [{status: 500}, {body: captcha}]}", "200 OK", &[], "ok captcha", false),
        ("{body: ok, not: [{status: 500}, {body: captcha}]}", "500 Oops", &[], "ok", false),
        ("[{status: 302}, {body: ok}]", "200 OK", &[], "ok", true),
        ("[{status: 302}, {body: ok}]", "302 Found", &[], "", true),
        ("[{status: 302}, {body: ok}]", "200 OK", &[], "", false),
    ];
    for (success, status, headers, body, expected) in table {
        let login = format!("{{success: {success}, {user_id}}}");
        assert_user(&login, &reply(status, headers, body), expected.then_some("lilei")).await;
    }
}
