//! The connection to one Redis: made when first needed, made again after it broke, never waited for longer than the time-out.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, SendError};
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, Pipeline, ProtocolVersion, PushInfo, PushKind, RedisError, Value,
};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::secret::Secret;
use crate::store::{Fault, lock};

use super::answers::{Answers, error_of};
use super::notices::Notices;

/// Wait after the first failed attempt to connect; doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// Longest wait between attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A connection whose server can serve us no more (it became a replica, the password changed) is replaced if it is at least so
/// old: a new one may reach another server, but one per question would be a storm.
const REPLACE_AFTER: Duration = Duration::from_secs(1);

/// A connection to one Redis. Cloning is shallow.
#[derive(Clone)]
pub(super) struct Link(Arc<Inner>);

struct Inner {
    client: Client,
    /// `host:port`; all that errors and logs may say of the URL.
    address: String,
    timeout: Duration,
    state: Mutex<State>,
    /// What is heard of other gates, once somebody wants to.
    notices: OnceLock<Notices>,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// Failures since the last answer.
    failures: u32,
    /// Attempts to connect so far; they number connections, which tells a late complaint from one about the present connection.
    attempts: u64,
}

#[derive(Default)]
enum Phase {
    #[default]
    Idle,
    /// An attempt is under way; the channel closes when it has ended, or died with its runtime.
    Connecting(watch::Receiver<()>),
    Up(Connection),
    /// Not before `until`; meanwhile the fault is everyone's answer.
    Waiting {
        until: Instant,
        fault: Fault,
    },
}

#[derive(Clone)]
struct Connection {
    line: MultiplexedConnection,
    number: u64,
    since: Instant,
}

/// What an operation finds when it wants to ask.
enum Found {
    Up(Connection),
    Down(Fault),
    Connecting(watch::Receiver<()>),
}

impl Link {
    /// Checks the URL; connects later.
    pub(super) fn new(url: &Secret, timeout: Duration) -> Result<Self, Fault> {
        // The library's errors are dropped where they could repeat the URL, which holds the password.
        let url = std::str::from_utf8(url.expose()).map_err(|_| bad_url("is not UTF-8"))?;
        let info = url.into_connection_info().map_err(|_| bad_url("is not redis://[user:pass@]host:port/db"))?;
        let address = info.addr().to_string();
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
        let client = Client::open(info).map_err(|_| bad_url("cannot be used"))?;
        Ok(Self(Arc::new(Inner { client, address, timeout, state: Mutex::default(), notices: OnceLock::new() })))
    }

    /// Another link to the same server, with a connection of its own.
    pub(super) fn another(&self) -> Self {
        let Inner { client, address, timeout, .. } = &*self.0;
        let (client, address) = (client.clone(), address.clone());
        Self(Arc::new(Inner { client, address, timeout: *timeout, state: Mutex::default(), notices: OnceLock::new() }))
    }

    /// From now on hears notices, over this connection and those that follow it.
    pub(super) fn hear(&self, notices: impl FnOnce() -> Notices) {
        if self.0.notices.get().is_none() && self.0.notices.set(notices()).is_ok() {
            let inner = Arc::clone(&self.0);
            tokio::spawn(async move { inner.subscribe().await });
        }
    }

    /// When an operation that starts now must have ended.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.0.timeout
    }

    /// One round trip: all commands out, all answers in, by `deadline`.
    pub(super) async fn exchange(&self, commands: &Pipeline, deadline: Instant) -> Result<Answers, Fault> {
        let Ok(connection) = timeout_at(deadline, self.connection()).await else { return Err(Fault::TimedOut) };
        let mut connection = connection?;
        let sent = connection.line.send_packed_commands(commands, 0, commands.len());
        match timeout_at(deadline, sent).await {
            Ok(Ok(values)) => {
                self.0.answered(&connection, &values);
                Ok(Answers::new(values, &self.0.address))
            }
            Ok(Err(error)) => {
                let fault = self.0.fault(&error);
                self.0.lost(connection.number, &fault);
                Err(fault)
            }
            // What comes late on this connection is nobody's answer any more.
            Err(_) => {
                self.0.lost(connection.number, &Fault::TimedOut);
                Err(Fault::TimedOut)
            }
        }
    }

    async fn connection(&self) -> Result<Connection, Fault> {
        loop {
            match self.find() {
                Found::Up(connection) => return Ok(connection),
                Found::Down(fault) => return Err(fault),
                // Closed or not makes no difference: the attempt is over, and the state says how it went.
                Found::Connecting(mut attempt) => drop(attempt.changed().await),
            }
        }
    }

    fn find(&self) -> Found {
        let mut state = lock(&self.0.state);
        match &state.phase {
            Phase::Up(connection) => return Found::Up(connection.clone()),
            Phase::Waiting { until, fault } if Instant::now() < *until => return Found::Down(fault.clone()),
            Phase::Connecting(attempt) if attempt.has_changed().is_ok() => return Found::Connecting(attempt.clone()),
            Phase::Idle | Phase::Waiting { .. } | Phase::Connecting(_) => {}
        }
        let (ending, attempt) = watch::channel(());
        state.phase = Phase::Connecting(attempt.clone());
        state.attempts += 1;
        let (inner, number) = (Arc::clone(&self.0), state.attempts);
        // On its own, so that it goes on when the operation that needed it first gives up.
        tokio::spawn(async move {
            inner.connect(number).await;
            drop(ending);
        });
        Found::Connecting(attempt)
    }
}

