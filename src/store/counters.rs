//! Counters of this process: all there are where the store is embedded, and those that stand in while a shared store cannot count.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Timestamp;

use super::counting::{Count, Counter, Lockout, Standing};
use super::lock;
use super::rate::{Micros, Rate};

/// Locks apart, so that cores seldom wait for each other and clearing away is done in small portions.
const SHARDS: usize = 16;
/// Most counters of one kind in a shard. What an attacker could fill must have a bound.
const MOST: usize = 65_536;
/// Fewer are never cleared away.
const FEW: usize = 64;
/// The clock shows milliseconds.
const GRAIN: Micros = 1000;

/// Counters of this process, shared by its workers.
#[derive(Debug, Default)]
pub(super) struct Counters {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    /// When the next request is due.
    rates: Table<Micros>,
    tries: Table<Tries>,
}

/// Failed tries of one thing.
#[derive(Clone, Debug)]
enum Tries {
    /// When they failed, within the time that counts, and until when the last of them does.
    Counted(Vec<Timestamp>, Timestamp),
    /// Too many did.
    Locked(Timestamp),
}

impl Counters {
    /// Counts a request, unless it must wait.
    pub(super) fn take(&self, count: &Count, now: Timestamp) -> Result<(), Duration> {
        let (rate, now) = (count.rate, micros(now));
        let mut shard = lock(self.shard(count.key));
        let due = shard.rates.entries.get(&count.key).copied().unwrap_or_default();
        let due = rate.take(due, now, GRAIN)?;
        shard.rates.put(count.key, due, |due| *due <= now);
        Ok(())
    }

    /// Takes a counted request back.
    pub(super) fn give_back(&self, key: Counter, rate: Rate) {
        if let Some(due) = lock(self.shard(key)).rates.entries.get_mut(&key) {
            *due = rate.give_back(*due);
        }
    }

    /// How things stand with somebody's tries.
    pub(super) fn standing(&self, key: Counter, lockout: &Lockout, now: Timestamp) -> Standing {
        lock(self.shard(key)).standing(key, lockout, now)
    }

    /// Counts a failed try, and locks where it was one too many. How much longer it is locked, where it was before.
    pub(super) fn fail(&self, key: Counter, lockout: &Lockout, now: Timestamp) -> Option<Duration> {
        // Looked at and changed under one lock: a racing try would count beyond the last, and take its lock off again.
        let mut shard = lock(self.shard(key));
        let standing = shard.standing(key, lockout, now);
        if standing.locked.is_some() {
            return standing.locked;
        }
        let mut failed = match shard.tries.entries.remove(&key) {
            Some(Tries::Counted(failed, _)) => recent(&failed, lockout, now).collect(),
            Some(Tries::Locked(_)) | None => Vec::new(),
        };
        failed.push(now);
        let tries = match failed.len() >= lockout.tries {
            true => Tries::Locked(now.plus(lockout.lock)),
            false => Tries::Counted(failed, now.plus(lockout.within)),
        };
        shard.tries.put(key, tries, |tries| tries.ends() <= now);
        None
    }

    /// Forgets failed tries.
    pub(super) fn clear(&self, key: Counter) {
        lock(self.shard(key)).tries.entries.remove(&key);
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder of the length is below it")]
    fn shard(&self, key: Counter) -> &Mutex<Shard> {
        &self.shards[usize::from(key.first_byte()) % SHARDS]
    }
}

impl Shard {
    fn standing(&self, key: Counter, lockout: &Lockout, now: Timestamp) -> Standing {
        match self.tries.entries.get(&key) {
            Some(Tries::Locked(until)) if *until > now => Standing { locked: Some(until.since(now)), failures: 0 },
            Some(Tries::Counted(failed, _)) => {
                Standing { locked: None, failures: recent(failed, lockout, now).count() }
            }
            Some(Tries::Locked(_)) | None => Standing::default(),
        }
    }
}

impl Tries {
    const fn ends(&self) -> Timestamp {
        match self {
            Self::Counted(_, ends) | Self::Locked(ends) => *ends,
        }
    }
}

fn recent(failed: &[Timestamp], lockout: &Lockout, now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let within = lockout.within;
    failed.iter().copied().filter(move |at| now.since(*at) < within)
}

const fn micros(now: Timestamp) -> Micros {
    now.as_millis().saturating_mul(1000)
}

/// Entries that end by themselves, and are cleared away now and then.
#[derive(Debug)]
struct Table<T> {
    entries: HashMap<Counter, T>,
    /// At so many entries those that ended are looked for.
    clear_at: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), clear_at: FEW }
    }
}

