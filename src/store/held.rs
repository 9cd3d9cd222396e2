//! What is held of a shared store's answers: facts about clients and sessions, never verdicts, for as long as Redis has promised
//! to tell of every change to them. One table for all workers of this process, in shards, bounded in bytes.
//!
//! Three things keep it true. A fact is held only if nobody told of a change between the question and now (`Flight`). It
//! counts only while the connection that promised is known to live (`Promise`), so that a change goes unheard for less than a
//! second even where the network swallows everything. And whoever writes in this process says so (`Held::forget`).

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::ids::{ClientId, TokenHash};

use super::lock;
use super::record::{ClientRecord, Ending, SessionRecord};

mod flight;
mod promise;
mod shard;

pub(super) use flight::{Begun, Flight};
pub(super) use promise::Promise;
use shard::{Entry, Shard};

/// Each is locked for less than a microsecond at a time; with so many, cores seldom meet.
const SHARDS: u8 = 64;

/// `store.held`, and what is trusted while the store is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// About how much memory it may take, in bytes; 0 holds nothing.
    pub bytes: usize,
    /// `when_down: {trust: …}`: while the store does not answer, what was verified at most that long ago stands.
    pub trust: Option<Duration>,
}

/// How questions were answered so far, in all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Without asking the store.
    pub hits: u64,
    /// By the store.
    pub misses: u64,
    /// By what had been verified before, while the store was down.
    pub trusted: u64,
}

/// Counted by one worker alone, so that no cache line goes from core to core.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) trusted: AtomicU64,
}

/// What a fact is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Client(ClientId),
    Session(TokenHash),
}

/// What is known.
#[derive(Clone, Debug)]
pub(super) enum Fact {
    NoClient,
    Client(Arc<ClientRecord>),
    NoSession,
    Ended(Ending),
    Live(LiveFact),
}

/// A living session.
#[derive(Clone, Debug)]
pub(super) struct LiveFact {
    pub(super) record: Arc<SessionRecord>,
    /// When it expires, by the clock that nobody sets: Redis says how long is left.
    pub(super) expires: Instant,
    pub(super) used: Timestamp,
}

impl Fact {
    /// Whether it is one of a session that is or was there.
    pub(super) const fn is_session(&self) -> bool {
        matches!(self, Self::Live(_) | Self::Ended(_))
    }

    /// An expiry that has passed is for the store to tell: somebody may have pushed it forward.
    fn counts(&self, now: Instant) -> bool {
        !matches!(self, Self::Live(live) if live.expires <= now)
    }
}

/// All that is held.
pub(super) struct Held {
    shards: Vec<Mutex<Shard>>,
    settings: Settings,
    links: AtomicU32,
    flights: AtomicU64,
    counts: Mutex<Vec<Arc<Counts>>>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Held {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            settings,
            links: AtomicU32::new(0),
            flights: AtomicU64::new(0),
            counts: Mutex::default(),
        }
    }

    /// What this is called among those who promise.
    pub(super) fn name_link(&self) -> u32 {
        self.links.fetch_add(1, Ordering::Relaxed)
    }

    /// Counters for another worker.
    pub(super) fn counts(&self) -> Arc<Counts> {
        let counts = Arc::default();
        lock(&self.counts).push(Arc::clone(&counts));
        counts
    }

    pub(super) fn counted(&self) -> Counted {
        lock(&self.counts).iter().fold(Counted::default(), |sum, counts| Counted {
            hits: sum.hits + counts.hits.load(Ordering::Relaxed),
            misses: sum.misses + counts.misses.load(Ordering::Relaxed),
            trusted: sum.trusted + counts.trusted.load(Ordering::Relaxed),
        })
    }

    /// What is held, if it is as good as a fresh answer.
    pub(super) fn look(&self, key: &Key, now: Instant) -> Option<Fact> {
        let look = |entry: &mut Entry| {
            let proved = entry.promise.stands(now).filter(|_| entry.fact.counts(now))?;
            entry.verified = entry.verified.max(proved);
            Some(entry.fact.clone())
        };
        self.shard(key)?.look_at(key, self.room(), look).flatten()
    }

    /// What was verified not too long ago, for when the store is down.
    pub(super) fn trusted(&self, key: &Key, now: Instant) -> Option<Fact> {
        let trust = self.settings.trust?;
        let look = |entry: &mut Entry| {
            let counts = entry.fact.counts(now) && now.saturating_duration_since(entry.verified) <= trust;
            counts.then(|| entry.fact.clone())
        };
        self.shard(key)?.look_at(key, self.room(), look).flatten()
    }

    /// Holds a fact that was asked for at `asked`.
    fn hold(&self, shard: &mut Shard, key: Key, fact: Fact, (promise, asked): (&Arc<Promise>, Instant)) {
        if !promise.is_broken() {
            shard.put(key, Entry { fact, promise: Arc::clone(promise), verified: asked }, self.room());
        }
    }

    /// A session's expiry is on its way to be pushed forward: nobody else needs to do so.
    pub(super) fn prolong(&self, hash: TokenHash, expires: Instant) {
        let key = Key::Session(hash);
        let Some(mut shard) = self.shard(&key) else { return };
        shard.look_at(&key, self.room(), |entry| {
            if let Fact::Live(live) = &mut entry.fact {
                live.expires = live.expires.max(expires);
            }
        });
    }

    /// Redis told this link of a change. Others hear of theirs themselves.
    pub(super) fn told(&self, key: &Key, link: u32) {
        if let Some(mut shard) = self.shard(key) {
            shard.drop_of(key, link);
        }
    }

    /// This process changed it, or is about to.
    pub(super) fn forget(&self, key: &Key) {
        if let Some(mut shard) = self.shard(key) {
            shard.drop_all(key);
        }
    }

    /// Forgets every session of which that holds. It goes through all of them.
    pub(super) fn forget_sessions(&self, doomed: impl Fn(TokenHash, &SessionRecord) -> bool) {
        for shard in &self.shards {
            lock(shard).retain(|key, entry| match (key, &entry.fact) {
                (Key::Session(hash), Fact::Live(live)) => !doomed(*hash, &live.record),
                _ => true,
            });
        }
    }

    /// A connection is gone and its promise with it. With `emptied` everything it promised is known to have changed, too.
    pub(super) fn broken(&self, promise: &Promise, emptied: bool) {
        promise.break_off();
        if emptied || self.settings.trust.is_none() {
            self.shards.iter().for_each(|shard| lock(shard).drop_promised(promise));
        }
    }

    /// The shard of a key; all are there.
    fn shard(&self, key: &Key) -> Option<MutexGuard<'_, Shard>> {
        let byte = match key {
            Key::Client(id) => id.as_str().bytes().fold(0, u8::wrapping_add),
            Key::Session(hash) => hash.as_bytes().first().copied().unwrap_or_default(),
        };
        self.shards.get(usize::from(byte % SHARDS)).map(lock)
    }

    /// What a shard has room for, in bytes.
    fn room(&self) -> usize {
        self.settings.bytes / usize::from(SHARDS)
    }
}

#[cfg(test)]
mod tests;
