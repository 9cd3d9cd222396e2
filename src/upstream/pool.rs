//! The pool: idle connections of one worker thread, and how many there may be on all of them together.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::measure::Gauge;
use crate::upstream::connection::{Connection, Look};
use crate::upstream::line::Asker;
use crate::upstream::places::{Place, Places};
use crate::upstream::{Fault, Figures, Settings, locked};

/// The connections of one worker thread. Cloning is shallow.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    list: Arc<List>,
    shared: Arc<Shared>,
}

/// What the workers have in common.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    /// One for each request that may be under way; `None` for no limit.
    places: Option<Arc<Places>>,
    /// Connections there are, idle ones included.
    open: Arc<AtomicUsize>,
    /// Requests that wait for a place.
    waiting: Gauge,
    lists: Arc<Mutex<Vec<Weak<List>>>>,
}

/// Idle connections, the one used last at the end.
#[derive(Debug, Default)]
struct List {
    idle: Mutex<Vec<Idle>>,
    /// Whether somebody closes those that lie too long.
    tended: AtomicBool,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// The right to have one request under way.
#[derive(Debug)]
pub(super) struct Lease {
    pool: Pool,
    _place: Option<Place>,
}

/// Counts a connection as long as it lives.
#[derive(Debug)]
pub(super) struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(super) fn new(settings: Settings) -> Self {
        let limit = settings.max_connections;
        let places = (limit > 0).then(|| Places::new(limit));
        let shared =
            Shared { settings, places, open: Arc::default(), waiting: Gauge::default(), lists: Arc::default() };
        Self::of(Arc::new(shared))
    }

    /// A pool for a worker thread under other settings: with the connections of this one, where they lead to the same application.
    pub(super) fn renewed(&self, settings: Settings) -> Self {
        let old = &self.shared;
        if old.settings.address != settings.address {
            return Self::new(settings);
        }
        let places = renewed_places(old, settings.max_connections);
        let (open, waiting, lists) = (Arc::clone(&old.open), old.waiting.clone(), Arc::clone(&old.lists));
        Self { list: Arc::clone(&self.list), shared: Arc::new(Shared { settings, places, open, waiting, lists }) }
    }

    /// This worker's pool within the limits of another one: with its connections, where they lead to the same application.
    pub(super) fn within(&self, other: &Self) -> Self {
        if self.shared.settings.address != other.shared.settings.address {
            return other.attach();
        }
        Self { list: Arc::clone(&self.list), shared: Arc::clone(&other.shared) }
    }

    fn of(shared: Arc<Shared>) -> Self {
        let list = Arc::new(List::default());
        let mut lists = locked(&shared.lists);
        lists.retain(|other| other.strong_count() > 0);
        lists.push(Arc::downgrade(&list));
        drop(lists);
        Self { list, shared }
    }

