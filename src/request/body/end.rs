//! The end of a body that is let through only once somebody has judged the whole of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::request::Unreadable;

/// Told the SHA-256 of a whole body, says whether its end may pass.
pub type EndCheck = Box<dyn FnOnce([u8; 32]) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send>;

/// Hashes what passes, and keeps the latest piece back until more comes or the check has spoken: without its last bytes no
/// server takes a request for whole.
pub(super) struct End {
    hash: Sha256,
    held: Option<Bytes>,
    /// Never locked: a request is shared between threads while nobody polls its body.
    state: Mutex<State>,
    /// Whether the end passes whatever the check says.
    lenient: bool,
    passed: bool,
}

enum State {
    Open(EndCheck),
    Asking(Pin<Box<dyn Future<Output = bool> + Send>>),
    Judged(bool),
}

impl End {
    pub(super) fn new(check: EndCheck) -> Self {
        Self { hash: Sha256::new(), held: None, state: Mutex::new(State::Open(check)), lenient: false, passed: false }
    }

    pub(super) fn let_by(&mut self) {
        self.lenient = true;
    }

    /// Whether nobody has let the body pass yet, and it matters.
    pub(super) fn is_owed(&self) -> bool {
        !self.lenient && !self.passed
    }

    /// Takes the next piece, and gives back the one before it.
    pub(super) fn take(&mut self, bytes: Bytes) -> Option<Bytes> {
        self.hash.update(&bytes);
        self.held.replace(bytes)
    }

    /// All pieces came: gives back the last one, once, if the check allows it.
    pub(super) fn poll_last(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Unreadable>> {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        loop {
            *state = match std::mem::replace(state, State::Judged(false)) {
                State::Open(check) => State::Asking(check(self.hash.finalize_reset().into())),
                State::Asking(mut answer) => match answer.as_mut().poll(context) {
                    Poll::Ready(passes) => State::Judged(passes),
                    Poll::Pending => {
                        *state = State::Asking(answer);
                        return Poll::Pending;
                    }
                },
                State::Judged(passes) if passes || self.lenient => {
                    *state = State::Judged(true);
                    self.passed = true;
                    return Poll::Ready(Ok(self.held.take()));
                }
                State::Judged(_) => return Poll::Ready(Err(Unreadable::Withheld)),
            }
        }
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End").field("owed", &self.is_owed()).finish_non_exhaustive()
    }
}
