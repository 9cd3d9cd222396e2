//! How the application spells the names of its headers. Names mean the same in any case, but some clients look for one spelling.

use bytes::Bytes;

/// Most bytes of names that are kept; of longer ones the spelling is lost.
const MOST: usize = 2048;

/// An extension of a response: the names that are not in title case (`ETag`, `Content-type`), and those equal to one of them but for
/// case, in order, one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelled(Bytes);

impl Spelled {
    /// How these names are spelled; `None` where all are in title case.
    pub(super) fn of<'a, I: Iterator<Item = &'a [u8]>>(names: impl Fn() -> I) -> Option<Self> {
        let odd: Vec<&[u8]> = names().filter(|name| !is_title_case(name)).collect();
        if odd.is_empty() {
            return None;
        }
        let mut lines = Vec::new();
        for name in names().filter(|name| odd.iter().any(|odd| odd.eq_ignore_ascii_case(name))) {
            lines.extend_from_slice(name);
            lines.push(b'\n');
        }
        (lines.len() <= MOST).then(|| Self(lines.into()))
    }

    /// The lines.
    pub fn lines(&self) -> &Bytes {
        &self.0
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'\n').filter(|name| !name.is_empty())
    }
}

/// Whether each word of a name begins with a capital, and has no other.
fn is_title_case(name: &[u8]) -> bool {
    let mut begins = true;
    name.iter().all(|byte| {
        let right = if begins { !byte.is_ascii_lowercase() } else { !byte.is_ascii_uppercase() };
        begins = *byte == b'-';
        right
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(names: &[&'static str]) -> Option<String> {
        let spelled = Spelled::of(|| names.iter().map(|name| name.as_bytes()))?;
        Some(spelled.names().map(|name| name.escape_ascii().to_string()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn names_in_title_case_need_no_telling() {
        assert_eq!(spelled(&["Content-Type", "X-1a", "Date", "Set-Cookie", "-X"]), None);
        assert_eq!(spelled(&[]), None);
    }

    #[test]
    fn other_names_are_told_with_those_that_are_equal_but_for_case() {
        assert_eq!(spelled(&["Date", "ETag", "x-a", "X_b"]).as_deref(), Some("ETag x-a"));
        assert_eq!(spelled(&["Set-Cookie", "Date", "set-cookie"]).as_deref(), Some("Set-Cookie set-cookie"));
    }

    #[test]
    fn endless_names_are_not_kept() {
        assert_eq!(spelled(&["ETag"; 500]), None);
    }
}
