//! Taking up a changed configuration: who asks for it, and what became of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::clock::Timestamp;

/// Asks that may wait; more are a mistake.
const WAITING: usize = 16;

/// A configuration was taken up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Keys that say something else than before, without values; and files they name that hold something else.
    pub changed: Vec<String>,
    /// What is doubtful in it, each as `FILE:LINE: key: what`.
    pub warnings: Vec<String>,
}

/// It was not, and the one in force stays, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Why, each as `FILE:LINE: key: what`.
    pub faults: Vec<String>,
}

/// How the last reload went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// When the configuration in force was taken up.
    pub since: Timestamp,
    /// What stands in the way of the one that was to follow it; empty while all is well.
    pub faults: Vec<String>,
}

/// The side that asks, and that can tell how it went. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct Reload {
    asks: mpsc::Sender<Ask>,
    state: Arc<Mutex<State>>,
}

/// The side that reloads.
#[derive(Debug)]
pub struct Asks {
    asks: mpsc::Receiver<Ask>,
    state: Arc<Mutex<State>>,
}

/// Somebody who waits to be told.
#[derive(Debug)]
pub struct Ask(oneshot::Sender<Result<Taken, Kept>>);

/// A connected pair; the configuration in force was taken up `since` then.
pub fn channel(since: Timestamp) -> (Reload, Asks) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let state = Arc::new(Mutex::new(State { since, faults: Vec::new() }));
    (Reload { asks: sender, state: Arc::clone(&state) }, Asks { asks: receiver, state })
}

impl Reload {
    /// Asks for it and waits. `None` where nobody reloads: the gate is ending, or has no file.
    pub async fn ask(&self) -> Option<Result<Taken, Kept>> {
        let (told, wait) = oneshot::channel();
        self.asks.send(Ask(told)).await.ok()?;
        wait.await.ok()
    }

    /// How the last one went.
    pub fn state(&self) -> State {
        locked(&self.state).clone()
    }
}

impl Asks {
    /// The next who asks; never where nobody can any more.
    pub async fn next(&mut self) -> Ask {
        match self.asks.recv().await {
            Some(ask) => ask,
            None => std::future::pending().await,
        }
    }

    /// Whoever asks from now on is told that nobody reloads, and so is whoever waits.
    pub fn close(&mut self) {
        self.asks.close();
        while self.asks.try_recv().is_ok() {}
    }

    /// Notes how a reload went.
    pub fn note(&self, now: Timestamp, outcome: &Result<Taken, Kept>) {
        let mut state = locked(&self.state);
        match outcome {
            Ok(_) => *state = State { since: now, faults: Vec::new() },
            Err(kept) => state.faults.clone_from(&kept.faults),
        }
    }
}

impl Ask {
    /// Tells how it went.
    pub fn tell(self, outcome: Result<Taken, Kept>) {
        // Whoever asked may have gone.
        let _ = self.0.send(outcome);
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_is_told_and_the_state_follows() {
        let (reload, mut asks) = channel(Timestamp::from_secs(1));
        let kept = Err(Kept { faults: vec!["f:1: x".to_owned()] });
        let (told, ()) = tokio::join!(reload.ask(), async {
            let ask = asks.next().await;
            asks.note(Timestamp::from_secs(2), &kept);
            ask.tell(kept.clone());
        });
        assert_eq!(told, Some(kept));
        assert_eq!(reload.state(), State { since: Timestamp::from_secs(1), faults: vec!["f:1: x".to_owned()] });
        asks.note(Timestamp::from_secs(3), &Ok(Taken::default()));
        assert_eq!(reload.state(), State { since: Timestamp::from_secs(3), faults: Vec::new() });
        let (told, ()) = tokio::join!(reload.ask(), async { asks.close() });
        assert_eq!((told, reload.ask().await), (None, None));
    }
}
