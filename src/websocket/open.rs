//! How many connections are WebSockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts them, over all worker threads that share it. Cloning is shallow.
#[derive(Clone, Debug, Default)]
pub struct Open(Arc<AtomicUsize>);

/// One of them; counted until it is dropped.
#[derive(Debug)]
pub struct Counted(Open);

impl Open {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// One more.
    pub fn enter(&self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
