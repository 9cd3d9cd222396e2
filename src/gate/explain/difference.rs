//! The first place where what a client signed differs from what it should have.

use std::borrow::Cow;

use crate::store::record::Algorithm;
use crate::verify::signature::Part;

/// Most of a text that is shown, in bytes.
const MOST: usize = 80;

type Redact<'r> = dyn for<'a> Fn(&'a str) -> Cow<'a, str> + 'r;

/// Compares a client's text with the right parts; pieces of it are shown as `redact` has them.
pub(super) fn first(parts: &[Part<'_>], text: &[u8], algorithm: Algorithm, redact: &Redact<'_>) -> String {
    match algorithm {
        Algorithm::HmacSha256 => in_lines(parts, text, redact),
        Algorithm::Md5 => in_pieces(parts, text, redact),
    }
}

fn in_lines(parts: &[Part<'_>], text: &[u8], redact: &Redact<'_>) -> String {
    let mut lines = text.split(|byte| *byte == b'\n');
    for (index, part) in parts.iter().enumerate() {
        let place = format!("line {} ({})", index + 1, part.name);
        match lines.next() {
            Some(line) if line == &*part.text => {}
            Some(line) => return format!("{place}{}", within(part, line, redact)),
            None => return format!("{place}: yours ends before it"),
        }
    }
    match lines.next() {
        None => SAME.to_owned(),
        Some(b"") => "the end: yours has a line break behind the last line".to_owned(),
        Some(_) => format!("line {}: yours goes on, and should end before it", parts.len() + 1),
    }
}

fn in_pieces(parts: &[Part<'_>], text: &[u8], redact: &Redact<'_>) -> String {
    let mut rest = text;
    for part in parts {
        match rest.strip_prefix(&*part.text) {
            Some(behind) => rest = behind,
            None => {
                return format!("byte {} ({}){}", text.len() - rest.len() + 1, part.name, within(part, rest, redact));
            }
        }
    }
    if rest.is_empty() {
        SAME.to_owned()
    } else {
        format!("byte {}: yours goes on where only the secret should follow", text.len() - rest.len() + 1)
    }
}

const SAME: &str = "nowhere: it is the same text";

/// How a part differs from what stands in its place.
fn within(part: &Part<'_>, theirs: &[u8], redact: &Redact<'_>) -> String {
    let ours = &*part.text;
    let same = ours.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count();
    if part.name.ends_with("_token") {
        return match (ours.len(), theirs.len()) {
            (0, _) => format!(": here it is empty, yours has {} bytes", theirs.len()),
            (_, 0) => format!(": here it has {} bytes, yours is empty", ours.len()),
            _ => format!(", byte {}: here it has {} bytes, yours {}", same + 1, ours.len(), theirs.len()),
        };
    }
    if part.name != "query" {
        return format!(", byte {}: here {}, yours {}", same + 1, shown(ours), shown(theirs));
    }
    // From the beginning of the pair that differs.
    let start = ours.get(..same).unwrap_or_default().iter().rposition(|byte| *byte == b'&').map_or(0, |at| at + 1);
    let pair = |text: &[u8]| {
        let pair = text.get(start..).unwrap_or_default().split(|byte| *byte == b'&').next().unwrap_or_default();
        let pair = std::str::from_utf8(pair).map_or(Cow::Borrowed("(no text)"), redact);
        if pair.is_empty() { "nothing".to_owned() } else { shown(pair.as_bytes()) }
    };
    let number = 1 + ours.get(..start).unwrap_or_default().iter().filter(|byte| **byte == b'&').count();
    format!(", pair {number}: here {}, yours {}", pair(ours), pair(theirs))
}

fn shown(text: &[u8]) -> String {
    let end = if text.len() > MOST { "…" } else { "" };
    let start = text.get(..MOST).unwrap_or(text);
    if text.is_empty() { "nothing".to_owned() } else { format!("`{}{end}`", start.escape_ascii()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(texts: &[(&'static str, &'static str)]) -> Vec<Part<'static>> {
        texts.iter().map(|(name, text)| Part { name, text: text.as_bytes().into() }).collect()
    }

    fn redact(piece: &str) -> Cow<'_, str> {
        piece.split_once("token=").map_or(piece.into(), |(before, _)| format!("{before}token=[redacted]").into())
    }

    #[test]
    fn the_first_line_that_differs_is_told_and_how() {
        let parts =
            parts(&[("method", "POST"), ("query", "a=1&b=2&token=AAAA"), ("user_token", "AAAA"), ("body", "e3b0")]);
        for (text, expected) in [
            ("POST\na=1&b=2&token=AAAA\nAAAA\ne3b0", SAME),
            ("post\nx", "line 1 (method), byte 1: here `POST`, yours `post`"),
            ("POST\nb=2&a=1\n", "line 2 (query), pair 1: here `a=1`, yours `b=2`"),
            ("POST\na=1&token=AAAA\n", "line 2 (query), pair 2: here `b=2`, yours `token=[redacted]`"),
            ("POST\na=1&b=2&token=BBBB\n", "line 2 (query), pair 3: here `token=[redacted]`, yours `token=[redacted]`"),
            ("POST\na=1&b=2\n", "line 2 (query), pair 2: here `b=2`, yours `b=2`"),
            ("POST\n\nAAAA", "line 2 (query), pair 1: here `a=1`, yours nothing"),
            ("POST\na=1&b=2&token=AAAA\n\ne3b0", "line 3 (user_token): here it has 4 bytes, yours is empty"),
            ("POST\na=1&b=2&token=AAAA\nAABB\ne3b0", "line 3 (user_token), byte 3: here it has 4 bytes, yours 4"),
            ("POST\na=1&b=2&token=AAAA\nAAAA", "line 4 (body): yours ends before it"),
            ("POST\na=1&b=2&token=AAAA\nAAAA\n", "line 4 (body), byte 1: here `e3b0`, yours nothing"),
            ("POST\na=1&b=2&token=AAAA\nAAAA\ne3b0\n", "the end: yours has a line break behind the last line"),
            ("POST\na=1&b=2&token=AAAA\nAAAA\ne3b0\nx", "line 5: yours goes on, and should end before it"),
            ("POST\r\na=1", "line 1 (method), byte 5: here `POST`, yours `POST\\r`"),
        ] {
            assert_eq!(first(&parts, text.as_bytes(), Algorithm::HmacSha256, &redact), expected, "{text:?}");
        }
    }

    #[test]
    fn the_first_piece_that_differs_is_told_by_its_byte() {
        let parts = parts(&[("path", "/p"), ("query", "?a=1&b=2"), ("timestamp", "1795"), ("api_token", "AAAA")]);
        for (text, expected) in [
            ("/p?a=1&b=21795AAAA", SAME),
            ("/p?a=1&b=21795AAAAmore", "byte 19: yours goes on where only the secret should follow"),
            ("/p?b=2&a=11795AAAA", "byte 3 (query), pair 1: here `?a=1`, yours `?b=2`"),
            ("/p?a=1&b=2", "byte 11 (timestamp), byte 1: here `1795`, yours nothing"),
            ("/p?a=1&b=21795", "byte 15 (api_token): here it has 4 bytes, yours is empty"),
        ] {
            assert_eq!(first(&parts, text.as_bytes(), Algorithm::Md5, &redact), expected, "{text:?}");
        }
    }
}
