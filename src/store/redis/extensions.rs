//! Uses of sessions on their way to Redis: gathered for a moment, sent in one round trip, sent again while Redis is away.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use redis::Pipeline;
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::ids::TokenHash;
use crate::store::lock;

use super::scripts::{self, EXTEND};

/// How long uses are gathered.
pub(super) const GATHER: Duration = Duration::from_millis(20);
/// How long to wait after Redis did not take them.
pub(super) const RETRY: Duration = Duration::from_millis(200);
/// Most of one round trip.
const AT_ONCE: usize = 500;
/// More than this are not kept while Redis is away.
const MOST: usize = 200_000;

/// A use that Redis has not been told of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extension {
    pub(super) used: Timestamp,
    pub(super) life: Duration,
    noted: Instant,
    late: bool,
}

/// Uses that wait.
#[derive(Debug, Default)]
pub(super) struct Extensions(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    uses: HashMap<TokenHash, Extension>,
    /// A task is on its way that will send them.
    sending: bool,
}

impl Extensions {
    /// Notes a use. `true` where nobody is on the way to send it yet: then the caller must.
    pub(super) fn note(&self, hash: TokenHash, used: Timestamp, life: Duration) -> bool {
        let mut waiting = lock(&self.0);
        if waiting.uses.len() < MOST {
            waiting.uses.insert(hash, Extension { used, life, noted: Instant::now(), late: false });
        }
        !std::mem::replace(&mut waiting.sending, true)
    }

    /// Takes what fits in one round trip; `None` where nothing waits, which also means that nobody is sending any more.
    pub(super) fn take(&self) -> Option<Vec<(TokenHash, Extension)>> {
        let mut waiting = lock(&self.0);
        let hashes: Vec<_> = waiting.uses.keys().take(AT_ONCE).copied().collect();
        waiting.sending = !hashes.is_empty();
        let taken = hashes.into_iter().filter_map(|hash| waiting.uses.remove_entry(&hash)).collect::<Vec<_>>();
        (!taken.is_empty()).then_some(taken)
    }

    /// Puts back what was not taken, unless its session was used again or would be over by now.
    pub(super) fn put_back(&self, uses: Vec<(TokenHash, Extension)>) {
        let mut waiting = lock(&self.0);
        for (hash, extension) in uses {
            if let Some(rest) = extension.life.checked_sub(extension.noted.elapsed()).filter(|rest| !rest.is_zero()) {
                let late = Extension { life: rest, noted: Instant::now(), late: true, ..extension };
                waiting.uses.entry(hash).or_insert(late);
            }
        }
    }
}

/// The command that tells Redis.
pub(super) fn add(commands: &mut Pipeline, key: String, extension: &Extension) {
    scripts::call(commands, EXTEND, key)
        .arg(extension.used.as_millis())
        .arg(scripts::millis(extension.life))
        .arg(u8::from(extension.late));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sender_takes_what_many_noted() {
        let (extensions, hash) = (Extensions::default(), TokenHash::new([1; 32]));
        let used = Timestamp::from_millis;
        assert!(extensions.note(hash, used(1), Duration::from_secs(9)));
        assert!(!extensions.note(hash, used(2), Duration::from_secs(9)));
        let taken = extensions.take().unwrap();
        assert_eq!(taken.iter().map(|(_, extension)| extension.used).collect::<Vec<_>>(), [used(2)]);

        extensions.put_back(taken.clone());
        assert!(extensions.take().is_some_and(|again| again[0].1.late));
        assert!(!extensions.note(hash, used(3), Duration::from_secs(9)), "the sender is still on its way");
        extensions.put_back(taken);
        assert!(extensions.take().is_some_and(|again| again[0].1.used == used(3)), "a fresher use stands");
        assert!(extensions.take().is_none());
        assert!(extensions.note(hash, used(4), Duration::ZERO), "the sender has gone");
    }
}
