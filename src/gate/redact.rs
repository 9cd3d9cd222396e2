//! What of a target may stand in a log: everything but the values of credentials, passwords and the like.

use std::borrow::Cow;

use crate::request::php::{fold_name, url_decode};
use crate::request::reserved::{Kind, Reserved};

/// Longest path that is logged, in bytes.
const MAX_LENGTH: usize = 2048;

/// What stands in place of a value.
const BLOT: &str = "[redacted]";

/// Words in a parameter's name that tell of a secret, whoever it belongs to.
const TELLTALES: [&str; 5] = ["token", "secret", "pass", "pwd", "signature"];

/// The target with the values of credentials and login fields blotted out, whatever spelling PHP would fold to them, also where a
/// framework would read them from a path.
pub(super) fn target(target: &str, reserved: &Reserved) -> String {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut out = String::with_capacity(target.len());
    out.push_str(&open_text(path, reserved));
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    for (index, pair) in pairs.enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) if is_secret(name, reserved) => {
                out.push_str(name);
                out.push('=');
                out.push_str(BLOT);
            }
            _ => out.push_str(&open_text(pair, reserved)),
        }
    }
    if out.len() > MAX_LENGTH {
        out.truncate(out.floor_char_boundary(MAX_LENGTH));
        out.push_str("[...]");
    }
    out
}

fn is_secret(name: &str, reserved: &Reserved) -> bool {
    // Most names spell themselves.
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return is_named_secret(name.as_bytes(), reserved) || tells_of_a_secret(name.as_bytes());
    }
    let decoded = url_decode(name.as_bytes());
    let folded = fold_name(&decoded).map(|(folded, _)| folded).unwrap_or_default();
    is_named_secret(&folded, reserved) || tells_of_a_secret(&decoded)
}

/// PHP tells `User_Token` from `user_token`, but the one was meant for the other.
fn is_named_secret(folded: &[u8], reserved: &Reserved) -> bool {
    let mut named = reserved.iter().filter(|name| name.name.eq_ignore_ascii_case(folded));
    named.any(|name| matches!(name.kind, Kind::Credential { .. } | Kind::LoginField))
}

/// Whether a parameter's name tells of a password or the like.
pub(super) fn tells_of_a_secret(name: &[u8]) -> bool {
    let begins_with = |rest: &[u8], word: &str| {
        rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
    };
    (0..name.len()).filter_map(|at| name.get(at..)).any(|rest| TELLTALES.iter().any(|word| begins_with(rest, word)))
}

/// A text without what follows the name of a token in it (`/news/list/user_token/…`).
pub(super) fn open_text<'a>(text: &'a str, reserved: &Reserved) -> Cow<'a, str> {
    match reserved.token_in(text.as_bytes()) {
        Some(end) => Cow::Owned(format!("{}{BLOT}", text.get(..end).unwrap_or_default())),
        None if text.contains('%') && reserved.token_in(&url_decode(text.as_bytes())).is_some() => Cow::Borrowed(BLOT),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::reserved::{Name, Places};

    fn reserved() -> Reserved {
        let credential = Kind::Credential { places: Places::default(), ignore: true };
        let name = |name: &str, header, kind| Name { name: name.as_bytes().to_vec(), header, kind };
        Reserved::new(
            vec![
                name("user_token", Some("X-User-Token"), credential),
                name("user_id", Some("X-User-Id"), credential),
                name("sign", Some("X-Sign"), credential),
                name("log", None, Kind::LoginField),
                name("mod", None, Kind::Selector),
            ],
            false,
        )
    }

    #[test]
    fn values_that_open_something_are_blotted_out() {
        let hash = "0123456789abcdef0123456789abcdef";
        let signed = format!("/a/sign/{hash}");
        let table: &[(&str, &str)] = &[
            ("/a?mod=x&y", "/a?mod=x&y"),
            ("/a?", "/a?"),
            ("/a?user_token=hush", "/a?user_token=[redacted]"),
            ("/a?user%5Ftoken[]=hush&b=1", "/a?user%5Ftoken[]=[redacted]&b=1"),
            ("/a?+user.token=hush&User_Token=hush", "/a?+user.token=[redacted]&User_Token=[redacted]"),
            ("/a?user_id=7&sign=x&log=me", "/a?user_id=[redacted]&sign=[redacted]&log=[redacted]"),
            ("/a?pwd=x&PassWord=x&client_secret=x", "/a?pwd=[redacted]&PassWord=[redacted]&client_secret=[redacted]"),
            ("/a/user_token/hush/b?c=1", "/a/user_token[redacted]?c=1"),
            ("/a/USER_TOKEN-hush", "/a/USER_TOKEN[redacted]"),
            ("/a/user%5ftoken/hush", "[redacted]"),
            ("/a?s=/b/user_token/hush&c=1", "/a?s=/b/user_token[redacted]&c=1"),
            ("/a?back=%2Fb%3Fuser_token%3Dhush", "/a?[redacted]"),
            ("/my_user_token/x", "/my_user_token/x"),
            ("/user/sign/in", "/user/sign/in"),
            (&signed, "/a/sign[redacted]"),
        ];
        for (raw, expected) in table {
            assert_eq!(target(raw, &reserved()), *expected, "{raw}");
        }
    }

    #[test]
    fn a_long_target_is_cut() {
        let cut = target(&format!("/{}", "x".repeat(10_000)), &reserved());
        assert!(cut.len() < 2100 && cut.ends_with("[...]"));
    }
}
