//! A request's head: the bytes before the body, held as they came, with everything refused that two servers could read differently.
//!
//! Strict where RFC 9112 lets a server be lenient: its leniencies are where smuggling lives.

use std::fmt;

use bytes::Bytes;
use memchr::{memchr, memrchr};

use crate::request::Unreadable;

mod fields;
mod host;
pub mod http2;
mod scan;

use fields::{Field, Meaning};
pub use scan::Scan;

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

/// A checked head. Spans point into the one buffer it came in.
#[derive(Clone)]
pub struct Head {
    buffer: Bytes,
    method: Span,
    target: Span,
    host: Span,
    version: Version,
    framing: Framing,
    keeps_alive: bool,
    expects_continue: bool,
    fields: Vec<Field>,
}

/// The first line of a head, kept apart from it: a handle on the same bytes.
#[derive(Clone)]
pub struct Line {
    buffer: Bytes,
    method: Span,
    target: Span,
}

/// A stretch of a head's buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    from: u32,
    to: u32,
}

impl Span {
    /// `None` where the buffer is too large to be a head.
    fn new(from: usize, to: usize) -> Option<Self> {
        Some(Self { from: u32::try_from(from).ok()?, to: u32::try_from(to).ok()? })
    }

    fn of(self, buffer: &[u8]) -> &[u8] {
        buffer.get(self.from as usize..self.to as usize).unwrap_or_default()
    }
}

impl Head {
    /// Reads one whole HTTP/1 head, from the request line to the empty line.
    pub fn parse(buffer: Bytes, methods: &Methods) -> Result<Self, Unreadable> {
        let Some(end) = memchr(b'\n', &buffer) else { return Err(malformed("the head has no end")) };
        let request = RequestLine::read(line_before(&buffer, end)?, methods)?;
        let (fields, meaning) = fields::read(&buffer, end + 1)?;
        let target = request.target.of(&buffer);
        let host = meaning.host.ok_or_else(|| malformed("Host is missing"))?;
        let target = own_part(target, request.target, request.method.of(&buffer), host.of(&buffer))?;
        let http10 = request.version == Version::Http10;
        Ok(Self {
            method: request.method,
            target,
            host,
            version: request.version,
            framing: framing(&meaning, request.version)?,
            keeps_alive: !meaning.close && (!http10 || meaning.keep_alive),
            expects_continue: meaning.expects_continue && !http10,
            fields,
            buffer,
        })
    }

    /// `GET`, `POST`, …
    pub fn method(&self) -> &str {
        text(&self.buffer, self.method)
    }

    /// The target in origin form as sent (`/path?query`); of an absolute form, what follows the authority.
    pub fn target(&self) -> &str {
        target(&self.buffer, self.method, self.target)
    }

    /// The bytes of [`Self::target`].
    pub fn target_bytes(&self) -> &[u8] {
        match self.target.of(&self.buffer) {
            b"" => self.target().as_bytes(),
            target => target,
        }
    }

    /// Its first line, for later.
    pub fn line(&self) -> Line {
        Line { buffer: self.buffer.clone(), method: self.method, target: self.target }
    }

    /// The one Host.
    pub fn host(&self) -> &[u8] {
        self.host.of(&self.buffer)
    }

    /// The protocol it came by.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How long the body is.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the client lets the connection stay open after this request.
    pub fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// All headers in order: name with its case as sent, value without surrounding blanks.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (field.name.of(&self.buffer), field.value.of(&self.buffer)))
    }

    /// The values of every header of that name, in any case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers().filter(move |(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The value of the first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// [`Self::header`], as a handle on the same bytes.
    pub fn header_bytes(&self, name: &str) -> Option<Bytes> {
        self.header(name).map(|value| self.buffer.slice_ref(value))
    }
}

impl Line {
    /// [`Head::method`]
    pub fn method(&self) -> &str {
        text(&self.buffer, self.method)
    }

    /// [`Head::target`]
    pub fn target(&self) -> &str {
        target(&self.buffer, self.method, self.target)
    }
}

/// Without its target, because tokens stand in it.
impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("method", &self.method()).finish_non_exhaustive()
    }
}

/// Method and target were checked to be ASCII.
fn text(buffer: &Bytes, span: Span) -> &str {
    std::str::from_utf8(span.of(buffer)).unwrap_or_default()
}

fn target(buffer: &Bytes, method: Span, target: Span) -> &str {
    match text(buffer, target) {
        "" if method.of(buffer) == b"OPTIONS" => "*",
        "" => "/",
        target => target,
    }
}

/// Without target and headers, because tokens stand in them.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method())
            .field("version", &self.version)
            .field("framing", &self.framing)
            .field("headers", &self.fields.len())
            .finish_non_exhaustive()
    }
}

