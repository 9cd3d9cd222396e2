//! Guest sessions: a caller without a session gets one of nobody's, for captchas and carts, and logs in with what it holds.

mod support;

use std::time::Duration;

use support::apps::Site;
use support::caller::{Caller, session_of};
use support::gate::Gate;
use support::http::Reply;
use support::php::Php;
use support::redis::RedisServer;

const SHOP: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "{store}"}
clients: [{id: ios, secret: s3cret}, {id: android, secret: dr0id}]
endpoint:
  - path: "/{module}.php"
session: {guest: 10m, {session}}
rules:
  - {endpoint: captcha, require: {who}, guest: true}
  - {endpoint: cart, require: {who}, guest: true}
  - endpoint: login
    require: client
    login: {success: {json: {/code: 1}}, user_id: "cookie:uid", user_name: "form:user"}
  - endpoint: nameless
    require: client
    login: {success: {json: {/code: 1}}, user_id: "json:/data/nobody", user_name: "form:user"}
  - {path: /home.php, endpoint: {is: home/x/y}, require: client}
  - {path: /only.php, require: user_only}
  - {path: "/*.php", require: user}
"#;

struct Shop {
    gate: Gate,
    _php: Php,
}

impl Shop {
    async fn of(who: &str, store: &str, session: &str) -> Self {
        let php = Php::application("shop");
        let setup = Gate::with(SHOP).put("who", who).put("store", store).put("session", session);
        Self { gate: setup.upstream(&php.url).start().await, _php: php }
    }

    fn ios(&self) -> Caller {
        self.gate.client("ios", "s3cret")
    }

    /// Asks as a guest with that token, or as one without.
    async fn ask(&self, method: &str, page: &str, guest: Option<&str>, fields: &[(&str, &str)]) -> Reply {
        ask(&self.ios(), method, page, guest, fields).await
    }

    async fn cart(&self, guest: Option<&str>, item: &str) -> Reply {
        self.ask("POST", "cart", guest, &[("item", item)]).await
    }

    async fn log_in(&self, guest: Option<&str>, user: &str, password: &str, captcha: &str) -> Reply {
        let fields = [("user", user), ("pass", password), ("captcha", captcha)];
        self.ask("POST", "login", guest, &fields).await
    }
}

async fn ask(caller: &Caller, method: &str, page: &str, guest: Option<&str>, fields: &[(&str, &str)]) -> Reply {
    let request = caller.request(method, &format!("/{page}.php"), &format!("{page}//"));
    let request = if fields.is_empty() { request } else { request.form(fields) };
    match guest {
        Some(token) => request.header("X-User-Token", token).await,
        None => request.await,
    }
}

/// The token that a reply hands to a guest.
fn token_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.all("set-cookie"), Vec::<&str>::new());
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    reply.header("x-guest-token").unwrap_or_else(|| panic!("no token in {reply:?}")).to_owned()
}

fn captcha_of(reply: &Reply) -> String {
    reply.at("/data/captcha").as_str().map_or_else(|| panic!("no captcha in {reply:?}"), str::to_owned)
}