    /// A pool for another worker thread, within the same limits.
    pub(super) fn attach(&self) -> Self {
        Self::of(Arc::clone(&self.shared))
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(super) fn figures(&self) -> Figures {
        let idle = locked(&self.shared.lists).iter().filter_map(Weak::upgrade).map(|list| list.len()).sum();
        Figures {
            open: self.shared.open.load(Ordering::Relaxed),
            idle,
            waiting: self.shared.waiting.get(),
            limit: self.settings().max_connections,
        }
    }

    /// Waits for the right to send a request.
    pub(super) async fn lease(&self, asker: Asker<'_>) -> Result<Lease, Fault> {
        let place = match &self.shared.places {
            None => None,
            Some(places) => match places.free() {
                Some(place) => Some(place),
                None => Some(Box::pin(self.queue(places, asker)).await?),
            },
        };
        Ok(Lease { pool: self.clone(), _place: place })
    }

    async fn queue(&self, places: &Arc<Places>, asker: Asker<'_>) -> Result<Place, Fault> {
        let _waiting = self.shared.waiting.enter();
        let place = timeout(self.settings().queue_timeout, places.in_turn(asker)).await;
        place.ok().flatten().ok_or(Fault::Overloaded)
    }

    /// A new connection. Where the limit is reached, an idle one, of whichever worker, is closed for it.
    pub(super) async fn connect(&self) -> Result<Connection, Fault> {
        let open = self.shared.count_one();
        let settings = self.settings();
        match timeout(settings.connect_timeout, Connection::open(&settings.address, open)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(Fault::Failed(format!("it cannot be connected to: {error}"))),
            Err(_) => Err(Fault::TimedOut),
        }
    }
}

impl Shared {
    fn count_one(&self) -> Open {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let open = Open(Arc::clone(&self.open));
        if self.places.is_some() && before >= self.settings.max_connections {
            let lists = locked(&self.lists);
            let oldest = lists.iter().filter_map(Weak::upgrade).find_map(|list| list.take_oldest());
            drop(lists);
            drop(oldest);
        }
        open
    }
}

impl Lease {
    /// A pooled connection that nothing has happened on since its last reply. Those that something happened on are closed.
    pub(super) fn idle(&self, look: Look) -> Option<Connection> {
        let list = &self.pool.list;
        std::iter::from_fn(|| list.take_latest(self.pool.settings().idle_timeout))
            .find(|connection| connection.is_quiet(look))
    }

    pub(super) async fn connect(&self) -> Result<Connection, Fault> {
        self.pool.connect().await
    }

    /// Ends the request and keeps its connection for another.
    pub(super) fn give_back(self, mut connection: Connection) {
        connection.rest();
        let list = &self.pool.list;
        locked(&list.idle).push(Idle { connection, since: Instant::now() });
        if !list.tended.swap(true, Ordering::AcqRel) {
            tokio::spawn(tend(Arc::downgrade(list), self.pool.settings().idle_timeout));
        }
    }
}

impl List {
    fn len(&self) -> usize {
        locked(&self.idle).len()
    }

    fn take_latest(&self, idle_timeout: Duration) -> Option<Connection> {
        let mut idle = locked(&self.idle);
        match idle.pop() {
            Some(latest) if latest.since.elapsed() < idle_timeout => Some(latest.connection),
            Some(_) => {
                // All others lie even longer.
                idle.clear();
                None
            }
            None => None,
        }
    }

    fn take_oldest(&self) -> Option<Connection> {
        let mut idle = locked(&self.idle);
        (!idle.is_empty()).then(|| idle.remove(0).connection)
    }

    /// Closes what lies too long, or was closed from the other side. Returns when the next one is due; `None` where none is left.
    fn prune(&self, idle_timeout: Duration) -> Option<Instant> {
        let mut idle = locked(&self.idle);
        idle.retain(|one| one.since.elapsed() < idle_timeout && one.connection.is_quiet(Look::AtSocket));
        let due = idle.first().map(|oldest| oldest.since + idle_timeout);
        if due.is_none() {
            self.tended.store(false, Ordering::Release);
        }
        due
    }
}

/// The same places, so that requests under way go on counting, of which there may be another number. Those that began while there
/// was no limit count nowhere.
fn renewed_places(old: &Shared, limit: usize) -> Option<Arc<Places>> {
    let places = match &old.places {
        _ if limit == 0 => return None,
        None => return Some(Places::new(limit)),
        Some(places) => Arc::clone(places),
    };
    let old_limit = old.settings.max_connections;
    places.grow(limit.saturating_sub(old_limit));
    places.shrink(old_limit.saturating_sub(limit));
    Some(places)
}

/// Closes idle connections in time. One task for each list, and only while something is in it.
async fn tend(list: Weak<List>, idle_timeout: Duration) {
    let mut due = Instant::now() + idle_timeout;
    loop {
        sleep_until(due).await;
        let Some(next) = list.upgrade().and_then(|list| list.prune(idle_timeout)) else { return };
        due = next;
    }
}
