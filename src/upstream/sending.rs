//! A request on its way out: framing headers, then the body as fast as the client brings it and the application takes it.

use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::time::Instant;

use crate::request::Unreadable;
use crate::request::body::{Body, Streaming};
use crate::upstream::connection::Connection;

/// Methods that announce a body even where there is none: some servers answer 411 otherwise (RFC 9110, 8.6).
const EXPECT_A_BODY: [&[u8]; 3] = [b"POST ", b"PUT ", b"PATCH "];

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All of it is with the operating system.
    Sent,
    /// The application takes no more for now.
    Blocked,
    /// The client brings no more for now.
    Starved,
    /// The application takes no more ever; it may have replied all the same.
    Refused,
}

#[derive(Debug)]
pub(super) struct Sending {
    /// All that is known at the start, to send again on another connection.
    again: [Bytes; 2],
    /// To be written now, in order.
    parts: [Bytes; 3],
    /// What is to follow.
    body: Option<Box<Streaming>>,
    chunked: bool,
    /// Whether any byte of the body was taken from the client.
    begun: bool,
    /// Whether any byte was taken by the connection.
    taken: bool,
    /// When something last moved.
    moved: Option<Instant>,
    /// Whether the connection takes no more.
    refused: bool,
}

impl Sending {
    /// Of a head without framing headers and empty line, and the body.
    pub(super) fn new(mut head: Vec<u8>, body: Body) -> Self {
        let (framing, first, rest) = match body {
            Body::Empty if EXPECT_A_BODY.iter().any(|method| head.starts_with(method)) => {
                (Framing::Length(0), Bytes::new(), None)
            }
            Body::Empty => (Framing::None, Bytes::new(), None),
            Body::Gathered(bytes) => (Framing::Length(bytes.len() as u64), bytes, None),
            Body::Streaming(rest) => {
                (rest.length().map_or(Framing::Chunked, Framing::Length), Bytes::new(), Some(rest))
            }
        };
        framing.end_head(&mut head);
        let again = [Bytes::from(head), first];
        Self {
            parts: beginning(&again),
            again,
            body: rest,
            chunked: framing == Framing::Chunked,
            begun: false,
            taken: false,
            moved: None,
            refused: false,
        }
    }

    /// Starts over, for another connection. `false` where part of the body is gone already.
    pub(super) fn rewind(&mut self) -> bool {
        self.parts = beginning(&self.again);
        self.moved = None;
        self.taken = false;
        self.refused = false;
        !self.begun
    }

    /// Lets go of what was kept to be sent again.
    pub(super) fn settle(&mut self) {
        self.again = [Bytes::new(), Bytes::new()];
    }

    /// Whether any byte may have reached the application.
    pub(super) fn taken(&self) -> bool {
        self.taken
    }

    /// When the application last took something, or last was offered something to take, over this connection.
    pub(super) fn moved(&self) -> Option<Instant> {
        self.moved
    }

    /// Whether the request may yet turn out to be one that must not pass: then no reply to it counts.
    pub(super) fn is_owed(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.is_owed())
    }

    pub(super) fn is_sent(&self) -> bool {
        !self.refused && self.body.is_none() && self.parts.iter().all(Bytes::is_empty)
    }

    /// Sends what can be sent now. An error is the client's: its body cannot be passed on.
    pub(super) fn advance(&mut self, to: &mut Connection, context: &mut Context<'_>) -> Result<Progress, Unreadable> {
        loop {
            if self.refused && !self.is_owed() {
                return Ok(Progress::Refused);
            }
            if self.refused {
                // Nobody takes the rest, but somebody must still judge it.
                self.parts = [Bytes::new(), Bytes::new(), Bytes::new()];
            }
            if self.parts.iter().any(|part| !part.is_empty()) {
                match to.poll_write(&self.parts, context) {
                    Poll::Ready(Ok(count)) => self.wrote(count),
                    Poll::Ready(Err(_)) => self.refused = true,
                    Poll::Pending => return Ok(Progress::Blocked),
                }
                continue;
            }
            let Some(body) = &mut self.body else { return Ok(Progress::Sent) };
            match body.poll_next(context) {
                Poll::Ready(next) => self.load(next.transpose()?),
                Poll::Pending => return Ok(Progress::Starved),
            }
        }
    }

    fn wrote(&mut self, mut count: usize) {
        self.refused = count == 0;
        self.taken |= count > 0;
        self.moved = Some(Instant::now());
        for part in &mut self.parts {
            let of_this = count.min(part.len());
            part.advance(of_this);
            count -= of_this;
        }
    }

    /// Takes up the next bytes of the body, or its end.
    fn load(&mut self, next: Option<Bytes>) {
        self.begun = true;
        self.moved = Some(Instant::now());
        self.parts = match next {
            Some(bytes) if self.chunked => {
                [Bytes::from(format!("{:x}\r\n", bytes.len())), bytes, Bytes::from_static(b"\r\n")]
            }
            Some(bytes) => [bytes, Bytes::new(), Bytes::new()],
            None => {
                self.body = None;
                let end: &[u8] = if self.chunked { b"0\r\n\r\n" } else { b"" };
                [Bytes::from_static(end), Bytes::new(), Bytes::new()]
            }
        };
    }
}

fn beginning([head, first]: &[Bytes; 2]) -> [Bytes; 3] {
    [head.clone(), first.clone(), Bytes::new()]
}

/// How the application is told the length of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    None,
    Length(u64),
    Chunked,
}

impl Framing {
    fn end_head(self, head: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Length(length) => head.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes()),
            Self::Chunked => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        }
        head.extend_from_slice(b"\r\n");
    }
}
