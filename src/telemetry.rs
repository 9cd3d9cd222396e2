//! What is told about requests: one outcome each, one log line each.

/// `log`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `format: json` (or text).
    pub json: bool,
    /// `level`: error, warn, info, debug, trace.
    pub level: String,
    /// `access`: a line per request.
    pub access: bool,
}

/// Begins to log as `settings` say.
pub fn init(_settings: &Settings) {
    todo!()
}
