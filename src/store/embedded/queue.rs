//! What waits to be written to the file, and the thread that writes it: many callers, one commit.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::clock::{Clock, Timestamp};
use crate::ids::{ClientId, TokenHash};
use crate::store::{Fault, lock};

use super::Shared;
use super::file::{File, Loaded, Use, Write};
use super::tables::{Change, Journal, Tables};

/// Extensions are written at most this much later.
const TICK: Duration = Duration::from_secs(1);

/// Expired entries cleared from the file per tick.
const PURGED_PER_TICK: usize = 4096;

/// The maps, and what of them is not on disk yet.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) tables: Tables,
    /// Whether there is a file.
    durable: bool,
    pending: Vec<Pending>,
    /// Sessions that were extended since the last write.
    used: HashSet<TokenHash>,
    /// Whether everything is to be written once more.
    rewrite: bool,
    closing: bool,
    /// The writer is gone; nothing can be made durable any more.
    dead: bool,
}

/// Changes that wait to be written, and who waits for them.
#[derive(Debug)]
struct Pending {
    journal: Journal,
    done: Option<oneshot::Sender<Result<(), Fault>>>,
}

impl State {
    pub(super) fn durable(loaded: Loaded) -> Self {
        // Written at once: the writer finds it when it starts.
        let pending = vec![Pending { journal: loaded.owed, done: None }];
        Self { tables: loaded.tables, durable: true, pending, ..Self::default() }
    }

    pub(super) fn extend(&mut self, hash: TokenHash, now: Timestamp, life: Duration) {
        if self.tables.extend(hash, now, life) && self.durable {
            self.used.insert(hash);
        }
    }

    /// Queues what was changed. `None` where nothing needs waiting for.
    pub(super) fn submit(&mut self, journal: Journal) -> Option<oneshot::Receiver<Result<(), Fault>>> {
        if journal.is_empty() || !self.durable { None } else { Some(self.push(journal)) }
    }

    /// Queues a wait for everything before it.
    pub(super) fn submit_flush(&mut self) -> Option<oneshot::Receiver<Result<(), Fault>>> {
        self.durable.then(|| self.push(Journal::default()))
    }

    fn push(&mut self, journal: Journal) -> oneshot::Receiver<Result<(), Fault>> {
        let (done, waiting) = oneshot::channel();
        if self.dead {
            // Dropping `done` fails the waiting one.
            self.tables.undo(&journal);
        } else {
            self.pending.push(Pending { journal, done: Some(done) });
        }
        waiting
    }

    /// Has everything written once more, where there is a file.
    pub(super) fn rewrite(&mut self) {
        self.rewrite = self.durable;
    }

    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    fn take_uses(&mut self) -> Vec<Use> {
        let used = std::mem::take(&mut self.used);
        let tables = &self.tables;
        let noted = |hash| tables.stored(hash).map(|entry| Use { hash, used: entry.used, expires: entry.expires });
        used.into_iter().filter_map(noted).collect()
    }

    /// Takes back everything that waits: each was built on what stood before it.
    fn undo_all(&mut self, failed: &[Pending]) -> Vec<Pending> {
        let queued = std::mem::take(&mut self.pending);
        for pending in failed.iter().chain(&queued).rev() {
            self.tables.undo(&pending.journal);
        }
        queued
    }
}

/// Starts the thread that writes what is queued.
pub(super) fn write_behind(shared: Arc<Shared>, file: File, clock: Clock) -> Result<JoinHandle<()>, Fault> {
    let worker = Worker { shared, file, clock, unsure: Unsure::default(), last_tick: Instant::now() };
    let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || worker.run());
    thread.map_err(|error| Fault::Failed(format!("no thread to write with: {error}")))
}

struct Worker {
    shared: Arc<Shared>,
    file: File,
    clock: Clock,
    unsure: Unsure,
    last_tick: Instant,
}

/// Keys whose write failed: nobody knows what the file says of them, so they are written again.
#[derive(Debug, Default)]
struct Unsure {
    sessions: HashSet<TokenHash>,
    clients: HashSet<ClientId>,
    marks: HashSet<TokenHash>,
}

