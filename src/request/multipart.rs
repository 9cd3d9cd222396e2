//! Multipart bodies, read conservatively: any part whose name PHP could read as a reserved one is found, wherever PHP's loose
//! parser might find a part. Nothing is taken from them.
//!
//! Boundaries are not looked at: PHP takes them from anywhere in the Content-Type, reads on behind the closing one, and would
//! be easy to disagree with. Any `Content-Disposition:` at the beginning of any line is taken for a part's header. Mark-up
//! that merely holds `name="user_id"` is not, so uploaded pages pass.

use crate::request::php::Params;
use crate::request::reserved::{Kind, Reserved};

mod disposition;

const HEADER: &[u8] = b"content-disposition";

/// PHP reads lines into a buffer of at least so many bytes, and begins a new line where it is full (php-src
/// `main/rfc1867.c`, `next_line`): from there on a header can begin in the middle of a line.
const PHP_LINE: usize = 5120;

/// More blanks than this before or behind the word make it no header: PHP allows none.
const MAX_BLANKS: usize = 32;

/// A header with more lines, or bytes, than this (or with a NUL, where PHP cuts its lines) is refused unread.
const MAX_LINES: usize = 32;
const MAX_LENGTH: usize = 16 * 1024;

/// What is said to be found then.
const UNREAD: &[u8] = b"Content-Disposition";

/// Watches a multipart body as it streams. Feed it every byte in order.
#[derive(Debug)]
pub struct Scan {
    reserved: Vec<Vec<u8>>,
    state: State,
    /// What is held back: the beginning of what may be a header, or a header.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a line that is no header, so many bytes behind its beginning.
    Line { length: usize },
    /// Where a header could begin: what is held may become one.
    Beginning { length: usize },
    /// In a header; its current line begins at `line` of what is held.
    Header { line: usize, lines: usize },
}

/// What a beginning may yet become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prospect {
    Header,
    Open,
    None,
}

impl Scan {
    /// A scan for every name that may not stand in a multipart body.
    pub fn new(reserved: &Reserved) -> Self {
        Self::with(reserved.iter().filter(|name| name.kind.bars_multipart()).map(|name| name.name.clone()).collect())
    }

    /// A scan for what may not stand in the multipart body of one request: a login rule's request may hold login fields
    /// (`login`). A name that a rule's `params` asks for must not stand in the query as well, where the rule read it, nor where
    /// a rule was passed over because the name was `missed`.
    pub fn for_request(reserved: &Reserved, query: &Params, missed: &[&[u8]], login: bool) -> Self {
        let barred = reserved.iter().filter(|name| match name.kind {
            Kind::LoginField => !login,
            Kind::RuleParam => query.get(&name.name).is_some(),
            kind => kind.bars_multipart(),
        });
        let barred = barred.map(|name| name.name.as_slice()).chain(missed.iter().copied());
        Self::with(barred.map(<[u8]>::to_vec).collect())
    }

    fn with(reserved: Vec<Vec<u8>>) -> Self {
        Self { reserved, state: State::Beginning { length: 0 }, held: Vec::new() }
    }

    /// Takes the next bytes. Returns how many are safe to pass on (all but a beginning that may yet turn out to be a
    /// reserved part's), or the reserved name that was found. Bytes held back count with the next call's.
    ///
    /// What is still held back when the body ends may be sent: every whole line of it was judged, and PHP drops a header
    /// line that is not whole. At most 16 KiB are held. A header that is too long to be read counts as found, under the name
    /// `Content-Disposition`.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, Vec<u8>> {
        let total = self.held.len() + bytes.len();
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match self.state {
                State::Line { length } => self.pass_line(length, rest),
                State::Beginning { length } => self.begin(length, rest),
                State::Header { line, lines } => self.gather(line, lines, rest)?,
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(total - self.held.len())
    }

    /// Passes over a line that is no header, up to where one could begin. Returns how many bytes it took.
    fn pass_line(&mut self, length: usize, rest: &[u8]) -> usize {
        let near = rest.get(..PHP_LINE.saturating_sub(length)).unwrap_or(rest);
        if let Some(end) = memchr::memchr(b'\n', near) {
            self.state = State::Beginning { length: 0 };
            return end + 1;
        }
        let far = rest.get(near.len()..).unwrap_or_default();
        let Some(at) = memchr::memchr3(b'\n', b'c', b'C', far) else {
            self.state = State::Line { length: length.saturating_add(rest.len()) };
            return rest.len();
        };
        let taken = near.len() + at;
        if far.get(at) == Some(&b'\n') {
            self.state = State::Beginning { length: 0 };
            return taken + 1;
        }
        self.state = State::Beginning { length: length.saturating_add(taken) };
        taken
    }

