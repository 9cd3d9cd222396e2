//! What a connection's wire, which reads heads, and its service, which hyper calls, tell each other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use crate::request::Unreadable;
use crate::request::head::Head;
use crate::server::Serving;

/// Requests that may be under way on one connection.
pub(super) const MOST: usize = 100;

/// A head, and what it was read by.
type Left = (Result<Head, Unreadable>, Arc<Serving>);

/// The requests of one connection. Cloning is shallow.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By ascending stream.
    heads: VecDeque<(u32, Left)>,
    under_way: usize,
    answered: u32,
    draining: bool,
    /// Of the wire, which waits for the connection to become idle.
    waker: Option<Waker>,
}

impl Streams {
    /// Leaves the head whose synthetic twin hyper is told next.
    pub(super) fn leave(&self, stream: u32, head: Result<Head, Unreadable>, serving: Arc<Serving>) {
        let mut state = self.lock();
        // hyper refuses streams over the limit without a word.
        if state.heads.len() >= MOST {
            state.heads.pop_front();
        }
        state.heads.push_back((stream, (head, serving)));
    }

    /// Takes the head of the stream that hyper hands over. Those before it are never asked for any more.
    pub(super) fn take(&self, stream: u32) -> Option<Left> {
        let mut state = self.lock();
        while state.heads.front().is_some_and(|(first, _)| *first < stream) {
            state.heads.pop_front();
        }
        state.heads.pop_front_if(|(first, _)| *first == stream).map(|(_, left)| left)
    }

    /// Counts a request until the guard is dropped.
    pub(super) fn begin(&self) -> UnderWay {
        self.lock().under_way += 1;
        UnderWay(self.clone())
    }

    /// Whether no request is under way, nor about to be. Where one is, its end wakes the task.
    pub(super) fn are_none(&self, context: &Context<'_>) -> bool {
        let mut state = self.lock();
        let none = state.under_way == 0 && state.heads.is_empty();
        if !none && !state.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            state.waker = Some(context.waker().clone());
        }
        none
    }

    /// How many requests were answered to their end since this was last asked.
    pub(super) fn answered(&self) -> u32 {
        std::mem::take(&mut self.lock().answered)
    }

    /// Asks for the connection's end after what is under way.
    pub(super) fn drain(&self) {
        self.lock().draining = true;
    }

    /// Whether that was asked.
    pub(super) fn are_draining(&self) -> bool {
        self.lock().draining
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct UnderWay(Streams);

impl UnderWay {
    /// It was answered to its end.
    pub(super) fn is_answered(&self) {
        self.0.lock().answered += 1;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way -= 1;
        let waker = if state.under_way == 0 { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
