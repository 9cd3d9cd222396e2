//! Counting in Redis, by its own clock: each counter is one key, changed by one script.

use std::time::Duration;

use redis::Pipeline;

use crate::store::counting::{Count, Counter, Lockout, Standing, Tally};
use crate::store::{Fault, Question, Records};

use super::answers::Answers;
use super::{Redis, scripts};

/// What a tally came to, each part by itself.
#[derive(Debug, Default)]
pub(in crate::store) struct Tallied {
    /// How long each count must wait; `None` where it was counted.
    pub(in crate::store) waits: Vec<Result<Option<Duration>, Fault>>,
    /// How things stand with the lock.
    pub(in crate::store) lock: Option<Result<Standing, Fault>>,
}

impl Redis {
    pub(in crate::store) async fn ask_counting(
        &self,
        question: Question<'_>,
        tally: &Tally<'_>,
    ) -> (Result<Records, Fault>, Tallied) {
        let Some(watch) = &self.watch else { return self.ask_at_once(question, tally).await };
        if tally.is_empty() {
            return (self.ask_watching(watch, question).await, Tallied::default());
        }
        let counting = self.ask_at_once(Question::default(), tally);
        let (records, (_, tallied)) = tokio::join!(self.ask_watching(watch, question), counting);
        (records, tallied)
    }

    /// Everything in one round trip.
    async fn ask_at_once(&self, question: Question<'_>, tally: &Tally<'_>) -> (Result<Records, Fault>, Tallied) {
        let mut commands = Pipeline::new();
        tally.counts.iter().for_each(|count| self.take(&mut commands, count));
        if let Some((key, lockout)) = tally.lock {
            self.look(&mut commands, key, lockout);
        }
        let counting = commands.len();
        self.put(&mut commands, question);
        let asks = commands.len() > counting;
        if commands.is_empty() {
            return (Ok(Records::default()), Tallied::default());
        }
        match self.exchange(&commands).await {
            Ok(mut answers) => {
                let tallied = tallied(tally, &mut answers);
                (self.records(question, &mut answers), tallied)
            }
            Err(fault) => (if asks { Err(fault.clone()) } else { Ok(Records::default()) }, untold(tally, &fault)),
        }
    }

    pub(in crate::store) async fn give_back(&self, counts: &[Count]) {
        let mut commands = Pipeline::with_capacity(counts.len());
        for Count { key, rate, .. } in counts {
            let key = self.codec.rate_key(*key);
            scripts::call(&mut commands, scripts::GIVE_BACK, key).arg(rate.interval().as_micros().to_string());
        }
        if !commands.is_empty() {
            // What could not be given back runs out by itself.
            let _ = self.exchange(&commands).await;
        }
    }

    pub(in crate::store) async fn standings(
        &self,
        keys: &[Counter],
        lockout: &Lockout,
    ) -> Vec<Result<Standing, Fault>> {
        let mut commands = Pipeline::with_capacity(keys.len());
        keys.iter().for_each(|key| self.look(&mut commands, *key, lockout));
        match self.exchange(&commands).await {
            Ok(mut answers) => keys.iter().map(|_| answers.number().map(standing)).collect(),
            Err(fault) => keys.iter().map(|_| Err(fault.clone())).collect(),
        }
    }

    /// How much longer each is locked that was so before.
    pub(in crate::store) async fn fail(
        &self,
        keys: &[Counter],
        lockout: &Lockout,
        alarm: bool,
    ) -> Vec<Result<Option<Duration>, Fault>> {
        let mut commands = Pipeline::with_capacity(keys.len() + 1);
        let (within, lock) = (scripts::millis(lockout.within), scripts::millis(lockout.lock));
        for key in keys {
            let key = self.codec.tries_key(*key);
            scripts::call(&mut commands, scripts::FAIL, key).arg(lockout.tries).arg(within).arg(lock);
        }
        if alarm {
            commands.cmd("SET").arg(self.codec.alarm_key()).arg(1).arg("PX").arg(lock);
        }
        match self.exchange(&commands).await {
            Ok(mut answers) => keys.iter().map(|_| answers.number().map(|left| standing(left).locked)).collect(),
            Err(fault) => keys.iter().map(|_| Err(fault.clone())).collect(),
        }
    }

    pub(in crate::store) async fn clear(&self, keys: &[Counter]) -> Result<(), Fault> {
        let mut commands = Pipeline::with_capacity(keys.len());
        for key in keys {
            commands.cmd("DEL").arg(self.codec.tries_key(*key));
        }
        let mut answers = self.exchange(&commands).await?;
        keys.iter().try_for_each(|_| answers.number().map(drop))
    }

    /// For how long the alarm is still raised, where it is.
    pub(in crate::store) async fn alarm(&self) -> Result<Option<Duration>, Fault> {
        let mut commands = Pipeline::new();
        commands.cmd("PTTL").arg(self.codec.alarm_key());
        let left = self.exchange(&commands).await?.number()?;
        Ok(u64::try_from(left).ok().map(Duration::from_millis))
    }

    fn take(&self, commands: &mut Pipeline, count: &Count) {
        let rate = count.rate;
        scripts::call(commands, scripts::TAKE, self.codec.rate_key(count.key))
            .arg(rate.interval().as_micros().to_string())
            .arg(rate.burst());
    }

    fn look(&self, commands: &mut Pipeline, key: Counter, lockout: &Lockout) {
        let key = self.codec.tries_key(key);
        scripts::call(commands, scripts::LOOK, key).arg(scripts::millis(lockout.within));
    }
}

fn tallied(tally: &Tally<'_>, answers: &mut Answers) -> Tallied {
    let wait = |micros: i64| u64::try_from(micros).ok().filter(|micros| *micros > 0).map(Duration::from_micros);
    let waits = tally.counts.iter().map(|_| answers.number().map(wait)).collect();
    Tallied { waits, lock: tally.lock.map(|_| answers.number().map(standing)) }
}

fn untold(tally: &Tally<'_>, fault: &Fault) -> Tallied {
    Tallied {
        waits: tally.counts.iter().map(|_| Err(fault.clone())).collect(),
        lock: tally.lock.map(|_| Err(fault.clone())),
    }
}

/// Above zero: milliseconds that a lock will last. Below: failures.
fn standing(answer: i64) -> Standing {
    match u64::try_from(answer) {
        Ok(0) => Standing::default(),
        Ok(millis) => Standing { locked: Some(Duration::from_millis(millis)), failures: 0 },
        Err(_) => Standing { locked: None, failures: usize::try_from(answer.unsigned_abs()).unwrap_or(usize::MAX) },
    }
}
