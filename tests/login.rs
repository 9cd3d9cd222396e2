//! An unchanged PHP application with sessions in cookies, used through tokens alone: logging in and out.

mod support;

use serde_json::json;
use support::apps::{MVC, Site};
use support::backend::FakeBackend;
use support::caller::{Caller, mvc, session_of};
use support::gate::Gate;
use support::http::Request;

const LILEI: [(&str, &str); 2] = [("username", "lilei"), ("password", "lilei123")];
const WRONG: [(&str, &str); 2] = [("username", "lilei"), ("password", "wrong")];

/// What a client asks to learn whether its session lives.
async fn reason_for(caller: &Caller) -> String {
    caller.get("user/info/get").await.reason().to_owned()
}

#[tokio::test]
async fn a_login_hands_out_a_token_inside_the_applications_own_reply() {
    let site = Site::mvc().await;
    let reply = site.ios().post("user/auth/login", &LILEI).await;

    reply.assert_passed();
    assert_eq!(reply.at("/code"), 1);
    assert_eq!(reply.at("/msg"), "登录成功");
    assert_eq!(reply.at("/data/uid"), 7, "what the application said stays as it was");
    assert_eq!(reply.at("/data/name"), "李雷");
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));

    let session = session_of(&reply);
    assert_eq!(session.user_id, "7", "a numeric id becomes its decimal text");
    assert_eq!(session.user_token.len(), 32);
    assert!(session.user_token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    let left = session.expire_time.abs_diff(site.gate.clock.now().as_secs() + 7200);
    assert!(left <= 5, "expires in two hours");
}

#[tokio::test]
async fn the_token_opens_what_the_application_keeps_in_its_session() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    assert_eq!(lilei.get("user/info/get").await.at("/data"), json!({"uid": 7, "name": "李雷"}));

    let saved = lilei.post("user/info/save", &[("name", "雷哥")]).await;
    assert_eq!(saved.at("/code"), 1);
    assert_eq!(lilei.get("user/info/get").await.at("/data/name"), "雷哥");

    let hanmeimei = site.android().logged_in("hanmeimei").await;
    assert_eq!(hanmeimei.get("user/info/get").await.at("/data/name"), "韩梅梅");
    assert_eq!(lilei.get("user/info/get").await.at("/data/name"), "雷哥");
}

#[tokio::test]
async fn a_wrong_password_passes_through_unchanged_and_its_cookies_reach_nobody() {
    let site = Site::mvc().await;
    let direct = Request::new(site.php.address(), "POST", &mvc("user/auth/login")).form(&WRONG).await;
    assert_eq!(direct.all("set-cookie").len(), 1, "the application opens a session for a failed try");

    let reply = site.ios().post("user/auth/login", &WRONG).await;
    reply.assert_passed();
    assert_eq!(reply.body, direct.body);
    assert_eq!(reply.all("set-cookie"), Vec::<&str>::new());
}

#[tokio::test]
async fn a_data_that_is_an_empty_list_becomes_an_object() {
    let site = Site::mvc().await;
    let reply = site.ios().post("user/auth/login_brief", &LILEI).await;
    let session = session_of(&reply);
    assert_eq!(reply.at("/data").as_object().map(serde_json::Map::len), Some(3));
    assert_eq!(reason_for(&site.ios().with(session)).await, "");
}

#[tokio::test]
async fn a_token_that_the_application_issued_is_adopted() {
    let site = Site::mvc().await;
    let reply = site.ios().post("user/auth/login_v1", &LILEI).await;
    let session = session_of(&reply);
    assert_eq!(reply.at("/data/token"), session.user_token.as_str());
    assert_eq!(site.ios().with(session).get("user/info/get").await.at("/data/uid"), 7);
}

