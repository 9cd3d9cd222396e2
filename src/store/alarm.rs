//! What this process knows of failures at other gates, without asking the store each time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Timestamp;

/// How old "nobody fails" may be. A lock that another gate set holds here at most that much later.
const FRESH: Duration = Duration::from_millis(250);

/// Whether anybody failed lately.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// Milliseconds; until then there may be locks.
    raised_until: AtomicU64,
    asking: Pause,
}

impl Alarm {
    /// There may be locks until then.
    pub(super) fn raise(&self, until: Timestamp) {
        self.raised_until.fetch_max(until.as_millis(), Ordering::Relaxed);
    }

    /// Whether there may be locks, as far as this process knows.
    pub(super) fn is_raised(&self, now: Timestamp) -> bool {
        now.as_millis() < self.raised_until.load(Ordering::Relaxed)
    }

    /// Whether there may be locks; `None` where the caller must ask, meanwhile the others go by what was known.
    pub(super) fn known(&self, now: Timestamp) -> Option<bool> {
        if self.is_raised(now) {
            return Some(true);
        }
        if self.asking.is_due_every(FRESH, now) { None } else { Some(false) }
    }
}

/// Something done now and then, by one of many.
#[derive(Debug, Default)]
pub(super) struct Pause {
    /// Milliseconds; when it was done last.
    last: AtomicU64,
}

impl Pause {
    /// Whether `every` has passed since this was last true; it is so for one caller.
    pub(super) fn is_due_every(&self, every: Duration, now: Timestamp) -> bool {
        let (last, now) = (self.last.load(Ordering::Relaxed), now.as_millis());
        // A clock that was set back makes it due.
        let waits = last <= now && u128::from(now - last) < every.as_millis();
        !waits && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_for_once_in_a_while_and_not_while_it_is_raised() {
        let (alarm, start) = (Alarm::default(), Timestamp::from_secs(1000));
        assert_eq!(alarm.known(start), None);
        assert_eq!(alarm.known(start), Some(false));
        assert_eq!(alarm.known(start.plus(FRESH)), None);

        alarm.raise(start.plus(Duration::from_secs(60)));
        alarm.raise(start.plus(Duration::from_secs(30)));
        assert_eq!(alarm.known(start.plus(Duration::from_secs(59))), Some(true));
        assert_eq!(alarm.known(start.plus(Duration::from_secs(60))), None);
        assert_eq!(alarm.known(start.plus(Duration::from_secs(60))), Some(false));
    }

    #[test]
    fn a_clock_that_was_set_back_stops_nothing() {
        let (pause, start) = (Pause::default(), Timestamp::from_secs(1000));
        assert!(pause.is_due_every(FRESH, start));
        assert!(pause.is_due_every(FRESH, start.minus(Duration::from_secs(500))));
    }
}