/// `METHOD TARGET HTTP/1.x`, parted by single spaces (RFC 9112, 3).
struct RequestLine {
    method: Span,
    target: Span,
    version: Version,
}

impl RequestLine {
    /// Spans count from the line's first byte.
    fn read(line: &[u8], methods: &Methods) -> Result<Self, Unreadable> {
        let first = memchr(b' ', line).ok_or_else(|| malformed("the request line has no target"))?;
        let method = line.get(..first).unwrap_or_default();
        if !methods.allows(method) {
            return Err(malformed("the method is not one that may pass"));
        }
        let last = memrchr(b' ', line).filter(|last| *last > first);
        let last = last.ok_or_else(|| malformed("the request line names no version"))?;
        let version = match line.get(last + 1..).unwrap_or_default() {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            _ => return Err(malformed("the version is neither HTTP/1.1 nor HTTP/1.0")),
        };
        check_target(line.get(first + 1..last).unwrap_or_default())?;
        let too_large = || malformed("the request line is too long");
        Ok(Self {
            method: Span::new(0, first).ok_or_else(too_large)?,
            target: Span::new(first + 1, last).ok_or_else(too_large)?,
            version,
        })
    }
}

/// Bytes that some server cuts off, folds or translates.
fn check_target(target: &[u8]) -> Result<(), Unreadable> {
    let odd = |byte: &u8| !(0x21..=0x7e).contains(byte) | (*byte == b'#') | (*byte == b'\\');
    // Folded without a branch, so that the compiler can look at many bytes at once.
    let any = target.iter().fold(false, |any, byte| any | odd(byte));
    match if any { target.iter().find(|byte| odd(byte)) } else { None } {
        None if target.is_empty() => Err(malformed("the target is empty")),
        None => Ok(()),
        Some(b'#') => Err(malformed("the target holds #")),
        Some(b'\\') => Err(malformed("the target holds a backslash")),
        Some(b' ') => Err(malformed("the target holds a space")),
        Some(_) => Err(malformed("the target holds a byte outside 0x21-0x7e")),
    }
}

/// The target's part that is the application's: all of it, or of an absolute form what follows the authority.
fn own_part(target: &[u8], span: Span, method: &[u8], host: &[u8]) -> Result<Span, Unreadable> {
    match target {
        [b'/', ..] => Ok(span),
        b"*" if method == b"OPTIONS" => Ok(span),
        b"*" => Err(malformed("the target is *, which only OPTIONS may ask for")),
        _ => {
            let authority_at = scheme(target).ok_or_else(|| malformed("the target is not a path"))?;
            let rest = target.get(authority_at..).unwrap_or_default();
            let length = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
            let (authority, own) = rest.split_at(length);
            if authority.contains(&b'@') {
                return Err(malformed("the target names a user"));
            }
            if !authority.eq_ignore_ascii_case(host) {
                return Err(malformed("the target's authority is not Host"));
            }
            if own.first() == Some(&b'?') {
                return Err(malformed("the target has no path"));
            }
            // The target ends where the line's span ends, so its own part is counted back from there.
            let own = u32::try_from(own.len()).unwrap_or_default();
            Ok(Span { from: span.to.saturating_sub(own), to: span.to })
        }
    }
}

/// Where the authority of an absolute form begins.
fn scheme(target: &[u8]) -> Option<usize> {
    [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
        .map(<[u8]>::len)
}

/// RFC 9112, 6.3, without its repairs.
fn framing(meaning: &Meaning, version: Version) -> Result<Framing, Unreadable> {
    match (meaning.length, meaning.chunked) {
        (Some(_), true) => Err(malformed("both Content-Length and Transfer-Encoding are given")),
        (None, true) if version == Version::Http10 => Err(malformed("Transfer-Encoding is given in HTTP/1.0")),
        (None, true) => Ok(Framing::Chunked),
        (None | Some(0), false) => Ok(Framing::Empty),
        (Some(length), false) => Ok(Framing::Length(length)),
    }
}

/// The line that a line feed at `end` closes, `buffer` beginning with it; its CR is cut.
fn line_before(buffer: &[u8], end: usize) -> Result<&[u8], Unreadable> {
    buffer
        .get(..end)
        .and_then(|line| line.strip_suffix(b"\r"))
        .ok_or_else(|| malformed("a line ends without a carriage return"))
}

/// Whether that byte may stand in a token (RFC 9110, 5.6.2).
pub fn is_token(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'z' | b'|' | b'~')
}

fn malformed(what: &str) -> Unreadable {
    Unreadable::Malformed(what.to_owned())
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
    pub fn allows(&self, method: &[u8]) -> bool {
        matches!(method, b"GET" | b"HEAD" | b"POST" | b"PUT" | b"PATCH" | b"DELETE" | b"OPTIONS")
            || self.extra.iter().any(|extra| extra.as_bytes() == method)
    }
}

#[cfg(test)]
mod tests;
