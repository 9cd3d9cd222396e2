//! The file on a disk that can be full, and with many sessions.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::*;
use crate::clock::Clock;
use crate::ids::{SessionId, UserId};
use crate::secret::Secret;
use crate::store::embedded::Embedded;
use crate::store::{Admission, ClientRecord, Created, Key, Location, Question, SessionRecord, Settings, Tls};

const IDLE: Duration = Duration::from_secs(7200);

/// A disk that can be full.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn writable(&self) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writable().and_then(|()| self.file.set_len(len))
    }
    fn sync_data(&self) -> io::Result<()> {
        self.writable().and_then(|()| self.file.sync_data())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.writable().and_then(|()| self.file.write(offset, data))
    }
}

fn opener(full: &Arc<AtomicBool>) -> Opener {
    let full = Arc::clone(full);
    Box::new(move |path| {
        let file = std::fs::File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        Database::builder().create_with_backend(Disk { file: FileBackend::new(file)?, full: Arc::clone(&full) })
    })
}

fn codec(keys: &[Key]) -> Arc<Codec> {
    let (location, timeout) = (Location::Memory, Duration::from_secs(20));
    Arc::new(Codec::new(&Settings { location, prefix: "t:".into(), keys: keys.to_vec(), timeout, tls: Tls::default() }))
}

fn store(path: &Path, full: &Arc<AtomicBool>) -> Embedded {
    store_with(path, full, &[])
}

fn store_with(path: &Path, full: &Arc<AtomicBool>, keys: &[Key]) -> Embedded {
    let clock = Clock::system();
    let (file, loaded) = File::open_with(path, codec(keys), clock.now(), opener(full)).unwrap();
    Embedded::over(file, loaded, clock, Duration::from_secs(20), &Arc::default()).unwrap()
}

fn session() -> SessionRecord {
    let now = Clock::system().now();
    SessionRecord {
        id: SessionId::new("s").unwrap(),
        user: UserId::new("u").ok(),
        client: None,
        created: now,
        ends: now.plus(IDLE),
        ip: String::new(),
        user_agent: "x".repeat(10_000),
        jar: Vec::new(),
        holds_cookies: false,
        channel: None,
    }
}

fn lives(store: &Embedded, byte: u8) -> bool {
    let question = Question { client: None, session: &[TokenHash::new([byte; 32])] };
    matches!(store.ask(question).session, Some(crate::store::Found::Live(_)))
}

async fn create(store: &Embedded, hash: TokenHash, record: &SessionRecord) -> Result<Created, Fault> {
    store.create(&Admission { hash, record, idle: IDLE, cap: None, older: None }).await
}

async fn log_in(store: &Embedded, byte: u8) -> Result<Created, Fault> {
    create(store, TokenHash::new([byte; 32]), &session()).await
}

#[tokio::test]
async fn what_a_full_disk_did_not_take_is_taken_back_and_taken_again_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let (path, full) = (directory.path().join("state.redb"), Arc::new(AtomicBool::new(false)));
    let before = store(&path, &full);
    log_in(&before, 1).await.unwrap();
    full.store(true, Ordering::SeqCst);
    for byte in [2, 3] {
        assert!(matches!(log_in(&before, byte).await, Err(Fault::Failed(_))));
        assert!(!lives(&before, byte));
    }
    assert!(before.end(TokenHash::new([1; 32]), Ending::Admin).await.is_err());
    assert!(lives(&before, 1));
    before.extend(TokenHash::new([1; 32]), IDLE * 2);
    assert!(before.flush().await.is_err());

    full.store(false, Ordering::SeqCst);
    log_in(&before, 3).await.unwrap();
    let sessions = before.sessions(&UserId::new("u").unwrap()).len();
    assert_eq!((sessions, lives(&before, 1), lives(&before, 2), lives(&before, 3)), (2, true, false, true));
    drop(before);
    let after = store(&path, &full);
    assert_eq!((lives(&after, 1), lives(&after, 2), lives(&after, 3)), (true, false, true));
    let kept = after.sessions(&UserId::new("u").unwrap());
    assert!(kept.iter().any(|live| live.expires > live.record.ends), "the extension was written in the end");
}

#[tokio::test]
async fn twenty_thousand_sessions_are_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let (path, full) = (directory.path().join("state.redb"), Arc::new(AtomicBool::new(false)));
    let before = store(&path, &full);
    let record = SessionRecord { user_agent: "agent".into(), ..session() };
    let hash = |number: u32| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        TokenHash::new(bytes)
    };
    let mut logins = tokio::task::JoinSet::new();
    for number in 0..20_000 {
        let (store, record) = (before.clone(), record.clone());
        logins.spawn(async move { create(&store, hash(number), &record).await });
    }
    while let Some(login) = logins.join_next().await {
        login.unwrap().unwrap();
    }
    drop(before);
    assert_eq!(store(&path, &full).sessions(record.user.as_ref().unwrap()).len(), 20_000);
}

#[tokio::test]
async fn what_cannot_be_sealed_anew_stays_under_the_older_key() {
    let directory = tempfile::tempdir().unwrap();
    let (path, full) = (directory.path().join("state.redb"), Arc::new(AtomicBool::new(false)));
    let key = |byte: u8| Key::Sealing(Secret::new([byte; 32]));
    let before = store_with(&path, &full, &[key(1)]);
    log_in(&before, 1).await.unwrap();
    drop(before);

    full.store(true, Ordering::SeqCst);
    let rotating = File::open_with(&path, codec(&[key(2), key(1)]), Clock::system().now(), Box::new(open_database));
    let (mut file, loaded) = rotating.unwrap();
    file.open = opener(&full);
    file.database = None;
    let rotating = Embedded::over(file, loaded, Clock::system(), Duration::from_secs(20), &Arc::default()).unwrap();
    assert!(log_in(&rotating, 2).await.is_err(), "the disk is full");
    assert!(lives(&rotating, 1), "what could not be sealed anew is taken back to what it was, not away");
    full.store(false, Ordering::SeqCst);
    rotating.flush().await.unwrap();
    drop(rotating);
    assert!(lives(&store_with(&path, &full, &[key(2)]), 1), "and is sealed anew when there is room");
}

#[tokio::test]
async fn clients_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (path, full) = (directory.path().join("state.redb"), Arc::new(AtomicBool::new(false)));
    let record = ClientRecord {
        id: ClientId::new("ios").unwrap(),
        secrets: Vec::new(),
        enabled: true,
        algorithms: Vec::new(),
        endpoints: vec!["*".into()],
        signature: None,
        name: String::new(),
        created: Timestamp::from_secs(1),
    };
    store(&path, &full).add_client(&record).await.unwrap();
    assert_eq!(store(&path, &full).clients(), std::slice::from_ref(&record));
    store(&path, &full).remove_client(&record.id).await.unwrap();
    assert_eq!(store(&path, &full).clients(), []);
}
