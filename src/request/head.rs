//! A request's head: the bytes before the body, held as they came, with everything refused that two servers could read differently.

use std::ops::Range;

use bytes::Bytes;

use crate::request::Unreadable;

/// The protocol the request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

/// How long the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    Empty,
    /// So many bytes; more than zero.
    Length(u64),
    /// In chunks, of a length nobody knows yet.
    Chunked,
}

/// A checked head. Ranges point into the one buffer it came in.
#[derive(Clone, Debug)]
pub struct Head {
    buffer: Bytes,
    method: Range<usize>,
    target: Range<usize>,
    host: Range<usize>,
    version: Version,
    framing: Framing,
    headers: Vec<(Range<usize>, Range<usize>)>,
}

impl Head {
    /// Reads one whole HTTP/1 head, from the request line to the empty line.
    pub fn parse(_buffer: Bytes, _methods: &Methods) -> Result<Self, Unreadable> {
        todo!()
    }

    /// `GET`, `POST`, …
    pub fn method(&self) -> &str {
        todo!()
    }

    /// The target in origin form as sent (`/path?query`); of an absolute form, what follows the authority.
    pub fn target(&self) -> &str {
        todo!()
    }

    /// The one Host.
    pub fn host(&self) -> &[u8] {
        todo!()
    }

    /// The protocol it came by.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How long the body is.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// All headers in order: name with its case as sent, value without surrounding blanks.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|_| todo!())
    }

    /// The values of every header of that name, in any case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers().filter(move |(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The value of the first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }
}

/// The methods that may pass: GET HEAD POST PUT PATCH DELETE OPTIONS, and those that a rule lists.
#[derive(Clone, Debug, Default)]
pub struct Methods {
    extra: Vec<String>,
}

impl Methods {
    /// The usual seven and `extra`.
    pub fn with(extra: Vec<String>) -> Self {
        Self { extra }
    }

    /// Whether that method may pass.
    pub fn allows(&self, _method: &[u8]) -> bool {
        let _ = &self.extra;
        todo!()
    }
}
