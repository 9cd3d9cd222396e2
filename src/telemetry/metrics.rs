//! Metrics: what became of requests, added up, and how such figures are written for Prometheus.
//!
//! Labels come from the configuration (rules) and from the program (reasons), never from a request, so their number is bounded.
//! The cells of every rule and reason lie ready, in a table for each worker: counting a request is an index and a few additions
//! to memory that no other core writes to. A library's families would look up hashes of label values, or share cells among cores.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::measure::{Share, Whole};

mod page;
mod process;
mod reload;
mod requests;

pub use page::{Family, Kind, Page};
pub use reload::Reloads;
pub use requests::Requests;

/// Figures of the whole process that are told to whoever asks. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Whole<Requests>,
    reloads: Arc<Reloads>,
    started: Timestamp,
}

impl Metrics {
    /// Of a process that started then, with a configuration that could be read.
    pub fn new(started: Timestamp) -> Self {
        let reloads = Arc::new(Reloads::new(started));
        Self { requests: Whole::default(), reloads, started }
    }

    /// Where a worker counts requests, of which rules of these names decide.
    pub fn requests(&self, rules: Vec<Arc<str>>) -> Share<Requests> {
        self.requests.share(Requests::new(rules))
    }

    /// How reading the configuration anew went.
    pub fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    /// Writes everything that is known here.
    pub fn write(&self, page: &mut Page) {
        requests::write(&self.requests.sum(), page);
        self.reloads.write(page);
        let mut build = page.family("ticketgate_build_info", Kind::Gauge, "Which program this is; always 1.");
        build.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        process::write(self.started, page);
    }
}
