//! Turns: who tries the same thing at the same time in this process, so that a burst of guesses is no more guesses than allowed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::{MutexGuard, Notify};

use super::counting::Counter;
use super::lock;

/// Fewer places are never cleared away.
const FEW: usize = 64;

/// All places where somebody stands.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    known: HashMap<Counter, Weak<Place>>,
    clear_at: usize,
}

/// Where those stand who try the same thing.
#[derive(Debug, Default)]
pub struct Place {
    door: tokio::sync::Mutex<()>,
    inside: AtomicUsize,
    left: Notify,
}

/// A try under way; over when dropped.
#[derive(Debug)]
pub struct Turn(Arc<Place>);

impl Turns {
    pub(super) fn place(&self, key: Counter) -> Arc<Place> {
        let mut places = lock(&self.0);
        if let Some(place) = places.known.get(&key).and_then(Weak::upgrade) {
            return place;
        }
        if places.known.len() >= places.clear_at {
            places.known.retain(|_, place| place.strong_count() > 0);
            places.clear_at = (places.known.len() * 2).max(FEW);
        }
        let place = Arc::default();
        places.known.insert(key, Arc::downgrade(&place));
        place
    }
}

impl Place {
    /// Waits until nobody else decides whether to enter.
    pub async fn door(&self) -> MutexGuard<'_, ()> {
        self.door.lock().await
    }

    /// How many tries are under way. Nobody enters while the door is held.
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::Acquire)
    }

    /// Waits until somebody has left since the last time.
    pub async fn somebody_left(&self) {
        self.left.notified().await;
    }

    /// Begins a try.
    pub fn enter(self: &Arc<Self>) -> Turn {
        self.inside.fetch_add(1, Ordering::AcqRel);
        Turn(Arc::clone(self))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::AcqRel);
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TokenHash;

    fn key(byte: u8) -> Counter {
        Counter::of_hash(TokenHash::new([byte; 32]))
    }

    #[test]
    fn those_who_try_the_same_stand_in_one_place_and_empty_places_are_forgotten() {
        let turns = Turns::default();
        let place = turns.place(key(1));
        let (first, second) = (place.enter(), turns.place(key(1)).enter());
        assert_eq!((place.inside(), turns.place(key(2)).inside()), (2, 0));
        drop((first, second));
        assert_eq!(place.inside(), 0);
        for byte in 2..=255 {
            turns.place(key(byte));
        }
        assert!(lock(&turns.0).known.len() <= FEW + 1);
    }
}
