//! Locks that the shared store told of, for a moment: whoever is locked and goes on guessing costs it nothing.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Timestamp;

use super::counting::Counter;
use super::lock;

/// How long a lock is known here. One that an operator took off by hand holds that much longer.
const FRESH: Duration = Duration::from_millis(250);
/// Most that are known at once; further ones are asked for each time.
const MOST: usize = 10_000;

/// Locks that were told of lately.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<HashMap<Counter, Told>>);

#[derive(Clone, Copy, Debug)]
struct Told {
    at: Timestamp,
    locked: Timestamp,
}

impl Locks {
    /// The store said at `now` that this one is locked for so much longer.
    pub(super) fn learn(&self, key: Counter, now: Timestamp, left: Duration) {
        let mut known = lock(&self.0);
        if known.len() >= MOST {
            known.retain(|_, told| told.is_fresh(now));
        }
        if known.len() < MOST {
            known.insert(key, Told { at: now, locked: now.plus(left) });
        }
    }

    /// For how much longer it is locked, where that was told a moment ago.
    pub(super) fn known(&self, key: Counter, now: Timestamp) -> Option<Duration> {
        let told = lock(&self.0).get(&key).copied().filter(|told| told.is_fresh(now))?;
        Some(told.locked.since(now)).filter(|left| !left.is_zero())
    }

    /// It is locked no more.
    pub(super) fn forget(&self, key: Counter) {
        lock(&self.0).remove(&key);
    }
}

impl Told {
    /// A clock that was set back makes it stale.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.at <= now && now.since(self.at) < FRESH
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TokenHash;

    #[test]
    fn a_lock_is_known_for_a_moment_and_never_longer_than_it_lasts() {
        let (locks, start) = (Locks::default(), Timestamp::from_secs(1000));
        let key = |byte| Counter::of_hash(TokenHash::new([byte; 32]));
        let after = |millis| start.plus(Duration::from_millis(millis));
        locks.learn(key(1), start, Duration::from_secs(60));
        locks.learn(key(2), start, Duration::from_millis(100));
        assert_eq!(locks.known(key(1), after(100)), Some(Duration::from_millis(59_900)));
        assert_eq!(locks.known(key(1), after(250)), None);
        assert_eq!(locks.known(key(1), start.minus(Duration::from_secs(1))), None);
        assert_eq!(locks.known(key(2), after(99)), Some(Duration::from_millis(1)));
        assert_eq!(locks.known(key(2), after(100)), None);
        assert_eq!(locks.known(key(3), start), None);
        locks.forget(key(1));
        assert_eq!(locks.known(key(1), start), None);
    }
}
