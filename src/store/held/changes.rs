//! Watching a session for changes: for whoever holds it open longer than a request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Held, Key};

/// Nothing told of is looked at again after so long: the connection that should tell may be dead.
const LOOK_AGAIN: Duration = Duration::from_millis(750);

/// Tells when a session may have changed. Look after making it, and after each [`Changes::next`].
#[derive(Debug)]
pub struct Changes {
    watched: Option<Watched>,
}

#[derive(Debug)]
struct Watched {
    held: Arc<Held>,
    key: Key,
    told: watch::Receiver<()>,
}

impl Changes {
    /// Of a store that tells nothing: it is looked at every now and then.
    pub(in crate::store) const fn untold() -> Self {
        Self { watched: None }
    }

    pub(super) fn of(held: &Arc<Held>, key: Key) -> Self {
        let told = held.shard(&key).map(|mut shard| shard.watch(&key));
        Self { watched: told.map(|told| Watched { held: Arc::clone(held), key, told }) }
    }

    /// Waits until the session may have changed, for less than a second.
    pub async fn next(&mut self) {
        let told = async {
            match &mut self.watched {
                Some(watched) => drop(watched.told.changed().await),
                None => std::future::pending().await,
            }
        };
        // Over time or not, it is time to look.
        let _ = tokio::time::timeout(LOOK_AGAIN, told).await;
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        if let Some(Watched { held, key, told }) = self.watched.take() {
            drop(told);
            if let Some(mut shard) = held.shard(&key) {
                shard.unwatch(&key);
            }
        }
    }
}
