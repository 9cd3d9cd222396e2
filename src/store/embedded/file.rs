//! The file of an embedded store: a redb database that is read whole at the start and written to from then on.

use std::os::unix::fs::OpenOptionsExt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use crate::clock::Timestamp;
use crate::ids::{ClientId, TokenHash};
use crate::store::Fault;
use crate::store::codec::Codec;
use crate::store::record::Ending;

use super::marks::Mark;
use super::tables::{Body, Change, Entry, Journal, Tables};

type Rows<'a> = redb::Table<'a, &'static [u8], &'static [u8]>;
type TimeRows<'a> = redb::Table<'a, &'static [u8], (u64, u64)>;

/// Client id → stored record.
const CLIENTS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("clients");
/// Token hash → [`LIVING`] and the stored record, or [`ENDED`] and the label of its ending.
const SESSIONS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("sessions");
/// Token hash → last use and expiry in milliseconds; apart, because they change often.
const TIMES: TableDefinition<'static, &[u8], (u64, u64)> = TableDefinition::new("times");
/// Hash of a nonce or signature that was used → when it may be forgotten (8 bytes, big-endian milliseconds) and the client's id.
const MARKS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("nonces");

const LIVING: u8 = b'L';
const ENDED: u8 = b'E';

/// The file, open and locked.
pub(super) struct File {
    path: PathBuf,
    codec: Arc<Codec>,
    /// `None` after a failed write: redb must be opened anew then.
    database: Option<Database>,
    open: Opener,
}

/// Opens or creates the database at a path.
type Opener = Box<dyn Fn(&Path) -> Result<Database, DatabaseError> + Send>;

/// What a file held.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// What has not expired.
    pub(super) tables: Tables,
    /// What the file does not say yet: that the rest is gone, and what lies under an older `store.key` under the first one.
    pub(super) owed: Journal,
}

/// A session's use, noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    pub(super) hash: TokenHash,
    pub(super) used: Timestamp,
    pub(super) expires: Timestamp,
}

/// What one commit writes.
#[derive(Debug)]
pub(super) struct Write<'a> {
    /// Changes, in order.
    pub(super) changes: Vec<&'a Change>,
    /// Uses of sessions; written after the changes.
    pub(super) uses: &'a [Use],
}

impl Loaded {
    /// Takes up what the file holds, or what should stand in its place.
    fn take(&mut self, change: Change, owed: bool) {
        self.tables.replace(change.clone());
        if owed {
            // On top of it, so that what cannot be written is taken back to what the file holds.
            self.tables.change(&mut self.owed, change);
        }
    }
}

impl File {
    /// Opens or creates a file, locks it, and reads it whole. What it cannot read it leaves as it is.
    pub(super) fn open(path: &Path, codec: Arc<Codec>, now: Timestamp) -> Result<(Self, Loaded), Fault> {
        Self::open_with(path, codec, now, Box::new(open_database))
    }

    fn open_with(path: &Path, codec: Arc<Codec>, now: Timestamp, open: Opener) -> Result<(Self, Loaded), Fault> {
        let mut file = Self { path: path.into(), codec, database: None, open };
        let loaded = file.guarded(|file| file.load(now))?;
        Ok((file, loaded))
    }

    /// Writes everything in one commit; all of it is on disk afterwards, or none.
    pub(super) fn write(&mut self, write: &Write<'_>) -> Result<(), Fault> {
        let written = self.guarded(|file| file.commit(write));
        if written.is_err() {
            // redb refuses everything after an I/O error until it is opened again.
            self.database = None;
        }
        written
    }

    fn load(&mut self, now: Timestamp) -> Result<Loaded, Fault> {
        let reading = self.opened()?.begin_read().map_err(|error| self.fault(error))?;
        let mut loaded = Loaded::default();
        self.load_clients(&reading, &mut loaded)?;
        self.load_sessions(&reading, &mut loaded, now)?;
        self.load_marks(&reading, &mut loaded, now)?;
        Ok(loaded)
    }

