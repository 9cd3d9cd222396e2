//! One worker thread: what it serves by, and its own connections, which a reload keeps.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::gate::{self, Gate};
use crate::server::{self, Current, Listener, Serving};
use crate::shutdown::Shutdown;
use crate::store::Store;
use crate::telemetry::Telemetry;
use crate::upstream::Upstream;

/// A worker's handles.
#[derive(Debug)]
pub(super) struct Worker {
    current: Arc<Current>,
    store: Store,
    upstream: Upstream,
}

/// What all gates are made of, beside what each worker has of its own.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) gate: Arc<gate::Settings>,
    pub(super) server: Arc<server::Settings>,
    pub(super) upstream: Upstream,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
}

impl Made {
    fn serving(&self, store: &Store, upstream: &Upstream) -> Serving {
        let recorder = self.telemetry.recorder(self.gate.labels());
        let gate = Gate::new(self.gate.clone(), store.clone(), upstream.clone(), self.clock.clone(), recorder);
        let gate = Arc::new(gate);
        Serving::new(self.server.clone(), move |arrived| {
            let gate = Arc::clone(&gate);
            async move { gate.answer(arrived).await }
        })
    }
}

impl Worker {
    pub(super) fn new(made: &Made, store: &Store) -> Self {
        let (store, upstream) = (store.attach(), made.upstream.attach());
        let current = Arc::new(Current::new(made.serving(&store, &upstream)));
        Self { current, store, upstream }
    }

    /// Serves by something else from now on, over the same connections.
    pub(super) fn renew(&mut self, made: &Made) {
        self.upstream = made.upstream.renew(&self.upstream);
        self.current.swap(made.serving(&self.store, &self.upstream));
    }

    /// Serves until the gate ends.
    pub(super) fn serve(
        worker: &Self,
        listeners: Arc<Vec<Listener>>,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (current, store) = (worker.current.clone(), worker.store.clone());
        async move {
            let mut serving = JoinSet::new();
            for listener in listeners.iter() {
                match listener.try_clone() {
                    Ok(own) => drop(serving.spawn(server::serve(own, current.clone(), shutdown.clone()))),
                    Err(error) => tracing::error!(%error, address = listener.address(), "a worker cannot listen"),
                }
            }
            // A socket takes connections as long as anybody holds it.
            drop(listeners);
            serving.join_all().await;
            // What was noted of the last requests counts as well. A store that is away has said so.
            let _ = store.flush().await;
        }
    }
}