/// A guest who fills a cart, fails to log in, logs in, and goes on with the cart.
async fn shops(shop: &Shop) {
    let first = shop.cart(None, "tea").await;
    let guest = token_of(&first);
    assert_eq!(first.at("/data/headers/user"), serde_json::Value::Null);
    let second = shop.cart(Some(&guest), "cup").await;
    assert_eq!(second.at("/data/cart"), serde_json::json!(["tea", "cup"]));
    assert_eq!((second.header("x-guest-token"), second.all("set-cookie").len()), (None, 0));

    let captcha = captcha_of(&shop.ask("GET", "captcha", Some(&guest), &[]).await);
    let wrong = shop.log_in(Some(&guest), "anna", "guess", &captcha).await;
    assert_eq!(wrong.at("/data/why"), "password");
    let again = shop.log_in(Some(&guest), "anna", "anna123", &captcha).await;
    assert_eq!(again.at("/data/why"), "captcha", "it is good for one try");
    let captcha = captcha_of(&shop.ask("GET", "captcha", Some(&guest), &[]).await);
    let login = shop.log_in(Some(&guest), "anna", "anna123", &captcha).await;
    assert_eq!((login.at("/code"), login.all("set-cookie").len()), (1.into(), 0), "{}", login.text());

    let anna = shop.ios().with(session_of(&login));
    let cart = ask(&anna, "GET", "cart", None, &[]).await;
    assert_eq!(cart.at("/data/cart"), serde_json::json!(["tea", "cup"]), "the jar is carried on");
    assert_eq!((cart.at("/data/name"), cart.at("/data/headers/user")), ("anna".into(), "anna".into()));
    assert_eq!(cart.header("x-guest-token"), None);
    let former = shop.cart(Some(&guest), "late").await;
    assert_ne!(token_of(&former), guest, "replaced at login");
    assert_eq!(former.at("/data/cart"), serde_json::json!(["late"]));
}

#[tokio::test]
async fn a_guest_keeps_what_he_has_until_and_through_his_login_in_every_store() {
    let directory = tempfile::tempdir().unwrap();
    let redis = RedisServer::start();
    let file = format!("file:{}", directory.path().join("state.redb").display());
    for store in ["memory:", &file, &redis.url()] {
        for who in ["client", "public"] {
            shops(&Shop::of(who, store, "idle: 2h").await).await;
        }
    }
}

#[tokio::test]
async fn a_guest_is_no_user_and_counts_where_guests_do_alone() {
    let shop = Shop::of("client", "memory:", "user_id: optional").await;
    let guest = token_of(&shop.cart(None, "tea").await);
    for page in ["account", "only"] {
        shop.ask("GET", page, Some(&guest), &[]).await.assert_refused(401, "user_refused");
    }
    let home = shop.ios().request("GET", "/home.php", "home/x/y").header("X-User-Token", &guest).await;
    assert_eq!((home.header("x-guest-token"), home.at("/data/cookies")), (None, serde_json::json!([])));
    let claimed = shop.ios().request("GET", "/cart.php?user_id=anna", "cart//").header("X-User-Token", &guest).await;
    claimed.assert_refused(401, "user_refused");
    let other = ask(&shop.gate.client("android", "dr0id"), "GET", "cart", Some(&guest), &[]).await;
    other.assert_refused(403, "wrong_channel");
    assert_eq!(shop.cart(Some(&guest), "cup").await.at("/data/cart"), serde_json::json!(["tea", "cup"]));

    let strict = Shop::of("client", "memory:", "idle: 2h").await;
    let guest = token_of(&strict.cart(None, "tea").await);
    strict.ask("GET", "account", Some(&guest), &[]).await.assert_refused(401, "user_missing");
}

#[tokio::test]
async fn guests_have_jars_of_their_own_and_cookies_of_callers_reach_nobody() {
    let shop = Shop::of("public", "memory:", "idle: 2h").await;
    let one = token_of(&shop.cart(None, "tea").await);
    let two = token_of(&shop.cart(None, "cup").await);
    assert_ne!(one, two);
    let cart = shop.ask("GET", "cart", Some(&one), &[]).await;
    assert_eq!(cart.at("/data/cart"), serde_json::json!(["tea"]));
    let forged = shop.gate.get("/cart.php").header("Cookie", "SHOPSID=chosen; uid=anna").await;
    assert_eq!(forged.at("/data/cookies"), serde_json::json!([]));
    let basic = shop.gate.get("/cart.php").header("Authorization", "Basic YW5uYTphbm5hMTIz").await;
    assert_eq!(basic.at("/data/headers/authorization"), serde_json::Value::Null);
}

