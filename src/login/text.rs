//! A reply's body as text. Old applications write GBK, and do not always say so; JSON and HTML can be read all the same.

use std::borrow::Cow;

use encoding_rs::{Encoding, GB18030, UTF_8, WINDOWS_1252};

const MARK: &[u8] = b"\xef\xbb\xbf";

/// A body as text.
#[derive(Debug)]
pub struct Text<'a> {
    /// The text, without byte order marks.
    pub text: Cow<'a, str>,
    /// Whether its charset is known. Where it is a guess, two different names could be read as the same one.
    certain: bool,
}

impl<'a> Text<'a> {
    /// UTF-8 where the bytes are that, else what Content-Type says, else a guess.
    pub fn of(body: &'a [u8], content_type: Option<&[u8]>) -> Self {
        let body = without_marks(body);
        let other = content_type.and_then(charset).filter(|charset| *charset != UTF_8);
        if let Ok(text) = std::str::from_utf8(body) {
            return Self { text: text.into(), certain: other.is_none() };
        }
        match other.and_then(|other| other.decode_without_bom_handling_and_without_replacement(body)) {
            Some(text) => Self { text, certain: true },
            None => Self { text: guessed(body), certain: false },
        }
    }

    /// What was found in this text, unless it is only guessed what it says.
    pub fn vouch(&self, found: String) -> Option<String> {
        (self.certain || found.is_ascii()).then_some(found)
    }
}

/// PHP files saved with a mark each put theirs before the reply, and blanks between them.
fn without_marks(body: &[u8]) -> &[u8] {
    let mut rest = body;
    while let Some(next) = rest.trim_ascii_start().strip_prefix(MARK) {
        rest = next;
    }
    rest
}

/// `charset` of a Content-Type (RFC 9110, 8.3.1).
fn charset(content_type: &[u8]) -> Option<&'static Encoding> {
    let parameters = content_type.split(|byte| *byte == b';').skip(1).map(<[u8]>::trim_ascii);
    let values = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_at_checked(b"charset=".len())?;
        name.eq_ignore_ascii_case(b"charset=").then_some(value)
    });
    let label = values.last()?;
    Encoding::for_label(label.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(label))
}

fn guessed(body: &[u8]) -> Cow<'_, str> {
    let chinese = GB18030.decode_without_bom_handling_and_without_replacement(body);
    chinese.unwrap_or_else(|| WINDOWS_1252.decode_without_bom_handling(body).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_in_its_charset_and_it_is_known_whether_that_is_a_guess() {
        let gbk = b"\xd5\xc5\xc8\xfd";
        let table: &[(&[u8], Option<&str>, &str, bool)] = &[
            (b"zhang", None, "zhang", true),
            ("张三".as_bytes(), None, "张三", true),
            ("张三".as_bytes(), Some("text/html; charset=utf-8"), "张三", true),
            ("张三".as_bytes(), Some("text/html; charset=gbk"), "张三", false),
            (gbk, Some("text/html; Charset=\"GB2312\""), "张三", true),
            (gbk, Some("text/html;charset=utf-8"), "张三", false),
            (gbk, Some("text/html;charset=nonsense"), "张三", false),
            (gbk, None, "张三", false),
            (b"caf\xe9", None, "café", false),
            (b"caf\xe9", Some("text/html; charset=iso-8859-1"), "café", true),
            (b"\xef\xbb\xbf \n\xef\xbb\xbfx", None, "x", true),
            (b" x", None, " x", true),
        ];
        for (body, content_type, expected, certain) in table {
            let text = Text::of(body, content_type.map(str::as_bytes));
            assert_eq!((text.text.as_ref(), text.certain), (*expected, *certain), "{content_type:?}");
        }
    }

    #[test]
    fn only_what_is_beyond_ascii_can_be_misread() {
        let guess = Text::of(b"zhang \xd5\xc5", None);
        assert_eq!(guess.vouch("zhang".to_owned()).as_deref(), Some("zhang"));
        assert_eq!(guess.vouch("张".to_owned()), None);
    }
}
