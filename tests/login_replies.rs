//! What a client is told of its login: the application's own reply, with the tokens put in, replaced, or untouched.

mod support;

use serde_json::json;
use support::backend::FakeBackend;
use support::caller::session_of;
use support::gate::Gate;
use support::http::Reply;

fn yaml(login: &str) -> String {
    format!(
        "upstream: {{url: \"{{upstream}}\", response_timeout: 1s}}\nclients: [{{id: ios, secret: s3cret}}]\n\
         endpoint: [{{query: {{module: mod, controller: ctl, action: act}}}}]\n\
         rules: [{{endpoint: user/auth/login, require: client, \
         login: {{success: {{cookie: sid}}, user_id: 'form:username'{login}}}}}]\ndefault: user\n"
    )
}

const SID: &str = "Set-Cookie: sid=1; path=/";

fn reply(status: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn log_in(login: &str, method: &str, answer: &[u8]) -> (Reply, Gate) {
    let backend = FakeBackend::answering(answer).await;
    let gate = Gate::with(&yaml(login)).upstream(&backend.url).start().await;
    let ios = gate.client("ios", "s3cret");
    let request = ios.request(method, &support::caller::mvc("user/auth/login"), "user/auth/login");
    let reply = request.header("Accept-Language", "en").form(&[("username", "lilei"), ("password", "x")]).await;
    (reply, gate)
}

#[tokio::test]
async fn tokens_are_merged_into_data_where_it_can_take_them() {
    let table: &[(&str, &[&str])] = &[
        (r#"{"code":1,"data":{"uid":7,"price":1.10,"id":12345678901234567890123}}"#, &["uid", "price", "id"]),
        (r#"{"code":1,"data":{"user_id":7,"user_token":"old","expire_time":1}}"#, &[]),
        (r#"{"code":1,"data":null}"#, &[]),
        (r#"{"code":1,"data":[]}"#, &[]),
        (r#"{"code":1,"data":{}}"#, &[]),
        (r#"{"code":1}"#, &[]),
    ];
    for (body, kept) in table {
        let (reply, gate) = log_in("", "POST", &reply("200 OK", &[SID, "Content-Type: text/html"], body)).await;
        let session = session_of(&reply);
        assert_eq!(session.user_id, "lilei");
        assert_eq!(session.user_token.len(), 32);
        assert!(session.expire_time.abs_diff(gate.clock.now().as_secs() + 7200) <= 5);
        assert_eq!((reply.at("/code"), reply.header("content-type")), (json!(1), Some("text/html")));
        let members = reply.at("/data").as_object().expect("an object").len();
        assert_eq!(members, kept.len() + 3, "{}", reply.text());
        for name in *kept {
            let written = body.split_once(&format!("\"{name}\":")).expect("a member").1;
            let value = written.split([',', '}']).next().expect("a value");
            assert!(reply.text().contains(&format!("\"{name}\":{value}")), "{name} stays as written: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn what_cannot_take_tokens_is_replaced_by_an_envelope() {
    for body in ["<html>", "", "[1]", "[]", "\"ok\"", "1", r#"{"data":"text"}"#, r#"{"data":[1]}"#, r#"{"data":7}"#] {
        let headers = [SID, "Content-Type: text/html", "Location: /home.php", "ETag: \"1\"", "X-Powered-By: PHP/5.2"];
        let (reply, _gate) = log_in("", "POST", &reply("302 Found", &headers, body)).await;
        assert_eq!((reply.status, reply.header("location"), reply.header("set-cookie")), (200, None, None), "{body}");
        assert_eq!((reply.header("etag"), reply.header("x-powered-by")), (None, None));
        assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
        assert!(reply.text().starts_with(r#"{"code":1,"msg":"logged in","data":{"user_id":"lilei","user_token":""#));
        assert_eq!(reply.at("/data").as_object().map(serde_json::Map::len), Some(3));
    }
}

#[tokio::test]
async fn an_envelope_lets_no_cookie_through_even_where_cookies_pass() {
    for login in [", reply: envelope", ", reply: envelope, cookies: pass"] {
        let answer = reply("200 OK", &[SID, "Location: /x"], r#"{"code":1,"data":{"uid":7}}"#);
        let (reply, _gate) = log_in(login, "POST", &answer).await;
        assert_eq!(
            (reply.header("set-cookie"), reply.header("location"), reply.at("/data/uid")),
            (None, None, json!(null))
        );
        session_of(&reply);
    }
}

#[tokio::test]
async fn a_merged_reply_keeps_its_status_and_loses_what_described_its_old_body() {
    let headers = [SID, "ETag: \"1\"", "Content-MD5: x", "X-Own: 1", "Cache-Control: public, max-age=60"];
    let (reply, _gate) = log_in("", "POST", &reply("201 Created", &headers, r#"{"code":1}"#)).await;
    assert_eq!((reply.status, reply.header("x-own")), (201, Some("1")));
    assert_eq!((reply.header("etag"), reply.header("content-md5"), reply.header("set-cookie")), (None, None, None));
    assert_eq!(reply.all("cache-control"), ["no-store"]);
}

#[tokio::test]
async fn a_merged_reply_keeps_its_cookies_where_cookies_pass() {
    let answer = reply("200 OK", &[SID, "Set-Cookie: b=2; path=/b"], r#"{"code":1}"#);
    let (reply, _gate) = log_in(", cookies: pass", "POST", &answer).await;
    assert_eq!(reply.all("set-cookie"), ["sid=1; path=/", "b=2; path=/b"]);
    session_of(&reply);
}

#[tokio::test]
async fn a_login_that_does_not_succeed_passes_unchanged_but_for_its_cookies() {
    let other = "Set-Cookie: tries=1; path=/";
    let headers =
        [other, "Content-Type: text/html; charset=gbk", "ETag: \"1\"", "X-Own: a", "X-Own: b", "Location: /login?e=1"];
    let table: &[(&str, &str, &str)] = &[
        ("POST", "200 OK", "\u{feff}{\"code\": 0,  \"msg\":\"\\u4e0d\",\"data\":[]}\n"),
        ("POST", "302 Found", "<html>"),
        ("POST", "401 Unauthorized", ""),
        ("POST", "500 Internal Server Error", "{\"code\":1}"),
        ("GET", "200 OK", "<form>"),
        ("HEAD", "200 OK", ""),
    ];
    for (method, status, body) in table {
        let (found, _gate) = log_in("", method, &reply(status, &headers, body)).await;
        assert_eq!((found.status.to_string().as_str(), found.reason()), (&status[..3], ""));
        assert_eq!(found.body, body.as_bytes());
        assert_eq!(found.all("set-cookie"), Vec::<&str>::new());
        assert_eq!(found.header("content-type"), Some("text/html; charset=gbk"));
        assert_eq!((found.header("etag"), found.all("x-own")), (Some("\"1\""), vec!["a", "b"]));
        assert_eq!(found.header("location"), Some("/login?e=1"));
        let (found, _gate) = log_in(", cookies: pass", method, &reply(status, &headers, body)).await;
        assert_eq!(found.all("set-cookie"), ["tries=1; path=/"], "cookies that are left alone are left alone");
    }
}

#[tokio::test]
async fn a_failed_reply_of_any_framing_passes_whole() {
    let chunked = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n5\r\n word\r\n0\r\n\r\n";
    let closed = b"HTTP/1.1 403 No\r\nConnection: close\r\n\r\nbad word";
    for answer in [&chunked[..], closed] {
        let (reply, _gate) = log_in("", "POST", answer).await;
        assert_eq!((reply.status, reply.text().as_str()), (403, "bad word"));
    }
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n";
    let (reply, _gate) = log_in("", "HEAD", head).await;
    assert_eq!((reply.status, reply.header("content-length")), (200, Some("1234")));
    let (reply, _gate) = log_in("", "POST", b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n").await;
    assert_eq!((reply.status, reply.header("etag")), (304, Some("\"1\"")));
}

#[tokio::test]
async fn a_failed_login_may_be_told_in_an_envelope() {
    let answer = reply("302 Found", &["Set-Cookie: tries=1", "Location: /login?e=1"], "<html>");
    let (reply, _gate) = log_in(", failed: envelope", "POST", &answer).await;
    reply.assert_refused(401, "login_failed");
    assert_eq!((reply.header("location"), reply.header("set-cookie")), (None, None));
    assert_eq!((reply.at("/code"), reply.at("/data")), (json!(0), json!([])));
}

#[tokio::test]
async fn a_login_whose_reply_breaks_off_made_no_session() {
    let answer = format!("HTTP/1.1 200 OK\r\n{SID}\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{{\"code\":1");
    let (reply, _gate) = log_in("", "POST", answer.as_bytes()).await;
    reply.assert_refused(502, "upstream_failed");
}

#[tokio::test]
async fn a_login_whose_reply_never_ends_is_given_up() {
    let answer = format!("HTTP/1.1 200 OK\r\n{SID}\r\nContent-Length: 100\r\n\r\n{{\"code\":1");
    let (reply, _gate) = log_in("", "POST", answer.as_bytes()).await;
    reply.assert_refused(504, "upstream_timeout");
}

#[tokio::test]
async fn a_login_whose_reply_is_endless_is_given_up() {
    let (reply, _gate) = log_in("", "POST", &reply("200 OK", &[SID], &"x".repeat(1024 * 1024 + 1))).await;
    reply.assert_refused(502, "upstream_failed");
}
