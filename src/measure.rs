//! Figures: added up where things happen, read when somebody asks. What they are called is the business of `telemetry::metrics`.
//!
//! Adding costs a few nanoseconds, because whoever adds often has a [`Share`] of its own: no two threads write to one place.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of a histogram's buckets, in microseconds: from what the gate itself takes to what nobody waits for.
pub const BOUNDS: [u64; 18] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// None yet.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// One more.
    pub fn up(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, many: u64) {
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many there are of something now. Cloning is shallow.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicUsize>);

/// One of those that a [`Gauge`] counts, until it is dropped.
#[derive(Debug)]
#[must_use = "it counts only as long as it is held"]
pub struct Inside(Gauge);

impl Gauge {
    /// One more, for as long as the answer is held.
    pub fn enter(&self) -> Inside {
        self.0.fetch_add(1, Ordering::Relaxed);
        Inside(self.clone())
    }

    /// How many now.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long things took, by the buckets of [`BOUNDS`] and one for all that is longer.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BOUNDS.len() + 1],
    nanos: Counter,
}

impl Histogram {
    /// Something took so long.
    pub fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| bound * 1000 < nanos);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.up();
        }
        self.nanos.add(nanos);
    }

    /// What it came to.
    pub fn read(&self) -> Times {
        Times { buckets: self.buckets.each_ref().map(Counter::get), nanos: self.nanos.get() }
    }
}

/// What a [`Histogram`] came to, or several together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    buckets: [u64; BOUNDS.len() + 1],
    nanos: u64,
}

impl Times {
    /// Those of another one are added.
    pub fn add(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(own, more)| *own += more);
        self.nanos = self.nanos.saturating_add(other.nanos);
    }

    /// How many took at most so long: `(microseconds, how many)` for each of [`BOUNDS`].
    pub fn up_to(&self) -> impl Iterator<Item = (u64, u64)> {
        let counts = self.buckets.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        BOUNDS.into_iter().zip(counts)
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How long they took together, in seconds.
    pub fn seconds(&self) -> f64 {
        Duration::from_nanos(self.nanos).as_secs_f64()
    }
}

/// Figures that can be added up.
pub trait Figures {
    /// What they come to.
    type Sum: Clone + Default + fmt::Debug;

    /// Adds them to others.
    fn add_to(&self, sum: &mut Self::Sum);
}

/// All shares of some figures together. Cloning is shallow.
#[derive(Debug)]
pub struct Whole<T: Figures>(Arc<Mutex<Parts<T>>>);

#[derive(Debug)]
struct Parts<T: Figures> {
    shares: Vec<Arc<T>>,
    /// What shares came to that are gone.
    gone: T::Sum,
}

/// One worker's share of some figures. What was counted in it stays counted when it is dropped.
#[derive(Debug)]
pub struct Share<T: Figures> {
    own: Arc<T>,
    whole: Whole<T>,
}

impl<T: Figures> Whole<T> {
    /// A further share, that begins with those figures.
    pub fn share(&self, own: T) -> Share<T> {
        let own = Arc::new(own);
        self.parts().shares.push(Arc::clone(&own));
        Share { own, whole: self.clone() }
    }

    /// What all shares come to.
    pub fn sum(&self) -> T::Sum {
        let parts = self.parts();
        let mut sum = parts.gone.clone();
        parts.shares.iter().for_each(|share| share.add_to(&mut sum));
        sum
    }

    fn parts(&self) -> MutexGuard<'_, Parts<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Figures> Default for Whole<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Parts { shares: Vec::new(), gone: T::Sum::default() })))
    }
}

impl<T: Figures> Clone for Whole<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Figures> Share<T> {
    /// What it is a share of.
    pub const fn whole(&self) -> &Whole<T> {
        &self.whole
    }
}

impl<T: Figures> Deref for Share<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.own
    }
}

impl<T: Figures> Drop for Share<T> {
    fn drop(&mut self) {
        let mut parts = self.whole.parts();
        self.own.add_to(&mut parts.gone);
        parts.shares.retain(|share| !Arc::ptr_eq(share, &self.own));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Figures for Counter {
        type Sum = u64;

        fn add_to(&self, sum: &mut u64) {
            *sum += self.get();
        }
    }

    #[test]
    fn a_time_falls_into_the_first_bucket_that_is_not_too_small_for_it() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 60_000_000, 60_000_001] {
            histogram.record(Duration::from_micros(micros));
        }
        let times = histogram.read();
        let counts: Vec<u64> = times.up_to().map(|(_, count)| count).collect();
        assert_eq!((counts[0], counts[1], counts[16], counts[17], times.count()), (2, 3, 3, 4, 5));
        assert!((times.seconds() - 120.000_202).abs() < 1e-9, "{}", times.seconds());
    }

    #[test]
    fn what_was_counted_in_a_share_stays_counted() {
        let whole = Whole::<Counter>::default();
        let (first, second) = (whole.share(Counter::new()), whole.share(Counter::new()));
        first.up();
        second.add(2);
        assert_eq!(whole.sum(), 3);
        drop(first);
        second.up();
        assert_eq!((whole.sum(), second.whole().sum()), (4, 4));
    }

    #[test]
    fn a_gauge_counts_who_is_inside() {
        let gauge = Gauge::default();
        let (one, two) = (gauge.enter(), gauge.clone().enter());
        assert_eq!(gauge.get(), 2);
        drop((one, two));
        assert_eq!(gauge.get(), 0);
    }
}
