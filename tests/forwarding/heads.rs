//! What the application is told beside the body: nothing that the gate did not check or say itself.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::OPEN;
use crate::support::apps::MVC;
use crate::support::backend::FakeBackend;
use crate::support::caller::mvc;
use crate::support::gate::Gate;

/// A request as the application got it.
struct Asked {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Asked {
    /// The last one.
    fn of(backend: &FakeBackend) -> Self {
        let text = backend.last();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let (line, headers) = head.split_once("\r\n").unwrap();
        let headers = headers.split("\r\n").map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { line: line.to_owned(), headers, body: body.to_owned() }
    }

    /// Every value under a name that PHP cannot tell from this one.
    fn all(&self, name: &str) -> Vec<&str> {
        let folded = |name: &str| name.to_ascii_lowercase().replace(['_', '.', ' '], "-");
        self.headers.iter().filter(|(key, _)| folded(key) == folded(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The names, lower-cased, without what the gate puts on every request.
    fn callers_own(&self) -> Vec<String> {
        let ours = [
            "host",
            "x-request-id",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-forwarded-port",
            "traceparent",
        ];
        let names = self.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
        names.filter(|name| !ours.contains(&name.as_str())).collect()
    }
}

async fn open(yaml: &str) -> (Gate, FakeBackend) {
    let backend = FakeBackend::start().await;
    (Gate::with(yaml).upstream(&backend.url).start().await, backend)
}

/// What nobody may tell the application, but for a trusted proxy the second half.
const LIES: [&str; 56] = [
    "X-Auth-User-Id",
    "X-Auth-Client-Id",
    "X-Auth-Session-Id",
    "X_Auth_User_Id",
    "X.Auth.User.Id",
    "X-Auth_User-Id",
    "x-auth-user-id",
    "X-AUTH-USER-ID",
    "X_User",
    "X.User",
    "X-User[a]",
    "X-User!",
    "X~User",
    "Content_Type",
    "Content_Length",
    "Content.Length",
    "Remote_User",
    "X-Ticketgate-Assertion",
    "X-Ticketgate-Reason",
    "X-Ticketgate-Time",
    "X-Forwarded",
    "X-Forwarded-Server",
    "X-Forwarded-Prefix",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
    "X-Forwarded-User",
    "X_Forwarded_For",
    "X.Forwarded.Host",
    "Proxy",
    "PROXY",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "X-Method-Override",
    "Front-End-Https",
    "Keep-Alive",
    "Proxy-Connection",
    "Proxy-Authorization",
    "Proxy-Authenticate",
    "TE",
    "Trailer",
    "Upgrade",
    "X_Request_Id",
    "X_Http_Method_Override",
    "X_Original_Url",
    "X_Real_Ip",
    "Client_Ip",
    "Client-IP",
    "X-Client-IP",
    "X-Real-IP",
    "True-Client-IP",
    "X-Cluster-Client-IP",
    "Forwarded",
    "Forwarded-For",
    "CLIENT-IP",
];
/// Where in `LIES` begins what a trusted proxy may say.
const ADDRESSES: usize = 48;

const MAY_PASS: &str = "accept: */*\r\nX-Requested-With: a\r\nUser-Agent: u\r\nIf-None-Match: \"e\"\r\nRange: bytes=0-1\r\n\
    Accept-Encoding: gzip\r\nX-Custom-9: 1\r\ntracestate: a=b\r\nAuthorization: Basic x";
const PASSED: [&str; 9] = [
    "accept",
    "x-requested-with",
    "user-agent",
    "if-none-match",
    "range",
    "accept-encoding",
    "x-custom-9",
    "tracestate",
    "authorization",
];

#[tokio::test]
async fn no_lie_about_identity_address_or_method_reaches_the_application_on_any_route() {
    let mvc_open = MVC.replace("require: public}", "require: public}\n  - {path: \"/open\", require: public}");
    for (yaml, target) in [(OPEN, "/a"), (mvc_open.as_str(), "/open")] {
        let (gate, backend) = open(yaml).await;
        for lie in LIES {
            let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n{lie}: 1\r\n{MAY_PASS}\r\n\r\n");
            let reply = gate.raw(request.as_bytes()).await.unwrap();
            if reply.status == 400 {
                // No server reads such a name.
                assert!(!lie.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{lie}");
                continue;
            }
            assert_eq!(Asked::of(&backend).callers_own(), PASSED, "{lie}");
        }
    }
}

#[tokio::test]
async fn a_trusted_proxy_may_tell_addresses_and_nothing_more() {
    let (gate, backend) = open(&format!("trusted_proxies: [127.0.0.0/8]\n{OPEN}")).await;
    for (index, lie) in LIES.iter().enumerate() {
        let request = format!("GET /a HTTP/1.1\r\nHost: h\r\n{lie}: 1\r\n\r\n");
        let reply = gate.raw(request.as_bytes()).await.unwrap();
        if reply.status == 400 {
            continue;
        }
        let passed = Asked::of(&backend).callers_own();
        assert_eq!(passed.is_empty(), index < ADDRESSES, "{lie}: {passed:?}");
    }
}

#[tokio::test]
async fn names_of_identity_headers_are_as_configured_and_guarded_all_the_same() {
    let yaml = format!("forward: {{headers: {{user: Remote-User, client: X-App, session: X-Sid}}}}\n{OPEN}");
    let (gate, backend) = open(&yaml).await;
    for lie in ["Remote-User", "REMOTE_USER", "x-app", "X.App", "X-Sid"] {
        gate.raw(format!("GET /a HTTP/1.1\r\nHost: h\r\n{lie}: 1\r\n\r\n").as_bytes()).await.unwrap().assert_passed();
        assert_eq!(Asked::of(&backend).callers_own(), Vec::<String>::new(), "{lie}");
    }
}

#[tokio::test]
async fn an_identity_is_told_once_and_only_by_the_gate() {
    let site = crate::support::apps::Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    let lies = ["X-Auth-User-Id", "X_Auth_User_Id", "X.Auth.User.Id", "X-Auth-Client-Id", "X_Auth_Client_Id"];
    let mut request = lilei.get("debug/echo/all").header("Connection", "X-Auth-User-Id, X-Auth-Client-Id, close");
    for lie in lies {
        request = request.header(lie, "999");
    }
    let reply = request.await;
    let headers = reply.at("/data/headers");
    assert_eq!(headers["HTTP_X_AUTH_USER_ID"], lilei.session().user_id.as_str());
    assert_eq!(headers["HTTP_X_AUTH_CLIENT_ID"], "ios");
    assert!(headers["HTTP_X_AUTH_SESSION_ID"].as_str().is_some_and(|id| !id.is_empty()));
    assert!(!headers.to_string().contains("999"), "{headers}");

    let open = site.gate.get(&mvc("debug/echo/open")).header("X-Auth-User-Id", "999").await;
    assert_eq!(open.at("/data/headers/HTTP_X_AUTH_USER_ID"), serde_json::Value::Null);
}

#[tokio::test]
async fn what_connection_names_is_taken_off_but_never_what_the_gate_puts_on() {
    let (gate, backend) = open(OPEN).await;
    let request = "GET /a HTTP/1.1\r\nHost: h\r\nConnection: X-Gone, X-Request-Id, x-forwarded-for\r\nX-Gone: 1\r\n\
        connection: traceparent , Host,Content-Type\r\nContent-Type: text/plain\r\nX-Kept: 1\r\n\r\n";
    gate.raw(request.as_bytes()).await.unwrap().assert_passed();
    let asked = Asked::of(&backend);
    assert_eq!(asked.callers_own(), ["content-type", "x-kept"]);
    for name in ["host", "x-request-id", "x-forwarded-for", "traceparent"] {
        assert_eq!(asked.all(name).len(), 1, "{name}");
    }
}

#[tokio::test]
async fn where_a_request_came_from_is_told_anew() {
    let (gate, backend) = open(OPEN).await;
    let lies = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: lie\r\nX-Forwarded-Port: 1";
    gate.raw(format!("GET /a HTTP/1.1\r\nHost: app.example:81\r\n{lies}\r\n\r\n").as_bytes())
        .await
        .unwrap()
        .assert_passed();
    let asked = Asked::of(&backend);
    assert_eq!(asked.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(asked.all("x-forwarded-proto"), ["http"]);
    assert_eq!(asked.all("x-forwarded-host"), ["app.example:81"]);
    assert_eq!(asked.all("x-forwarded-port"), ["81"]);
}

#[tokio::test]
async fn what_a_trusted_proxy_tells_is_continued() {
    let (gate, backend) = open(&format!("trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]\n{OPEN}")).await;
    let told = "X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.2\r\nX-Forwarded-Proto: https\r\n\
        X-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 443";
    gate.raw(format!("GET /a HTTP/1.1\r\nHost: inner\r\n{told}\r\n\r\n").as_bytes()).await.unwrap().assert_passed();
    let asked = Asked::of(&backend);
    // What stands left of the client is the client's own invention.
    assert_eq!(asked.all("x-forwarded-for"), ["203.0.113.7, 10.0.0.2, 127.0.0.1"]);
    assert_eq!(asked.all("x-forwarded-proto"), ["https"]);
    assert_eq!(asked.all("x-forwarded-host"), ["shop.example"]);
    assert_eq!(asked.all("x-forwarded-port"), ["443"]);
    assert_eq!(asked.all("host"), ["inner"]);
}

#[tokio::test]
async fn each_request_has_an_id_that_the_application_and_the_client_are_told() {
    let (gate, backend) = open(OPEN).await;
    let mut seen = vec![];
    for _ in 0..2 {
        let reply = gate.get("/a").header("X-Request-Id", "chosen").await;
        let asked = Asked::of(&backend);
        assert_eq!(asked.all("x-request-id"), reply.all("x-request-id"));
        seen.push(reply.header("x-request-id").unwrap().to_owned());
    }
    assert!(seen[0] != seen[1] && seen.iter().all(|id| id.len() == 26), "{seen:?}");
}

#[tokio::test]
async fn a_trace_is_continued_or_begun() {
    let (gate, backend) = open(OPEN).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    gate.get("/a").header("traceparent", &format!("00-{trace}-b7ad6b7169203331-01")).await.assert_passed();
    let asked = Asked::of(&backend);
    let [told] = asked.all("traceparent")[..] else { panic!("{:?}", asked.headers) };
    assert!(
        told.starts_with(&format!("00-{trace}-")) && told.ends_with("-01") && !told.contains("b7ad6b7169203331"),
        "{told}"
    );

    for broken in [None, Some("00-nonsense"), Some("00-00000000000000000000000000000000-b7ad6b7169203331-01")] {
        let request = gate.get("/a");
        let request = broken.map_or(request.clone(), |value| request.header("traceparent", value));
        request.await.assert_passed();
        let asked = Asked::of(&backend);
        let [told] = asked.all("traceparent")[..] else { panic!("{:?}", asked.headers) };
        assert!(told.len() == 55 && told.starts_with("00-") && !told.contains("-0000000000000000"), "{told}");
    }
}

#[tokio::test]
async fn an_assertion_proves_what_the_gate_found() {
    let backend = FakeBackend::start().await;
    let yaml = format!("forward: {{assertion_key: assert-key}}\n{MVC}");
    let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
    let request = gate.client("ios", "s3cret").get("news/list/index").header("X-Ticketgate-Assertion", "t=1,sig=lie");
    request.await.assert_passed();
    let asked = Asked::of(&backend);
    let [assertion] = asked.all("x-ticketgate-assertion")[..] else { panic!("{:?}", asked.headers) };
    let field = |name: &str| assertion.split(',').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap();
    let (method, target) = asked.line.trim_end_matches(" HTTP/1.1").split_once(' ').unwrap();
    let (time, id) = (field("t"), field("id"));
    assert_eq!((field("u"), field("c")), ("", "ios"));
    assert_eq!(asked.all("x-request-id"), [id]);
    assert_eq!(time, gate.clock.now().as_secs().to_string());
    let mut mac = Hmac::<Sha256>::new_from_slice(b"assert-key").unwrap();
    mac.update(format!("v1\n{method}\n{target}\n\nios\n{time}\n{id}").as_bytes());
    assert_eq!(field("sig"), hex::encode(mac.finalize().into_bytes()));
}

#[tokio::test]
async fn credentials_are_hidden_where_that_is_asked_for_and_pass_otherwise() {
    let yaml = MVC.replace("rules:", "credentials: [query, header, form]\nrules:");
    for hide in [false, true] {
        let backend = FakeBackend::start().await;
        let gate =
            Gate::with(&format!("forward: {{hide_credentials: {hide}}}\n{yaml}")).upstream(&backend.url).start().await;
        let ios = gate.client("ios", "s3cret");
        let token = ios.api_token("news/list/index");
        let plain = mvc("news/list/index");

        ios.get("news/list/index").await.assert_passed();
        let asked = Asked::of(&backend);
        let whole = ios.target(&plain, "news/list/index");
        assert_eq!(asked.line, format!("GET {} HTTP/1.1", if hide { &plain } else { &whole }));

        let by_header = gate.get(&plain).header("X-Client-Id", "ios").header("x-api-token", &token);
        by_header.await.assert_passed();
        let asked = Asked::of(&backend);
        let own = asked.callers_own();
        assert_eq!(own.contains(&"x-client-id".to_owned()), !hide, "{own:?}");
        assert_eq!(own.contains(&"x-api-token".to_owned()), !hide, "{own:?}");

        let fields = [("a", "1"), ("client_id", "ios"), ("b", "2"), ("api_token", token.as_str())];
        gate.post(&plain).form(&fields).await.assert_passed();
        let asked = Asked::of(&backend);
        let sent = format!("a=1&client_id=ios&b=2&api_token={token}");
        let expected = if hide { "a=1&b=2" } else { &sent };
        assert_eq!(asked.body, expected);
        assert_eq!(asked.all("content-length"), [expected.len().to_string()]);
    }
}

#[tokio::test]
async fn the_application_is_told_the_host_that_is_configured() {
    let backend = FakeBackend::start().await;
    let own = backend.url.trim_start_matches("http://").to_owned();
    for (host, told) in [("keep", "shop.example:8080"), ("upstream", own.as_str()), ("intra.example", "intra.example")]
    {
        let yaml = OPEN.replace("upstream: {", &format!("upstream: {{host: {host}, "));
        let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
        gate.get("/a").host("shop.example:8080").await.assert_passed();
        let asked = Asked::of(&backend);
        assert_eq!(asked.all("host"), [told]);
        assert_eq!(asked.all("x-forwarded-host"), ["shop.example:8080"]);
    }
}

#[tokio::test]
async fn names_and_values_go_on_as_they_were_spelled_and_cookies_as_one_line() {
    let (gate, backend) = open(OPEN).await;
    let request =
        b"GET /a?x=%zz&y=+ HTTP/1.1\r\nHost: h\r\nx-lower: 1\r\nX-UPPER:\t a  b \r\nX-Latin: caf\xe9\r\nX-Empty:\r\n\
        Cookie: a=1\r\nX-Twice: 1\r\ncookie: b=2\r\nX-Twice: 2\r\n\r\n";
    gate.raw(request).await.unwrap().assert_passed();
    let asked = Asked::of(&backend);
    assert_eq!(asked.line, "GET /a?x=%zz&y=+ HTTP/1.1");
    let own = asked.headers.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with("x-") || name == "Cookie");
    let own: Vec<_> = own.map(|(name, value)| format!("{name}={value}")).take(7).collect();
    assert_eq!(
        own,
        ["x-lower=1", "X-UPPER=a  b", "X-Latin=caf\u{e9}", "X-Empty=", "X-Twice=1", "X-Twice=2", "Cookie=a=1; b=2"]
    );
}
