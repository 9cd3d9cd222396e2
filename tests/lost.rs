//! `session.lost`: an application whose own session is gone tells so in its own way, and the client is told to log in. `csrf`: what
//! the application wants in a user's forms is laid into them.

mod support;

use support::apps::Site;
use support::backend::FakeBackend;
use support::caller::{Caller, session_of};
use support::gate::Gate;
use support::http::Reply;

const SITE: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
clients: [{id: ios, secret: s3cret}]
endpoint:
  - path: "/{module}.php"
session:
  lost:
    - {location: "/login.php*"}
    - {status: 200, json: {/code: -1}}
    - {status: 200, body: "<input type=password"}
rules:
  - endpoint: api_login
    require: client
    login: {before: {get: /token.php, take: {token: "json:/tokens/login"}}, success: {json: {/code: 1}}, user_id: "json:/data/uid"}
  - {endpoint: write, require: user, csrf: {form: csrf, from: "cookie:csrf"}}
  - {endpoint: drop, require: user}
  - {path: "/*.php", require: user}
"#;

async fn logged_in(site: &Site, user: &str) -> Caller {
    let login = site.ios().request("POST", "/api_login.php", "api_login//");
    let login = login.form(&[("user", user), ("pass", &format!("{user}123"))]).await;
    site.ios().with(session_of(&login))
}

async fn get(caller: &Caller, name: &str) -> Reply {
    caller.request("GET", &format!("/{name}.php"), &format!("{name}//")).await
}

#[tokio::test]
async fn a_lost_session_is_told_and_ends_and_others_go_on() {
    let site = Site::of("guarded", SITE).await;
    for page in ["home", "quiet"] {
        let (anna, bruno) = (logged_in(&site, "anna").await, logged_in(&site, "bruno").await);
        assert_eq!(get(&anna, page).await.status, 200, "{page}");
        assert_eq!(get(&anna, "drop").await.at("/code"), 1);
        let lost = get(&anna, page).await;
        lost.assert_refused(401, "session_lost");
        assert_eq!(lost.header("location"), None);
        get(&anna, page).await.assert_refused(401, "user_refused");
        assert!(get(&bruno, page).await.text().contains("bruno"), "{page}");
    }
}

