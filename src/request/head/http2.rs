//! The head of an HTTP/2 request (RFC 9113, 8.3), out of its fields, under the same rules as any other.
//!
//! It is put together as the text of an HTTP/1 head and read as such, so that no rule is written twice. Nothing gets into that
//! text that could end a line.

use bytes::Bytes;

use super::{Framing, Head, Methods, Version, check_target, host, is_token, malformed};
use crate::request::Unreadable;

/// Why fields make no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They break HTTP/2 itself: the stream ends without an answer (RFC 9113, 8.1.1).
    Protocol(&'static str),
    /// They could be read in two ways, or are too many: the gate answers.
    Unreadable(Unreadable),
}

impl From<Unreadable> for Fault {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

/// The fields of one request as they come.
#[derive(Debug)]
pub struct Draft {
    limit: usize,
    size: usize,
    fault: Option<Fault>,
    method: Option<Vec<u8>>,
    scheme: Option<Vec<u8>>,
    authority: Option<Vec<u8>>,
    path: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    /// All other fields, as lines.
    lines: Vec<u8>,
    /// Whether the pseudo-headers are over.
    regular: bool,
}

/// Fields that concern one connection; in HTTP/2 nobody may send them (RFC 9113, 8.2.2).
const CONNECTION: [&[u8]; 5] = [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"];

impl Draft {
    /// Of a head of at most so many bytes.
    pub fn up_to(limit: usize) -> Self {
        Self {
            limit,
            size: 0,
            fault: None,
            method: None,
            scheme: None,
            authority: None,
            path: None,
            host: None,
            lines: Vec::new(),
            regular: false,
        }
    }

    /// Takes the next field. What is wrong with it is told at the end.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.size = self.size.saturating_add(name.len() + value.len() + b": \r\n".len());
        if self.fault.is_some() {
            return;
        }
        let taken = match name.first() {
            _ if self.size > self.limit => Err(Unreadable::HeaderTooLarge(self.limit).into()),
            Some(b':') => self.push_pseudo(name, value).map_err(Fault::Protocol),
            _ => self.push_regular(name, value),
        };
        self.fault = taken.err();
    }

    /// The head; `ends` tells that no body follows.
    pub fn finish(self, ends: bool, methods: &Methods) -> Result<Head, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let method = self.method.ok_or(Fault::Protocol("a request has no :method"))?;
        if !methods.allows(&method) {
            return Err(malformed("the method is not one that may pass").into());
        }
        let scheme = self.scheme.ok_or(Fault::Protocol("a request has no :scheme"))?;
        let path = self.path.filter(|path| !path.is_empty()).ok_or(Fault::Protocol("a request has no :path"))?;
        if scheme != b"https" && scheme != b"http" {
            return Err(malformed("the scheme is neither https nor http").into());
        }
        check_target(&path)?;
        if path.first() != Some(&b'/') && !(path == b"*" && method == b"OPTIONS") {
            return Err(malformed("the target is not a path").into());
        }
        let host = one_host(self.authority, self.host)?;
        let text =
            [&method, b" ".as_slice(), &path, b" HTTP/1.1\r\nhost: ", &host, b"\r\n", &self.lines, b"\r\n"].concat();
        if text.len() > self.limit {
            return Err(Unreadable::HeaderTooLarge(self.limit).into());
        }
        let head = Head::parse(Bytes::from(text), methods)?;
        let framing = framing(&head, ends)?;
        Ok(Head { version: Version::Http2, framing, keeps_alive: true, ..head })
    }

    fn push_pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if self.regular {
            return Err("a pseudo-header stands after other fields");
        }
        let place = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            _ => return Err("a pseudo-header is none of a request"),
        };
        match place.replace(value.to_vec()) {
            None => Ok(()),
            Some(_) => Err("a pseudo-header stands twice"),
        }
    }

    fn push_regular(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.regular = true;
        check_field(name, value).map_err(Fault::Protocol)?;
        if name != b"host" {
            for part in [name, b": ", value, b"\r\n"] {
                self.lines.extend_from_slice(part);
            }
            return Ok(());
        }
        match self.host.replace(value.to_vec()) {
            None => Ok(()),
            Some(_) => Err(malformed("Host is given twice").into()),
        }
    }
}

/// What no field of HTTP/2 may be (RFC 9113, 8.2), trailers included.
pub fn check_field(name: &[u8], value: &[u8]) -> Result<(), &'static str> {
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte) && !byte.is_ascii_uppercase()) {
        return Err("a field's name holds what no name may hold, or is not in lower case");
    }
    if value.iter().any(|byte| matches!(byte, b'\0' | b'\r' | b'\n')) {
        return Err("a field's value holds NUL, CR or LF");
    }
    if [value.first(), value.last()].iter().any(|byte| matches!(byte, Some(b' ' | b'\t'))) {
        return Err("a field's value begins or ends with a blank");
    }
    if CONNECTION.contains(&name) || (name == b"te" && value != b"trailers") {
        return Err("a field concerns the connection, which in HTTP/2 none may");
    }
    Ok(())
}

/// `:authority` takes the place of Host; who gives both must give the same (RFC 9113, 8.3.1).
fn one_host(authority: Option<Vec<u8>>, given: Option<Vec<u8>>) -> Result<Vec<u8>, Unreadable> {
    let one = match (authority, given) {
        (Some(authority), Some(given)) if !authority.eq_ignore_ascii_case(&given) => {
            return Err(malformed("Host is not :authority"));
        }
        (Some(one), _) | (None, Some(one)) => one,
        (None, None) => return Err(malformed("Host is missing")),
    };
    host::check(&one)?;
    Ok(one)
}

/// The length that the client tells, if any; the end of the stream closes the rest (RFC 9113, 8.1.1).
fn framing(head: &Head, ends: bool) -> Result<Framing, Fault> {
    match (head.framing, ends) {
        (Framing::Length(_), true) => Err(Fault::Protocol("a request without body tells a length of one")),
        (framing @ Framing::Length(_), false) => Ok(framing),
        (_, true) => Ok(Framing::Empty),
        (_, false) if head.header("content-length").is_some() => Ok(Framing::Empty),
        (_, false) => Ok(Framing::Chunked),
    }
}

#[cfg(test)]
mod tests;
