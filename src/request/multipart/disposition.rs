//! The names in a Content-Disposition header: every one that PHP (php-src `main/rfc1867.c`, `php_ap_getword_conf`) or a
//! looser reader could take for the part's.

use crate::request::php::fold_name;

/// The first of `reserved` that any `name` parameter of a header could mean. Lines are joined as PHP joins them: without
/// anything between.
pub(super) fn find<'a>(lines: &[u8], reserved: &'a [Vec<u8>]) -> Option<&'a Vec<u8>> {
    let text = joined(lines);
    let values = (0..text.len()).filter_map(|at| value(&text, at));
    values.flat_map(readings).find_map(|name| reserved.iter().find(|reserved| **reserved == name))
}

fn joined(lines: &[u8]) -> Vec<u8> {
    let lines = lines.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.flatten().copied().collect()
}

/// The value of the `name` parameter at `at`, if there is one. What is no word before it (`filename`) does not count.
fn value(text: &[u8], at: usize) -> Option<&[u8]> {
    let (before, rest) = text.split_at_checked(at)?;
    let (name, rest) = rest.split_at_checked(4)?;
    let within_word =
        before.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'*'));
    if within_word || !name.eq_ignore_ascii_case(b"name") {
        return None;
    }
    let assigned = rest.trim_ascii_start().strip_prefix(b"=")?;
    let skipped = assigned.iter().take_while(|byte| **byte == b'=' || is_blank(**byte)).count();
    let value = assigned.get(skipped..)?;
    match value.split_first() {
        Some((quote @ (b'"' | b'\''), quoted)) => quoted.get(..quoted_length(quoted, *quote)),
        _ => value.get(..value.iter().take_while(|byte| **byte != b';' && !is_blank(**byte)).count()),
    }
}

/// Up to the closing quote, or the end. A backslash hides itself and the quote, nothing else.
fn quoted_length(text: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match text.get(at + 1) {
            Some(next) if *byte == b'\\' && (*next == b'\\' || *next == quote) => at += 2,
            _ if *byte == quote => return at,
            _ => at += 1,
        }
    }
    text.len()
}

/// The top-level names that a value could mean: an unclosed bracket is folded by some and cut by others.
fn readings(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let plain: Vec<u8> = value.iter().copied().filter(|byte| *byte != b'\\').collect();
    let before_bracket = plain.split(|byte| *byte == b'[').next().and_then(fold_name);
    [fold_name(&plain), before_bracket].into_iter().flatten().map(|(name, _)| name)
}

/// As C's `isspace`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_reserved_name_is_found_in_every_spelling() {
        let reserved = [b"user_id".to_vec()];
        for text in [
            r#"form-data; name="user_id""#,
            "form-data; name=user_id",
            "form-data; name='user_id'",
            "form-data; NAME = user_id; x=y",
            "form-data;name==user_id",
            r#"form-data; name="a"; name="user_id""#,
            r#"form-data; name="user_id"; name="a""#,
            r#"form-data; name="user_id"; filename="a.png""#,
            r#"form-data; name=" user.id""#,
            r#"form-data; name="user id[a][]""#,
            r#"form-data; name="user[id""#,
            r#"form-data; name="user_id[""#,
            r#"form-data; name="user\_id""#,
            r#"form-data; name="user_id"#,
            r#"form-data; x='"; name="user_id""#,
            "name=user_id",
            "form-data; na\r\nme=user_id",
            "form-data; name=user\n_id",
        ] {
            assert_eq!(find(text.as_bytes(), &reserved), Some(&reserved[0]), "{text}");
        }
    }

    #[test]
    fn other_names_pass() {
        let reserved = [b"user_id".to_vec()];
        for text in [
            "form-data",
            r#"form-data; name="user_ids""#,
            r#"form-data; name="User_Id""#,
            r#"form-data; name="a"; filename="user_id""#,
            r#"form-data; name="user\"_id""#,
            r#"form-data; name="data[user_id]""#,
            r#"form-data; name*=utf-8''user_id"#,
            r#"form-data; name="[user_id]""#,
        ] {
            assert_eq!(find(text.as_bytes(), &reserved), None, "{text}");
        }
    }
}
