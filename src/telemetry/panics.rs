//! Errors in the program itself: told in the log, counted, and never with what they were about.

use std::panic;

use crate::measure::Counter;

static CAUGHT: Counter = Counter::new();

/// Counts panics from now on, and tells where they happened. Their message is left out: it may repeat what a client sent.
pub fn watch() {
    panic::set_hook(Box::new(|panic| {
        CAUGHT.up();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        tracing::error!(place, thread, "the program failed; what was under way there is lost, please report this");
    }));
}

/// How many there were.
pub(super) fn count() -> u64 {
    CAUGHT.get()
}
