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
    /// What proxies that ask are served by.
    decide: Option<Arc<Current>>,
    store: Store,
    upstream: Upstream,
}

/// What all gates are made of, beside what each worker has of its own.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) gate: Arc<gate::Settings>,
    pub(super) server: Arc<server::Settings>,
    pub(super) decide: Option<Arc<server::Settings>>,
    pub(super) upstream: Upstream,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
}

impl Made {
    fn gate(&self, store: &Store, upstream: &Upstream) -> Arc<Gate> {
        let recorder = self.telemetry.recorder(self.gate.labels());
        Arc::new(Gate::new(self.gate.clone(), store.clone(), upstream.clone(), self.clock.clone(), recorder))
    }

    /// What requests are served by, and what inquiries are: one gate.
    fn serving(&self, gate: &Arc<Gate>) -> (Serving, Option<Serving>) {
        let (gate, asked) = (Arc::clone(gate), Arc::clone(gate));
        let requests = Serving::new(self.server.clone(), move |arrived| Arc::clone(&gate).answer(arrived));
        let inquiries = self
            .decide
            .clone()
            .map(|settings| Serving::new(settings, move |arrived| Arc::clone(&asked).answer_inquiry(arrived)));
        (requests, inquiries)
    }
}

/// Public sockets, and the one for proxies that ask.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) public: Vec<Listener>,
    pub(super) decide: Option<Listener>,
}

impl Worker {
    pub(super) fn new(made: &Made, store: &Store) -> Self {
        let (store, upstream) = (store.attach(), made.upstream.attach());
        let gate = made.gate(&store, &upstream);
        let (requests, inquiries) = made.serving(&gate);
        let decide = inquiries.map(|inquiries| Arc::new(Current::new(inquiries)));
        Self { current: Arc::new(Current::new(requests)), gate, decide, store, upstream }
    }

    /// Serves by something else from now on, over the same connections.
    pub(super) fn renew(&mut self, made: &Made) {
        self.upstream = made.upstream.renew(&self.upstream);
        let gate = made.gate(&self.store, &self.upstream);
        let (requests, inquiries) = made.serving(&gate);
        self.current.swap(requests);
        // Both configurations have the listener, or none.
        if let (Some(current), Some(inquiries)) = (&self.decide, inquiries) {
            current.swap(inquiries);
        }
        std::mem::replace(&mut self.gate, Arc::clone(&gate)).give_way_to(gate);
    }

    /// Serves until the gate ends.
    pub(super) fn serve(
        worker: &Self,
        sockets: Arc<Sockets>,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (current, decide, store) = (worker.current.clone(), worker.decide.clone(), worker.store.clone());
        async move {
            let mut serving = JoinSet::new();
            let public = sockets.public.iter().map(|listener| (listener, &current));
            for (listener, current) in public.chain(sockets.decide.iter().zip(&decide)) {
                match listener.try_clone() {
                    Ok(own) => drop(serving.spawn(server::serve(own, current.clone(), shutdown.clone()))),
                    Err(error) => tracing::error!(%error, address = listener.address(), "a worker cannot listen"),
                }
            }
            // A socket takes connections as long as anybody holds it.
            drop(sockets);
            serving.join_all().await;
            // What was noted of the last requests counts as well. A store that is away has said so.
            let _ = store.flush().await;
        }
    }
}
