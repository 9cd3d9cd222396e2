//! Clients and sessions as maps in memory, with their indexes. Every lasting change is a [`Change`] whose inverse is known, so
//! that what could not be written to disk can be taken back.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::{ClientId, TokenHash, UserId};
use crate::store::record::{ClientRecord, Ending, SessionRecord};
use crate::store::{Found, Live};

use super::marks::{Mark, Marks};

/// What stands under a token hash.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The session, or what is left of it.
    pub(super) body: Body,
    /// Last use.
    pub(super) used: Timestamp,
    /// When it is gone.
    pub(super) expires: Timestamp,
}

/// A session, or what is left of it.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// It lives.
    Live(Arc<SessionRecord>),
    /// A tombstone.
    Ended(Ending),
}

/// A change to one entry, made by replacing it.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Of a session: what stands there from now on.
    Session(TokenHash, Option<Entry>),
    /// Of a client: what stands there from now on.
    Client(ClientId, Option<Arc<ClientRecord>>),
    /// Of a nonce or signature that was used: what stands there from now on.
    Mark(TokenHash, Option<Mark>),
}

/// Changes that were made, with their inverses.
#[derive(Debug, Default)]
pub(super) struct Journal {
    made: Vec<Change>,
    inverse: Vec<Change>,
}

impl Journal {
    /// What was changed, in order.
    pub(super) fn made(&self) -> &[Change] {
        &self.made
    }

    /// The sessions that were.
    pub(super) fn sessions(&self) -> Vec<TokenHash> {
        let session = |change: &Change| match change {
            Change::Session(hash, _) => Some(*hash),
            Change::Client(..) | Change::Mark(..) => None,
        };
        self.made.iter().filter_map(session).collect()
    }

    /// Whether nothing was.
    pub(super) fn is_empty(&self) -> bool {
        self.made.is_empty()
    }
}

/// Everything an embedded store holds.
#[derive(Debug, Default)]
pub(super) struct Tables {
    sessions: HashMap<TokenHash, Entry>,
    /// Living sessions of each user, oldest first.
    users: HashMap<UserId, BTreeSet<(Timestamp, TokenHash)>>,
    /// All entries by expiry, so that purging looks at no others.
    expiries: BTreeSet<(Timestamp, TokenHash)>,
    clients: HashMap<ClientId, Arc<ClientRecord>>,
    marks: Marks,
}

impl Tables {
    /// Makes a change and notes it.
    pub(super) fn change(&mut self, journal: &mut Journal, change: Change) {
        journal.made.push(change.clone());
        journal.inverse.push(self.replace(change));
    }

    /// Takes back what a journal notes, last change first.
    pub(super) fn undo(&mut self, journal: &Journal) {
        for change in journal.inverse.iter().rev() {
            self.replace(change.clone());
        }
    }

    /// Makes a change and returns its inverse.
    pub(super) fn replace(&mut self, change: Change) -> Change {
        match change {
            Change::Session(hash, entry) => Change::Session(hash, self.replace_session(hash, entry)),
            Change::Client(id, Some(record)) => {
                let before = self.clients.insert(id.clone(), record);
                Change::Client(id, before)
            }
            Change::Client(id, None) => {
                let before = self.clients.remove(&id);
                Change::Client(id, before)
            }
            Change::Mark(hash, mark) => Change::Mark(hash, self.marks.replace(hash, mark)),
        }
    }

    fn replace_session(&mut self, hash: TokenHash, entry: Option<Entry>) -> Option<Entry> {
        let before = self.sessions.remove(&hash);
        if let Some(before) = &before {
            self.expiries.remove(&(before.expires, hash));
            self.forget_user(hash, before);
        }
        if let Some(entry) = entry {
            self.expiries.insert((entry.expires, hash));
            if let Body::Live(record) = &entry.body
                && let Some(user) = &record.user
            {
                self.users.entry(user.clone()).or_default().insert((record.created, hash));
            }
            self.sessions.insert(hash, entry);
        }
        before
    }

    fn forget_user(&mut self, hash: TokenHash, entry: &Entry) {
        let Body::Live(record) = &entry.body else { return };
        let Some(user) = &record.user else { return };
        let Some(sessions) = self.users.get_mut(user) else { return };
        sessions.remove(&(record.created, hash));
        if sessions.is_empty() {
            self.users.remove(user);
        }
    }

    /// Removes up to `most` entries that have expired.
    pub(super) fn purge(&mut self, journal: &mut Journal, now: Timestamp, most: usize) {
        let expired: Vec<_> =
            self.expiries.iter().take_while(|(expires, _)| *expires <= now).take(most).copied().collect();
        for (_, hash) in expired {
            self.change(journal, Change::Session(hash, None));
        }
    }

    /// Removes up to `most` nonces and signatures that have expired.
    pub(super) fn purge_marks(&mut self, journal: &mut Journal, now: Timestamp, most: usize) {
        for hash in self.marks.expired(now, most) {
            self.change(journal, Change::Mark(hash, None));
        }
    }

    /// Nonces and signatures that were used.
    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// What stands under a hash and has not expired.
    pub(super) fn entry(&self, hash: TokenHash, now: Timestamp) -> Option<&Entry> {
        self.sessions.get(&hash).filter(|entry| entry.expires > now)
    }

