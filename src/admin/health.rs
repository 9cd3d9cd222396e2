//! `/healthz`: the process lives. `/readyz`: it can do its work.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokio::sync::Mutex;

use crate::admin::Parts;
use crate::admin::answer::{self, Response};
use crate::clock::Timestamp;
use crate::shutdown::Phase;

/// How long a finding counts, so that probes cannot hammer store and application.
const FRESH: Duration = Duration::from_secs(1);

/// The process answers, so it lives.
pub(super) fn alive() -> Response {
    answer::ok(&json!({"status": "ok"}))
}

/// What was found last. The lock is held while looking, so that probes that come together look once.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<Findings>>);

#[derive(Clone, Debug)]
struct Findings {
    at: Timestamp,
    store: Result<(), String>,
    upstream: Result<(), String>,
}

impl Findings {
    async fn look(parts: &Parts) -> Self {
        let (store, upstream) = tokio::join!(parts.store.ping(), parts.upstream.ping());
        let at = parts.clock.now();
        Self {
            at,
            store: store.map_err(|fault| fault.to_string()),
            upstream: upstream.map_err(|fault| fault.to_string()),
        }
    }

    /// A clock that was set back must not keep a finding alive.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.at <= now && now.since(self.at) < FRESH
    }
}

impl Readiness {
    /// 200 when all is well, 503 otherwise; the body says which part is not ready.
    pub(super) async fn answer(&self, parts: &Parts) -> Response {
        let findings = self.findings(parts).await;
        let draining = parts.shutdown.phase() != Phase::Running;
        let ready = findings.store.is_ok() && findings.upstream.is_ok() && !draining;
        let body = json!({
            "status": if ready { "ready" } else { "not_ready" },
            "store": said(&findings.store),
            "upstream": said(&findings.upstream),
            "draining": draining,
        });
        answer::json(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &body)
    }

    async fn findings(&self, parts: &Parts) -> Findings {
        let mut last = self.0.lock().await;
        match &*last {
            Some(findings) if findings.is_fresh(parts.clock.now()) => findings.clone(),
            _ => last.insert(Findings::look(parts).await).clone(),
        }
    }
}

fn said(finding: &Result<(), String>) -> &str {
    match finding {
        Ok(()) => "ok",
        Err(why) => why,
    }
}
