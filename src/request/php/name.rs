//! Parameter names, folded as PHP folds them (php-src `main/php_variables.c`, `php_register_variable_ex`).

/// `max_input_nesting_level`: with more brackets than that PHP drops the whole variable.
const MAX_NESTING: usize = 64;

/// Prefixes that bind a cookie to its host: PHP drops what would get one only by being folded.
const GUARDED: [&[u8]; 2] = [b"__Host-", b"__Secure-"];

/// What a folded name puts under its top-level name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A text.
    Text,
    /// An array, or an element of one.
    Array,
    /// Nothing, and what stood there is gone: nested too deep.
    TooDeep,
}

/// Folds the decoded name that stands in `text` from `start` to the end, in place. `None` where PHP drops it; what is
/// left in `text` is then of no use.
pub(super) fn fold(text: &mut Vec<u8>, start: usize) -> Option<Shape> {
    if is_plain(text.get(start..)?) {
        return (text.len() > start).then_some(Shape::Text);
    }
    trim(text, start);
    let name = text.get_mut(start..)?;
    let guarded = GUARDED.map(|prefix| name.starts_with(prefix));
    let (length, shape) = match memchr::memchr(b'[', name) {
        Some(at) if closes(name, at) => (at, if too_deep(name, at, guarded) { Shape::TooDeep } else { Shape::Array }),
        Some(0) => (0, Shape::Text),
        Some(_) | None => (name.len(), Shape::Text),
    };
    if length == 0 {
        return None;
    }
    text.truncate(start + length);
    let name = text.get_mut(start..)?;
    mangle(name);
    (!poses(name, guarded)).then_some(shape)
}

/// Whether there is nothing to fold, as in nearly every name.
pub(super) fn is_plain(name: &[u8]) -> bool {
    name.iter().fold(true, |plain, byte| plain & !matches!(byte, 0 | b' ' | b'.' | b'['))
}

/// Cuts the name at NUL, and its leading spaces (no other blanks).
fn trim(text: &mut Vec<u8>, start: usize) {
    let name = text.get(start..).unwrap_or_default();
    if let Some(end) = memchr::memchr(0, name) {
        text.truncate(start + end);
    }
    let name = text.get(start..).unwrap_or_default();
    let spaces = name.iter().take_while(|byte| **byte == b' ').count();
    if spaces > 0 {
        text.drain(start..start + spaces);
    }
}

/// Only in a plain name or one with an unclosed bracket does a `[` remain to be folded.
fn mangle(name: &mut [u8]) {
    for byte in name {
        if matches!(byte, b' ' | b'.' | b'[') {
            *byte = b'_';
        }
    }
}

/// Whether the bracket at `at` is closed anywhere behind; an unclosed one is no array's.
fn closes(name: &[u8], at: usize) -> bool {
    name.get(at..).is_some_and(|brackets| memchr::memchr(b']', brackets).is_some())
}

/// Whether more than [`MAX_NESTING`] brackets follow one another, the first at `at`. PHP stops counting behind a key that
/// poses as a guarded name.
fn too_deep(name: &[u8], at: usize, guarded: [bool; 2]) -> bool {
    let mut rest = name.get(at..).unwrap_or_default();
    let mut key: &[u8] = b"";
    for _ in 0..MAX_NESTING {
        let Some(close) = memchr::memchr(b']', rest) else { return false };
        if poses(key, guarded) {
            return false;
        }
        key = rest.get(1..close).unwrap_or_default();
        rest = rest.get(close + 1..).unwrap_or_default();
        if rest.first() != Some(&b'[') {
            return false;
        }
    }
    true
}

/// Whether a folded name or key begins with a guarded prefix that the name as sent did not begin with.
fn poses(folded: &[u8], guarded: [bool; 2]) -> bool {
    GUARDED.iter().zip(guarded).any(|(prefix, before)| !before && folded.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::{Shape, fold};

    type Folded<'a> = Option<(&'a [u8], Shape)>;

    #[test]
    fn names_are_folded_as_php_folds_them() {
        let rows: &[(&[u8], Folded<'_>)] = &[
            (b"user.id", Some((b"user_id", Shape::Text))),
            (b"  user id ", Some((b"user_id_", Shape::Text))),
            (b"\tuser", Some((b"\tuser", Shape::Text))),
            (b"user\0id", Some((b"user", Shape::Text))),
            (b"\0user", None),
            (b"   ", None),
            (b"user[id", Some((b"user_id", Shape::Text))),
            (b"user[id.x y[z", Some((b"user_id_x_y_z", Shape::Text))),
            (b"user.x[id]", Some((b"user_x", Shape::Array))),
            (b"user[]", Some((b"user", Shape::Array))),
            (b"user[a]b.c", Some((b"user", Shape::Array))),
            (b"user[a][b", Some((b"user", Shape::Array))),
            (b"user[a\0]", Some((b"user_a", Shape::Text))),
            (b"user]", Some((b"user]", Shape::Text))),
            (b"[user]", None),
            (b"[user", None),
            (b" [user]", None),
            (b".[user]", Some((b"_", Shape::Array))),
            (b"_.Host-a", None),
            (b"_ Secure-a[b]", None),
            (b"_[Host-a", None),
            (b"__Host-a", Some((b"__Host-a", Shape::Text))),
        ];
        for (raw, expected) in rows {
            let mut text = [b"kept", *raw].concat();
            let folded = fold(&mut text, 4).map(|shape| (&text[4..], shape));
            assert_eq!(folded, *expected, "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn a_name_may_nest_64_deep_and_no_deeper() {
        for (brackets, tail, shape) in [
            (64, "", Shape::Array),
            (65, "", Shape::TooDeep),
            (64, "[unclosed", Shape::TooDeep),
            (64, "text[a]", Shape::Array),
            (63, "[unclosed", Shape::Array),
        ] {
            let mut text = format!("user{}{tail}", "[a]".repeat(brackets)).into_bytes();
            assert_eq!(fold(&mut text, 0), Some(shape), "{brackets} and {tail:?}");
            assert_eq!(text, b"user");
        }
        let mut posing = format!("user[__Host-a]{}", "[a]".repeat(70)).into_bytes();
        assert_eq!(fold(&mut posing, 0), Some(Shape::Array));
    }
}
