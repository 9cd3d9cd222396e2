//! A question on its way: others who want to know the same wait for its answer, and the answer is held only if nothing was told
//! of meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::watch;

use super::{Fact, Held, Key, Promise};

/// What a shard knows of a question under way.
#[derive(Debug)]
pub(super) struct Marker {
    pub(super) number: u64,
    /// Whose question it is.
    pub(super) link: u32,
    /// No change was told of since it began.
    pub(super) stands: bool,
    over: watch::Receiver<()>,
}

/// Somebody wants to know.
pub(in crate::store) enum Begun {
    /// And must ask.
    Lead(Flight),
    /// And waits until the channel closes: somebody asks already.
    Follow(watch::Receiver<()>),
}

/// The asker's end. Dropped, it is over: an answer that never came is not held.
#[derive(Debug)]
pub(in crate::store) struct Flight {
    held: Arc<Held>,
    pub(in crate::store) key: Key,
    number: u64,
    _over: watch::Sender<()>,
}

impl Flight {
    /// Begins to ask, over that link, unless somebody does so already.
    pub(in crate::store) fn begin(held: &Arc<Held>, key: &Key, link: u32) -> Begun {
        if let Some(shard) = held.shard(key)
            && let Some(marker) = shard.flights.get(key).filter(|marker| marker.stands)
        {
            return Begun::Follow(marker.over.clone());
        }
        let number = held.flights.fetch_add(1, Ordering::Relaxed);
        let (over, told) = watch::channel(());
        if let Some(mut shard) = held.shard(key) {
            shard.flights.insert(key.clone(), Marker { number, link, stands: true, over: told });
        }
        Begun::Lead(Self { held: Arc::clone(held), key: key.clone(), number, _over: over })
    }

    /// The answer to what was asked at `asked`; it is held where that was promised.
    pub(in crate::store) fn land(self, fact: Fact, asked: Instant, promise: Option<&Arc<Promise>>) {
        let Some(mut shard) = self.held.shard(&self.key) else { return };
        if shard.end_flight(&self.key, self.number)
            && let Some(promise) = promise
        {
            self.held.hold(&mut shard, self.key.clone(), fact, (promise, asked));
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(mut shard) = self.held.shard(&self.key) {
            // Where it landed it is over already.
            shard.end_flight(&self.key, self.number);
        }
    }
}
