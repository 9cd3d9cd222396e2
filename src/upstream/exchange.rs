//! One request over one connection, until the head of its reply.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::upstream::connection::Connection;
use crate::upstream::reply_head::{self, Asked, ReplyHead};
use crate::upstream::sending::{Progress, Sending};
use crate::upstream::{Fault, Interim};

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection ended before any byte of a reply: the other side may have closed it before it saw the request.
    Closed(String),
    /// Anything else.
    Fault(Fault),
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Closed(why) => Self::Failed(why),
            Broken::Fault(fault) => fault,
        }
    }
}

/// What is known of the reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// What it is to.
    pub(super) asked: Asked,
    /// How long the application may neither take what it is offered nor reply.
    pub(super) patience: Duration,
    /// Where interim ones go.
    pub(super) interim: &'a Interim,
}

/// Sends the request and waits for the head of the reply, which may come before all of the request is sent, but counts only
/// once the request may not turn out refused any more. The time that the client takes over its body is not the application's.
pub(super) async fn exchange(
    connection: &mut Connection,
    sending: &mut Sending,
    expected: Expected<'_>,
) -> Result<ReplyHead, Broken> {
    let begin = Instant::now();
    let patience = expected.patience;
    let mut heard = false;
    poll_fn(|context| {
        let progress = match sending.advance(connection, context) {
            Ok(progress) => progress,
            Err(unreadable) => return Poll::Ready(Err(Broken::Fault(unreadable.into()))),
        };
        // While the request may yet be refused, nothing that answers it is even read.
        if !sending.is_owed()
            && let Poll::Ready(head) = poll_head(connection, expected, &mut heard, context)
        {
            return Poll::Ready(head);
        }
        if progress == Progress::Starved {
            return Poll::Pending;
        }
        let deadline = sending.moved().unwrap_or(begin) + patience;
        connection.poll_passed(deadline, context).map(|()| Err(Broken::Fault(Fault::TimedOut)))
    })
    .await
}

fn poll_head(
    connection: &mut Connection,
    expected: Expected<'_>,
    heard: &mut bool,
    context: &mut Context<'_>,
) -> Poll<Result<ReplyHead, Broken>> {
    loop {
        match reply_head::take(&mut connection.input, expected.asked, heard, expected.interim) {
            Ok(Some(head)) => return Poll::Ready(Ok(head)),
            Ok(None) => {}
            Err(why) => return Poll::Ready(Err(Broken::Fault(Fault::Failed(why)))),
        }
        let why = match ready!(connection.poll_read(context)) {
            Ok(0) => "it closed the connection without a reply".to_owned(),
            Ok(_) => continue,
            Err(error) => format!("the connection broke before a reply: {error}"),
        };
        let begun = *heard || !connection.input.is_empty();
        return Poll::Ready(Err(if begun { Broken::Fault(Fault::Failed(why)) } else { Broken::Closed(why) }));
    }
}
