//! Wrong tokens: counted, and each answered late, so that guessing one takes longer than anybody has.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::admin::answer::Problem;
use crate::measure::Counter;

/// How long a wrong token waits for its answer.
const REST: Duration = Duration::from_millis(500);
/// How many may wait. With [`REST`] that allows 32 guesses a second, whatever the number of guessers.
const MOST: usize = 16;

/// Tokens that did not fit.
#[derive(Debug)]
pub(super) struct Tries {
    wrong: Counter,
    waiting: Semaphore,
}

impl Default for Tries {
    fn default() -> Self {
        Self { wrong: Counter::new(), waiting: Semaphore::new(MOST) }
    }
}

impl Tries {
    /// Whether a token opens the API. Where as many wait as may, it is not looked at: a quick answer would be one guess more.
    pub(super) async fn judge(&self, opens: impl FnOnce() -> bool) -> Result<(), Problem> {
        let Ok(place) = self.waiting.try_acquire() else { return Err(Problem::too_many_tries()) };
        if opens() {
            return Ok(());
        }
        self.wrong.up();
        sleep(REST).await;
        drop(place);
        Err(Problem::unauthorised())
    }

    /// How many were wrong.
    pub(super) fn wrong(&self) -> u64 {
        self.wrong.get()
    }
}
