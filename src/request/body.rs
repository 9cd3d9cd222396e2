//! Request bodies: gathered where they must be read first, streamed otherwise, never copied.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;

use crate::request::Unreadable;
use crate::request::head::Framing;
use crate::request::multipart::Scan;

/// Bounds of a body.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `limits.form`: bodies that are read, in bytes.
    pub form: u64,
    /// `limits.body`, or the rule's `max_body`: all bodies, in bytes.
    pub body: u64,
    /// `timeouts.body_idle`: longest wait for the next bytes.
    pub idle: Duration,
    /// `timeouts.body_rate`: least bytes per second, counted after the first ten seconds.
    pub rate: u64,
}

/// A body.
#[derive(Debug)]
pub enum Body {
    /// None.
    Empty,
    /// All of it.
    Gathered(Bytes),
    /// Still to come.
    Streaming(Box<Streaming>),
}

impl Body {
    /// The whole body, where it was gathered.
    pub fn gathered(&self) -> Option<&Bytes> {
        match self {
            Self::Gathered(bytes) => Some(bytes),
            Self::Empty | Self::Streaming(_) => None,
        }
    }
}

/// A body that is still to come: what was read of it already, then the rest.
#[derive(Debug)]
pub struct Streaming {
    /// Read already, to be sent first.
    pub first: Bytes,
    /// The rest.
    pub rest: Incoming,
    /// The whole length, where known.
    pub length: Option<u64>,
    /// Watches a multipart body on its way.
    pub scan: Option<Scan>,
    /// Its bounds.
    pub limits: Limits,
}

/// Gathers a body up to `limit` bytes. `Ok(Err(streaming))` where it turned out longer: everything read is in `first`.
pub async fn gather(
    _rest: Incoming,
    _framing: Framing,
    _limit: u64,
    _limits: Limits,
) -> Result<Result<Bytes, Streaming>, Unreadable> {
    todo!()
}

impl Streaming {
    /// The next bytes to pass on, with every bound kept and the scan heard; `None` at the end.
    pub fn poll_next(&mut self, _context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Unreadable>>> {
        todo!()
    }
}
