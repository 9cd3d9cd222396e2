//! The whole matrix of reserved names: each name, in each place and spelling, under each kind of rule.

mod support;

use support::backend::FakeBackend;
use support::gate::Gate;
use support::http::{Reply, Request};

const FORM: &str = "application/x-www-form-urlencoded";

const BASE: &str = r#"
upstream: {url: "{upstream}"}
clients: [{id: ios, secret: s3cret}]
limits: {form: 64KiB}
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
selectors: [_method, addon]
rules:
  - {path: "/public/**", require: public}
  - {path: "/client/**", require: client, endpoint: {is: a/b/c}}
  - {path: "/user/**", require: user_only}
"#;

/// Names of credentials and their headers.
const CREDENTIALS: [(&str, &str); 7] = [
    ("client_id", "X-Client-Id"),
    ("api_token", "X-Api-Token"),
    ("user_id", "X-User-Id"),
    ("user_token", "X-User-Token"),
    ("timestamp", "X-Timestamp"),
    ("nonce", "X-Nonce"),
    ("sign", "X-Sign"),
];

const RULES: [&str; 3] = ["/public/x", "/client/x", "/user/x"];

struct Case {
    gate: Gate,
    backend: FakeBackend,
}

impl Case {
    async fn new(more: &str) -> Self {
        let backend = FakeBackend::start().await;
        let gate = Gate::with(&format!("{BASE}\n{more}\n")).upstream(&backend.url).start().await;
        Self { gate, backend }
    }

    /// A request to `path` with that query, form and cookies, each left out where empty.
    fn request(&self, path: &str, query: &str, form: &str, cookies: &str) -> Request {
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let request = match form {
            "" => self.gate.get(&target),
            form => self.gate.post(&target).body(FORM, form),
        };
        if cookies.is_empty() { request } else { request.header("Cookie", cookies) }
    }

    async fn ambiguous(&self, what: &str, place: &str, request: Request) {
        let before = self.backend.requests().len();
        let reply = request.await;
        let text = reply.text();
        assert_eq!((reply.status, reply.reason()), (400, "ambiguous"), "{what}: {text}");
        assert!(text.contains(place) && !text.contains("hush"), "{what}: {text}");
        assert_eq!(self.backend.requests().len(), before, "{what} reached the backend");
    }
}

fn multipart(request: Request, name: &str) -> Request {
    let body = format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nhush\r\n--X--\r\n");
    request.body("multipart/form-data; boundary=X", body)
}

/// Spellings that PHP folds to the name.
fn spellings(name: &str) -> Vec<String> {
    let (head, tail) = name.split_at(1);
    let first = format!("%{}{tail}", hex::encode(head));
    let mut all = vec![name.to_owned(), first, format!("+{name}"), format!("%20{name}"), format!("{name}%00x")];
    if let Some((before, after)) = name.split_once('_').filter(|(before, _)| !before.is_empty()) {
        all.extend([".", "+", "%20", "%2e", "["].map(|glue| format!("{before}{glue}{after}")));
    }
    all
}

/// Those that a cookie's name is folded from: it is not decoded.
fn cookie_spellings(name: &str) -> Vec<String> {
    [name.to_owned(), name.replace('_', "."), name.replace('_', " "), format!(" {name}"), format!("{name}[a]")].into()
}

