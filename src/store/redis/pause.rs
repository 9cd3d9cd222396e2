//! Something done now and then, by whoever comes first, on any thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Says when it is time again.
#[derive(Debug)]
pub(super) struct Pause {
    every: Duration,
    began: Instant,
    /// Milliseconds since `began`, before which it is not.
    next: AtomicU64,
}

impl Pause {
    /// The first time is when `every` has passed.
    pub(super) fn new(every: Duration) -> Self {
        let next = AtomicU64::new(millis(every));
        Self { every, began: Instant::now(), next }
    }

    /// Whether it is time; it is so for one caller.
    pub(super) fn is_due(&self) -> bool {
        let (now, next) = (millis(self.began.elapsed()), self.next.load(Ordering::Relaxed));
        let after = now + millis(self.every);
        now >= next && self.next.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_time_once_in_a_while_for_one() {
        let pause = Pause::new(Duration::from_secs(1));
        assert!(!pause.is_due());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(pause.is_due() && !pause.is_due());
        tokio::time::advance(Duration::from_millis(999)).await;
        assert!(!pause.is_due());
    }
}
