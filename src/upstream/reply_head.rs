//! The application's reply, up to its body: read strictly, with everything taken off that concerns its connection alone.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, SET_COOKIE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::ext::ReasonPhrase;

use crate::request::headers::{is_hop_by_hop, may_be_named_by_connection};
use crate::upstream::Interim;
use crate::upstream::framing::{Chunks, Framing};
use crate::upstream::spelled::Spelled;

/// Longest head, in bytes.
pub(super) const LONGEST: usize = 64 * 1024;
/// Most headers in a head.
const MOST_HEADERS: usize = 256;

/// A head, and what follows from it.
#[derive(Debug)]
pub(crate) struct ReplyHead {
    pub(crate) response: Response<()>,
    pub(crate) framing: Framing,
    /// Whether the connection may carry another request, once the body is over.
    pub(super) keep_alive: bool,
}

/// What a reply is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A request as most are.
    Usual,
    /// HEAD: it has no body.
    Head,
    /// One for a WebSocket: the connection may switch to it.
    Upgrade,
}

/// What a head says.
struct Parsed<'a> {
    /// The bytes it stands in.
    bytes: &'a Bytes,
    code: u16,
    reason: &'a str,
    is_http_11: bool,
    headers: &'a [httparse::Header<'a>],
}

/// Takes the final head out of `input`; `None` while more of it is to come. Interim ones (1xx) that came before are passed on; that
/// there was any, `heard` tells.
pub(crate) fn take(
    input: &mut BytesMut,
    asked: Asked,
    heard: &mut bool,
    interim: &Interim,
) -> Result<Option<ReplyHead>, String> {
    loop {
        let Some(end) = find_end(input)? else { return Ok(None) };
        // A copy of its own, exactly as long, lets the header values live in it and the connection keep its buffer.
        let bytes = Bytes::copy_from_slice(&input.split_to(end));
        let mut room = [const { MaybeUninit::uninit() }; MOST_HEADERS];
        let parsed = parse(&bytes, &mut room)?;
        match parsed.code {
            101 if asked == Asked::Upgrade => return parsed.switched().map(Some),
            101 => return Err("it switched protocols unasked".to_owned()),
            // The gate asks the client for its body itself, and never the application whether it wants one.
            100 => *heard = true,
            102..200 => {
                *heard = true;
                interim.say(&parsed.interim_head()?);
            }
            _ => return parsed.read(asked == Asked::Head).map(Some),
        }
    }
}

/// Where the head at the beginning of `input` ends: behind its empty line.
fn find_end(input: &[u8]) -> Result<Option<usize>, String> {
    const START: &[u8] = b"HTTP/1.";
    if input.iter().zip(START).any(|(found, expected)| found != expected) {
        return Err("its reply is not HTTP/1".to_owned());
    }
    let end = memchr::memchr_iter(b'\n', input).find_map(|at| match input.get(at + 1..) {
        Some([b'\n', ..]) => Some(at + 2),
        Some([b'\r', b'\n', ..]) => Some(at + 3),
        _ => None,
    });
    match end {
        Some(end) if end > LONGEST => Err("its head is too long".to_owned()),
        None if input.len() >= LONGEST => Err("its head is too long".to_owned()),
        end => Ok(end),
    }
}

fn parse<'a>(
    bytes: &'a Bytes,
    room: &'a mut [MaybeUninit<httparse::Header<'a>>; MOST_HEADERS],
) -> Result<Parsed<'a>, String> {
    let mut response = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, room);
    match status.map_err(|error| format!("its head cannot be read: {error}"))? {
        httparse::Status::Complete(length) if length == bytes.len() => Ok(Parsed {
            bytes,
            code: response.code.unwrap_or_default(),
            reason: response.reason.unwrap_or_default(),
            is_http_11: response.version == Some(1),
            headers: response.headers,
        }),
        httparse::Status::Complete(_) | httparse::Status::Partial => Err("its head cannot be read".to_owned()),
    }
}

