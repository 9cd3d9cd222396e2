//! The embedded engine: maps in memory behind one short lock, shared by all workers; with a file, every lasting change is
//! acknowledged only once it is on disk.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::{Clock, Timestamp};
use crate::ids::{ClientId, SessionId, TokenHash, UserId};

use super::codec::Codec;
use super::record::{ClientRecord, Ending, SessionRecord};
use super::watch::{Bell, Standing};
use super::{Admission, Created, Fault, Live, Question, Records, Remembered, lock};

use marks::Mark;
use queue::State;
use tables::{Body, Change, Entry, Journal, Tables};

mod file;
mod marks;
mod queue;
mod tables;

/// Expired entries that one login clears away: more than it adds, and too few to be felt.
const PURGED_PER_LOGIN: usize = 64;
/// The same for a nonce that is remembered.
const PURGED_PER_NONCE: usize = 8;

/// The embedded engine. Cloning is shallow.
#[derive(Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
    clock: Clock,
    timeout: Duration,
    /// Rung for every session that changed.
    bell: Arc<Bell>,
    /// Ends the writer when the last handle goes.
    _writer: Option<Arc<Writer>>,
}

/// What handles and the writer thread share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the writer.
    work: Condvar,
}

/// The thread that writes to the file; ended, after a last write, by dropping this.
struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        lock(&self.shared.state).close();
        self.shared.work.notify_all();
        if let Some(thread) = lock(&self.thread).take() {
            // A thread that panicked has failed its questions already.
            let _ = thread.join();
        }
    }
}

impl Embedded {
    /// A store that is forgotten with the process.
    pub(super) fn memory(clock: Clock, timeout: Duration, bell: &Arc<Bell>) -> Self {
        Self { shared: Arc::default(), clock, timeout, bell: Arc::clone(bell), _writer: None }
    }

    /// A store in a file: reads it, and starts the thread that writes to it.
    pub(super) fn file(
        path: &Path,
        codec: Arc<Codec>,
        clock: Clock,
        timeout: Duration,
        bell: &Arc<Bell>,
    ) -> Result<Self, Fault> {
        let (file, loaded) = file::File::open(path, codec, clock.now())?;
        Self::over(file, loaded, clock, timeout, bell)
    }

    fn over(
        file: file::File,
        loaded: file::Loaded,
        clock: Clock,
        timeout: Duration,
        bell: &Arc<Bell>,
    ) -> Result<Self, Fault> {
        let shared = Arc::new(Shared { state: Mutex::new(State::durable(loaded)), work: Condvar::new() });
        let thread = queue::write_behind(Arc::clone(&shared), file, clock.clone())?;
        let writer = Writer { shared: Arc::clone(&shared), thread: Mutex::new(Some(thread)) };
        Ok(Self { shared, clock, timeout, bell: Arc::clone(bell), _writer: Some(Arc::new(writer)) })
    }

    pub(super) fn ask(&self, question: Question<'_>) -> Records {
        let now = self.clock.now();
        let state = lock(&self.shared.state);
        let client = question.client.and_then(|id| state.tables.client(id)).cloned();
        Records { client, session: question.session.iter().find_map(|hash| state.tables.find(*hash, now)) }
    }

    pub(super) async fn create(&self, new: &Admission<'_>) -> Result<Created, Fault> {
        self.commit(|tables, journal, now| {
            tables.purge(journal, now, PURGED_PER_LOGIN);
            let Some(displaced) = make_room(tables, journal, now, new) else {
                return Created::Full;
            };
            if let Some(older) = new.older {
                tables.end(journal, older, Ending::Logout, now);
            }
            let body = Body::Live(Arc::new(new.record.clone()));
            let entry = Entry { body, used: now, expires: now.plus(new.idle) };
            tables.change(journal, Change::Session(new.hash, Some(entry)));
            Created::Stands { displaced }
        })
        .await
    }

    pub(super) fn extend(&self, hash: TokenHash, life: Duration) {
        let now = self.clock.now();
        lock(&self.shared.state).extend(hash, now, life);
    }

    pub(super) async fn change_session(
        &self,
        hash: TokenHash,
        session: &SessionId,
        change: &(dyn Fn(&mut SessionRecord) -> bool + Send + Sync),
    ) -> Result<Option<SessionRecord>, Fault> {
        self.commit(|tables, journal, now| {
            let living = tables.living(hash, now).filter(|(_, record)| record.id == *session);
            let (entry, record) = living?;
            let mut record = SessionRecord::clone(record);
            let (used, expires) = (entry.used, entry.expires);
            if change(&mut record) {
                let entry = Entry { body: Body::Live(Arc::new(record.clone())), used, expires };
                tables.change(journal, Change::Session(hash, Some(entry)));
            }
            Some(record)
        })
        .await
    }

    pub(super) async fn end(&self, hash: TokenHash, ending: Ending) -> Result<bool, Fault> {
        self.commit(|tables, journal, now| tables.end(journal, hash, ending, now)).await
    }

    pub(super) async fn end_user(
        &self,
        user: &UserId,
        except: Option<TokenHash>,
        ending: Ending,
    ) -> Result<usize, Fault> {
        self.commit(|tables, journal, now| {
            let sessions = tables.sessions_of(user, now).into_iter().filter(|hash| Some(*hash) != except);
            sessions.filter(|hash| tables.end(journal, *hash, ending, now)).count()
        })
        .await
    }