    fn load_clients(&self, reading: &ReadTransaction, loaded: &mut Loaded) -> Result<(), Fault> {
        let Some(rows) = existing(reading.open_table(CLIENTS)).map_err(|error| self.fault(error))? else {
            return Ok(());
        };
        for row in rows.iter().map_err(|error| self.fault(error))? {
            let (key, value) = row.map_err(|error| self.fault(error))?;
            let id = ClientId::new(key.value()).map_err(|_| self.unreadable("a client id"))?;
            let record = self.codec.open_client(&id, value.value().to_vec()).map_err(|fault| self.inside(fault))?;
            loaded.take(Change::Client(id, Some(Arc::new(record))), self.codec.is_outdated(value.value()));
        }
        Ok(())
    }

    fn load_sessions(&self, reading: &ReadTransaction, loaded: &mut Loaded, now: Timestamp) -> Result<(), Fault> {
        let Some(rows) = existing(reading.open_table(SESSIONS)).map_err(|error| self.fault(error))? else {
            return Ok(());
        };
        let times = reading.open_table(TIMES).map_err(|error| self.fault(error))?;
        for row in rows.iter().map_err(|error| self.fault(error))? {
            let (key, value) = row.map_err(|error| self.fault(error))?;
            let hash = key.value().try_into().map(TokenHash::new).map_err(|_| self.unreadable("a session key"))?;
            let time = times.get(key.value()).map_err(|error| self.fault(error))?;
            let (used, expires) = time.ok_or_else(|| self.unreadable("a session's times"))?.value();
            let (used, expires) = (Timestamp::from_millis(used), Timestamp::from_millis(expires));
            // What has expired need not open: its key may have been given up since.
            if expires <= now {
                loaded.take(Change::Session(hash, None), true);
                continue;
            }
            let outdated = value.value().strip_prefix(&[LIVING]).is_some_and(|sealed| self.codec.is_outdated(sealed));
            let body = self.body(hash, value.value())?;
            loaded.take(Change::Session(hash, Some(Entry { body, used, expires })), outdated);
        }
        Ok(())
    }

    fn load_marks(&self, reading: &ReadTransaction, loaded: &mut Loaded, now: Timestamp) -> Result<(), Fault> {
        let Some(rows) = existing(reading.open_table(MARKS)).map_err(|error| self.fault(error))? else {
            return Ok(());
        };
        for row in rows.iter().map_err(|error| self.fault(error))? {
            let (key, value) = row.map_err(|error| self.fault(error))?;
            let hash = key.value().try_into().map(TokenHash::new).map_err(|_| self.unreadable("a nonce's key"))?;
            let mark = mark_from(value.value()).ok_or_else(|| self.unreadable("a nonce"))?;
            let expired = mark.expires <= now;
            loaded.take(Change::Mark(hash, Some(mark).filter(|_| !expired)), expired);
        }
        Ok(())
    }

    fn body(&self, hash: TokenHash, stored: &[u8]) -> Result<Body, Fault> {
        let body = match stored.split_first() {
            Some((&LIVING, sealed)) => {
                let record = self.codec.open_session(hash, sealed.to_vec()).map_err(|fault| self.inside(fault))?;
                Some(Body::Live(Arc::new(record)))
            }
            Some((&ENDED, label)) => Ending::from_label(label).map(Body::Ended),
            _ => None,
        };
        body.ok_or_else(|| self.unreadable("a session"))
    }

    fn commit(&mut self, write: &Write<'_>) -> Result<(), Fault> {
        let transaction = self.opened()?.begin_write().map_err(|error| self.fault(error))?;
        {
            let mut clients = transaction.open_table(CLIENTS).map_err(|error| self.fault(error))?;
            let mut sessions = transaction.open_table(SESSIONS).map_err(|error| self.fault(error))?;
            let mut times = transaction.open_table(TIMES).map_err(|error| self.fault(error))?;
            let mut marks = transaction.open_table(MARKS).map_err(|error| self.fault(error))?;
            for change in &write.changes {
                match change {
                    Change::Client(id, record) => self.put_client(&mut clients, id, record.as_deref())?,
                    Change::Session(hash, entry) => {
                        self.put_session((&mut sessions, &mut times), *hash, entry.as_ref())?
                    }
                    Change::Mark(hash, mark) => self.put_mark(&mut marks, *hash, mark.as_ref())?,
                }
            }
            for noted in write.uses {
                let row = (noted.used.as_millis(), noted.expires.as_millis());
                times.insert(noted.hash.as_bytes().as_slice(), row).map_err(|error| self.fault(error))?;
            }
        }
        transaction.commit().map_err(|error| self.fault(error))
    }

