//! Which of the caller's headers may reach PHP at all.

/// Override the method, the URL or the scheme in some framework or server behind us. Nobody may speak them.
const OVERRIDES: [&str; 7] = [
    "proxy", // becomes HTTP_PROXY, which HTTP clients take for the environment variable (CVE-2016-5385)
    "x-original-url",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "front-end-https",
];

/// Name the client's address in the snippets that legacy applications copied from each other. A trusted proxy may speak them.
const ADDRESSES: [&str; 7] =
    ["client-ip", "x-client-ip", "x-real-ip", "true-client-ip", "x-cluster-client-ip", "forwarded", "forwarded-for"];

/// Set by the gate itself, besides the identity headers, whose names are configured.
const OURS: [&str; 3] = ["x-request-id", "traceparent", "x-forwarded"];

/// Set by the gate itself: whole families.
const OUR_PREFIXES: [&str; 2] = ["x-forwarded-", "x-ticketgate-"];

/// RFC 9110, 7.6.1, and what older proxies (RFC 2616, 13.5.1) treat likewise.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a header of that name may be passed on, by its name alone: only `[A-Za-z0-9-]` (PHP folds everything else to `_`),
/// none of the families that override method, address or URL, and none that the gate itself sets. Hop-by-hop headers are
/// [`is_hop_by_hop`]'s business. `trusted` tells that the peer is a trusted proxy.
pub fn may_pass(name: &[u8], trusted: bool) -> bool {
    is_plain(name)
        && !is_any_of(&OVERRIDES, name)
        && !is_any_of(&OURS, name)
        && !OUR_PREFIXES.iter().any(|prefix| begins_with(name, prefix.as_bytes()))
        && (trusted || !is_any_of(&ADDRESSES, name))
}

/// Whether a header of that name may stay where nothing can be taken off, because somebody else forwards: as [`may_pass`], but for
/// what proxies themselves tell of the client.
pub fn may_stay(name: &[u8]) -> bool {
    is_plain(name) && !is_any_of(&OVERRIDES, name) && !begins_with(name, b"x-ticketgate-")
}

/// Headers that concern one connection only (RFC 9110, 7.6.1).
pub fn is_hop_by_hop(name: &[u8]) -> bool {
    is_any_of(&HOP_BY_HOP, name)
}

/// Whether `Connection` may take a header of that name off the request. Not those that tell how the body is read or whom it is
/// for: without its Content-Type PHP would not see the form that was decided on (RFC 9110, 7.6.1 forbids to name such).
pub fn may_be_named_by_connection(name: &[u8]) -> bool {
    !name.eq_ignore_ascii_case(b"host") && !begins_with(name, b"content-")
}

fn is_plain(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

fn is_any_of(names: &[&str], name: &[u8]) -> bool {
    names.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(name))
}

fn begins_with(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each name as it stands, in lower and in upper case.
    fn spellings(name: &str) -> [String; 3] {
        [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()]
    }

    #[test]
    fn names_that_override_or_that_the_gate_sets_pass_from_nobody() {
        let names = [
            "Proxy",
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-HTTP-Method",
            "X-HTTP-Method-Override",
            "X-Method-Override",
            "Front-End-Https",
            "X-Request-Id",
            "X-Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Forwarded-Host",
            "X-Forwarded-Port",
            "X-Forwarded-Prefix",
            "X-Ticketgate-Assertion",
            "X-Ticketgate-Reason",
            "traceparent",
        ];
        for name in names.iter().flat_map(|name| spellings(name)) {
            assert!(!may_pass(name.as_bytes(), false), "{name}");
            assert!(!may_pass(name.as_bytes(), true), "{name} from a trusted proxy");
        }
    }

    #[test]
    fn names_that_tell_an_address_pass_from_a_trusted_proxy_alone() {
        let names = [
            "Client-IP",
            "X-Client-IP",
            "X-Real-IP",
            "True-Client-IP",
            "X-Cluster-Client-IP",
            "Forwarded",
            "Forwarded-For",
        ];
        for name in names.iter().flat_map(|name| spellings(name)) {
            assert!(!may_pass(name.as_bytes(), false), "{name}");
            assert!(may_pass(name.as_bytes(), true), "{name} from a trusted proxy");
        }
    }

    #[test]
    fn names_that_php_would_fold_into_another_do_not_pass() {
        for name in ["X_User", "X.User", "Content_Type", "X-User[a]", "X User", "", "X-\u{e9}", "X-User!", "X~A"] {
            assert!(!may_pass(name.as_bytes(), true), "{name:?}");
        }
    }

    #[test]
    fn ordinary_names_pass() {
        for name in
            ["Accept", "Content-Type", "X-Requested-With", "tracestate", "If-None-Match", "Range", "X-Forward", "A1"]
        {
            assert!(may_pass(name.as_bytes(), false), "{name}");
            assert!(!is_hop_by_hop(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn hop_by_hop_names_are_known_in_any_case() {
        let names = [
            "Connection",
            "Keep-Alive",
            "Proxy-Connection",
            "Proxy-Authenticate",
            "Proxy-Authorization",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
        ];
        for name in names.iter().flat_map(|name| spellings(name)) {
            assert!(is_hop_by_hop(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn connection_cannot_take_off_what_says_how_the_body_is_read() {
        for (name, may) in
            [("X-Foo", true), ("Cookie", true), ("Content-Type", false), ("content-encoding", false), ("HOST", false)]
        {
            assert_eq!(may_be_named_by_connection(name.as_bytes()), may, "{name}");
        }
    }
}
