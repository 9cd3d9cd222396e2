use super::*;
use crate::ids::{ClientId, SessionId, UserId};

fn settings() -> Settings {
    let places = Places { query: true, form: true, header: true };
    let kind = Kind::Credential { places, ignore: false };
    let name = Name { name: b"user_id".to_vec(), header: Some("X-User-Id"), kind };
    Settings {
        hide_credentials: false,
        reserved: Reserved::new(vec![name], false),
        user: "X-Auth-User-Id".to_owned(),
        client: "X-Auth-Client-Id".to_owned(),
        session: "X-Auth-Session-Id".to_owned(),
        assertion_key: None,
        host: HostHeader::Keep,
        upstream_name: "127.0.0.1:8081".to_owned(),
    }
}

fn origin() -> Origin {
    Origin {
        ip: "203.0.113.7".parse().unwrap(),
        peer: "203.0.113.7".parse().unwrap(),
        trusted: false,
        https: false,
        host: "app.example".to_owned(),
        port: 8080,
        forwarded_for: "203.0.113.7".to_owned(),
    }
}

fn nobody() -> Identity {
    Identity::default()
}

fn king() -> Identity {
    Identity { user: UserId::new("王五").ok(), client: ClientId::new("ios").ok(), session: SessionId::new("s1").ok() }
}