    pub(super) fn sessions(&self, user: &UserId) -> Vec<Live> {
        let now = self.clock.now();
        let state = lock(&self.shared.state);
        let found = |hash| state.tables.living(hash, now).map(|(entry, record)| tables::live(hash, entry, record));
        state.tables.sessions_of(user, now).into_iter().filter_map(found).collect()
    }

    /// How sessions that are watched stand.
    pub(super) fn standing(&self, hashes: &[TokenHash]) -> Vec<Standing> {
        let now = self.clock.now();
        let state = lock(&self.shared.state);
        let look = |hash: &TokenHash| match state.tables.living(*hash, now) {
            Some((_, record)) if record.ends > now => Standing::of(record),
            _ => Standing::Gone,
        };
        hashes.iter().map(look).collect()
    }

    pub(super) async fn remember(
        &self,
        client: &ClientId,
        mark: TokenHash,
        life: Duration,
        most: u64,
    ) -> Result<Remembered, Fault> {
        self.commit(|tables, journal, now| {
            if tables.marks().is_live(mark, now) {
                return Remembered::Seen;
            }
            tables.purge_marks(journal, now, PURGED_PER_NONCE);
            if let Some(room) = tables.marks().full_until(client, most, now) {
                return Remembered::Full(room.since(now));
            }
            let new = Mark { client: client.clone(), expires: now.plus(life) };
            tables.change(journal, Change::Mark(mark, Some(new)));
            Remembered::Fresh
        })
        .await
    }

    pub(super) async fn add_client(&self, record: &ClientRecord) -> Result<bool, Fault> {
        self.commit(|tables, journal, _| {
            if tables.client(&record.id).is_some() {
                return false;
            }
            tables.change(journal, Change::Client(record.id.clone(), Some(Arc::new(record.clone()))));
            true
        })
        .await
    }

    pub(super) async fn change_client(
        &self,
        id: &ClientId,
        change: &(dyn Fn(&mut ClientRecord) + Send + Sync),
    ) -> Result<Option<ClientRecord>, Fault> {
        self.commit(|tables, journal, _| {
            let mut record = ClientRecord::clone(tables.client(id)?);
            change(&mut record);
            record.id = id.clone();
            tables.change(journal, Change::Client(id.clone(), Some(Arc::new(record.clone()))));
            Some(record)
        })
        .await
    }

    pub(super) async fn remove_client(&self, id: &ClientId) -> Result<bool, Fault> {
        self.commit(|tables, journal, _| {
            let known = tables.client(id).is_some();
            if known {
                tables.change(journal, Change::Client(id.clone(), None));
            }
            known
        })
        .await
    }

    pub(super) fn clients(&self) -> Vec<ClientRecord> {
        lock(&self.shared.state).tables.clients()
    }

    /// Has every client and session written to the file once more, where there is one.
    pub(super) fn rewrite(&self) {
        lock(&self.shared.state).rewrite();
        self.shared.work.notify_one();
    }

    /// Waits until everything noted so far, extensions included, is on disk.
    pub(super) async fn flush(&self) -> Result<(), Fault> {
        let waiting = lock(&self.shared.state).submit_flush();
        self.acknowledged(waiting).await
    }

    /// Runs `operation` on the maps, and waits until what it changed is on disk. What cannot be written is taken back.
    async fn commit<T>(&self, operation: impl FnOnce(&mut Tables, &mut Journal, Timestamp) -> T) -> Result<T, Fault> {
        let now = self.clock.now();
        let (outcome, changed, waiting) = {
            let mut state = lock(&self.shared.state);
            let mut journal = Journal::default();
            let outcome = operation(&mut state.tables, &mut journal, now);
            (outcome, journal.sessions(), state.submit(journal))
        };
        self.acknowledged(waiting).await?;
        changed.into_iter().for_each(|hash| self.bell.ring(hash));
        Ok(outcome)
    }

    async fn acknowledged(&self, waiting: Option<oneshot::Receiver<Result<(), Fault>>>) -> Result<(), Fault> {
        let Some(waiting) = waiting else { return Ok(()) };
        self.shared.work.notify_one();
        match tokio::time::timeout(self.timeout, waiting).await {
            Ok(Ok(written)) => written,
            Ok(Err(_)) => Err(Fault::Failed("its writer has ended".into())),
            Err(_) => Err(Fault::TimedOut),
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("durable", &self._writer.is_some()).finish_non_exhaustive()
    }
}

/// Ends the oldest sessions that are one too many beside the new one, and says how many; `None` where the cap refuses.
fn make_room(tables: &mut Tables, journal: &mut Journal, now: Timestamp, new: &Admission<'_>) -> Option<usize> {
    let (Some(cap), Some(user)) = (new.cap, &new.record.user) else { return Some(0) };
    let counts = |hash: &TokenHash| *hash != new.hash && Some(*hash) != new.older;
    let others: Vec<_> = tables.sessions_of(user, now).into_iter().filter(counts).collect();
    let over = (others.len() + 1).saturating_sub(cap.sessions);
    if over > 0 && !cap.end_oldest {
        return None;
    }
    Some(others.into_iter().take(over).filter(|hash| tables.end(journal, *hash, Ending::NewerLogin, now)).count())
}
