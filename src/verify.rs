//! Judging claims against records. The only maker of [`Permit`]s.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::ids::ClientId;
use crate::store::record::{Algorithm, LiveSecret};

pub mod client_token;

/// How claims are judged.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Clients of the configuration file.
    pub clients: Vec<Arc<FileClient>>,
    /// `time.zone`
    pub zone: TimeZone,
    /// `time.skew`
    pub skew: Duration,
    /// `session`
    pub session: SessionSettings,
}

/// A client of the configuration file.
#[derive(Clone, Debug)]
pub struct FileClient {
    /// Its id.
    pub id: ClientId,
    /// Its secrets.
    pub secrets: Vec<LiveSecret>,
    /// Algorithms of its api_token.
    pub algorithms: Vec<Algorithm>,
    /// Endpoints that it may call.
    pub endpoints: Vec<String>,
    /// `token`: what md5 is taken over, `None` for `{module}{controller}{action}{date}{secret}`.
    pub token: Option<String>,
    /// `date_format` (strftime), `%Y-%m-%d` by default, empty for no date.
    pub date_format: String,
}

/// `session`.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// `idle`
    pub idle: Duration,
    /// `max_age`
    pub max_age: Duration,
    /// `extend_every`
    pub extend_every: Duration,
    /// `per_user`, 0 for no limit.
    pub per_user: usize,
    /// `when_full: end_oldest`
    pub end_oldest: bool,
    /// `bind` holds `client`.
    pub bind_client: bool,
    /// `bind` holds `ip`.
    pub bind_ip: bool,
    /// `bind` holds `user_agent`.
    pub bind_user_agent: bool,
    /// `user_id: required`
    pub user_id_required: bool,
}
