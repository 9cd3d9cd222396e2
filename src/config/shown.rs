//! The configuration in force, for operators to look at: every key, defaults included, and no secret.

use serde_json::Value;

use crate::config::file::File;
use crate::config::values::SecretText;

/// Secrets show themselves redacted, whatever key they stand under. Only of the store's address more is shown.
pub(super) fn of(file: &File) -> Value {
    // Every key of the file is a text, so this cannot fail.
    let mut shown = serde_json::to_value(file).unwrap_or_default();
    if let Some(url) = shown.pointer_mut("/store/url") {
        *url = match &file.store.url {
            SecretText::Text(text) => without_password(text),
            SecretText::File(_) => "[redacted]".to_owned(),
        }
        .into();
    }
    shown
}

/// The address without password, and without parameters, which may hold one.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let rest = rest.split('?').next().unwrap_or_default();
    match rest.rsplit_once('@') {
        None => format!("{scheme}://{rest}"),
        Some((credentials, place)) => match credentials.split_once(':') {
            Some((user, _)) if !user.is_empty() => format!("{scheme}://{user}:[redacted]@{place}"),
            _ => format!("{scheme}://[redacted]@{place}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            ("memory:", "memory:"),
            ("file:/var/lib/a.redb", "file:/var/lib/a.redb"),
            ("redis://h:1/0", "redis://h:1/0"),
            ("redis://u:p@h:1/0", "redis://u:[redacted]@h:1/0"),
            ("rediss://:p@w@h", "rediss://[redacted]@h"),
            ("redis://p@h", "redis://[redacted]@h"),
            ("redis+unix:///s.sock?pass=p", "redis+unix:///s.sock"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
