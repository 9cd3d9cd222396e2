//! The Host of a request: applications build links and mails of it.

use super::malformed;
use crate::request::Unreadable;

/// A name, an IPv4 address or a bracketed IPv6 address, and perhaps a port; nothing else of RFC 3986's reg-name.
pub(super) fn check(host: &[u8]) -> Result<(), Unreadable> {
    let (name, port) = match host.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !host.ends_with(b"]") => (host.get(..colon).unwrap_or_default(), host.get(colon + 1..)),
        _ => (host, None),
    };
    if host.contains(&b'@') {
        return Err(malformed("Host names a user"));
    }
    if !is_name(name) && !is_bracketed(name) {
        return Err(malformed("Host is not a host name"));
    }
    match port {
        Some(port) if !is_port(port) => Err(malformed("Host has a port that is no number")),
        _ => Ok(()),
    }
}

fn is_name(name: &[u8]) -> bool {
    let may_stand = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    !name.is_empty() && name.iter().all(may_stand)
}

fn is_bracketed(name: &[u8]) -> bool {
    let inner = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).unwrap_or_default();
    std::str::from_utf8(inner).is_ok_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_port(port: &[u8]) -> bool {
    std::str::from_utf8(port)
        .is_ok_and(|port| port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok())
}
