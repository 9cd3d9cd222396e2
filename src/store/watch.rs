//! Watching sessions for whoever holds a connection open on their strength: that one ended, or moved to another connection, is
//! known within a second on every gate.
//!
//! What changes is told at once: in this process by a `Bell`, between gates by the store where it can. Beside that every watched
//! session is looked at every `ROUND`, many in one question, because a notice can be lost and an operator's `DEL` sends none. A
//! store that does not answer ends nothing.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use crate::ids::{ChannelId, SessionId, TokenHash};

use super::record::SessionRecord;
use super::{Engine, Fault, Store, lock};

/// How often every watched session is looked at.
const ROUND: Duration = Duration::from_millis(900);
/// Most sessions looked at in one question.
const PAGE: usize = 500;

/// Why a watch is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The session is no more: logged out, ended, expired, or another one stands under its token.
    Ended,
    /// It lives on another connection.
    Moved,
}

/// One watch over a session; over when dropped.
#[derive(Debug)]
pub struct Watch {
    told: watch::Receiver<Option<Over>>,
    hash: TokenHash,
    number: u64,
    watches: Arc<Watches>,
}

impl Watch {
    /// Waits until the session has ended or moved. May be dropped and called again.
    pub async fn over(&mut self) -> Over {
        match self.told.wait_for(Option::is_some).await.map(|over| *over) {
            Ok(Some(over)) => over,
            // Nobody looks any more, so nobody knows.
            _ => std::future::pending().await,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = lock(&self.watches.state);
        if let Entry::Occupied(mut watched) = state.watched.entry(self.hash) {
            watched.get_mut().by.retain(|one| one.number != self.number);
            if watched.get().by.is_empty() {
                watched.remove();
            }
        }
    }
}

/// How a watched session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// No session lives there.
    Gone,
    /// Its record is what it was; or nobody can tell.
    Same,
    /// This one does.
    Lives(SessionId, Option<ChannelId>),
}

impl Standing {
    pub(super) fn of(record: &SessionRecord) -> Self {
        Self::Lives(record.id.clone(), record.channel.as_ref().map(|channel| channel.id.clone()))
    }
}

/// What one worker watches.
#[derive(Debug, Default)]
pub(super) struct Watches {
    state: Mutex<State>,
    /// Wakes who looks, before its round is due.
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    watched: HashMap<TokenHash, Watched>,
    /// Of those, the ones that were told of.
    touched: HashSet<TokenHash>,
    numbers: u64,
    looking: bool,
}

#[derive(Debug, Default)]
struct Watched {
    by: Vec<Watcher>,
    /// Of the record as it was last looked at, 0 for never.
    print: u64,
}

#[derive(Debug)]
struct Watcher {
    number: u64,
    session: SessionId,
    /// Where the session must live, if that matters.
    channel: Option<ChannelId>,
    tell: watch::Sender<Option<Over>>,
}

impl Watcher {
    fn see(&self, standing: &Standing) {
        let over = match standing {
            Standing::Same => return,
            Standing::Gone => Over::Ended,
            Standing::Lives(session, _) if *session != self.session => Over::Ended,
            Standing::Lives(_, channel) if self.channel.is_some() && *channel != self.channel => Over::Moved,
            Standing::Lives(..) => return,
        };
        self.tell.send_replace(Some(over));
    }
}

impl Watches {
    /// Begins a watch; whether somebody must begin to look.
    fn add(self: &Arc<Self>, hash: TokenHash, session: SessionId, channel: Option<ChannelId>) -> (Watch, bool) {
        let mut state = lock(&self.state);
        state.numbers += 1;
        let (number, (tell, told)) = (state.numbers, watch::channel(None));
        let watched = state.watched.entry(hash).or_default();
        watched.by.push(Watcher { number, session, channel, tell });
        watched.print = 0;
        // It may have ended since it was verified.
        state.touched.insert(hash);
        self.wake.notify_one();
        let idle = !std::mem::replace(&mut state.looking, true);
        (Watch { told, hash, number, watches: Arc::clone(self) }, idle)
    }

