//! What a proxy asks about: the request of its client, told in the head of one of the proxy's own.
//!
//! Whoever decides here forwards nothing, so what the gate takes off a request elsewhere cannot be taken off: it is refused.

use bytes::Bytes;

use crate::request::Unreadable;
use crate::request::head::{Framing, Head, Methods};
use crate::request::headers::{is_hop_by_hop, may_stay};

/// Where proxies ask.
pub const PATH: &str = "/ticketgate/decide";

/// Of the proxy's own message, or told to the rebuilt head by other means.
const OF_THE_INQUIRY: [&str; 3] = ["host", "content-length", "expect"];

/// Where a proxy tells method and target of the request that it asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// In two headers of these names, which the proxy sets whatever its client sent.
    Headers {
        /// The method's.
        method: &'static str,
        /// The target's.
        target: &'static str,
    },
    /// In its own method, and in its own target behind [`PATH`].
    Path,
}

/// nginx, as `deploy/nginx` has it.
pub const ORIGINAL: Told = Told::Headers { method: "X-Original-Method", target: "X-Original-URI" };
/// Caddy and Traefik.
pub const FORWARDED: Told = Told::Headers { method: "X-Forwarded-Method", target: "X-Forwarded-Uri" };

/// How inquiries are read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where method and target stand.
    pub told: Told,
    /// The methods that may pass.
    pub methods: Methods,
    /// The longest head of the request that is asked about, in bytes.
    pub header: usize,
}

impl Settings {
    /// The head of the request that is asked about, under the same rules as any that comes by itself.
    pub fn head(&self, inquiry: &Head) -> Result<Head, Unreadable> {
        if inquiry.framing() != Framing::Empty {
            return Err(malformed(
                "an inquiry has a body; the proxy must send none, and Content-Length: 0 or no such header",
            ));
        }
        if inquiry.header("X-Forwarded-For").is_none() {
            return Err(malformed("X-Forwarded-For is missing: the proxy does not tell its client's address"));
        }
        let (method, target) = self.told.line(inquiry)?;
        let mut text = [method, b" ", target, b" HTTP/1.1\r\nHost: ", inquiry.host(), b"\r\n"].concat();
        for (name, value) in inquiry.headers().filter(|(name, _)| !self.told.is_own(name)) {
            if !may_stay(name) {
                let name = name.escape_ascii();
                return Err(malformed(&format!(
                    "{name} may not pass, and cannot be taken off where nothing is forwarded"
                )));
            }
            for part in [name, b": ", value, b"\r\n"] {
                text.extend_from_slice(part);
            }
        }
        text.extend_from_slice(b"\r\n");
        if text.len() > self.header {
            return Err(Unreadable::HeaderTooLarge(self.header));
        }
        Head::parse(Bytes::from(text), &self.methods)
    }
}

impl Told {
    /// Method and target.
    fn line(self, inquiry: &Head) -> Result<(&[u8], &[u8]), Unreadable> {
        let nowhere = || malformed("inquiries are made at /ticketgate/decide");
        match self {
            // Caddy adds its client's query.
            Self::Headers { method, target } if inquiry.target().split('?').next() == Some(PATH) => {
                Ok((one(inquiry, method)?, one(inquiry, target)?))
            }
            Self::Headers { .. } => Err(nowhere()),
            Self::Path => {
                let rest = inquiry.target_bytes().strip_prefix(PATH.as_bytes()).ok_or_else(nowhere)?;
                Ok((inquiry.method().as_bytes(), rest))
            }
        }
    }

    /// Whether a header belongs to the inquiry, not to the request that it is about.
    fn is_own(self, name: &[u8]) -> bool {
        let is = |own: &str| own.as_bytes().eq_ignore_ascii_case(name);
        let tells = match self {
            Self::Headers { method, target } => is(method) || is(target),
            Self::Path => false,
        };
        tells || is_hop_by_hop(name) || OF_THE_INQUIRY.into_iter().any(is)
    }
}

/// The one value of a header.
fn one<'a>(head: &'a Head, name: &'static str) -> Result<&'a [u8], Unreadable> {
    let mut all = head.all(name);
    match (all.next(), all.next()) {
        (Some(one), None) if !one.is_empty() => Ok(one),
        (Some(_), None) => Err(malformed(&format!("{name} is empty"))),
        (Some(_), Some(_)) => Err(Unreadable::Ambiguous(format!("{name} is given twice"))),
        (None, _) => Err(malformed(&format!("{name} is missing: the proxy does not tell what it asks about"))),
    }
}