#[tokio::test]
async fn an_envelope_can_stand_in_place_of_the_reply() {
    let yaml = MVC.replace("user_id: \"json:/data/uid\"}", "user_id: \"json:/data/uid\", reply: envelope}");
    let site = Site::of("mvc", &yaml).await;
    let reply = site.ios().post("user/auth/login", &LILEI).await;
    let text = reply.text();
    assert!(text.starts_with(r#"{"code":1,"msg":""#) && text.is_ascii(), "{text}");
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(reply.at("/data").as_object().map(serde_json::Map::len), Some(3));
    assert_eq!(reason_for(&site.ios().with(session_of(&reply))).await, "");
}

#[tokio::test]
async fn a_failed_login_can_be_told_in_an_envelope() {
    let yaml = MVC.replace("user_id: \"json:/data/uid\"}", "user_id: \"json:/data/uid\", failed: envelope}");
    let site = Site::of("mvc", &yaml).await;
    let reply = site.ios().post("user/auth/login", &WRONG).await;
    reply.assert_refused(401, "login_failed");
    assert_eq!((reply.at("/code"), reply.at("/data")), (json!(0), json!([])));
    assert_eq!(reply.all("set-cookie"), Vec::<&str>::new());
}

#[tokio::test]
async fn a_success_may_have_any_of_several_signs_and_none_of_others() {
    let yaml = MVC.replace(
        "login: {success: {json: {/code: 1}}, user_id: \"json:/data/uid\"}",
        "login: {success: [{status: 201}, {body: '\"code\":1', not: {json: {/data/uid: 8}}}], user_id: \"json:/data/uid\"}",
    );
    let site = Site::of("mvc", &yaml).await;
    session_of(&site.ios().post("user/auth/login", &LILEI).await);
    let other = site.ios().post("user/auth/login", &[("username", "hanmeimei"), ("password", "hanmeimei123")]).await;
    assert_eq!((other.at("/data/uid"), other.at("/data/user_token")), (json!(8), json!(null)));
    assert_eq!(other.all("set-cookie"), Vec::<&str>::new());
}

#[tokio::test]
async fn json_is_known_by_its_content_after_a_mark_of_byte_order() {
    let body = "\u{feff}{\"code\":\"1\",\"msg\":\"ok\",\"data\":{\"uid\":\"u-9\"}}";
    let reply = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let backend = FakeBackend::answering(reply.as_bytes()).await;
    let gate = Gate::with(MVC).upstream(&backend.url).start().await;
    let reply = gate.client("ios", "s3cret").post("user/auth/login", &LILEI).header("Accept-Encoding", "gzip").await;
    assert!(reply.text().contains("\"user_id\":\"u-9\""), "{}", reply.text());
    let asked = backend.last().to_ascii_lowercase();
    assert!(!asked.contains("gzip"), "a login is asked for without compression: {asked}");
}

#[tokio::test]
async fn logging_out_ends_the_session_though_the_application_deletes_no_cookie() {
    let site = Site::mvc().await;
    let (phone, tablet) = (site.ios().logged_in("lilei").await, site.android().logged_in("lilei").await);
    assert_eq!(phone.get("user/auth/logout").await.at("/msg"), "已退出");
    phone.get("user/info/get").await.assert_refused(401, "user_refused");
    phone.get("user/auth/logout").await.assert_refused(401, "user_refused");
    assert_eq!(reason_for(&tablet).await, "");
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions_of_that_user_alone() {
    let site = Site::mvc().await;
    let (phone, tablet) = (site.ios().logged_in("lilei").await, site.android().logged_in("lilei").await);
    let stranger = site.ios().logged_in("hanmeimei").await;
    phone.post("user/auth/password", &[("old", "lilei123")]).await.assert_passed();
    assert_eq!(reason_for(&phone).await, "");
    assert_ne!(reason_for(&tablet).await, "");
    assert_eq!(reason_for(&stranger).await, "");
}

#[tokio::test]
async fn logging_out_everywhere_ends_every_session_of_that_user_alone() {
    let site = Site::mvc().await;
    let (phone, tablet) = (site.ios().logged_in("lilei").await, site.android().logged_in("lilei").await);
    let stranger = site.ios().logged_in("hanmeimei").await;
    phone.get("user/auth/logout_all").await.assert_passed();
    assert_ne!(reason_for(&phone).await, "");
    assert_ne!(reason_for(&tablet).await, "");
    assert_eq!(reason_for(&stranger).await, "");
}

#[tokio::test]
async fn a_login_under_an_old_session_ends_it() {
    let site = Site::mvc().await;
    let old = site.ios().logged_in("lilei").await;
    let new = old.logged_in("hanmeimei").await;
    assert_ne!(old.session(), new.session());
    assert_ne!(reason_for(&old).await, "");
    assert_eq!(new.get("user/info/get").await.at("/data/uid"), 8);
}

#[tokio::test]
async fn a_failed_login_under_a_session_leaves_it_alone() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    assert_eq!(lilei.post("user/auth/login", &WRONG).await.at("/code"), 0);
    assert_eq!(reason_for(&lilei).await, "");
}

#[tokio::test]
async fn a_token_serves_its_owner_and_its_client_alone() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    let mut session = lilei.session().clone();

    let elsewhere = site.android().with(session.clone()).get("user/info/get").await;
    elsewhere.assert_refused(403, "wrong_channel");

    session.user_id = "8".to_owned();
    site.ios().with(session.clone()).get("user/info/get").await.assert_refused(401, "user_refused");
    session.user_id = String::new();
    site.ios().with(session).get("user/info/get").await.assert_refused(401, "user_missing");
    assert_eq!(reason_for(&lilei).await, "");
}

#[tokio::test]
async fn a_newer_login_over_the_limit_tells_the_oldest_that_it_was_ended() {
    let yaml = format!("{MVC}\nsession: {{per_user: 2}}\n");
    let site = Site::of("mvc", &yaml).await;
    let first = site.ios().logged_in("lilei").await;
    site.gate.clock.advance(std::time::Duration::from_secs(1));
    let second = site.ios().logged_in("lilei").await;
    site.gate.clock.advance(std::time::Duration::from_secs(1));
    let third = site.ios().logged_in("lilei").await;
    first.get("user/info/get").await.assert_refused(401, "user_ended");
    assert_eq!((reason_for(&second).await.as_str(), reason_for(&third).await.as_str()), ("", ""));
}
