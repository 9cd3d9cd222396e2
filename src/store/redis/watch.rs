//! Questions over a connection that promises to tell of changes, answered by what is held where that is as good.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use redis::Pipeline;

use crate::ids::{ClientId, TokenHash};
use crate::store::held::{Begun, Counts, Fact, Flight, Held, Key};
use crate::store::{ClientRecord, Fault, Found, Live, Question, Records};

use super::Redis;
use super::route::Route;
use super::tracking::Listener;

/// A question that others' answers did not settle so many times asks for itself.
const PATIENCE: usize = 3;

/// A connection for questions alone, so that whatever this process writes over the other is told of like anybody's. (Extensions go
/// over it, too: see there.)
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) route: Route,
    pub(super) held: Arc<Held>,
    /// Whose promises it goes by.
    pub(super) name: u32,
    counts: Arc<Counts>,
}

/// What is known of the parts of a question.
#[derive(Default)]
struct Known {
    facts: Vec<(Key, Fact)>,
    missing: Vec<Key>,
}

impl Watch {
    pub(super) fn new(route: &Route, listener: &Arc<Listener>) -> Self {
        let held = Arc::clone(&listener.held);
        Self { route: route.listened(Some(listener)), name: listener.name, counts: held.counts(), held }
    }

    /// Looks each part up, with `look`. A session is known when it was found under the first of its hashes that can be known.
    fn known(&self, question: Question<'_>, look: impl Fn(&Key) -> Option<Fact>) -> Known {
        let mut known = Known::default();
        let sessions = question.session.iter().map(|hash| Key::Session(*hash));
        for key in question.client.cloned().map(Key::Client).into_iter().chain(sessions) {
            match look(&key) {
                Some(fact) => {
                    let found = fact.is_session();
                    known.facts.push((key, fact));
                    if found {
                        break;
                    }
                }
                None => known.missing.push(key),
            }
        }
        known
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Redis {
    /// The answer, where what is held is as good as one.
    pub(in crate::store) fn held_answer(&self, question: Question<'_>) -> Option<Records> {
        self.recall(self.watch.as_ref()?, question)
    }

    /// Answers without asking anybody, where what is held is as good as an answer.
    fn recall(&self, watch: &Watch, question: Question<'_>) -> Option<Records> {
        let now = Instant::now();
        if let (None, [hash]) = (question.client, question.session) {
            return self.recall_session(watch, *hash, now);
        }
        let known = watch.known(question, |key| watch.held.look(key, now));
        if !known.missing.is_empty() {
            return None;
        }
        count(&watch.counts.hits);
        Some(self.recollect(question, known.facts, now))
    }

    /// [`Self::recall`] of what is asked most: one session, under the one hash that it can stand under.
    fn recall_session(&self, watch: &Watch, hash: TokenHash, now: Instant) -> Option<Records> {
        let fact = watch.held.look(&Key::Session(hash), now)?;
        count(&watch.counts.hits);
        Some(Records { client: None, session: self.found(hash, fact, now) })
    }

    pub(in crate::store) fn known_client(&self, id: &ClientId) -> Option<Option<Arc<ClientRecord>>> {
        let watch = self.watch.as_ref()?;
        match watch.held.look(&Key::Client(id.clone()), Instant::now())? {
            Fact::Client(client) => Some(Some(client)),
            _ => Some(None),
        }
    }

    /// Answers by what is held or by the store, and if that is down by what had been verified, where that is configured.
    pub(super) async fn ask_watching(&self, watch: &Watch, question: Question<'_>) -> Result<Records, Fault> {
        if question.is_empty() {
            return Ok(Records::default());
        }
        if let Some(records) = self.recall(watch, question) {
            return Ok(records);
        }
        count(&watch.counts.misses);
        match self.find_out(watch, question).await {
            Err(fault @ (Fault::TimedOut | Fault::Failed(_))) => {
                let now = Instant::now();
                let known = watch.known(question, |key| watch.held.trusted(key, now));
                if !known.vouches_for(question) {
                    return Err(fault);
                }
                count(&watch.counts.trusted);
                Ok(self.recollect(question, known.facts, now))
            }
            answer => answer,
        }
    }

    async fn find_out(&self, watch: &Watch, question: Question<'_>) -> Result<Records, Fault> {
        let deadline = watch.route.deadline();
        for _ in 0..PATIENCE {
            if watch.route.promises_nothing() {
                break;
            }
            let mut known = watch.known(question, |key| watch.held.look(key, Instant::now()));
            let (mut leads, mut follows) = (Vec::new(), Vec::new());
            for key in &known.missing {
                match Flight::begin(&watch.held, key, watch.name) {
                    Begun::Lead(flight) => leads.push(flight),
                    Begun::Follow(over) => follows.push(over),
                }
            }
            known.facts.extend(self.fly(watch, leads, deadline).await?);
            if follows.is_empty() {
                return Ok(self.recollect(question, known.facts, Instant::now()));
            }
            for mut over in follows {
                // That the channel closes is what is waited for.
                if tokio::time::timeout_at(deadline, over.changed()).await.is_err() {
                    return Err(Fault::TimedOut);
                }
            }
        }
        let mut commands = Pipeline::new();
        self.put(&mut commands, question);
        self.records(question, &mut watch.route.exchange(&commands, deadline).await?)
    }

    /// Asks about all of these in one round trip, and holds what may be held.
    async fn fly(
        &self,
        watch: &Watch,
        flights: Vec<Flight>,
        deadline: tokio::time::Instant,
    ) -> Result<Vec<(Key, Fact)>, Fault> {
        let mut facts = Vec::with_capacity(flights.len());
        let mut commands = Pipeline::new();
        flights.iter().for_each(|flight| self.inquire(&mut commands, &flight.key));
        if commands.is_empty() {
            return Ok(facts);
        }
        let mut answers = watch.route.exchange(&commands, deadline).await?;
        for flight in flights {
            let origin = answers.origin();
            let fact = match &flight.key {
                Key::Client(id) => self.client_fact(id, &mut answers)?,
                Key::Session(hash) => self.session_fact(*hash, &mut answers)?,
            };
            facts.push((flight.key.clone(), fact.clone()));
            if let Some(origin) = origin {
                flight.land(fact, origin.asked, origin.promise.as_ref());
            }
        }
        Ok(facts)
    }

    fn inquire(&self, commands: &mut Pipeline, key: &Key) {
        match key {
            Key::Client(id) => drop(commands.cmd("GET").arg(self.codec.client_key(id))),
            Key::Session(hash) => self.look_up(commands, *hash),
        }
    }

    /// What the facts say to a question. The first of a session's hashes counts that is there.
    fn recollect(&self, question: Question<'_>, facts: Vec<(Key, Fact)>, now: Instant) -> Records {
        let mut records = Records::default();
        let mut first = question.session.len();
        for (key, fact) in facts {
            match (key, fact) {
                (_, Fact::Client(client)) => records.client = Some(client),
                (Key::Session(hash), fact) => {
                    let place = question.session.iter().position(|asked| *asked == hash).unwrap_or(first);
                    if place < first && fact.is_session() {
                        first = place;
                        records.session = self.found(hash, fact, now);
                    }
                }
                _ => {}
            }
        }
        records
    }

    /// What a fact means now.
    pub(super) fn found(&self, hash: TokenHash, fact: Fact, now: Instant) -> Option<Found> {
        match fact {
            Fact::Live(live) => {
                let left = live.expires.saturating_duration_since(now);
                let expires = self.clock.now().plus(left);
                Some(Found::Live(Live { hash, record: live.record, expires, used: live.used }))
            }
            Fact::Ended(ending) => Some(Found::Ended(ending)),
            Fact::NoSession | Fact::Client(_) | Fact::NoClient => None,
        }
    }

    /// This process changed a session, or is about to: what is held of it counts no more, whatever becomes of the change.
    pub(super) fn forget_session(&self, hash: TokenHash) {
        self.forget(&Key::Session(hash));
    }

    pub(super) fn forget(&self, key: &Key) {
        if let Some(watch) = &self.watch {
            watch.held.forget(key);
        }
    }
}

impl Known {
    /// Whether the session, and the client, can be told from this alone. A session stands under one of its hashes.
    fn vouches_for(&self, question: Question<'_>) -> bool {
        let client = question.client.is_none_or(|_| self.facts.iter().any(|(key, _)| matches!(key, Key::Client(_))));
        let session = self.facts.iter().any(|(_, fact)| fact.is_session());
        client && (session || self.missing.is_empty())
    }
}
