//! What is told about requests: one [`Outcome`] each, recorded once, at the edge.

use std::fmt;
use std::io;

use tracing_subscriber::EnvFilter;

pub mod access_log;

pub use access_log::AccessLog;

use crate::clock::Timestamp;
use crate::ids::{ClientId, RequestId, SessionId, UserId};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

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

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// When it came.
    pub at: Timestamp,
    /// Its id.
    pub request_id: RequestId,
    /// Who sent it.
    pub ip: IpAddr,
    /// Its method; empty where no head could be read.
    pub method: String,
    /// Its target with credentials redacted; likewise.
    pub path: String,
    /// The rule that decided, where one did.
    pub rule: Option<Arc<str>>,
    /// `forwarded`, `refused`, `failed` or `observed` (forwarded though it would have been refused).
    pub verdict: Verdict,
    /// Why it was refused, failed, or would have been.
    pub reason: Option<&'static str>,
    /// More about that, for operators.
    pub detail: Option<String>,
    /// The status line's code.
    pub status: u16,
    /// The proved client.
    pub client: Option<ClientId>,
    /// The proved user.
    pub user: Option<UserId>,
    /// The session.
    pub session: Option<SessionId>,
    /// Until the response head.
    pub duration: Duration,
    /// The application's share of it.
    pub upstream: Option<Duration>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Forwarded,
    /// The caller lacked something.
    Refused,
    /// Our side failed.
    Failed,
    /// `mode: observe`: it was forwarded though it would have been refused.
    Observed,
}

impl Verdict {
    /// As it stands in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Observed => "observed",
        }
    }
}

/// The level of the process's own messages, which may change. Cloning is shallow.
#[derive(Clone)]
pub struct Level(Arc<dyn Fn(EnvFilter) + Send + Sync>);

impl Level {
    /// Tells from now on what is of that level.
    pub fn set(&self, settings: &Settings) {
        (self.0)(filter(settings));
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Level").finish_non_exhaustive()
    }
}

fn filter(settings: &Settings) -> EnvFilter {
    EnvFilter::try_new(format!("ticketgate={}", settings.level)).unwrap_or_default()
}

/// Sends the process's own messages (not the access log) to stderr. Only the first call of a process counts.
pub fn init(settings: &Settings) -> Level {
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter(settings)).with_writer(io::stderr);
    // An error, here and below, means that a subscriber is set already, as in tests.
    if settings.json {
        let subscriber = subscriber.json().flatten_event(true).with_filter_reloading();
        let level = subscriber.reload_handle();
        let _ = subscriber.try_init();
        Level(Arc::new(move |filter| drop(level.reload(filter))))
    } else {
        let subscriber = subscriber.with_ansi(false).with_filter_reloading();
        let level = subscriber.reload_handle();
        let _ = subscriber.try_init();
        Level(Arc::new(move |filter| drop(level.reload(filter))))
    }
}