#[derive(Default)]
struct Batch {
    pending: Vec<Pending>,
    uses: Vec<Use>,
    again: Vec<Change>,
    last: bool,
}

impl Worker {
    fn run(mut self) {
        loop {
            let batch = self.next_batch();
            let last = batch.last;
            self.write(batch);
            if last {
                return;
            }
        }
    }

    /// Waits for something to write.
    fn next_batch(&mut self) -> Batch {
        let shared = Arc::clone(&self.shared);
        let mut state = lock(&shared.state);
        loop {
            let tick = self.last_tick.elapsed() >= TICK;
            if tick {
                self.last_tick = Instant::now();
                self.purge(&mut state);
            }
            if !state.pending.is_empty() || state.rewrite || state.closing || (tick && !state.used.is_empty()) {
                return self.take_batch(&mut state);
            }
            let woken = shared.work.wait_timeout(state, TICK);
            state = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    fn purge(&self, state: &mut State) {
        let mut journal = Journal::default();
        state.tables.purge(&mut journal, self.clock.now(), PURGED_PER_TICK);
        state.tables.purge_marks(&mut journal, self.clock.now(), PURGED_PER_TICK);
        if !journal.is_empty() {
            state.pending.push(Pending { journal, done: None });
        }
    }

    fn take_batch(&mut self, state: &mut State) -> Batch {
        if std::mem::take(&mut state.rewrite) {
            self.unsure.note_all(&state.tables);
        }
        Batch {
            uses: state.take_uses(),
            again: self.unsure.as_they_stand(&state.tables),
            pending: std::mem::take(&mut state.pending),
            last: state.closing,
        }
    }

    fn write(&mut self, batch: Batch) {
        let changes = batch.again.iter().chain(batch.pending.iter().flat_map(|pending| pending.journal.made()));
        match self.file.write(&Write { changes: changes.collect(), uses: &batch.uses }) {
            Ok(()) => {
                self.unsure = Unsure::default();
                answer(batch.pending, &Ok(()));
            }
            Err(fault) => self.fail(batch, fault),
        }
    }

    fn fail(&mut self, batch: Batch, fault: Fault) {
        tracing::warn!(%fault, "the store's file cannot be written; what was not written is taken back");
        let queued = {
            let mut state = lock(&self.shared.state);
            state.used.extend(batch.uses.iter().map(|noted| noted.hash));
            state.undo_all(&batch.pending)
        };
        let changes = batch.pending.iter().flat_map(|pending| pending.journal.made());
        changes.for_each(|change| self.unsure.note(change));
        let failed = Err(fault);
        answer(batch.pending, &failed);
        answer(queued, &failed);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.dead = true;
        drop(state.undo_all(&[]));
    }
}

impl Unsure {
    fn note(&mut self, change: &Change) {
        match change {
            Change::Session(hash, _) => self.sessions.insert(*hash),
            Change::Client(id, _) => self.clients.insert(id.clone()),
            Change::Mark(hash, _) => self.marks.insert(*hash),
        };
    }

    /// Everything that is sealed.
    fn note_all(&mut self, tables: &Tables) {
        self.sessions.extend(tables.all_sessions());
        self.clients.extend(tables.clients().into_iter().map(|client| client.id));
    }

    fn as_they_stand(&self, tables: &Tables) -> Vec<Change> {
        let sessions = self.sessions.iter().map(|hash| Change::Session(*hash, tables.stored(*hash).cloned()));
        let clients = self.clients.iter().map(|id| Change::Client(id.clone(), tables.client(id).cloned()));
        let marks = self.marks.iter().map(|hash| Change::Mark(*hash, tables.marks().stored(*hash).cloned()));
        sessions.chain(clients).chain(marks).collect()
    }
}

fn answer(pending: Vec<Pending>, outcome: &Result<(), Fault>) {
    for done in pending.into_iter().filter_map(|pending| pending.done) {
        // Whoever waited may have gone.
        let _ = done.send(outcome.clone());
    }
}
