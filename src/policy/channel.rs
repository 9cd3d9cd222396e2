//! How a connection goes on that a `websocket` route let pass.

use std::sync::Arc;
use std::time::Duration;

use crate::policy::bridge::Bridge;
use crate::policy::pattern::Glob;

/// What a rule for WebSockets says besides what every rule does.
#[derive(Clone, Debug)]
pub struct Channel {
    /// `origins`: pages that may ask; empty: any.
    pub origins: Vec<Glob>,
    /// `mode`
    pub mode: Mode,
}

/// What the connection becomes.
#[derive(Clone, Debug)]
pub enum Mode {
    /// One to the application.
    Tunnel(Tunnel),
    /// One whose messages become requests.
    Bridge(Arc<Bridge>),
}

/// `mode: tunnel`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// `idle`: it ends after so long without a byte in either direction.
    pub idle: Duration,
    /// `max_age`: it ends after so long in any case.
    pub max_age: Duration,
}

impl Channel {
    /// The types of messages, where they become requests.
    pub fn bridge(&self) -> Option<&Arc<Bridge>> {
        match &self.mode {
            Mode::Bridge(bridge) => Some(bridge),
            Mode::Tunnel(_) => None,
        }
    }

    /// Whether that page may ask. Programs name none, and could name any.
    pub fn allows(&self, origin: Option<&[u8]>) -> bool {
        let listed = |origin: &[u8]| self.origins.iter().any(|glob| glob.matches_text(origin));
        self.origins.is_empty() || origin.is_none_or(listed)
    }
}
