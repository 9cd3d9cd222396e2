//! The answer that makes a connection a WebSocket (RFC 6455, 4.2.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use sha1_smol::Sha1;

/// What a key is hashed with.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What proves that a server has understood the request with that key.
pub fn accept(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    STANDARD.encode(hash.digest().bytes())
}

/// Whether these headers prove it.
pub fn is_accepted(headers: &HeaderMap, key: &[u8]) -> bool {
    let mut all = headers.get_all("sec-websocket-accept").iter();
    all.next().is_some_and(|value| value.as_bytes() == accept(key).as_bytes()) && all.next().is_none()
}

/// The whole head, with these headers besides those that every such answer has.
pub fn head(headers: &HeaderMap, key: &[u8]) -> Vec<u8> {
    let mut head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n".to_vec();
    put(&mut head, "Sec-WebSocket-Accept", accept(key).as_bytes());
    for (name, value) in headers.iter().filter(|(name, _)| *name != "sec-websocket-accept") {
        put(&mut head, &title_case(name), value.as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn put(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

/// As in every other answer: old clients compare names with their case.
fn title_case(name: &HeaderName) -> String {
    match name.as_str() {
        "sec-websocket-protocol" => "Sec-WebSocket-Protocol".to_owned(),
        "sec-websocket-extensions" => "Sec-WebSocket-Extensions".to_owned(),
        name => {
            let mut first = true;
            let cased = name.chars().map(|letter| {
                let cased = if first { letter.to_ascii_uppercase() } else { letter };
                first = letter == '-';
                cased
            });
            cased.collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// RFC 6455, 1.3
    const KEY: &[u8] = b"dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    #[test]
    fn the_proof_is_that_of_the_standard() {
        assert_eq!(accept(KEY), ACCEPT);
        let mut headers = HeaderMap::new();
        assert!(!is_accepted(&headers, KEY));
        headers.insert("sec-websocket-accept", HeaderValue::from_static(ACCEPT));
        assert!(is_accepted(&headers, KEY) && !is_accepted(&headers, b"other"));
        headers.append("sec-websocket-accept", HeaderValue::from_static(ACCEPT));
        assert!(!is_accepted(&headers, KEY));
    }

    #[test]
    fn the_head_has_what_the_application_said_besides() {
        let mut headers = HeaderMap::new();
        headers.insert("sec-websocket-accept", HeaderValue::from_static("theirs"));
        headers.insert("sec-websocket-protocol", HeaderValue::from_static("chat"));
        headers.insert("x-request-id", HeaderValue::from_static("1"));
        let expected = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: chat\r\nX-Request-Id: 1\r\n\r\n"
        );
        assert_eq!(String::from_utf8(head(&headers, KEY)).unwrap(), expected);
    }
}
