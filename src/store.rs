//! What is remembered: registered clients and sessions. One handle over three engines; every question has a bound in time.
//!
//! "Not there" is `Ok(None)`, never an error. A [`Fault`] means that nobody knows, and that nothing was changed or ended.

use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::ids::{ClientId, TokenHash, UserId};
use crate::secret::Secret;

pub mod embedded;
pub mod record;
pub mod redis;
pub mod seal;

pub use record::{ClientRecord, Ending, HeldCookie, SessionRecord};

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
    /// Seals values and keys token hashes; 32 bytes.
    pub key: Option<Secret>,
    /// Bound of every operation, connecting included.
    pub timeout: Duration,
}

/// Which engine, and where.
#[derive(Clone, Debug)]
pub enum Location {
    /// `memory:`
    Memory,
    /// `file:PATH`
    File(std::path::PathBuf),
    /// `redis://…`, `rediss://…`; the URL may hold a password.
    Redis(Secret),
}

/// What a decision asks, in one round trip.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'a> {
    /// A client to look up (those in the configuration file are not asked for).
    pub client: Option<&'a ClientId>,
    /// A session to look up.
    pub session: Option<TokenHash>,
}

/// What the store knows about a question.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The client.
    pub client: Option<ClientRecord>,
    /// The session, or what is left of it.
    pub session: Option<Found>,
}

/// A session as found.
#[derive(Clone, Debug)]
pub enum Found {
    /// It lives.
    Live(Live),
    /// It was ended, and its holder may be told so.
    Ended(Ending),
}

/// A living session.
#[derive(Clone, Debug)]
pub struct Live {
    /// The key it stands under.
    pub hash: TokenHash,
    /// What is known of it.
    pub record: SessionRecord,
    /// When it ends unless used again.
    pub expires: Timestamp,
    /// Last use, as far as the store was told.
    pub used: Timestamp,
}

/// How many sessions a user may hold.
#[derive(Clone, Copy, Debug)]
pub struct Cap {
    /// At most so many (`session.per_user`).
    pub sessions: usize,
    /// Whether a login over it ends the oldest (`true`) or is refused.
    pub end_oldest: bool,
}

/// What became of a new session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It stands; so many older ones were ended for it.
    Stands {
        /// Sessions displaced by this login.
        displaced: usize,
    },
    /// The user holds as many as allowed.
    Full,
}

/// A handle on the store. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Engine,
}

#[derive(Clone, Debug)]
enum Engine {
    Embedded(embedded::Embedded),
    Redis(redis::Redis),
}

impl Store {
    /// Opens it. A Redis that is away is no error here: questions will be [`Fault`]s until it comes. A file that cannot be opened
    /// or is held by another gate is.
    pub async fn open(_settings: &Settings, _clock: Clock) -> Result<Self, Fault> {
        todo!()
    }

    /// The keyed hash under which a token's session stands.
    pub fn hash(&self, _token: &[u8]) -> TokenHash {
        todo!()
    }

    /// Answers a decision's question, in one round trip.
    pub async fn ask(&self, _question: Question<'_>) -> Result<Records, Fault> {
        let _ = &self.engine;
        todo!()
    }

    /// Writes a new session that expires after `idle`, and enforces `cap` atomically when logins race. Displaced sessions
    /// become [`Ending::NewerLogin`] tombstones.
    pub async fn create(
        &self,
        _hash: TokenHash,
        _record: &SessionRecord,
        _idle: Duration,
        _cap: Option<Cap>,
    ) -> Result<Created, Fault> {
        todo!()
    }

    /// Notes that the session was used now and ends after `life`, soon and without waiting; gathered with others. Never creates.
    pub fn extend(&self, _hash: TokenHash, _life: Duration) {
        todo!()
    }

    /// Changes the cookies of a living session, compare-and-set: `change` may run again on fresher cookies, and says whether
    /// there is anything to write. `false` where the session is gone.
    pub async fn change_jar(
        &self,
        _hash: TokenHash,
        _change: &(dyn Fn(&mut Vec<HeldCookie>) -> bool + Send + Sync),
    ) -> Result<bool, Fault> {
        todo!()
    }

    /// Ends one session. `false` where it was not living.
    pub async fn end(&self, _hash: TokenHash, _ending: Ending) -> Result<bool, Fault> {
        todo!()
    }

    /// Ends all sessions of a user, except one; says how many.
    pub async fn end_user(&self, _user: &UserId, _except: Option<TokenHash>, _ending: Ending) -> Result<usize, Fault> {
        todo!()
    }

    /// The living sessions of a user, oldest first.
    pub async fn sessions(&self, _user: &UserId) -> Result<Vec<Live>, Fault> {
        todo!()
    }

    /// Registers a client; `false` where the id is taken.
    pub async fn add_client(&self, _record: &ClientRecord) -> Result<bool, Fault> {
        todo!()
    }

    /// Changes a registered client, compare-and-set. `None` where there is none.
    pub async fn change_client(
        &self,
        _id: &ClientId,
        _change: &(dyn Fn(&mut ClientRecord) + Send + Sync),
    ) -> Result<Option<ClientRecord>, Fault> {
        todo!()
    }

    /// Forgets a client; `false` where there was none.
    pub async fn remove_client(&self, _id: &ClientId) -> Result<bool, Fault> {
        todo!()
    }

    /// All registered clients, by id. For operators: it may walk the whole key space.
    pub async fn clients(&self) -> Result<Vec<ClientRecord>, Fault> {
        todo!()
    }

    /// Whether it answers.
    pub async fn ping(&self) -> Result<(), Fault> {
        todo!()
    }
}
