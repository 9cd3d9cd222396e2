//! Bytes on their way in one direction: nothing is read before all that was read is written, and nothing is kept where nothing waits.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::websocket::frames::Walk;

/// Most bytes that are read at once, and so the most that wait for a reader.
const ROOM: usize = 16 * 1024;

/// One direction of a tunnel.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// Read, and not yet written.
    held: Bytes,
    walk: Walk,
    stage: Stage,
    /// A frame of our own, to be the last.
    last: Option<Bytes>,
    /// Since when the reader takes nothing.
    pub(super) blocked: Option<Instant>,
    /// Whether any byte was taken since this was last looked at.
    pub(super) moved: bool,
    /// Whether a frame of a message began since this was last looked at.
    pub(super) spoke: bool,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Passing on what comes.
    #[default]
    Passing,
    /// Nothing more will come: telling so.
    Ending,
    /// Its end was ours: what comes all the same is dropped.
    Dropping,
    /// Over.
    Over,
}

impl Pipe {
    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Ends it with a frame of our own, as soon as none is under way.
    pub(super) fn close(&mut self, frame: Vec<u8>) {
        self.last = Some(frame.into());
    }

    /// Passes on what can be passed on now. Ready once both sides have been told of the end.
    pub(super) fn poll(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let step = match self.stage {
                _ if !self.held.is_empty() => self.poll_write(to, context),
                Stage::Passing => self.poll_pass(from, to, context),
                Stage::Ending => self.poll_end(to, context),
                Stage::Dropping => self.poll_drop(from, context),
                Stage::Over => return Poll::Ready(Ok(())),
            };
            ready!(step)?;
        }
    }

    fn note_blocked(&mut self, is_blocked: bool) {
        self.blocked = is_blocked.then(|| self.blocked.unwrap_or_else(Instant::now));
    }

    fn poll_write(&mut self, to: &mut (impl AsyncWrite + Unpin), context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(to).poll_write(context, &self.held);
        self.note_blocked(written.is_pending());
        match ready!(written)? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => {
                self.held.advance(count);
                self.moved = true;
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_pass(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(last) = self.last.take_if(|_| !self.walk.is_within()) {
            return self.end_with(last);
        }
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut room = ReadBuf::uninit(&mut room);
        match Pin::new(from).poll_read(context, &mut room) {
            Poll::Ready(read) => read?,
            Poll::Pending => {
                let flushed = Pin::new(to).poll_flush(context)?;
                self.note_blocked(flushed.is_pending());
                return Poll::Pending;
            }
        }
        match room.filled() {
            [] => self.stage = Stage::Ending,
            bytes => self.take(bytes, to, context)?,
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what came as far as that goes at once; the rest is held.
    fn take(&mut self, bytes: &[u8], to: &mut (impl AsyncWrite + Unpin), context: &mut Context<'_>) -> io::Result<()> {
        self.moved = true;
        let bytes = bytes.get(..self.follow(bytes)).unwrap_or_default();
        let count = match Pin::new(to).poll_write(context, bytes)? {
            Poll::Ready(0) if !bytes.is_empty() => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(count) => count,
            Poll::Pending => 0,
        };
        self.held = Bytes::copy_from_slice(bytes.get(count..).unwrap_or_default());
        Ok(())
    }

    /// Follows the frames; how many of the bytes are to pass. Where we end it, no further than to the end of a frame.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while let Some(rest) = bytes.get(passed..).filter(|rest| !rest.is_empty()) {
            let step = self.walk.step(rest);
            passed += step.used;
            self.spoke |= step.began;
            if self.last.is_some() && !self.walk.is_within() {
                break;
            }
        }
        passed
    }

    fn end_with(&mut self, last: Bytes) -> Poll<io::Result<()>> {
        self.held = last;
        self.stage = Stage::Ending;
        self.last = Some(Bytes::new());
        Poll::Ready(Ok(()))
    }

    fn poll_end(&mut self, to: &mut (impl AsyncWrite + Unpin), context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let told = Pin::new(to).poll_shutdown(context);
        self.note_blocked(told.is_pending());
        ready!(told)?;
        self.stage = if self.last.is_some() { Stage::Dropping } else { Stage::Over };
        Poll::Ready(Ok(()))
    }

    /// Closing a socket with something unread resets it, and could take our last frame away from whoever is still reading.
    fn poll_drop(&mut self, from: &mut (impl AsyncRead + Unpin), context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut room = ReadBuf::uninit(&mut room);
        ready!(Pin::new(from).poll_read(context, &mut room))?;
        if room.filled().is_empty() {
            self.stage = Stage::Over;
        }
        Poll::Ready(Ok(()))
    }
}
