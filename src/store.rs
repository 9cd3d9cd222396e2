//! What is remembered: registered clients and sessions. One handle over three engines; every question has a bound in time.
//!
//! "Not there" is `Ok(None)`, never an error. A [`Fault`] means that nobody knows, and that nothing was changed or ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::ids::{ClientId, SessionId, TokenHash, UserId};
use crate::measure::{Share, Whole};
use crate::secret::Secret;

mod alarm;
mod asked;
pub mod channel;
mod codec;
mod counters;
pub mod counting;
pub mod embedded;
pub mod held;
mod locks;
pub mod meter;
mod rate;
pub mod record;
pub mod redis;
mod seal;
mod told;
pub mod turns;
pub mod watch;

use codec::Codec;
use counting::Local;
use embedded::Embedded;
use held::Held;
use meter::{Meter, Op};
use redis::Redis;
use watch::{Bell, Watches};

pub use asked::{Admission, Cap, Created, Found, Live, Question, Records, Remembered};
pub use record::{ClientRecord, Ending, HeldCookie, SessionRecord};
pub use redis::Tls;
pub use told::Told;

/// The store failed or was too slow; nothing is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No answer within `store.timeout`.
    #[error("the store did not answer in time")]
    TimedOut,
    /// Not reachable, or it answered with an error.
    #[error("the store failed: {0}")]
    Failed(String),
    /// A value in it does not open with `store.key`, or is not one of ours.
    #[error("a stored value cannot be read: {0}")]
    Unreadable(String),
}

/// How to reach a store.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which one.
    pub location: Location,
    /// Before every key.
    pub prefix: String,
    /// `store.key`: the first seals values and keys token hashes, all of them open and find. None at all is [`Key::Plain`].
    pub keys: Vec<Key>,
    /// Bound of every operation, connecting included.
    pub timeout: Duration,
    /// How Redis is reached where its URL wants TLS.
    pub tls: Tls,
}

/// One of the keys of `store.key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// 32 bytes that values are sealed with, and token hashes keyed.
    Sealing(Secret),
    /// None: values lie open, and anybody can compute a token's hash.
    Plain,
}

/// Which engine, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `memory:`
    Memory,
    /// `file:PATH`
    File(std::path::PathBuf),
    /// `redis://…` and its variants ([`redis::Target`]); the URL may hold a password.
    Redis(Secret),
}

/// How long the holder of an ended session is told why.
const TOMBSTONE_LIFE: Duration = Duration::from_secs(24 * 3600);

/// A handle on the store. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Engine,
    codec: Arc<Codec>,
    clock: Clock,
    local: Arc<Local>,
    /// Sessions that this worker watches.
    watches: Arc<Watches>,
    /// Tells the watches of all workers of a change.
    bell: Arc<Bell>,
    meter: Arc<Share<Meter>>,
}

#[derive(Clone, Debug)]
enum Engine {
    Embedded(Embedded),
    Redis(Redis),
}

impl Store {
    /// Opens it. A Redis that is away is no error here: questions will be [`Fault`]s until it comes. A file that cannot be opened
    /// or is held by another gate is.
    pub async fn open(settings: &Settings, clock: Clock) -> Result<Self, Fault> {
        let (codec, bell) = (Arc::new(Codec::new(settings)), Arc::<Bell>::default());
        let meter = Arc::new(Whole::default().share(Meter::default()));
        let engine = match &settings.location {
            Location::Memory => Engine::Embedded(Embedded::memory(clock.clone(), settings.timeout, &bell)),
            Location::File(path) => {
                Engine::Embedded(Embedded::file(path, Arc::clone(&codec), clock.clone(), settings.timeout, &bell)?)
            }
            Location::Redis(url) => {
                let parts = (&bell, Arc::clone(&meter));
                Engine::Redis(Redis::new(url, settings, Arc::clone(&codec), clock.clone(), parts)?)
            }
        };
        let watches = bell.hang();
        Ok(Self { engine, codec, clock, local: Arc::default(), watches, bell, meter })
    }

    /// Holds answers of a shared store from now on, for this handle and all that come from it. The others need nothing held.
    #[must_use]
    pub fn holding(self, settings: held::Settings) -> Self {
        let engine = match self.engine {
            Engine::Redis(redis) if settings.bytes > 0 => Engine::Redis(redis.holding(&Arc::new(Held::new(settings)))),
            engine => engine,
        };
        Self { engine, ..self }
    }

    /// How many questions were answered by what is held, in all workers.
    pub fn held_counted(&self) -> held::Counted {
        match &self.engine {
            Engine::Embedded(_) => held::Counted::default(),
            Engine::Redis(redis) => redis.held().map(|held| held.counted()).unwrap_or_default(),
        }
    }

    /// What is known of a registered client without asking anybody; `None` where the store must be asked.
    pub fn known_client(&self, id: &ClientId) -> Option<Option<Arc<ClientRecord>>> {
        let question = Question { client: Some(id), session: &[] };
        match &self.engine {
            Engine::Embedded(embedded) => Some(embedded.ask(question).client),
            Engine::Redis(redis) => redis.known_client(id),
        }
    }

