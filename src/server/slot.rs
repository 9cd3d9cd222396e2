//! What a connection's two halves tell each other: the wire, which reads heads, and the service, which hyper calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::current::Serving;
use crate::request::Unreadable;
use crate::request::head::{Head, Version};
use crate::upstream::Interim;
use crate::websocket::takeover::Switch;

/// The head of the request that hyper is about to hand over. Cloning is shallow.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    left: Arc<Mutex<Left>>,
    /// Interim replies to the request under way.
    pub(super) interim: Interim,
    /// Who goes on with the connection once it is no longer one of HTTP.
    pub(super) switch: Switch,
}

/// Why hyper is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Nothing is under way.
    Idle,
    /// Somebody else goes on with the connection.
    Switched,
}

#[derive(Debug, Default)]
struct Left {
    head: Option<(Result<Head, Unreadable>, Arc<Serving>)>,
    /// hyper asked for the next request, and it has not come.
    waiting: bool,
    /// Not a byte of it has.
    nothing_came: bool,
    /// Not for a while.
    rested: bool,
    /// Something is to be written that the client does not take yet.
    writing: bool,
    draining: bool,
    http10: bool,
    /// Nobody knows yet how long the body of the answer is.
    uncounted: bool,
    switched: bool,
}

impl Left {
    /// Whether nothing is under way in either direction.
    fn is_idle(&self) -> bool {
        self.waiting && self.nothing_came && !self.writing
    }
}

impl Slot {
    /// Leaves the head whose synthetic twin hyper is told next, and what it was read by. `false` where the one before was not taken, which would
    /// pair a body with another request's head.
    pub(super) fn leave(&self, head: Result<Head, Unreadable>, serving: Arc<Serving>) -> bool {
        let mut left = self.lock();
        left.waiting = false;
        left.nothing_came = false;
        left.rested = false;
        left.uncounted = false;
        left.http10 = head.as_ref().is_ok_and(|head| head.version() == Version::Http10);
        left.head.replace((head, serving)).is_none()
    }

    /// Takes the head of the request that hyper handed over.
    pub(super) fn take(&self) -> Option<(Result<Head, Unreadable>, Arc<Serving>)> {
        self.lock().head.take()
    }

    /// The wire waits for a client to send (the rest of) a head, because hyper asked for the next request.
    pub(super) fn wait(&self, nothing_came: bool) {
        let mut left = self.lock();
        left.waiting = true;
        left.nothing_came = nothing_came;
    }

    /// Nothing has come for a while.
    pub(super) fn rest(&self) {
        self.lock().rested = true;
    }

    /// Whether something is to be written that the client does not take yet.
    pub(super) fn set_writing(&self, writing: bool) {
        self.lock().writing = writing;
    }

    /// Whether hyper has nothing more to do for now: what was to be written is with the client, and no request has come for a
    /// while, or none shall come any more.
    pub(super) fn pause(&self) -> Option<Pause> {
        let left = self.lock();
        match () {
            () if left.switched && !left.writing => Some(Pause::Switched),
            () if left.is_idle() && (left.rested || left.draining) => Some(Pause::Idle),
            () => None,
        }
    }

    /// The request under way was answered with another protocol.
    pub(super) fn set_switched(&self) {
        self.lock().switched = true;
    }

    /// Asks for the connection's end after the request under way.
    pub(super) fn drain(&self) {
        self.lock().draining = true;
    }

    /// Whether hyper must see to the end that was asked for. Where the wire waits for a head, it does.
    pub(super) fn ends_by_hyper(&self) -> bool {
        let left = self.lock();
        left.draining && !left.waiting
    }

    /// Where interim replies to the request that hyper hands over go. HTTP/1.0 knows none (RFC 9110, 15.2).
    pub(super) fn open_interim(&self) -> Interim {
        match self.is_http10() {
            true => Interim::default(),
            false => {
                self.interim.open();
                self.interim.clone()
            }
        }
    }

    /// Whether the request under way, or else the last one, is of HTTP/1.0.
    pub(super) fn is_http10(&self) -> bool {
        self.lock().http10
    }

    /// The answer to the request under way has a body of a length that is not told.
    pub(super) fn set_uncounted(&self) {
        self.lock().uncounted = true;
    }

    /// Whether the client knows the end of that body by the end of the connection alone.
    pub(super) fn ends_by_closing(&self) -> bool {
        let left = self.lock();
        left.http10 && left.uncounted
    }

    /// Whether the end was asked for.
    pub(super) fn is_draining(&self) -> bool {
        self.lock().draining
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Slot {
    /// Whether nothing is under way in either direction.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().is_idle()
    }
}
