use super::*;

fn parse(text: &str) -> Result<Head, Unreadable> {
    Head::parse(Bytes::copy_from_slice(text.as_bytes()), &Methods::with(vec!["PURGE".to_owned()]))
}

fn refusal(bytes: &[u8]) -> Option<String> {
    match Head::parse(Bytes::copy_from_slice(bytes), &Methods::default()) {
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn a_head_is_given_back_as_it_was_sent() {
    let head =
        parse("POST /a%20b?c=d&e HTTP/1.1\r\nHost: h:8080\r\nX-One:\t two \r\nx-one:\r\nContent-Length: 12\r\n\r\n")
            .unwrap();
    assert_eq!(head.method(), "POST");
    assert_eq!(head.target(), "/a%20b?c=d&e");
    assert_eq!(head.host(), b"h:8080");
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(head.framing(), Framing::Length(12));
    let all: Vec<(&[u8], &[u8])> = head.headers().collect();
    let expected: [(&[u8], &[u8]); 4] =
        [(b"Host", b"h:8080"), (b"X-One", b"two"), (b"x-one", b""), (b"Content-Length", b"12")];
    assert_eq!(all, expected);
    assert_eq!(head.all("X-ONE").collect::<Vec<_>>(), [&b"two"[..], b""]);
    assert_eq!(head.header("host"), Some(&b"h:8080"[..]));
    assert_eq!(head.header("absent"), None);
}

#[test]
fn a_debugged_head_shows_no_token() {
    let head = parse("GET /?user_token=abc HTTP/1.1\r\nHost: h\r\nX-User-Token: abc\r\n\r\n").unwrap();
    assert!(!format!("{head:?}").contains("abc"));
}

#[test]
fn targets_are_read_in_every_form() {
    let cases = [
        ("GET / HTTP/1.1", "h", "/"),
        ("GET /?a=http://x/?b HTTP/1.1", "h", "/?a=http://x/?b"),
        ("OPTIONS * HTTP/1.1", "h", "*"),
        ("GET http://h/a?b HTTP/1.1", "h", "/a?b"),
        ("GET HTTPS://H:1/a HTTP/1.1", "h:1", "/a"),
        ("GET http://h HTTP/1.1", "h", "/"),
        ("OPTIONS http://h HTTP/1.1", "h", "*"),
        ("PURGE /x HTTP/1.0", "[::1]:80", "/x"),
    ];
    for (line, host, target) in cases {
        let head = parse(&format!("{line}\r\nHost: {host}\r\n\r\n")).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(head.target(), target, "{line}");
    }
}

#[test]
fn bodies_and_connections_are_framed() {
    let cases = [
        ("1.1", "", Framing::Empty, true, false),
        ("1.1", "Content-Length: 0\r\n", Framing::Empty, true, false),
        ("1.1", "content-length:005\r\n", Framing::Length(5), true, false),
        ("1.1", "Content-Length: 9223372036854775807\r\n", Framing::Length(i64::MAX as u64), true, false),
        ("1.1", "Transfer-Encoding: chunked\r\nExpect: 100-Continue\r\n", Framing::Chunked, true, true),
        ("1.1", "Connection: x, Close\r\nConnection: keep-alive\r\n", Framing::Empty, false, false),
        ("1.0", "", Framing::Empty, false, false),
        ("1.0", "Connection: Keep-Alive\r\nExpect: 100-continue\r\n", Framing::Empty, true, false),
    ];
    for (version, lines, framing, keeps_alive, expects) in cases {
        let head = parse(&format!("POST / HTTP/{version}\r\nHost: h\r\n{lines}\r\n"))
            .unwrap_or_else(|error| panic!("{lines}: {error}"));
        assert_eq!(
            (head.framing(), head.keeps_alive(), head.expects_continue()),
            (framing, keeps_alive, expects),
            "{lines}"
        );
    }
}

#[test]
fn request_lines_that_servers_read_differently_are_refused() {
    let lines: [&[u8]; 33] = [
        b"",
        b"GET",
        b"GET /",
        b"GET / ",
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET /\tHTTP/1.1",
        b"GET / x HTTP/1.1",
        b"GET / HTTP/1.2",
        b"GET / HTTP/2.0",
        b"GET / HTTP/0.9",
        b"GET / HTTP/01.1",
        b"GET / http/1.1",
        b"GET / HTTP/1.1\r",
        b"PRI * HTTP/2.0",
        b"get / HTTP/1.1",
        b"G!T / HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"CONNECT h:443 HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET a HTTP/1.1",
        b"GET ?a HTTP/1.1",
        b"GET h:80 HTTP/1.1",
        b"GET ftp://h/ HTTP/1.1",
        b"GET http://h?a HTTP/1.1",
        b"GET http://other/ HTTP/1.1",
        b"GET http://u@h/ HTTP/1.1",
        b"GET http://h:80/ HTTP/1.1",
        b"GET http:///a HTTP/1.1",
        b"OPTIONS *a HTTP/1.1",
    ];
    for line in lines {
        let bytes = [line, b"\r\nHost: h\r\n\r\n"].concat();
        assert!(refusal(&bytes).is_some(), "{}", line.escape_ascii());
    }
}

#[test]
fn bytes_that_are_cut_off_or_translated_are_refused_in_a_target() {
    for byte in (0..=0x20).chain([b'#', b'\\', 0x7f]).chain(0x80..=0xff) {
        let bytes = [b"GET /a", &[byte][..], b"b?c HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        assert!(refusal(&bytes).is_some(), "{byte:#x}");
        let bytes = [b"GET /a?b", &[byte][..], b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        assert!(refusal(&bytes).is_some(), "{byte:#x} in the query");
    }
    assert_eq!(refusal(b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n").unwrap(), "the target holds #");
}

#[test]
fn header_lines_that_servers_read_differently_are_refused() {
    let cases: [(&[u8], &str); 48] = [
        (b"", "Host is missing"),
        (b"Host: h\r\nHost: h\r\n", "Host is given twice"),
        (b"Host: h\r\nhost: i\r\n", "Host is given twice"),
        (b"Host:\r\n", "not a host name"),
        (b"Host: a,b\r\n", "not a host name"),
        (b"Host: a b\r\n", "not a host name"),
        (b"Host: a/b\r\n", "not a host name"),
        (b"Host: [1]\r\n", "not a host name"),
        (b"Host: a:b\r\n", "no number"),
        (b"Host: a:\r\n", "no number"),
        (b"Host: a:99999\r\n", "no number"),
        (b"Host: u@h\r\n", "names a user"),
        (b"Host: h\n", "without a carriage return"),
        (b"Host: h\r\nA: b\n\r\n", "without a carriage return"),
        (b"Host: h\r\nA: b\rC: d\r\n", "control byte"),
        (b"Host: h\r\n A: b\r\n", "folded"),
        (b"Host: h\r\n\tb\r\n", "folded"),
        (b" Host: h\r\n", "folded"),
        (b"Host : h\r\n", "blank before its colon"),
        (b"Host\t: h\r\n", "blank before its colon"),
        (b"Host: h\r\n: b\r\n", "has no name"),
        (b"Host: h\r\nA\r\n", "no colon"),
        (b"Host: h\r\nA b: c\r\n", "no name may hold"),
        (b"Host: h\r\nA[b]: c\r\n", "no name may hold"),
        (b"Host: h\r\nA\x00: c\r\n", "no name may hold"),
        (b"Host: h\r\n\xc3\xa4: c\r\n", "no name may hold"),
        (b"Host: h\r\nA: \x00\r\n", "control byte"),
        (b"Host: h\r\nA: b\x0bc\r\n", "control byte"),
        (b"Host: h\r\nA: b\x7f\r\n", "control byte"),
        (b"Host: h\r\nExpect: 200-ok\r\n", "100-continue"),
        (b"Host: h\r\nExpect:\r\n", "100-continue"),
        (b"Host: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", "both"),
        (b"Host: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n", "both"),
        (b"Host: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n", "twice"),
        (b"Host: h\r\nContent-Length: 5\r\nCONTENT-LENGTH: 6\r\n", "twice"),
        (b"Host: h\r\nContent-Length: 5,5\r\n", "plain number"),
        (b"Host: h\r\nContent-Length: +5\r\n", "plain number"),
        (b"Host: h\r\nContent-Length: -5\r\n", "plain number"),
        (b"Host: h\r\nContent-Length:  5\r\n", "plain number"),
        (b"Host: h\r\nContent-Length: 5 \r\n", "plain number"),
        (b"Host: h\r\nContent-Length: 0x5\r\n", "plain number"),
        (b"Host: h\r\nContent-Length:\r\n", "plain number"),
        (b"Host: h\r\nContent-Length: 18446744073709551621\r\n", "plain number"),
        (b"Host: h\r\nTransfer-Encoding: Chunked\r\n", "exactly chunked"),
        (b"Host: h\r\nTransfer-Encoding: gzip, chunked\r\n", "exactly chunked"),
        (b"Host: h\r\nTransfer-Encoding: identity\r\n", "exactly chunked"),
        (b"Host: h\r\nTransfer-Encoding:  chunked\r\n", "exactly chunked"),
        (b"Host: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "twice"),
    ];
    for (lines, expected) in cases {
        let found = refusal(&[b"POST / HTTP/1.1\r\n", lines, b"\r\n"].concat()).unwrap_or_default();
        assert!(found.contains(expected), "{}: {found}", lines.escape_ascii());
    }
    assert!(refusal(b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").is_some());
    assert!(refusal(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nx").is_some());
    assert!(refusal(b"GET / HTTP/1.1\r\nHost: h\r\n").is_some());
}

#[test]
fn values_may_hold_tabs_and_bytes_of_any_alphabet() {
    let head = Head::parse(
        Bytes::from_static(b"GET / HTTP/1.1\r\nHost: h\r\nA: x\ty \xe4\xf6\xfc z\t\r\n\r\n"),
        &Methods::default(),
    )
    .unwrap();
    assert_eq!(head.header("a"), Some(&b"x\ty \xe4\xf6\xfc z"[..]));
}

#[test]
fn the_end_of_a_head_is_found_wherever_it_was_split() {
    let methods = Methods::default();
    let head = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let stream = [&head[..], b"GET /next"].concat();
    for split in 0..head.len() {
        let mut scan = Scan::default();
        assert_eq!(scan.head_length(&stream[..split], &methods), Ok(None), "{split}");
        assert_eq!(scan.head_length(&stream, &methods), Ok(Some(head.len())), "{split}");
    }
    let mut scan = Scan::default();
    for seen in 0..head.len() {
        assert_eq!(scan.head_length(&stream[..seen], &methods), Ok(None), "{seen}");
    }
}

#[test]
fn what_cannot_become_a_head_is_refused_before_it_is_whole() {
    let cases: [&[u8]; 7] = [
        b"\r\n",
        b"\x16\x03\x01",
        b" ",
        b"GET /\r\n",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\r\nA: b\n",
        b"FOO / HTTP/1.1\r\n",
    ];
    for start in cases {
        let found = Scan::default().head_length(start, &Methods::default());
        assert!(found.is_err(), "{}", start.escape_ascii());
    }
}