    /// A handle for another worker: over a connection of its own, made when first needed, where there are connections.
    #[must_use]
    pub fn attach(&self) -> Self {
        let meter = Arc::new(self.meter.whole().share(Meter::default()));
        let engine = match &self.engine {
            Engine::Embedded(embedded) => Engine::Embedded(embedded.clone()),
            Engine::Redis(redis) => Engine::Redis(redis.attach(Arc::clone(&meter))),
        };
        Self { engine, watches: self.bell.hang(), meter, ..self.clone() }
    }

    /// What it was asked, over this handle and all others.
    pub fn figures(&self) -> meter::Sum {
        self.meter.whole().sum()
    }

    /// Goes by other keys from now on, at every handle. What an embedded store holds is sealed anew; in Redis, sessions pass with
    /// time, and clients are for [`Store::renew_clients`].
    pub fn renew_keys(&self, keys: &[Key]) {
        self.codec.renew(keys);
        if let Engine::Embedded(embedded) = &self.engine {
            embedded.rewrite();
        }
    }

    /// The keyed hash that a token's session is written under.
    pub fn hash(&self, token: &[u8]) -> TokenHash {
        self.codec.hash(token)
    }

    /// The hashes that a token's session may stand under, one for each key, [`Store::hash`] first.
    pub fn hashes(&self, token: &[u8]) -> Vec<TokenHash> {
        self.codec.hashes(token)
    }

    /// Answers a decision's question, where nobody need be waited for.
    pub fn answer_at_once(&self, question: Question<'_>) -> Option<Records> {
        let records = match &self.engine {
            Engine::Embedded(embedded) => embedded.ask(question),
            Engine::Redis(redis) => redis.held_answer(question)?,
        };
        self.meter.record_at_once(Op::Decide);
        Some(records)
    }

    /// Answers a decision's question, in one round trip.
    pub async fn ask(&self, question: Question<'_>) -> Result<Records, Fault> {
        let asked = async {
            match &self.engine {
                Engine::Embedded(embedded) => Ok(embedded.ask(question)),
                Engine::Redis(redis) => redis.ask(question).await,
            }
        };
        self.meter.time(Op::Decide, asked).await
    }

    /// Writes a new session, and enforces `cap` atomically when logins race. Displaced sessions become [`Ending::NewerLogin`]
    /// tombstones.
    pub async fn create(
        &self,
        hash: TokenHash,
        record: &SessionRecord,
        idle: Duration,
        cap: Option<Cap>,
    ) -> Result<Created, Fault> {
        self.admit(Admission { hash, record, idle, cap, older: None }).await
    }

    /// [`Store::create`], perhaps in the place of an older session.
    pub async fn admit(&self, new: Admission<'_>) -> Result<Created, Fault> {
        let idle = new.idle.min(new.record.ends.since(self.clock.now()));
        let cap = new.cap.filter(|cap| cap.sessions > 0);
        let older = new.older.filter(|older| *older != new.hash);
        let new = Admission { idle, cap, older, ..new };
        let asked = async {
            match &self.engine {
                Engine::Embedded(embedded) => embedded.create(&new).await,
                Engine::Redis(redis) => redis.create(&new).await,
            }
        };
        self.meter.time(Op::Login, asked).await
    }

    /// Notes that the session was used now and ends after `life`, soon and without waiting; gathered with others. Never creates.
    pub fn extend(&self, hash: TokenHash, life: Duration) -> Told {
        match &self.engine {
            Engine::Embedded(embedded) => {
                embedded.extend(hash, life);
                Told::at_once()
            }
            Engine::Redis(redis) => redis.extend(hash, life),
        }
    }

    /// Waits until everything noted by [`Store::extend`] has been stored: before the process ends.
    pub async fn flush(&self) -> Result<(), Fault> {
        match &self.engine {
            Engine::Embedded(embedded) => embedded.flush().await,
            Engine::Redis(redis) => redis.flush().await,
        }
    }

    /// Changes the cookies of a living session, compare-and-set: `change` may run again on fresher cookies, and says whether
    /// there is anything to write. `false` where the session is gone, also where another one stands under its token by now.
    pub async fn change_jar(
        &self,
        hash: TokenHash,
        session: &SessionId,
        change: &(dyn Fn(&mut Vec<HeldCookie>) -> bool + Send + Sync),
    ) -> Result<bool, Fault> {
        let change = |record: &mut SessionRecord| change(&mut record.jar);
        Ok(self.change_session(hash, session, &change).await?.is_some())
    }

    /// Changes the record of a living session, compare-and-set: `change` may run again on a fresher one, and says whether there is
    /// anything to write. The record as it stands then; `None` where the session is gone.
    async fn change_session(
        &self,
        hash: TokenHash,
        session: &SessionId,
        change: &(dyn Fn(&mut SessionRecord) -> bool + Send + Sync),
    ) -> Result<Option<SessionRecord>, Fault> {
        let asked = async {
            match &self.engine {
                Engine::Embedded(embedded) => embedded.change_session(hash, session, change).await,
                Engine::Redis(redis) => redis.change_session(hash, session, change).await,
            }
        };
        self.meter.time(Op::Cookies, asked).await
    }

