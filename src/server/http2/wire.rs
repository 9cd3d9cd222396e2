//! Between socket and hyper on an HTTP/2 connection: reads every header block, and tells hyper a synthetic one in its place.
//!
//! hyper does streams, flow control and everything else of the protocol; it never sees a field that the client wrote, and cuts
//! none. What breaks the protocol is told to it in a form that it breaks over in the way the protocol wants. Frames that are no
//! header blocks pass as they are, once they are counted.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame::{self, Frame};
use super::hpack::{self, Decoder};
use super::patience::{ANSWERED, Patience};
use super::streams::{self, Streams};
use crate::request::Unreadable;
use crate::request::head::Framing;
use crate::request::head::http2::{Draft, Fault, check_field};
use crate::server::Current;
use crate::server::deadlines::{Deadlines, Side};

/// How long a connection on which nothing is under way stays open once it is to end: GOAWAY is on its way, and a request may be.
const LAST_CALL: Duration = Duration::from_secs(1);

/// What a header block may hold over `limits.header` and still be answered with 431. Its fields must be read even so, because
/// those of later blocks lean on them.
const EXCESS: usize = 16 * 1024;

/// A connection's socket as hyper sees it.
#[derive(Debug)]
pub(super) struct Wire<IO> {
    io: IO,
    streams: Streams,
    current: Arc<Current>,
    /// What came and was not handed on.
    arrived: BytesMut,
    /// What hyper is told next.
    told: Bytes,
    reading: Reading,
    decoder: Decoder,
    /// The last stream that a client began.
    last: u32,
    /// Streams that a client may still send on, as far as what it sent itself tells.
    open: VecDeque<u32>,
    patience: Patience,
    awaiting: Awaiting,
    deadlines: Deadlines,
}

/// What the next bytes are.
#[derive(Debug)]
enum Reading {
    /// So many that pass as they are.
    Passing(usize),
    /// The beginning of a frame.
    Frame,
    /// A frame of a header block.
    Fragment(Frame),
    /// What follows a frame of a header block, which is to be its next.
    More(Block),
    /// A frame that goes on with a header block, so many bytes long.
    Continuation(Block, Frame),
    /// Nothing that anybody will read.
    Ended,
}

/// A header block of which more is to come.
#[derive(Debug)]
struct Block {
    stream: u32,
    ends: bool,
    depends_on_itself: bool,
    bytes: BytesMut,
}

