use super::*;

fn session() -> SessionRecord {
    SessionRecord {
        id: SessionId::new("s1").unwrap(),
        user: UserId::new("王五").ok(),
        client: None,
        created: Timestamp::from_millis(1),
        ends: Timestamp::from_millis(u64::MAX),
        ip: "127.0.0.1".into(),
        user_agent: "curl/8 \"quoted\"".into(),
        jar: vec![HeldCookie { name: "PHPSESSID".into(), value: "s3cret".into(), path: "/".into(), expires: Some(9) }],
        holds_cookies: true,
        channel: None,
    }
}

fn bound() -> SessionRecord {
    let (id, key) = (ChannelId::new("g-1").unwrap(), TokenHash::new([7; 32]));
    SessionRecord { channel: Some(Box::new(Channel { id, key, lost: Some(Timestamp::from_millis(3)) })), ..session() }
}

fn client() -> ClientRecord {
    ClientRecord {
        id: ClientId::new("ios").unwrap(),
        secrets: vec![
            LiveSecret { secret: Secret::new(b"\xff\x00binary"), until: None },
            LiveSecret { secret: Secret::new("hunter2"), until: Some(Timestamp::from_millis(5)) },
        ],
        enabled: true,
        algorithms: vec![Algorithm::Md5, Algorithm::HmacSha256],
        endpoints: vec!["*".into()],
        signature: Some(Signing::Always),
        name: "iOS".into(),
        created: Timestamp::from_millis(7),
    }
}

#[test]
fn records_go_through_json_unchanged() {
    assert_eq!(SessionRecord::from_json(&session().to_json().unwrap()), Some(session()));
    assert_eq!(SessionRecord::from_json(&bound().to_json().unwrap()), Some(bound()));
    let guest = SessionRecord { user: None, ..session() };
    assert_eq!(SessionRecord::from_json(&guest.to_json().unwrap()), Some(guest));
    assert_eq!(ClientRecord::from_json(&client().to_json().unwrap()), Some(client()));
}

#[test]
fn what_is_not_a_record_of_this_version_is_not_read() {
    let json = String::from_utf8(session().to_json().unwrap()).unwrap();
    for broken in ["", "null", "{}", &json[..json.len() - 1], &json.replace("\"v\":1", "\"v\":2")] {
        assert_eq!(SessionRecord::from_json(broken.as_bytes()), None, "{broken}");
    }
    assert_eq!(ClientRecord::from_json(json.as_bytes()), None);
    let bound = String::from_utf8(bound().to_json().unwrap()).unwrap();
    assert_eq!(SessionRecord::from_json(bound.replace("\"v\":2", "\"v\":1").as_bytes()), None);
}

#[test]
fn records_stored_before_there_were_guests_are_read() {
    let stored =
        r#"{"v":1,"id":"s1","user":"7","created":1,"ends":9,"ip":"","user_agent":"","jar":[],"holds_cookies":true}"#;
    let record = SessionRecord::from_json(stored.as_bytes()).unwrap();
    assert_eq!(record.user, UserId::new("7").ok());
    assert_eq!(record.to_json().unwrap(), stored.as_bytes());
    assert_eq!(SessionRecord::from_json(stored.replace("\"7\"", "\"\"").as_bytes()), None, "nobody is no guest");
}

#[test]
fn printing_a_record_shows_no_cookie_and_no_secret() {
    assert!(!format!("{:?}", session()).contains("s3cret"));
    assert!(!format!("{:?}", client()).contains("hunter2"));
}

#[test]
fn endings_go_through_their_labels() {
    for ending in [Ending::Logout, Ending::Admin, Ending::NewerLogin] {
        assert_eq!(Ending::from_label(ending.label().as_bytes()), Some(ending));
    }
    assert_eq!(Ending::from_label(b"other"), None);
}