/// A gate whose session has the cookie `sid`, before a backend that answers a GET with these bytes.
async fn behind(lost: &str, answer: &'static str) -> (Gate, Caller, FakeBackend) {
    let backend = FakeBackend::with(move |request| {
        let login = b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=1; path=/\r\nContent-Length: 25\r\n\r\n{\"code\":1,\"data\":{\"u\":7}}";
        support::backend::Answer::Bytes(if request.starts_with(b"POST") { login.to_vec() } else { answer.into() })
    });
    let backend = backend.await;
    let yaml = format!(
        r#"
upstream: {{url: "{{upstream}}"}}
store: {{url: "memory:"}}
clients: [{{id: ios, secret: s3cret}}]
session: {{lost: {lost}}}
rules:
  - {{path: /login, endpoint: {{is: l/l/l}}, require: client, login: {{success: {{json: {{/code: 1}}}}, user_id: "json:/data/u"}}}}
  - {{path: /use, endpoint: {{is: u/u/u}}, require: user}}
"#
    );
    let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
    let ios = gate.client("ios", "s3cret");
    let login = ios.request("POST", "/login", "l/l/l").await;
    let caller = ios.with(session_of(&login));
    (gate, caller, backend)
}

#[tokio::test]
async fn each_condition_tells_a_loss_and_only_when_it_holds() {
    const DELETES: &str = "HTTP/1.1 200 OK\r\nSet-Cookie: sid=x; Max-Age=0; path=/\r\nContent-Length: 2\r\n\r\nok";
    const RENEWS: &str = "HTTP/1.1 200 OK\r\nSet-Cookie: sid=x; Max-Age=0; path=/\r\nSet-Cookie: sid=2; path=/\r\n\
        Content-Length: 2\r\n\r\nok";
    const DELETES_ANOTHER: &str =
        "HTTP/1.1 200 OK\r\nSet-Cookie: sidx=; Max-Age=0; path=/\r\nContent-Length: 2\r\n\r\nok";
    const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n\
        6\r\nplease\r\n7\r\n log in\r\n0\r\n\r\n";
    const IMAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 13\r\n\r\nplease log in";
    const SQUEEZED: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: 13\r\n\r\nplease log in";
    const AWAY: &str = "HTTP/1.1 302 Found\r\nLocation: /login?next=%2Fuse\r\nContent-Length: 0\r\n\r\n";
    for (lost, answer, is_lost) in [
        ("{cookie: sid}", DELETES, true),
        ("{cookie: sid}", RENEWS, false),
        ("{cookie: 'sid*'}", DELETES_ANOTHER, false),
        ("{cookie: sid, not: {body: ok}}", DELETES, false),
        ("{body: please log in}", PAGE, true),
        ("{body: log in, not: {body: please}}", PAGE, false),
        ("{body: please log in}", IMAGE, false),
        ("{body: please log in}", SQUEEZED, false),
        ("{location: '/login*'}", AWAY, true),
        ("{status: 302, location: '/elsewhere*'}", AWAY, false),
        ("[{status: 500}, {status: 302}]", AWAY, true),
    ] {
        let (_gate, caller, _backend) = behind(lost, answer).await;
        let reply = caller.request("GET", "/use", "u/u/u").await;
        if is_lost {
            reply.assert_refused(401, "session_lost");
        } else {
            assert_eq!(reply.reason(), "", "{lost}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_was_looked_at_goes_on_whole_and_what_is_long_streams() {
    let long = "x".repeat(600_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{long}", long.len());
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    for answer in [answer, chunked] {
        let (_gate, caller, backend) = behind("{body: please log in}", answer.leak()).await;
        let reply = caller.request("GET", "/use", "u/u/u").header("Accept-Encoding", "gzip").await;
        assert_eq!((reply.status, reply.text().len()), (200, long.len()));
        assert!(!backend.last().contains("Accept-Encoding"), "{}", backend.last());
    }
}

#[tokio::test]
async fn a_form_gets_the_token_that_its_user_left_out() {
    let site = Site::of("guarded", SITE).await;
    let anna = logged_in(&site, "anna").await;
    let write = |fields: &[(&str, &str)]| anna.request("POST", "/write.php", "write//").form(fields);
    let written = write(&[("text", "a b&c")]).await;
    assert_eq!((written.at("/code"), written.at("/text")), (1.into(), "a b&c".into()), "{}", written.text());
    let own = write(&[("text", "a"), ("csrf", "mine")]).await;
    assert_eq!(own.at("/code"), 0, "what the client says itself goes on as it is");
    let empty = anna.request("POST", "/write.php", "write//").await;
    assert_eq!(empty.at("/code"), 1, "{}", empty.text());
}

#[tokio::test]
async fn a_token_of_the_last_reply_is_kept_for_the_next_form() {
    let backend = FakeBackend::with(|request| {
        let login = request.starts_with(b"POST /login");
        let head = if login { "Set-Cookie: sid=1; path=/\r\n" } else { "X-Csrf-Token: t+1/=\r\n" };
        let body = r#"{"code":1,"data":{"u":7}}"#;
        support::backend::Answer::Bytes(
            format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len()).into(),
        )
    });
    let backend = backend.await;
    let yaml = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
clients: [{id: ios, secret: s3cret}]
rules:
  - {path: /login, endpoint: {is: l/l/l}, require: client, login: {success: {json: {/code: 1}}, user_id: "json:/data/u"}}
  - {path: /use, endpoint: {is: u/u/u}, require: user, csrf: {form: _token, from: "header:X-Csrf-Token of the last reply"}}
"#;
    let gate = Gate::with(yaml).upstream(&backend.url).start().await;
    let ios = gate.client("ios", "s3cret");
    let login = ios.request("POST", "/login", "l/l/l").await;
    let caller = ios.with(session_of(&login));
    let post = || caller.request("POST", "/use", "u/u/u").form(&[("a", "1")]);
    post().await.assert_passed();
    assert!(backend.last().ends_with("\r\n\r\na=1"), "none is known yet: {}", backend.last());
    post().await.assert_passed();
    assert!(backend.last().ends_with("\r\n\r\na=1&_token=t%2B1%2F%3D"), "{}", backend.last());
    assert!(backend.last().contains("\r\nCookie: sid=1\r\n"), "the kept header is no cookie: {}", backend.last());
}
