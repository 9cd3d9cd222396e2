//! A request until its answer, so that one whose client has left leaves a trace as well.

use std::time::Instant;

use super::Gate;
use super::note::Note;

/// The status under which such a request is logged, as nginx does; nobody gets to see it.
const CLIENT_CLOSED: u16 = 499;

/// A request that is being answered. Dropped before its end, it is one whose client did not wait.
pub(super) struct UnderWay<'a> {
    pub(super) note: Note,
    gate: &'a Gate,
    started: Instant,
    ended: bool,
}

impl<'a> UnderWay<'a> {
    pub(super) fn begin(gate: &'a Gate, note: Note) -> Self {
        Self { note, gate, started: Instant::now(), ended: false }
    }

    /// It was answered.
    pub(super) fn end(mut self, status: u16) {
        self.tell(status);
    }

    fn tell(&mut self, status: u16) {
        self.ended = true;
        self.gate.record(&mut self.note, status, self.started.elapsed());
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.note.left();
            self.tell(CLIENT_CLOSED);
        }
    }
}
