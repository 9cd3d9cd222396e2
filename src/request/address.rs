//! Who sent a request: the peer, or whom a trusted proxy names.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::request::head::Head;

/// How the client reached us, after trusted proxies were heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub ip: IpAddr,
    /// The other end of the connection; differs from `ip` behind a trusted proxy. Unix sockets count as 127.0.0.1.
    pub peer: IpAddr,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
    /// Whether the client speaks HTTPS.
    pub https: bool,
    /// The host the client asked for, without port; an IPv6 address in its brackets. Empty where no plausible host was given.
    pub host: String,
    /// The port the client asked for.
    pub port: u16,
    /// The value for X-Forwarded-For: the trusted proxies' chain continued, or the peer alone.
    pub forwarded_for: String,
}

/// A connection's two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end; 127.0.0.1 for a unix socket.
    pub ip: IpAddr,
    /// Our port.
    pub local_port: u16,
    /// Whether the connection is TLS.
    pub tls: bool,
}

/// The networks whose word on X-Forwarded-* counts (`trusted_proxies`).
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(pub Vec<IpNet>);

impl TrustedProxies {
    /// Reads the origin of a request: right to left through X-Forwarded-For while the speaker is trusted.
    pub fn origin(&self, head: &Head, peer: Peer) -> Origin {
        self.heard(head.host(), peer, |name| head.all(name).collect())
    }

    /// The origin, of a Host and of what `all` finds under a header's name.
    fn heard<'a>(&self, host: &'a [u8], peer: Peer, all: impl Fn(&'static str) -> Vec<&'a [u8]>) -> Origin {
        let ip = peer.ip.to_canonical();
        let trusted = self.trusts(ip);
        let told = |name| if trusted { last_entry(&all(name)) } else { None };

        let (client, forwarded_for) = match trusted {
            true => {
                let chain = self.walk(ip, &all("x-forwarded-for"));
                (chain.last().copied().unwrap_or(ip), in_header_order(&chain))
            }
            false => (ip, written(ip)),
        };
        let https = told("x-forwarded-proto").and_then(is_secure).unwrap_or(peer.tls);
        let place = told("x-forwarded-host").and_then(Place::read).or_else(|| Place::read(host));
        let told_port = told("x-forwarded-port").and_then(parse);
        let usual_port = if https { 443 } else { 80 };
        let place_port = place.as_ref().map_or(peer.local_port, |place| place.port.unwrap_or(usual_port));
        Origin {
            ip: client,
            peer: ip,
            trusted,
            https,
            host: place.map_or_else(String::new, |place| place.host.to_owned()),
            port: told_port.unwrap_or(place_port),
            forwarded_for,
        }
    }

    /// Whether a peer of that address is a trusted proxy.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip))
    }

    /// From the peer to the client: each speaker, as named by the trusted one before it. What stands left of the client in the
    /// header is the client's own invention and left out, because applications like to take the first entry.
    fn walk(&self, peer: IpAddr, values: &[&[u8]]) -> Vec<IpAddr> {
        let mut chain = vec![peer];
        for entry in values.iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b',')) {
            let Some(ip) = parse_ip(entry) else { break };
            chain.push(ip);
            if !self.trusts(ip) {
                break;
            }
        }
        chain
    }
}

fn in_header_order(chain: &[IpAddr]) -> String {
    let texts: Vec<_> = chain.iter().rev().copied().map(written).collect();
    texts.join(", ")
}

/// An address as text. Every request tells one, so IPv4 goes without the machinery of formatting.
fn written(ip: IpAddr) -> String {
    let IpAddr::V4(ip) = ip else { return ip.to_string() };
    let mut text = String::with_capacity("255.255.255.255".len());
    let digit = |digit: u8| char::from(b'0' + digit);
    for (index, part) in ip.octets().into_iter().enumerate() {
        if index > 0 {
            text.push('.');
        }
        if part >= 100 {
            text.push(digit(part / 100));
        }
        if part >= 10 {
            text.push(digit(part / 10 % 10));
        }
        text.push(digit(part % 10));
    }
    text
}

/// The last entry of a list header: what the peer itself said.
fn last_entry<'a>(values: &[&'a [u8]]) -> Option<&'a [u8]> {
    values.last()?.rsplit(|byte| *byte == b',').next().map(<[u8]>::trim_ascii)
}

fn is_secure(proto: &[u8]) -> Option<bool> {
    match proto.to_ascii_lowercase().as_slice() {
        b"https" | b"wss" => Some(true),
        b"http" | b"ws" => Some(false),
        _ => None,
    }
}

fn parse<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// An address, bare, in brackets, or with a port, as proxies write it.
fn parse_ip(entry: &[u8]) -> Option<IpAddr> {
    let entry = entry.trim_ascii();
    let bare = entry.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(entry);
    let ip = parse::<IpAddr>(bare).or_else(|| Some(parse::<SocketAddr>(entry)?.ip()))?;
    Some(ip.to_canonical())
}

/// A host and perhaps a port.
struct Place<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Place<'a> {
    /// Of a Host header; `None` for what cannot be one.
    fn read(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let host_ends = text.rfind(']').map_or_else(|| text.find(':'), |bracket| Some(bracket + 1));
        let (host, port) = text.split_at_checked(host_ends.unwrap_or(text.len()))?;
        let port = match port.strip_prefix(':') {
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            None if port.is_empty() => None,
            Some(_) | None => return None,
        };
        (is_name(host) || is_bracketed(host)).then_some(Self { host, port })
    }
}

