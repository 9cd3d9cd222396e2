//! Following a body to its end, so that the next head is looked for in the right place.

use crate::request::Unreadable;
use crate::request::head::{Framing, is_token};

/// Bytes of chunk extensions one body may hold; nobody uses them.
const MAX_EXTENSIONS: usize = 256;
/// Bytes of trailers one body may hold; they are dropped.
const MAX_TRAILERS: usize = 8 * 1024;

/// Where in a body we are.
#[derive(Debug)]
pub(crate) enum Walk {
    /// So many bytes are left.
    Length(u64),
    /// Between the chunks.
    Chunked(Chunks),
}

/// What became of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    /// So many of the first may be handed on.
    pub(crate) kept: usize,
    /// So many belong to the body.
    pub(crate) used: usize,
    /// Whether the body ends there.
    pub(crate) ended: bool,
}

impl Walk {
    /// The way through a body; `None` where there is none.
    pub(crate) fn through(framing: Framing) -> Option<Self> {
        match framing {
            Framing::Empty | Framing::Length(0) => None,
            Framing::Length(length) => Some(Self::Length(length)),
            Framing::Chunked => Some(Self::Chunked(Chunks::default())),
        }
    }

    /// Takes the next bytes. Of a chunked body everything is kept but the trailers and the empty line at the end.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Walked, Unreadable> {
        match self {
            Self::Length(left) => {
                let used = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left = left.saturating_sub(used as u64);
                Ok(Walked { kept: used, used, ended: *left == 0 })
            }
            Self::Chunked(chunks) => chunks.take(bytes),
        }
    }
}

/// `chunked` (RFC 9112, 7.1): sizes of at most 16 hex digits, CRLF and nothing else at line ends.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    state: State,
    extensions: usize,
    trailers: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Size { size: u64, digits: u8 },
    Extension { size: u64, empty: bool },
    SizeEnd { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastLf,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

impl Chunks {
    fn take(&mut self, bytes: &[u8]) -> Result<Walked, Unreadable> {
        let mut at = 0;
        let mut kept = 0;
        while let Some(byte) = bytes.get(at).copied() {
            if let State::Data { left } = self.state {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += here;
                kept = at;
                let left = left.saturating_sub(here as u64);
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                continue;
            }
            at += 1;
            let Some(next) = self.after(byte)? else { return Ok(Walked { kept, used: at, ended: true }) };
            if !self.in_trailers() {
                kept = at;
            }
            self.state = next;
        }
        Ok(Walked { kept, used: at, ended: false })
    }

    /// Whether the byte just looked at belongs to what is dropped.
    fn in_trailers(&self) -> bool {
        matches!(
            self.state,
            State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerEnd | State::LastLf
        )
    }

    /// The state after a byte that is not data; `None` at the end of the body.
    fn after(&mut self, byte: u8) -> Result<Option<State>, Unreadable> {
        let next = match (self.state, byte) {
            (State::Size { size, digits }, _) => return after_size(size, digits, byte).map(Some),
            (State::Extension { size, empty: false }, b'\r') => State::SizeEnd { size },
            (State::Extension { size, .. }, 0x21..=0x7e) => {
                self.extensions += 1;
                bounded(self.extensions, MAX_EXTENSIONS, "chunk extensions")?;
                State::Extension { size, empty: false }
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::TrailerStart,
            (State::SizeEnd { size }, b'\n') => State::Data { left: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::default(),
            (State::LastLf, b'\n') => return Ok(None),
            _ => return self.after_trailer(byte).map(Some),
        };
        Ok(Some(next))
    }

    fn after_trailer(&mut self, byte: u8) -> Result<State, Unreadable> {
        self.trailers += 1;
        bounded(self.trailers, MAX_TRAILERS, "trailers")?;
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::TrailerStart | State::TrailerName, byte) if is_token(byte) => Ok(State::TrailerName),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerEnd),
            (State::TrailerValue, b'\t' | 0x20..=0x7e | 0x80..) => Ok(State::TrailerValue),
            (State::TrailerEnd, b'\n') => Ok(State::TrailerStart),
            _ => Err(broken("the body's chunks cannot be read")),
        }
    }
}

