//! A connection to the application that has switched protocols: bytes both ways from now on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::upstream::connection::{Connection, Stream};
use crate::upstream::pool::{Lease, Open};

/// The connection, with the right to it: it counts among `upstream.max_connections` as long as it is there.
#[derive(Debug)]
pub struct Switched {
    stream: Stream,
    /// What came along with the head of the reply.
    ahead: BytesMut,
    _open: Open,
    _lease: Lease,
}

impl Switched {
    pub(super) fn new(connection: Connection, lease: Lease) -> Self {
        let (stream, ahead, open) = connection.into_parts();
        // An empty one has room for more, which would lie idle.
        let ahead = if ahead.is_empty() { BytesMut::new() } else { ahead };
        Self { stream, ahead, _open: open, _lease: lease }
    }
}

impl AsyncRead for Switched {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            return match &mut this.stream {
                Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
                Stream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            };
        }
        let count = this.ahead.len().min(buffer.remaining());
        buffer.put_slice(this.ahead.get(..count).unwrap_or_default());
        this.ahead.advance(count);
        if this.ahead.is_empty() {
            this.ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Switched {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
