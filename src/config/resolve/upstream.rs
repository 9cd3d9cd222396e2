//! `upstream` and `forward`

use http::uri::Authority;

use crate::config::faults::Faults;
use crate::config::file::sections::{Forward, Upstream};
use crate::config::resolve::{address, lasting, secrets};
use crate::request::reserved::Reserved;
use crate::upstream::{Address, HostHeader, Settings, headers};

/// Headers that have a meaning of their own and cannot carry an identity, besides the families below.
const TAKEN: [&str; 18] = [
    "host",
    "cookie",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy",
    "forwarded",
    "accept-encoding",
    "traceparent",
    "tracestate",
    "keep-alive",
    "range",
];
/// Headers of credentials and of the gate's own.
const OURS: [&str; 11] = [
    "x-client-id",
    "x-api-token",
    "x-user-id",
    "x-user-token",
    "x-timestamp",
    "x-nonce",
    "x-sign",
    "x-request-id",
    "x-ticketgate-assertion",
    "x-ticketgate-reason",
    "x-real-ip",
];

/// `upstream`
pub(super) fn settings(file: &Upstream, faults: &mut Faults) -> Option<Settings> {
    let address = match &file.url {
        Some(url) => faults.take("upstream.url", address::upstream(url)),
        None => {
            faults.missing(
                "upstream.url",
                "is missing; say where the application listens: http://host:port or unix:/path",
            );
            None
        }
    };
    let connect_timeout = lasting(faults, "upstream.connect_timeout", file.connect_timeout);
    let response_timeout = lasting(faults, "upstream.response_timeout", file.response_timeout);
    let idle_timeout = lasting(faults, "upstream.idle_timeout", file.idle_timeout);
    let queue_timeout = lasting(faults, "upstream.queue_timeout", file.queue_timeout);
    let host = faults.take("upstream.host", host(&file.host));
    Some(Settings {
        address: address?,
        connect_timeout: connect_timeout?,
        response_timeout: response_timeout?,
        idle_timeout: idle_timeout?,
        max_connections: file.max_connections,
        queue_timeout: queue_timeout?,
        host: host?,
    })
}

fn host(text: &str) -> Result<HostHeader, &'static str> {
    match text {
        "keep" => Ok(HostHeader::Keep),
        "upstream" => Ok(HostHeader::Upstream),
        name => match name.parse::<Authority>() {
            Ok(_) if !name.contains('@') => Ok(HostHeader::Name(name.to_owned())),
            _ => Err("must be keep, upstream, or a name as in a Host header"),
        },
    }
}

/// `forward`
pub(super) fn headers(
    file: &Forward,
    upstream: Option<&Settings>,
    reserved: Option<&Reserved>,
    faults: &mut Faults,
) -> Option<headers::Settings> {
    let names = [("user", &file.headers.user), ("client", &file.headers.client), ("session", &file.headers.session)];
    for (index, (key, name)) in names.iter().enumerate() {
        let twice = names.iter().take(index).any(|(_, earlier)| earlier.eq_ignore_ascii_case(name));
        let checked = if twice { Err("is given to two of user, client and session") } else { header(name) };
        faults.take(&format!("forward.headers.{key}"), checked);
    }
    let assertion_key = secrets::optional(file.assertion_key.as_ref(), "forward.assertion_key", faults);
    Some(headers::Settings {
        hide_credentials: file.hide_credentials,
        user: file.headers.user.clone(),
        client: file.headers.client.clone(),
        session: file.headers.session.clone(),
        reserved: reserved?.clone(),
        assertion_key: assertion_key?,
        host: upstream?.host.clone(),
        upstream_name: name(&upstream?.address),
    })
}

/// Only letters, digits and dashes: PHP folds everything else to `_`, and a client could then write the same name another way.
fn header(name: &str) -> Result<(), &'static str> {
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        Err("must be a header name of letters, digits and dashes")
    } else if TAKEN.contains(&lower.as_str()) || OURS.contains(&lower.as_str()) || lower.starts_with("x-forwarded-") {
        Err("is a header with a meaning of its own; choose another name")
    } else {
        Ok(())
    }
}

fn name(address: &Address) -> String {
    match address {
        Address::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        Address::Tcp { host, port } => format!("{host}:{port}"),
        Address::Unix(_) => "localhost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_keep_upstream_or_a_name() {
        assert_eq!(host("keep"), Ok(HostHeader::Keep));
        assert_eq!(host("upstream"), Ok(HostHeader::Upstream));
        assert_eq!(host("app.example:8443"), Ok(HostHeader::Name("app.example:8443".to_owned())));
        for text in ["", "a b", "u@h", "h/x"] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn identity_headers_are_names_that_php_cannot_confuse() {
        assert_eq!(header("X-Auth-User-Id"), Ok(()));
        for name in ["", "X_User", "X.User", "Cookie", "X-User-Id", "x-forwarded-user", "X User"] {
            assert!(header(name).is_err(), "{name}");
        }
    }
}