    /// Ends one session. `false` where it was not living.
    pub async fn end(&self, hash: TokenHash, ending: Ending) -> Result<bool, Fault> {
        let asked = async {
            match &self.engine {
                Engine::Embedded(embedded) => embedded.end(hash, ending).await,
                Engine::Redis(redis) => redis.end(hash, ending).await,
            }
        };
        self.meter.time(Op::End, asked).await
    }

    /// Ends all sessions of a user, except one; says how many.
    pub async fn end_user(&self, user: &UserId, except: Option<TokenHash>, ending: Ending) -> Result<usize, Fault> {
        let asked = async {
            match &self.engine {
                Engine::Embedded(embedded) => embedded.end_user(user, except, ending).await,
                Engine::Redis(redis) => redis.end_user(user, except, ending).await,
            }
        };
        self.meter.time(Op::End, asked).await
    }

    /// The living sessions of a user, oldest first.
    pub async fn sessions(&self, user: &UserId) -> Result<Vec<Live>, Fault> {
        let asked = async {
            match &self.engine {
                Engine::Embedded(embedded) => Ok(embedded.sessions(user)),
                Engine::Redis(redis) => redis.sessions(user).await,
            }
        };
        self.meter.time(Op::Admin, asked).await
    }

    /// Remembers for `life` that a client used this nonce or signature; of many who race with the same, one finds it fresh. So
    /// many are remembered of one client, `most`; where gates share a Redis, up to twice as many.
    pub async fn remember(
        &self,
        client: &ClientId,
        what: &[u8],
        life: Duration,
        most: u64,
    ) -> Result<Remembered, Fault> {
        let mark = Codec::mark(client, what);
        let asked = async {
            match &self.engine {
                Engine::Embedded(embedded) => embedded.remember(client, mark, life, most).await,
                Engine::Redis(redis) => redis.remember(client, mark, life, most).await,
            }
        };
        self.meter.time(Op::Nonce, asked).await
    }

    /// Registers a client; `false` where the id is taken.
    pub async fn add_client(&self, record: &ClientRecord) -> Result<bool, Fault> {
        let asked = async {
            match &self.engine {
                Engine::Embedded(embedded) => embedded.add_client(record).await,
                Engine::Redis(redis) => redis.add_client(record).await,
            }
        };
        self.meter.time(Op::Admin, asked).await
    }

    /// Changes a registered client, compare-and-set; its id stays. `None` where there is none.
    pub async fn change_client(
        &self,
        id: &ClientId,
        change: &(dyn Fn(&mut ClientRecord) + Send + Sync),
    ) -> Result<Option<ClientRecord>, Fault> {
        let asked = async {
            match &self.engine {
                Engine::Embedded(embedded) => embedded.change_client(id, change).await,
                Engine::Redis(redis) => redis.change_client(id, change).await,
            }
        };
        self.meter.time(Op::Admin, asked).await
    }

    /// Forgets a client; `false` where there was none.
    pub async fn remove_client(&self, id: &ClientId) -> Result<bool, Fault> {
        let asked = async {
            match &self.engine {
                Engine::Embedded(embedded) => embedded.remove_client(id).await,
                Engine::Redis(redis) => redis.remove_client(id).await,
            }
        };
        self.meter.time(Op::Admin, asked).await
    }

    /// All registered clients, by id. For operators: it may walk the whole key space.
    pub async fn clients(&self) -> Result<Vec<ClientRecord>, Fault> {
        let asked = async {
            match &self.engine {
                Engine::Embedded(embedded) => Ok(embedded.clients()),
                Engine::Redis(redis) => redis.clients().await,
            }
        };
        self.meter.time(Op::Admin, asked).await
    }

    /// Seals registered clients anew that lie under an older key, and says how many: they never expire, so the older key could
    /// not be given up otherwise. A file has been seen to at its opening.
    pub async fn renew_clients(&self) -> Result<usize, Fault> {
        match &self.engine {
            Engine::Embedded(_) => Ok(0),
            Engine::Redis(redis) => redis.renew_clients().await,
        }
    }

    /// Whether it answers.
    pub async fn ping(&self) -> Result<(), Fault> {
        let asked = async {
            match &self.engine {
                Engine::Embedded(_) => Ok(()),
                Engine::Redis(redis) => redis.ping().await,
            }
        };
        self.meter.time(Op::Ping, asked).await
    }

    /// What it is and what answers there, in words; a fault where nothing does or it cannot be used.
    pub async fn reached(&self) -> Result<String, Fault> {
        match &self.engine {
            Engine::Embedded(_) => Ok("embedded".to_owned()),
            Engine::Redis(redis) => redis.reached().await,
        }
    }
}

/// Locks whatever happened to an earlier holder: no critical section here leaves a value half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