impl Inner {
    async fn connect(self: &Arc<Self>, number: u64) {
        let inner = Arc::downgrade(self);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1024)
            .set_push_sender(move |push: PushInfo| {
                let Some(inner) = inner.upgrade() else { return Ok(()) };
                match push.kind {
                    PushKind::Disconnection => {
                        inner.lost(number, &Fault::Failed(format!("{}: closed the connection", inner.address)));
                    }
                    _ => inner.notices.get().into_iter().for_each(|notices| notices.hear(&push)),
                }
                Ok::<(), SendError>(())
            });
        let attempt = self.client.get_multiplexed_async_connection_with_config(&config);
        let fault = match timeout(self.timeout, attempt).await {
            Ok(Ok(line)) => {
                self.connected(line, number);
                let inner = Arc::clone(self);
                // On its own: who waits for the connection need not wait for that.
                tokio::spawn(async move { inner.subscribe().await });
                return;
            }
            Ok(Err(error)) => self.fault(&error),
            Err(_) => Fault::TimedOut,
        };
        let mut state = lock(&self.state);
        self.complain(&state, &fault);
        state.failures = state.failures.saturating_add(1);
        state.phase = Phase::Waiting { until: Instant::now() + wait(state.failures), fault };
    }

    fn connected(&self, line: MultiplexedConnection, number: u64) {
        lock(&self.state).phase = Phase::Up(Connection { line, number, since: Instant::now() });
    }

    /// Asks for notices over the present connection. Where that is not allowed, watched sessions are looked at all the same.
    async fn subscribe(&self) {
        let line = match &lock(&self.state).phase {
            Phase::Up(connection) => Some(connection.line.clone()),
            Phase::Idle | Phase::Connecting(_) | Phase::Waiting { .. } => None,
        };
        let (Some(mut line), Some(notices)) = (line, self.notices.get()) else { return };
        if let Ok(Err(error)) = timeout(self.timeout, line.subscribe(&notices.channel)).await {
            let fault = self.fault(&error);
            tracing::info!(store = self.address, %fault, channel = notices.channel, "ended sessions are looked for, not told of");
        }
    }

    /// Drops a connection that failed, unless that has happened already. The first failure after an answer is met by connecting
    /// at once, further ones by waiting.
    fn lost(&self, number: u64, fault: &Fault) {
        let mut state = lock(&self.state);
        if !state.is_up(number) {
            return;
        }
        self.complain(&state, fault);
        state.phase = match state.failures {
            0 => Phase::Idle,
            failures => Phase::Waiting { until: Instant::now() + wait(failures), fault: fault.clone() },
        };
        state.failures = state.failures.saturating_add(1);
    }

    fn answered(&self, connection: &Connection, values: &[Value]) {
        let mut state = lock(&self.state);
        if !state.is_up(connection.number) {
            return;
        }
        if values.iter().any(|value| error_of(value).is_none()) && state.failures > 0 {
            state.failures = 0;
            tracing::info!(store = self.address, "the store answers again");
        }
        if connection.since.elapsed() >= REPLACE_AFTER && values.iter().any(wants_another_server) {
            state.phase = Phase::Idle;
        }
    }

    fn complain(&self, state: &State, fault: &Fault) {
        if state.failures == 0 {
            tracing::warn!(store = self.address, %fault, "the store is away");
        }
    }

    fn fault(&self, error: &RedisError) -> Fault {
        // Never the detail of a server's error: it may repeat the commands it did not like, AUTH among them.
        let what = match error.code() {
            Some(code) => code.to_owned(),
            None if error.is_io_error() => error.to_string(),
            None => error.category().to_owned(),
        };
        Fault::Failed(format!("{}: {what}", self.address))
    }
}

impl State {
    fn is_up(&self, number: u64) -> bool {
        matches!(&self.phase, Phase::Up(present) if present.number == number)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("address", &self.0.address).finish_non_exhaustive()
    }
}

fn wants_another_server(value: &Value) -> bool {
    error_of(value)
        .is_some_and(|error| ["READONLY", "MASTERDOWN", "NOAUTH", "NOPERM"].into_iter().any(|code| error.is(code)))
}

fn bad_url(what: &str) -> Fault {
    Fault::Failed(format!("store.url {what}"))
}

/// Half of a doubling wait, and up to as much again at random, so that many gates do not come back in step.
fn wait(failures: u32) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(LONGEST_WAIT);
    let jitter = getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX));
    doubled.mul_f64(0.5 + jitter / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_second() {
        for (failures, longest) in [(1, 50), (2, 100), (3, 200), (5, 800), (6, 1000), (1000, 1000)] {
            let (wait, longest) = (wait(failures), Duration::from_millis(longest));
            assert!(wait >= longest / 2 && wait <= longest, "{failures}: {wait:?}");
        }
    }

    #[test]
    fn a_link_shows_its_address_and_no_password() {
        let link = Link::new(&Secret::new("redis://u:hunter2@127.0.0.1:7/1"), Duration::from_secs(1)).unwrap();
        assert_eq!(format!("{link:?}"), "Link { address: \"127.0.0.1:7\", .. }");
        for bad in
            ["http://u:hunter2@h/", "redis://u:hunter2@h:99999/", "redis://u:hunter2@h/x", "rediss://u:hunter2@h/"]
        {
            let fault = Link::new(&Secret::new(bad), Duration::from_secs(1)).unwrap_err();
            assert!(!fault.to_string().contains("hunter2"), "{fault}");
        }
    }
}
