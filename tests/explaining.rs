//! What `explain` says of a request is what the gate makes of it.

mod support;

use std::path::Path;

use bytes::Bytes;
use support::backend::FakeBackend;
use support::gate::Gate;
use ticketgate::config::{self, Overrides};
use ticketgate::gate::explain::{Aid, Explanation};
use ticketgate::request::head::Head;

const YAML: &str = r#"
upstream: {url: "{upstream}"}
clients: [{id: ios, secret: s3cret}]
endpoint:
  - query: {module: mod, controller: ctl, action: act}
  - query_path: {name: s, template: "/{module}/{controller}/{action}/**"}
  - path: "/{module}/{controller}/{action}"
endpoint_defaults: {module: home, controller: index, action: main}
suffixes: [.html]
fold: [case, underscore]
selectors: [_method]
lenient_paths: [semicolon]
limits: {form: 256, header: 2KiB}
rules:
  - {path: "/assets/**", require: public}
  - {path: "/private/**", require: deny}
  - {path: "/wiki/*", require: public}
  - {path: "/form", params: {kind: "a*"}, require: deny}
  - {path: "/form", require: public}
  - {path: "/dav/**", methods: [PROPFIND], require: public}
  - {path: "/given", require: client, endpoint: {is: a/b/c}}
  - {endpoint: news_list, require: client}
  - {endpoint: home, require: public}
  - {endpoint: user/*/peek, require: user_only}
  - {endpoint: user, require: user}
websocket:
  - {path: "/ws/**", mode: tunnel, require: user, endpoint: a/b/c}
  - {path: /open, mode: tunnel, require: public, origins: ["https://app.example"]}
"#;

/// `METHOD TARGET <- FORM | HEADER | HEADER`; LONG stands for 300 characters.
const LINES: &[&str] = &[
    "GET /",
    "HEAD /",
    "OPTIONS /",
    "TRACE /",
    "get /",
    "PROPFIND /dav/a",
    "PROPFIND /assets/a",
    "GET /dav/a",
    "GET /assets/a",
    "GET /assets",
    "GET /index.php/assets/a",
    "GET /private/a",
    "GET /private/%zz",
    "GET /a//b",
    "GET /assets/user_id/5",
    "GET /assets/_method",
    "GET /assets/a;b",
    "GET /wiki/a;b",
    "GET /wiki/a",
    "GET /a#b",
    "GET /index.php?mod=news_list",
    "GET /?mod=NewsList&ctl=a&act=b",
    "GET /newslist/a/b.html",
    "GET /news_list",
    "GET /?s=/news_list/a/b/c/d",
    "GET /?s=/news_list/a/b/user_id/5",
    "GET /?s=",
    "GET /?s=/a/../b",
    "GET /?s[]=a",
    "GET /user/a/peek",
    "GET /user/a/peek?user_id=7",
    "GET /user/a/peek?user_id=7&user_token=",
    "GET /user/a/b?client_id=ios",
    "GET /user/a/b?client_id=ios&client_id=ios",
    "GET /?mod=user&s=/user",
    "GET /user?s=/news_list",
    "GET /?mod=user <- mod=user",
    "GET /?mod=%3Cb",
    "GET /css/a/app.css",
    "GET /css/a/%3Cb%3E",
    "GET /a/b/c/d/e",
    "POST /form",
    "POST /form <- kind=abc",
    "POST /form <- kind=b",
    "POST /form?kind=a <- kind=b",
    "GET /form <- kind=a",
    "POST /form?kind=a",
    "POST /form <- user.id=1&user_id=2",
    "POST /form <- _method=x",
    "GET /given",
    "GET /?/a/b/c",
    "GET /assets/a | Cookie: user_id=1",
    "GET /assets/a | X-Sign: 1 | X-Sign: 2",
    "GET /assets/a | Authorization: Bearer a | X-User-Token: b",
    "GET /assets/a | Transfer-Encoding: chunked | Content-Length: 0",
    "GET /assets/a | Bad Name: x",
    "GET http://evil/assets/a",
    "GET /ws/a",
    "GET /ws/a | Connection: Upgrade | Upgrade: websocket | Sec-WebSocket-Version: 13 | Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "GET /ws/a?client_id=ios | Connection: Upgrade | Upgrade: websocket | Sec-WebSocket-Version: 13",
    "GET /ws/user_id/5 | Connection: Upgrade | Upgrade: websocket | Sec-WebSocket-Version: 13",
    "GET /open | Connection: Upgrade | Upgrade: websocket | Sec-WebSocket-Version: 13 | Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA== | Origin: https://evil.example",
    "POST /form <- LONG",
    "PUT /form <- LONG",
];

/// What an explanation amounts to for a caller that holds nothing else.
fn expected(explanation: &Explanation) -> &'static str {
    let missing = |name: &str| explanation.missing.contains(&name);
    match &explanation.refused {
        Some(refused) => refused.reason,
        None if missing("client_id") || missing("api_token") => "client_missing",
        None if missing("user_id") || missing("user_token") => "user_missing",
        None => "",
    }
}

#[tokio::test]
async fn explain_and_the_gate_agree() {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(YAML).upstream(&backend.url).start().await;
    let loaded =
        config::parse(&YAML.replace("{upstream}", &backend.url), Path::new("test.yaml"), &Overrides::default());
    let settings = loaded.expect("a configuration").settings;
    for line in LINES {
        let line = line.replace("LONG", &"x".repeat(300));
        let (request, headers) = line.split_once(" | ").unwrap_or((&line, ""));
        let (request, form) =
            request.split_once(" <- ").map_or((request, None), |(request, form)| (request, Some(form)));
        let mut head = format!("{request} HTTP/1.1\r\nHost: {}\r\n", gate.address);
        for header in headers.split(" | ").filter(|header| !header.is_empty()) {
            head += &format!("{header}\r\n");
        }
        if let Some(form) = form {
            head += &format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", form.len());
        }
        head += "\r\n";
        let explanation = settings.gate.explain(
            Head::parse(Bytes::from(head.clone()), &settings.server.methods),
            form.map(str::as_bytes),
            &Aid::default(),
        );
        let mut connection = gate.connect().await;
        connection.send((head + form.unwrap_or_default()).as_bytes()).await;
        let reply = connection.reply_to(line.split(' ').next().unwrap_or_default()).await.expect("a reply");
        let expected = expected(&explanation);
        assert_eq!(reply.reason(), expected, "{line}: {explanation:?} but {}", reply.text());
        assert!(!expected.is_empty() || explanation.rule.is_some(), "{line}");
    }
}
