//! A request until its answer, so that one whose client has left leaves a trace as well.

use std::sync::Arc;

use http::Response;

use super::note::Note;
use super::unwinding::caught;
use super::{Arrived, Gate};
use crate::reply::Body;

/// The status under which such a request is logged, as nginx does; nobody gets to see it.
const CLIENT_CLOSED: u16 = 499;

/// A request that is being answered. Dropped before its end, it is one whose client did not wait.
pub(super) struct UnderWay {
    pub(super) note: Note,
    gate: Arc<Gate>,
    ended: bool,
}

impl UnderWay {
    pub(super) fn begin(gate: Arc<Gate>, note: Note) -> Self {
        Self { note, gate, ended: false }
    }

    /// Walks it.
    #[expect(clippy::manual_async_fn, reason = "what is captured is held once, arguments are held twice")]
    pub(super) fn answer(mut self, arrived: Arrived) -> impl Future<Output = Response<Body>> + Send {
        async move {
            let (gate, note) = (&self.gate, &mut self.note);
            let mut response = match caught(Box::pin(gate.walk(arrived, note))).await {
                Ok(response) => response,
                Err(refusal) => gate.refuse(refusal, note),
            };
            if let Some(cors) = &gate.settings.cors {
                cors.tell(response.headers_mut(), note.asking.as_ref(), note.preflight.as_deref());
            }
            self.end(response.status().as_u16());
            response
        }
    }

    /// It was answered.
    pub(super) fn end(&mut self, status: u16) {
        self.tell(status);
    }

    fn tell(&mut self, status: u16) {
        self.ended = true;
        let duration = self.note.age();
        self.gate.record(&mut self.note, status, duration);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.ended {
            self.note.left();
            self.tell(CLIENT_CLOSED);
        }
    }
}
