//! A line of an access log.

use serde::Deserialize;

/// What a line tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) method: String,
    pub(super) target: String,
    /// It was answered with an error, or refused.
    pub(super) failed: bool,
    /// A client was proved.
    pub(super) client: bool,
    /// A user was.
    pub(super) user: bool,
}

/// A line of the gate's own log, as far as it matters here.
#[derive(Deserialize)]
struct Own {
    method: String,
    path: String,
    status: u16,
    outcome: String,
    client_id: Option<String>,
    user_id: Option<String>,
}

impl Line {
    /// `None` where it is neither of the formats.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        match text.first()? {
            b'{' => Self::own(text),
            _ => Self::combined(std::str::from_utf8(text).ok()?),
        }
    }

    fn own(text: &[u8]) -> Option<Self> {
        let own: Own = serde_json::from_slice(text).ok()?;
        let failed = own.status >= 400 || matches!(own.outcome.as_str(), "refused" | "failed");
        let (client, user) = (own.client_id.is_some(), own.user_id.is_some());
        Some(Self { method: own.method, target: own.path, failed, client, user })
    }

    /// `HOST IDENT USER [TIME] "METHOD TARGET PROTOCOL" STATUS BYTES …`
    fn combined(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("] \"")?;
        let (request, rest) = rest.split_once("\" ")?;
        let mut words = request.split(' ');
        let (method, target, protocol) = (words.next()?, words.next()?, words.next()?);
        let status: u16 = rest.split(' ').next()?.parse().ok()?;
        let plain = words.next().is_none() && protocol.starts_with("HTTP/");
        plain.then(|| Self {
            method: method.to_owned(),
            target: target.to_owned(),
            failed: status >= 400,
            client: false,
            user: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_each_format_are_read() {
        let get = |target: &str, failed, client, user| {
            Some(Line { method: "GET".to_owned(), target: target.to_owned(), failed, client, user })
        };
        for (text, line) in [
            (
                r#"10.0.0.1 - - [20/Nov/2026:10:00:00 +0800] "GET /a?x=1 HTTP/1.1" 200 12 "-" "curl/8 (\"x\")""#,
                get("/a?x=1", false, false, false),
            ),
            (r#"::1 - bob [t] "GET /b HTTP/2.0" 404 0"#, get("/b", true, false, false)),
            (
                r#"{"method":"GET","path":"/c","status":200,"outcome":"observed","client_id":"ios","user_id":null}"#,
                get("/c", false, true, false),
            ),
            (
                r#"{"method":"GET","path":"/c","status":200,"outcome":"refused","client_id":"ios","user_id":"7","ts":1}"#,
                get("/c", true, true, true),
            ),
            (r#"10.0.0.1 - - [t] "\x16\x03" 400 0"#, None),
            (r#"10.0.0.1 - - [t] "GET /a b HTTP/1.1" 200 0"#, None),
            ("{", None),
            ("", None),
        ] {
            assert_eq!(Line::read(text.as_bytes()), line, "{text}");
        }
    }
}
