//! What is allowed and yet doubtful.

use crate::config::faults::Faults;
use crate::config::file::rule::{Requirement, Rule};
use crate::config::file::websocket::Websocket;
use crate::config::file::{File, Mode};
use crate::config::values::{SecretText, TextOr};

/// Shorter ones may be guessed.
const MIN_ADMIN_TOKEN: usize = 16;

/// Warns of all that is doubtful in a file.
pub(crate) fn about(file: &File, faults: &mut Faults) {
    if file.mode == Mode::Observe {
        faults.warn("mode", "observe: requests are decided and logged, but forwarded all the same");
    }
    if file.default == Requirement::Public {
        faults.warn("default", "public: whatever no rule matches is open to everybody");
    }
    let in_memory = matches!(&file.store.url, SecretText::Text(url) if url == "memory:");
    let keys: Vec<_> = file.store.key.0.iter().flatten().collect();
    if keys.is_empty() && !in_memory {
        faults.warn("store.key", "is not set: secrets and sessions are stored unsealed");
    }
    if keys.iter().any(|key| matches!(key, SecretText::Text(text) if text == "plain")) {
        faults.warn("store.key", "holds plain: values that were not sealed, whoever wrote them, are accepted");
    }
    admin_token(file, faults);
    unreachable_rules(&file.rules, !file.fold.is_empty(), faults);
    unreachable_websockets(&file.websocket, faults);
    equal_tokens(file, faults);
    nameless_logins(file, faults);
    boundless_guests(file, faults);
}

/// Whoever may call without proof, and as often as he likes, fills the store with guests.
fn boundless_guests(file: &File, faults: &mut Faults) {
    for (index, rule) in file.rules.iter().enumerate().filter(|(_, rule)| rule.guest) {
        let open = rule.require == Some(Requirement::Public);
        if open && rule.limit.is_none() && file.limits.per_ip.is_none() {
            faults.warn(
                &format!("rules[{index}].guest"),
                "every call without a session makes one: give the rule a limit, or set limits.per_ip",
            );
        }
    }
}

/// Without the user's name failed logins can be counted for addresses alone, and many users may share one.
fn nameless_logins(file: &File, faults: &mut Faults) {
    for (index, rule) in file.rules.iter().enumerate().filter(|_| file.limits.failed_logins.is_some()) {
        let Some(login) = &rule.login else { continue };
        let by_form = match &login.user_id {
            Some(TextOr::Text(text)) => text.starts_with("form:"),
            Some(TextOr::Map(map)) => map.from.as_ref().is_some_and(|from| from.starts_with("form:")),
            None => false,
        };
        if login.user_name.is_none() && !by_form {
            faults.warn(
                &format!("rules[{index}].login"),
                "names no user_name (form:FIELD): failed logins lock whole addresses, and users may share them",
            );
        }
    }
}

/// Who may try as often as he likes should have much to try.
fn admin_token(file: &File, faults: &mut Faults) {
    let short = |token: &SecretText| matches!(token, SecretText::Text(text) if text.len() < MIN_ADMIN_TOKEN);
    if file.admin.token.0.iter().flatten().any(short) {
        faults
            .warn("admin.token", "is shorter than 16 characters; `openssl rand -hex 16` makes one that nobody guesses");
    }
}

fn unreachable_rules(rules: &[Rule], fold_case: bool, faults: &mut Faults) {
    for (index, rule) in rules.iter().enumerate() {
        if let Some(earlier) = rules.iter().take(index).position(|earlier| covers(earlier, rule, fold_case)) {
            let line = faults.line(&format!("rules[{earlier}]"));
            faults.warn(
                &format!("rules[{index}]"),
                format!("can never match: the rule in line {line} matches all of it before"),
            );
        }
    }
}

fn unreachable_websockets(routes: &[Websocket], faults: &mut Faults) {
    for (index, route) in routes.iter().enumerate() {
        let covers = |earlier: &Websocket| match (&earlier.path, &route.path) {
            (Some(wide), Some(narrow)) => path_covers(wide, narrow),
            _ => false,
        };
        if let Some(earlier) = routes.iter().take(index).position(covers) {
            let line = faults.line(&format!("websocket[{earlier}]"));
            faults.warn(
                &format!("websocket[{index}]"),
                format!("can never match: the route in line {line} matches all of it before"),
            );
        }
    }
}

/// Whether `wide` certainly matches every request that `narrow` matches. `false` where that cannot be seen.
fn covers(wide: &Rule, narrow: &Rule, fold_case: bool) -> bool {
    let path = match (&wide.path, &narrow.path) {
        (None, _) => true,
        (Some(wide), Some(narrow)) => path_covers(wide, narrow),
        (Some(_), None) => false,
    };
    let endpoint = match (pattern(wide), pattern(narrow)) {
        (None, _) => true,
        (Some(wide), Some(narrow)) if fold_case => {
            endpoint_covers(&wide.to_ascii_lowercase(), &narrow.to_ascii_lowercase())
        }
        (Some(wide), Some(narrow)) => endpoint_covers(wide, narrow),
        (Some(_), None) => false,
    };
    let methods = match (&wide.methods, &narrow.methods) {
        (None, _) => true,
        (Some(wide), Some(narrow)) => !narrow.0.is_empty() && narrow.0.iter().all(|method| wide.0.contains(method)),
        (Some(_), None) => false,
    };
    path && endpoint && methods && wide.params.iter().all(|(name, glob)| narrow.params.get(name) == Some(glob))
}