/// What a client is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaiting {
    Nothing,
    /// Its first request, or the rest of a header block.
    Head,
    /// The next request.
    Request,
    /// That it goes.
    End,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Wire<IO> {
    pub(super) fn new(io: IO, streams: Streams, current: Arc<Current>) -> Self {
        Self {
            io,
            streams,
            current,
            arrived: BytesMut::new(),
            told: Bytes::new(),
            reading: Reading::Passing(frame::PREFACE),
            decoder: Decoder::default(),
            last: 0,
            open: VecDeque::new(),
            patience: Patience::new(),
            awaiting: Awaiting::Nothing,
            deadlines: Deadlines::default(),
        }
    }

    /// Makes something of what arrived. `false` where more must come first.
    fn step(&mut self) -> io::Result<bool> {
        match std::mem::replace(&mut self.reading, Reading::Ended) {
            Reading::Frame => self.begin_frame(None),
            Reading::More(block) => self.begin_frame(Some(block)),
            Reading::Fragment(frame) if self.arrived.len() < frame.length => self.wait(Reading::Fragment(frame)),
            Reading::Fragment(frame) => self.take_fragment(frame),
            Reading::Continuation(block, frame) if self.arrived.len() < frame.length => {
                self.wait(Reading::Continuation(block, frame))
            }
            Reading::Continuation(mut block, frame) => {
                block.bytes.extend_from_slice(&self.take_arrived(frame.length));
                self.go_on(block, frame.has(frame::END_HEADERS))
            }
            reading @ (Reading::Passing(_) | Reading::Ended) => self.wait(reading),
        }
    }

    fn wait(&mut self, reading: Reading) -> io::Result<bool> {
        self.reading = reading;
        Ok(false)
    }

    fn begin_frame(&mut self, block: Option<Block>) -> io::Result<bool> {
        let Some(frame) = Frame::read(&self.arrived) else {
            return self.wait(block.map_or(Reading::Frame, Reading::More));
        };
        self.patience.forget(self.streams.answered().saturating_mul(ANSWERED));
        if !self.patience.bears(frame) {
            return Err(io::Error::other("the client floods the connection with frames of no use"));
        }
        if frame.length > frame::MAX_LENGTH {
            // hyper needs to see no more of it to end the connection for its size.
            self.told = self.take_arrived(frame::HEADER);
            return Ok(true);
        }
        match (frame.kind, block) {
            (frame::CONTINUATION, Some(block)) if frame.stream == block.stream => {
                self.arrived.advance(frame::HEADER);
                self.reading = Reading::Continuation(block, frame);
            }
            (frame::CONTINUATION | frame::PUSH_PROMISE, None) | (_, Some(_)) => self.told = frame::no_protocol(),
            (frame::HEADERS, None) => {
                self.arrived.advance(frame::HEADER);
                self.reading = Reading::Fragment(frame);
            }
            (_, None) => {
                if frame.kind == frame::RST_STREAM || (frame.kind == frame::DATA && frame.has(frame::END_STREAM)) {
                    self.open.retain(|open| *open != frame.stream);
                }
                self.reading = Reading::Passing(frame::HEADER + frame.length);
            }
        }
        Ok(true)
    }

    fn take_fragment(&mut self, frame: Frame) -> io::Result<bool> {
        let payload = self.take_arrived(frame.length);
        let Ok(fragment) = frame::fragment(frame, &payload) else {
            self.told = frame::no_protocol();
            return Ok(true);
        };
        let block = Block {
            stream: frame.stream,
            ends: frame.has(frame::END_STREAM),
            depends_on_itself: fragment.depends_on_itself,
            bytes: BytesMut::from(fragment.block),
        };
        self.go_on(block, frame.has(frame::END_HEADERS))
    }

    fn go_on(&mut self, block: Block, is_whole: bool) -> io::Result<bool> {
        if block.bytes.len() > self.current.serving().settings.header + EXCESS {
            return Err(io::Error::other("the client sends a header block without end"));
        }
        if !is_whole {
            self.reading = Reading::More(block);
            return Ok(true);
        }
        // What it was waited for has come: the time for it must not run out while the request is answered.
        self.awaiting = Awaiting::Nothing;
        self.deadlines.clear(Side::Read);
        let told = if block.stream > self.last { self.read_request(&block) } else { self.read_trailers(&block) };
        self.told = match told {
            Some(told) => {
                self.reading = Reading::Frame;
                told
            }
            None => frame::no_compression(),
        };
        Ok(true)
    }

    /// Leaves the head for the service; what hyper is told of it. `None` where the block cannot be read.
    fn read_request(&mut self, block: &Block) -> Option<Bytes> {
        let serving = self.current.take();
        let mut draft = Draft::up_to(serving.settings.header);
        let repeated = self.decoder.read(&block.bytes, |name, value| draft.push(name, value)).ok()?;
        self.last = block.stream;
        if !block.ends {
            // Streams that we ended ourselves are still in here; more than these there can be none.
            if self.open.len() >= 2 * streams::MOST {
                self.open.pop_front();
            }
            self.open.push_back(block.stream);
        }
        let head = match draft.finish(block.ends, &serving.settings.methods) {
            _ if block.depends_on_itself => return Some(frame::no_request(block.stream, block.ends)),
            Err(Fault::Protocol(what)) => {
                tracing::debug!(what, "a stream is ended for what HTTP/2 forbids");
                return Some(frame::no_request(block.stream, block.ends));
            }
            Err(Fault::Unreadable(unreadable)) => Err(unreadable),
            Ok(_) if repeated > hpack::MOST_REPEATED => Err(Unreadable::Malformed(
                "compressed fields repeat more than the tables of compression hold".to_owned(),
            )),
            Ok(head) => Ok(head),
        };
        let length = head.as_ref().ok().and_then(|head| match head.framing() {
            Framing::Length(length) => Some(length),
            Framing::Empty if !block.ends => Some(0),
            Framing::Empty | Framing::Chunked => None,
        });
        self.streams.leave(block.stream, head, serving);
        Some(frame::request(block.stream, block.ends, length))
    }

    /// Trailers are dropped (PHP has no place for them); hyper sees to their being in place.
    fn read_trailers(&mut self, block: &Block) -> Option<Bytes> {
        let (mut sound, mut size) = (true, 0_usize);
        let limit = self.current.serving().settings.header;
        let tell = |name: &[u8], value: &[u8]| {
            size = size.saturating_add(name.len() + value.len());
            sound &= size <= limit && check_field(name, value).is_ok();
        };
        self.decoder.read(&block.bytes, tell).ok()?;
        Some(match self.open.contains(&block.stream) {
            // hyper knows how the stream came to its end, and what that makes of this.
            false => frame::no_request(block.stream, block.ends),
            true if sound => frame::trailers(block.stream, block.ends),
            true => frame::no_trailers(block.stream, block.ends),
        })
    }

    /// The first bytes of what arrived. An empty rest keeps no memory.
    fn take_arrived(&mut self, length: usize) -> Bytes {
        if length == self.arrived.len() {
            return std::mem::take(&mut self.arrived).freeze();
        }
        self.arrived.split_to(length).freeze()
    }

    /// Puts into hyper's buffer what is there for it.
    fn hand_on(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        if !self.told.is_empty() {
            let length = self.told.len().min(buffer.remaining());
            buffer.put_slice(&self.told.split_to(length));
            return true;
        }
        let Reading::Passing(left) = &mut self.reading else { return false };
        let length = (*left).min(self.arrived.len()).min(buffer.remaining());
        *left -= length;
        if *left == 0 {
            self.reading = Reading::Frame;
        }
        buffer.put_slice(&self.take_arrived(length));
        length > 0
    }

    /// Reads on. hyper's buffer serves as scratch, so that an idle connection owns none here.
    fn poll_arrival(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        let count = fresh.len();
        if !matches!(self.reading, Reading::Ended) {
            self.arrived.extend_from_slice(fresh);
        }
        buffer.set_filled(before);
        Poll::Ready(Ok(count))
    }

    /// Ready when the client is late with what it must send, or with going.
    fn poll_too_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let in_block = matches!(self.reading, Reading::Fragment(_) | Reading::More(_) | Reading::Continuation(..));
        let awaiting = match self.streams.are_none(context) {
            _ if in_block => Awaiting::Head,
            true if self.streams.are_draining() => Awaiting::End,
            true if self.last == 0 => Awaiting::Head,
            true => Awaiting::Request,
            false => Awaiting::Nothing,
        };
        if self.awaiting != awaiting {
            self.awaiting = awaiting;
            match awaiting {
                Awaiting::Nothing => self.deadlines.clear(Side::Read),
                Awaiting::Head => self.deadlines.set(Side::Read, self.current.serving().settings.header_timeout),
                Awaiting::Request => self.deadlines.set(Side::Read, self.current.serving().settings.keep_alive),
                Awaiting::End => self.deadlines.set(Side::Read, LAST_CALL),
            }
        }
        self.deadlines.poll_passed(Side::Read, context)
    }

    /// Fails a write of which the client takes nothing for too long.
    fn watched<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.deadlines.clear(Side::Write);
            return written;
        }
        self.deadlines.begin(Side::Write, self.current.serving().settings.write);
        ready!(self.deadlines.poll_passed(Side::Write, context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<IO> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.hand_on(buffer) {
                return Poll::Ready(Ok(()));
            }
            if this.step()? {
                continue;
            }
            match this.poll_arrival(context, buffer)? {
                Poll::Ready(0) => return Poll::Ready(Ok(())),
                Poll::Ready(_) => {}
                Poll::Pending => {
                    ready!(this.poll_too_late(context));
                    // Late with its request it is asked to go, and waited for once more; late with anything else, it went.
                    match this.awaiting {
                        Awaiting::Request => this.streams.drain(),
                        _ => return Poll::Ready(Ok(())),
                    }
                }
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            this.patience.carried(*count);
        }
        this.watched(context, written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(context);
        this.watched(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.io).poll_shutdown(context);
        this.watched(context, shut)
    }
}
