//! How long a client may take over its body. Only time spent waiting for the client counts: while the application is slow to take
//! what came, the client's clock stands.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::request::body::Limits;

/// Waiting that is always allowed; beyond it, each second needs its bytes.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Since when the next bytes are waited for.
    waiting: Option<Instant>,
    /// How long was waited for all bytes so far.
    waited: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// Something came: the waiting is over.
    pub(super) fn arrived(&mut self) {
        if let Some(since) = self.waiting.take() {
            self.waited += since.elapsed();
        }
    }

    /// Nothing came. Ready when that has gone on for too long, for a body of which `received` bytes came so far.
    pub(super) fn poll_too_slow(&mut self, received: u64, limits: Limits, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let earned =
            received.saturating_mul(1000).checked_div(limits.rate).map_or(Duration::MAX, Duration::from_millis);
        let patience = limits.idle.min(GRACE.saturating_add(earned).saturating_sub(self.waited));
        let deadline = since.checked_add(patience).unwrap_or_else(|| since + Duration::from_hours(24));
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        // Deadlines only ever move on, so an alarm that was set for an earlier wait rings early and is set anew.
        loop {
            ready!(alarm.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
    }
}
