//! The admin listener: health, and with a token clients and sessions.

use crate::secret::Secret;
use crate::server::Listen;

/// `admin`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `listen`
    pub listen: Listen,
    /// `token`
    pub token: Option<Secret>,
}
