//! The path of a request: decoded once, and refused where a server behind us could see another path than the rules did.
//!
//! Apache may decode twice (a rewrite after a rewrite), `php -S` and Apache resolve `..` and `//`, Windows splits at `\`,
//! and nginx, Caddy and FPM hand the raw path on: what any of them could turn into another path is refused.

use crate::request::Unreadable;

/// What section "paths" refuses and some applications need; each a name of `lenient_paths`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lenient {
    /// `%2f` in a path.
    pub encoded_slash: bool,
    /// `%3f`.
    pub encoded_question: bool,
    /// `%25`.
    pub encoded_percent: bool,
    /// `;`
    pub semicolon: bool,
    /// `//`
    pub double_slash: bool,
    /// `\` (also as the second byte of a GBK character).
    pub backslash: bool,
}

/// A path that every server reads alike, and the query as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The path as sent, without the query.
    pub raw_path: String,
    /// The path, percent-decoded once; begins with `/` (or is `*` for OPTIONS).
    pub path: Vec<u8>,
    /// What follows the first `?`, as sent; `None` where there is no `?`.
    pub raw_query: Option<String>,
    /// Where a leniency was needed: the path with a NUL, which no path can hold, in place of each oddity.
    veiled: Option<Vec<u8>>,
}

impl Target {
    /// Reads a target in origin form.
    pub fn read(target: &str, lenient: Lenient) -> Result<Self, Unreadable> {
        let (raw_path, raw_query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        if !raw_path.starts_with('/') && target != "*" {
            return Err(Unreadable::Malformed("the path has no leading slash".to_owned()));
        }
        let (path, odd) = decode_path(raw_path.as_bytes(), lenient)?;
        let veiled = (!odd.is_empty()).then(|| veiled(&path, &odd));
        Ok(Self { raw_path: raw_path.to_owned(), path, raw_query: raw_query.map(str::to_owned), veiled })
    }

    /// Whether a leniency was needed: then only rules with `**` may match.
    pub fn is_lenient(&self) -> bool {
        self.veiled.is_some()
    }

    /// The path as rules and endpoints match it: decoded, with a NUL in place of whatever needed a leniency, so that nothing but
    /// `**` matches there.
    pub fn matched(&self) -> &[u8] {
        self.veiled.as_deref().unwrap_or(&self.path)
    }
}

fn veiled(path: &[u8], odd: &[usize]) -> Vec<u8> {
    let mut veiled = path.to_vec();
    for at in odd {
        if let Some(byte) = veiled.get_mut(*at) {
            *byte = 0;
        }
    }
    veiled
}

/// Decodes a path once and checks it. Tells where a leniency was needed.
pub fn decode_path(raw: &[u8], lenient: Lenient) -> Result<(Vec<u8>, Vec<usize>), Unreadable> {
    let (decoded, mut encoded_slashes) = decode(raw)?;
    if !encoded_slashes.is_empty() && !lenient.encoded_slash {
        return Err(holds("an encoded slash (%2f)"));
    }
    let mut odd = check_decoded(&decoded, lenient)?;
    odd.append(&mut encoded_slashes);
    Ok((decoded, odd))
}

/// Checks a path that was decoded already, such as the value of a `query_path` parameter. Tells where a leniency was needed.
pub fn check_decoded(path: &[u8], lenient: Lenient) -> Result<Vec<usize>, Unreadable> {
    let mut odd = Vec::new();
    let mut before = None;
    for (at, byte) in path.iter().copied().enumerate() {
        if let Some((name, allowed)) = oddity(byte, before, lenient) {
            if !allowed {
                return Err(holds(name));
            }
            odd.push(at);
            if byte == b'%' && hides_syntax(path.get(at + 1..).unwrap_or_default()) {
                return Err(holds("something encoded twice"));
            }
        }
        before = Some(byte);
    }
    match path.split(|byte| matches!(byte, b'/' | b'\\')).any(is_dot_segment) {
        true => Err(holds("a . or .. segment")),
        false => Ok(odd),
    }
}

/// What is odd about a byte of a decoded path, and whether the configuration lets it pass.
fn oddity(byte: u8, before: Option<u8>, lenient: Lenient) -> Option<(&'static str, bool)> {
    match byte {
        0 => Some(("a NUL byte", false)),
        0x01..0x20 | 0x7f => Some(("a control byte", false)),
        b'%' => Some(("an encoded percent sign (%25)", lenient.encoded_percent)),
        b'?' => Some(("an encoded question mark (%3f)", lenient.encoded_question)),
        b'#' => Some(("an encoded number sign (%23)", false)),
        b';' => Some(("a semicolon", lenient.semicolon)),
        b'\\' => Some(("a backslash", lenient.backslash)),
        b'/' if before == Some(b'/') => Some(("a double slash", lenient.double_slash)),
        _ => None,
    }
}

/// Whether what follows a percent sign would become syntax, were the path decoded once more: no title needs that.
fn hides_syntax(after: &[u8]) -> bool {
    let [high, low, ..] = after else { return false };
    hex(*high, *low)
        .is_some_and(|byte| byte < 0x20 || matches!(byte, 0x7f | b'%' | b'?' | b'#' | b';' | b'\\' | b'/' | b'.'))
}

/// `.` and `..`, also with the parameters that Java servers cut off.
fn is_dot_segment(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..") || segment.starts_with(b".;") || segment.starts_with(b"..;")
}

/// Decodes every escape, and tells which of them were slashes.
fn decode(raw: &[u8]) -> Result<(Vec<u8>, Vec<usize>), Unreadable> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut encoded_slashes = Vec::new();
    let mut parts = raw.split(|byte| *byte == b'%');
    decoded.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        let (byte, rest) = match part {
            [high, low, rest @ ..] => (hex(*high, *low), rest),
            _ => (None, part),
        };
        let byte = byte.ok_or_else(|| holds("a broken percent-escape"))?;
        if byte == b'/' {
            encoded_slashes.push(decoded.len());
        }
        decoded.push(byte);
        decoded.extend_from_slice(rest);
    }
    Ok((decoded, encoded_slashes))
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

fn holds(what: &str) -> Unreadable {
    Unreadable::Malformed(format!("the path holds {what}"))
}

#[cfg(test)]
mod tests;
