//! What gates tell each other of sessions that ended or moved, and how sessions that are watched stand.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use redis::{Pipeline, PushInfo, PushKind, Value};

use crate::ids::TokenHash;
use crate::store::Fault;
use crate::store::watch::{Bell, Standing};

use super::Redis;

/// Where notices come from, and who is told.
#[derive(Debug)]
pub(super) struct Notices {
    pub(super) channel: String,
    bell: Arc<Bell>,
}

impl Notices {
    /// What the server pushed, if that is a notice.
    pub(super) fn hear(&self, push: &PushInfo) {
        let [Value::BulkString(channel), Value::BulkString(hash)] = push.data.as_slice() else { return };
        let known = push.kind == PushKind::Message && *channel == self.channel.as_bytes();
        let hash = std::str::from_utf8(hash).ok().and_then(TokenHash::from_hex);
        if let Some(hash) = hash.filter(|_| known) {
            self.bell.ring(hash);
        }
    }
}

impl Redis {
    /// From now on hears what other gates tell, over the connection of this worker.
    pub(in crate::store) fn hear_notices(&self) {
        self.route.hear(|| Notices { channel: self.codec.notices(), bell: Arc::clone(&self.bell) });
    }

    /// Tells the others. Who is not reached looks by itself within a second.
    pub(in crate::store) async fn tell(&self, hash: TokenHash) {
        let mut commands = Pipeline::new();
        commands.cmd("PUBLISH").arg(self.codec.notices()).arg(hash.to_hex());
        let _ = self.exchange(&commands).await;
    }

    /// How sessions stand, and the prints of their records. One whose record is what it was is not opened again.
    pub(in crate::store) async fn standing(&self, page: &[(TokenHash, u64)]) -> Result<Vec<(Standing, u64)>, Fault> {
        let mut commands = Pipeline::with_capacity(page.len());
        for (hash, _) in page {
            commands.cmd("HGET").arg(self.codec.session_key(*hash)).arg("v");
        }
        let mut answers = self.exchange(&commands).await?;
        let mut standing = Vec::with_capacity(page.len());
        for (hash, before) in page {
            standing.push(match answers.bytes() {
                Ok(stored) => self.seen(*hash, stored, *before),
                // Somebody else's key stands there: no session does.
                Err(Fault::Unreadable(_)) => (Standing::Gone, 0),
                Err(fault) => return Err(fault),
            });
        }
        Ok(standing)
    }

    fn seen(&self, hash: TokenHash, stored: Option<Vec<u8>>, before: u64) -> (Standing, u64) {
        let Some(stored) = stored else { return (Standing::Gone, 0) };
        let print = print(&stored);
        if print == before {
            return (Standing::Same, print);
        }
        match self.codec.open_session(hash, stored) {
            Ok(record) if record.ends <= self.clock.now() => (Standing::Gone, 0),
            Ok(record) => (Standing::of(&record), print),
            // Not ours to read is not ended.
            Err(_) => (Standing::Same, 0),
        }
    }
}

/// Tells one record from another; 0 is no print.
fn print(stored: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    stored.hash(&mut hasher);
    hasher.finish().max(1)
}
