//! Events: what just happened, told to whoever listens, and the latest refusals to whoever asks later. Made of what the access log
//! holds, so nothing in them is secret either.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::clock::Timestamp;
use crate::ids::{SessionId, UserId};
use crate::measure::{Counter, Gauge, Inside};
use crate::telemetry::access_log::{json_line, rfc3339};
use crate::telemetry::{Login, Outcome, Verdict};

/// How many may listen at once.
pub const MAX_LISTENERS: usize = 16;
/// Events that a listener may be behind; then it is dropped.
const BACKLOG: usize = 1024;
/// Refusals that are kept for whoever asks later.
const REFUSALS: usize = 200;
/// Refusals that each worker keeps in a second, at most: more would push one another out unseen.
pub(super) const REFUSALS_A_SECOND: u32 = 200;

/// Where events are told. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct Events(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sender: broadcast::Sender<Event>,
    listening: Gauge,
    dropped: Counter,
    refusals: Mutex<VecDeque<Arc<str>>>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// `denial`, `login`, `session_ended` or `config_reload`.
    pub kind: &'static str,
    /// A JSON object in one line.
    pub data: Arc<str>,
}

/// Sessions that were ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// `logout`, `newer_login`, `session_lost` or `admin`.
    pub why: &'static str,
    /// Whose.
    pub user: UserId,
    /// Which, where it was a single one.
    pub session: Option<SessionId>,
    /// How many.
    pub count: usize,
}

/// Somebody who listens.
#[derive(Debug)]
pub struct Listener {
    receiver: broadcast::Receiver<Event>,
    events: Events,
    _place: Inside,
}

impl Default for Events {
    fn default() -> Self {
        let (sender, _) = broadcast::channel(BACKLOG);
        let refusals = Mutex::new(VecDeque::with_capacity(REFUSALS));
        Self(Arc::new(Inner { sender, listening: Gauge::default(), dropped: Counter::new(), refusals }))
    }
}

impl Events {
    /// Somebody listens from now on; `None` where as many do as may.
    pub fn listen(&self) -> Option<Listener> {
        let place = self.0.listening.enter();
        let receiver = || Listener { receiver: self.0.sender.subscribe(), events: self.clone(), _place: place };
        (self.0.listening.get() <= MAX_LISTENERS).then(receiver)
    }

    /// How many listen.
    pub fn listening(&self) -> usize {
        self.0.listening.get()
    }

    /// How many were too slow.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.get()
    }

    /// What became of a request.
    pub(super) fn outcome(&self, outcome: &Outcome) {
        let refused = !matches!(outcome.verdict, Verdict::Forwarded | Verdict::Closed);
        if refused && outcome.shown {
            let line: Arc<str> = json_line(outcome).trim_end().into();
            self.keep(Arc::clone(&line));
            self.tell("denial", || line);
        }
        if let Some(login) = outcome.login {
            self.tell("login", || login_line(outcome, login));
        }
        for ended in &outcome.ended {
            self.tell("session_ended", || ended_line(outcome.at, ended));
        }
    }

    /// Sessions were ended, by other means than a request to the gate.
    pub fn ended(&self, at: Timestamp, ended: &Ended) {
        self.tell("session_ended", || ended_line(at, ended));
    }

    /// The configuration was read anew; where it has faults, they are told.
    pub fn reloaded(&self, at: Timestamp, faults: &[String]) {
        let result = if faults.is_empty() { "succeeded" } else { "failed" };
        let line = || json!({"ts": rfc3339(at), "result": result, "faults": faults}).to_string().into();
        self.tell("config_reload", line);
    }

    /// The latest refusals, as JSON objects, the newest first.
    pub fn refusals(&self) -> Vec<Arc<str>> {
        let refusals = self.0.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.iter().rev().cloned().collect()
    }

    fn keep(&self, line: Arc<str>) {
        let mut refusals = self.0.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() >= REFUSALS {
            refusals.pop_front();
        }
        refusals.push_back(line);
    }

    /// Nothing is even written down where nobody listens.
    fn tell(&self, kind: &'static str, data: impl FnOnce() -> Arc<str>) {
        if self.0.sender.receiver_count() > 0 {
            // The last listener may have left just now.
            let _ = self.0.sender.send(Event { kind, data: data() });
        }
    }
}

impl Listener {
    /// The next event; `None` when this listener is too far behind.
    pub async fn next(&mut self) -> Option<Event> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(_)) => {
                self.events.0.dropped.up();
                None
            }
            Err(RecvError::Closed) => None,
        }
    }
}

fn login_line(outcome: &Outcome, login: Login) -> Arc<str> {
    let line = json!({
        "ts": rfc3339(outcome.at),
        "request_id": outcome.request_id.as_str(),
        "ip": outcome.ip.to_string(),
        "rule": outcome.rule.as_ref().map(|rule| &*rule.name),
        "result": login.name(),
        "client_id": outcome.client.as_ref().map(|id| id.as_str()),
        "user_id": outcome.user.as_ref().map(|id| id.as_str()),
        "session": outcome.session.as_ref().map(|id| id.as_str()),
    });
    line.to_string().into()
}

fn ended_line(at: Timestamp, ended: &Ended) -> Arc<str> {
    let line = json!({
        "ts": rfc3339(at),
        "why": ended.why,
        "user_id": ended.user.as_str(),
        "session": ended.session.as_ref().map(|id| id.as_str()),
        "count": ended.count,
    });
    line.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(count: usize) -> Ended {
        Ended { why: "logout", user: UserId::new("7").unwrap(), session: None, count }
    }

    #[tokio::test]
    async fn a_listener_hears_what_happens_until_it_is_too_far_behind() {
        let (events, now) = (Events::default(), Timestamp::from_secs(1));
        events.ended(now, &ended(0));
        let mut listener = events.listen().unwrap();
        events.ended(now, &ended(1));
        let event = listener.next().await.unwrap();
        assert_eq!(event.kind, "session_ended");
        assert!(event.data.contains("\"count\":1"), "{}", event.data);
        for count in 0..=BACKLOG {
            events.ended(now, &ended(count));
        }
        assert!(listener.next().await.is_none());
        assert_eq!(events.dropped(), 1);
    }

    #[test]
    fn no_more_listen_than_may() {
        let events = Events::default();
        let listeners: Vec<Listener> = std::iter::from_fn(|| events.listen()).collect();
        assert_eq!((listeners.len(), events.listening()), (MAX_LISTENERS, MAX_LISTENERS));
        drop(listeners);
        assert!(events.listen().is_some());
    }
}
