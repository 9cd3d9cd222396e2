//! A reply's body on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::upstream::Fault;
use crate::upstream::connection::Connection;
use crate::upstream::framing::{Framing, Step};
use crate::upstream::pool::Lease;
use crate::upstream::sending::Sending;
use crate::upstream::switched::Switched;

/// A response body on its way: reads from the application's connection when it is polled, and gives the connection back to the
/// pool at its end. Dropped before that, it closes the connection. A body that breaks off is an error, never a short success.
#[derive(Debug)]
pub struct ResponseBody {
    /// Come along with the head already, or read before its turn.
    ready: Option<Bytes>,
    /// Where the rest comes from.
    flow: Option<Box<Flow>>,
    /// How it broke off, to be told next.
    broken: Option<Fault>,
}

/// What a body flows from, while its end has not come.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) connection: Connection,
    /// What is left of the request: the application may reply before it has read all of it.
    pub(super) sending: Sending,
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
    pub(super) lease: Lease,
}

impl ResponseBody {
    /// A small body may be whole by now: then its connection is free for others before the client has taken it.
    pub(super) fn begin(mut flow: Flow) -> Self {
        if flow.framing.is_over(&mut flow.connection.input) {
            flow.end();
            return Self { ready: None, flow: None, broken: None };
        }
        if flow.framing.length().is_some_and(|length| length <= flow.connection.input.len() as u64)
            && let Ok(Step::Data(bytes)) = flow.framing.next(&mut flow.connection.input)
        {
            flow.end();
            return Self { ready: Some(bytes), flow: None, broken: None };
        }
        Self { ready: None, flow: Some(Box::new(flow)), broken: None }
    }

    /// The connection, where the application has switched protocols on it.
    pub fn into_switched(self) -> Option<Switched> {
        let flow = self.flow.filter(|flow| flow.framing == Framing::Switched && flow.sending.is_sent())?;
        let Flow { connection, lease, .. } = *flow;
        Some(Switched::new(connection, lease))
    }
}

impl ResponseBody {
    /// The whole body, where it ends within `most` bytes; whatever was read of it comes again.
    pub async fn peek(&mut self, most: usize) -> Result<Option<Bytes>, Fault> {
        if self.size_hint().lower() > most as u64 {
            return Ok(None);
        }
        let mut read = BytesMut::new();
        while let Some(frame) = self.frame().await {
            if let Ok(data) = frame?.into_data() {
                read.extend_from_slice(&data);
            }
            if read.len() > most {
                self.ready = Some(read.freeze());
                return Ok(None);
            }
        }
        let whole = read.freeze();
        self.ready = Some(whole.clone()).filter(|whole| !whole.is_empty());
        Ok(Some(whole))
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        if let Some(bytes) = this.ready.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if let Some(fault) = this.broken.take() {
            return Poll::Ready(Some(Err(fault)));
        }
        let Some(flow) = &mut this.flow else { return Poll::Ready(None) };
        let next = match ready!(flow.poll_next(context)) {
            Some(Err(fault)) => {
                // Told at the next look: an error makes hyper drop what it has not written yet, the head and the bytes before it.
                (this.flow, this.broken) = (None, Some(fault));
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Ok(bytes)) => Some(bytes),
            None => None,
        };
        let over = next.is_none() || flow.framing.is_over(&mut flow.connection.input);
        if let Some(flow) = this.flow.take_if(|_| over) {
            flow.end();
        }
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_none() && self.flow.is_none() && self.broken.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = match (&self.ready, &self.flow) {
            (Some(bytes), None) => Some(bytes.len() as u64),
            (Some(bytes), Some(flow)) => flow.framing.length().map(|rest| rest + bytes.len() as u64),
            (None, Some(flow)) => flow.framing.length(),
            (None, None) if self.broken.is_some() => None,
            (None, None) => Some(0),
        };
        length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Flow {
    /// The next bytes; meanwhile what is left of the request goes out.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        if !self.sending.is_sent() {
            // Whatever it says, the reply goes on: only a body of the client that cannot be passed on ends it.
            self.sending.advance(&mut self.connection, context)?;
        }
        loop {
            match self.framing.next(&mut self.connection.input).map_err(broken)? {
                Step::Data(bytes) => return Poll::Ready(Some(Ok(bytes))),
                Step::End => return Poll::Ready(None),
                Step::More => {}
            }
            match ready!(self.connection.poll_read(context)) {
                Ok(0) if self.framing.may_close() => return Poll::Ready(None),
                Ok(0) => return Poll::Ready(Some(Err(broken("the connection was closed")))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(broken(&error.to_string())))),
            }
        }
    }

    /// The body is over: another request may use the connection, if nothing of this one is left on it.
    fn end(self) {
        let clean = self.connection.input.is_empty() && !self.framing.may_close() && self.sending.is_sent();
        if clean && self.keep_alive {
            self.lease.give_back(self.connection);
        }
    }
}

fn broken(why: &str) -> Fault {
    Fault::Failed(format!("it broke off within its reply: {why}"))
}
