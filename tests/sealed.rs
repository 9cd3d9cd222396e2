//! Sealed tokens: what a login hands out is of no use without the client's secret.

mod support;

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use serde_json::json;
use sha2::Sha256;
use support::apps::{MVC, Site};
use support::caller::{Session, session_of};
use support::gate::Gate;
use support::http::Reply;

const LILEI: [(&str, &str); 2] = [("username", "lilei"), ("password", "lilei123")];

/// What an app does with the token that it was handed.
fn open(sealed: &str, secret: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(sealed.strip_prefix("v1.")?).ok()?;
    let (nonce, ciphertext) = bytes.split_first_chunk::<12>()?;
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(None, secret.as_bytes()).expand(b"ticketgate user_token", &mut key).ok()?;
    let plain = Aes256Gcm::new(&key.into()).decrypt(&Nonce::from(*nonce), ciphertext).ok()?;
    String::from_utf8(plain).ok()
}

#[track_caller]
fn opened(reply: &Reply, secret: &str) -> Session {
    let session = session_of(reply);
    let user_token = open(&session.user_token, secret).unwrap_or_else(|| panic!("opens under {secret}: {reply:?}"));
    Session { user_token, ..session }
}

async fn site() -> Site {
    sealed_site(MVC).await
}

async fn sealed_site(yaml: &str) -> Site {
    let admin = "admin: {listen: 127.0.0.1:0, token: op}\nsession: {sealed: true}\n";
    Site::of("mvc", &format!("{admin}{yaml}")).await
}

async fn api(gate: &Gate, path: &str, body: &str) -> Reply {
    let request = gate.admin("POST", &format!("/api/v1{path}")).header("Authorization", "Bearer op");
    request.body("application/json", body).await
}

#[tokio::test]
async fn a_login_hands_out_a_token_that_its_client_alone_can_open() {
    let site = site().await;
    let reply = site.ios().post("user/auth/login", &LILEI).await;
    let session = opened(&reply, "s3cret");
    assert_eq!(session.user_token.len(), 32);
    assert_eq!(open(&session_of(&reply).user_token, "dr0id"), None);
    assert!(!reply.text().contains(&session.user_token), "nothing of the plain token is in the reply");
    site.ios().with(session).get("user/info/get").await.assert_passed();
}

#[tokio::test]
async fn a_sealed_token_is_no_token() {
    let site = site().await;
    let reply = site.ios().post("user/auth/login", &LILEI).await;
    let as_handed_out = site.ios().with(session_of(&reply));
    as_handed_out.get("user/info/get").await.assert_refused(401, "user_refused");
    site.ios().with(opened(&reply, "s3cret")).get("user/info/get").await.assert_passed();
}

#[tokio::test]
async fn an_envelope_holds_a_sealed_token_too() {
    let site = sealed_site(&MVC.replace("\"json:/data/uid\"}", "\"json:/data/uid\", reply: envelope}")).await;
    let reply = site.ios().post("user/auth/login", &LILEI).await;
    site.ios().with(opened(&reply, "s3cret")).get("user/info/get").await.assert_passed();
}

#[tokio::test]
async fn a_token_of_the_application_is_sealed_wherever_the_rule_found_it() {
    let site = site().await;
    let reply = site.ios().post("user/auth/login_v1", &LILEI).await;
    let session = opened(&reply, "s3cret");
    assert_eq!(reply.at("/data/token"), reply.at("/data/user_token"));
    assert!(!reply.text().contains(&session.user_token), "the application's own token is not left beside it");
    site.ios().with(session).get("user/info/get").await.assert_passed();
}

#[tokio::test]
async fn two_logins_are_never_sealed_alike() {
    let site = site().await;
    let first = session_of(&site.ios().post("user/auth/login", &LILEI).await).user_token;
    let second = session_of(&site.ios().post("user/auth/login", &LILEI).await).user_token;
    assert_ne!(first[..19], second[..19], "the nonces differ");
}

#[tokio::test]
async fn while_a_secret_is_rotated_each_app_is_handed_what_it_can_open() {
    let site = site().await;
    api(&site.gate, "/clients", r#"{"id": "web", "secret": "old-secret"}"#).await;
    api(&site.gate, "/clients/web/rotate", r#"{"keep_old": "1h", "secret": "new-secret"}"#).await;
    for secret in ["old-secret", "new-secret"] {
        let app = site.gate.client("web", secret);
        let reply = app.post("user/auth/login", &LILEI).await;
        app.with(opened(&reply, secret)).get("user/info/get").await.assert_passed();
    }
}

#[tokio::test]
async fn an_operator_issues_tokens_under_the_newest_secret_of_a_client() {
    let site = site().await;
    api(&site.gate, "/clients", r#"{"id": "web", "secret": "old-secret"}"#).await;
    api(&site.gate, "/clients/web/rotate", r#"{"keep_old": "1h", "secret": "new-secret"}"#).await;
    for (client, secret) in [("web", "new-secret"), ("ios", "s3cret")] {
        let issued = api(&site.gate, "/users/7/sessions", &format!(r#"{{"client_id": "{client}"}}"#)).await;
        assert_eq!(issued.status, 201, "{issued:?}");
        let user_token = open(issued.at("/user_token").as_str().unwrap_or_default(), secret).expect("it opens");
        let session = Session { user_id: "7".to_owned(), user_token, expire_time: 0 };
        site.gate.client(client, secret).with(session).get("user/info/get").await.assert_passed();
    }
    let refused = api(&site.gate, "/users/7/sessions", "{}").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("client_id: is needed"), "{}", refused.text());
    assert_eq!(
        site.gate.admin("GET", "/api/v1/users/7/sessions").header("Authorization", "Bearer op").await.at("/sessions/2"),
        json!(null)
    );
}