#[tokio::test]
async fn a_credential_twice_is_ambiguous_in_every_spelling_and_under_every_rule() {
    let case = Case::new("").await;
    for (name, _) in CREDENTIALS {
        for path in RULES {
            for spelling in spellings(name) {
                let twice = format!("{name}=hush&{spelling}=hush");
                case.ambiguous(&format!("{path}?{twice}"), name, case.request(path, &twice, "", "")).await;
                case.ambiguous(&format!("{path} <- {twice}"), name, case.request(path, "", &twice, "")).await;
                let (one, other) = (format!("{name}=hush"), format!("{spelling}=hush"));
                case.ambiguous(&format!("{path}?{one} <- {other}"), name, case.request(path, &one, &other, "")).await;
                let array = format!("{spelling}[]=hush");
                if !spelling.contains(['[', '\0']) && !spelling.ends_with("%00x") {
                    case.ambiguous(&array, name, case.request(path, &array, "", "")).await;
                    case.ambiguous(&array, name, case.request(path, "", &array, "")).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_credential_in_two_places_is_ambiguous() {
    let case = Case::new("").await;
    for (name, header) in CREDENTIALS {
        let one = format!("{name}=hush");
        for path in RULES {
            let both = case.request(path, &one, "", "").header(header, "hush");
            case.ambiguous(&format!("{path}: {name} in query and header"), "query and header", both).await;
            let both = case.request(path, "", &one, "").header(&header.to_lowercase(), "hush");
            case.ambiguous(&format!("{path}: {name} in form and header"), "form and header", both).await;
            let twice = case.request(path, "", "", "").header(header, "hush").header(&header.to_uppercase(), "");
            case.ambiguous(&format!("{path}: {header} twice"), "twice in header", twice).await;
            for cookie in cookie_spellings(name) {
                let cookie = format!("a=1; {cookie}=hush");
                case.ambiguous(&format!("{path}: {cookie}"), "cookie", case.request(path, "", "", &cookie)).await;
                case.ambiguous(&cookie, "query and cookie", case.request(path, &one, "", &cookie)).await;
                case.ambiguous(&cookie, "form and cookie", case.request(path, "", &one, &cookie)).await;
            }
            let second = case.request(path, "", "", "a=1").header("Cookie", &one);
            case.ambiguous(&format!("{path}: {name} in a second Cookie line"), "cookie", second).await;
        }
    }
}

#[tokio::test]
async fn a_credential_in_a_place_that_is_not_listed_is_ambiguous() {
    for (places, query, form, header) in [
        ("[query]", true, false, false),
        ("[form]", false, true, false),
        ("[header]", false, false, true),
        ("[query, header]", true, false, true),
    ] {
        let case = Case::new(&format!("credentials: {places}")).await;
        for (name, header_name) in CREDENTIALS {
            let one = format!("{name}=");
            for (place, listed, request) in [
                ("query", query, case.request("/public/x", &one, "", "")),
                ("form", form, case.request("/public/x", "", &one, "")),
                ("header", header, case.request("/public/x", "", "", "").header(header_name, "")),
            ] {
                let what = format!("{name} in {place} under {places}");
                match listed {
                    true => assert_eq!(request.await.reason(), "", "{what}"),
                    false => case.ambiguous(&what, &format!("{name} in {place}"), request).await,
                }
            }
        }
    }
}

#[tokio::test]
async fn no_reserved_name_stands_in_a_multipart_body_or_the_open_rest_of_a_path() {
    let case = Case::new("").await;
    let others = ["mod", "ctl", "act", "_method", "addon"];
    for name in CREDENTIALS.map(|(name, _)| name).into_iter().chain(others) {
        for path in RULES {
            let request = || case.gate.post(path);
            for part in
                [name.to_owned(), format!(" {name}"), format!("{name}[]"), format!("{name}\"; filename=\"a.png")]
            {
                case.ambiguous(&part, "in a multipart body", multipart(request(), &part)).await;
            }
            for rest in ["/NAME/hush", "/NAME", "/a/NAME/hush/b", "/foo-NAME/hush", "/a.NAME.html", "/a/NAME=hush"] {
                let target = format!("{path}{}", rest.replace("NAME", name));
                case.ambiguous(&target, "in path", case.gate.get(&target)).await;
                let upper = format!("{path}{}", rest.replace("NAME", &name.to_uppercase()));
                case.ambiguous(&upper, "in path", case.gate.get(&upper)).await;
            }
        }
    }
    for target in ["/public/my_user_id/5", "/public/user_ids", "/public/model/x", "/public/signs/a"] {
        assert_eq!(case.gate.get(target).await.reason(), "", "{target}");
    }
    let put = multipart(case.gate.request("PUT", "/public/x"), "user_id").await;
    assert_eq!(put.reason(), "", "PHP reads no multipart body of a PUT");
}

#[tokio::test]
async fn what_routes_is_ambiguous_elsewhere_whatever_is_said_of_credentials() {
    for settings in ["", "elsewhere: ignore", "credentials: [header]\nelsewhere: ignore"] {
        let case = Case::new(settings).await;
        for path in RULES {
            for name in ["mod", "ctl", "act"] {
                let one = format!("{name}=hush");
                case.ambiguous(&one, "form", case.request(path, "", &one, "")).await;
                case.ambiguous(&one, "cookie", case.request(path, "", "", &one)).await;
                case.ambiguous(&one, "query and form", case.request(path, &one, &one, "")).await;
                case.ambiguous(&one, "query and cookie", case.request(path, &one, "", &one)).await;
                case.ambiguous(&one, "twice", case.request(path, &format!("{one}&{one}"), "", "")).await;
                case.ambiguous(&one, "array", case.request(path, &format!("{name}[]=hush"), "", "")).await;
                case.ambiguous(&one, "multipart", multipart(case.gate.post(path), name)).await;
                let target = format!("{path}/{name}/hush");
                case.ambiguous(&target, "path", case.gate.get(&target)).await;
            }
            for name in ["_method", ".method", "%5fmethod", "_method[]", "addon", "+addon", "addon%00", "addon[x]"] {
                let one = format!("{name}=hush");
                case.ambiguous(&one, "query", case.request(path, &one, "", "")).await;
                case.ambiguous(&one, "form", case.request(path, "", &one, "")).await;
            }
            for name in ["_method", "addon"] {
                case.ambiguous(name, "cookie", case.request(path, "", "", &format!("{name}=hush"))).await;
                case.ambiguous(name, "multipart", multipart(case.gate.post(path), name)).await;
                let target = format!("{path}/{name}/hush");
                case.ambiguous(&target, "path", case.gate.get(&target)).await;
            }
        }
    }
}

#[tokio::test]
async fn names_are_the_applications_own_where_they_are_ignored() {
    let case = Case::new("credentials: [header]\nelsewhere: ignore").await;
    let own = "api_token=1&user_id=2&user.id=3&user_token[]=4&nonce=5&sign=6&timestamp=7&client_id=8&client_id=9";
    let sent = |reply: &Reply| assert_eq!((reply.status, reply.reason()), (200, ""), "{}", reply.text());
    sent(&case.request("/public/x", own, own, "user_id=1; nonce=2").await);
    let seen = case.backend.last();
    assert!(seen.starts_with(&format!("POST /public/x?{own} HTTP/1.1\r\n")) && seen.ends_with(own), "{seen}");
    assert!(seen.to_lowercase().contains("cookie: user_id=1; nonce=2"), "{seen}");
    sent(&multipart(case.gate.post("/public/x"), "user_id").await);
    sent(&case.gate.get("/public/x/user_id/5").await);
    for (name, header) in CREDENTIALS {
        let twice = case.gate.get("/public/x").header(header, "hush").header(header, "hush");
        case.ambiguous(name, "twice in header", twice).await;
    }
    let token = case.gate.client("ios", "s3cret").hmac_token("a/b/c");
    let called = case.request("/client/x", "client_id=other&api_token=other", "", "");
    sent(&called.header("X-Client-Id", "ios").header("X-Api-Token", &token).await);
    case.request("/client/x", "client_id=ios", "", "").await.assert_refused(401, "client_missing");
}

#[tokio::test]
async fn other_names_can_be_given_to_the_credentials() {
    let case = Case::new("names: {client_id: appid, api_token: key, user_token: token}").await;
    let token = case.gate.client("ios", "s3cret").hmac_token("a/b/c");
    case.request("/client/x", &format!("appid=ios&key={token}"), "", "").await.assert_passed();
    case.request("/client/x", &format!("appid=ios&api_token={token}"), "", "")
        .await
        .assert_refused(401, "client_missing");
    case.request("/public/x", "client_id=1&client_id=2&api_token[]=3", "", "").await.assert_passed();
    case.ambiguous("token", "token twice", case.request("/public/x", "token=hush&token=hush", "", "")).await;
}

#[tokio::test]
async fn a_bearer_token_is_the_user_token() {
    let case = Case::new("").await;
    let bearer = |scheme: &str| case.gate.get("/public/x").header("Authorization", &format!("{scheme} hush"));
    assert_eq!(bearer("Bearer").await.reason(), "");
    case.ambiguous("two", "user_token", bearer("Bearer").header("X-User-Token", "hush")).await;
    case.ambiguous("two", "user_token", bearer("bearer").header("Authorization", "Basic hush")).await;
    let both = case.request("/public/x", "user_token=hush", "", "").header("Authorization", "BEARER hush");
    case.ambiguous("two", "query and header", both).await;
    let basic = case.request("/public/x", "user_token=hush", "", "").header("Authorization", "Basic hush");
    assert_eq!(basic.await.reason(), "");
    let case = Case::new("credentials: [query]").await;
    let own = case.request("/public/x", "user_token=hush", "", "").header("Authorization", "Bearer hush");
    assert_eq!(own.await.reason(), "", "where headers are not read, Authorization is the application's own");
}

const PARAMS: &str = r#"
upstream: {url: "{upstream}"}
endpoint: []
limits: {form: 1KiB}
rules:
  - {path: "/shop", params: {kind: "Gift*", size: "*"}, require: deny}
  - {path: "/shop", require: public}
  - {path: "/upload", params: {page: "/a/"}, require: public}
  - {path: "/**", require: public}
"#;

#[tokio::test]
async fn params_are_read_where_php_reads_them() {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(PARAMS).upstream(&backend.url).start().await;
    let case = Case { gate, backend };
    for (query, form, cookies, reason) in [
        ("kind=gift-card&size=1", "", "", "denied"),
        ("kind=GIFT&size=", "", "", "denied"),
        ("", "kind=gift&size=1", "", "denied"),
        ("kind=gift", "size=1", "", "denied"),
        ("kind=gift&size=1", "kind=gift", "", "denied"),
        ("ki%6ed=gift&+size=1", "", "", "denied"),
        ("kind=other&kind=gift&size=1", "", "", "denied"),
        ("kind=gift&kind=other&size=1", "", "", ""),
        ("kind=gift", "", "", ""),
        ("Kind=gift&size=1", "", "", ""),
        ("kind=gift&size=1", "kind=other", "", "ambiguous"),
        ("kind[]=gift&size=1", "", "", "ambiguous"),
        ("", "kind[a]=gift&size=1", "", "ambiguous"),
        ("", "", "kind=gift", "ambiguous"),
        ("kind=gift&size=1", "", "size=1", "ambiguous"),
    ] {
        let reply = case.request("/shop", query, form, cookies).await;
        assert_eq!(reply.reason(), reason, "{query} <- {form} with {cookies}: {}", reply.text());
    }
    let get = case.gate.get("/shop").body(FORM, "kind=gift&size=1").await;
    assert_eq!(get.reason(), "", "PHP reads no form of a GET");
}

#[tokio::test]
async fn a_param_that_a_rule_asks_for_cannot_hide_in_a_multipart_body() {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(PARAMS).upstream(&backend.url).start().await;
    let case = Case { gate, backend };
    // PHP would see both, and the rule before would have denied.
    case.ambiguous("short", "kind in a multipart body", multipart(case.gate.post("/shop?size=1"), "kind")).await;
    let long = format!(
        "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{}\r\n\
         --X\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\nhush\r\n--X--\r\n",
        "x".repeat(4096)
    );
    let streamed = |path: &str| case.gate.post(path).body("multipart/form-data; boundary=X", long.as_bytes());
    streamed("/shop?size=1").await.assert_refused(400, "ambiguous");
    assert!(!case.backend.requests().concat().contains("hush"));
    // Elsewhere no rule asks for it.
    multipart(case.gate.post("/elsewhere"), "kind").await.assert_passed();
    streamed("/elsewhere").await.assert_passed();
    let page = case.gate.get("/upload?page=/a/").await;
    assert_eq!(page.reason(), "");
}

#[tokio::test]
async fn opaque_bodies_are_not_looked_into() {
    let yaml = r#"
upstream: {url: "{upstream}"}
endpoint: []
limits: {form: 1KiB, body: 4KiB}
rules:
  - {path: "/upload/**", require: public, body: opaque, max_body: 8KiB}
  - {path: "/**", require: public}
"#;
    let backend = FakeBackend::start().await;
    let gate = Gate::with(yaml).upstream(&backend.url).start().await;
    let large = "user_id=1&user_id=2&".to_owned() + &"x".repeat(6000);
    gate.post("/upload/a").body(FORM, large.as_bytes()).await.assert_passed();
    multipart(gate.post("/upload/a"), "user_id").await.assert_passed();
    let part = "Content-Disposition: form-data; name=user_id\n\nx\n";
    let chunked = format!(
        "POST /upload/a HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=X\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{part}\r\n0\r\n\r\n",
        part.len()
    );
    gate.raw(chunked.as_bytes()).await.expect("a reply").assert_passed();
    gate.post("/upload/a").body("a/b", "x".repeat(8193)).await.assert_refused(413, "too_large");

    gate.post("/other").body(FORM, large.as_bytes()).await.assert_refused(413, "too_large");
    gate.post("/other").body("a/b", "x".repeat(4097)).await.assert_refused(413, "too_large");
    gate.post("/other").body("a/b", "x".repeat(4096)).await.assert_passed();
    multipart(gate.post("/other"), "user_id").await.assert_refused(400, "ambiguous");
}

#[tokio::test]
async fn login_fields_stand_in_a_login_alone() {
    let yaml = r#"
upstream: {url: "{upstream}"}
clients: [{id: ios, secret: s3cret}]
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
elsewhere: ignore
rules:
  - endpoint: user/auth/login
    require: client
    login: {success: {json: {/code: 1}}, user_id: "json:/data/uid", fields: [log, "LoginForm[pwd]"]}
  - {path: "/**", require: public}
"#;
    let backend = FakeBackend::start().await;
    let gate = Gate::with(yaml).upstream(&backend.url).start().await;
    let case = Case { gate, backend };
    for name in ["log", "LoginForm"] {
        let one = format!("{name}=hush");
        case.ambiguous(name, "query", case.request("/a", &one, "", "")).await;
        case.ambiguous(name, "form", case.request("/a", "", &one, "")).await;
        case.ambiguous(name, "form", case.request("/a", "", &format!("{name}[x]=hush"), "")).await;
        case.ambiguous(name, "cookie", case.request("/a", "", "", &one)).await;
        case.ambiguous(name, "multipart", multipart(case.gate.post("/a"), &format!("{name}[pwd]"))).await;
    }
    assert_eq!(case.request("/a", "logs=1&loginform=1", "", "").await.reason(), "");
    let ios = case.gate.client("ios", "s3cret");
    let login = ios.post("user/auth/login", &[("log", "x"), ("LoginForm[pwd]", "y")]).await;
    assert_eq!(login.reason(), "");
}
