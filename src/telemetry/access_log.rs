//! The access log: one line per request on standard output, written by a thread of its own so that a slow reader of the log
//! holds up no request.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock::Timestamp;
use crate::measure::Counter;
use crate::reply::Reason;
use crate::telemetry::{Outcome, Settings};

/// Lines that may wait for a slow reader; further ones are counted and left out.
const BACKLOG: usize = 16 * 1024;
/// How long lines are gathered before they are written together.
const GATHER: Duration = Duration::from_millis(5);
/// How long the end of the process waits for a slow reader.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Where outcomes are written. Cloning is shallow; when the last clone goes, everything has been written.
#[derive(Clone, Debug)]
pub struct AccessLog {
    lines: Option<Arc<Lines>>,
    json: bool,
}

impl AccessLog {
    /// As the settings say, on standard output.
    pub fn of(settings: &Settings) -> Self {
        if settings.access { Self::stdout(settings.json) } else { Self::off() }
    }

    /// One that writes nothing.
    pub fn off() -> Self {
        Self { lines: None, json: true }
    }

    /// One that writes to standard output.
    pub fn stdout(json: bool) -> Self {
        Self::to(Box::new(io::stdout()), json, GATHER)
    }

    /// One that keeps its lines in memory, each as soon as it comes, for tests.
    pub fn memory(lines: Arc<Mutex<Vec<u8>>>) -> Self {
        Self::to(Box::new(Shared(lines)), true, Duration::ZERO)
    }

    fn to(writer: Box<dyn Write + Send>, json: bool, gather: Duration) -> Self {
        let queue = Arc::new(Queue { gather, ..Queue::default() });
        let ours = Arc::clone(&queue);
        // Without the thread nothing is ever taken, and every line beyond the backlog counts as lost.
        let thread = thread::Builder::new().name("access-log".into()).spawn(move || queue.write_all(writer));
        Self { lines: Some(Arc::new(Lines { queue: ours, is_written: thread.is_ok() })), json }
    }

    /// Whether it writes.
    pub fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    /// Writes one line.
    pub fn record(&self, outcome: &Outcome) {
        let Some(lines) = &self.lines else { return };
        let mut line = String::with_capacity(512);
        let moment = lines.queue.moment(outcome.at);
        if self.json {
            write_json(&mut line, outcome, &moment)
        } else {
            write_text(&mut line, outcome, &moment)
        };
        lines.queue.put(&line);
    }

    /// Lines left out so far.
    pub(super) fn lost(&self) -> u64 {
        self.lines.as_ref().map_or(0, |lines| lines.queue.lost.get())
    }
}

/// The end of the queue that lines are put in at.
#[derive(Debug)]
struct Lines {
    queue: Arc<Queue>,
    is_written: bool,
}

impl Drop for Lines {
    fn drop(&mut self) {
        if self.is_written {
            self.queue.finish();
        }
    }
}

/// Lines on their way to the thread that writes them.
#[derive(Debug, Default)]
struct Queue {
    /// How long lines are gathered.
    gather: Duration,
    waiting: Mutex<Waiting>,
    /// Something for the writing thread to do.
    came: Condvar,
    /// It has ended.
    ended: Condvar,
    /// Lines left out so far.
    lost: Counter,
    /// The second that was written last, because most lines are of the same.
    second: Mutex<(u64, String)>,
}

#[derive(Debug, Default)]
struct Waiting {
    text: String,
    lines: usize,
    /// The writing thread sleeps until something comes.
    asleep: bool,
    /// Nothing more will come.
    over: bool,
    /// The writing thread has written everything.
    written: bool,
}

impl Queue {
    fn put(&self, line: &str) {
        let mut waiting = locked(&self.waiting);
        if waiting.lines >= BACKLOG {
            self.lost.up();
            return;
        }
        waiting.text.push_str(line);
        waiting.lines += 1;
        if mem::take(&mut waiting.asleep) {
            self.came.notify_one();
        }
    }

