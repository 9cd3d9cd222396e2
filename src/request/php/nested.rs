//! Texts inside arrays: what PHP holds under a name such as `LoginForm[username]` (php-src `main/php_variables.c`,
//! `php_register_variable_ex`).

use crate::request::php::text::{pieces, split_at_equals};
use crate::request::php::{MAX_VARIABLES, fold_name, url_decode};

/// `max_input_nesting_level`
const MAX_NESTING: usize = 64;

/// The text that PHP holds under `name` (written as in a form, decoded) after reading a form; `None` where it holds none, or an
/// array.
pub fn text_in(form: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let wanted = Place::of(name)?;
    let form = form.strip_suffix(b"&").unwrap_or(form);
    let mut held = None;
    for piece in pieces(form, b'&').take(MAX_VARIABLES) {
        let (name, value) = split_at_equals(piece);
        match Place::of(&url_decode(name)) {
            Some(place) if place == wanted => held = Some(url_decode(value)),
            Some(place) if place.disturbs(&wanted) => held = None,
            _ => {}
        }
    }
    held
}

/// Where a variable stands: the name of the array, and the keys that lead into it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    array: Vec<u8>,
    keys: Vec<Vec<u8>>,
}

impl Place {
    fn of(name: &[u8]) -> Option<Self> {
        let (array, is_array) = fold_name(name)?;
        let keys = if is_array { keys(name) } else { Vec::new() };
        // Nested too deep, it takes the whole array away.
        let keys = if keys.len() > MAX_NESTING { Vec::new() } else { keys };
        Some(Self { array, keys })
    }

    /// Whether a variable here leaves nothing, or nobody knows what, at another place: it stands above, below, or under a key
    /// that PHP counts up.
    fn disturbs(&self, other: &Self) -> bool {
        let same =
            |(one, other): (&Vec<u8>, &Vec<u8>)| one == other || one.is_empty() && other.iter().all(u8::is_ascii_digit);
        self.array == other.array && self.keys.iter().zip(&other.keys).all(same)
    }
}

/// The keys in brackets; a bracket that is not closed ends them, as does anything between two of them.
fn keys(name: &[u8]) -> Vec<Vec<u8>> {
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut rest = memchr::memchr(b'[', name).and_then(|at| name.get(at..)).unwrap_or_default();
    let mut keys = Vec::new();
    while let Some(inside) = rest.strip_prefix(b"[") {
        // PHP looks for the end behind one blank, and takes `[ ]` for `[]`.
        let blank = usize::from(inside.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'..=b'\r')));
        let Some(end) = inside.get(blank..).and_then(|key| memchr::memchr(b']', key)) else { break };
        let key = if end == 0 { b"" } else { inside.get(..blank + end).unwrap_or_default() };
        keys.push(key.to_vec());
        rest = inside.get(blank + end + 1..).unwrap_or_default();
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_php_reads_them() {
        let table: &[(&str, &[&str])] = &[
            ("a[b]", &["b"]),
            ("a[b][c]", &["b", "c"]),
            ("a[b]x[c]", &["b"]),
            ("a[b][c", &["b"]),
            ("a[]", &[""]),
            ("a[ ]", &[""]),
            ("a[ b]", &[" b"]),
            ("a[b[c]", &["b[c"]),
            ("a[b\0]", &[]),
        ];
        for (name, expected) in table {
            let expected: Vec<_> = expected.iter().map(|key| key.as_bytes().to_vec()).collect();
            assert_eq!(keys(name.as_bytes()), expected, "{name}");
        }
    }
}
