//! What a session is tied to: client, address, User-Agent, each alone and together.

mod support;

use serde_json::json;
use support::backend::FakeBackend;
use support::caller::{Caller, Session, session_of};
use support::gate::Gate;
use support::http::{Reply, Request};

const YAML: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
clients:
  - {id: ios, secret: s3cret}
  - {id: android, secret: dr0id}
rules:
  - {endpoint: user/auth/login, require: client, login: {success: {json: {/code: 1}}, user_id: "json:/data/uid"}}
  - {endpoint: user/auth/web, require: public, login: {success: {json: {/code: 1}}, user_id: "json:/data/uid"}}
  - {endpoint: user/page, require: user_only}
  - {endpoint: user, require: user}
"#;

const LOGIN: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{\"code\":1,\"data\":{\"uid\":7}}\n";

const PHONE: &str = "Phone/1.0";

/// A gate with that `bind`, and more configuration, before an application that lets everybody in as user 7.
struct Bound {
    gate: Gate,
    _backend: FakeBackend,
}

impl Bound {
    async fn to(bind: &str, more: &str) -> Self {
        let backend = FakeBackend::answering(LOGIN).await;
        let admin = "admin: {listen: \"127.0.0.1:0\", token: operator}";
        let yaml = format!("{YAML}\nsession: {{bind: [{bind}]}}\n{admin}\n{more}\n");
        let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
        Self { gate, _backend: backend }
    }

    fn ios(&self) -> Caller {
        self.gate.client("ios", "s3cret")
    }

    fn android(&self) -> Caller {
        self.gate.client("android", "dr0id")
    }

    /// The reply to an operator who issues a session.
    async fn issue(&self, wanted: serde_json::Value) -> Reply {
        let request = self.gate.admin("POST", "/api/v1/users/7/sessions");
        let request = request.header("Authorization", "Bearer operator");
        request.body("application/json", wanted.to_string()).await
    }

    /// The session that he issues.
    async fn issued(&self, wanted: serde_json::Value) -> Session {
        let reply = self.issue(wanted).await;
        let text = |key| reply.at(key).as_str().unwrap_or_else(|| panic!("{reply:?}")).to_owned();
        Session { user_id: text("/user_id"), user_token: text("/user_token"), expire_time: 0 }
    }
}

/// Logs in; `place` says from where and with what.
async fn log_in(client: &Caller, place: impl Fn(Request) -> Request) -> Caller {
    let reply = place(client.post("user/auth/login", &[("username", "lilei")])).await;
    client.clone().with(session_of(&reply))
}

fn phone(request: Request) -> Request {
    request.from("127.0.0.1").header("User-Agent", PHONE)
}

#[track_caller]
fn assert_passes(reply: &Reply, passes: bool, what: &str) {
    let expected = if passes { (200, "") } else { (403, "wrong_channel") };
    assert_eq!((reply.status, reply.reason()), expected, "{what}");
}

#[tokio::test]
async fn a_session_is_tied_to_what_bind_names_and_to_nothing_else() {
    for combination in 0..8 {
        let (client, ip, agent) = (combination & 1 > 0, combination & 2 > 0, combination & 4 > 0);
        let named = [(client, "client"), (ip, "ip"), (agent, "user_agent")];
        let bind: Vec<_> = named.iter().filter(|(named, _)| *named).map(|(_, name)| *name).collect();
        let bound = Bound::to(&bind.join(", "), "").await;
        let lilei = log_in(&bound.ios(), phone).await;
        let get = |caller: &Caller| caller.get("user/info/get");

        assert_passes(&phone(get(&lilei)).await, true, &format!("{bind:?}: as it logged in"));
        let stranger = bound.android().with(lilei.session().clone());
        assert_passes(&phone(get(&stranger)).await, !client, &format!("{bind:?}: another client"));
        let elsewhere = get(&lilei).from("127.0.0.2").header("User-Agent", PHONE);
        assert_passes(&elsewhere.await, !ip, &format!("{bind:?}: another address"));
        for other in ["Phone/1.1", "phone/1.0", ""] {
            let other = get(&lilei).from("127.0.0.1").header("User-Agent", other);
            assert_passes(&other.await, !agent, &format!("{bind:?}: another User-Agent"));
        }
        assert_passes(&get(&lilei).from("127.0.0.1").await, !agent, &format!("{bind:?}: no User-Agent"));
        assert_passes(&phone(get(&lilei)).await, true, &format!("{bind:?}: a refusal ends nothing"));
    }
}

#[tokio::test]
async fn who_comes_by_another_channel_is_told_illegal_sources() {
    let bound = Bound::to("client", "").await;
    let stranger = bound.android().with(log_in(&bound.ios(), phone).await.session().clone());
    let reply = stranger.get("user/info/get").await;
    reply.assert_refused(403, "wrong_channel");
    assert_eq!(reply.text(), r#"{"code":0,"msg":"Illegal Sources","data":[]}"#);
    let reply = stranger.get("user/info/get").header("Accept-Language", "zh-CN").await;
    assert_eq!(reply.text(), r#"{"code":0,"msg":"\u975e\u6cd5\u6765\u6e90","data":[]}"#);
}

#[tokio::test]
async fn of_another_user_nothing_is_told_about_the_channel() {
    let bound = Bound::to("client, ip", "").await;
    let lilei = log_in(&bound.ios(), phone).await;
    let session = Session { user_id: "8".into(), ..lilei.session().clone() };
    bound.android().with(session).get("user/info/get").from("127.0.0.2").await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn an_address_is_the_same_however_a_trusted_proxy_spells_it() {
    let bound = Bound::to("ip", "trusted_proxies: [127.0.0.1]").await;
    let behind =
        |address: &'static str| move |request: Request| request.from("127.0.0.1").header("X-Forwarded-For", address);
    for (login, same, other) in [
        ("203.0.113.7", "::ffff:203.0.113.7", "203.0.113.8"),
        ("203.0.113.7", "6.6.6.6, 203.0.113.7:4711", "203.0.113.7, 6.6.6.6"),
        ("2001:db8::1", "2001:DB8:0:0::0001", "2001:db8::2"),
        ("[2001:db8::1]:4711", "2001:db8::1", "203.0.113.7"),
    ] {
        let lilei = log_in(&bound.ios(), behind(login)).await;
        assert_passes(&behind(login)(lilei.get("user/info/get")).await, true, login);
        assert_passes(&behind(same)(lilei.get("user/info/get")).await, true, same);
        assert_passes(&behind(other)(lilei.get("user/info/get")).await, false, other);
        assert_passes(&lilei.get("user/info/get").from("127.0.0.1").await, false, "the proxy itself");
    }
}

#[tokio::test]
async fn an_address_that_nobody_trusted_speaks_for_is_not_believed() {
    let bound = Bound::to("ip", "trusted_proxies: [127.0.0.1]").await;
    let lilei =
        log_in(&bound.ios(), |request| request.from("127.0.0.1").header("X-Forwarded-For", "203.0.113.7")).await;
    for name in ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP", "X_Forwarded_For"] {
        let thief = lilei.get("user/info/get").from("127.0.0.2");
        assert_passes(&thief.header(name, "203.0.113.7").await, false, name);
    }
}

#[tokio::test]
async fn ipv4_and_ipv6_are_two_addresses_and_an_ipv4_peer_of_an_ipv6_socket_is_ipv4() {
    let bound = Bound::to("ip", "listen: [\"127.0.0.1:0\", \"[::1]:0\", \"[::]:0\"]").await;
    let [four, six, both] = bound.gate.addresses() else { panic!("three addresses") };
    let port = both.rsplit(':').next().expect("a port");
    let mapped = format!("127.0.0.1:{port}");
    for (login, same, other) in
        [(four, &mapped, six), (&mapped, four, six), (six, &format!("[::1]:{port}"), four), (six, six, &mapped)]
    {
        let ios = Caller::new(login, bound.gate.clock.clone(), "ios", "s3cret");
        let lilei = log_in(&ios, |request| request).await;
        let at = |address: &str| lilei.clone().at_address(address).get("user/info/get");
        assert_passes(&at(login).await, true, login);
        assert_passes(&at(same).await, true, same);
        assert_passes(&at(other).await, false, other);
    }
}

#[tokio::test]
async fn user_only_rules_ask_for_no_client_but_for_the_rest() {
    let bound = Bound::to("client, ip", "").await;
    let page = |session: &Session| {
        let Session { user_id, user_token, .. } = session;
        let target = format!("/index.php?mod=user&ctl=page&act=get&user_id={user_id}&user_token={user_token}");
        bound.gate.get(&target)
    };
    let lilei = log_in(&bound.ios(), phone).await;
    assert_passes(&page(lilei.session()).from("127.0.0.1").await, true, "a client's session without the client");
    assert_passes(&page(lilei.session()).from("127.0.0.2").await, false, "from another address");

    let reply = bound.gate.post("/index.php?mod=user&ctl=auth&act=web").from("127.0.0.1").await;
    let browser = session_of(&reply);
    assert_passes(&page(&browser).from("127.0.0.1").await, true, "a session without a client");
    let client = bound.ios().with(browser);
    assert_passes(&client.get("user/info/get").from("127.0.0.1").await, false, "a client with it");
}

#[tokio::test]
async fn a_session_without_a_client_serves_any_where_none_is_named() {
    let bound = Bound::to("", "").await;
    let browser = session_of(&bound.gate.post("/index.php?mod=user&ctl=auth&act=web").await);
    bound.ios().with(browser).get("user/info/get").await.assert_passed();
}

#[tokio::test]
async fn an_operators_session_is_tied_to_what_he_says() {
    let bound = Bound::to("client, ip, user_agent", "").await;
    let wanted = json!({"client_id": "ios", "ip": "127.0.0.1", "user_agent": PHONE});
    let session = bound.issued(wanted).await;
    let (ios, android) = (bound.ios().with(session.clone()), bound.android().with(session));
    assert_passes(&phone(ios.get("user/info/get")).await, true, "as he said");
    assert_passes(&phone(android.get("user/info/get")).await, false, "another client");
    let elsewhere = ios.get("user/info/get").from("127.0.0.2").header("User-Agent", PHONE);
    assert_passes(&elsewhere.await, false, "another address");
    assert_passes(&ios.get("user/info/get").from("127.0.0.1").await, false, "another User-Agent");
}

#[tokio::test]
async fn an_operator_may_spell_an_address_as_he_likes_but_must_give_one() {
    let bound = Bound::to("ip", "listen: [\"127.0.0.1:0\", \"[::1]:0\"]").await;
    let [_, six] = bound.gate.addresses() else { panic!("two addresses") };
    let mapped = bound.issued(json!({"client_id": "ios", "ip": "::FFFF:127.0.0.1"})).await;
    assert_passes(&bound.ios().with(mapped).get("user/info/get").await, true, "the mapped address");
    let long = bound.issued(json!({"client_id": "ios", "ip": "0:0:0:0:0:0:0:1"})).await;
    let caller = bound.ios().with(long).at_address(six);
    assert_passes(&caller.get("user/info/get").await, true, "the long address");
    for bad in ["", "localhost", "127.0.0.1:80", "127.0.0.0/8"] {
        let reply = bound.issue(json!({"client_id": "ios", "ip": bad})).await;
        assert_eq!(reply.status, 400, "{bad}: {reply:?}");
        assert!(reply.at("/error").as_str().is_some_and(|error| error.starts_with("ip: ")), "{reply:?}");
    }
}

#[tokio::test]
async fn user_agents_that_are_no_text_or_very_long_are_told_apart() {
    let bound = Bound::to("user_agent", "").await;
    let long = |end: &str| format!("{}{end}", "x".repeat(400));
    let raw = |byte: u8, session: &Caller| {
        let request = session.get("user/info/get").header("User-Agent", "PLACE");
        let mut bytes = request.to_bytes();
        let at = memchr::memmem::find(&bytes, b"PLACE").expect("its place");
        bytes.splice(at..at + 5, [b'a', byte]);
        bytes
    };
    let lilei = log_in(&bound.ios(), |request| request.header("User-Agent", &long("a"))).await;
    assert_passes(&lilei.get("user/info/get").header("User-Agent", &long("a")).await, true, "the same");
    assert_passes(&lilei.get("user/info/get").header("User-Agent", &long("b")).await, false, "another end");

    let none = log_in(&bound.ios(), |request| request).await;
    assert_passes(&bound.gate.raw(&raw(0xff, &none)).await.expect("a reply"), false, "no text in place of nothing");
}
