//! Headers of answers and requests that name the gate's own side of things.

use http::header::{HeaderValue, LOCATION};
use http::{HeaderMap, HeaderName};

use crate::ids::RequestId;
use crate::request::address::Origin;
use crate::upstream::HostHeader;
use crate::upstream::headers::Settings;

/// A Location that names the application's own address names the one the client used instead.
pub(super) fn rewrite_location(headers: &mut HeaderMap, origin: &Origin, forward: &Settings) {
    let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) else { return };
    let Some((scheme, rest)) = location.split_once("://") else { return };
    let default_port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let named = |name: &str| {
        let bare = |text: &str| text.strip_suffix(default_port).unwrap_or(text).to_ascii_lowercase();
        bare(authority) == bare(name)
    };
    let names_backend = named(&forward.upstream_name) || matches!(&forward.host, HostHeader::Name(name) if named(name));
    if !names_backend {
        return;
    }
    let (scheme, usual) = if origin.https { ("https", 443) } else { ("http", 80) };
    let port = if origin.port == usual { String::new() } else { format!(":{}", origin.port) };
    if let Ok(value) = HeaderValue::from_str(&format!("{scheme}://{}{port}{tail}", origin.host)) {
        headers.insert(LOCATION, value);
    }
}

/// Tells the client the id under which this request stands in the log.
pub(super) fn put_request_id(headers: &mut HeaderMap, id: &RequestId) {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
}

/// The trace context for the application (W3C Trace Context, level 1): the caller's trace continued under a span of our own, or a
/// new trace.
pub(super) fn traceparent(incoming: Option<&[u8]>) -> String {
    let span = fastrand::u64(1..);
    let continued = incoming.and_then(|value| std::str::from_utf8(value).ok()).and_then(trace_of);
    match continued {
        Some((trace, flags)) => format!("00-{trace}-{span:016x}-{flags}"),
        None => format!("00-{:032x}-{span:016x}-00", fastrand::u128(1..)),
    }
}

fn trace_of(value: &str) -> Option<(&str, &str)> {
    let mut fields = value.split('-');
    let (version, trace, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let whole = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    (whole && !zero(trace) && !zero(parent)).then_some((trace, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(https: bool, port: u16) -> Origin {
        let ip = [127, 0, 0, 1].into();
        Origin { ip, peer: ip, trusted: false, https, host: "api.example".into(), port, forwarded_for: String::new() }
    }

    fn settings(host: HostHeader) -> Settings {
        Settings {
            hide_credentials: false,
            reserved: crate::request::reserved::Reserved::default(),
            user: String::new(),
            client: String::new(),
            session: String::new(),
            assertion_key: None,
            host,
            upstream_name: "127.0.0.1:8081".into(),
        }
    }

    #[test]
    fn a_location_that_names_the_application_names_the_gate_instead() {
        let table: &[(&str, &str)] = &[
            ("http://127.0.0.1:8081/home.php?a=1", "https://api.example/home.php?a=1"),
            ("http://127.0.0.1:8081", "https://api.example"),
            ("http://old.example/home", "https://api.example/home"),
            ("http://OLD.example:80/home", "https://api.example/home"),
            ("http://elsewhere.example/home", "http://elsewhere.example/home"),
            ("http://127.0.0.1:80811/x", "http://127.0.0.1:80811/x"),
            ("/home.php", "/home.php"),
            ("home.php", "home.php"),
        ];
        for (before, after) in table {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, before.parse().unwrap());
            rewrite_location(&mut headers, &origin(true, 443), &settings(HostHeader::Name("old.example".into())));
            assert_eq!(headers.get(LOCATION).unwrap(), after, "{before}");
        }
    }

    #[test]
    fn a_trace_is_continued_or_begun() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let continued = traceparent(Some(format!("00-{trace}-b7ad6b7169203331-01").as_bytes()));
        assert!(continued.starts_with(&format!("00-{trace}-")) && continued.ends_with("-01"), "{continued}");
        assert!(!continued.contains("b7ad6b7169203331"));
        for bad in ["", "00-xyz", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "ff-a-b-c"] {
            assert!(!traceparent(Some(bad.as_bytes())).contains(trace));
            assert_eq!(traceparent(Some(bad.as_bytes())).len(), 55);
        }
    }
}
