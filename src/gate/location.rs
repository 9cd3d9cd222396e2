//! Locations that name the application by an address of its own, told in the client's words.

use http::HeaderMap;
use http::header::{HeaderValue, LOCATION};

use crate::request::address::Origin;
use crate::upstream::HostHeader;
use crate::upstream::headers::Settings;

/// A Location that names the application names the gate instead, as the client called it. `host` is the Host it sent.
pub(super) fn rewrite(headers: &mut HeaderMap, host: &[u8], origin: &Origin, forward: &Settings) {
    let rewritten = headers.get(LOCATION).and_then(|location| {
        let (server, tail) = Server::of_location(location.as_bytes())?;
        server.is_the_backend(host, forward).then(|| HeaderValue::from_bytes(&at_the_gate(tail, origin)).ok())?
    });
    if let Some(location) = rewritten {
        headers.insert(LOCATION, location);
    }
}

fn at_the_gate(tail: &[u8], origin: &Origin) -> Vec<u8> {
    let (scheme, usual) = if origin.https { ("https", 443) } else { ("http", 80) };
    let slash = if tail.starts_with(b"/") { "" } else { "/" };
    let server = match origin.host.as_str() {
        // Nobody knows what the client called the gate; it does.
        "" => slash.to_owned(),
        host if origin.port == usual => format!("{scheme}://{host}{}", if tail.is_empty() { "" } else { slash }),
        host => format!("{scheme}://{host}:{}{}", origin.port, if tail.is_empty() { "" } else { slash }),
    };
    [server.as_bytes(), tail].concat()
}

/// A server that a URL names.
#[derive(Debug, PartialEq, Eq)]
struct Server {
    https: bool,
    host: Vec<u8>,
    port: u16,
}

impl Server {
    /// Of an absolute Location, or one without a scheme (`//host/path`); and what stands behind.
    fn of_location(location: &[u8]) -> Option<(Self, &[u8])> {
        let scheme = |name: &str| {
            let (start, rest) = location.split_at_checked(name.len())?;
            start.eq_ignore_ascii_case(name.as_bytes()).then_some(rest)
        };
        let (https, rest) = match (scheme("https://"), scheme("http://").or_else(|| scheme("//"))) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return None,
        };
        let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        Some((Self::named(authority, https)?, tail))
    }

    /// `host` or `host:port`.
    fn named(authority: &[u8], https: bool) -> Option<Self> {
        let usual = if https { 443 } else { 80 };
        let colon = memchr::memrchr(b':', authority).filter(|colon| authority.get(*colon..).is_some_and(is_port));
        let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
        let port = match port {
            b"" | b":" => usual,
            digits => std::str::from_utf8(digits.get(1..)?).ok()?.parse().ok()?,
        };
        Some(Self { https, host: host.to_ascii_lowercase(), port })
    }

    /// Whether it is the application: by its address; by the name it is called with; or by that name with its own port, as
    /// `SERVER_NAME:SERVER_PORT` gives it. The client's own name with https is no address of the application, which is called
    /// without: it wants the client to use https.
    fn is_the_backend(&self, host: &[u8], forward: &Settings) -> bool {
        let Some(address) = Self::named(forward.upstream_name.as_bytes(), false) else { return false };
        let (called, https_too) = match &forward.host {
            HostHeader::Keep => (Self::named(host, false), false),
            HostHeader::Upstream => (None, false),
            HostHeader::Name(name) => (Self::named(name.as_bytes(), self.https), true),
        };
        let at_its_address = self.port == address.port && self.is_same_host(&address);
        let by_its_name = called.is_some_and(|called| {
            let port = self.port == called.port || !self.https && self.port == address.port;
            self.host == called.host && port && (https_too || !self.https)
        });
        at_its_address || by_its_name
    }

    fn is_same_host(&self, other: &Self) -> bool {
        self.host == other.host || is_loopback(&self.host) && is_loopback(&other.host)
    }
}

fn is_port(text: &[u8]) -> bool {
    text.iter().skip(1).all(u8::is_ascii_digit)
}