impl Parsed<'_> {
    fn read(&self, is_head: bool) -> Result<ReplyHead, String> {
        let status = StatusCode::from_u16(self.code).map_err(|_| format!("its status {} is none", self.code))?;
        let connection = self.connection();
        let mut response = Response::new(());
        *response.status_mut() = status;
        *response.headers_mut() = self.kept_headers(status, &connection)?;
        if status.canonical_reason() != Some(self.reason)
            && let Ok(reason) = ReasonPhrase::try_from(self.reason.as_bytes())
        {
            response.extensions_mut().insert(reason);
        }
        if let Some(spelled) = Spelled::of(|| self.passing(&connection).map(|(name, _)| name)) {
            response.extensions_mut().insert(spelled);
        }
        let says = |word: &[u8]| connection.iter().any(|said| said.eq_ignore_ascii_case(word));
        let keep_alive = !says(b"close") && (self.is_http_11 || says(b"keep-alive"));
        Ok(ReplyHead { response, framing: self.framing(is_head)?, keep_alive })
    }

    /// The head after which the connection is a WebSocket (RFC 9110, 15.2.2; RFC 6455, 4.1).
    fn switched(&self) -> Result<ReplyHead, String> {
        let connection = self.connection();
        let mut protocols = self.all(&UPGRADE);
        let to_websocket = protocols.next().is_some_and(|name| name.eq_ignore_ascii_case(b"websocket"));
        let says_so = connection.iter().any(|said| said.eq_ignore_ascii_case(b"upgrade"));
        if !to_websocket || protocols.next().is_some() || !says_so || !self.is_http_11 {
            return Err("it switched to another protocol than was asked for".to_owned());
        }
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = self.kept_headers(StatusCode::SWITCHING_PROTOCOLS, &connection)?;
        response.headers_mut().remove(CONTENT_LENGTH);
        Ok(ReplyHead { response, framing: Framing::Switched, keep_alive: false })
    }

    /// An interim head as the client gets it: no place for cookies, which may be held.
    fn interim_head(&self) -> Result<Vec<u8>, String> {
        let status = StatusCode::from_u16(self.code).map_err(|_| format!("its status {} is none", self.code))?;
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.code, self.reason).into_bytes();
        // Told of as the application spells them, but for what no reply may hold.
        self.kept_headers(status, &self.connection())?;
        for (name, value) in self.passing(&self.connection()) {
            if !is(name, &CONTENT_LENGTH) && !is(name, &SET_COOKIE) {
                for part in [name, b": ", value, b"\r\n"] {
                    head.extend_from_slice(part);
                }
            }
        }
        head.extend_from_slice(b"\r\n");
        Ok(head)
    }

    fn all<'s>(&'s self, name: &'s HeaderName) -> impl Iterator<Item = &'s [u8]> {
        let found = self.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name.as_str()));
        found.map(|header| header.value)
    }

    fn connection(&self) -> Vec<&[u8]> {
        let words = self.all(&CONNECTION).flat_map(|value| value.split(|byte| *byte == b','));
        words.map(<[u8]>::trim_ascii).collect()
    }

    /// RFC 9112, 6.3, without its leniencies: what could be read in two ways is refused.
    fn framing(&self, is_head: bool) -> Result<Framing, String> {
        let length = self.content_length()?;
        let chunked = self.is_chunked()?;
        if is_head || matches!(self.code, 204 | 304) {
            return Ok(Framing::Length(0));
        }
        match (length, chunked) {
            (Some(_), true) => Err("it has both Content-Length and Transfer-Encoding".to_owned()),
            (None, true) => Ok(Framing::Chunked(Chunks::Size)),
            (Some(length), false) => Ok(Framing::Length(length)),
            (None, false) => Ok(Framing::UntilClose),
        }
    }

    fn content_length(&self) -> Result<Option<u64>, String> {
        let mut values = self.all(&CONTENT_LENGTH);
        let Some(first) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err("it has two Content-Lengths".to_owned());
        }
        let digits = std::str::from_utf8(first).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = digits.and_then(|digits| digits.parse().ok());
        Ok(Some(length.ok_or("its Content-Length cannot be read")?))
    }

    fn is_chunked(&self) -> Result<bool, String> {
        let mut codings = self.all(&TRANSFER_ENCODING);
        match (codings.next(), codings.next()) {
            (None, _) => Ok(false),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") && self.is_http_11 => Ok(true),
            _ => Err("its Transfer-Encoding cannot be read".to_owned()),
        }
    }

    /// What does not concern the connection alone.
    fn passing(&self, connection: &[&[u8]]) -> impl Iterator<Item = (&[u8], &[u8])> {
        let named = |name: &[u8]| connection.iter().any(|word| word.eq_ignore_ascii_case(name));
        let stays = move |name: &[u8]| is_hop_by_hop(name) || named(name) && may_be_named_by_connection(name);
        let headers = self.headers.iter().map(|header| (header.name.as_bytes(), header.value));
        headers.filter(move |(name, _)| !stays(name))
    }

    fn kept_headers(&self, status: StatusCode, connection: &[&[u8]]) -> Result<HeaderMap, String> {
        let mut kept = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in self.passing(connection) {
            let name = HeaderName::from_bytes(name).map_err(|_| "a header's name cannot be read")?;
            // A reply without content has none (RFC 9110, 8.6).
            if name == CONTENT_LENGTH && status == StatusCode::NO_CONTENT {
                continue;
            }
            let value = HeaderValue::from_maybe_shared(self.bytes.slice_ref(value));
            kept.append(name, value.map_err(|_| "a header's value cannot be read")?);
        }
        Ok(kept)
    }
}

