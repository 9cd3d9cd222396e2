//! Telling everything that runs that the gate is ending: first softly (drain), then for good.

use tokio::sync::watch;

/// How far the ending has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Phase {
    /// Serving.
    #[default]
    Running,
    /// Not ready any more, still accepting.
    Leaving,
    /// Accepting nothing new; what is under way finishes.
    Draining,
    /// Whatever is still under way is dropped.
    Stopped,
}

/// The side that announces.
#[derive(Debug)]
pub struct Trigger(watch::Sender<Phase>);

/// The side that listens. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Phase>);

/// A connected pair, at [`Phase::Running`].
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(Phase::Running);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Moves on to `phase`; never back.
    pub fn announce(&self, phase: Phase) {
        self.0.send_if_modified(|current| {
            let later = phase > *current;
            *current = phase.max(*current);
            later
        });
    }
}

impl Shutdown {
    /// How far it has come.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until `phase` or a later one is reached. A trigger that is gone counts as [`Phase::Stopped`].
    pub async fn reached(&mut self, phase: Phase) {
        // An error means that the sender is gone, which is the end as well.
        let _ = self.0.wait_for(|current| *current >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_only_move_on() {
        let (trigger, mut shutdown) = channel();
        trigger.announce(Phase::Draining);
        trigger.announce(Phase::Leaving);
        shutdown.reached(Phase::Leaving).await;
        assert_eq!(shutdown.phase(), Phase::Draining);
        drop(trigger);
        shutdown.reached(Phase::Stopped).await;
    }
}
