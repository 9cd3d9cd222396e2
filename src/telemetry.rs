//! What is told about requests: one [`Outcome`] each, recorded once, at the edge: a line in the log, and counted.

use std::fmt;
use std::io;

use tracing_subscriber::EnvFilter;

pub mod access_log;
mod allowance;
pub mod events;
pub mod metrics;
pub mod panics;
pub mod traces;

pub use access_log::AccessLog;
pub use events::{Ended, Events};
pub use metrics::Metrics;
pub use traces::Trace;

use crate::clock::Timestamp;
use crate::ids::{ClientId, RequestId, SessionId, UserId};
use crate::measure::Share;
use crate::reply::Reason;
use crate::telemetry::allowance::Allowance;
use crate::telemetry::metrics::{Kind, Page, Requests};
use crate::telemetry::traces::Exporter;
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
    /// Where spans go, if anywhere.
    pub traces: Option<traces::Settings>,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether anybody gets to see more of it than figures.
    pub shown: bool,
    /// When it came.
    pub at: Timestamp,
    /// Its id.
    pub request_id: RequestId,
    /// Who sent it.
    pub ip: IpAddr,
    /// Its method; empty where no head could be read, or nobody gets to see it.
    pub method: String,
    /// Its target with credentials redacted; likewise.
    pub path: String,
    /// The rule that decided, where one did.
    pub rule: Option<RuleLabel>,
    /// `forwarded`, `refused`, `failed` or `observed` (forwarded though it would have been refused).
    pub verdict: Verdict,
    /// Why it was refused, failed, or would have been.
    pub reason: Option<Reason>,
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
    /// What became of the login that it was.
    pub login: Option<Login>,
    /// Sessions that it ended.
    pub ended: Vec<Ended>,
    /// Until the response head.
    pub duration: Duration,
    /// The application's share of it.
    pub upstream: Option<Duration>,
    /// When that began, counted from the request's own beginning.
    pub upstream_after: Option<Duration>,
    /// Its place in a trace, where its head could be read.
    pub trace: Option<Trace>,
}

/// A rule, as outcomes name it.
#[derive(Clone, Debug)]
pub struct RuleLabel {
    /// Its name.
    pub name: Arc<str>,
    /// Its place among the rules.
    pub number: usize,
}

/// What the application made of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Somebody is logged in.
    Succeeded,
    /// It refused.
    Failed,
}

impl Login {
    /// As it stands in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
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
    /// The client left before it was answered.
    Closed,
}

impl Verdict {
    /// Of a request that did not pass for that reason.
    pub const fn of(reason: Reason) -> Self {
        match reason {
            Reason::ClientClosed => Self::Closed,
            reason if reason.is_fault() => Self::Failed,
            _ => Self::Refused,
        }
    }

    /// As it stands in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Observed => "observed",
            Self::Closed => "closed",
        }
    }
}

/// Where everything is told. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct Telemetry {
    log: AccessLog,
    metrics: Metrics,
    events: Events,
    exporter: Option<Exporter>,
}

/// One worker's way to tell.
#[derive(Debug)]
pub struct Recorder {
    log: AccessLog,
    requests: Share<Requests>,
    events: Events,
    exporter: Option<Exporter>,
    /// Refusals to be kept.
    refusals: Allowance,
}

impl Telemetry {
    /// Over that log, of a process that started then.
    pub fn new(log: AccessLog, started: Timestamp) -> Self {
        Self { log, metrics: Metrics::new(started), events: Events::default(), exporter: None }
    }

    /// The same over another log.
    #[must_use]
    pub fn with_log(&self, log: AccessLog) -> Self {
        Self { log, ..self.clone() }
    }

    /// The configuration was read anew; where it was not taken up, all that is wrong is told.
    pub fn reloaded(&self, now: Timestamp, faults: &[String]) {
        match faults {
            [] => self.metrics.reloads().succeeded(now),
            _ => self.metrics.reloads().failed(),
        }
        self.events.reloaded(now, faults);
    }

    /// The same, which also exports spans.
    #[must_use]
    pub fn exporting(self, traces: Option<traces::Settings>) -> Self {
        Self { exporter: traces.map(Exporter::start), ..self }
    }

    /// Waits until what was told has left the process, or could not; no longer than that.
    pub async fn flush(&self, patience: Duration) {
        if let Some(exporter) = &self.exporter {
            exporter.flush(patience).await;
        }
    }

    /// What else is counted.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where what happens is told.
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// For a worker whose rules have these names.
    pub fn recorder(&self, rules: Vec<Arc<str>>) -> Recorder {
        Recorder {
            log: self.log.clone(),
            requests: self.metrics.requests(rules),
            events: self.events.clone(),
            exporter: self.exporter.clone(),
            refusals: Allowance::default(),
        }
    }

    /// Writes all figures.
    pub fn write(&self, page: &mut Page) {
        self.metrics.write(page);
        let help = "Lines of the access log that were left out because it was read too slowly.";
        page.family("ticketgate_log_lines_lost_total", Kind::Counter, help).sample(&[], self.log.lost());
        let help = "Listeners to /api/v1/events.";
        page.family("ticketgate_event_listeners", Kind::Gauge, help).sample(&[], self.events.listening());
        let help = "Listeners to /api/v1/events that were dropped because they were too slow.";
        page.family("ticketgate_event_listeners_dropped_total", Kind::Counter, help).sample(&[], self.events.dropped());
        let help = "Requests whose spans were left out because the collector did not take them in time.";
        page.family("ticketgate_spans_lost_total", Kind::Counter, help).sample(&[], traces::lost());
        let help = "Errors in the program itself; each is told in the log.";
        page.family("ticketgate_panics_total", Kind::Counter, help).sample(&[], panics::count());
    }
}

impl Recorder {
    /// A request's place in a trace, by what its caller says of it.
    pub fn trace(&self, traceparent: Option<&[u8]>) -> Trace {
        Trace::of(traceparent, self.exporter.as_ref().map(Exporter::sampler))
    }

    /// Whether anybody gets to see the request that ended so. Of a flood of refusals, where nobody logs or listens, only as many
    /// as are kept for whoever asks later.
    pub fn shows(&self, verdict: Verdict, at: Timestamp, trace: Option<Trace>) -> bool {
        let exported = || self.exporter.is_some() && trace.is_some_and(|trace| trace.is_sampled());
        let told = || self.events.listening() > 0 || self.refusals.take(at, events::REFUSALS_A_SECOND);
        self.log.is_on() || exported() || (verdict != Verdict::Forwarded && told())
    }

    /// Tells what became of a request. Never waits.
    pub fn record(&self, outcome: &Outcome) {
        self.requests.count(outcome);
        self.events.outcome(outcome);
        if let Some(exporter) = &self.exporter {
            exporter.tell(outcome);
        }
        self.log.record(outcome);
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