fn pattern(rule: &Rule) -> Option<&str> {
    match &rule.endpoint {
        Some(TextOr::Text(text)) => Some(text),
        _ => None,
    }
}

fn path_covers(wide: &str, narrow: &str) -> bool {
    let segments = |path: &str| -> Vec<String> {
        path.trim_matches('/').to_ascii_lowercase().split('/').map(str::to_owned).collect()
    };
    let (wide, narrow) = (segments(wide), segments(narrow));
    let mut narrow = narrow.iter();
    for (index, segment) in wide.iter().enumerate() {
        // `**` at the end takes any rest; one elsewhere is only seen to cover itself.
        if segment == "**" && index + 1 == wide.len() {
            return true;
        }
        match narrow.next() {
            Some(other) if segment_covers(segment, other) => {}
            _ => return false,
        }
    }
    narrow.next().is_none()
}

fn endpoint_covers(wide: &str, narrow: &str) -> bool {
    let parts = |pattern: &str| -> Vec<String> {
        pattern.split('/').map(str::to_owned).chain(std::iter::repeat_n("*".to_owned(), 3)).take(3).collect()
    };
    parts(wide).iter().zip(parts(narrow).iter()).all(|(wide, narrow)| segment_covers(wide, narrow))
}

/// Within one segment or part; `*` takes any text.
fn segment_covers(wide: &str, narrow: &str) -> bool {
    if wide == narrow {
        return true;
    }
    if wide.contains("**") || narrow.contains("**") || narrow.is_empty() {
        return false;
    }
    match wide.split_once('*') {
        Some(("", "")) => true,
        Some(_) if !narrow.contains('*') => wildcard(wide, narrow),
        _ => false,
    }
}

fn wildcard(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| wildcard(after, rest.get(at..).unwrap_or_default()))
        }),
    }
}

/// Endpoints that share an api_token, because nothing stands between their parts in what md5 is taken over.
fn equal_tokens(file: &File, faults: &mut Faults) {
    let rules = file.rules.iter().enumerate();
    let rules = rules.map(|(index, rule)| (format!("rules[{index}]"), named_endpoint(rule), rule.require));
    let routes = file.websocket.iter().enumerate();
    let routes = routes.map(|(index, route)| (format!("websocket[{index}]"), route.endpoint.as_deref(), route.require));
    let mut seen: Vec<(String, String, String)> = Vec::new();
    for (key, endpoint, require) in rules.chain(routes) {
        let Some(endpoint) = whole_endpoint(endpoint, require) else { continue };
        let joined = endpoint.replace('/', "");
        let other = seen.iter().find(|(earlier, text, _)| *text == joined && *earlier != endpoint);
        if let Some((other, _, at)) = other {
            let line = faults.line(&format!("{at}.endpoint"));
            faults.warn(
                &format!("{key}.endpoint"),
                format!("shares its md5 api_token with {other} (line {line}): their parts put together are equal"),
            );
        }
        seen.push((endpoint, joined, key));
    }
}

fn named_endpoint(rule: &Rule) -> Option<&str> {
    match &rule.endpoint {
        Some(TextOr::Text(text)) => Some(text),
        Some(TextOr::Map(map)) => map.is.as_deref(),
        None => None,
    }
}

/// The one endpoint that a rule is about, where it is about one that wants a client.
fn whole_endpoint(endpoint: Option<&str>, require: Option<Requirement>) -> Option<String> {
    let wants_client = matches!(require, Some(Requirement::Client | Requirement::User));
    endpoint
        .filter(|text| wants_client && text.split('/').count() == 3 && !text.contains('*'))
        .map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_path_covers_a_narrower_one() {
        for (wide, narrow) in [
            ("/**", "/a"),
            ("/a/**", "/a"),
            ("/**", "/a/**"),
            ("/a/**", "/a/b/c"),
            ("/a/**", "/A/*/c"),
            ("/a/*", "/a/b"),
            ("/a/*", "/a/*"),
            ("/a/b*", "/a/bc"),
            ("/a", "/a/"),
            ("/x/**/y", "/x/**/y"),
        ] {
            assert!(path_covers(wide, narrow), "{wide} {narrow}");
        }
        for (wide, narrow) in [
            ("/a/*", "/a"),
            ("/a/*", "/a/**"),
            ("/a/*", "/a/b/c"),
            ("/a/b", "/a/*"),
            ("/a/b*", "/a/*c"),
            ("/a", "/b"),
            ("/x/**/y", "/x/a/y"),
        ] {
            assert!(!path_covers(wide, narrow), "{wide} {narrow}");
        }
    }

    #[test]
    fn a_wider_endpoint_covers_a_narrower_one() {
        for (wide, narrow) in [("news", "news/list/all"), ("*", "news"), ("news/*", "news/list"), ("a/b*/c", "a/bc/c")]
        {
            assert!(endpoint_covers(wide, narrow), "{wide} {narrow}");
        }
        for (wide, narrow) in
            [("news/list", "news"), ("News", "news"), ("a/b/c", "a/b"), ("a/b*/c", "a/*/c"), ("news", "user")]
        {
            assert!(!endpoint_covers(wide, narrow), "{wide} {narrow}");
        }
    }
}
