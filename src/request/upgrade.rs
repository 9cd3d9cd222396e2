//! Whether a request asks for its connection to go on as WebSocket (RFC 6455, 4.2.1), and whether it asks rightly.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::request::Unreadable;
use crate::request::head::{Framing, Head, Version};

/// The one version there is.
pub const VERSION: &str = "13";

/// Bytes in a key.
const KEY: usize = 16;

/// Whether it does. HTTP/1.0 knows no upgrade, and a server must ignore one there (RFC 9110, 7.8).
pub fn is_asked(head: &Head) -> bool {
    head.version() == Version::Http11
        && head.method() == "GET"
        && names(head, "Upgrade", b"websocket")
        && names(head, "Connection", b"upgrade")
}

/// The key of a request that asks.
pub fn key(head: &Head) -> Result<&[u8], Unreadable> {
    if head.framing() != Framing::Empty {
        return Err(malformed("a request for a WebSocket has a body"));
    }
    if one(head, "Sec-WebSocket-Version")? != VERSION.as_bytes() {
        return Err(malformed("Sec-WebSocket-Version is not 13"));
    }
    let key = one(head, "Sec-WebSocket-Key")?;
    match STANDARD.decode(key) {
        Ok(bytes) if bytes.len() == KEY => Ok(key),
        _ => Err(malformed("Sec-WebSocket-Key is not 16 bytes in base64")),
    }
}

/// The page that asks; none where a program does. What stands there twice could be checked in one place and believed in another.
pub fn origin(head: &Head) -> Result<Option<&[u8]>, Unreadable> {
    let mut all = head.all("Origin");
    match (all.next(), all.next()) {
        (_, Some(_)) => Err(malformed("Origin is given twice")),
        (origin, None) => Ok(origin),
    }
}

fn one<'a>(head: &'a Head, name: &'a str) -> Result<&'a [u8], Unreadable> {
    let mut all = head.all(name);
    match (all.next(), all.next()) {
        (None, _) => Err(malformed(&format!("{name} is missing"))),
        (Some(_), Some(_)) => Err(malformed(&format!("{name} is given twice"))),
        (Some(value), None) => Ok(value),
    }
}

fn names(head: &Head, header: &str, word: &[u8]) -> bool {
    let mut words = head.all(header).flat_map(|value| value.split(|byte| *byte == b','));
    words.any(|found| found.trim_ascii().eq_ignore_ascii_case(word))
}

fn malformed(what: &str) -> Unreadable {
    Unreadable::Malformed(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::head::Methods;

    const ASKS: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    const WELL: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

    fn head(line: &str, headers: &str) -> Head {
        let text = format!("{line}\r\nHost: a\r\n{headers}\r\n");
        Head::parse(text.into(), &Methods::default()).unwrap()
    }

    #[test]
    fn a_request_asks_by_method_version_and_two_headers() {
        for headers in [ASKS, "upgrade: h2c, WebSocket\r\nconnection: keep-alive\r\nConnection: x,UPGRADE\r\n"] {
            assert!(is_asked(&head("GET /ws HTTP/1.1", headers)), "{headers}");
        }
        for (line, headers) in [
            ("GET /ws HTTP/1.0", ASKS),
            ("POST /ws HTTP/1.1", ASKS),
            ("GET /ws HTTP/1.1", "Upgrade: websocket\r\n"),
            ("GET /ws HTTP/1.1", "Connection: Upgrade\r\n"),
            ("GET /ws HTTP/1.1", "Upgrade: h2c\r\nConnection: Upgrade\r\n"),
            ("GET /ws HTTP/1.1", "Upgrade: websocket/13\r\nConnection: Upgrade\r\n"),
        ] {
            assert!(!is_asked(&head(line, headers)), "{line} {headers}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_asking_is_told() {
        assert_eq!(key(&head("GET /ws HTTP/1.1", WELL)), Ok(&b"dGhlIHNhbXBsZSBub25jZQ=="[..]));
        for (headers, why) in [
            ("Sec-WebSocket-Version: 13\r\n".to_owned(), "Sec-WebSocket-Key is missing"),
            ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n".to_owned(), "Sec-WebSocket-Version is missing"),
            (format!("{WELL}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "Sec-WebSocket-Key is given twice"),
            (format!("{WELL}sec-websocket-version: 13\r\n"), "Sec-WebSocket-Version is given twice"),
            (WELL.replace("13", "8"), "Sec-WebSocket-Version is not 13"),
            (WELL.replace("13", "13, 8"), "Sec-WebSocket-Version is not 13"),
            (WELL.replace("==", ""), "Sec-WebSocket-Key is not 16 bytes in base64"),
            (WELL.replace("dGhl", ""), "Sec-WebSocket-Key is not 16 bytes in base64"),
            (WELL.replace("dGhl", "d:hl"), "Sec-WebSocket-Key is not 16 bytes in base64"),
            (format!("{WELL}Content-Length: 1\r\n"), "a request for a WebSocket has a body"),
        ] {
            assert_eq!(key(&head("GET /ws HTTP/1.1", &headers)), Err(malformed(why)), "{headers}");
        }
    }

    #[test]
    fn an_origin_stands_there_once_or_not_at_all() {
        assert_eq!(origin(&head("GET / HTTP/1.1", "")), Ok(None));
        assert_eq!(origin(&head("GET / HTTP/1.1", "Origin: https://a\r\n")), Ok(Some(&b"https://a"[..])));
        assert!(origin(&head("GET / HTTP/1.1", "Origin: https://a\r\norigin: https://a\r\n")).is_err());
    }
}
