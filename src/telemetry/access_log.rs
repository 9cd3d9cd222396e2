//! The access log: one line per request on standard output, written by a thread of its own so that a slow reader of the log
//! holds up no request.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::measure::Counter;
use crate::reply::Reason;
use crate::telemetry::Outcome;

/// Lines that may wait for a slow reader; further ones are counted and left out.
const BACKLOG: usize = 16 * 1024;

/// Where outcomes are written. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct AccessLog {
    lines: Option<SyncSender<String>>,
    lost: Arc<Counter>,
    json: bool,
}

impl AccessLog {
    /// One that writes nothing.
    pub fn off() -> Self {
        Self { lines: None, lost: Arc::default(), json: true }
    }

    /// One that writes to standard output.
    pub fn stdout(json: bool) -> Self {
        Self::to(Box::new(io::stdout()), json)
    }

    /// One that gathers its lines in memory, for tests.
    pub fn memory(lines: Arc<Mutex<Vec<u8>>>) -> Self {
        Self::to(Box::new(Shared(lines)), true)
    }

    fn to(writer: Box<dyn Write + Send>, json: bool) -> Self {
        let (sender, receiver) = sync_channel(BACKLOG);
        let lost = Arc::new(Counter::new());
        let counter = lost.clone();
        // Without the thread the receiver is gone, and every line counts as lost.
        let _ = thread::Builder::new().name("access-log".into()).spawn(move || write_all(&receiver, writer, &counter));
        Self { lines: Some(sender), lost, json }
    }

    /// Writes one line.
    pub fn record(&self, outcome: &Outcome) {
        let Some(lines) = &self.lines else { return };
        let line = if self.json { json_line(outcome) } else { text_line(outcome) };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = lines.try_send(line) {
            self.lost.up();
        }
    }

    /// Lines left out so far.
    pub(super) fn lost(&self) -> u64 {
        self.lost.get()
    }
}

fn write_all(lines: &Receiver<String>, mut writer: Box<dyn Write + Send>, lost: &Counter) {
    let mut told = 0;
    while let Ok(first) = lines.recv() {
        let mut batch = first;
        batch.extend(lines.try_iter().take(1000));
        // Nobody can be told that the log cannot be written; requests go on.
        let _ = writer.write_all(batch.as_bytes()).and_then(|()| writer.flush());
        let lines = lost.get() - told;
        if lines > 0 {
            told += lines;
            tracing::warn!(lines, "the access log was read too slowly; lines were left out");
        }
    }
}

pub(super) fn json_line(outcome: &Outcome) -> String {
    let mut line = String::with_capacity(320);
    let text = |value: &str| Value::from(value).to_string();
    let mut put = |key: &str, value: String| {
        line.push(if line.is_empty() { '{' } else { ',' });
        // Writing to a String cannot fail.
        let _ = write!(line, "\"{key}\":{value}");
    };
    let or_null = |value: Option<&str>| value.map_or_else(|| "null".to_owned(), text);
    put("ts", text(&rfc3339(outcome.at)));
    put("request_id", text(outcome.request_id.as_str()));
    put("ip", text(&outcome.ip.to_string()));
    put("method", text(&outcome.method));
    put("path", text(&outcome.path));
    put("rule", or_null(outcome.rule.as_ref().map(|rule| &*rule.name)));
    put("outcome", text(outcome.verdict.name()));
    put("reason", or_null(outcome.reason.map(Reason::name)));
    if let Some(detail) = &outcome.detail {
        put("detail", text(detail));
    }
    put("status", outcome.status.to_string());
    put("client_id", or_null(outcome.client.as_ref().map(|id| id.as_str())));
    put("user_id", or_null(outcome.user.as_ref().map(|id| id.as_str())));
    put("session", or_null(outcome.session.as_ref().map(|id| id.as_str())));
    put("duration_ms", millis(outcome.duration));
    put("upstream_ms", outcome.upstream.map_or_else(|| "null".to_owned(), millis));
    line.push_str("}\n");
    line
}

fn text_line(outcome: &Outcome) -> String {
    let or_dash = |value: Option<&str>| value.unwrap_or("-").to_owned();
    format!(
        "{} {} {} {} {} {} {} {} client={} user={} rule={} {}ms{}\n",
        rfc3339(outcome.at),
        outcome.request_id,
        outcome.ip,
        outcome.method,
        outcome.path,
        outcome.status,
        outcome.verdict.name(),
        or_dash(outcome.reason.map(Reason::name)),
        or_dash(outcome.client.as_ref().map(|id| id.as_str())),
        or_dash(outcome.user.as_ref().map(|id| id.as_str())),
        or_dash(outcome.rule.as_ref().map(|rule| &*rule.name)),
        millis(outcome.duration),
        outcome.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default(),
    )
}

fn millis(duration: std::time::Duration) -> String {
    format!("{:.3}", duration.as_secs_f64() * 1000.0)
}

pub(super) fn rfc3339(at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    format!("{moment:.3}")
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RequestId;
    use crate::telemetry::{RuleLabel, Verdict};
    use std::time::Duration;

    #[test]
    fn a_line_is_json_with_every_field() {
        let outcome = Outcome {
            at: Timestamp::from_millis(1_795_132_800_123),
            request_id: RequestId::new("r1").unwrap(),
            ip: [10, 0, 0, 1].into(),
            method: "GET".into(),
            path: "/a?b=\"".into(),
            rule: Some(RuleLabel { name: "news".into(), number: 0 }),
            verdict: Verdict::Refused,
            reason: Some(Reason::ClientMissing),
            detail: Some("api_token".into()),
            status: 401,
            client: None,
            user: None,
            session: None,
            login: None,
            ended: Vec::new(),
            duration: Duration::from_micros(1500),
            upstream: None,
            upstream_after: None,
            trace: None,
        };
        let line: Value = serde_json::from_str(&json_line(&outcome)).unwrap();
        assert_eq!(line["ts"], "2026-11-20T00:00:00.123Z");
        assert_eq!(line["path"], "/a?b=\"");
        assert_eq!(line["duration_ms"], 1.5);
        assert_eq!(line["upstream_ms"], Value::Null);
        for key in
            ["request_id", "ip", "method", "rule", "outcome", "reason", "status", "client_id", "user_id", "session"]
        {
            assert!(line.get(key).is_some(), "{key}");
        }
        assert!(text_line(&outcome).contains("refused client_missing"));
    }
}
