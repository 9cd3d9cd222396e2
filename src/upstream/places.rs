//! Places: how many requests may be under way at once, of all workers together, and in which order those over that get theirs.
//!
//! Where there is a free one it is taken by changing one number. While somebody waits that number says so: then whoever gives a
//! place back looks into the line, so that it goes to the next one there and never to somebody who comes just then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot::{self, Receiver, Sender};

use crate::upstream::line::{Asker, Line, Ticket};
use crate::upstream::locked;

/// None is free, and whoever gives one back looks into the queue.
const AWAITED: usize = usize::MAX;
/// Most places there can be.
const MOST: usize = usize::MAX >> 2;

#[derive(Debug)]
pub(super) struct Places {
    /// How many are free, or [`AWAITED`].
    free: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    line: Line<Sender<Place>>,
    /// So many of those given back are not to be had any more.
    surplus: usize,
}

/// The right to have one request under way, given back when dropped.
#[derive(Debug)]
pub(super) struct Place(Option<Arc<Places>>);

/// Somebody in the line, until it is dropped.
#[derive(Debug)]
struct Waiting<'a> {
    places: &'a Places,
    ticket: Ticket,
}

impl Places {
    pub(super) fn new(many: usize) -> Arc<Self> {
        Arc::new(Self { free: AtomicUsize::new(many.min(MOST)), queue: Mutex::default() })
    }

    /// A place, where one is free and nobody waits.
    pub(super) fn free(self: &Arc<Self>) -> Option<Place> {
        let taken = self.change(|free| if free == AWAITED { None } else { free.checked_sub(1) });
        taken.then(|| self.place())
    }

    /// A place, in turn. Whoever stops waiting leaves the line. `None` if nobody is left to give one, which cannot be.
    pub(super) async fn in_turn(self: &Arc<Self>, asker: Asker<'_>) -> Option<Place> {
        let (_waiting, turn) = match self.join(asker) {
            Ok(place) => return Some(place),
            Err(waiting) => waiting,
        };
        turn.await.ok()
    }

    /// Goes into the line, unless there is a place after all.
    fn join(self: &Arc<Self>, asker: Asker<'_>) -> Result<Place, (Waiting<'_>, Receiver<Place>)> {
        loop {
            let mut queue = locked(&self.queue);
            if self.change(|free| matches!(free, 0 | AWAITED).then_some(AWAITED)) {
                let (sender, receiver) = oneshot::channel();
                let ticket = queue.line.join(asker, sender);
                return Err((Waiting { places: self, ticket }, receiver));
            }
            drop(queue);
            if let Some(place) = self.free() {
                return Ok(place);
            }
        }
    }

    fn place(self: &Arc<Self>) -> Place {
        Place(Some(Arc::clone(self)))
    }

    /// Takes a place back, for whoever is next.
    fn give(self: &Arc<Self>) {
        if self.change(|free| (free != AWAITED).then(|| free + 1)) {
            return;
        }
        let mut place = self.place();
        while let Some(next) = self.next() {
            // It may have left meanwhile. Nothing is sent under the lock: what wakes up somebody may also drop him.
            match next.send(place) {
                Ok(()) => return,
                Err(back) => place = back,
            }
        }
        place.0 = None;
    }

    /// Whose turn it is. Where nobody waits, the place that is to be given out counts as free or is done away with.
    fn next(&self) -> Option<Sender<Place>> {
        let mut queue = locked(&self.queue);
        if queue.surplus > 0 {
            queue.surplus -= 1;
            return None;
        }
        let next = queue.line.next();
        if next.is_none() {
            self.add(1);
        }
        next
    }

    /// So many more places from now on.
    pub(super) fn grow(self: &Arc<Self>, more: usize) {
        let mut more = more.min(MOST);
        loop {
            let mut queue = locked(&self.queue);
            let kept = more.min(queue.surplus);
            queue.surplus -= kept;
            more -= kept;
            let next = if more > 0 { queue.line.next() } else { return };
            let Some(next) = next else { return self.add(more) };
            drop(queue);
            more -= 1;
            // Where that one has left, the place comes back by being dropped.
            drop(next.send(self.place()));
        }
    }

    /// So many fewer from now on. Those that are taken are done away with as they are given back, before anybody who waits gets one.
    pub(super) fn shrink(&self, fewer: usize) {
        let mut queue = locked(&self.queue);
        let mut rest = fewer;
        while rest > 0 {
            let free = self.free.load(Ordering::Acquire);
            if matches!(free, 0 | AWAITED) {
                if self.change(|now| (now == free).then_some(AWAITED)) {
                    queue.surplus += rest;
                    rest = 0;
                }
            } else if self.change(|now| (now == free).then(|| free - free.min(rest))) {
                rest -= free.min(rest);
            }
        }
    }

    /// Counts so many as free. Only for who holds the lock and sees nobody wait.
    fn add(&self, many: usize) {
        self.change(|free| Some(if free == AWAITED { many } else { free + many }));
    }

    /// Whether there was a change to make.
    fn change(&self, to: impl FnMut(usize) -> Option<usize>) -> bool {
        self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, to).is_ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = self.0.take() {
            places.give();
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // What is left of it goes when the lock is open again.
        let _left = locked(&self.places.queue).line.leave(&self.ticket);
    }
}

#[cfg(test)]
mod tests;