    /// Takes one byte of what may become a header, or leaves it to [`Self::pass_line`]. Returns how many bytes it took.
    fn begin(&mut self, length: usize, rest: &[u8]) -> usize {
        self.held.extend(rest.first());
        match prospect(&self.held) {
            Prospect::Open => self.state = State::Beginning { length: length.saturating_add(1) },
            Prospect::Header => self.state = State::Header { line: 0, lines: 1 },
            Prospect::None => {
                self.held.clear();
                self.state = State::Line { length };
                return 0;
            }
        }
        1
    }

    /// Takes more of a header, up to the next byte that tells where it ends. Returns how many bytes it took.
    fn gather(&mut self, line: usize, lines: usize, rest: &[u8]) -> Result<usize, Vec<u8>> {
        let first = lines == 1;
        let end = if first { memchr::memchr(b'\n', rest) } else { memchr::memchr2(b'\n', b':', rest) };
        let taken = rest.get(..end.map_or(rest.len(), |end| end + 1)).unwrap_or_default();
        self.held.extend_from_slice(taken);
        let current = self.held.get(line..).unwrap_or_default();
        if current.len() >= PHP_LINE || self.held.len() > MAX_LENGTH || lines > MAX_LINES || taken.contains(&0) {
            return Err(UNREAD.to_vec());
        }
        match (taken.last(), current) {
            (Some(b'\n'), [b'\n'] | [b'\r', b'\n']) => {
                self.held.clear();
                self.state = State::Beginning { length: 0 };
            }
            (Some(b'\n'), _) => self.end_line(lines)?,
            (Some(b':'), [start, ..]) if !first && !is_blank(*start) => self.end_header(line),
            _ => {}
        }
        Ok(taken.len())
    }

    /// Judges a header after each of its lines, for it may be the last. Every line up to an empty one or one with a colon
    /// belongs to it, with a blank before it or without.
    fn end_line(&mut self, lines: usize) -> Result<(), Vec<u8>> {
        if let Some(name) = disposition::find(&self.held, &self.reserved) {
            return Err(name.clone());
        }
        self.state = State::Header { line: self.held.len(), lines: lines + 1 };
        Ok(())
    }

    /// A line with another header's name ends a header. It may be one to look at itself.
    fn end_header(&mut self, line: usize) {
        self.held.drain(..line);
        self.state = match prospect(&self.held) {
            Prospect::Header => State::Header { line: 0, lines: 1 },
            Prospect::Open | Prospect::None => {
                let length = std::mem::take(&mut self.held).len();
                State::Line { length }
            }
        };
    }
}

/// Whether a line's beginning is `Content-Disposition:`, in any case, or may become it.
fn prospect(beginning: &[u8]) -> Prospect {
    let word = beginning.trim_ascii_start();
    if beginning.len() - word.len() > MAX_BLANKS || beginning.ends_with(b"\n") {
        return Prospect::None;
    }
    let Some((start, rest)) = word.split_at_checked(HEADER.len()) else {
        let so_far = HEADER.get(..word.len()).is_some_and(|header| word.eq_ignore_ascii_case(header));
        return if so_far { Prospect::Open } else { Prospect::None };
    };
    match rest.trim_ascii_start() {
        _ if !start.eq_ignore_ascii_case(HEADER) => Prospect::None,
        [] if rest.len() <= MAX_BLANKS => Prospect::Open,
        [b':', ..] => Prospect::Header,
        _ => Prospect::None,
    }
}