fn malformed(what: &str) -> Unreadable {
    Unreadable::Malformed(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(told: Told) -> Settings {
        Settings { told, methods: Methods::default(), header: 1024 }
    }

    fn asked(told: Told, line: &str, headers: &[&str]) -> Result<Head, Unreadable> {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let text = format!("{line} HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-For: 192.0.2.7\r\n{headers}\r\n");
        let inquiry = Head::parse(Bytes::from(text), &Methods::default()).unwrap();
        settings(told).head(&inquiry)
    }

    const LINE: &str = "GET /ticketgate/decide";

    #[test]
    fn the_request_is_put_together_of_what_the_proxy_tells() {
        let original = ["X-Original-Method: POST", "X-Original-URI: /a?b=c", "Accept: x", "Connection: close", "TE: x"];
        let head = asked(ORIGINAL, LINE, &original).unwrap();
        assert_eq!((head.method(), head.target(), head.host()), ("POST", "/a?b=c", &b"app.example"[..]));
        assert_eq!(
            (head.header("Accept"), head.header("Connection"), head.header("TE")),
            (Some(&b"x"[..]), None, None)
        );
        assert_eq!(head.header("X-Original-URI"), None);
        let forwarded = ["X-Forwarded-Method: PUT", "X-Forwarded-Uri: /f", "X-Original-URI: /of-the-client"];
        let head = asked(FORWARDED, &format!("{LINE}?of=its-client"), &forwarded).unwrap();
        assert_eq!((head.method(), head.target()), ("PUT", "/f"));
        let head = asked(Told::Path, "DELETE /ticketgate/decide/x?y", &["X-Original-URI: /of-the-client"]).unwrap();
        assert_eq!((head.method(), head.target()), ("DELETE", "/x?y"));
    }

    #[test]
    fn what_is_missing_double_or_more_than_a_request_is_refused() {
        let (method, target) = ("X-Original-Method: GET", "X-Original-URI: /a");
        let table: [(&str, &[&str], &str); 14] = [
            (LINE, &[target], "X-Original-Method is missing"),
            (LINE, &[method], "X-Original-URI is missing"),
            (LINE, &[method, "X-Original-URI:"], "X-Original-URI is empty"),
            (LINE, &[method, target, target], "X-Original-URI is given twice"),
            (LINE, &[method, method, target], "X-Original-Method is given twice"),
            (LINE, &[method, "X-Original-URI: a"], "the target is not a path"),
            (LINE, &[method, "X-Original-URI: /a HTTP/1.1"], "the target holds a space"),
            (LINE, &[method, "X-Original-URI: http://other.example/a"], "the target's authority is not Host"),
            (LINE, &["X-Original-Method: get", target], "the method is not one"),
            (LINE, &[method, target, "X_User_Id: 1"], "X_User_Id may not pass"),
            (LINE, &[method, target, "X-HTTP-Method-Override: PUT"], "X-HTTP-Method-Override may not pass"),
            (LINE, &[method, target, "Content-Length: 3"], "an inquiry has a body"),
            ("GET /ticketgate/decide/", &[method, target], "inquiries are made at"),
            ("GET /a", &[method, target], "inquiries are made at"),
        ];
        for (line, headers, part) in table {
            let why = asked(ORIGINAL, line, headers).unwrap_err().to_string();
            assert!(why.starts_with(part), "{line} {headers:?}: {why}");
        }
        let long = format!("X-Original-URI: /{}", "a".repeat(1024));
        assert_eq!(asked(ORIGINAL, LINE, &[method, &long]).unwrap_err(), Unreadable::HeaderTooLarge(1024));
        for line in ["GET /ticketgate/decide", "GET /ticketgate/decided/x", "GET /x"] {
            assert!(asked(Told::Path, line, &[]).is_err(), "{line}");
        }
    }

    #[test]
    fn whose_client_is_not_told_is_refused() {
        let text = "GET /ticketgate/decide/a HTTP/1.1\r\nHost: h\r\n\r\n";
        let inquiry = Head::parse(Bytes::from(text), &Methods::default()).unwrap();
        assert!(settings(Told::Path).head(&inquiry).unwrap_err().to_string().starts_with("X-Forwarded-For is missing"));
    }
}