fn is_loopback(host: &[u8]) -> bool {
    [&b"localhost"[..], b"127.0.0.1", b"[::1]"].contains(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(https: bool, host: &str, port: u16) -> Origin {
        let ip = [127, 0, 0, 1].into();
        Origin { ip, peer: ip, trusted: false, https, host: host.into(), port, forwarded_for: String::new() }
    }

    fn settings(host: HostHeader, upstream: &str) -> Settings {
        Settings {
            hide_credentials: false,
            reserved: crate::request::reserved::Reserved::default(),
            user: String::new(),
            client: String::new(),
            session: String::new(),
            assertion_key: None,
            host,
            upstream_name: upstream.into(),
        }
    }

    fn rewritten(location: &str, host: &str, origin: &Origin, settings: &Settings) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_bytes(location.as_bytes()).unwrap());
        rewrite(&mut headers, host.as_bytes(), origin, settings);
        String::from_utf8(headers.get(LOCATION).unwrap().as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_location_that_names_the_application_names_the_gate_instead() {
        let table: &[(&str, &str)] = &[
            ("http://127.0.0.1:8081/home.php?a=1", "https://api.example/home.php?a=1"),
            ("http://127.0.0.1:8081", "https://api.example"),
            ("http://127.0.0.1:8081?a=1", "https://api.example/?a=1"),
            ("http://localhost:8081/x", "https://api.example/x"),
            ("http://[::1]:8081/x", "https://api.example/x"),
            ("//127.0.0.1:8081/x", "https://api.example/x"),
            ("HTTP://127.0.0.1:8081/首页", "https://api.example/首页"),
            ("http://old.example/home", "https://api.example/home"),
            ("http://OLD.example:80/home", "https://api.example/home"),
            ("https://old.example/home", "https://api.example/home"),
            ("http://old.example:8081/home", "https://api.example/home"),
            ("http://elsewhere.example/home", "http://elsewhere.example/home"),
            ("http://elsewhere.example:8081/home", "http://elsewhere.example:8081/home"),
            ("http://old.example:8082/home", "http://old.example:8082/home"),
            ("http://127.0.0.1:80811/x", "http://127.0.0.1:80811/x"),
            ("http://127.0.0.1:8082/x", "http://127.0.0.1:8082/x"),
            ("http://old.example@elsewhere.example/x", "http://old.example@elsewhere.example/x"),
            ("http://old.example.elsewhere/x", "http://old.example.elsewhere/x"),
            ("/login?next=http://127.0.0.1:8081/x", "/login?next=http://127.0.0.1:8081/x"),
            ("login?next=http://127.0.0.1:8081/x", "login?next=http://127.0.0.1:8081/x"),
            ("ftp://127.0.0.1:8081/x", "ftp://127.0.0.1:8081/x"),
            ("/home.php", "/home.php"),
            ("home.php", "home.php"),
            ("", ""),
        ];
        let settings = settings(HostHeader::Name("old.example".into()), "127.0.0.1:8081");
        for (before, after) in table {
            let found = rewritten(before, "api.example", &origin(true, "api.example", 443), &settings);
            assert_eq!(found, *after, "{before}");
        }
    }

    #[test]
    fn an_application_that_is_called_as_the_client_calls_knows_neither_https_nor_the_clients_port() {
        type Case = (&'static str, &'static str, (bool, &'static str, u16), &'static str);
        let table: &[Case] = &[
            ("http://api.example/x", "api.example", (true, "api.example", 443), "https://api.example/x"),
            ("http://api.example:80/x", "api.example", (true, "api.example", 443), "https://api.example/x"),
            (
                "http://api.example:8443/x",
                "api.example:8443",
                (true, "api.example", 8443),
                "https://api.example:8443/x",
            ),
            ("http://inner:8080/x", "inner:8080", (true, "api.example", 443), "https://api.example/x"),
            ("http://api.example:8081/x", "api.example", (false, "api.example", 80), "http://api.example/x"),
            ("http://api.example:8081/x", "api.example:90", (false, "api.example", 90), "http://api.example:90/x"),
            ("http://api.example:90/x", "api.example:90", (false, "api.example", 90), "http://api.example:90/x"),
            ("https://api.example/x", "api.example", (false, "api.example", 80), "https://api.example/x"),
            ("https://api.example/x", "api.example", (true, "api.example", 443), "https://api.example/x"),
            ("https://api.example:8081/x", "api.example", (true, "api.example", 443), "https://api.example:8081/x"),
            ("http://other.example/x", "api.example", (true, "api.example", 443), "http://other.example/x"),
            ("http://[::2]:8081/x", "[::2]:90", (false, "[::2]", 90), "http://[::2]:90/x"),
            ("http://10.0.0.5:8081/x", "a\"b", (false, "", 90), "/x"),
        ];
        for (before, host, (https, name, port), after) in table {
            let origin = origin(*https, name, *port);
            let found = rewritten(before, host, &origin, &settings(HostHeader::Keep, "10.0.0.5:8081"));
            assert_eq!(found, *after, "{before} for {host}");
        }
    }

    #[test]
    fn an_application_on_a_socket_is_called_localhost() {
        let origin = origin(false, "api.example", 90);
        let settings = settings(HostHeader::Upstream, "localhost");
        assert_eq!(rewritten("http://localhost/x", "api.example:90", &origin, &settings), "http://api.example:90/x");
        assert_eq!(rewritten("http://api.example/x", "api.example:90", &origin, &settings), "http://api.example/x");
    }
}