impl<T> Table<T> {
    fn put(&mut self, key: Counter, entry: T, ended: impl Fn(&T) -> bool) {
        if self.entries.len() >= self.clear_at && !self.entries.contains_key(&key) {
            self.entries.retain(|_, entry| !ended(entry));
            if self.entries.len() >= MOST {
                self.forget_half();
            }
            self.clear_at = (self.entries.len() * 2).clamp(FEW, MOST);
        }
        self.entries.insert(key, entry);
    }

    /// Whoever fills the table so far makes it forget, but cannot choose what.
    fn forget_half(&mut self) {
        let coin = RandomState::new();
        self.entries.retain(|key, _| coin.hash_one(key) & 1 == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TokenHash;

    const MINUTE: Duration = Duration::from_secs(60);
    const LOCKOUT: Lockout = Lockout { tries: 3, within: MINUTE, lock: Duration::from_secs(600) };

    fn key(number: usize) -> Counter {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&u64::try_from(number).unwrap().to_le_bytes());
        Counter::of_hash(TokenHash::new(bytes))
    }

    fn second(second: u64) -> Timestamp {
        Timestamp::from_secs(1000 + second)
    }

    fn fails(counters: &Counters, seconds: &[u64]) {
        for at in seconds {
            assert_eq!(counters.fail(key(1), &LOCKOUT, second(*at)), None, "{at}");
        }
    }

    #[test]
    fn so_many_failures_within_the_time_lock_and_others_do_not() {
        let counters = Counters::default();
        fails(&counters, &[0, 30, 61]);
        assert_eq!(counters.standing(key(1), &LOCKOUT, second(61)), Standing { locked: None, failures: 2 });
        fails(&counters, &[70]);
        assert_eq!(counters.standing(key(1), &LOCKOUT, second(71)).locked, Some(Duration::from_secs(599)));
        assert_eq!(counters.standing(key(2), &LOCKOUT, second(71)), Standing::default());
    }

    #[test]
    fn a_lock_ends_by_itself_is_not_prolonged_and_counting_begins_anew() {
        let counters = Counters::default();
        fails(&counters, &[0, 0, 0]);
        assert_eq!(counters.fail(key(1), &LOCKOUT, second(500)), Some(Duration::from_secs(100)));
        assert_eq!(counters.standing(key(1), &LOCKOUT, second(600)), Standing::default());
        fails(&counters, &[600, 601]);
        assert_eq!(counters.standing(key(1), &LOCKOUT, second(601)).failures, 2);
        counters.clear(key(1));
        assert_eq!(counters.standing(key(1), &LOCKOUT, second(601)), Standing::default());
    }

    #[test]
    fn racing_failures_never_count_beyond_the_last_nor_take_a_lock_off() {
        let lockout = Lockout { tries: 2, ..LOCKOUT };
        for round in 0..2_000 {
            let counters = Counters::default();
            let fail = || counters.fail(key(round), &lockout, second(0)).is_none();
            let counted = std::thread::scope(|scope| {
                let racing = [(); 4].map(|()| scope.spawn(|| usize::from(fail()) + usize::from(fail())));
                racing.into_iter().map(|one| one.join().unwrap()).sum::<usize>()
            });
            assert_eq!(counted, 2, "in round {round}");
            assert!(counters.standing(key(round), &lockout, second(0)).locked.is_some());
        }
    }

    #[test]
    fn tables_clear_away_what_ended_and_have_a_bound() {
        let counters = Counters::default();
        let count = |number| Count {
            what: "per_ip",
            key: key(number),
            rate: Rate::new(1, Duration::from_secs(1), None).unwrap(),
        };
        let held = || counters.shards.iter().map(|shard| lock(shard).rates.entries.len()).sum::<usize>();
        for number in 0..10_000 {
            assert_eq!(counters.take(&count(number), second(0)), Ok(()));
        }
        assert_eq!(held(), 10_000);
        for number in 10_000..60_000 {
            assert_eq!(counters.take(&count(number), second(u64::try_from(number).unwrap())), Ok(()));
        }
        assert!(held() <= FEW * SHARDS, "{}", held());

        let one = counters.shard(key(0));
        for number in 0..3 * MOST {
            assert_eq!(counters.take(&count(number * SHARDS * 16), second(100_000)), Ok(()));
        }
        assert!(lock(one).rates.entries.len() <= MOST);
    }
}
