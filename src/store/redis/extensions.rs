//! Uses of sessions on their way to Redis: one round trip for all that were noted while the last one was under way, sent again while
//! Redis is away.
//!
//! Where answers are held, they go over the connection that promises to tell of changes, and it tells of these, too. So each
//! session is read again behind its write, before a request has to.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant as Moment};

use redis::Pipeline;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::ids::TokenHash;
use crate::store::held::{Begun, Fact, Flight, Key, LiveFact};
use crate::store::meter::Op;
use crate::store::{Fault, Told, lock};

use super::Redis;
use super::scripts::{self, EXTEND};
use super::watch::Watch;

/// How long to wait after Redis did not take them.
const RETRY: Duration = Duration::from_millis(200);
/// Most of one round trip.
const AT_ONCE: usize = 500;
/// More than this are not kept while Redis is away.
const MOST: usize = 200_000;

/// A use that Redis has not been told of.
#[derive(Clone, Copy, Debug)]
struct Extension {
    used: Timestamp,
    life: Duration,
    noted: Instant,
    late: bool,
}

/// Uses that wait.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    waiting: Mutex<Waiting>,
    /// Held while some are sent.
    turn: tokio::sync::Mutex<()>,
    /// Of all that were noted, so many were sent, or could not be.
    settled: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Waiting {
    uses: HashMap<TokenHash, Extension>,
    /// How many were noted so far.
    noted: u64,
    /// A task is on its way that will send them.
    sending: bool,
}

impl Extensions {
    /// Notes a use; answers how many that makes. `true` where nobody is on the way to send it yet: then the caller must.
    fn note(&self, hash: TokenHash, used: Timestamp, life: Duration) -> (u64, bool) {
        let mut waiting = lock(&self.waiting);
        if waiting.uses.len() < MOST {
            waiting.uses.insert(hash, Extension { used, life, noted: Instant::now(), late: false });
        }
        waiting.noted += 1;
        (waiting.noted, !std::mem::replace(&mut waiting.sending, true))
    }

    fn noted(&self) -> u64 {
        lock(&self.waiting).noted
    }

    /// Takes what fits in one round trip. Where nothing waits, which also means that nobody is sending any more: how many were
    /// noted so far.
    fn take(&self) -> Result<Vec<(TokenHash, Extension)>, u64> {
        let mut waiting = lock(&self.waiting);
        let hashes: Vec<_> = waiting.uses.keys().take(AT_ONCE).copied().collect();
        waiting.sending = !hashes.is_empty();
        let taken = hashes.into_iter().filter_map(|hash| waiting.uses.remove_entry(&hash)).collect::<Vec<_>>();
        if taken.is_empty() { Err(waiting.noted) } else { Ok(taken) }
    }

    /// Puts back what was not taken, unless its session was used again or would be over by now.
    fn put_back(&self, uses: Vec<(TokenHash, Extension)>) {
        let mut waiting = lock(&self.waiting);
        for (hash, extension) in uses {
            if let Some(rest) = extension.life.checked_sub(extension.noted.elapsed()).filter(|rest| !rest.is_zero()) {
                let late = Extension { life: rest, noted: Instant::now(), late: true, ..extension };
                waiting.uses.entry(hash).or_insert(late);
            }
        }
    }
}

impl Redis {
    pub(in crate::store) fn extend(&self, hash: TokenHash, life: Duration) -> Told {
        if let Some(held) = self.held() {
            held.prolong(hash, Moment::now() + life);
        }
        let (number, must_send) = self.extensions.note(hash, self.clock.now(), life);
        if must_send {
            let this = self.clone();
            tokio::spawn(async move {
                while this.meter.time(Op::Extend, this.send_waiting()).await.is_err() {
                    tokio::time::sleep(RETRY).await;
                }
            });
        }
        Told::when(number, self.extensions.settled.subscribe())
    }

    /// Sends all extensions that wait, within the time of one operation. It goes on when the caller gives up.
    pub(in crate::store) async fn flush(&self) -> Result<(), Fault> {
        let (this, deadline) = (self.clone(), self.route.deadline());
        let sending = tokio::spawn(async move { this.send_waiting().await });
        match tokio::time::timeout_at(deadline, sending).await {
            Ok(Ok(sent)) => sent,
            Ok(Err(_)) => Err(Fault::Failed("extensions were not sent".into())),
            Err(_) => Err(Fault::TimedOut),
        }
    }

