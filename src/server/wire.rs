//! Between socket and hyper: reads every head strictly, and tells hyper a synthetic one in its place.
//!
//! hyper does framing, keep-alive, `100 Continue` and writing; it never interprets a byte of the client's heads. The real head
//! goes to the service through the connection's slot. What follows a message is held back until hyper asks for the
//! next one, so bodies and heads cannot be mixed up. A head that cannot be read is told as a request that closes, for
//! the gate to answer; nothing after it is read.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::current::{Current, Serving};
use super::deadlines::{Deadlines, Side};
use super::framing::Walk;
use super::slot::Slot;
use super::synthetic;
use crate::request::Unreadable;
use crate::request::head::{Head, Scan};

mod interim;

/// How long a client may go on sending what nobody will read, after its answer: closing at once would reset the connection
/// and could take the answer away from it.
const LINGER: Duration = Duration::from_secs(2);

/// How long a connection on which nothing is under way stays open once the gate drains: a request that is on its way already is
/// answered, and told that it was the last.
const LAST_CALL: Duration = Duration::from_millis(500);

/// How long a connection keeps hyper, and its buffers with it, for a next request.
const REST: Duration = Duration::from_millis(100);

/// Most bytes of a head that are read at once while hyper is not there.
const FIRST_READ: usize = 4096;

/// A connection's socket as hyper sees it.
#[derive(Debug)]
pub(super) struct Wire<IO> {
    io: IO,
    slot: Slot,
    current: Arc<Current>,
    /// What came and was not handed on.
    arrived: BytesMut,
    /// What hyper is told next.
    told: Bytes,
    reading: Reading,
    /// Whether the head that came last begins with `HEAD`, however it goes on.
    asks_for_head: bool,
    /// Whether the message under way is the connection's last.
    last: bool,
    /// Whether a head was ever read.
    began: bool,
    /// What the read deadline was set for.
    awaiting: Awaiting,
    deadlines: Deadlines,
    /// Whether the client does not take what is to be written.
    writing: bool,
    interim: interim::Writing,
    /// Whether our side was closed.
    shut: bool,
}

/// What the next bytes are.
#[derive(Debug)]
enum Reading {
    /// A head.
    Head(Scan),
    /// A body.
    Body(Walk),
    /// Nothing that anybody will read; the client may be sending.
    Refused,
    /// Nothing: the last message was whole.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaiting {
    Nothing,
    /// The first byte of the next head.
    Start,
    /// The rest of a head.
    Rest,
    /// The first byte of the last head.
    LastStart,
}

