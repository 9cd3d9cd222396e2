//! Counting: rates and failed tries, in the store where gates share one, otherwise in this process; so also whenever a shared
//! store cannot count, which is better than not at all. It never fails.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::ids::TokenHash;

use super::alarm::{Alarm, Pause};
use super::counters::Counters;
use super::locks::Locks;
use super::meter::Op;
use super::redis::Tallied;
use super::turns::{Place, Turns};
use super::{Engine, Fault, Question, Records, Store};

pub use super::rate::Rate;

/// Said at most so often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// What is counted in this process, and known to all its workers.
#[derive(Default)]
pub(super) struct Local {
    counters: Counters,
    alarm: Alarm,
    locks: Locks,
    turns: Turns,
    /// How often it counted what a shared store should have.
    stood_in: AtomicU64,
    complaints: Pause,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("stood_in", &self.stood_in).finish_non_exhaustive()
    }
}

/// What is counted for whom: a keyed hash, so that no store holds addresses or names, and keys have a bounded length.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Counter([u8; 16]);

/// A request to be counted.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// Which limit this is.
    pub what: &'static str,
    /// For whom.
    pub key: Counter,
    /// How many may come.
    pub rate: Rate,
}

/// A rate was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// Which limit it was.
    pub what: &'static str,
    /// Who waits so long passes, unless others come first.
    pub wait: Duration,
}

/// So many failed tries lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// So many…
    pub tries: usize,
    /// …within this time…
    pub within: Duration,
    /// …lock for so long.
    pub lock: Duration,
}

/// How things stand with somebody's tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Locked for so much longer.
    pub locked: Option<Duration>,
    /// Failures that count now; none where it is locked.
    pub failures: usize,
}

/// What is counted and looked up along with a question.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally<'a> {
    /// Requests to be counted: all of them or none.
    pub counts: &'a [Count],
    /// A lock to look for.
    pub lock: Option<(Counter, &'a Lockout)>,
}

impl Tally<'_> {
    /// Whether there is nothing to count or look up.
    pub(super) const fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.lock.is_none()
    }
}

/// What a tally came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// A rate was exceeded, and nothing was counted.
    pub over: Option<Over>,
    /// Locked for so much longer.
    pub locked: Option<Duration>,
}

impl Counter {
    /// Half of a hash is unlikely enough to be another's.
    pub(super) fn of_hash(hash: TokenHash) -> Self {
        Self(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    }

    pub(super) const fn first_byte(self) -> u8 {
        let [first, ..] = self.0;
        first
    }

    /// As it stands in keys: 32 hex digits.
    pub(super) fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.to_hex();
        f.write_str(hex.get(..8).unwrap_or_default())
    }
}

impl Store {
    /// The counter for somebody; `who` are any bytes.
    pub fn counter(&self, who: &[&[u8]]) -> Counter {
        self.codec.counter(who)
    }

    /// Answers a question, counts requests and looks for a lock, in one round trip.
    pub async fn ask_counting(&self, question: Question<'_>, tally: &Tally<'_>) -> (Result<Records, Fault>, Counted) {
        if tally.is_empty() && question.is_empty() {
            return (Ok(Records::default()), Counted::default());
        }
        let (op, started) = (if question.is_empty() { Op::Count } else { Op::Decide }, Instant::now());
        let (records, tallied) = match &self.engine {
            Engine::Embedded(embedded) => (Ok(embedded.ask(question)), None),
            Engine::Redis(redis) => {
                let (records, tallied) = Box::pin(redis.ask_counting(question, tally)).await;
                (records, Some(tallied))
            }
        };
        let uncounted = tallied.as_ref().is_some_and(|tallied| tallied.waits.iter().any(Result::is_err));
        self.meter.record(op, started, records.is_err() || uncounted);
        if tally.is_empty() {
            return (records, Counted::default());
        }
        (records, Box::pin(self.settle(tally, tallied)).await)
    }

    /// Counts requests: all of them or none.
    pub async fn take(&self, counts: &[Count]) -> Option<Over> {
        if counts.is_empty() {
            return None;
        }
        Box::pin(self.ask_counting(Question::default(), &Tally { counts, lock: None })).await.1.over
    }

    /// How things stand with tries, in the order of the keys.
    pub async fn standings(&self, keys: &[Counter], lockout: &Lockout) -> Vec<Standing> {
        let told = match &self.engine {
            Engine::Embedded(_) => None,
            Engine::Redis(redis) => Some(self.timed(redis.standings(keys, lockout)).await),
        };
        self.each(keys, told, |key| self.local.counters.standing(key, lockout, self.clock.now()))
    }

