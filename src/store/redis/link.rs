//! The connection to one Redis: made when first needed, made again after it broke, never waited for longer than the time-out.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection, SendError};
use redis::{Pipeline, PushInfo, PushKind, RedisError, Value};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::store::held::Promise;
use crate::store::{Fault, lock};

use super::answers::{Answers, Origin, error_of};
use super::dial::{Dialer, Driver, Failure};
use super::notices::Notices;
use super::server::Server;
use super::tracking::Listener;
use super::url::Address;

/// Wait after the first failed attempt to connect; doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// Longest wait between attempts: a Redis that is back is to be used again within 200 ms.
const LONGEST_WAIT: Duration = Duration::from_millis(150);
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
    /// Who hears of changes that its connections tell of, where they are asked to.
    listener: Option<Arc<Listener>>,
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
    address: Arc<Address>,
    number: u64,
    since: Instant,
    promise: Option<Arc<Promise>>,
    _driver: Arc<Driver>,
}

/// What an operation finds when it wants to ask.
enum Found {
    Up(Connection),
    Down(Fault),
    Connecting(watch::Receiver<()>),
}

impl Link {
    /// Connects later. Where there is a listener, connections promise to tell it of changes.
    pub(super) fn new(server: Server, dialer: Arc<Dialer>, timeout: Duration, listener: Option<Arc<Listener>>) -> Self {
        let (state, notices) = (Mutex::default(), OnceLock::new());
        Self(Arc::new(Inner { server, dialer, timeout, listener, state, notices }))
    }

    /// From now on hears notices, over this connection and those that follow it.
    pub(super) fn hear(&self, notices: impl FnOnce() -> Notices) {
        if self.0.notices.get().is_none() && self.0.notices.set(notices()).is_ok() {
            let inner = Arc::clone(&self.0);
            tokio::spawn(async move { inner.subscribe().await });
        }
    }

    /// Another link to the same server, whose own connections promise to tell that listener of changes.
    pub(super) fn listened(&self, listener: Option<Arc<Listener>>) -> Self {
        let Inner { server, dialer, timeout, .. } = &*self.0;
        Self::new(server.clone(), Arc::clone(dialer), *timeout, listener)
    }

    /// Whether it stands and its server has refused to promise anything.
    pub(super) fn promises_nothing(&self) -> bool {
        matches!(&lock(&self.0.state).phase, Phase::Up(connection) if connection.promise.is_none())
    }

    /// What was promised so far counts no more, and is promised anew: the server may have lost some of it.
    pub(super) fn renew_promise(&self) {
        self.0.renew_promise(None);
    }

    /// One round trip: all commands out, all answers in, by `deadline`.
    pub(super) async fn exchange(&self, commands: &Pipeline, deadline: Instant) -> Result<Answers, Fault> {
        let (values, origin) = self.values(commands, deadline).await?;
        Ok(Answers::new(values, &Arc::new(origin)))
    }

    /// [`Link::exchange`], with what came as it came, and where it came from.
    pub(super) async fn values(&self, commands: &Pipeline, deadline: Instant) -> Result<(Vec<Value>, Origin), Fault> {
        let Ok(connection) = timeout_at(deadline, self.connection()).await else { return Err(Fault::TimedOut) };
        let mut connection = connection?;
        let asked = std::time::Instant::now();
        let sent = connection.line.send_packed_commands(commands, 0, commands.len());
        match timeout_at(deadline, sent).await {
            Ok(Ok(values)) => {
                if let Some(promise) = &connection.promise {
                    promise.prove(asked);
                }
                self.0.answered(&connection, &values);
                let Connection { address, promise, .. } = connection;
                Ok((values, Origin { address, asked, promise }))
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
            Phase::Up(_) => {
                self.0.leave(state, Phase::Idle);
                return self.find();
            }
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
        let fault = match self.connection(number).await {
            Ok(connection) => {
                lock(&self.state).phase = Phase::Up(connection);
                if self.notices.get().is_some() {
                    let inner = Arc::clone(self);
                    // On its own: who waits for the connection need not wait for that.
                    tokio::spawn(async move { inner.subscribe().await });
                }
                return;
            }
            Err(fault) => fault,
        };
        let mut state = lock(&self.state);
        self.complain(&state, &fault);
        state.failures = state.failures.saturating_add(1);
        state.phase = Phase::Waiting { until: Instant::now() + wait(state.failures), fault };
    }

    async fn connection(self: &Arc<Self>, number: u64) -> Result<Connection, Fault> {
        let address = Arc::new(self.server.find().await?);
        let attempt = async {
            let dialled = self.dialer.dial(&address, self.pushed(number, &address)).await;
            let (mut line, driver) = dialled.map_err(|failure| no_connection(&address, failure))?;
            self.server.check_role(&mut line, &address).await?;
            let promise = match &self.listener {
                Some(listener) => listener.ask(&mut line).await.map_err(|error| fault(&address, &error))?,
                None => None,
            };
            Ok((line, Arc::new(driver), promise))
        };
        let (line, driver, promise) = timeout(self.timeout, attempt).await.unwrap_or(Err(Fault::TimedOut))?;
        if let Some(promise) = &promise {
            self.keep_proving(Arc::clone(promise));
        }
        Ok(Connection { line, address, number, since: Instant::now(), promise, _driver: driver })
    }

    /// Hears what the connection of that number is told without having asked.
    fn pushed(self: &Arc<Self>, number: u64, address: &Arc<Address>) -> impl AsyncPushSender + use<> {
        let (inner, from) = (Arc::downgrade(self), Arc::clone(address));
        move |push: PushInfo| {
            match (push.kind.clone(), inner.upgrade()) {
                (PushKind::Disconnection, Some(inner)) => {
                    inner.lost(number, &Fault::Failed(format!("{from}: closed the connection")));
                }
                (PushKind::Invalidate, Some(inner)) => inner.hear(number, &push.data),
                (_, Some(inner)) => inner.notices.get().into_iter().for_each(|notices| notices.hear(&push)),
                (_, None) => {}
            }
            Ok::<(), SendError>(())
        }
    }

    /// Proves a promise as long as it is relied upon. A proof that fails breaks the connection off.
    fn keep_proving(self: &Arc<Self>, promise: Arc<Promise>) {
        let inner = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut proof = Pipeline::new();
            proof.cmd("PING");
            while promise.wants_proof().await {
                let Some(inner) = inner.upgrade() else { return };
                let deadline = Instant::now() + inner.timeout;
                let _ = Link(inner).exchange(&proof, deadline).await;
            }
        });
    }

