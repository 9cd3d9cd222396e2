//! An application of HTML pages that answers a login with a redirect and names the user in a cookie, used through tokens alone.

mod support;

use serde_json::json;
use support::apps::{FORMS, Site};
use support::caller::{Caller, session_of};
use support::http::{Reply, Request};

const ZHANGSAN: [(&str, &str); 2] = [("username", "zhangsan"), ("password", "zs2013")];
const WRONG: [(&str, &str); 2] = [("username", "zhangsan"), ("password", "wrong")];
const NONE: Vec<&str> = vec![];

fn login(caller: &Caller, form: &[(&str, &str)]) -> Request {
    caller.request("POST", "/login.php", "login//").form(form)
}

/// A page named by the module alone.
fn page(caller: &Caller, target: &str) -> Request {
    let module = target.trim_start_matches('/').split('.').next().unwrap_or_default();
    caller.request("GET", target, &format!("{module}//"))
}

async fn zhangsan(site: &Site) -> Caller {
    site.ios().with(session_of(&login(&site.ios(), &ZHANGSAN).await))
}

fn heading(reply: &Reply) -> String {
    let text = reply.text();
    let inside = text.split_once("<body>").and_then(|(_, rest)| rest.split_once("</body>"));
    inside.map(|(body, _)| body.to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn a_login_answered_by_a_redirect_becomes_an_envelope() {
    let site = Site::forms().await;
    let reply = login(&site.ios(), &ZHANGSAN).await;
    reply.assert_passed();
    assert_eq!((reply.header("location"), reply.all("set-cookie")), (None, NONE));
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(reply.at("/code"), 1);
    assert_eq!(session_of(&reply).user_id, "21");
}

#[tokio::test]
async fn merging_into_a_reply_that_is_not_json_falls_back_to_an_envelope() {
    let site = Site::of("forms", &FORMS.replace(", reply: envelope", "")).await;
    let reply = login(&site.ios(), &ZHANGSAN).await;
    assert_eq!((reply.status, reply.header("location"), reply.all("set-cookie")), (200, None, NONE));
    assert_eq!(session_of(&reply).user_id, "21");
}

#[tokio::test]
async fn pages_open_with_the_token() {
    let site = Site::forms().await;
    let zhangsan = zhangsan(&site).await;
    assert!(heading(&page(&zhangsan, "/home.php").await).contains("欢迎，张三"));
    let profile = page(&zhangsan, "/profile.php?id=22").await;
    assert!(heading(&profile).contains("13800000022"));
    assert_eq!(page(&zhangsan, "/profile.php?id=99").await.status, 404, "the application's own refusals pass");
}

#[tokio::test]
async fn a_failed_login_keeps_its_redirect_and_loses_its_cookies() {
    let site = Site::forms().await;
    let reply = login(&site.ios(), &WRONG).await;
    assert_eq!((reply.status, reply.header("location")), (302, Some("/login.php?error=1")));
    assert_eq!((reply.reason(), reply.all("set-cookie")), ("", NONE));
}

#[tokio::test]
async fn a_login_can_be_known_by_its_cookie() {
    let site =
        Site::of("forms", &FORMS.replace("{location: /home.php}", "{cookie: uid, not: {location: \"*error*\"}}")).await;
    assert_eq!(session_of(&login(&site.ios(), &ZHANGSAN).await).user_id, "21");
    assert_eq!(login(&site.ios(), &WRONG).await.status, 302);
}

#[tokio::test]
async fn a_rule_with_methods_opens_no_other_method() {
    let site = Site::forms().await;
    let form = site.ios().request("GET", "/login.php", "login//").await;
    form.assert_refused(401, "user_missing");
}

#[tokio::test]
async fn cookies_of_the_same_user_are_taken_up_when_they_rotate() {
    let site = Site::forms().await;
    let zhangsan = zhangsan(&site).await;
    page(&zhangsan, "/renew.php").await.assert_passed();
    assert!(heading(&page(&zhangsan, "/home.php").await).contains("张三"));
}

#[tokio::test]
async fn a_reply_whose_cookie_names_another_user_ends_the_session() {
    let site = Site::forms().await;
    let zhangsan = zhangsan(&site).await;
    let switched = page(&zhangsan, "/switch.php?id=22").await;
    assert_eq!(switched.all("set-cookie"), NONE);
    assert_eq!(page(&zhangsan, "/home.php").await.status, 401, "an identity never changes under a token");
}

#[tokio::test]
async fn logging_out_ends_the_session() {
    let site = Site::forms().await;
    let zhangsan = zhangsan(&site).await;
    let reply = page(&zhangsan, "/logout.php").await;
    assert_eq!((reply.status, reply.all("set-cookie")), (302, NONE));
    page(&zhangsan, "/home.php").await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn the_user_may_be_read_from_the_form_and_decoded() {
    let yaml = FORMS
        .replace("user_id: \"cookie:uid\"", "user_id: {from: \"form:username\", match: \"^([a-z]+)\", fold: lower}");
    let site = Site::of("forms", &yaml).await;
    let reply = login(&site.ios(), &ZHANGSAN).await;
    assert_eq!(reply.at("/data/user_id"), json!("zhangsan"));
}
