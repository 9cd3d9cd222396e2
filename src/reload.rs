//! Taking up a changed configuration: who asks for it, and what became of it.

use tokio::sync::{mpsc, oneshot};

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

/// The side that asks. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct Reload(mpsc::Sender<Ask>);

/// The side that reloads.
#[derive(Debug)]
pub struct Asks(mpsc::Receiver<Ask>);

/// Somebody who waits to be told.
#[derive(Debug)]
pub struct Ask(oneshot::Sender<Result<Taken, Kept>>);

/// A connected pair.
pub fn channel() -> (Reload, Asks) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Reload(sender), Asks(receiver))
}

impl Reload {
    /// Asks for it and waits. `None` where nobody reloads: the gate is ending, or has no file.
    pub async fn ask(&self) -> Option<Result<Taken, Kept>> {
        let (told, wait) = oneshot::channel();
        self.0.send(Ask(told)).await.ok()?;
        wait.await.ok()
    }
}

impl Asks {
    /// The next who asks; never where nobody can any more.
    pub async fn next(&mut self) -> Ask {
        match self.0.recv().await {
            Some(ask) => ask,
            None => std::future::pending().await,
        }
    }

    /// Whoever asks from now on is told that nobody reloads, and so is whoever waits.
    pub fn close(&mut self) {
        self.0.close();
        while self.0.try_recv().is_ok() {}
    }
}

impl Ask {
    /// Tells how it went.
    pub fn tell(self, outcome: Result<Taken, Kept>) {
        // Whoever asked may have gone.
        let _ = self.0.send(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_is_told_once_somebody_reloads_and_until_nobody_does() {
        let (reload, mut asks) = channel();
        let kept = Err(Kept { faults: vec!["f:1: x".to_owned()] });
        let (told, ()) = tokio::join!(reload.ask(), async { asks.next().await.tell(kept.clone()) });
        assert_eq!(told, Some(kept));
        let (told, ()) = tokio::join!(reload.ask(), async { asks.close() });
        assert_eq!((told, reload.ask().await), (None, None));
    }
}