    /// Counts a failed try under each key, and locks those where it was one too many. How much longer any of them is locked that
    /// was so before; there this try does not count. With `alarm`, every gate gets to know that there may be locks.
    pub async fn fail(&self, keys: &[Counter], lockout: &Lockout, alarm: bool) -> Option<Duration> {
        if alarm {
            self.local.alarm.raise(self.clock.now().plus(lockout.lock));
        }
        let told = match &self.engine {
            Engine::Embedded(_) => None,
            Engine::Redis(redis) => {
                // Where all are locked nothing would count, so nobody need be asked for a moment.
                let known = keys.iter().map(|key| self.local.locks.known(*key, self.clock.now()));
                if let Some(known) = known.collect::<Option<Vec<_>>>() {
                    return known.into_iter().max();
                }
                let told = self.timed(redis.fail(keys, lockout, alarm)).await;
                for (key, told) in keys.iter().zip(&told) {
                    if let Ok(Some(left)) = told {
                        self.local.locks.learn(*key, self.clock.now(), *left);
                    }
                }
                Some(told)
            }
        };
        let locked = self.each(keys, told, |key| self.local.counters.fail(key, lockout, self.clock.now()));
        locked.into_iter().flatten().max()
    }

    /// Forgets failed tries.
    pub async fn clear(&self, keys: &[Counter]) {
        // Also where the store stands: while it was away, they were counted here.
        for key in keys {
            self.local.counters.clear(*key);
            self.local.locks.forget(*key);
        }
        if let Engine::Redis(redis) = &self.engine
            && let Err(fault) = self.meter.time(Op::Count, redis.clear(keys)).await
        {
            self.stand_in(&fault);
        }
    }

    /// Whether there may be locks that were set with `alarm`. A shared store is asked at most once in a while, so that looking for
    /// locks costs nothing where nobody fails; what other gates saw meanwhile is known that much later.
    pub async fn is_alarmed(&self) -> bool {
        let (now, alarm) = (self.clock.now(), &self.local.alarm);
        let Engine::Redis(redis) = &self.engine else { return alarm.is_raised(now) };
        if let Some(known) = alarm.known(now) {
            return known;
        }
        match Box::pin(self.meter.time(Op::Count, redis.alarm())).await {
            Ok(Some(left)) => {
                alarm.raise(now.plus(left));
                true
            }
            // While it is away, only what failed here can be known.
            Ok(None) | Err(_) => false,
        }
    }

    /// Where those stand who try the same thing in this process.
    pub fn place(&self, key: Counter) -> Arc<Place> {
        self.local.turns.place(key)
    }

    /// How often this process counted what the shared store could not.
    pub fn counted_locally(&self) -> u64 {
        self.local.stood_in.load(Ordering::Relaxed)
    }

    async fn timed<T>(&self, counted: impl Future<Output = Vec<Result<T, Fault>>>) -> Vec<Result<T, Fault>> {
        let started = Instant::now();
        let told = counted.await;
        self.meter.record(Op::Count, started, told.iter().any(Result::is_err));
        told
    }

    /// What each key came to, told by the store or else counted here.
    fn each<T>(&self, keys: &[Counter], told: Option<Vec<Result<T, Fault>>>, here: impl Fn(Counter) -> T) -> Vec<T> {
        let Some(told) = told else { return keys.iter().map(|key| here(*key)).collect() };
        let answers = keys.iter().zip(told);
        answers
            .map(|(key, told)| {
                told.unwrap_or_else(|fault| {
                    self.stand_in(&fault);
                    here(*key)
                })
            })
            .collect()
    }

    async fn settle(&self, tally: &Tally<'_>, tallied: Option<Tallied>) -> Counted {
        let now = self.clock.now();
        let (waits, lock) = tallied.map_or((None, None), |tallied| (Some(tallied.waits), tallied.lock));
        let locked = tally.lock.and_then(|(key, lockout)| {
            let told = lock.map(|lock| vec![lock]);
            let standings = self.each(&[key], told, |key| self.local.counters.standing(key, lockout, now));
            standings.first().and_then(|standing| standing.locked)
        });
        Counted { over: self.all_or_none(tally.counts, waits).await, locked }
    }

    /// Where any limit was exceeded, what the others counted is given back.
    async fn all_or_none(&self, counts: &[Count], waits: Option<Vec<Result<Option<Duration>, Fault>>>) -> Option<Over> {
        let (mut longest, mut theirs, mut ours) = (None::<Over>, Vec::new(), Vec::new());
        let mut told = waits.unwrap_or_default().into_iter();
        for count in counts {
            let wait = match told.next() {
                Some(Ok(wait)) => {
                    theirs.extend(wait.is_none().then_some(*count));
                    wait
                }
                untold => {
                    if let Some(Err(fault)) = untold {
                        self.stand_in(&fault);
                    }
                    let wait = self.local.counters.take(count, self.clock.now()).err();
                    ours.extend(wait.is_none().then_some(*count));
                    wait
                }
            };
            if let Some(wait) = wait.filter(|wait| longest.is_none_or(|longest| *wait > longest.wait)) {
                longest = Some(Over { what: count.what, wait });
            }
        }
        if longest.is_some() {
            ours.iter().for_each(|count| self.local.counters.give_back(count.key, count.rate));
            if let Engine::Redis(redis) = &self.engine {
                redis.give_back(&theirs).await;
            }
        }
        longest
    }

    /// Says now and then that a limit shared by all gates is counted by each of them.
    fn stand_in(&self, fault: &Fault) {
        self.local.stood_in.fetch_add(1, Ordering::Relaxed);
        if self.local.complaints.is_due_every(COMPLAIN_EVERY, self.clock.now()) {
            tracing::warn!(%fault, "the store cannot count: limits are counted in this process alone");
        }
    }
}
