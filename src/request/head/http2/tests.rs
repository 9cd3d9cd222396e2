use super::*;

const LIMIT: usize = 1024;

fn read(fields: &[(&str, &str)], ends: bool) -> Result<Head, Fault> {
    let mut draft = Draft::up_to(LIMIT);
    for (name, value) in fields {
        draft.push(name.as_bytes(), value.as_bytes());
    }
    draft.finish(ends, &Methods::default())
}

/// A plain request with other fields in place of, or after, its own.
fn with(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> =
        [(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/x?y=1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    for (name, value) in changes {
        match fields.iter_mut().find(|(found, _)| found == name && name.starts_with(':')) {
            Some(field) => field.1 = (*value).to_owned(),
            None => fields.push(((*name).to_owned(), (*value).to_owned())),
        }
    }
    fields
}

fn changed(changes: &[(&str, &str)]) -> Result<Head, Fault> {
    let fields = with(changes);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    read(&fields, true)
}

fn why(changes: &[(&str, &str)]) -> String {
    match changed(changes) {
        Err(Fault::Unreadable(unreadable)) => unreadable.to_string(),
        other => panic!("{changes:?}: {other:?}"),
    }
}

#[test]
fn a_request_is_one_like_any_other() {
    let head = changed(&[("cookie", "a=1"), ("x-a", "b"), ("cookie", "c=2"), ("te", "trailers")]).unwrap();
    assert_eq!((head.method(), head.target(), head.host()), ("GET", "/x?y=1", &b"a.example"[..]));
    assert_eq!((head.version(), head.framing()), (Version::Http2, Framing::Empty));
    let cookies: Vec<_> = head.all("Cookie").collect();
    assert_eq!(cookies, [b"a=1", b"c=2"]);
    assert_eq!(head.header("Host"), Some(&b"a.example"[..]));
}

#[test]
fn host_may_stand_in_for_the_authority_or_agree_with_it() {
    let fields = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "b.example")];
    assert_eq!(read(&fields, true).unwrap().host(), b"b.example");
    assert_eq!(changed(&[("host", "A.example")]).unwrap().host(), b"a.example");
    assert_eq!(changed(&[("host", "A.example")]).unwrap().all("host").count(), 1);
}

#[test]
fn bodies_are_framed_by_the_stream() {
    let framed = |length: Option<&str>, ends| {
        let mut fields = with(&[(":method", "POST")]);
        fields.extend(length.map(|length| ("content-length".to_owned(), length.to_owned())));
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        read(&fields, ends).map(|head| head.framing())
    };
    assert_eq!(framed(None, true), Ok(Framing::Empty));
    assert_eq!(framed(None, false), Ok(Framing::Chunked));
    assert_eq!(framed(Some("5"), false), Ok(Framing::Length(5)));
    assert_eq!(framed(Some("0"), false), Ok(Framing::Empty));
    assert_eq!(framed(Some("0"), true), Ok(Framing::Empty));
    assert!(matches!(framed(Some("5"), true), Err(Fault::Protocol(_))));
    for length in ["", "+5", "5 5", "0x5", "-1", "5,5"] {
        assert!(matches!(framed(Some(length), false), Err(Fault::Unreadable(_))), "{length:?}");
    }
}

#[test]
fn what_two_servers_could_read_differently_is_refused_with_an_answer() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[(":path", "/a#b")], "the target holds #"),
        (&[(":path", "/a\\b")], "the target holds a backslash"),
        (&[(":path", "/a b")], "the target holds a space"),
        (&[(":path", "/ HTTP/1.1\r\nx: y")], "the target holds a space"),
        (&[(":path", "/\r\nx")], "the target holds a byte outside 0x21-0x7e"),
        (&[(":path", "/\u{e9}")], "the target holds a byte outside 0x21-0x7e"),
        (&[(":path", "https://a.example/x")], "the target is not a path"),
        (&[(":path", "x")], "the target is not a path"),
        (&[(":path", "*")], "the target is not a path"),
        (&[(":method", "get")], "the method is not one that may pass"),
        (&[(":method", "GET /admin HTTP/1.1\r\nx:")], "the method is not one that may pass"),
        (&[(":method", "CONNECT")], "the method is not one that may pass"),
        (&[(":scheme", "ftp")], "the scheme is neither https nor http"),
        (&[(":authority", "u@a.example")], "Host names a user"),
        (&[(":authority", "")], "Host is not a host name"),
        (&[(":authority", "a\r\nx: y")], "Host is not a host name"),
        (&[("host", "b.example")], "Host is not :authority"),
        (&[("host", "a.example"), ("host", "a.example")], "Host is given twice"),
        (&[("content-length", "0"), ("content-length", "0")], "Content-Length is given twice"),
        (&[("expect", "200-ok")], "Expect asks for something other than 100-continue"),
        (&[("x-a", "\u{1}")], "a header's value holds a control byte"),
    ];
    for (changes, what) in cases {
        assert_eq!(why(changes), *what, "{changes:?}");
    }
    let no_host = [(":method", "GET"), (":scheme", "https"), (":path", "/")];
    assert_eq!(read(&no_host, true).unwrap_err(), Fault::Unreadable(malformed("Host is missing")));
}

#[test]
fn what_breaks_http2_ends_the_stream() {
    let cases: &[&[(&str, &str)]] = &[
        &[("x-a", "b"), (":extra", "x")],
        &[(":status", "200")],
        &[(":protocol", "websocket")],
        &[("X-Upper", "x")],
        &[("", "x")],
        &[("x a", "x")],
        &[("x:", "x")],
        &[("x-a", "b\r\nc: d")],
        &[("x-a", "b\0")],
        &[("x-a", " b")],
        &[("x-a", "b\t")],
        &[("connection", "close")],
        &[("keep-alive", "1")],
        &[("proxy-connection", "close")],
        &[("transfer-encoding", "chunked")],
        &[("upgrade", "h2c")],
        &[("te", "gzip")],
        &[("te", "trailers, gzip")],
        &[(":path", "")],
    ];
    for changes in cases {
        assert!(matches!(changed(changes), Err(Fault::Protocol(_))), "{changes:?}: {:?}", changed(changes));
    }
    for missing in [":method", ":scheme", ":path"] {
        let fields = with(&[]);
        let left: Vec<_> = fields.iter().filter(|(name, _)| name != missing).collect();
        let left: Vec<_> = left.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert!(matches!(read(&left, true), Err(Fault::Protocol(_))), "{missing}");
    }
    let twice = [(":method", "GET"), (":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a")];
    assert!(matches!(read(&twice, true), Err(Fault::Protocol(_))));
}

#[test]
fn a_head_over_the_limit_keeps_nothing_more() {
    let mut draft = Draft::up_to(LIMIT);
    for (name, value) in with(&[]) {
        draft.push(name.as_bytes(), value.as_bytes());
    }
    for _ in 0..1000 {
        draft.push(b"x-a", &[b'a'; 100]);
    }
    assert!(draft.lines.len() <= LIMIT);
    let fault = draft.finish(true, &Methods::default()).unwrap_err();
    assert_eq!(fault, Fault::Unreadable(Unreadable::HeaderTooLarge(LIMIT)));
}