    /// Hears what changed, as the connection of that number tells it.
    fn hear(self: &Arc<Self>, number: u64, told: &[Value]) {
        if self.listener.as_ref().is_some_and(|listener| listener.hear(told)) {
            self.renew_promise(Some(number));
        }
    }

    /// Everything that was promised has changed: on the connection of that number, or on whichever stands.
    fn renew_promise(self: &Arc<Self>, number: Option<u64>) {
        let Some(listener) = &self.listener else { return };
        let mut state = lock(&self.state);
        if let Phase::Up(connection) = &mut state.phase
            && number.is_none_or(|number| connection.number == number)
            && let Some(old) = connection.promise.take()
        {
            let renewed = Arc::new(old.renewed());
            connection.promise = Some(Arc::clone(&renewed));
            drop(state);
            listener.held.broken(&old, true);
            self.keep_proving(renewed);
        }
    }

    /// Asks for notices over the present connection. Where that is not allowed, watched sessions are looked at all the same.
    async fn subscribe(&self) {
        let up = match &lock(&self.state).phase {
            Phase::Up(connection) => Some(connection.clone()),
            Phase::Idle | Phase::Connecting(_) | Phase::Waiting { .. } => None,
        };
        let (Some(mut up), Some(notices)) = (up, self.notices.get()) else { return };
        if let Ok(Err(error)) = timeout(self.timeout, up.line.subscribe(&notices.channel)).await {
            let fault = fault(&up.address, &error);
            tracing::info!(store = %up.address, %fault, channel = notices.channel, "ended sessions are looked for, not told of");
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
        let next = match state.failures {
            0 => Phase::Idle,
            failures => Phase::Waiting { until: Instant::now() + wait(failures), fault: fault.clone() },
        };
        state.failures = state.failures.saturating_add(1);
        self.leave(state, next);
    }

    /// Leaves a connection, whose promise ends with it.
    fn leave(&self, mut state: MutexGuard<'_, State>, next: Phase) {
        let left = std::mem::replace(&mut state.phase, next);
        drop(state);
        if let (Phase::Up(Connection { promise: Some(promise), .. }), Some(listener)) = (left, &self.listener) {
            listener.held.broken(&promise, false);
        }
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
            self.leave(state, Phase::Idle);
        }
    }

    fn complain(&self, state: &State, fault: &Fault) {
        if state.failures == 0 {
            tracing::warn!(store = %self.server, %fault, "the store is away");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.leave(lock(&self.state), Phase::Idle);
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

pub(super) fn fault(address: &Address, error: &RedisError) -> Fault {
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
    fn waits_double_up_to_what_nobody_notices() {
        for (failures, longest) in [(1, 50), (2, 100), (3, 150), (1000, 150)] {
            let (wait, longest) = (wait(failures), Duration::from_millis(longest));
            assert!(wait >= longest / 2 && wait <= longest, "{failures}: {wait:?}");
        }
    }
}
