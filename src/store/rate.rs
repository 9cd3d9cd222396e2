//! A rate as arithmetic: the generic cell rate algorithm (ITU-T I.371, annex A), in whole microseconds.
//!
//! Each counter is one number: when the next request would be due if all came evenly. A request may come early by the burst.

use std::time::Duration;

/// So many in a time, evenly, and a burst of them at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Microseconds from one request to the next.
    interval: u64,
    /// Requests that may come at once, at least one.
    burst: u64,
}

/// Microseconds since the Unix epoch, or a span of them.
pub(super) type Micros = u64;

/// What comes late by so much is not lost.
const HICCUP: Micros = 80_000;
/// So many in a second may come at once.
const FEW: u64 = 5;
const SECOND: Micros = 1_000_000;

impl Rate {
    /// Shortest time between two requests: below it, whole microseconds would count too coarsely.
    pub const SHORTEST: Duration = Duration::from_micros(100);

    /// `count` in each `per`. `burst` of them may come at once. Where it is left out: of a rate per minute or longer all of them,
    /// because `10/h` means ten in an hour and not one every six minutes; of a rate per second what it brings in 80 ms, enough for
    /// a network's and a machine's hiccups, so that ten seconds let through less than 1 % more than the rate says, and of five or
    /// fewer all. `None` where nothing could ever pass, or requests would follow each other faster than [`Rate::SHORTEST`].
    pub fn new(count: u32, per: Duration, burst: Option<u32>) -> Option<Self> {
        let per = u64::try_from(per.as_micros()).ok()?;
        let count = u64::from(count);
        let shortest = u64::try_from(Self::SHORTEST.as_micros()).ok()?;
        if count.saturating_mul(shortest) > per || burst == Some(0) {
            return None;
        }
        let interval = (per + count / 2).checked_div(count)?;
        let usual = if per > SECOND || count <= FEW { count } else { HICCUP.div_ceil(interval) };
        Some(Self { interval, burst: burst.map_or(usual, u64::from) })
    }

    /// Time from one request to the next when they come evenly.
    pub const fn interval(self) -> Duration {
        Duration::from_micros(self.interval)
    }

    /// How many may come at once.
    pub const fn burst(self) -> u64 {
        self.burst
    }

    /// How far ahead of time requests may be.
    pub(super) const fn reach(self) -> Micros {
        self.interval.saturating_mul(self.burst)
    }

    /// One more request at `now` when the next one is due at `due`: when the one after it is, or how long it must wait. `grain`
    /// is how coarse `now` is.
    pub fn take(self, due: Micros, now: Micros, grain: Micros) -> Result<Micros, Duration> {
        // A clock that was set back, or a rate that was changed, leaves no debt beyond the burst.
        let next = due.clamp(now, now.saturating_add(self.reach())).saturating_add(self.interval);
        match next.checked_sub(now + self.reach() + grain) {
            None | Some(0) => Ok(next),
            Some(early) => Err(Duration::from_micros(early + grain)),
        }
    }

    /// When the next request is due after one that was counted is not counted after all.
    pub(super) const fn give_back(self, due: Micros) -> Micros {
        due.saturating_sub(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(count: u32, per: u64, burst: Option<u32>) -> Rate {
        Rate::new(count, Duration::from_secs(per), burst).unwrap()
    }

    /// How many pass of requests that come every `gap` for ten seconds, `at_once` of them each time.
    fn passed(rate: Rate, gap: Micros, at_once: usize) -> u64 {
        let (mut due, mut passed) = (0, 0);
        for now in (0..10 * SECOND).step_by(usize::try_from(gap).unwrap()) {
            for _ in 0..at_once {
                if let Ok(next) = rate.take(due, SECOND + now, 0) {
                    (due, passed) = (next, passed + 1);
                }
            }
        }
        passed
    }

    #[test]
    fn ten_seconds_let_through_what_the_rate_says_within_one_percent_however_it_comes() {
        for (count, per, expected) in [(50, 1, 500), (1000, 1, 10_000), (10_000, 1, 100_000)] {
            let rate = rate(count, per, None);
            for (gap, at_once) in [(50, 1), (1000, 20), (20_000, 1000), (50_000, 1000)] {
                // Only what comes faster than the rate can fill it.
                let offered = at_once as u64 * 10 * SECOND / gap;
                let passed = passed(rate, gap, at_once);
                let wanted = offered.min(expected);
                assert!(passed.abs_diff(wanted) * 100 <= wanted, "{count}/{per}s, {at_once} every {gap} us: {passed}");
            }
        }
    }

    #[test]
    fn as_many_as_are_named_may_come_at_once_where_they_are_few_or_the_time_is_long() {
        for (count, per) in [(1, 1), (5, 1), (3, 60), (600, 60), (10, 3600)] {
            assert_eq!(rate(count, per, None).burst(), u64::from(count), "{count} in {per}s");
        }
        assert_eq!(rate(50, 1, None).burst(), 4);
    }

    #[test]
    fn a_burst_comes_on_top_once() {
        assert_eq!(passed(rate(600, 60, Some(40)), 1000, 1), 100 + 39);
        assert_eq!(passed(rate(50, 1, Some(50)), SECOND, 1000), 500, "a second's worth at each second");
    }

    #[test]
    fn who_waits_as_told_passes_and_nobody_earlier() {
        for rate in [rate(7, 1, None), rate(10, 3600, Some(3)), rate(600, 60, Some(100))] {
            let mut due = 0;
            while let Ok(next) = rate.take(due, SECOND, 0) {
                due = next;
            }
            let wait = u64::try_from(rate.take(due, SECOND, 0).unwrap_err().as_micros()).unwrap();
            assert_eq!(wait, rate.interval);
            assert!(rate.take(due, SECOND + wait - 1, 0).is_err());
            assert!(rate.take(due, SECOND + wait, 0).is_ok());
        }
    }

    #[test]
    fn a_coarse_clock_loses_nothing() {
        // 999/s come every 1001 us, but this clock shows whole milliseconds only.
        let (rate, mut due, mut passed) = (rate(999, 1, Some(1)), 0, 0);
        for now in (0..10 * SECOND).step_by(100) {
            if let Ok(next) = rate.take(due, SECOND + now / 1000 * 1000, 1000) {
                (due, passed) = (next, passed + 1);
            }
        }
        assert!((9990..=9992).contains(&passed), "{passed}");
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let rate = rate(50, 1, Some(5));
        let wait = rate.take(3600 * SECOND, SECOND, 0).unwrap_err();
        assert!(wait <= rate.interval(), "{wait:?}");
    }

    #[test]
    fn what_was_given_back_may_be_taken_again() {
        let rate = rate(1, 60, None);
        let due = rate.take(0, SECOND, 0).unwrap();
        assert!(rate.take(due, SECOND, 0).is_err());
        assert!(rate.take(rate.give_back(due), SECOND, 0).is_ok());
    }

    #[test]
    fn rates_that_cannot_be_counted_are_none() {
        for (count, per, burst) in [(0, 1, None), (10_001, 1, None), (1, 1, Some(0)), (1, 0, None)] {
            assert_eq!(Rate::new(count, Duration::from_secs(per), burst), None, "{count}/{per}s {burst:?}");
        }
    }
}
