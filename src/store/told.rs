//! What was noted is on its way to the store: whoever must not answer before it is there waits here.

use std::fmt;

use tokio::sync::watch;

/// On its way, or there.
#[derive(Clone, Default)]
pub struct Told(Option<(u64, watch::Receiver<u64>)>);

impl Told {
    /// There is nothing to wait for.
    pub const fn at_once() -> Self {
        Self(None)
    }

    /// When so many were.
    pub(super) const fn when(number: u64, settled: watch::Receiver<u64>) -> Self {
        Self(Some((number, settled)))
    }

    /// Waits until the store knows, or could not be told for now: it will be tried again.
    pub async fn wait(&self) {
        if let Some((number, settled)) = &self.0 {
            // An error means that nobody is left to tell it.
            let _ = settled.clone().wait_for(|settled| settled >= number).await;
        }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Told").field(&self.0.as_ref().map(|(number, _)| number)).finish()
    }
}
