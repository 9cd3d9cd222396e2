//! Logins and logouts that need a page of the application first, against a real one whose forms are guarded.

mod support;

use support::apps::Site;
use support::backend::FakeBackend;
use support::caller::session_of;
use support::gate::Gate;
use support::http::Reply;

const SITE: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
clients: [{id: ios, secret: s3cret}]
endpoint:
  - path: "/{module}.php"
rules:
  - endpoint: login
    require: client
    login: {before: {get: /login.php, form: true}, success: {location: /home.php}, user_id: "form:user", reply: envelope}
  - endpoint: named
    require: client
    login: {before: {get: /login.php, form: login}, success: {location: /home.php}, user_id: "form:user", reply: envelope}
  - endpoint: moved
    require: client
    login: {before: {get: "/start.php?to=once", form: true}, success: {location: /home.php}, user_id: "form:user", reply: envelope}
  - endpoint: moved_twice
    require: client
    login: {before: {get: "/start.php?to=twice", form: true}, success: {location: /home.php}, user_id: "form:user"}
  - endpoint: away
    require: client
    login: {before: {get: "/start.php?to=away", form: true}, success: {location: /home.php}, user_id: "form:user"}
  - endpoint: no_form
    require: client
    login: {before: {get: /token.php, form: true}, success: {location: /home.php}, user_id: "form:user"}
  - endpoint: api_login
    require: client
    login: {before: {get: /token.php, take: {token: "json:/tokens/login"}}, success: {json: {/code: 1}}, user_id: "json:/data/uid"}
  - {path: /logout.php, methods: [GET], endpoint: {is: logout/get/x}, require: user, logout: {end: this, before: {get: /home.php, take: {key: "body:key=([0-9a-f]+)"}}}}
  - {path: /logout.php, endpoint: {is: logout/post/x}, require: user, logout: {end: this, before: {get: /home.php, take: {key: "body:key=([0-9a-f]+)"}}}}
  - {path: "/*.php", require: user}
"#;

async fn log_in(site: &Site, endpoint: &str, user: &str, password: &str) -> Reply {
    let target = format!("/{endpoint}.php");
    let login = site.ios().request("POST", &target, &format!("{endpoint}//"));
    login.form(&[("user", user), ("pass", password)]).await
}

async fn home(site: &Site, login: &Reply) -> Reply {
    let anna = site.ios().with(session_of(login));
    anna.request("GET", "/home.php", "home//").await
}

#[tokio::test]
async fn a_login_form_is_fetched_filled_and_sent_as_a_browser_would() {
    let site = Site::of("guarded", SITE).await;
    for endpoint in ["login", "named", "moved"] {
        let login = log_in(&site, endpoint, "anna", "anna123").await;
        assert_eq!(login.at("/code"), 1, "{endpoint}: {}", login.text());
        let home = home(&site, &login).await;
        assert!(home.text().contains("<p>anna</p>"), "{endpoint}: {}", home.text());
    }
}

#[tokio::test]
async fn a_failed_try_spoils_its_page_and_not_the_next_try() {
    let site = Site::of("guarded", SITE).await;
    let (wrong, bruno) =
        (log_in(&site, "login", "anna", "guess").await, log_in(&site, "login", "bruno", "bruno123").await);
    assert!(wrong.text().contains("<p>No.</p>"), "{}", wrong.text());
    assert_eq!(wrong.header("set-cookie"), None);
    let anna = log_in(&site, "login", "anna", "anna123").await;
    for (login, name) in [(&anna, "anna"), (&bruno, "bruno")] {
        assert!(home(&site, login).await.text().contains(&format!("<p>{name}</p>")), "{name}");
    }
}

#[tokio::test]
async fn a_locked_account_does_not_even_fetch_the_page() {
    let site = Site::of("guarded", SITE).await;
    for _ in 0..5 {
        log_in(&site, "login", "anna", "guess").await;
    }
    log_in(&site, "login", "anna", "anna123").await.assert_refused(429, "locked");
}

#[tokio::test]
async fn single_fields_are_taken_from_a_page() {
    let site = Site::of("guarded", SITE).await;
    let login = log_in(&site, "api_login", "anna", "anna123").await;
    assert_eq!((login.at("/code"), login.at("/data/user_id")), (1.into(), "anna".into()), "{}", login.text());
    assert!(home(&site, &login).await.text().contains("<p>anna</p>"));
    // What the client says in its place does not count.
    let target = "/api_login.php";
    let login = site.ios().request("POST", target, "api_login//");
    let login = login.form(&[("user", "anna"), ("pass", "anna123"), ("token", "mine")]).await;
    assert_eq!(login.at("/code"), 1, "{}", login.text());
}

#[tokio::test]
async fn a_page_that_does_not_have_it_is_the_applications_failure_and_the_log_says_what() {
    let site = Site::of("guarded", SITE).await;
    for (endpoint, said) in [
        ("moved_twice", "/start.php redirects more than once"),
        ("away", "/start.php leads away, to elsewhere.example"),
        ("no_form", "/token.php (status 200) has not such a form"),
    ] {
        log_in(&site, endpoint, "anna", "anna123").await.assert_refused(502, "upstream_failed");
        support::process::until(|| site.gate.log().contains(said)).await;
    }
}

#[tokio::test]
async fn a_body_into_which_no_field_can_be_laid_is_refused() {
    let site = Site::of("guarded", SITE).await;
    for endpoint in ["login", "api_login"] {
        let login = site.ios().request("POST", &format!("/{endpoint}.php"), &format!("{endpoint}//"));
        login.body("application/json", r#"{"user":"anna"}"#).await.assert_refused(400, "malformed");
    }
}

#[tokio::test]
async fn a_logout_takes_the_key_that_the_application_asks_for() {
    let site = Site::of("guarded", SITE).await;
    for (method, endpoint) in [("GET", "logout/get/x"), ("POST", "logout/post/x")] {
        let login = log_in(&site, "login", "anna", "anna123").await;
        let anna = site.ios().with(session_of(&login));
        let out = anna.request(method, "/logout.php", endpoint).await;
        assert_eq!((out.status, out.at("/code")), (200, 1.into()), "{method}: {}", out.text());
        home(&site, &login).await.assert_refused(401, "user_refused");
    }
}

#[tokio::test]
async fn hidden_credentials_stay_hidden_in_a_form_that_is_made() {
    const PAGE: &str = "<form action=/in.php?a=1><input type=hidden name=t value=1><input type=password></form>";
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{PAGE}", PAGE.len());
    let backend = FakeBackend::answering(answer.as_bytes()).await;
    let gate = Gate::with(&format!("forward: {{hide_credentials: true}}\n{SITE}")).upstream(&backend.url).start().await;
    let token = gate.client("ios", "s3cret").api_token("login//");
    let login =
        gate.post("/login.php").header("Referer", "http://mine.example/").header("Origin", "http://mine.example");
    login.form(&[("client_id", "ios"), ("api_token", &token), ("user", "anna"), ("t", "2")]).await;
    let requests = backend.requests();
    assert!(requests[0].starts_with("GET /login.php HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[1].starts_with("POST /in.php?a=1 HTTP/1.1\r\n"), "{}", requests[1]);
    assert!(requests[1].ends_with("\r\n\r\nuser=anna&t=2"), "{}", requests[1]);
    assert!(
        requests[1].contains(&format!("\r\nReferer: http://{}/login.php\r\n", gate.addresses()[0])),
        "{}",
        requests[1]
    );
    assert!(!requests[1].contains("mine.example"), "{}", requests[1]);
    assert_eq!(requests.len(), 2);
}