    /// Returns once everything was written, or takes too long.
    fn finish(&self) {
        let mut waiting = locked(&self.waiting);
        waiting.over = true;
        self.came.notify_one();
        let deadline = Instant::now() + LAST_WAIT;
        while !waiting.written {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            waiting = self.ended.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn write_all(&self, mut writer: Box<dyn Write + Send>) {
        let (mut batch, mut told) = (String::new(), 0);
        loop {
            let over = self.take(&mut batch);
            // Nobody can be told that the log cannot be written; requests go on.
            let _ = writer.write_all(batch.as_bytes()).and_then(|()| writer.flush());
            let lines = self.lost.get() - told;
            if lines > 0 {
                told += lines;
                tracing::warn!(lines, "the access log was read too slowly; lines were left out");
            }
            if over {
                break;
            }
        }
        locked(&self.waiting).written = true;
        self.ended.notify_all();
    }

    /// Takes what waits, once something does; says whether this was all.
    fn take(&self, batch: &mut String) -> bool {
        batch.clear();
        let mut waiting = locked(&self.waiting);
        while waiting.lines == 0 && !waiting.over {
            waiting.asleep = true;
            waiting = self.came.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.asleep = false;
        let gathered = self.came.wait_timeout_while(waiting, self.gather, |waiting| !waiting.over);
        let mut waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
        mem::swap(&mut waiting.text, batch);
        waiting.lines = 0;
        waiting.over
    }

    /// `2026-11-20T00:00:00.123Z`
    fn moment(&self, at: Timestamp) -> String {
        let mut second = locked(&self.second);
        if second.0 != at.as_secs() || second.1.is_empty() {
            let moment = jiff::Timestamp::from_second(i64::try_from(at.as_secs()).unwrap_or(i64::MAX));
            let text = moment.unwrap_or(jiff::Timestamp::MAX).to_string();
            *second = (at.as_secs(), text.trim_end_matches('Z').to_owned());
        }
        let mut text = String::with_capacity(24);
        text.push_str(&second.1);
        drop(second);
        // Writing to a String cannot fail.
        let _ = write!(text, ".{:03}Z", at.as_millis() % 1000);
        text
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line of JSON as it grows.
struct Json<'a>(&'a mut String);

impl Json<'_> {
    fn key(&mut self, key: &str) {
        self.0.push_str(if self.0.is_empty() { "{\"" } else { ",\"" });
        self.0.push_str(key);
        self.0.push_str("\":");
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        self.key(key);
        let Some(value) = value else { return self.0.push_str("null") };
        if value.bytes().any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')) {
            return self.0.push_str(&Value::from(value).to_string());
        }
        self.0.push('"');
        self.0.push_str(value);
        self.0.push('"');
    }

    fn shown(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key(key);
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{value}");
    }
}

/// As it stands in the log, for whoever else tells of it.
pub(super) fn json_line(outcome: &Outcome) -> String {
    let mut line = String::with_capacity(512);
    write_json(&mut line, outcome, &rfc3339(outcome.at));
    line
}

pub(super) fn rfc3339(at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    format!("{moment:.3}")
}

fn write_json(line: &mut String, outcome: &Outcome, moment: &str) {
    let mut json = Json(line);
    json.text("ts", Some(moment));
    json.text("request_id", Some(outcome.request_id.as_str()));
    json.shown("ip", format_args!("\"{}\"", outcome.ip));
    json.text("method", Some(&outcome.method));
    json.text("path", Some(&outcome.path));
    json.text("rule", outcome.rule.as_ref().map(|rule| &*rule.name));
    json.text("outcome", Some(outcome.verdict.name()));
    json.text("reason", outcome.reason.map(Reason::name));
    if let Some(detail) = &outcome.detail {
        json.text("detail", Some(detail));
    }
    json.shown("status", outcome.status);
    json.text("client_id", outcome.client.as_ref().map(|id| id.as_str()));
    json.text("user_id", outcome.user.as_ref().map(|id| id.as_str()));
    json.text("session", outcome.session.as_ref().map(|id| id.as_str()));
    json.shown("duration_ms", Millis(outcome.duration));
    match outcome.upstream {
        Some(upstream) => json.shown("upstream_ms", Millis(upstream)),
        None => json.text("upstream_ms", None),
    }
    line.push_str("}\n");
}

fn write_text(line: &mut String, outcome: &Outcome, moment: &str) {
    let or_dash = |value: Option<&str>| value.unwrap_or("-").to_owned();
    // Writing to a String cannot fail.
    let _ = writeln!(
        line,
        "{moment} {} {} {} {} {} {} {} client={} user={} rule={} {}ms{}",
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
        Millis(outcome.duration),
        outcome.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default(),
    );
}

/// Milliseconds with three digits behind the point.
struct Millis(Duration);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.0.as_nanos().saturating_add(500) / 1000;
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        locked(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
