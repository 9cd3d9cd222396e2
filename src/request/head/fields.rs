//! The header lines of a head, and those that frame the message.

use memchr::memchr;

use super::{Span, host, is_token, line_before, malformed};
use crate::request::Unreadable;

/// One header line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: Span,
    pub(super) value: Span,
}

/// What the lines say about the message itself.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    pub(super) host: Option<Span>,
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
}

/// Most heads have fewer.
const USUAL: usize = 16;

/// Reads the lines of `buffer` from `start` to the empty one, which must be its end.
pub(super) fn read(buffer: &[u8], start: usize) -> Result<(Vec<Field>, Meaning), Unreadable> {
    let mut fields = Vec::with_capacity(USUAL);
    let mut meaning = Meaning::default();
    let mut at = start;
    loop {
        let rest = buffer.get(at..).unwrap_or_default();
        let end = memchr(b'\n', rest).ok_or_else(|| malformed("the head has no end"))?;
        let line = line_before(rest, end)?;
        if line.is_empty() {
            return match rest.len() == end + 1 {
                true => Ok((fields, meaning)),
                false => Err(malformed("something follows the head")),
            };
        }
        let colon = name_length(line)?;
        let (blanks, value) = trimmed(line.get(colon + 1..).unwrap_or_default());
        let value_at = at + colon + 1 + blanks;
        let field = Field { name: span(at, colon)?, value: span(value_at, value.len())? };
        check_value(value)?;
        let plain = blanks <= 1 && colon + 1 + blanks + value.len() == line.len();
        meaning.hear(line.get(..colon).unwrap_or_default(), value, field.value, plain)?;
        fields.push(field);
        at += end + 1;
    }
}

fn span(from: usize, length: usize) -> Result<Span, Unreadable> {
    Span::new(from, from + length).ok_or_else(|| malformed("the head is too long"))
}

/// How long the name before the colon is.
fn name_length(line: &[u8]) -> Result<usize, Unreadable> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(malformed("a header line is folded"));
    }
    let colon = memchr(b':', line).ok_or_else(|| malformed("a header line has no colon"))?;
    match line.get(..colon).unwrap_or_default() {
        [] => Err(malformed("a header has no name")),
        [.., b' ' | b'\t'] => Err(malformed("a header's name has a blank before its colon")),
        name if !name.iter().all(|byte| is_token(*byte)) => {
            Err(malformed("a header's name holds a byte that no name may hold"))
        }
        _ => Ok(colon),
    }
}

/// A value without the blanks around it, and how many stood before it.
fn trimmed(value: &[u8]) -> (usize, &[u8]) {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(from) = value.iter().position(|byte| !blank(byte)) else { return (value.len(), &[]) };
    let to = value.iter().rposition(|byte| !blank(byte)).map_or(from, |last| last + 1);
    (from, value.get(from..to).unwrap_or_default())
}

/// Folded without a branch, so that the compiler can look at many bytes at once.
fn check_value(value: &[u8]) -> Result<(), Unreadable> {
    match value.iter().fold(false, |odd, byte| odd | ((*byte < 0x20) & (*byte != b'\t')) | (*byte == 0x7f)) {
        true => Err(malformed("a header's value holds a control byte")),
        false => Ok(()),
    }
}

impl Meaning {
    /// `plain` tells that at most one space stands around the value: proxies disagree about what else is blank.
    fn hear(&mut self, name: &[u8], value: &[u8], span: Span, plain: bool) -> Result<(), Unreadable> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.hear_host(value, span),
            6 if name.eq_ignore_ascii_case(b"expect") => self.hear_expect(value),
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.hear_connection(value);
                Ok(())
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.hear_length(value, plain),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.hear_coding(value, plain),
            _ => Ok(()),
        }
    }

    fn hear_host(&mut self, value: &[u8], span: Span) -> Result<(), Unreadable> {
        if self.host.replace(span).is_some() {
            return Err(malformed("Host is given twice"));
        }
        host::check(value)
    }

    fn hear_expect(&mut self, value: &[u8]) -> Result<(), Unreadable> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(malformed("Expect asks for something other than 100-continue"));
        }
        self.expects_continue = true;
        Ok(())
    }

    fn hear_connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn hear_length(&mut self, value: &[u8], plain: bool) -> Result<(), Unreadable> {
        let length = (plain && !value.is_empty() && value.iter().all(u8::is_ascii_digit))
            .then(|| std::str::from_utf8(value).ok()?.parse::<i64>().ok())
            .flatten()
            // PHP counts in signed numbers of 64 bits.
            .and_then(|length| u64::try_from(length).ok())
            .ok_or_else(|| malformed("Content-Length is not a plain number"))?;
        match self.length.replace(length) {
            None => Ok(()),
            Some(_) => Err(malformed("Content-Length is given twice")),
        }
    }

    fn hear_coding(&mut self, value: &[u8], plain: bool) -> Result<(), Unreadable> {
        if !plain || value != b"chunked" {
            return Err(malformed("Transfer-Encoding is not exactly chunked"));
        }
        match std::mem::replace(&mut self.chunked, true) {
            false => Ok(()),
            true => Err(malformed("Transfer-Encoding is given twice")),
        }
    }
}
