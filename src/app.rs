//! The composition root: settings become handles, handles become a running gate.
//!
//! One worker thread per core, each with a runtime, a gate, a pool of connections to the application and a connection to the
//! store of its own, all accepting on the same sockets. The admin listener has a thread of its own, so that health is answered
//! whatever the workers do.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::admin::{self, Admin};
use crate::clock::Clock;
use crate::config::Settings;
use crate::gate::{self, Gate};
use crate::server::{self, Listener};
use crate::shutdown::{self, Phase, Shutdown, Trigger};
use crate::store::Store;
use crate::telemetry::{AccessLog, Recorder, Telemetry};
use crate::upstream::Upstream;

/// Rest before clients are sealed anew once more, after the store failed.
const RENEW_AGAIN: Duration = Duration::from_secs(5);

/// How long the end waits for whoever collects traces.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A running gate. Dropped, it stops at once.
#[derive(Debug)]
pub struct Running {
    /// The public addresses, as bound.
    pub addresses: Vec<String>,
    /// The admin address, as bound.
    pub admin: String,
    trigger: Trigger,
    threads: Vec<JoinHandle<()>>,
    drain_delay: Duration,
    drain: Duration,
    telemetry: Telemetry,
}

/// How a gate runs, besides its settings.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Where the time comes from.
    pub clock: Clock,
    /// Where outcomes are written.
    pub log: AccessLog,
    /// Worker threads.
    pub workers: usize,
}

impl Manner {
    /// The system's clock, standard output, a worker per core.
    pub fn of(settings: &Settings) -> Self {
        let log = if settings.log.access { AccessLog::stdout(settings.log.json) } else { AccessLog::off() };
        let workers = thread::available_parallelism().map_or(1, usize::from);
        Self { clock: Clock::system(), log, workers }
    }
}

/// Binds every port, opens the store, starts the threads. Nothing serves before everything stands.
pub async fn start(settings: Settings, manner: Manner) -> anyhow::Result<Running> {
    let listeners: Vec<Listener> = settings.server.listen.iter().map(Listener::bind).collect::<Result<_, _>>()?;
    let admin_listener = Listener::bind(&settings.admin.listen).context("the admin listener")?;
    let store = Store::open(&settings.store, manner.clock.clone()).await?;
    let upstream = Upstream::new(settings.gate.upstream.clone());
    let telemetry = Telemetry::new(manner.log, manner.clock.now()).exporting(settings.log.traces);
    let (trigger, shutdown) = shutdown::channel();
    let addresses = listeners.iter().map(Listener::address).collect();
    let admin_address = admin_listener.address();

    let admin = Admin::new(admin::Parts {
        tokens: settings.admin.tokens.clone(),
        store: store.attach(),
        upstream: upstream.attach(),
        session: settings.gate.verify.session,
        holds_cookies: settings.gate.policy.holds_cookies(),
        file_clients: settings.gate.verify.clients.clone(),
        config: settings.shown,
        telemetry: telemetry.clone(),
        connections: settings.server.connections.clone(),
        clock: manner.clock.clone(),
        shutdown: shutdown.clone(),
    });
    let (drain_delay, drain) = (settings.drain_delay, settings.server.drain);
    let renewing = settings.store.keys.len() > 1;
    let keeping = store.attach();
    let shared = Shared {
        gate: Arc::new(settings.gate),
        server: Arc::new(settings.server),
        listeners: Arc::new(listeners),
        store,
        upstream,
        clock: manner.clock,
        shutdown: shutdown.clone(),
    };
    let mut threads = Vec::new();
    for worker in 0..manner.workers.max(1) {
        // Made here, so that all rules are known to metrics before anybody is served.
        let recorder = telemetry.recorder(shared.gate.policy.labels());
        threads.push(spawn(format!("worker-{worker}"), shared.clone().work(recorder))?);
    }
    let serve_admin = async move {
        if renewing {
            tokio::spawn(renew_clients(keeping));
        }
        if let Err(error) = admin::serve(admin_listener, Arc::new(admin), shutdown).await {
            tracing::error!(%error, "the admin listener ended");
        }
    };
    threads.push(spawn("admin".to_owned(), serve_admin)?);
    Ok(Running { addresses, admin: admin_address, trigger, threads, drain_delay, drain, telemetry })
}

/// While `store.key` is being replaced: tells in the log when no registered client needs the older key any more.
async fn renew_clients(store: Store) {
    loop {
        match store.renew_clients().await {
            Ok(renewed) => return tracing::info!(renewed, "registered clients lie under the first store.key"),
            // Said already, and again when it is back.
            Err(_) => tokio::time::sleep(RENEW_AGAIN).await,
        }
    }
}

impl Running {
    /// Not ready from now on; after `drain_delay` accepts nothing new, finishes what is under way within `timeouts.drain`.
    pub async fn drain(mut self) {
        self.trigger.announce(Phase::Leaving);
        tokio::time::sleep(self.drain_delay).await;
        self.trigger.announce(Phase::Draining);
        let deadline = tokio::time::Instant::now() + self.drain;
        while !self.finished() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.telemetry.flush(LAST_WORDS).await;
        self.trigger.announce(Phase::Stopped);
        self.join();
    }

    fn finished(&self) -> bool {
        // The admin thread, the last one, answers until the very end.
        self.threads.split_last().is_none_or(|(_, workers)| workers.iter().all(JoinHandle::is_finished))
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A worker that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.trigger.announce(Phase::Stopped);
        self.join();
    }
}

/// What every worker takes its share of.
#[derive(Clone)]
struct Shared {
    gate: Arc<gate::Settings>,
    server: Arc<server::Settings>,
    listeners: Arc<Vec<Listener>>,
    store: Store,
    upstream: Upstream,
    clock: Clock,
    shutdown: Shutdown,
}

impl Shared {
    async fn work(self, recorder: Recorder) {
        let (store, upstream) = (self.store.attach(), self.upstream.attach());
        let gate = Arc::new(Gate::new(self.gate, store, upstream, self.clock, recorder));
        let mut serving = JoinSet::new();
        for listener in self.listeners.iter() {
            match listener.try_clone() {
                Ok(own) => {
                    serving.spawn(server::serve(own, gate.clone(), self.server.clone(), self.shutdown.clone()));
                }
                Err(error) => tracing::error!(%error, address = listener.address(), "a worker cannot listen"),
            }
        }
        // A socket takes connections as long as anybody holds it.
        drop(self.listeners);
        serving.join_all().await;
    }
}

fn spawn(name: String, work: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().context("a worker's runtime")?;
    let run = move || runtime.block_on(work);
    thread::Builder::new().name(name).spawn(run).context("a worker's thread")
}
