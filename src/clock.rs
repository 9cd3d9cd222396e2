//! The time, as a value that is handed in: nothing else in the crate asks the operating system, so tests can move it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub mod span;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From seconds since the Unix epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This much later; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// This much earlier, at least the epoch.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where the gate takes the time from. Cloning is shallow: clones of a movable clock move together.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The operating system's clock.
    pub const fn system() -> Self {
        Self { offset: None }
    }

    /// The operating system's clock with an offset that [`Clock::advance`] and [`Clock::set_back`] change, for tests.
    pub fn movable() -> Self {
        Self { offset: Some(Arc::new(AtomicI64::new(0))) }
    }

    /// Now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the operating system")]
    pub fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let offset = self.offset.as_ref().map_or(0, |offset| offset.load(Ordering::Relaxed));
        Timestamp(millis(since_epoch).saturating_add_signed(offset))
    }

    /// Moves a movable clock forward; without effect on the system's.
    pub fn advance(&self, by: Duration) {
        self.shift(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Moves a movable clock back; without effect on the system's.
    pub fn set_back(&self, by: Duration) {
        self.shift(-i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    fn shift(&self, millis: i64) {
        if let Some(offset) = &self.offset {
            offset.fetch_add(millis, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_movable_clock_moves_with_its_clones_and_the_systems_does_not() {
        let clock = Clock::movable();
        let clone = clock.clone();
        let before = clone.now();
        clock.advance(Duration::from_secs(3600));
        assert!(clone.now().since(before) >= Duration::from_secs(3600));

        let system = Clock::system();
        let before = system.now();
        system.advance(Duration::from_secs(3600));
        assert!(system.now().since(before) < Duration::from_secs(60));
    }

    #[test]
    fn arithmetic_saturates() {
        let start = Timestamp::from_millis(5);
        assert_eq!(start.minus(Duration::from_secs(1)), Timestamp::from_millis(0));
        assert_eq!(start.since(Timestamp::from_millis(9)), Duration::ZERO);
        assert_eq!(start.plus(Duration::MAX), Timestamp::from_millis(u64::MAX));
    }
}