    fn put_client(
        &self,
        rows: &mut Rows<'_>,
        id: &ClientId,
        record: Option<&crate::store::ClientRecord>,
    ) -> Result<(), Fault> {
        let key = id.as_str().as_bytes();
        let put = match record {
            Some(record) => rows.insert(key, self.codec.seal_client(record)?.as_slice()),
            None => rows.remove(key),
        };
        put.map(drop).map_err(|error| self.fault(error))
    }

    fn put_session(
        &self,
        (rows, times): (&mut Rows<'_>, &mut TimeRows<'_>),
        hash: TokenHash,
        entry: Option<&Entry>,
    ) -> Result<(), Fault> {
        let key = hash.as_bytes().as_slice();
        let Some(entry) = entry else {
            rows.remove(key).map_err(|error| self.fault(error))?;
            return times.remove(key).map(drop).map_err(|error| self.fault(error));
        };
        let stored = match &entry.body {
            Body::Live(record) => [&[LIVING], self.codec.seal_session(hash, record)?.as_slice()].concat(),
            Body::Ended(ending) => [&[ENDED], ending.label().as_bytes()].concat(),
        };
        rows.insert(key, stored.as_slice()).map_err(|error| self.fault(error))?;
        let row = (entry.used.as_millis(), entry.expires.as_millis());
        times.insert(key, row).map(drop).map_err(|error| self.fault(error))
    }

    fn put_mark(&self, rows: &mut Rows<'_>, hash: TokenHash, mark: Option<&Mark>) -> Result<(), Fault> {
        let key = hash.as_bytes().as_slice();
        let put = match mark {
            Some(mark) => rows.insert(key, mark_bytes(mark).as_slice()),
            None => rows.remove(key),
        };
        put.map(drop).map_err(|error| self.fault(error))
    }

    fn opened(&mut self) -> Result<&Database, Fault> {
        if self.database.is_none() {
            let opened = (self.open)(&self.path).map_err(|error| self.fault(error))?;
            self.database = Some(opened);
        }
        self.database.as_ref().ok_or_else(|| self.unreadable("it"))
    }

    /// redb asserts where a damaged file surprises it; that is the file's fault and must not end the process.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        std::panic::catch_unwind(AssertUnwindSafe(|| work(self))).unwrap_or_else(|_| {
            self.database = None;
            Err(self.unreadable("its structure"))
        })
    }

    fn fault(&self, error: impl Into<redb::Error>) -> Fault {
        let path = self.path.display();
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Fault::Failed(format!(
                "{path}: another gate holds this file; stop it, or give this one a file of its own"
            )),
            error @ (redb::Error::Io(_) | redb::Error::PreviousIo) => Fault::Failed(format!("{path}: {error}")),
            error => Fault::Unreadable(format!("{path}: {error}")),
        }
    }

    fn inside(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Unreadable(what) => Fault::Unreadable(format!("{}: {what}", self.path.display())),
            other => other,
        }
    }

    fn unreadable(&self, what: &str) -> Fault {
        Fault::Unreadable(format!("{}: {what} is not what this version writes, or is damaged", self.path.display()))
    }
}

fn mark_bytes(mark: &Mark) -> Vec<u8> {
    [&mark.expires.as_millis().to_be_bytes(), mark.client.as_str().as_bytes()].concat()
}

fn mark_from(stored: &[u8]) -> Option<Mark> {
    let (expires, client) = stored.split_first_chunk()?;
    let client = ClientId::new(client).ok()?;
    Some(Mark { client, expires: Timestamp::from_millis(u64::from_be_bytes(*expires)) })
}

/// A table that was never written to is not there, and that is no fault.
fn existing<T>(table: Result<T, TableError>) -> Result<Option<T>, TableError> {
    match table {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        table => table.map(Some),
    }
}

/// For the owner's eyes alone: it holds secrets where no `store.key` is set.
fn open_database(path: &Path) -> Result<Database, DatabaseError> {
    let file =
        std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Database::builder().create_file(file)
}

#[cfg(test)]
mod tests;
