//! Finding the end of a head while it arrives.

use memchr::memchr;

use super::{Methods, RequestLine, is_token, line_before, malformed};
use crate::request::Unreadable;

/// How far a head that is still arriving was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    /// Where the line that has no end yet begins.
    line: usize,
    /// Up to where that line was looked at.
    seen: usize,
    /// Whether the request line was found good.
    started: bool,
}

impl Scan {
    /// The length of the head that `bytes` begin with, once its empty line has come. What can be seen to be wrong earlier
    /// is told earlier, so that a caller who waits for an answer to `GET /` gets one.
    pub fn head_length(&mut self, bytes: &[u8], methods: &Methods) -> Result<Option<usize>, Unreadable> {
        while let Some(end) = bytes.get(self.seen..).and_then(|rest| memchr(b'\n', rest)).map(|found| self.seen + found)
        {
            let line = line_before(bytes.get(self.line..).unwrap_or_default(), end - self.line)?;
            if line.is_empty() {
                return match self.line {
                    0 => Err(malformed("an empty line stands before the request line")),
                    _ => Ok(Some(end + 1)),
                };
            }
            self.line = end + 1;
            self.seen = end + 1;
        }
        self.seen = bytes.len();
        self.check_start(bytes, methods)?;
        Ok(None)
    }

    fn check_start(&mut self, bytes: &[u8], methods: &Methods) -> Result<(), Unreadable> {
        if bytes.first().is_some_and(|first| !is_token(*first)) {
            return Err(malformed("the request does not begin with a method"));
        }
        if self.started || self.line == 0 {
            return Ok(());
        }
        let end = memchr(b'\n', bytes).unwrap_or_default();
        self.started = true;
        RequestLine::read(line_before(bytes, end)?, methods).map(|_| ())
    }
}
