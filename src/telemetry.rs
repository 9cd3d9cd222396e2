//! What is told about requests: one [`Outcome`] each, recorded once, at the edge.

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

/// Sends the process's own messages (not the access log) to stderr. Only the first call of a process counts.
pub fn init(settings: &Settings) {
    let filter = EnvFilter::try_new(format!("ticketgate={}", settings.level)).unwrap_or_default();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // An error means that a subscriber is set already, as in tests.
    let _ = if settings.json {
        subscriber.json().flatten_event(true).try_init()
    } else {
        subscriber.with_ansi(false).try_init()
    };
}