/// As C's `isspace`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::{MAX_LENGTH, PHP_LINE, Scan};

    /// The name found, or how many bytes are held back at the end; each chunk is fed alone.
    fn fed<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<usize, String> {
        let mut scan = Scan::with(vec![b"user_id".to_vec(), b"sign".to_vec()]);
        let (mut total, mut passed) = (0, 0);
        for chunk in chunks {
            total += chunk.len();
            passed += scan.feed(chunk).map_err(|name| name.escape_ascii().to_string())?;
            assert!(total - passed <= MAX_LENGTH);
        }
        Ok(total - passed)
    }

    /// A body's verdict, which must be the same however it is cut.
    fn verdict(body: &str) -> Result<usize, String> {
        let body = body.as_bytes();
        let whole = fed([body]);
        assert_eq!(fed(body.chunks(1)), whole, "byte by byte: {}", body.escape_ascii());
        for at in 0..body.len() {
            assert_eq!(fed([&body[..at], &body[at..]]), whole, "cut at {at}: {}", body.escape_ascii());
        }
        whole
    }

    #[test]
    fn a_part_with_a_reserved_name_is_found_wherever_it_stands() {
        for header in [
            "Content-Disposition: form-data; name=\"user_id\"\r\n",
            "content-disposition:form-data;name=user_id\n",
            " Content-Disposition : form-data; name=user_id\n",
            "Content-Disposition: form-data; name=user.id; filename=x\r\n",
            "Content-Disposition: form-data;\r\n name=user_id\r\n",
            "Content-Disposition: form-data\r\n; name=user_id\r\n",
            "Content-Disposition: form-data; na\nme=user_id\n",
            "Content-Disposition:\nx: y\nContent-Disposition: x; name=user_id\n",
            "Content-Disposition: x\n: y\nContent-Disposition: x; name=user_id\n",
            "Content-Disposition: x\n y: z\n; name=user_id\n",
        ] {
            for before in
                ["", "--B\r\n", "preamble\n--B\nContent-Type: x\n", "--B--\r\n\r\n--B\r\n", "Content-Disposition: y\n"]
            {
                assert_eq!(
                    verdict(&format!("{before}{header}\r\nvalue")),
                    Err("user_id".to_owned()),
                    "{before}{header}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_parts_name_passes_whole() {
        for body in [
            "--B\r\nContent-Disposition: form-data; name=\"page\"; filename=\"a.html\"\r\n\r\n<input name=\"user_id\">\n--B--\r\n",
            "Content-Disposition: form-data; name=a\r\n\r\n; name=user_id\r\n",
            "Content-Disposition: form-data; name=a\r\nX: y\r\n; name=user_id\r\n",
            "See Content-Disposition: form-data; name=user_id\n",
            "Content-Dispositions: form-data; name=user_id\n",
            "Content-Disposition; name=user_id\n",
            "ccontent-disposition: x; name=user_id\n",
            "Content-Disposition: form-data; filename=sign\n\n",
        ] {
            assert_eq!(verdict(body), Ok(0), "{body}");
        }
    }

    #[test]
    fn an_unfinished_header_is_held_back() {
        let rows = [("x\nConte", 5), ("x\nContent-Disposition: form-data; name=user_id", 44), ("x\nContentment", 0)];
        for (body, held) in rows {
            assert_eq!(verdict(body), Ok(held), "{body}");
        }
    }

    #[test]
    fn a_header_can_begin_where_phps_buffer_was_full() {
        let header = "cContent-Disposition: form-data; name=user_id\n";
        for (padding, found) in [(PHP_LINE - 1, true), (PHP_LINE - 2, false), (3 * PHP_LINE, true)] {
            let body = format!("\n{}{header}", "x".repeat(padding));
            assert_eq!(fed([body.as_bytes()]).is_err(), found);
            assert_eq!(fed(body.as_bytes().chunks(1)).is_err(), found);
        }
    }

    #[test]
    fn a_header_that_cannot_be_read_counts_as_found() {
        let long_line = format!("Content-Disposition: {}", "x".repeat(PHP_LINE));
        let many_lines = format!("Content-Disposition: x{}", "\n".to_owned() + &"y\n".repeat(40));
        let long_lines = format!("Content-Disposition: {}", ("x".repeat(4000) + "\n").repeat(5));
        for body in [long_line.as_str(), &many_lines, &long_lines, "Content-Disposition: x; na\0\nme=user_id\n"] {
            assert_eq!(fed([body.as_bytes()]), Err("Content-Disposition".to_owned()));
            assert_eq!(fed(body.as_bytes().chunks(1)), Err("Content-Disposition".to_owned()));
        }
    }
}
