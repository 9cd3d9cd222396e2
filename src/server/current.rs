//! What a worker serves by: swapped whole when the configuration changes, so that no request sees half of one.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use http::Response;

use super::{Answer, Settings};
use crate::gate::Arrived;
use crate::reply::Body;

/// Settings of the listener and what answers its requests, which belong together. A request keeps to the one that was in force
/// when its head had come.
pub struct Serving {
    /// Of the listener.
    pub(super) settings: Arc<Settings>,
    handler: Box<dyn Fn(Arrived) -> Answer + Send + Sync>,
}

impl Serving {
    /// Requests are read by `settings` and answered by `handler`.
    pub fn new<H, F>(settings: Arc<Settings>, handler: H) -> Self
    where
        H: Fn(Arrived) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let handler = move |arrived: Arrived| -> Answer { Box::pin(handler(arrived)) };
        Self { settings, handler: Box::new(handler) }
    }

    pub(super) fn answer(&self, arrived: Arrived) -> Answer {
        (self.handler)(arrived)
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What is in force now.
#[derive(Debug)]
pub struct Current(ArcSwap<Serving>);

impl Current {
    /// With this to begin with.
    pub fn new(serving: Serving) -> Self {
        Self(ArcSwap::from_pointee(serving))
    }

    /// Puts another in force: for every request whose head comes from now on.
    pub fn swap(&self, serving: Serving) {
        self.0.store(Arc::new(serving));
    }

    /// To look at for a moment.
    pub(super) fn serving(&self) -> Guard<Arc<Serving>> {
        self.0.load()
    }

    /// To keep for a request.
    pub(super) fn take(&self) -> Arc<Serving> {
        self.0.load_full()
    }
}
