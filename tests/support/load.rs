//! Requests without a pause, each of some sessions in turn, and what became of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::caller::Caller;

/// Requests under way.
#[derive(Debug)]
pub struct Load {
    over: Arc<AtomicBool>,
    tasks: JoinSet<Vec<Told>>,
}

/// What one request came to.
#[derive(Clone, Debug)]
pub struct Told {
    /// Which of the callers it was of.
    pub caller: usize,
    /// `passed`, or the reason that it was refused for.
    pub what: String,
    pub sent: Instant,
    pub came: Instant,
}

/// All of them, in the order in which they were answered.
#[derive(Debug)]
pub struct Tale(pub Vec<Told>);

impl Load {
    /// Begins, with that many requests at once.
    pub fn start(callers: &[Caller], at_once: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for first in 0..at_once {
            let (callers, over) = (callers.to_vec(), Arc::clone(&over));
            tasks.spawn(async move {
                let mut tale = Vec::new();
                for turn in (first..).step_by(at_once) {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    tale.push(ask(&callers, turn % callers.len()).await);
                }
                tale
            });
        }
        Self { over, tasks }
    }

    /// Ends, and tells.
    pub async fn stop(self) -> Tale {
        self.over.store(true, Ordering::Relaxed);
        let mut tale: Vec<_> = self.tasks.join_all().await.into_iter().flatten().collect();
        tale.sort_by_key(|told| told.came);
        Tale(tale)
    }
}

async fn ask(callers: &[Caller], caller: usize) -> Told {
    let sent = Instant::now();
    let reply = callers[caller].get("user/info/get").await;
    let what = if reply.status == 200 { "passed" } else { reply.reason() }.to_owned();
    Told { caller, what, sent, came: Instant::now() }
}

impl Tale {
    /// How often each was said to these callers.
    pub fn counts(&self, callers: impl Fn(usize) -> bool) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for told in self.0.iter().filter(|told| callers(told.caller)) {
            *counts.entry(told.what.as_str()).or_default() += 1;
        }
        counts
    }

    /// From the first request that was left undecided to the end of the last.
    pub fn undecided(&self, callers: impl Fn(usize) -> bool) -> Duration {
        let undecided = || self.0.iter().filter(|told| callers(told.caller) && told.what == "store_down");
        let first = undecided().map(|told| told.sent).min();
        let last = undecided().map(|told| told.came).max();
        first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first)
    }

    /// The longest that a request took.
    pub fn slowest(&self) -> Duration {
        self.0.iter().map(|told| told.came - told.sent).max().unwrap_or_default()
    }
}
