//! The application's own credential fields: many applications log in on any URL that brings them.

mod support;

use support::backend::FakeBackend;
use support::caller::mvc;
use support::gate::Gate;
use support::http::Request;

const YAML: &str = r#"
upstream: {url: "{upstream}"}
clients: [{id: ios, secret: s3cret}]
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
rules:
  - endpoint: user/auth/login
    require: client
    login: {success: {json: {/code: 1}}, user_id: "form:username", fields: [username, "LoginForm[pw]"]}
  - {endpoint: open, require: public}
  - {path: "/files/**", require: public}
default: client
"#;

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=B";

fn part(name: &str) -> String {
    format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nx\r\n--B--\r\n")
}

#[tokio::test]
async fn credential_fields_stand_in_a_login_alone() {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(YAML).upstream(&backend.url).start().await;
    let ios = gate.client("ios", "s3cret");
    let open = mvc("open/x/y");
    let get = |target: &str| gate.get(target);
    let post = |content_type: &str, body: &str| gate.post(&open).body(content_type, body);
    let names = [
        "username",
        "user%6eame",
        "username[]",
        "username[x]",
        "+username",
        "LoginForm[pw]",
        "LoginForm",
        "LoginForm[x]",
    ];
    let mut refused: Vec<(String, Request)> = Vec::new();
    for name in names {
        refused.push((format!("query {name}"), get(&format!("{open}&{name}=x"))));
        refused.push((format!("path rule {name}"), get(&format!("/files/a?{name}=x"))));
        refused
            .push((format!("client {name}"), ios.request("GET", &format!("{}&{name}=x", mvc("news/a/b")), "news/a/b")));
        refused.push((format!("form {name}"), post(FORM, &format!("a=1&{name}=x"))));
    }
    for name in ["username", "username[]", "LoginForm[pw]", "LoginForm"] {
        refused.push((format!("cookie {name}"), get(&open).header("Cookie", &format!("{name}=x"))));
        refused.push((format!("multipart {name}"), post(MULTIPART, &part(name))));
    }
    for (what, request) in refused {
        let reply = request.await;
        assert_eq!((reply.status, reply.reason()), (400, "ambiguous"), "{what}");
    }
    backend.assert_untouched();

    for (what, request) in [
        ("other names", get(&format!("{open}&user_name=x&USERNAME=x&xusername=x&login=x"))),
        ("the header of that name", get(&open).header("Username", "x")),
        ("JSON", post("application/json", "{\"username\":\"x\"}")),
        ("the login itself", ios.post("user/auth/login", &[("username", "x"), ("LoginForm[pw]", "y")])),
        ("the login's query", ios.request("GET", &format!("{}&username=x", mvc("user/auth/login")), "user/auth/login")),
    ] {
        let reply = request.await;
        assert_eq!((reply.status, reply.reason()), (200, ""), "{what}");
    }
}