fn is(name: &[u8], other: &HeaderName) -> bool {
    name.eq_ignore_ascii_case(other.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<ReplyHead, String> {
        let mut input = BytesMut::from(head);
        take(&mut input, Asked::Usual, &mut false, &Interim::default()).map(|head| head.expect("a whole head"))
    }

    #[test]
    fn framing_follows_from_the_head() {
        let table = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5", Framing::Length(5), true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", Framing::Chunked(Chunks::Size), true),
            ("HTTP/1.1 200 OK", Framing::UntilClose, true),
            ("HTTP/1.1 200", Framing::UntilClose, true),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5", Framing::Length(5), false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive", Framing::Length(5), true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x, CLOSE", Framing::Length(5), false),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 5", Framing::Length(0), true),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5", Framing::Length(0), true),
            ("HTTP/1.1 200 OK\nContent-Length: 5\n", Framing::Length(5), true),
        ];
        for (head, framing, keep_alive) in table {
            let read = read(&format!("{head}\r\n\r\n")).unwrap();
            assert_eq!((&read.framing, read.keep_alive), (&framing, keep_alive), "{head}");
        }
    }

    #[test]
    fn heads_that_could_be_read_in_two_ways_are_refused() {
        let table = [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 5",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5",
            "HTTP/1.1 200 OK\r\nContent-Length: +5",
            "HTTP/1.1 200 OK\r\nContent-Length: -5",
            "HTTP/1.1 200 OK\r\nContent-Length:",
            "HTTP/1.1 200 OK\r\nContent-Length: 0x5",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
            "HTTP/1.1 200 OK\r\nX: a\r\n folded",
            "HTTP/1.1 200 OK\r\nX: a\0b",
            "HTTP/1.1 200 OK\r\nX: a\rb",
            "HTTP/1.1 200 OK\r\nX : a",
            "HTTP/1.1 200 OK\r\nno colon",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x",
            "HTTP/1.1 99 Low",
            "HTTP/1.1 20 Short",
            "HTTP/1.1  200 OK",
            "HTTP/2 200 OK",
            "HTTP/1.2 200 OK",
            "ICY 200 OK",
            "\r\nHTTP/1.1 200 OK",
            "220 mail.example ESMTP",
        ];
        for head in table {
            assert!(read(&format!("{head}\r\n\r\n")).is_err(), "{head:?}");
        }
    }

    #[test]
    fn a_connection_switches_only_to_what_was_asked_for() {
        let read = |asked, head: &str| {
            let mut input = BytesMut::from(format!("{head}\r\n\r\nmore").as_str());
            take(&mut input, asked, &mut false, &Interim::default()).map(|head| (head.expect("a head"), input))
        };
        let right = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: x, upgrade\r\nx: 1\r\n\
                     Content-Length: 5\r\nSec-WebSocket-Accept: a";
        let (head, input) = read(Asked::Upgrade, right).unwrap();
        assert_eq!((head.response.status().as_u16(), &head.framing), (101, &Framing::Switched));
        let kept: Vec<_> = head.response.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!((kept, &input[..]), (vec!["sec-websocket-accept"], &b"more"[..]));
        assert!(read(Asked::Usual, right).is_err() && read(Asked::Head, right).is_err());
        for (from, to) in [
            ("WebSocket", "h2c"),
            ("WebSocket", "websocket, h2c"),
            ("upgrade: WebSocket", "upgrade: WebSocket\r\nupgrade: WebSocket"),
            ("x, upgrade", "x"),
            ("HTTP/1.1", "HTTP/1.0"),
        ] {
            assert!(read(Asked::Upgrade, &right.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn what_concerns_the_connection_alone_is_taken_off_and_the_rest_keeps_its_order() {
        let read = read(
            "HTTP/1.1 200 Fine\r\nSet-Cookie: a=1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
             X-\u{41}: caf\u{e9}\r\nUpgrade: h2c\r\nSet-Cookie: b=2\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        let response = read.unwrap().response;
        let kept: Vec<_> = response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let expected: [(&str, &[u8]); 3] =
            [("set-cookie", b"a=1"), ("set-cookie", b"b=2"), ("x-a", "caf\u{e9}".as_bytes())];
        assert_eq!(kept, expected);
        assert_eq!(response.extensions().get::<ReasonPhrase>().unwrap().as_bytes(), b"Fine");
    }

    #[test]
    fn a_length_stays_where_it_tells_of_a_body_that_is_left_out() {
        let kept = |head: &str, asked| {
            let mut input = BytesMut::from(head);
            let read = take(&mut input, asked, &mut false, &Interim::default()).unwrap().unwrap();
            assert_eq!(read.framing, Framing::Length(0));
            read.response.headers().get(CONTENT_LENGTH).cloned()
        };
        assert_eq!(kept("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Asked::Head).unwrap(), "5");
        assert_eq!(kept("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Asked::Usual).unwrap(), "5");
        assert_eq!(kept("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", Asked::Usual), None);
        assert_eq!(kept("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Asked::Head), None);
    }

    #[test]
    fn interim_heads_go_their_own_way_and_a_head_may_come_in_pieces() {
        let all = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\
            Set-Cookie: a=1\r\n\r\nHTTP/1.1 201 Created\r\n\r\nbody";
        let (mut input, mut heard, interim) = (BytesMut::new(), false, Interim::default());
        interim.open();
        for (at, byte) in all.bytes().enumerate() {
            input.extend_from_slice(&[byte]);
            let taken = take(&mut input, Asked::Usual, &mut heard, &interim).unwrap();
            assert_eq!(heard, at >= 24, "at {at}");
            if let Some(head) = taken {
                assert_eq!(head.response.status(), StatusCode::CREATED);
                assert_eq!(at + 1, all.len() - "body".len());
                assert_eq!(interim.take(), b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
                return;
            }
        }
        panic!("no head was found");
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let mut input = BytesMut::from("HTTP/1.1 200 OK\r\nX: ");
        input.resize(LONGEST - 1, b'x');
        assert!(matches!(take(&mut input, Asked::Usual, &mut false, &Interim::default()), Ok(None)));
        input.extend_from_slice(b"x");
        assert!(take(&mut input, Asked::Usual, &mut false, &Interim::default()).is_err());
        input.extend_from_slice(b"\r\n\r\n");
        assert!(take(&mut input, Asked::Usual, &mut false, &Interim::default()).is_err());
    }
}
