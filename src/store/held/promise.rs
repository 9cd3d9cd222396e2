//! A connection's promise to tell of changes, and the proof that it still can.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// What a promise covers counts for so long after the last proof. A change that nobody can tell of any more, because the network
/// swallows it, is found out that much later at most: what ended must be refused within a second.
const PROOF_LASTS: Duration = Duration::from_millis(900);
/// A promise that is relied upon is proved so often.
pub(in crate::store) const PROVE_EVERY: Duration = Duration::from_millis(300);

/// What one connection promised. An answer on it proves that all was told that had changed before its question was read: answers
/// and changes come in order.
#[derive(Debug)]
pub(in crate::store) struct Promise {
    /// Whose connection it is.
    pub(in crate::store) link: u32,
    made: Instant,
    broken: AtomicBool,
    /// Nanoseconds after `made`: when the question was sent whose answer proved it last.
    proved: AtomicU64,
    relied_on: AtomicBool,
    wanted: Notify,
}

impl Promise {
    /// Made by the answer to a question sent at `made`.
    pub(in crate::store) fn new(link: u32, made: Instant) -> Self {
        Self {
            link,
            made,
            broken: AtomicBool::new(false),
            proved: AtomicU64::new(0),
            relied_on: AtomicBool::new(false),
            wanted: Notify::new(),
        }
    }

    /// The same connection's promise after everything it had promised to tell of has changed.
    pub(in crate::store) fn renewed(&self) -> Self {
        Self::new(self.link, self.proved())
    }

    /// A question sent at `asked` was answered.
    pub(in crate::store) fn prove(&self, asked: Instant) {
        let since = u64::try_from(asked.saturating_duration_since(self.made).as_nanos()).unwrap_or(u64::MAX);
        self.proved.fetch_max(since, Ordering::Relaxed);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    pub(super) fn break_off(&self) {
        self.broken.store(true, Ordering::Release);
        self.wanted.notify_one();
    }

    /// When it was proved last, where that is recent enough to rely on.
    pub(super) fn stands(&self, now: Instant) -> Option<Instant> {
        if self.is_broken() {
            return None;
        }
        // A load is cheaper than a store where all cores do it.
        if !self.relied_on.load(Ordering::Relaxed) {
            self.relied_on.store(true, Ordering::Relaxed);
            self.wanted.notify_one();
        }
        let proved = self.proved();
        (now.saturating_duration_since(proved) <= PROOF_LASTS).then_some(proved)
    }

    fn proved(&self) -> Instant {
        self.made + Duration::from_nanos(self.proved.load(Ordering::Relaxed))
    }

    /// Waits until it wants to be proved anew; `false` where it is broken.
    pub(in crate::store) async fn wants_proof(&self) -> bool {
        tokio::time::sleep(PROVE_EVERY).await;
        while !self.is_broken() && !self.relied_on.swap(false, Ordering::Relaxed) {
            self.wanted.notified().await;
        }
        !self.is_broken()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_stands_for_less_than_a_second_after_each_proof_and_not_once_broken() {
        let made = Instant::now();
        let promise = Promise::new(0, made);
        let after = |millis| made + Duration::from_millis(millis);
        assert_eq!(promise.stands(after(900)), Some(made));
        assert_eq!(promise.stands(after(901)), None);
        promise.prove(after(500));
        promise.prove(after(200));
        assert_eq!(promise.stands(after(1400)), Some(after(500)), "an older proof takes nothing back");
        assert_eq!(promise.stands(after(1401)), None);
        promise.prove(after(2000));
        assert_eq!(promise.stands(after(2000)), Some(after(2000)), "it stands again: its connection was only slow");
        promise.break_off();
        promise.prove(after(2001));
        assert_eq!(promise.stands(after(2001)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_promise_that_is_relied_on_wants_to_be_proved() {
        let promise = Promise::new(0, Instant::now());
        promise.stands(Instant::now());
        assert!(promise.wants_proof().await);
        let unused = tokio::time::timeout(Duration::from_secs(60), promise.wants_proof());
        assert!(unused.await.is_err(), "nobody used it");
        promise.stands(Instant::now());
        assert!(promise.wants_proof().await);
        promise.break_off();
        assert!(!promise.wants_proof().await);
    }
}
