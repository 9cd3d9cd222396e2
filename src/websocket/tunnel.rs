//! `mode: tunnel`: bytes pass both ways between client and application, as they come.
//!
//! Frames are followed, never changed, so that the gate can end a tunnel as its two ends would: with a close frame of its own, where
//! no other is under way.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::policy::channel;
use crate::shutdown::Phase;
use crate::upstream::Switched;
use crate::websocket::ended::{Ended, Why};
use crate::websocket::frames;
use crate::websocket::pipe::Pipe;
use crate::websocket::takeover::Client;

/// How long a tunnel that the gate ends may take to end: to get to the end of a frame, and to hear of it.
const CLOSING: Duration = Duration::from_millis(500);

/// How long a tunnel may go on.
pub struct Terms {
    /// The route's.
    pub settings: channel::Tunnel,
    /// Tells of the session's end.
    pub ended: Ended,
    /// What is done each time the client begins a message: it counts as a use of the session.
    pub used: Box<dyn FnMut() + Send>,
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("settings", &self.settings).field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// Answers the client with that head, and passes bytes until either side, or the terms, end it.
pub async fn run(mut client: Client, head: Vec<u8>, upstream: Switched, mut terms: Terms) {
    if client.answer(&head).await.is_err() {
        return;
    }
    drop(head);
    let mut shutdown = client.shutdown.clone();
    let mut tunnel = Tunnel::new(client, upstream, terms.settings);
    let why = tokio::select! {
        biased;
        () = terms.ended.happened() => Some(Why::Session),
        () = shutdown.reached(Phase::Draining) => Some(Why::Drained),
        why = tunnel.pass(&mut terms.used) => why,
    };
    if let Some(why) = why {
        tunnel.close(why).await;
    }
}

struct Tunnel {
    client: Client,
    upstream: Switched,
    /// From the client to the application.
    up: Pipe,
    down: Pipe,
    settings: channel::Tunnel,
    born: Instant,
    /// When a byte last moved.
    moved: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Tunnel {
    fn new(client: Client, upstream: Switched, settings: channel::Tunnel) -> Self {
        let now = Instant::now();
        Self {
            client,
            upstream,
            up: Pipe::default(),
            down: Pipe::default(),
            settings,
            born: now,
            moved: now,
            timer: Box::pin(sleep_until(now + settings.idle.min(settings.max_age))),
        }
    }

    /// Passes bytes until it is over; why the gate is to end it, where nobody else has.
    async fn pass(&mut self, used: &mut (dyn FnMut() + Send)) -> Option<Why> {
        poll_fn(|context| {
            let passed = self.poll_pipes(context);
            if std::mem::take(&mut self.up.spoke) {
                used();
            }
            if let Poll::Ready(over) = passed {
                return Poll::Ready(over);
            }
            if std::mem::take(&mut self.up.moved) | std::mem::take(&mut self.down.moved) {
                self.moved = Instant::now();
            }
            self.poll_late(context)
        })
        .await
    }

    /// An error ends both directions: of a WebSocket only half of which works, neither side could tell.
    fn poll_pipes(&mut self, context: &mut Context<'_>) -> Poll<Option<Why>> {
        let up = self.up.poll(&mut self.client, &mut self.upstream, context);
        let down = self.down.poll(&mut self.upstream, &mut self.client, context);
        match (up, down) {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => {
                tracing::debug!(%error, "a tunnel broke");
                Poll::Ready(None)
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(None),
            _ => Poll::Pending,
        }
    }

    /// Ready once one of its limits has passed. The timer is not moved when a limit moves on, so that bytes cost none: it fires
    /// early, and is set anew here.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<Option<Why>> {
        loop {
            let (due, why) = self.due();
            if due <= Instant::now() {
                return Poll::Ready(why);
            }
            if self.timer.is_elapsed() || self.timer.deadline() > due {
                self.timer.as_mut().reset(due);
            }
            ready!(self.timer.as_mut().poll(context));
        }
    }

    /// The limit that passes next. Whoever takes nothing could not be told why either.
    fn due(&self) -> (Instant, Option<Why>) {
        let half = self.up.is_over() || self.down.is_over();
        let idle = if half { self.settings.idle.min(self.client.write) } else { self.settings.idle };
        let idle = (self.moved + idle, Some(Why::Idle));
        let old = (self.born + self.settings.max_age, Some(Why::TooOld));
        let blocked = [self.up.blocked, self.down.blocked].into_iter().flatten().min();
        let blocked = blocked.map(|since| (since + self.client.write, None));
        let first = if old.0 < idle.0 { old } else { idle };
        blocked.filter(|blocked| blocked.0 < first.0).unwrap_or(first)
    }

    /// Ends both directions with a close frame, where none is under way for too long.
    async fn close(&mut self, why: Why) {
        tracing::debug!(reason = why.text(), "a tunnel is closed");
        self.down.close(frames::close(why, None));
        self.up.close(frames::close(why, Some(fastrand::u32(..).to_ne_bytes())));
        let closed = poll_fn(|context| {
            // One that breaks is over; the other may still hear of it.
            let up = self.up.poll(&mut self.client, &mut self.upstream, context).is_ready();
            let down = self.down.poll(&mut self.upstream, &mut self.client, context).is_ready();
            if up && down { Poll::Ready(()) } else { Poll::Pending }
        });
        // It is gone either way.
        let _ = timeout(CLOSING, closed).await;
    }
}
