//! What can be decided only by who forwards as well.

use super::asking::{Case, RULES};
use crate::support::gate::Gate;
use crate::support::signing::{Algorithm, Call};

const MORE: &str = r#"
  - {path: "/raw/**", require: public, body: opaque}
"#;

#[tokio::test]
async fn a_body_that_might_be_a_form_is_refused_unless_the_rule_leaves_bodies_unread() {
    let case = Case::with(&RULES.replace("rules:\n", &format!("rules:{MORE}")), "nginx").await;
    let post = |target: &str| case.about("POST", target);
    for kind in [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=a",
        "APPLICATION/x-www-form-urlencoded;x",
        "",
    ] {
        post("/assets/a").header("Content-Type", kind).await.assert_refused(403, "denied");
        assert_eq!(post("/raw/a").header("Content-Type", kind).await.status, 200, "{kind}");
    }
    post("/assets/a").await.assert_refused(403, "denied");
    let twice = post("/assets/a").header("Content-Type", "application/json");
    twice.header("Content-Type", "multipart/form-data; boundary=a").await.assert_refused(400, "ambiguous");
    assert_eq!(post("/assets/a").header("Content-Type", "application/json").await.status, 200);
    assert_eq!(case.about("PUT", "/assets/a").await.status, 200, "PHP reads forms of POST alone");
    post("/raw/a").body("application/json", "{}").await.assert_refused(400, "malformed");
}

#[tokio::test]
async fn rules_that_need_the_reply_are_refused() {
    let rules = RULES.replace(
        "rules:\n",
        "websocket: [{path: /ws, mode: tunnel, require: user, endpoint: a/b/c}]\nrules:\n\
        \x20 - {path: /ws, require: public}\n\
        \x20 - {endpoint: user/auth/login, require: client, login: {success: {status: 200}, user_id: \"json:/uid\", cookies: pass}}\n\
        \x20 - {endpoint: user/auth/logout, require: user, logout: this}\n\
        \x20 - {endpoint: user/a/write, require: user, csrf: {form: t, from: \"header:X-T\"}}\n",
    );
    let case = Case::with(&rules, "nginx").await;
    let (user, ios) = (case.user().await, case.gate.client("ios", "s3cret"));
    let ask = |target: &str| case.about("GET", target);
    // Whether an upgrade is asked for is not seen.
    ask("/ws").await.assert_refused(403, "denied");
    ask(&Case::target(&ios, "user/auth/login")).await.assert_refused(403, "denied");
    ask(&Case::target(&user, "user/a/write")).await.assert_refused(403, "denied");
    ask(&Case::target(&user, "user/auth/logout")).await.assert_refused(403, "denied");
    assert_eq!(ask(&Case::target(&user, "user/info/get")).await.status, 200, "nothing was ended");
    assert!(case.gate.log().contains("must be forwarded to the gate"));
}

#[tokio::test]
async fn nobody_becomes_a_guest_by_being_asked_about() {
    let guests = "rules:\n  - {path: /captcha, require: public, guest: true, limit: 5/s}\n";
    let case = Case::with(&RULES.replace("rules:\n", guests), "nginx").await;
    case.about("GET", "/captcha").await.assert_refused(403, "denied");
    assert_eq!(case.about("GET", "/assets/a").await.status, 200);
}

#[tokio::test]
async fn sessions_that_hold_cookies_are_refused_and_so_are_cookies_where_they_would_be_taken_off() {
    let hold = "  - {endpoint: user/auth/login, require: client, login: {success: {status: 200}, user_id: \"json:/data/uid\"}}\n";
    let rules = RULES.replace("rules:\n", &format!("rules:\n{hold}"));
    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: PHPSESSID=abc\r\nContent-Length: 36\r\n\r\n{\"code\":1,\"msg\":\"\",\"data\":{\"uid\":7}}";
    let backend = crate::support::backend::FakeBackend::answering(answer).await;
    let gate = crate::support::gate::Gate::with(&rules).upstream(&backend.url).put("proxy", "nginx").start().await;
    let case = Case { gate, backend };
    let ios = case.gate.client("ios", "s3cret");
    let user = ios.logged_in("lilei").await;
    user.get("user/info/get").await.assert_passed();
    case.about("GET", &Case::target(&user, "user/info/get")).await.assert_refused(403, "denied");
    let news = Case::target(&ios, "news/list/index");
    assert_eq!(case.about("GET", &news).await.status, 200);
    case.about("GET", &news).header("Cookie", "PHPSESSID=mine").await.assert_refused(403, "denied");
    assert_eq!(case.about("GET", "/assets/a").header("Cookie", "PHPSESSID=mine").await.status, 200);
}

#[tokio::test]
async fn signatures_are_judged_but_not_over_a_body_that_nobody_sees() {
    let case = Case::with(&format!("{RULES}signature: {{require: always}}\n"), "nginx").await;
    let about = |call: &Call, sign: &str| case.about(&call.method, &call.target(sign));
    let call = Call::get(&case.gate, "ios", "s3cret", "news/list/index");
    about(&call, &"0".repeat(64)).await.assert_refused(401, "sign_refused");
    assert_eq!(about(&call, &call.sign()).await.status, 200);
    about(&call, &call.sign()).await.assert_refused(401, "sign_replayed");
    let put = Call::get(&case.gate, "ios", "s3cret", "news/list/index").with(|call| call.method = "PUT".to_owned());
    about(&put, &put.sign()).await.assert_refused(403, "denied");
    let md5 = Call::get(&case.gate, "ios", "s3cret", "news/list/index").with(|call| call.algorithm = Algorithm::Md5);
    assert_eq!(about(&md5, &md5.sign()).await.status, 200, "it never was over the body");
}

#[tokio::test]
async fn a_reload_changes_what_is_decided_but_not_where() {
    let mut case = Case::of("nginx").await;
    let setup = |text: &str| Gate::with(text).upstream("http://127.0.0.1:1").put("proxy", "nginx");
    case.gate
        .take_up(&setup(&RULES.replace("/private/**", "/closed/**").replace("/assets/**", "/private/**")))
        .unwrap();
    assert_eq!(case.about("GET", "/private/a").await.status, 200);
    case.about("GET", "/assets/a").await.assert_refused(403, "denied");
    let elsewhere = RULES.replace("decide: {listen: 127.0.0.1:0", "decide: {listen: 127.0.0.2:0");
    assert_eq!(case.gate.take_up(&setup(&elsewhere)), Err(vec!["decide.listen"]));
    let without = RULES.replace("decide: {listen: 127.0.0.1:0, proxy: {proxy}}\n", "");
    assert_eq!(case.gate.take_up(&setup(&without)), Err(vec!["decide.listen"]));
}
