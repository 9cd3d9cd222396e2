//! Where a reply's body ends (RFC 9112, 6 and 7), read strictly.

use bytes::{Bytes, BytesMut};

/// Longest line that tells a chunk's size.
const LONGEST_LINE: usize = 4 * 1024;
/// Most bytes of trailers, all of them together.
const MOST_TRAILERS: usize = 16 * 1024;

/// How much of a body is still to come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// All until the connection ends.
    UntilClose,
    /// None: the connection has switched protocols.
    Switched,
}

/// What the bytes that were read hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// These bytes of the body.
    Data(Bytes),
    /// Nothing before more is read.
    More,
    /// The body's end.
    End,
}

/// Where in a chunked body the reading stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// Before a chunk's size.
    Size,
    /// Within a chunk, so many bytes before its end.
    Data(u64),
    /// Before the line end that ends a chunk.
    DataEnd,
    /// Behind the last chunk; so many bytes of trailers were dropped.
    Trailers(usize),
    /// Behind the end.
    Done,
}

impl Framing {
    /// Takes what is next out of `input`.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Step, &'static str> {
        match self {
            Self::Length(0) | Self::Switched => Ok(Step::End),
            Self::Length(left) => Ok(take(left, input)),
            Self::Chunked(chunks) => chunks.next(input),
            Self::UntilClose if input.is_empty() => Ok(Step::More),
            Self::UntilClose => Ok(Step::Data(input.split().freeze())),
        }
    }

    /// Whether the body is over, as far as `input` tells.
    pub(super) fn is_over(&mut self, input: &mut BytesMut) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            // What is wrong with the chunks stays in the input, to be found when more of the body is asked for.
            Self::Chunked(chunks) => chunks.skip_to_data(input).is_ok() && *chunks == Chunks::Done,
            Self::UntilClose | Self::Switched => false,
        }
    }

    /// Whether the end of the connection is the end of the body.
    pub(super) fn may_close(&self) -> bool {
        matches!(self, Self::UntilClose)
    }

    /// The length of what is to come, where known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(Chunks::Done) => Some(0),
            Self::Chunked(_) | Self::UntilClose | Self::Switched => None,
        }
    }
}

fn take(left: &mut u64, input: &mut BytesMut) -> Step {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    if count == 0 {
        return Step::More;
    }
    *left -= count as u64;
    Step::Data(input.split_to(count).freeze())
}

impl Chunks {
    fn next(&mut self, input: &mut BytesMut) -> Result<Step, &'static str> {
        self.skip_to_data(input)?;
        match self {
            Self::Data(left) => Ok(take(left, input)),
            Self::Done => Ok(Step::End),
            Self::Size | Self::DataEnd | Self::Trailers(_) => Ok(Step::More),
        }
    }

    /// Reads on until data, the end, or more input is needed.
    fn skip_to_data(&mut self, input: &mut BytesMut) -> Result<(), &'static str> {
        loop {
            let next = match self {
                Self::Size => read_line(input)?.map(|line| chunk_size(&line)).transpose()?.map(|size| match size {
                    0 => Self::Trailers(0),
                    size => Self::Data(size),
                }),
                Self::Data(0) => Some(Self::DataEnd),
                Self::DataEnd => end_chunk(input)?.then_some(Self::Size),
                Self::Trailers(dropped) => {
                    read_line(input)?.map(|line| Self::after_trailer(*dropped, &line)).transpose()?
                }
                Self::Data(_) | Self::Done => None,
            };
            match next {
                Some(next) => *self = next,
                None => return Ok(()),
            }
        }
    }

    fn after_trailer(dropped: usize, line: &[u8]) -> Result<Self, &'static str> {
        let dropped = dropped + line.len();
        match line {
            b"\r\n" => Ok(Self::Done),
            _ if dropped > MOST_TRAILERS => Err("its trailers are too long"),
            _ => Ok(Self::Trailers(dropped)),
        }
    }
}

/// A line with its end, which must be CRLF.
fn read_line(input: &mut BytesMut) -> Result<Option<BytesMut>, &'static str> {
    match memchr::memchr(b'\n', input) {
        Some(end) if end >= LONGEST_LINE => Err("a line between its chunks is too long"),
        Some(end) if input.get(..end).is_some_and(|line| line.ends_with(b"\r")) => Ok(Some(input.split_to(end + 1))),
        Some(_) => Err("a line between its chunks ends without CR"),
        None if input.len() >= LONGEST_LINE => Err("a line between its chunks is too long"),
        None => Ok(None),
    }
}

