//! The times by which a connection must have moved on. One timer serves both directions, armed only while something waits.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Which deadline.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    /// The client must send.
    Read,
    /// The client must take.
    Write,
    /// What only a busy connection needs is given up.
    Rest,
}

/// Deadlines of one connection.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    read: Option<Instant>,
    write: Option<Instant>,
    rest: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadlines {
    /// Sets a deadline from now, in place of what it was.
    pub(super) fn set(&mut self, side: Side, after: Duration) {
        *self.slot(side) = Some(Instant::now() + after);
    }

    /// Sets a deadline from now, unless it is set already.
    pub(super) fn begin(&mut self, side: Side, after: Duration) {
        if self.slot(side).is_none() {
            self.set(side, after);
        }
    }

    /// Takes a deadline back.
    pub(super) fn clear(&mut self, side: Side) {
        *self.slot(side) = None;
    }

    fn slot(&mut self, side: Side) -> &mut Option<Instant> {
        match side {
            Side::Read => &mut self.read,
            Side::Write => &mut self.write,
            Side::Rest => &mut self.rest,
        }
    }

    /// Ready once that deadline has passed; never where there is none.
    ///
    /// The timer stands at the earliest deadline that any poll asked for and is not moved when that one is set later, so
    /// that a busy connection touches neither it nor the clock at every request: it fires early, and is armed anew here.
    pub(super) fn poll_passed(&mut self, side: Side, context: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = *self.slot(side) else { return Poll::Pending };
        loop {
            match &mut self.timer {
                Some(timer) if !timer.is_elapsed() => {
                    if timer.deadline() > deadline {
                        // One that has passed leaves the timer to those that have not.
                        if deadline <= Instant::now() {
                            return Poll::Ready(());
                        }
                        timer.as_mut().reset(deadline);
                    }
                    ready!(timer.as_mut().poll(context));
                }
                fired => {
                    let now = Instant::now();
                    if deadline <= now {
                        return Poll::Ready(());
                    }
                    let to_come = [self.read, self.write, self.rest].into_iter().flatten().filter(|other| *other > now);
                    let earliest = to_come.min().unwrap_or(deadline);
                    let timer = fired.get_or_insert_with(|| Box::pin(sleep_until(earliest)));
                    timer.as_mut().reset(earliest);
                    ready!(timer.as_mut().poll(context));
                }
            }
        }
    }
}