    async fn send_waiting(&self) -> Result<(), Fault> {
        let _turn = self.extensions.turn.lock().await;
        let (sent, settled) = loop {
            match self.extensions.take() {
                Ok(uses) => match self.send(uses).await {
                    Ok(()) => {}
                    Err(fault) => break (Err(fault), self.extensions.noted()),
                },
                Err(all) => break (Ok(()), all),
            }
        };
        self.extensions.settled.send_replace(settled);
        sent
    }

    async fn send(&self, uses: Vec<(TokenHash, Extension)>) -> Result<(), Fault> {
        let route = self.watch.as_ref().map_or(&self.route, |watch| &watch.route);
        let mut commands = Pipeline::with_capacity(uses.len() + 1);
        for (hash, extension) in &uses {
            add(&mut commands, self.codec.session_key(*hash), extension);
        }
        // Whatever is told of the writes comes before this is answered.
        commands.cmd("PING");
        let mut answers = match route.exchange(&commands, route.deadline()).await {
            Ok(answers) => answers,
            Err(fault) => {
                self.extensions.put_back(uses);
                return Err(fault);
            }
        };
        let (mut taken, mut refused, mut why) = (Vec::new(), Vec::new(), None);
        for each in uses {
            match answers.number() {
                Ok(_) => taken.push(each),
                // A key that somebody else wrote to is no session, and trying again makes it none.
                Err(Fault::Unreadable(_)) => {}
                Err(fault) => {
                    refused.push(each);
                    why = Some(fault);
                }
            }
        }
        self.extensions.put_back(refused);
        if let Some(watch) = &self.watch {
            // What could not be read is asked for by the next request.
            let _ = self.read_again(watch, &taken).await;
        }
        why.map_or(Ok(()), Err)
    }

    /// Holds sessions again as they stand behind their extensions.
    async fn read_again(&self, watch: &Watch, uses: &[(TokenHash, Extension)]) -> Result<(), Fault> {
        if watch.route.promises_nothing() {
            return Ok(());
        }
        let mut commands = Pipeline::with_capacity(uses.len());
        let mut flights = Vec::with_capacity(uses.len());
        for (hash, extension) in uses {
            if let Begun::Lead(flight) = Flight::begin(&watch.held, &Key::Session(*hash), watch.name) {
                commands.cmd("HMGET").arg(self.codec.session_key(*hash)).arg(&["v", "u", "e"]);
                flights.push((flight, *hash, extension));
            }
        }
        if commands.is_empty() {
            return Ok(());
        }
        let mut answers = watch.route.exchange(&commands, watch.route.deadline()).await?;
        for (flight, hash, extension) in flights {
            let (origin, fields) = (answers.origin(), answers.fields());
            let Ok(fact) = fields.and_then(|fields| self.session_of(hash, fields)) else { continue };
            if let Some(origin) = origin {
                flight.land(extended(fact, extension), origin.asked, origin.promise.as_ref());
            }
        }
        Ok(())
    }
}

/// A session that was extended lives at least that long.
fn extended(fact: Fact, extension: &Extension) -> Fact {
    match fact {
        Fact::Live(live) => {
            let rest = extension.life.saturating_sub(extension.noted.elapsed());
            Fact::Live(LiveFact { expires: Moment::now() + rest, ..live })
        }
        fact => fact,
    }
}

/// The command that tells Redis.
fn add(commands: &mut Pipeline, key: String, extension: &Extension) {
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
        assert_eq!(extensions.note(hash, used(1), Duration::from_secs(9)), (1, true));
        assert_eq!(extensions.note(hash, used(2), Duration::from_secs(9)), (2, false));
        let taken = extensions.take().unwrap();
        assert_eq!(taken.iter().map(|(_, extension)| extension.used).collect::<Vec<_>>(), [used(2)]);

        extensions.put_back(taken.clone());
        assert!(extensions.take().is_ok_and(|again| again[0].1.late));
        assert!(!extensions.note(hash, used(3), Duration::from_secs(9)).1, "the sender is still on its way");
        extensions.put_back(taken);
        assert!(extensions.take().is_ok_and(|again| again[0].1.used == used(3)), "a fresher use stands");
        assert_eq!(extensions.take().unwrap_err(), 3);
        assert!(extensions.note(hash, used(4), Duration::ZERO).1, "the sender has gone");
    }
}
