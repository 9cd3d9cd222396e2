//! As written: `websocket`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::file::rule::Requirement;
use crate::config::values::Span;

/// A route for WebSockets: requests for one at its path are decided by it, before all rules.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Websocket {
    /// The path; required: `*` within a segment, `**` across segments.
    pub(crate) path: Option<String>,
    /// `tunnel`: bytes pass both ways between client and application; required. `bridge` is not available in this version.
    pub(crate) mode: Option<Mode>,
    /// What the request for it must hold; required.
    pub(crate) require: Option<Requirement>,
    /// `module/controller/action` that its api_token is computed over.
    pub(crate) endpoint: Option<String>,
    /// Pages that may ask, as `https://app.example` or `https://*.example`; any by default.
    pub(crate) origins: Vec<String>,
    /// A tunnel ends after so long without a byte in either direction.
    pub(crate) idle: Span,
    /// A tunnel ends after so long in any case.
    pub(crate) max_age: Span,
}

impl Default for Websocket {
    fn default() -> Self {
        Self {
            path: None,
            mode: None,
            require: None,
            endpoint: None,
            origins: Vec::new(),
            idle: Span::secs(5 * 60),
            max_age: Span::secs(24 * 3600),
        }
    }
}

/// `mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// To the application.
    Tunnel,
    /// Frames become requests.
    Bridge,
}
