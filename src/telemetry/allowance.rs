//! At most so many in each second.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::clock::Timestamp;

/// Of one worker. Two that race at the turn of a second may take one too many or too few, which matters to nobody.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    second: AtomicU64,
    taken: AtomicU32,
}

impl Allowance {
    /// Takes one, if there is one left of `most` in the second of `at`.
    pub(super) fn take(&self, at: Timestamp, most: u32) -> bool {
        let second = at.as_secs();
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.taken.store(0, Ordering::Relaxed);
        }
        let taken = self.taken.load(Ordering::Relaxed);
        if taken >= most {
            return false;
        }
        self.taken.store(taken + 1, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_so_many() {
        let allowance = Allowance::default();
        let taken = |second| (0..5).filter(|_| allowance.take(Timestamp::from_secs(second), 3)).count();
        assert_eq!([taken(0), taken(0), taken(1), taken(0)], [3, 0, 3, 3]);
    }
}