#[tokio::test]
async fn a_guest_session_lives_from_use_to_use() {
    let shop = Shop::of("client", "memory:", "extend_every: 1s").await;
    let guest = token_of(&shop.cart(None, "1").await);
    for item in ["2", "3"] {
        shop.gate.clock.advance(Duration::from_mins(8));
        assert_eq!(shop.cart(Some(&guest), item).await.header("x-guest-token"), None);
    }
    shop.gate.clock.advance(Duration::from_secs(10 * 60 + 10));
    let late = shop.cart(Some(&guest), "4").await;
    assert_ne!(token_of(&late), guest);
    assert_eq!(late.at("/data/cart"), serde_json::json!(["4"]));
}

#[tokio::test]
async fn whose_session_is_over_is_told_so_and_made_no_guest_of() {
    let shop = Shop::of("client", "memory:", "idle: 20m").await;
    let login = async |user: &str| {
        let captcha = shop.ask("GET", "captcha", None, &[]).await;
        let (guest, captcha) = (token_of(&captcha), captcha_of(&captcha));
        let login = shop.log_in(Some(&guest), user, &format!("{user}123"), &captcha).await;
        shop.ios().with(session_of(&login))
    };
    let anna = login("anna").await;
    assert_eq!(ask(&anna, "GET", "cart", None, &[]).await.at("/data/name"), "anna");
    let nameless = shop.ask("GET", "cart", Some(&anna.session().user_token), &[]).await;
    nameless.assert_refused(401, "user_missing");
    shop.gate.clock.advance(Duration::from_mins(25));
    ask(&anna, "GET", "cart", None, &[]).await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn a_guest_whom_the_application_takes_for_somebody_is_one_no_longer() {
    let shop = Shop::of("client", "memory:", "idle: 2h").await;
    let named = shop.ask("POST", "cart", None, &[("name", "guest-1")]).await;
    let guest = token_of(&named);
    let same = shop.ask("POST", "cart", Some(&guest), &[("name", "guest-1")]).await;
    assert_eq!(same.status, 200, "so it called him from the beginning");
    let bruno = shop.ask("POST", "cart", Some(&guest), &[("name", "bruno")]).await;
    bruno.assert_refused(401, "session_lost");
    assert_ne!(token_of(&shop.cart(Some(&guest), "x").await), guest);
}

#[tokio::test]
async fn a_login_that_the_application_accepts_and_that_names_nobody_leaves_no_guest_who_is_somebody() {
    let shop = Shop::of("client", "memory:", "idle: 2h").await;
    let captcha = shop.ask("GET", "captcha", None, &[]).await;
    let (guest, captcha) = (token_of(&captcha), captcha_of(&captcha));
    let fields = [("user", "anna"), ("pass", "anna123"), ("captcha", &captcha)];
    let nameless = shop.ask("POST", "nameless", Some(&guest), &fields).await;
    assert_eq!((nameless.at("/code"), nameless.at("/data/user_token")), (1.into(), serde_json::Value::Null));
    let cart = shop.ask("GET", "cart", Some(&guest), &[]).await;
    assert_ne!(token_of(&cart), guest);
    assert_eq!(cart.at("/data/name"), serde_json::Value::Null);
}

#[tokio::test]
async fn a_guests_token_is_sealed_where_tokens_are() {
    let shop = Shop::of("client", "memory:", "sealed: true").await;
    assert!(token_of(&shop.cart(None, "tea").await).starts_with("v1."));
}

#[tokio::test]
async fn without_guests_a_login_starts_from_a_clean_jar() {
    let shop = SHOP.replace("guest: true", "guest: false").replace("{who}", "client").replace("{session}", "idle: 2h");
    let site = Site::of("shop", &shop.replace("{store}", "memory:")).await;
    let captcha = ask(&site.ios(), "GET", "captcha", None, &[]).await;
    assert_eq!((captcha.header("x-guest-token"), captcha.header("cache-control")), (None, Some("public, max-age=600")));
    assert_eq!(captcha.all("set-cookie").len(), 0);
}
