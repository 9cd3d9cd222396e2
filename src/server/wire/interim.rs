//! Interim replies find their way between what hyper writes, which knows none but `100 Continue`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Wire;
use crate::server::slot::Slot;

/// What of them is being written.
#[derive(Debug)]
pub(super) struct Writing {
    bytes: Bytes,
    /// Whether all that hyper wrote so far is written.
    flushed: bool,
}

impl Default for Writing {
    fn default() -> Self {
        Self { bytes: Bytes::new(), flushed: true }
    }
}

impl Writing {
    /// What of them is not written yet.
    pub(super) fn rest(self, slot: &Slot) -> Bytes {
        let mut rest = BytesMut::from(self.bytes);
        rest.extend_from_slice(&slot.interim.take());
        rest.freeze()
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Wire<IO> {
    /// Writes what was said of interim replies. Where hyper has begun to write something, it must have ended first; and once the
    /// final reply may be among what was flushed, they come too late.
    fn poll_interim(&mut self, context: &mut Context<'_>, in_time: bool) -> Poll<io::Result<()>> {
        loop {
            if self.interim.bytes.is_empty() {
                let said = self.slot.interim.take();
                if said.is_empty() || !in_time {
                    return Poll::Ready(Ok(()));
                }
                self.interim.bytes = said.into();
            }
            match ready!(Pin::new(&mut self.io).poll_write(context, &self.interim.bytes))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.interim.bytes.advance(count),
            }
        }
    }

    /// What must be done before hyper may write.
    pub(super) fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.flushed || !self.interim.bytes.is_empty() {
            ready!(self.poll_interim(context, true))?;
        }
        self.interim.flushed = false;
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_flushed(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let in_time = self.slot.interim.is_open();
        ready!(self.poll_interim(context, in_time))?;
        self.interim.flushed = true;
        Pin::new(&mut self.io).poll_flush(context)
    }
}