/// The line end behind a chunk; `false` where it has not come yet.
fn end_chunk(input: &mut BytesMut) -> Result<bool, &'static str> {
    match input.get(..2) {
        Some(b"\r\n") => {
            let _ = input.split_to(2);
            Ok(true)
        }
        None if input.is_empty() || input.starts_with(b"\r") => Ok(false),
        Some(_) | None => Err("a chunk is longer than it said"),
    }
}

/// `SIZE [BLANKS] [; EXTENSION] CRLF`. Extensions are dropped.
fn chunk_size(line: &[u8]) -> Result<u64, &'static str> {
    const BAD: &str = "a chunk's size cannot be read";
    let line = line.strip_suffix(b"\r\n").unwrap_or(line);
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = size.trim_ascii_end();
    if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(BAD);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| BAD)?;
    u64::from_str_radix(digits, 16).map_err(|_| BAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a chunked body that comes in pieces of that many bytes; gives what it holds and what is left over behind it.
    fn read(body: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<u8>), String> {
        let mut framing = Framing::Chunked(Chunks::Size);
        let (mut input, mut data) = (BytesMut::new(), Vec::new());
        let mut pieces = body.chunks(piece);
        loop {
            match framing.next(&mut input)? {
                Step::Data(bytes) => data.extend_from_slice(&bytes),
                Step::End => break,
                Step::More => input.extend_from_slice(pieces.next().ok_or("it breaks off")?),
            }
        }
        input.extend(pieces.flatten());
        Ok((data, input.to_vec()))
    }

    #[test]
    fn chunks_are_read_however_they_arrive() {
        let table: [(&[u8], &[u8], &[u8]); 6] = [
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello", b""),
            (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world", b""),
            (b"0005;a=b\r\nhello\r\n00;c\r\n\r\n", b"hello", b""),
            (b"a \t\r\n0123456789\r\n0\r\nX-Trailer: 1\r\nY: 2\r\n\r\n", b"0123456789", b""),
            (b"A\r\n0123456789\r\n0\r\n\r\nHTTP", b"0123456789", b"HTTP"),
            (b"0\r\n\r\n", b"", b""),
        ];
        for (body, data, rest) in table {
            for piece in [1, 2, 3, 7, 1000] {
                let expected = Ok((data.to_vec(), rest.to_vec()));
                assert_eq!(read(body, piece), expected, "{} by {piece}", body.escape_ascii());
            }
        }
    }

    #[test]
    fn bad_chunks_are_refused_however_they_arrive() {
        let long_line = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(LONGEST_LINE));
        let long_trailers = format!("0\r\n{}\r\n", "X: 1234567890\r\n".repeat(MOST_TRAILERS / 10));
        let table: [&[u8]; 16] = [
            b"\r\nhello",
            b";x\r\n\r\n",
            b"g\r\n",
            b"-5\r\nhello\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b" 5\r\nhello\r\n0\r\n\r\n",
            b"5 5\r\nhello\r\n",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhelloworld\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"10000000000000000\r\nhello",
            b"5\r\nhello\r\n0\r\n\n",
            b"5\r\nhello\r\n0\r\n",
            long_line.as_bytes(),
            long_trailers.as_bytes(),
        ];
        for body in table {
            for piece in [1, 2, 7, 100_000] {
                assert!(read(body, piece).is_err(), "{} by {piece}", body.escape_ascii());
            }
        }
    }

    #[test]
    fn the_end_is_seen_as_soon_as_it_is_there() {
        let mut framing = Framing::Chunked(Chunks::Size);
        let mut input = BytesMut::from(&b"5\r\nhello\r\n0\r\n\r"[..]);
        assert_eq!(framing.next(&mut input), Ok(Step::Data(Bytes::from_static(b"hello"))));
        assert!(!framing.is_over(&mut input));
        input.extend_from_slice(b"\n");
        assert!(framing.is_over(&mut input));
        assert_eq!(framing.length(), Some(0));

        let mut framing = Framing::Length(5);
        let mut input = BytesMut::from(&b"helloworld"[..]);
        assert_eq!(framing.next(&mut input), Ok(Step::Data(Bytes::from_static(b"hello"))));
        assert!(framing.is_over(&mut input));
        assert_eq!(framing.next(&mut input), Ok(Step::End));
    }
}