fn after_size(size: u64, digits: u8, byte: u8) -> Result<State, Unreadable> {
    match (byte, char::from(byte).to_digit(16)) {
        (_, Some(digit)) if digits < 16 => Ok(State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }),
        (b'\r', _) if digits > 0 => Ok(State::SizeEnd { size }),
        (b';', _) if digits > 0 => Ok(State::Extension { size, empty: true }),
        _ => Err(broken("a chunk's size is not a plain hexadecimal number")),
    }
}

fn bounded(count: usize, limit: usize, what: &str) -> Result<(), Unreadable> {
    match count > limit {
        true => Err(broken(&format!("the body has more than {limit} bytes of {what}"))),
        false => Ok(()),
    }
}

fn broken(what: &str) -> Unreadable {
    Unreadable::Malformed(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept of a chunked body, and how many bytes belong to it, when it comes in pieces of that size.
    fn walk(bytes: &[u8], piece: usize) -> Result<Option<(Vec<u8>, usize)>, Unreadable> {
        let mut chunks = Walk::through(Framing::Chunked).unwrap();
        let mut kept = Vec::new();
        let mut used = 0;
        for piece in bytes.chunks(piece) {
            let walked = chunks.take(piece)?;
            kept.extend_from_slice(&piece[..walked.kept]);
            used += walked.used;
            if walked.ended {
                return Ok(Some((kept, used)));
            }
        }
        Ok(None)
    }

    #[test]
    fn a_chunked_body_ends_where_it_says_however_it_was_split() {
        let cases: [(&[u8], &[u8]); 6] = [
            (b"0\r\n\r\n", b"0\r\n"),
            (b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n"),
            (b"1\r\n\n\r\n00A\r\n0\r\n\r\n12345\r\n000\r\n\r\n", b"1\r\n\n\r\n00A\r\n0\r\n\r\n12345\r\n000\r\n"),
            (b"1;a=b;c\r\nx\r\n0;d\r\n\r\n", b"1;a=b;c\r\nx\r\n0;d\r\n"),
            (b"0\r\nX-User-Id: 1\r\nB:\r\n\r\n", b"0\r\n"),
            (b"1\r\nx\r\n0\r\nA: \xc3\t \r\n\r\n", b"1\r\nx\r\n0\r\n"),
        ];
        for (body, expected) in cases {
            let stream = [body, b"GET / HTTP/1.1\r\n"].concat();
            for piece in 1..=stream.len() {
                let found = walk(&stream, piece).unwrap();
                assert_eq!(found, Some((expected.to_vec(), body.len())), "{} by {piece}", body.escape_ascii());
            }
        }
    }

    #[test]
    fn chunks_that_servers_read_differently_are_refused() {
        let long_extension = [b"1;", &[b'a'; MAX_EXTENSIONS + 1][..]].concat();
        let long_trailers = [b"0\r\nA:", &[b'a'; MAX_TRAILERS + 1][..]].concat();
        let cases: [&[u8]; 28] = [
            b"\r\n",
            b"5\nhello",
            b"5\r\nhello\n",
            b"5\r\nhelloo",
            b"5\r\nhello\r0",
            b" 5\r\n",
            b"5 \r\n",
            b"5\t\r\n",
            b"+5\r\n",
            b"-5\r\n",
            b"0x5\r\n",
            b"g\r\n",
            b"5\r\r\n",
            b"5\rx",
            b"00000000000000005\r\n",
            b"5;\r\n",
            b"5;a\n",
            b"5;a b\r\n",
            b"5 ;a\r\n",
            b"5;\x00\r\n",
            b"0\r\n\n",
            b"0\r\n\rx",
            b"0\r\nA\r\n",
            b"0\r\n A: b\r\n",
            b"0\r\nA : b\r\n",
            b"0\r\nA: b\n",
            &long_extension,
            &long_trailers,
        ];
        for body in cases {
            for piece in [1, body.len()] {
                assert!(walk(body, piece).is_err(), "{} by {piece}", body.escape_ascii());
            }
        }
    }

    #[test]
    fn a_counted_body_ends_at_its_last_byte() {
        let mut walk = Walk::through(Framing::Length(5)).unwrap();
        assert_eq!(walk.take(b"abc"), Ok(Walked { kept: 3, used: 3, ended: false }));
        assert_eq!(walk.take(b"deGET"), Ok(Walked { kept: 2, used: 2, ended: true }));
        assert!(Walk::through(Framing::Empty).is_none());
    }
}
