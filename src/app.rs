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
use tokio::time::{Instant, sleep};

use crate::admin;
use crate::clock::Clock;
use crate::config::Settings;
use crate::reload::{self, Asks};
use crate::server::Listener;
use crate::shutdown::{self, Phase, Trigger};
use crate::store::Store;
use crate::telemetry::{AccessLog, Telemetry};

mod force;
mod standing;
mod worker;

use force::{Force, Handles};
use worker::{Sockets, Worker};

pub use standing::Bound;

/// Between looks at whether the threads have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long a thread that was told to stop may take. One that hangs in the operating system is left behind.
const STOPPING: Duration = Duration::from_secs(2);

/// How long the end waits for whoever collects traces.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often the files of the TLS certificate are looked at.
const LOOK_AT_KEYS: Duration = Duration::from_secs(1);

/// A running gate. Dropped, it stops at once.
#[derive(Debug)]
pub struct Running {
    /// The public addresses, as bound.
    pub addresses: Vec<String>,
    /// Where proxies ask, as bound.
    pub decide: Option<String>,
    /// The admin address, as bound.
    pub admin: String,
    /// Operators who ask for the configuration to be read again.
    pub asks: Asks,
    trigger: Trigger,
    threads: Vec<JoinHandle<()>>,
    force: Force,
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
        let workers = thread::available_parallelism().map_or(1, usize::from);
        Self { clock: Clock::system(), log: AccessLog::of(&settings.log), workers }
    }
}

/// Binds every port, opens the store, starts the threads. Nothing serves before everything stands.
pub async fn start(settings: Settings, manner: Manner) -> anyhow::Result<Running> {
    let sockets = bind(&settings)?;
    let admin_listener = Listener::bind(&settings.admin.listen).context("the admin listener")?;
    let Manner { clock, log, workers } = manner;
    let store = Store::open(&settings.store, clock.clone()).await?.holding(settings.held);
    let telemetry = Telemetry::new(log, clock.now()).exporting(settings.log.traces.clone());
    let (trigger, shutdown) = shutdown::channel();
    let (reload, asks) = reload::channel();
    let addresses = sockets.public.iter().map(Listener::address).collect();
    let decide = sockets.decide.as_ref().map(Listener::address);
    let admin_address = admin_listener.address();

    let handles = Handles { store, clock, telemetry: telemetry.clone(), shutdown: shutdown.clone(), reload };
    let tls = settings.server.tls.clone();
    let force = Force::begin(settings, handles, workers.max(1));
    let sockets = Arc::new(sockets);
    let mut threads = Vec::new();
    for (number, worker) in force.workers().iter().enumerate() {
        threads.push(spawn(format!("worker-{number}"), Worker::serve(worker, sockets.clone(), shutdown.clone()))?);
    }
    let (admin, renewing) = (force.admin(), force.renewing());
    let serve_admin = async move {
        tokio::spawn(renewing);
        if let Some(keys) = tls {
            tokio::spawn(async move { keys.watch(LOOK_AT_KEYS).await });
        }
        if let Err(error) = admin::serve(admin_listener, admin, shutdown).await {
            tracing::error!(%error, "the admin listener ended");
        }
    };
    threads.push(spawn("admin".to_owned(), serve_admin)?);
    Ok(Running { addresses, decide, admin: admin_address, asks, trigger, threads, force, telemetry })
}

fn bind(settings: &Settings) -> anyhow::Result<Sockets> {
    let public = settings.server.listen.iter().map(Listener::bind).collect::<Result<_, _>>()?;
    let decide = settings.decide.iter().flat_map(|decide| &decide.listen).next();
    Ok(Sockets { public, decide: decide.map(Listener::bind).transpose().context("the listener of decide")? })
}

impl Running {
    /// Puts another configuration in force, for every request whose head comes from now on; requests under way keep to the one they
    /// began with. Where anything in it needs a restart, nothing changes, and all that does is told.
    pub fn take_up(&mut self, settings: Settings) -> Result<(), Vec<Bound>> {
        self.force.take_up(settings)
    }

    /// Where what happens is told.
    pub const fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Not ready from now on; after `drain_delay` accepts nothing new, finishes what is under way within `timeouts.drain`.
    pub async fn drain(mut self) {
        self.asks.close();
        let (delay, patience) = self.force.drain();
        self.trigger.announce(Phase::Leaving);
        sleep(delay).await;
        self.trigger.announce(Phase::Draining);
        // The admin thread, the last one, answers until the very end.
        ended(self.threads.split_last().map_or(&[], |(_, workers)| workers), patience).await;
        self.telemetry.flush(LAST_WORDS).await;
        self.trigger.announce(Phase::Stopped);
        ended(&self.threads, STOPPING).await;
    }
}

/// Waits for threads to end, but not for longer than that.
async fn ended(threads: &[JoinHandle<()>], patience: Duration) {
    let deadline = Instant::now() + patience;
    while !threads.iter().all(JoinHandle::is_finished) && Instant::now() < deadline {
        sleep(LOOK_AGAIN).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.trigger.announce(Phase::Stopped);
        let deadline = std::time::Instant::now() + STOPPING;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && std::time::Instant::now() < deadline {
                thread::sleep(LOOK_AGAIN);
            }
            if thread.is_finished() {
                // A worker that panicked has said so already.
                let _ = thread.join();
            }
        }
    }
}

fn spawn(name: String, work: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().context("a worker's runtime")?;
    let run = move || {
        runtime.block_on(work);
        // A name that is still being looked up would hold it for as long as that takes.
        runtime.shutdown_background();
    };
    thread::Builder::new().name(name).spawn(run).context("a worker's thread")
}
