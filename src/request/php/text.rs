//! The pieces of a query, form or Cookie header, and their decoding (php-src `ext/standard/url.c`).

/// What `+` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plus {
    /// A blank.
    Blank,
    /// Itself.
    Plus,
}

/// Appends `raw`, percent-decoded (php-src `ext/standard/url.c`).
pub(super) fn decode(decoded: &mut Vec<u8>, mut raw: &[u8], plus: Plus) {
    let find = |raw: &[u8]| match plus {
        Plus::Blank => memchr::memchr2(b'%', b'+', raw),
        Plus::Plus => memchr::memchr(b'%', raw),
    };
    while let Some((plain, rest)) = find(raw).and_then(|at| raw.split_at_checked(at)) {
        decoded.extend_from_slice(plain);
        let (byte, length) = unescape(rest);
        decoded.push(byte);
        raw = rest.get(length..).unwrap_or_default();
    }
    decoded.extend_from_slice(raw);
}

/// The byte that a `%` or `+` stands for, and how many bytes spell it.
fn unescape(text: &[u8]) -> (u8, usize) {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match *text {
        [b'+', ..] => (b' ', 1),
        [b'%', high, low, ..] => match (digit(high), digit(low)) {
            (Some(high), Some(low)) => (high << 4 | low, 3),
            _ => (b'%', 1),
        },
        _ => (b'%', 1),
    }
}

/// The pieces between separators, empty ones too.
pub(super) fn pieces(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr::memchr(separator, text);
        rest = end.and_then(|end| text.get(end + 1..));
        text.get(..end.unwrap_or(text.len()))
    })
}

/// Name and value; no `=`, no value.
pub(super) fn split_at_equals(piece: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'=', piece).and_then(|at| piece.split_at_checked(at)) {
        Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
        None => (piece, b""),
    }
}

/// Without leading blanks, as C's `isspace` knows them.
pub(super) fn trim_start(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    text.get(blanks..).unwrap_or_default()
}
