//! What a connection's two halves tell each other: the wire, which reads heads, and the service, which hyper calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::request::Unreadable;
use crate::request::head::Head;

/// The head of the request that hyper is about to hand over. Cloning is shallow.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot(Arc<Mutex<Left>>);

#[derive(Debug, Default)]
struct Left {
    head: Option<Result<Head, Unreadable>>,
    waiting: bool,
    draining: bool,
}

impl Slot {
    /// Leaves the head whose synthetic twin hyper is told next. `false` where the one before was not taken, which would
    /// pair a body with another request's head.
    pub(super) fn leave(&self, head: Result<Head, Unreadable>) -> bool {
        let mut left = self.lock();
        left.waiting = false;
        left.head.replace(head).is_none()
    }

    /// Takes the head of the request that hyper handed over.
    pub(super) fn take(&self) -> Result<Head, Unreadable> {
        self.lock().head.take().unwrap_or(Err(Unreadable::Gone))
    }

    /// The wire waits for a client to send (the rest of) a head, because hyper asked for the next request.
    pub(super) fn wait(&self) {
        self.lock().waiting = true;
    }

    /// Asks for the connection's end after the request under way. Tells whether the wire will see to it; otherwise hyper must.
    pub(super) fn drain(&self) -> bool {
        let mut left = self.lock();
        left.draining = true;
        left.waiting
    }

    /// Whether the end was asked for.
    pub(super) fn is_draining(&self) -> bool {
        self.lock().draining
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
