//! The seam between server and gate: a connection that is no longer one of HTTP.
//!
//! The gate answers a request for a WebSocket with status 101 and leaves in the request's [`Switch`] who goes on. The server takes
//! that up as soon as everything it wrote before is with the client, and hands over the socket itself, so HTTP and its buffers are
//! gone from the connection. It keeps its place among `limits.connections` until whoever took it over has ended.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;

use crate::shutdown::Shutdown;

/// A client's socket, of whichever kind.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Goes on with a connection.
pub type Successor = Box<dyn FnOnce(Client) -> Succession + Send>;

/// Done when the connection has ended.
pub type Succession = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the gate leaves who goes on with a connection. Cloning is shallow; nobody looks into a default one.
#[derive(Clone, Default)]
pub struct Switch(Arc<Mutex<Option<Successor>>>);

impl Switch {
    /// Whoever goes on: told when the connection is there, and done when it has ended. The answer to the request must be of status
    /// 101; it is the successor that writes one.
    pub fn leave<F>(&self, successor: impl FnOnce(Client) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        *self.lock() = Some(Box::new(|client| Box::pin(successor(client))));
    }

    /// Whether somebody goes on.
    pub fn is_left(&self) -> bool {
        self.lock().is_some()
    }

    /// Who goes on.
    pub fn take(&self) -> Option<Successor> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Successor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switch").field("is_left", &self.is_left()).finish_non_exhaustive()
    }
}

/// A client's connection that was handed over. Reading gives first what the client sent behind its request.
pub struct Client {
    /// Its socket.
    pub io: Box<dyn Io>,
    /// What came behind the request already.
    pub early: BytesMut,
    /// What is to be written before the answer: interim replies that were on their way.
    pub before: Bytes,
    /// `timeouts.write`: longest time without the client taking any byte.
    pub write: Duration,
    /// Tells of the gate's end.
    pub shutdown: Shutdown,
}

impl Client {
    /// Sends the head of the answer, within `timeouts.write`.
    pub async fn answer(&mut self, head: &[u8]) -> io::Result<()> {
        let (io, before) = (&mut self.io, std::mem::take(&mut self.before));
        let written = async {
            io.write_all(&before).await?;
            io.write_all(head).await?;
            io.flush().await
        };
        timeout(self.write, written).await?
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("early", &self.early.len()).finish_non_exhaustive()
    }
}

impl AsyncRead for Client {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.early.is_empty() {
            return Pin::new(&mut this.io).poll_read(context, buffer);
        }
        let count = this.early.len().min(buffer.remaining());
        buffer.put_slice(this.early.get(..count).unwrap_or_default());
        this.early.advance(count);
        if this.early.is_empty() {
            // An empty one has room for more, which would lie idle.
            this.early = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}
