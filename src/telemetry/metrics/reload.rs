//! Whether the configuration could be read anew.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::clock::Timestamp;
use crate::measure::Counter;
use crate::telemetry::metrics::{Kind, Page};

/// How reading the configuration anew went.
#[derive(Debug)]
pub struct Reloads {
    failed_last: AtomicBool,
    /// When the configuration in force was taken up, in seconds.
    taken_up: AtomicU64,
    succeeded: Counter,
    failed: Counter,
}

impl Reloads {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            failed_last: AtomicBool::new(false),
            taken_up: AtomicU64::new(now.as_secs()),
            succeeded: Counter::new(),
            failed: Counter::new(),
        }
    }

    /// A new one is in force.
    pub fn succeeded(&self, now: Timestamp) {
        self.taken_up.store(now.as_secs(), Ordering::Relaxed);
        self.failed_last.store(false, Ordering::Relaxed);
        self.succeeded.up();
    }

    /// A new one could not be taken up; the old one stays.
    pub fn failed(&self) {
        self.failed_last.store(true, Ordering::Relaxed);
        self.failed.up();
    }

    pub(super) fn write(&self, page: &mut Page) {
        let help = "1 if the configuration was taken up when it was last read, 0 if it has faults and an older one is in force.";
        let success = u8::from(!self.failed_last.load(Ordering::Relaxed));
        page.family("ticketgate_config_reload_success", Kind::Gauge, help).sample(&[], success);
        let help = "When the configuration in force was taken up, in Unix seconds.";
        let taken_up = self.taken_up.load(Ordering::Relaxed);
        page.family("ticketgate_config_taken_up_timestamp_seconds", Kind::Gauge, help).sample(&[], taken_up);
        let help = "How often the configuration was read anew.";
        let mut reloads = page.family("ticketgate_config_reloads_total", Kind::Counter, help);
        for (result, counter) in [("succeeded", &self.succeeded), ("failed", &self.failed)] {
            reloads.sample(&[("result", result)], counter.get());
        }
    }
}