/// Whether hyper's read is answered.
enum Step {
    /// It is.
    Answered,
    /// Look again.
    Again,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Wire<IO> {
    /// A connection just accepted.
    pub(super) fn new(io: IO, slot: Slot, current: Arc<Current>) -> Self {
        Self {
            io,
            slot,
            current,
            arrived: BytesMut::new(),
            told: Bytes::new(),
            reading: Reading::Head(Scan::default()),
            asks_for_head: false,
            last: false,
            began: false,
            awaiting: Awaiting::Nothing,
            deadlines: Deadlines::default(),
            writing: false,
            interim: interim::Writing::default(),
            shut: false,
        }
    }

    /// Waits until something of a head has come, for hyper to be told. `false` where the connection has come to its end before.
    pub(super) async fn starts(&mut self) -> bool {
        let started = poll_fn(|context| self.poll_start(context)).await;
        // One that broke has ended.
        started.unwrap_or_default()
    }

    fn poll_start(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.arrived.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let mut scratch = [MaybeUninit::uninit(); FIRST_READ];
        self.deadlines.clear(Side::Rest);
        match self.poll_arrival(context, &mut ReadBuf::uninit(&mut scratch))? {
            Poll::Ready(count) => Poll::Ready(Ok(count > 0)),
            Poll::Pending => self.poll_too_late(context).map(|()| Ok(false)),
        }
    }

    /// The socket.
    pub(super) fn into_io(self) -> IO {
        self.io
    }

    /// The socket, what of interim replies is still to be written, and what came behind the last request.
    pub(super) fn into_parts(self) -> (IO, Bytes, BytesMut) {
        (self.io, self.interim.rest(&self.slot), self.arrived)
    }

    fn poll_step(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<Step>> {
        if !self.told.is_empty() {
            let length = self.told.len().min(buffer.remaining());
            buffer.put_slice(&self.told.split_to(length));
            return Poll::Ready(Ok(Step::Answered));
        }
        match self.reading {
            Reading::Head(_) => self.poll_head(context, buffer),
            Reading::Body(_) => self.poll_body(context, buffer),
            Reading::Refused | Reading::Ended => Poll::Ready(Ok(Step::Answered)),
        }
    }

    /// Reads on until there is a head to tell of, or the connection has come to its end.
    fn poll_head(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<Step>> {
        loop {
            let serving = self.current.take();
            if let Some(head) = self.next_head(&serving) {
                self.tell(head, serving)?;
                return Poll::Ready(Ok(Step::Again));
            }
            match self.poll_arrival(context, buffer)? {
                Poll::Ready(0) => return Poll::Ready(Ok(Step::Answered)),
                Poll::Ready(_) => {}
                Poll::Pending if self.poll_too_late(context).is_pending() => {
                    self.look_at_rest(context);
                    return Poll::Pending;
                }
                Poll::Pending if self.arrived.is_empty() => return Poll::Ready(Ok(Step::Answered)),
                Poll::Pending => {
                    let late = Unreadable::Malformed("the head did not come whole in time".to_owned());
                    self.tell(Err(late), serving)?;
                    return Poll::Ready(Ok(Step::Again));
                }
            }
        }
    }

    /// The head that stands whole in what arrived, or why there cannot be one.
    fn next_head(&mut self, serving: &Serving) -> Option<Result<Head, Unreadable>> {
        let Reading::Head(scan) = &mut self.reading else { return None };
        if self.arrived.is_empty() {
            return None;
        }
        let (limit, methods) = (serving.settings.header, &serving.settings.methods);
        self.asks_for_head = self.arrived.starts_with(b"HEAD ");
        match scan.head_length(&self.arrived, methods) {
            Err(error) => Some(Err(error)),
            Ok(Some(length)) if length > limit => Some(Err(Unreadable::HeaderTooLarge(limit))),
            Ok(None) if self.arrived.len() >= limit => Some(Err(Unreadable::HeaderTooLarge(limit))),
            Ok(Some(length)) => {
                let head = self.take_arrived(length);
                Some(Head::parse(head, methods))
            }
            Ok(None) => None,
        }
    }

    /// The first bytes of what arrived. An empty rest keeps no memory.
    fn take_arrived(&mut self, length: usize) -> Bytes {
        if length == self.arrived.len() {
            return std::mem::take(&mut self.arrived).freeze();
        }
        self.arrived.split_to(length).freeze()
    }

    /// Leaves the head for the service and its synthetic twin for hyper.
    fn tell(&mut self, head: Result<Head, Unreadable>, serving: Arc<Serving>) -> io::Result<()> {
        self.deadlines.clear(Side::Read);
        self.deadlines.clear(Side::Rest);
        self.awaiting = Awaiting::Nothing;
        self.began = true;
        match &head {
            Err(_) => {
                self.last = true;
                self.reading = Reading::Refused;
                self.arrived = BytesMut::new();
                self.told = synthetic::refused(self.asks_for_head);
            }
            Ok(head) => {
                self.last = !head.keeps_alive() || self.slot.is_draining();
                self.told = synthetic::head(head, self.last);
                match Walk::through(head.framing()) {
                    Some(walk) => self.reading = Reading::Body(walk),
                    None => self.end_message(),
                }
            }
        }
        match self.slot.leave(head, serving) {
            true => Ok(()),
            false => Err(io::Error::other("a request was read before the one before it was taken up")),
        }
    }

    fn end_message(&mut self) {
        self.reading = if self.last { Reading::Ended } else { Reading::Head(Scan::default()) };
    }

    /// Reads into `arrived`. hyper's buffer serves as scratch, so that an idle connection owns none here.
    fn poll_arrival(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        self.arrived.extend_from_slice(fresh);
        let count = fresh.len();
        buffer.set_filled(before);
        Poll::Ready(Ok(count))
    }

    /// Ready when a head that nothing more came of is late, or its connection is to end.
    fn poll_too_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let nothing_came = self.arrived.is_empty();
        self.slot.wait(nothing_came);
        let awaiting = match nothing_came {
            true if self.slot.is_draining() => Awaiting::LastStart,
            true if self.began => Awaiting::Start,
            true | false => Awaiting::Rest,
        };
        if self.awaiting != awaiting {
            self.awaiting = awaiting;
            let settings = &self.current.serving().settings;
            let after = match awaiting {
                Awaiting::Start => settings.keep_alive,
                Awaiting::Rest | Awaiting::Nothing => settings.header_timeout,
                Awaiting::LastStart => LAST_CALL,
            };
            self.deadlines.set(Side::Read, after);
        }
        self.deadlines.poll_passed(Side::Read, context)
    }

    /// Tells when nothing has come for so long that hyper can go.
    fn look_at_rest(&mut self, context: &mut Context<'_>) {
        if self.arrived.is_empty() {
            self.deadlines.begin(Side::Rest, REST);
            if self.deadlines.poll_passed(Side::Rest, context).is_ready() {
                self.slot.rest();
            }
        }
    }

    /// Hands on what belongs to the body, and holds back what does not.
    fn poll_body(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<Step>> {
        let before = buffer.filled().len();
        let held = !self.arrived.is_empty();
        if held {
            let length = self.arrived.len().min(buffer.remaining());
            buffer.put_slice(self.arrived.get(..length).unwrap_or_default());
        } else {
            ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        }
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        if fresh.is_empty() {
            return Poll::Ready(Ok(Step::Answered));
        }
        let Reading::Body(walk) = &mut self.reading else { return Poll::Ready(Ok(Step::Again)) };
        let walked = match walk.take(fresh) {
            Ok(walked) => walked,
            Err(error) => {
                self.reading = Reading::Refused;
                buffer.set_filled(before);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
        };
        if held {
            drop(self.take_arrived(walked.used));
        } else {
            self.arrived.extend_from_slice(fresh.get(walked.used..).unwrap_or_default());
        }
        if walked.ended {
            if let Reading::Body(Walk::Chunked(_)) = self.reading {
                self.told = synthetic::END_OF_CHUNKS;
            }
            self.end_message();
        }
        buffer.set_filled(before + walked.kept);
        Poll::Ready(Ok(if walked.kept == 0 { Step::Again } else { Step::Answered }))
    }

    /// Fails a write of which the client takes nothing for too long.
    fn watched<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if self.writing != written.is_pending() {
            self.writing = written.is_pending();
            self.slot.set_writing(self.writing);
        }
        if written.is_ready() {
            self.deadlines.clear(Side::Write);
            return written;
        }
        self.deadlines.begin(Side::Write, self.current.serving().settings.write);
        ready!(self.deadlines.poll_passed(Side::Write, context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether the client may be sending something that nobody read.
    fn has_unread(&self) -> bool {
        matches!(self.reading, Reading::Refused | Reading::Body(_)) || !self.arrived.is_empty()
    }

    /// Reads on without looking until the client has closed its side, or for a while.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        loop {
            let mut scratch = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.io).poll_read(context, &mut scratch) {
                Poll::Ready(Ok(())) if !scratch.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.deadlines.poll_passed(Side::Read, context),
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<IO> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match ready!(this.poll_step(context, buffer))? {
                Step::Answered => return Poll::Ready(Ok(())),
                Step::Again => {}
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match this.poll_writable(context) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.io).poll_write(context, bytes),
            waiting => waiting.map_ok(|()| 0),
        };
        this.watched(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match this.poll_writable(context) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.io).poll_write_vectored(context, slices),
            waiting => waiting.map_ok(|()| 0),
        };
        this.watched(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = this.poll_flushed(context);
        this.watched(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.shut {
            let shut = Pin::new(&mut this.io).poll_shutdown(context);
            ready!(this.watched(context, shut))?;
            this.shut = true;
            this.deadlines.set(Side::Read, LINGER);
        }
        if this.has_unread() {
            ready!(this.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
