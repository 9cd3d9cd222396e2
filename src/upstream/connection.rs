//! One connection to the application: the socket and what was read from it ahead.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::upstream::Address;
use crate::upstream::pool::Open;

/// First room for reading: most replies of an API fit.
const LITTLE_ROOM: usize = 4 * 1024;
/// Most room for reading, for replies that keep filling what there is.
const MUCH_ROOM: usize = 64 * 1024;
/// With less room left than this, more is made.
const LEAST_ROOM: usize = 1024;

#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    /// Read from the socket, but by nobody yet.
    pub(super) input: BytesMut,
    /// Whether a request went over it before.
    pub(super) reused: bool,
    room: usize,
    alarm: Option<Pin<Box<Sleep>>>,
    open: Open,
}

/// How closely an idle connection is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// At what the runtime knows: for a request that can be sent again.
    AtEvents,
    /// At the socket itself, which costs a system call: for one that must not meet an end that has come already.
    AtSocket,
}

#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    pub(super) async fn open(address: &Address, open: Open) -> io::Result<Self> {
        let stream = match address {
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
        };
        Ok(Self { stream, input: BytesMut::new(), reused: false, room: LITTLE_ROOM, alarm: None, open })
    }

    /// Whether nothing has happened on it while it was idle: neither an end nor bytes that nobody asked for, which would pass for
    /// the next reply. [`Look::AtEvents`] goes by what the runtime was told when it last looked for events, the client's request
    /// among them; the operating system is asked only where something was told.
    pub(super) fn is_quiet(&self, look: Look) -> bool {
        let peeked = match (&self.stream, look) {
            (Stream::Tcp(stream), Look::AtSocket) => peek(&SockRef::from(stream)),
            (Stream::Unix(stream), Look::AtSocket) => peek(&SockRef::from(stream)),
            (Stream::Tcp(stream), Look::AtEvents) => stream.try_io(Interest::READABLE, || peek(&SockRef::from(stream))),
            (Stream::Unix(stream), Look::AtEvents) => {
                stream.try_io(Interest::READABLE, || peek(&SockRef::from(stream)))
            }
        };
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads more into `input`; 0 is the end. The room grows with replies that fill it.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let least = if self.input.is_empty() { self.room / 2 } else { LEAST_ROOM };
        if self.input.capacity() - self.input.len() < least {
            self.input.reserve(self.room);
        }
        let space = self.input.capacity() - self.input.len();
        let count = match &mut self.stream {
            Stream::Tcp(stream) => ready!(pin!(stream.read_buf(&mut self.input)).poll(context))?,
            Stream::Unix(stream) => ready!(pin!(stream.read_buf(&mut self.input)).poll(context))?,
        };
        if count == space {
            self.room = (self.room * 2).min(MUCH_ROOM);
        }
        Poll::Ready(Ok(count))
    }

    /// Writes some of these parts, in order. For one alone, as most requests are, the system has a shorter way.
    pub(super) fn poll_write(&mut self, parts: &[Bytes; 3], context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let [only, second, third] = parts
            && second.is_empty()
            && third.is_empty()
        {
            return match &mut self.stream {
                Stream::Tcp(stream) => Pin::new(stream).poll_write(context, only),
                Stream::Unix(stream) => Pin::new(stream).poll_write(context, only),
            };
        }
        let parts = parts.each_ref().map(|part| IoSlice::new(part));
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, &parts),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(context, &parts),
        }
    }

    /// Ready once `deadline` has passed. The alarm is not moved for a later one, so that it need not be armed anew for each
    /// request: it goes off early, now and then, and is armed again here.
    pub(super) fn poll_passed(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if alarm.is_elapsed() || alarm.deadline() > deadline {
                alarm.as_mut().reset(deadline);
            }
            ready!(alarm.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
        }
    }

    /// The socket, what was read ahead of it, and its place among those that are counted.
    pub(super) fn into_parts(self) -> (Stream, BytesMut, Open) {
        (self.stream, self.input, self.open)
    }

    /// Gets it ready to lie idle, in as little memory as it needs.
    pub(super) fn rest(&mut self) {
        self.reused = true;
        if self.room > LITTLE_ROOM {
            self.input = BytesMut::new();
            self.room = LITTLE_ROOM;
        }
    }
}

fn peek(socket: &SockRef<'_>) -> io::Result<usize> {
    socket.peek(&mut [MaybeUninit::uninit()])
}
