//! The connection to one Redis: made when first needed, made again after it broke, never waited for longer than the time-out.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, SendError};
use redis::{Pipeline, PushInfo, PushKind, RedisError, Value};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::store::{Fault, lock};

use super::answers::{Answers, error_of};
use super::dial::{Dialer, Driver, Failure};
use super::sentinel::Sentinels;
use super::url::Address;

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
    server: Server,
    dialer: Arc<Dialer>,
    timeout: Duration,
    state: Mutex<State>,
}

/// Which Redis it is.
#[derive(Clone)]
pub(super) enum Server {
    /// Always the same.
    At(Address),
    /// A Sentinel that is asked for it.
    Sentinel(Address),
    /// The one that Sentinels name at the time.
    Master(Arc<Sentinels>),
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
    address: Arc<Address>,
    number: u64,
    since: Instant,
    _driver: Arc<Driver>,
}

/// What an operation finds when it wants to ask.
enum Found {
    Up(Connection),
    Down(Fault),
    Connecting(watch::Receiver<()>),
}

impl Link {
    /// Connects later.
    pub(super) fn new(server: Server, dialer: Arc<Dialer>, timeout: Duration) -> Self {
        Self(Arc::new(Inner { server, dialer, timeout, state: Mutex::default() }))
    }

    /// Another link to the same server, with a connection of its own.
    pub(super) fn another(&self) -> Self {
        let Inner { server, dialer, timeout, .. } = &*self.0;
        Self::new(server.clone(), Arc::clone(dialer), *timeout)
    }

    /// One round trip: all commands out, all answers in, by `deadline`.
    pub(super) async fn exchange(&self, commands: &Pipeline, deadline: Instant) -> Result<Answers, Fault> {
        let (values, from) = self.values(commands, deadline).await?;
        Ok(Answers::new(values, &from))
    }

    /// [`Link::exchange`], with what came as it came, and whom it came from.
    pub(super) async fn values(
        &self,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<(Vec<Value>, Arc<Address>), Fault> {
        let Ok(connection) = timeout_at(deadline, self.connection()).await else { return Err(Fault::TimedOut) };
        let mut connection = connection?;
        let sent = connection.line.send_packed_commands(commands, 0, commands.len());
        match timeout_at(deadline, sent).await {
            Ok(Ok(values)) => {
                self.0.answered(&connection, &values);
                Ok((values, connection.address))
            }
            Ok(Err(error)) => {
                let fault = fault(&connection.address, &error);
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
            Phase::Up(connection) if self.0.server.is_still_at(&connection.address) => {
                return Found::Up(connection.clone());
            }
            Phase::Waiting { until, fault } if Instant::now() < *until => return Found::Down(fault.clone()),
            Phase::Connecting(attempt) if attempt.has_changed().is_ok() => return Found::Connecting(attempt.clone()),
            Phase::Idle | Phase::Up(_) | Phase::Waiting { .. } | Phase::Connecting(_) => {}
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

impl Server {
    /// Where it is now.
    async fn find(&self) -> Result<Address, Fault> {
        match self {
            Self::At(address) | Self::Sentinel(address) => Ok(address.clone()),
            Self::Master(sentinels) => sentinels.master().await,
        }
    }

    /// Whether nothing says that it is elsewhere by now.
    fn is_still_at(&self, address: &Address) -> bool {
        match self {
            Self::At(_) | Self::Sentinel(_) => true,
            Self::Master(sentinels) => sentinels.still_name(address),
        }
    }

    /// A server that was a master may be one no more, or not yet.
    async fn check_role(&self, line: &mut MultiplexedConnection, address: &Address) -> Result<(), Fault> {
        let Self::Master(_) = self else { return Ok(()) };
        let role = line.send_packed_command(&redis::cmd("ROLE")).await.map_err(|error| fault(address, &error))?;
        match role {
            Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(role)) if role == b"master") => {
                Ok(())
            }
            Value::ServerError(error) => Err(Fault::Failed(format!("{address}: ROLE: {}", error.code()))),
            _ => Err(Fault::Failed(format!("{address}: the Sentinels name it, but it is no master"))),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Sentinel(address) => write!(f, "Sentinel {address}"),
            Self::Master(sentinels) => sentinels.fmt(f),
        }
    }
}

impl Inner {
    async fn connect(self: &Arc<Self>, number: u64) {
        let fault = match self.connection(number).await {
            Ok(connection) => return lock(&self.state).phase = Phase::Up(connection),
            Err(fault) => fault,
        };
        let mut state = lock(&self.state);
        self.complain(&state, &fault);
        state.failures = state.failures.saturating_add(1);
        state.phase = Phase::Waiting { until: Instant::now() + wait(state.failures), fault };
    }

    async fn connection(self: &Arc<Self>, number: u64) -> Result<Connection, Fault> {
        let address = Arc::new(self.server.find().await?);
        let (inner, from) = (Arc::downgrade(self), Arc::clone(&address));
        let pushed = move |push: PushInfo| {
            if let (PushKind::Disconnection, Some(inner)) = (push.kind, inner.upgrade()) {
                inner.lost(number, &Fault::Failed(format!("{from}: closed the connection")));
            }
            Ok::<(), SendError>(())
        };
        let attempt = async {
            let dialled = self.dialer.dial(&address, pushed).await;
            let (mut line, driver) = dialled.map_err(|failure| no_connection(&address, failure))?;
            self.server.check_role(&mut line, &address).await?;
            Ok((line, Arc::new(driver)))
        };
        let (line, driver) = timeout(self.timeout, attempt).await.unwrap_or(Err(Fault::TimedOut))?;
        Ok(Connection { line, address, number, since: Instant::now(), _driver: driver })
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
            tracing::info!(store = %self.server, "the store answers again");
        }
        if connection.since.elapsed() >= REPLACE_AFTER && values.iter().any(wants_another_server) {
            state.phase = Phase::Idle;
        }
    }

    fn complain(&self, state: &State, fault: &Fault) {
        if state.failures == 0 {
            tracing::warn!(store = %self.server, %fault, "the store is away");
        }
    }
}

impl State {
    fn is_up(&self, number: u64) -> bool {
        matches!(&self.phase, Phase::Up(present) if present.number == number)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.0.server)
    }
}

fn wants_another_server(value: &Value) -> bool {
    error_of(value)
        .is_some_and(|error| ["READONLY", "MASTERDOWN", "NOAUTH", "NOPERM"].into_iter().any(|code| error.is(code)))
}

fn no_connection(address: &Address, failure: Failure) -> Fault {
    match failure {
        Failure::Path(what) => Fault::Failed(format!("{address}: {what}")),
        Failure::Greeting(error) => fault(address, &error),
    }
}

fn fault(address: &Address, error: &RedisError) -> Fault {
    // Never the detail of a server's error: it may repeat the commands it did not like, AUTH among them.
    let what = match error.code() {
        Some(code) => code.to_owned(),
        None if error.is_io_error() => error.to_string(),
        None => error.category().to_owned(),
    };
    Fault::Failed(format!("{address}: {what}"))
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
}
