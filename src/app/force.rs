//! The configuration in force, and its replacement by another: everything that depends on it is built first, then swapped.

use std::sync::Arc;
use std::time::Duration;

use crate::admin::{self, Admin};
use crate::app::standing::{self, Bound};
use crate::app::worker::{Made, Worker};
use crate::clock::Clock;
use crate::config::Settings;
use crate::gate;
use crate::reload::Reload;
use crate::server;
use crate::shutdown::Shutdown;
use crate::store::{self, Store};
use crate::telemetry::{self, AccessLog, Telemetry};
use crate::upstream::Upstream;

/// Rest before clients are sealed anew once more, after the store failed.
const RENEW_AGAIN: Duration = Duration::from_secs(5);

/// What lives as long as the process, whatever the configuration says.
#[derive(Clone, Debug)]
pub(super) struct Handles {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
    pub(super) shutdown: Shutdown,
    pub(super) reload: Reload,
}

/// Everything that depends on the configuration.
#[derive(Debug)]
pub(super) struct Force {
    handles: Handles,
    made: Made,
    rest: Rest,
    workers: Vec<Worker>,
    admin: Arc<Admin>,
}

/// Settings that no gate sees.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) admin: admin::Settings,
    pub(super) store: store::Settings,
    pub(super) held: store::held::Settings,
    pub(super) log: telemetry::Settings,
    drain_delay: Duration,
    shown: serde_json::Value,
}

impl Force {
    /// The first configuration.
    pub(super) fn begin(settings: Settings, handles: Handles, workers: usize) -> Self {
        let upstream = Upstream::new(settings.gate.upstream.clone());
        let (made, rest) = split(settings, upstream, &handles);
        let workers = (0..workers).map(|_| Worker::new(&made, &handles.store)).collect();
        // Its own connections, that look whether store and application are there.
        let handles = Handles { store: handles.store.attach(), ..handles };
        let admin = Arc::new(Admin::new(admin_parts(&handles, &made, &rest)));
        Self { handles, made, rest, workers, admin }
    }

    /// Another one, or everything in it that needs a restart.
    pub(super) fn take_up(&mut self, settings: Settings) -> Result<(), Vec<Bound>> {
        let bound = standing::differences((&self.made.server, self.made.decide.as_deref()), &self.rest, &settings);
        if !bound.is_empty() {
            return Err(bound);
        }
        if settings.store.keys != self.rest.store.keys {
            self.handles.store.renew_keys(&settings.store.keys);
        }
        if settings.log.access != self.rest.log.access {
            self.handles.telemetry = self.handles.telemetry.with_log(AccessLog::of(&settings.log));
        }
        let upstream = self.made.upstream.renewed(&settings.gate.upstream);
        let room = self.made.server.connections.with_limit_of(&settings.server.connections);
        // Both have TLS or none.
        let tls = self.made.server.tls.clone();
        if let (Some(ours), Some(new)) = (&tls, &settings.server.tls) {
            ours.become_like(new);
        }
        let server = server::Settings { connections: room, tls, ..settings.server };
        let decide = settings.decide.map(|decide| match &self.made.decide {
            Some(ours) => {
                server::Settings { connections: ours.connections.with_limit_of(&decide.connections), ..decide }
            }
            None => decide,
        });
        let gate = gate::Settings { websockets: self.made.gate.websockets.clone(), ..settings.gate };
        let settings = Settings { server, decide, gate, ..settings };
        (self.made, self.rest) = split(settings, upstream, &self.handles);
        self.workers.iter_mut().for_each(|worker| worker.renew(&self.made));
        self.admin.renew(admin_parts(&self.handles, &self.made, &self.rest));
        tokio::spawn(self.renewing());
        Ok(())
    }

    pub(super) fn workers(&self) -> &[Worker] {
        &self.workers
    }

    pub(super) fn admin(&self) -> Arc<Admin> {
        Arc::clone(&self.admin)
    }

    /// `drain_delay` and `timeouts.drain`.
    pub(super) fn drain(&self) -> (Duration, Duration) {
        (self.rest.drain_delay, self.made.server.drain)
    }

    /// While `store.key` is being replaced: tells in the log when no registered client needs the older key any more.
    pub(super) fn renewing(&self) -> impl Future<Output = ()> + Send + 'static {
        let store = (self.rest.store.keys.len() > 1).then(|| self.handles.store.clone());
        async move {
            if let Some(store) = store {
                renew_clients(store).await;
            }
        }
    }
}

fn split(settings: Settings, upstream: Upstream, handles: &Handles) -> (Made, Rest) {
    let Settings { gate, server, decide, store, admin, log, drain_delay, shown, held } = settings;
    let (gate, server, decide) = (Arc::new(gate), Arc::new(server), decide.map(Arc::new));
    let (clock, telemetry) = (handles.clock.clone(), handles.telemetry.clone());
    (Made { gate, server, decide, upstream, clock, telemetry }, Rest { admin, store, held, log, drain_delay, shown })
}

fn admin_parts(handles: &Handles, made: &Made, rest: &Rest) -> admin::Parts {
    admin::Parts {
        tokens: rest.admin.tokens.clone(),
        store: handles.store.clone(),
        upstream: made.upstream.clone(),
        session: made.gate.verify.session,
        holds_cookies: made.gate.policy.holds_cookies(),
        file_clients: made.gate.verify.clients.clone(),
        config: rest.shown.clone(),
        telemetry: handles.telemetry.clone(),
        connections: made.server.connections.clone(),
        websockets: made.gate.websockets.clone(),
        clock: handles.clock.clone(),
        shutdown: handles.shutdown.clone(),
        reload: handles.reload.clone(),
    }
}

async fn renew_clients(store: Store) {
    loop {
        match store.renew_clients().await {
            Ok(renewed) => return tracing::info!(renewed, "registered clients lie under the first store.key"),
            // Said already, and again when it is back.
            Err(_) => tokio::time::sleep(RENEW_AGAIN).await,
        }
    }
}
