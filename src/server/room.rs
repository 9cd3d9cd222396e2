//! How many connections may be open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::measure::Counter;

/// The bound of `limits.connections`, counted over all listeners and worker threads that share it. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct Room {
    limit: usize,
    /// What no configuration can raise it above.
    ceiling: usize,
    taken: Arc<AtomicUsize>,
    refused: Arc<Counter>,
}

impl Room {
    /// For that many connections.
    pub fn for_connections(limit: usize) -> Self {
        Self { limit, ceiling: usize::MAX, taken: Arc::default(), refused: Arc::default() }
    }

    /// The same room, with all who are in it, under the limit of another.
    #[must_use]
    pub fn with_limit_of(&self, other: &Self) -> Self {
        Self { limit: other.limit.min(self.ceiling), ..self.clone() }
    }

    /// The same room, which never has more places than that.
    #[must_use]
    pub fn under(self, ceiling: usize) -> Self {
        Self { limit: self.limit.min(ceiling), ceiling, ..self }
    }

    /// How many are open.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many there may be.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// What no configuration can raise that above.
    pub(super) const fn ceiling(&self) -> usize {
        self.ceiling
    }

    /// How many found no place so far.
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// A place for one more; `None` where there is none.
    pub(super) fn enter(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.taken));
        // Counted before it is compared, so that two threads cannot both take the last place.
        if self.taken.fetch_add(1, Ordering::Relaxed) < self.limit {
            return Some(place);
        }
        self.refused.up();
        None
    }
}

/// One connection's place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_goes_above_the_ceiling() {
        let room = Room::for_connections(10).under(5);
        let limits = [3, 5, 100].map(|limit| room.with_limit_of(&Room::for_connections(limit)).limit());
        assert_eq!((room.limit(), limits), (5, [3, 5, 5]));
    }

    #[test]
    fn a_place_is_free_again_when_its_holder_is_gone() {
        let room = Room::for_connections(1);
        let first = room.enter();
        assert!(first.is_some());
        assert!(room.clone().enter().is_none());
        assert_eq!((room.taken(), room.limit(), room.refused()), (1, 1, 1));
        drop(first);
        assert!(room.enter().is_some());
    }
}
