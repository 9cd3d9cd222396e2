//! Request bodies: gathered where they must be read first, streamed otherwise, never copied without need.

use std::collections::VecDeque;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::request::Unreadable;
use crate::request::head::Framing;
use crate::request::multipart::Scan;

mod end;
mod pace;

pub use end::EndCheck;

use end::End;
use pace::Pace;

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

/// A body as it arrives.
#[derive(Debug)]
pub enum Arriving {
    /// From a client, piece by piece.
    Stream(Incoming),
    /// All of it: the gate made the request itself.
    Whole(Bytes),
}

impl From<Incoming> for Arriving {
    fn from(incoming: Incoming) -> Self {
        Self::Stream(incoming)
    }
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

    /// Gathers a body that is still to come, so that it can be judged before any of it is passed on, unless it is longer than
    /// `limits.form`.
    pub async fn settle(&mut self) -> Result<(), Unreadable> {
        let Self::Streaming(streaming) = self else { return Ok(()) };
        let limit = streaming.limits.form;
        self.gather(limit).await
    }

    /// Lets the last bytes of a body that is still to come pass only when `check` has said so.
    pub fn check_end(&mut self, check: EndCheck) {
        if let Self::Streaming(streaming) = self {
            streaming.end = Some(End::new(check));
        }
    }

    /// Lets the end pass whatever its check says.
    pub fn let_end_by(&mut self) {
        if let Self::Streaming(streaming) = self
            && let Some(end) = &mut streaming.end
        {
            end.let_by();
        }
    }

    /// Sets the bound of the whole body; an error where it is known to be larger.
    pub fn limit_to(&mut self, limit: u64) -> Result<(), Unreadable> {
        let known = match self {
            Self::Empty => 0,
            Self::Gathered(bytes) => bytes.len() as u64,
            Self::Streaming(streaming) => {
                streaming.limits.body = limit;
                streaming.length.unwrap_or(streaming.received)
            }
        };
        if known > limit { Err(too_large(limit)) } else { Ok(()) }
    }

    /// Gathers a body that is still to come, unless it is longer than `limit` bytes: then it streams on, with nothing lost.
    pub async fn gather(&mut self, limit: u64) -> Result<(), Unreadable> {
        *self = match std::mem::replace(self, Self::Empty) {
            Self::Streaming(streaming) => match streaming.gather(limit).await? {
                Ok(bytes) => Self::Gathered(bytes),
                Err(longer) => Self::Streaming(Box::new(longer)),
            },
            other => other,
        };
        Ok(())
    }

    /// Has a scan watch a body that is still to come, from its first byte.
    pub fn watch_with(&mut self, scan: Scan) {
        if let Self::Streaming(streaming) = self {
            streaming.watch_with(scan);
        }
    }
}

/// A body that is still to come, with its bounds kept.
#[derive(Debug)]
pub struct Streaming {
    /// What the connection still brings.
    rest: Incoming,
    /// The whole length, where known.
    length: Option<u64>,
    /// How much the connection brought.
    received: u64,
    /// Whether it brought everything.
    ended: bool,
    limits: Limits,
    pace: Pace,
    /// Read already, but handed to nobody.
    early: VecDeque<Bytes>,
    watch: Option<Watch>,
    end: Option<End>,
}

impl Streaming {
    /// A body of which nothing was read yet; an error where its announced length is too large.
    pub fn new(rest: Incoming, framing: Framing, limits: Limits) -> Result<Self, Unreadable> {
        let length = match framing {
            Framing::Empty => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        if length.is_some_and(|length| length > limits.body) {
            return Err(too_large(limits.body));
        }
        Ok(Self {
            rest,
            length,
            received: 0,
            ended: false,
            limits,
            pace: Pace::default(),
            early: VecDeque::new(),
            watch: None,
            end: None,
        })
    }

    /// Has a scan watch the body on its way, from its first byte.
    pub fn watch_with(&mut self, scan: Scan) {
        self.watch = Some(Watch { scan, held: Held::default() });
    }

    /// The whole length, where known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Gathers the body up to `limit` bytes; gives it back where it is longer, or was when it was gathered before, or where its
    /// end is to be checked, with nothing lost.
    pub async fn gather(mut self, limit: u64) -> Result<Result<Bytes, Self>, Unreadable> {
        let known_to_be_longer = self.length.is_some_and(|length| length > limit) || !self.early.is_empty();
        if known_to_be_longer || self.end.is_some() {
            return Ok(Err(self));
        }
        let mut whole = Gathering::with_room(self.length.unwrap_or_default());
        while let Some(bytes) = poll_fn(|context| self.poll_arrival(context)).await {
            whole.push(bytes?);
            if whole.len() > limit {
                self.early.push_back(whole.finish());
                return Ok(Err(self));
            }
        }
        Ok(Ok(whole.finish()))
    }

    /// Whether the body may yet turn out to be one that must not pass: till then nothing that answers it counts.
    pub fn is_owed(&self) -> bool {
        self.end.as_ref().is_some_and(End::is_owed)
    }

    /// The next bytes to pass on, with every bound kept, the scan heard and the end checked; `None` at the end.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Unreadable>>> {
        loop {
            let next = ready!(self.poll_cleared(context)?);
            let (end, bytes) = match (&mut self.end, next) {
                (None, next) => return Poll::Ready(next.map(Ok)),
                (Some(end), Some(bytes)) => (end, bytes),
                (Some(end), None) => return end.poll_last(context).map(Result::transpose),
            };
            if let Some(before) = end.take(bytes) {
                return Poll::Ready(Some(Ok(before)));
            }
        }
    }