    fn touch(&self, hash: TokenHash) {
        let mut state = lock(&self.state);
        if state.watched.contains_key(&hash) {
            state.touched.insert(hash);
            self.wake.notify_one();
        }
    }

    /// What to look at, with the prints known; `None` where nothing is watched any more.
    fn due(&self, all: bool) -> Option<Vec<(TokenHash, u64)>> {
        let mut state = lock(&self.state);
        if state.watched.is_empty() {
            state.looking = false;
            state.touched.clear();
            return None;
        }
        let touched = std::mem::take(&mut state.touched);
        let print = |hash| state.watched.get(&hash).map(|watched| (hash, watched.print));
        Some(match all {
            true => state.watched.iter().map(|(hash, watched)| (*hash, watched.print)).collect(),
            false => touched.into_iter().filter_map(print).collect(),
        })
    }

    fn saw(&self, hash: TokenHash, (standing, print): &(Standing, u64)) {
        if let Some(watched) = lock(&self.state).watched.get_mut(&hash) {
            watched.by.iter().for_each(|watcher| watcher.see(standing));
            watched.print = *print;
        }
    }
}

/// Rung for sessions that changed; heard by the watches of every worker.
#[derive(Debug, Default)]
pub(super) struct Bell(Mutex<Vec<Weak<Watches>>>);

impl Bell {
    /// Watches that hear it.
    pub(super) fn hang(&self) -> Arc<Watches> {
        let (mut heard, new) = (lock(&self.0), Arc::default());
        heard.retain(|watches| watches.strong_count() > 0);
        heard.push(Arc::downgrade(&new));
        new
    }

    /// Something was done to a session.
    pub(super) fn ring(&self, hash: TokenHash) {
        lock(&self.0).iter().filter_map(Weak::upgrade).for_each(|watches| watches.touch(hash));
    }
}

impl Store {
    /// Watches a session that was found living, and on that connection where one is named. Must be called inside the runtime of
    /// whoever holds this handle.
    pub fn watch(&self, hash: TokenHash, session: SessionId, channel: Option<ChannelId>) -> Watch {
        let (watch, idle) = self.watches.add(hash, session, channel);
        if idle {
            tokio::spawn(look(self.clone(), Arc::clone(&self.watches)));
        }
        watch
    }

    async fn look_at(&self, page: &[(TokenHash, u64)]) -> Result<Vec<(Standing, u64)>, Fault> {
        match &self.engine {
            Engine::Embedded(embedded) => {
                let hashes: Vec<_> = page.iter().map(|(hash, _)| *hash).collect();
                Ok(embedded.standing(&hashes).into_iter().map(|standing| (standing, 0)).collect())
            }
            Engine::Redis(redis) => redis.standing(page).await,
        }
    }

    /// Tells the other gates that a session moved; who does not hear it looks by itself soon.
    pub(super) async fn tell_moved(&self, hash: TokenHash) {
        self.bell.ring(hash);
        if let Engine::Redis(redis) = &self.engine {
            redis.tell(hash).await;
        }
    }
}

/// Looks until nothing is watched any more.
async fn look(store: Store, watches: Arc<Watches>) {
    if let Engine::Redis(redis) = &store.engine {
        redis.hear_notices();
    }
    let mut round = Instant::now() + ROUND;
    loop {
        let all = timeout_at(round, watches.wake.notified()).await.is_err();
        if all {
            round = Instant::now() + ROUND;
        }
        let Some(due) = watches.due(all) else { return };
        for page in due.chunks(PAGE) {
            match store.look_at(page).await {
                Ok(seen) => page.iter().zip(&seen).for_each(|((hash, _), seen)| watches.saw(*hash, seen)),
                // The next round looks again.
                Err(_) => break,
            }
        }
    }
}