/// Underscores are no host name's, but service names of containers have them.
fn is_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn is_bracketed(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Peer = Peer { ip: IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), local_port: 8080, tls: false };

    fn trusted() -> TrustedProxies {
        TrustedProxies(["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).into())
    }

    fn origin(proxies: &TrustedProxies, peer: Peer, headers: &[(&str, &'static str)]) -> Origin {
        let all = |name: &'static str| {
            let found = headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_bytes()).collect::<Vec<_>>()
        };
        let host = all("host").first().copied().unwrap_or_default();
        proxies.heard(host, peer, all)
    }

    #[test]
    fn addresses_are_written_as_usual() {
        for text in ["0.0.0.0", "9.10.99.100", "255.249.1.205", "127.0.0.1", "2001:db8::1", "::1"] {
            assert_eq!(written(text.parse().unwrap()), text);
        }
    }

    #[test]
    fn the_client_is_the_first_from_the_right_whom_no_trusted_proxy_stands_for() {
        let table: [(&[&'static str], &str, &str); 14] = [
            (&[], "10.0.0.1", "10.0.0.1"),
            (&["203.0.113.7"], "203.0.113.7", "203.0.113.7, 10.0.0.1"),
            (&["203.0.113.7, 10.0.0.2"], "203.0.113.7", "203.0.113.7, 10.0.0.2, 10.0.0.1"),
            (&["203.0.113.7", "10.0.0.2"], "203.0.113.7", "203.0.113.7, 10.0.0.2, 10.0.0.1"),
            (&["6.6.6.6, 203.0.113.7"], "203.0.113.7", "203.0.113.7, 10.0.0.1"),
            (&["10.9.9.9, 203.0.113.7"], "203.0.113.7", "203.0.113.7, 10.0.0.1"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3", "10.0.0.3, 10.0.0.2, 10.0.0.1"),
            (&["::ffff:203.0.113.7"], "203.0.113.7", "203.0.113.7, 10.0.0.1"),
            (&["2001:db8::1,fd00::2"], "2001:db8::1", "2001:db8::1, fd00::2, 10.0.0.1"),
            (&["203.0.113.7:4711"], "203.0.113.7", "203.0.113.7, 10.0.0.1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1", "2001:db8::1, 10.0.0.1"),
            (&["[2001:db8::1]"], "2001:db8::1", "2001:db8::1, 10.0.0.1"),
            (&["203.0.113.7, unknown"], "10.0.0.1", "10.0.0.1"),
            (&["203.0.113.7, , 10.0.0.2"], "10.0.0.2", "10.0.0.2, 10.0.0.1"),
        ];
        for (values, ip, forwarded_for) in table {
            let headers: Vec<_> = values.iter().map(|value| ("X-Forwarded-For", *value)).collect();
            let origin = origin(&trusted(), PEER, &headers);
            assert_eq!(origin.ip.to_string(), ip, "{values:?}");
            assert_eq!(origin.forwarded_for, forwarded_for, "{values:?}");
            assert_eq!(origin.peer, PEER.ip);
            assert!(origin.trusted);
        }
    }

    #[test]
    fn nobody_else_is_heard() {
        let headers = [
            ("Host", "app.example"),
            ("X-Forwarded-For", "6.6.6.6"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Port", "666"),
        ];
        let origin = origin(&TrustedProxies::default(), PEER, &headers);
        let expected = Origin {
            ip: PEER.ip,
            peer: PEER.ip,
            trusted: false,
            https: false,
            host: "app.example".to_owned(),
            port: 80,
            forwarded_for: "10.0.0.1".to_owned(),
        };
        assert_eq!(origin, expected);
    }

    #[test]
    fn an_ipv4_peer_on_an_ipv6_socket_is_the_ipv4_peer() {
        let mapped = Peer { ip: "::ffff:10.0.0.1".parse().unwrap(), ..PEER };
        let origin = origin(&trusted(), mapped, &[("X-Forwarded-For", "203.0.113.7")]);
        assert_eq!((origin.peer, origin.trusted), (PEER.ip, true));
        assert_eq!(origin.forwarded_for, "203.0.113.7, 10.0.0.1");
    }

    #[test]
    fn host_port_and_scheme_are_what_the_client_asked_for() {
        let tls = Peer { tls: true, ..PEER };
        type Row = (Peer, &'static [(&'static str, &'static str)], (&'static str, u16, bool));
        let table: [Row; 13] = [
            (PEER, &[("Host", "a.example")], ("a.example", 80, false)),
            (PEER, &[("Host", "a.example:8080")], ("a.example", 8080, false)),
            (tls, &[("Host", "a.example")], ("a.example", 443, true)),
            (PEER, &[("Host", "[::1]:81")], ("[::1]", 81, false)),
            (PEER, &[("Host", "my_app")], ("my_app", 80, false)),
            (PEER, &[("Host", "a\"b")], ("", 8080, false)),
            (PEER, &[("Host", "a:b")], ("", 8080, false)),
            (PEER, &[("Host", "a"), ("X-Forwarded-Proto", "HTTPS")], ("a", 443, true)),
            (tls, &[("Host", "a"), ("X-Forwarded-Proto", "http")], ("a", 80, false)),
            (PEER, &[("Host", "a"), ("X-Forwarded-Host", "b.example:444")], ("b.example", 444, false)),
            (PEER, &[("Host", "a"), ("X-Forwarded-Host", "evil, b.example")], ("b.example", 80, false)),
            (PEER, &[("Host", "a:1"), ("X-Forwarded-Host", "b/c")], ("a", 1, false)),
            (PEER, &[("Host", "a:1"), ("X-Forwarded-Port", "8443"), ("X-Forwarded-Proto", "https")], ("a", 8443, true)),
        ];
        for (peer, headers, (host, port, https)) in table {
            let origin = origin(&trusted(), peer, headers);
            assert_eq!((origin.host.as_str(), origin.port, origin.https), (host, port, https), "{headers:?}");
        }
    }
}
