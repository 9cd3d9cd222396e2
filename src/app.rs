//! The composition root: settings become handles, handles become a running gate.

use crate::clock::Clock;
use crate::config::Settings;

/// A running gate.
#[derive(Debug)]
pub struct Running {
    /// The public addresses, as bound.
    pub addresses: Vec<String>,
    /// The admin address, as bound.
    pub admin: String,
}

impl Running {
    /// Ends gracefully: not ready at once, accepting until `drain_delay` is over, finishing what is under way within `timeouts.drain`.
    pub async fn drain(self) {
        todo!()
    }
}

/// Binds every port, opens the store, starts the workers.
pub async fn start(_settings: Settings, _clock: Clock) -> anyhow::Result<Running> {
    todo!()
}