/// What the application is sent for a GET of `/a?b=1` with those headers.
fn rebuilt(headers: &[(&str, &str)], change: impl Fn(&mut Context<'_>, &mut Settings, &mut Origin)) -> String {
    let (id, identity) = (RequestId::new("r1").unwrap(), nobody());
    let mut context = Context {
        identity: &identity,
        request_id: &id,
        now: Timestamp::from_secs(1_795_132_800),
        cookies: None,
        drop_authorization: false,
        plain_reply: false,
        traceparent: "00-1-2-01",
        websocket: None,
    };
    let (mut settings, mut origin) = (settings(), origin());
    change(&mut context, &mut settings, &mut origin);
    let spoken = Spoken {
        method: "GET",
        target: Cow::Borrowed(b"/a?b=1"),
        host: b"app.example:8080",
        headers: headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect(),
        origin: &origin,
    };
    String::from_utf8(spoken.rebuilt(&context, &settings)).unwrap()
}

/// Which of the client's header lines came through, joined by `|`.
fn passed(headers: &[(&str, &str)], change: impl Fn(&mut Context<'_>, &mut Settings, &mut Origin)) -> String {
    let ours = ["GET ", "Host:", "X-Request-Id:", "X-Forwarded-", "traceparent:"];
    let all = rebuilt(headers, change);
    let lines = all.lines().filter(|line| !ours.iter().any(|own| line.starts_with(own)));
    lines.collect::<Vec<_>>().join("|")
}

#[test]
fn a_head_is_rebuilt_whole() {
    let identity = king();
    let (id, settings, origin) = (RequestId::new("r1").unwrap(), settings(), origin());
    let context = Context {
        identity: &identity,
        request_id: &id,
        now: Timestamp::from_secs(1),
        cookies: None,
        drop_authorization: false,
        plain_reply: false,
        traceparent: "00-1-2-01",
        websocket: None,
    };
    let spoken = Spoken {
        method: "POST",
        target: Cow::Borrowed(b"/a?b=1"),
        host: b"app.example:8080",
        headers: vec![(b"HOST", b"x"), (b"aCCept", b"*/*"), (b"X-B", b"2"), (b"Content-Length", b"3"), (b"X-A", b"1")],
        origin: &origin,
    };
    let expected = "POST /a?b=1 HTTP/1.1\r\nHost: app.example:8080\r\naCCept: */*\r\nX-B: 2\r\nX-A: 1\r\n\
        X-Auth-User-Id: 王五\r\nX-Auth-Client-Id: ios\r\nX-Auth-Session-Id: s1\r\nX-Request-Id: r1\r\n\
        X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: app.example:8080\r\n\
        X-Forwarded-Port: 8080\r\ntraceparent: 00-1-2-01\r\n";
    assert_eq!(String::from_utf8(spoken.rebuilt(&context, &settings)).unwrap(), expected);
}

#[test]
fn what_must_not_pass_does_not() {
    let table = [
        ("Connection", "close"),
        ("Keep-Alive", "1"),
        ("TE", "trailers"),
        ("Trailer", "X"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "websocket"),
        ("Expect", "100-continue"),
        ("Content-Length", "3"),
        ("Proxy", "http://evil"),
        ("X_Auth_User_Id", "1"),
        ("X-Auth-User-Id", "1"),
        ("x-auth-client-id", "1"),
        ("X-Auth-Session-Id", "1"),
        ("X-Request-Id", "1"),
        ("X-Forwarded-For", "1"),
        ("X-Forwarded-Prefix", "/x"),
        ("X-Ticketgate-Assertion", "1"),
        ("traceparent", "1"),
        ("Client-IP", "1"),
        ("Forwarded", "for=1"),
    ];
    for header in table {
        assert_eq!(passed(&[header, ("X-Kept", "1")], |_, _, _| {}), "X-Kept: 1", "{header:?}");
    }
}

#[test]
fn identity_headers_are_taken_off_by_what_php_makes_of_their_names() {
    let change =
        |_: &mut Context<'_>, settings: &mut Settings, _: &mut Origin| settings.user = "Remote_User".to_owned();
    assert_eq!(passed(&[("Remote-User", "admin"), ("REMOTE-USER", "admin")], change), "");
}

#[test]
fn connection_takes_off_what_it_names_but_never_ours_nor_what_tells_how_the_body_is_read() {
    let headers = [
        ("Connection", "X-Foo, x-request-id ,X-Auth-User-Id"),
        ("Connection", "Content-Type, x-forwarded-for"),
        ("X-Foo", "1"),
        ("Content-Type", "text/plain"),
    ];
    assert_eq!(passed(&headers, |_, _, _| {}), "Content-Type: text/plain");
    let all = rebuilt(&headers, |_, _, _| {});
    assert!(all.contains("X-Request-Id: r1\r\n") && all.contains("X-Forwarded-For: 203.0.113.7\r\n"));
}

#[test]
fn a_trusted_proxy_may_tell_addresses() {
    let trusted = |_: &mut Context<'_>, _: &mut Settings, origin: &mut Origin| origin.trusted = true;
    assert_eq!(passed(&[("X-Real-IP", "203.0.113.7"), ("X-Forwarded-For", "1")], trusted), "X-Real-IP: 203.0.113.7");
}

#[test]
fn cookies_are_one_line_or_the_gates() {
    let headers = [("Cookie", "a=1"), ("X-A", "1"), ("cookie", "b=2")];
    assert_eq!(passed(&headers, |_, _, _| {}), "X-A: 1|Cookie: a=1; b=2");
    assert_eq!(passed(&headers, |context, _, _| context.cookies = Some(b"PHPSESSID=x")), "X-A: 1|Cookie: PHPSESSID=x");
    assert_eq!(passed(&headers, |context, _, _| context.cookies = Some(b"")), "X-A: 1");
}

#[test]
fn authorization_and_accept_encoding_go_where_asked() {
    let headers = [("AUTHORIZATION", "Basic x"), ("Accept-Encoding", "gzip")];
    assert_eq!(passed(&headers, |_, _, _| {}), "AUTHORIZATION: Basic x|Accept-Encoding: gzip");
    assert_eq!(passed(&headers, |context, _, _| context.drop_authorization = true), "Accept-Encoding: gzip");
    assert_eq!(passed(&headers, |context, _, _| context.plain_reply = true), "AUTHORIZATION: Basic x");
}

#[test]
fn credentials_pass_unless_they_are_hidden() {
    let headers = [("x-user-id", "7"), ("X-User-Ids", "8")];
    assert_eq!(passed(&headers, |_, _, _| {}), "x-user-id: 7|X-User-Ids: 8");
    assert_eq!(passed(&headers, |_, settings, _| settings.hide_credentials = true), "X-User-Ids: 8");
}

#[test]
fn the_application_is_told_the_host_that_is_configured() {
    let host = |host: HostHeader| {
        let all = rebuilt(&[], |_, settings, _| settings.host = host.clone());
        all.lines().nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(host(HostHeader::Keep), "Host: app.example:8080");
    assert_eq!(host(HostHeader::Upstream), "Host: 127.0.0.1:8081");
    assert_eq!(host(HostHeader::Name("intra".to_owned())), "Host: intra");
}

#[test]
fn a_port_that_the_scheme_implies_is_left_out_of_the_host() {
    let all = rebuilt(&[], |_, _, origin| (origin.https, origin.port) = (true, 443));
    assert!(all.contains("X-Forwarded-Proto: https\r\nX-Forwarded-Host: app.example\r\nX-Forwarded-Port: 443\r\n"));
    let all = rebuilt(&[], |_, _, origin| origin.host = String::new());
    assert!(!all.contains("X-Forwarded-Host"));
}

#[test]
fn a_value_that_would_end_its_line_is_left_out() {
    let all = rebuilt(&[], |context, _, _| context.cookies = Some(b"a=1\r\nX-Auth-User-Id: 1"));
    assert!(!all.contains("X-Auth-User-Id"));
}

/// Method, target, user, client, request id and signature; all with the key `assert-key` and of the same second.
const ASSERTIONS: [[&str; 6]; 2] = [
    [
        "GET",
        "/index.php?mod=user&ctl=info&act=get",
        "7",
        "ios",
        "01JD3Y0000000000000000000A",
        "1f4f42cf9838ef8ceb614f8979313276d0df700270310488e4a8bd59fce3d301",
    ],
    ["POST", "/news/list/index", "", "ios", "r1", "2350eba381cdc16fa0835f899b0db0f8b3e4639268bb8b65ab4d65ffcbfed681"],
];

#[test]
fn the_assertion_signs_what_php_sees() {
    for [method, target, user, client, id, signature] in ASSERTIONS {
        let identity = Identity { user: UserId::new(user).ok(), client: ClientId::new(client).ok(), session: None };
        let (request_id, origin) = (RequestId::new(id).unwrap(), origin());
        let context = Context {
            identity: &identity,
            request_id: &request_id,
            now: Timestamp::from_secs(1_795_132_800),
            cookies: None,
            drop_authorization: false,
            plain_reply: false,
            traceparent: "",
            websocket: None,
        };
        let settings = Settings { assertion_key: Some(Secret::new("assert-key")), ..settings() };
        let spoken = Spoken {
            method,
            target: Cow::Borrowed(target.as_bytes()),
            host: b"h",
            headers: Vec::new(),
            origin: &origin,
        };
        let head = String::from_utf8(spoken.rebuilt(&context, &settings)).unwrap();
        let line = format!("X-Ticketgate-Assertion: t=1795132800,id={id},u={user},c={client},sig={signature}\r\n");
        assert!(head.ends_with(&line), "{head}");
    }
}

#[test]
fn hidden_parameters_are_cut_out_and_the_rest_stays_as_sent() {
    let table = [
        ("a=1&user_id=7&b=%zz", "a=1&b=%zz"),
        ("user_id=7", ""),
        ("user_id&a", "a"),
        ("a=user_id&&b=", "a=user_id&&b="),
        ("&&user_id=7&&a=1&", "a=1"),
        ("", ""),
    ];
    for (raw, expected) in table {
        assert_eq!(without(raw.as_bytes(), |name| name == b"user_id"), expected.as_bytes(), "{raw}");
    }
}

#[test]
fn a_parameter_beyond_what_php_takes_up_does_not_move_up_when_others_are_hidden() {
    let raw = format!("user_id=7{}&act=delete", "&x=1".repeat(MAX_INPUT_VARS - 1));
    let kept = without(raw.as_bytes(), |name| name == b"user_id");
    assert_eq!(params(&kept).count(), MAX_INPUT_VARS - 1);
    assert!(params(&kept).all(|param| param == b"x=1"));
    assert_eq!(without(raw.as_bytes(), |_| false), raw.as_bytes());
}

#[test]
fn a_gathered_form_goes_without_hidden_credentials() {
    let sent = |hide_credentials, content_type: &str| {
        let settings = Settings { hide_credentials, ..settings() };
        let form = Body::Gathered(bytes::Bytes::from_static(b"a=1&user.id=7&b=%zz&user%5fid[]=8"));
        body(form, Some(content_type.as_bytes()), &settings).gathered().cloned().unwrap()
    };
    assert_eq!(sent(true, "application/x-www-form-urlencoded; charset=utf-8"), "a=1&b=%zz");
    assert_eq!(sent(false, "application/x-www-form-urlencoded"), "a=1&user.id=7&b=%zz&user%5fid[]=8");
    assert_eq!(sent(true, "text/plain"), "a=1&user.id=7&b=%zz&user%5fid[]=8");
}

#[test]
fn credentials_are_left_alone_where_they_are_the_applications_own_parameters() {
    let kind = Kind::Credential { places: Places { header: true, ..Places::default() }, ignore: true };
    let name = Name { name: b"user_id".to_vec(), header: Some("X-User-Id"), kind };
    let reserved = Reserved::new(vec![name], false);
    assert_eq!(without_credentials(b"user_id=7", &reserved, |places| places.query), b"user_id=7".as_slice());
}