    /// The record of a living session.
    pub(super) fn living(&self, hash: TokenHash, now: Timestamp) -> Option<(&Entry, &Arc<SessionRecord>)> {
        let entry = self.entry(hash, now)?;
        match &entry.body {
            Body::Live(record) => Some((entry, record)),
            Body::Ended(_) => None,
        }
    }

    /// A session as a question is answered.
    pub(super) fn find(&self, hash: TokenHash, now: Timestamp) -> Option<Found> {
        let entry = self.entry(hash, now)?;
        Some(match &entry.body {
            Body::Live(record) => Found::Live(live(hash, entry, record)),
            Body::Ended(ending) => Found::Ended(*ending),
        })
    }

    /// The living sessions of a user, oldest first.
    pub(super) fn sessions_of(&self, user: &UserId, now: Timestamp) -> Vec<TokenHash> {
        let sessions = self.users.get(user).into_iter().flatten();
        sessions.map(|(_, hash)| *hash).filter(|hash| self.living(*hash, now).is_some()).collect()
    }

    /// Notes a use; `false` where no session lives. Not journalled: losing one is no harm.
    pub(super) fn extend(&mut self, hash: TokenHash, now: Timestamp, life: Duration) -> bool {
        let Some(entry) = self.sessions.get_mut(&hash).filter(|entry| entry.expires > now) else { return false };
        if !matches!(entry.body, Body::Live(_)) {
            return false;
        }
        self.expiries.remove(&(entry.expires, hash));
        entry.used = now;
        entry.expires = now.plus(life);
        self.expiries.insert((entry.expires, hash));
        true
    }

    /// Replaces a living session by a tombstone, or by nothing.
    pub(super) fn end(&mut self, journal: &mut Journal, hash: TokenHash, ending: Ending, now: Timestamp) -> bool {
        if self.living(hash, now).is_none() {
            return false;
        }
        let left = match ending {
            Ending::Logout => None,
            ending => {
                let expires = now.plus(crate::store::TOMBSTONE_LIFE);
                Some(Entry { body: Body::Ended(ending), used: now, expires })
            }
        };
        self.change(journal, Change::Session(hash, left));
        true
    }

    /// A client.
    pub(super) fn client(&self, id: &ClientId) -> Option<&Arc<ClientRecord>> {
        self.clients.get(id)
    }

    /// All clients, by id.
    pub(super) fn clients(&self) -> Vec<ClientRecord> {
        let mut clients: Vec<_> = self.clients.values().map(|record| ClientRecord::clone(record)).collect();
        clients.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
        clients
    }

    /// Every hash under which something stands.
    pub(super) fn all_sessions(&self) -> impl Iterator<Item = TokenHash> {
        self.sessions.keys().copied()
    }

    /// What stands under a hash, expired or not.
    pub(super) fn stored(&self, hash: TokenHash) -> Option<&Entry> {
        self.sessions.get(&hash)
    }
}

/// A living session as callers see it.
pub(super) fn live(hash: TokenHash, entry: &Entry, record: &Arc<SessionRecord>) -> Live {
    Live { hash, record: Arc::clone(record), expires: entry.expires, used: entry.used }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SessionId;

    fn hash(byte: u8) -> TokenHash {
        TokenHash::new([byte; 32])
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn session(user: &str, created: u64, expires: u64) -> Option<Entry> {
        let record = SessionRecord {
            id: SessionId::new("s").unwrap(),
            user: UserId::new(user).ok(),
            client: None,
            created: at(created),
            ends: at(u64::MAX),
            ip: String::new(),
            user_agent: String::new(),
            jar: Vec::new(),
            holds_cookies: false,
            channel: None,
        };
        Some(Entry { body: Body::Live(Arc::new(record)), used: at(created), expires: at(expires) })
    }

    #[test]
    fn undoing_a_journal_brings_back_entries_and_indexes() {
        let (user, other) = (UserId::new("u").unwrap(), UserId::new("o").unwrap());
        let mut tables = Tables::default();
        tables.replace(Change::Session(hash(1), session("u", 1, 100)));
        let mut journal = Journal::default();
        tables.change(&mut journal, Change::Session(hash(1), session("o", 2, 200)));
        assert!(tables.end(&mut journal, hash(1), Ending::Admin, at(5)));
        tables.change(&mut journal, Change::Session(hash(2), session("u", 3, 100)));

        tables.undo(&journal);
        assert_eq!(tables.sessions_of(&user, at(5)), [hash(1)]);
        assert_eq!(tables.sessions_of(&other, at(5)), []);
        assert_eq!(tables.expiries.iter().copied().collect::<Vec<_>>(), [(at(100), hash(1))]);
    }

    #[test]
    fn purging_removes_the_expired_and_leaves_no_index_behind() {
        let mut tables = Tables::default();
        for byte in 0..10 {
            tables.replace(Change::Session(hash(byte), session("u", 1, u64::from(byte) * 10 + 10)));
        }
        let mut journal = Journal::default();
        tables.purge(&mut journal, at(50), 3);
        assert_eq!(tables.sessions.len(), 7);
        tables.purge(&mut journal, at(50), 100);
        assert_eq!(tables.sessions.len(), 5);
        tables.purge(&mut journal, at(1000), 100);
        assert!(tables.sessions.is_empty() && tables.users.is_empty() && tables.expiries.is_empty());
        assert_eq!(journal.made().len(), 10);
    }
}
