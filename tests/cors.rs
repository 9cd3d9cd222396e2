//! Pages of other origins: preflights, and what a browser needs to let its page read an answer.

mod support;

use support::backend::{Answer, FakeBackend};
use support::gate::Gate;
use support::http::{Reply, Request};
use support::scrape::Scrape;

const APP: &str = "https://app.example";
const YAML: &str = r#"
upstream: {url: "{upstream}"}
clients: [{id: ios, secret: s3cret}]
endpoint: [{query: {module: m, controller: c, action: a}}]
rules:
  - {path: "/open/**", methods: [GET, REPORT], require: public}
  - {endpoint: news, methods: [GET, POST], require: client}
"#;

async fn gate(cors: &str) -> (Gate, FakeBackend) {
    let backend = FakeBackend::answering(
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
          Access-Control-Expose-Headers: X-Total, bad name\r\nVary: Accept\r\nContent-Length: 2\r\n\r\n{}",
    )
    .await;
    let gate = Gate::with(&format!("cors: {cors}\n{YAML}")).upstream(&backend.url).start().await;
    (gate, backend)
}

fn preflight(gate: &Gate, target: &str, origin: &str) -> Request {
    gate.request("OPTIONS", target)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "x-sign, x-own")
}

fn cors_of(reply: &Reply) -> Vec<&str> {
    let names = reply.headers.iter().map(|(name, _)| name.as_str());
    names.filter(|name| name.to_ascii_lowercase().starts_with("access-control-")).collect()
}

#[tokio::test]
async fn a_preflight_is_answered_before_any_rule() {
    let (gate, backend) =
        gate("{origins: [\"https://app.example\", \"http://localhost:3000\"], headers: [X-Own], max_age: 5m}").await;
    for origin in [APP, "http://localhost:3000"] {
        let reply = preflight(&gate, "/?m=news&c=a&a=b", origin).await;
        assert_eq!((reply.status, reply.body.len()), (204, 0), "{reply:?}");
        assert_eq!(reply.all("access-control-allow-origin"), [origin]);
        assert_eq!(reply.all("access-control-allow-credentials"), ["true"]);
        assert_eq!(reply.header("access-control-max-age"), Some("300"));
        assert_eq!(reply.header("access-control-allow-methods"), Some("GET, REPORT, POST"));
        let headers = reply.header("access-control-allow-headers").unwrap();
        for header in ["Authorization", "Content-Type", "X-Sign", "X-Own", "X-Client-Id", "X-User-Token"] {
            assert!(headers.split(", ").any(|one| one == header), "no {header} in {headers}");
        }
        let vary = reply.all("vary").join(", ");
        for name in ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"] {
            assert!(vary.split(", ").any(|one| one == name), "no {name} in {vary}");
        }
        assert!(reply.header("x-request-id").is_some());
    }
    let counted = "ticketgate_requests_total{rule=\"preflight\",outcome=\"forwarded\",reason=\"\"}";
    assert_eq!(Scrape::of(&gate.admin).await.value(counted), 2.0);
    backend.assert_untouched();
}

#[tokio::test]
async fn nobody_else_is_told_anything() {
    let (gate, backend) = gate("{origins: [\"https://app.example\"]}").await;
    for origin in [
        "https://evil.example",
        "https://app.example.evil.example",
        "https://app.example:8443",
        "http://app.example",
        "https://APP.example",
        "https://app.example/",
        "https://app.example, https://evil.example",
        "https://app.example https://evil.example",
        "null",
        "*",
        "",
    ] {
        let reply = preflight(&gate, "/?m=news&c=a&a=b", origin).await;
        reply.assert_refused(403, "denied");
        assert_eq!(cors_of(&reply), Vec::<&str>::new(), "{origin}");
        let reply = gate.get("/open/page").header("Origin", origin).await;
        assert_eq!((reply.status, cors_of(&reply)), (200, vec![]), "{origin}: {}", reply.text());
        assert!(reply.all("vary").contains(&"Origin"), "what is kept for one origin is not for another");
    }
    let twice = gate.get("/open/page").header("Origin", APP).header("Origin", APP).await;
    assert_eq!(cors_of(&twice), Vec::<&str>::new());
    assert_eq!(backend.requests().len(), 12);
}

#[tokio::test]
async fn answers_and_refusals_may_be_read_by_the_page() {
    let (gate, _backend) = gate("{origins: [\"https://app.example\"]}").await;
    let passed = gate.get("/open/page").header("Origin", APP).await;
    assert_eq!(passed.status, 200, "{}", passed.text());
    let refused = gate.get("/?m=news&c=a&a=b").header("Origin", APP).await;
    refused.assert_refused(401, "client_missing");
    let malformed = gate.get("/a%00").header("Origin", APP).await;
    malformed.assert_refused(400, "malformed");
    for reply in [&passed, &refused, &malformed] {
        assert_eq!(reply.all("access-control-allow-origin"), [APP], "once, and the gate's");
        assert_eq!(reply.all("access-control-allow-credentials"), ["true"]);
        let exposed = reply.header("access-control-expose-headers").unwrap();
        for name in ["X-Ticketgate-Reason", "X-Ticketgate-Time", "X-Request-Id", "Retry-After", "X-Guest-Token"] {
            assert!(exposed.split(", ").any(|one| one == name), "no {name} in {exposed}");
        }
        assert!(reply.all("vary").contains(&"Origin"));
    }
    let exposed = passed.header("access-control-expose-headers").unwrap();
    assert!(exposed.ends_with(", X-Total"), "{exposed}: the application's own, where it is a name");
    assert!(passed.all("vary").contains(&"Accept"));
}

#[tokio::test]
async fn a_star_goes_without_cookies() {
    let (gate, _backend) = gate("{origins: [\"*\"], headers: [\"*\"]}").await;
    let reply = preflight(&gate, "/?m=news&c=a&a=b", "https://anybody.example").await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-headers"), Some("x-sign, x-own"));
    let answer = gate.get("/open/page").header("Origin", "https://anybody.example").await;
    for reply in [&reply, &answer] {
        assert_eq!(reply.all("access-control-allow-origin"), ["*"]);
        assert_eq!(reply.all("access-control-allow-credentials"), Vec::<&str>::new());
    }
    let odd = preflight(&gate, "/", "null").header("Access-Control-Request-Headers", "a\u{e9}").await;
    assert!(!odd.header("access-control-allow-headers").unwrap().contains('\u{e9}'));
}

#[tokio::test]
async fn without_the_key_it_is_the_applications_business() {
    let backend = FakeBackend::with(|_| {
        Answer::Bytes(b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n".to_vec())
    })
    .await;
    let gate = Gate::with("upstream: {url: \"{upstream}\"}\ndefault: public\n").upstream(&backend.url).start().await;
    let reply = preflight(&gate, "/a", APP).await;
    assert_eq!((reply.status, reply.all("access-control-allow-origin")), (200, vec!["*"]));
    assert!(backend.last().starts_with("OPTIONS /a "));
}

#[tokio::test]
async fn other_options_requests_are_requests_like_any() {
    let (gate, backend) = gate("{origins: [\"https://app.example\"]}").await;
    let no_method = gate.request("OPTIONS", "/x").header("Origin", APP).await;
    no_method.assert_refused(403, "denied");
    let no_origin = gate.request("OPTIONS", "/x").header("Access-Control-Request-Method", "GET").await;
    no_origin.assert_refused(403, "denied");
    backend.assert_untouched();
}
