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
    gate: Arc<Gate>,
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
    fn gate(&self, store: &Store, upstream: &Upstream) -> Arc<Gate> {
        let recorder = self.telemetry.recorder(self.gate.labels());
        Arc::new(Gate::new(self.gate.clone(), store.clone(), upstream.clone(), self.clock.clone(), recorder))
    }

    fn serving(&self, gate: &Arc<Gate>) -> Serving {
        let gate = Arc::clone(gate);
        Serving::new(self.server.clone(), move |arrived| {
            let gate = Arc::clone(&gate);
            async move { gate.answer(arrived).await }
        })
    }
}

impl Worker {
    pub(super) fn new(made: &Made, store: &Store) -> Self {
        let (store, upstream) = (store.attach(), made.upstream.attach());
        let gate = made.gate(&store, &upstream);
        Self { current: Arc::new(Current::new(made.serving(&gate))), gate, store, upstream }
    }

    /// Serves by something else from now on, over the same connections.
    pub(super) fn renew(&mut self, made: &Made) {
        self.upstream = made.upstream.renew(&self.upstream);
        let gate = made.gate(&self.store, &self.upstream);
        self.current.swap(made.serving(&gate));
        std::mem::replace(&mut self.gate, Arc::clone(&gate)).give_way_to(gate);
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