    /// The next bytes that the scan has cleared.
    fn poll_cleared(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Unreadable>>> {
        loop {
            if let Some(bytes) = self.watch.as_mut().and_then(|watch| watch.held.pass()) {
                return Poll::Ready(Some(Ok(bytes)));
            }
            let next = match self.early.pop_front() {
                Some(bytes) => Some(bytes),
                None => ready!(self.poll_arrival(context)?),
            };
            match (next, &mut self.watch) {
                (Some(bytes), None) => return Poll::Ready(Some(Ok(bytes))),
                (Some(bytes), Some(watch)) => watch.take(bytes)?,
                (None, Some(watch)) if !watch.held.is_empty() => watch.end()?,
                (None, _) => return Poll::Ready(None),
            }
        }
    }

    /// The next bytes that the connection brings, within their bounds.
    fn poll_arrival(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Unreadable>>> {
        while !self.ended {
            let Poll::Ready(frame) = Pin::new(&mut self.rest).poll_frame(context) else {
                ready!(self.pace.poll_too_slow(self.received, self.limits, context));
                return Poll::Ready(Some(Err(Unreadable::TooSlow)));
            };
            self.pace.arrived();
            let Some(frame) = frame else {
                self.ended = true;
                let whole = self.length.is_none_or(|length| length == self.received);
                return Poll::Ready((!whole).then_some(Err(Unreadable::Gone)));
            };
            // Trailers have no data: PHP never sees them.
            let Ok(bytes) = frame.map_err(|error| unreadable(&error))?.into_data() else { continue };
            self.received = self.received.saturating_add(bytes.len() as u64);
            if self.received > self.length.unwrap_or(self.limits.body) {
                return Poll::Ready(Some(Err(too_large(self.limits.body))));
            }
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
        Poll::Ready(None)
    }
}

fn too_large(limit: u64) -> Unreadable {
    Unreadable::TooLarge(format!("the body is larger than {limit} bytes"))
}

/// hyper tells bad chunks from a lost connection by the kind of the error behind its own.
fn unreadable(error: &hyper::Error) -> Unreadable {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            Unreadable::Malformed("the body's chunks cannot be read".to_owned())
        }
        _ => Unreadable::Gone,
    }
}

/// A body being put together. One that came in one piece is not copied.
enum Gathering {
    Nothing { room: usize },
    One { bytes: Bytes, room: usize },
    Many(BytesMut),
}

impl Gathering {
    fn with_room(room: u64) -> Self {
        Self::Nothing { room: usize::try_from(room).unwrap_or_default() }
    }

    fn push(&mut self, more: Bytes) {
        match self {
            Self::Nothing { room } => *self = Self::One { bytes: more, room: *room },
            Self::One { bytes, room } => {
                let mut all = BytesMut::with_capacity((*room).max(bytes.len() + more.len()));
                all.extend_from_slice(bytes);
                all.extend_from_slice(&more);
                *self = Self::Many(all);
            }
            Self::Many(all) => all.extend_from_slice(&more),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::Nothing { .. } => 0,
            Self::One { bytes, .. } => bytes.len() as u64,
            Self::Many(all) => all.len() as u64,
        }
    }

    fn finish(self) -> Bytes {
        match self {
            Self::Nothing { .. } => Bytes::new(),
            Self::One { bytes, .. } => bytes,
            Self::Many(all) => all.freeze(),
        }
    }
}

/// A scan and the bytes it has not cleared yet.
#[derive(Debug)]
struct Watch {
    scan: Scan,
    held: Held,
}

impl Watch {
    fn take(&mut self, bytes: Bytes) -> Result<(), Unreadable> {
        let cleared = self.scan.feed(&bytes).map_err(|name| reserved(&name))?;
        self.held.push(bytes);
        self.held.clear(cleared);
        Ok(())
    }

    /// PHP reads a part's head that the end of the body cuts off as if it were whole. So does the scan, before the rest may pass.
    fn end(&mut self) -> Result<(), Unreadable> {
        self.scan.feed(b"\r\n\r\n").map_err(|name| reserved(&name))?;
        self.held.clear(usize::MAX);
        Ok(())
    }
}

fn reserved(name: &[u8]) -> Unreadable {
    Unreadable::Ambiguous(format!("{} in a multipart body", name.escape_ascii()))
}

/// Bytes in order, of which the first few may pass.
#[derive(Debug, Default)]
struct Held {
    pieces: VecDeque<Bytes>,
    cleared: usize,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    fn push(&mut self, bytes: Bytes) {
        self.pieces.push_back(bytes);
    }

    fn clear(&mut self, more: usize) {
        self.cleared = self.cleared.saturating_add(more);
    }

    fn pass(&mut self) -> Option<Bytes> {
        let first = self.pieces.front_mut().filter(|_| self.cleared > 0)?;
        let now = first.split_to(first.len().min(self.cleared));
        self.cleared -= now.len();
        if first.is_empty() {
            self.pieces.pop_front();
        }
        Some(now)
    }
}

#[cfg(test)]
mod tests;
