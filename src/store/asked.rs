//! What is asked of a store, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::{ClientId, TokenHash};
use crate::store::record::{ClientRecord, Ending, SessionRecord};

/// What a decision asks, in one round trip.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'a> {
    /// A client to look up (those in the configuration file are not asked for).
    pub client: Option<&'a ClientId>,
    /// A session to look up: the hashes it may stand under ([`hashes`](crate::store::Store::hashes)), of which the first that is there counts.
    pub session: &'a [TokenHash],
}

impl Question<'_> {
    /// Whether it asks for nothing.
    pub const fn is_empty(&self) -> bool {
        self.client.is_none() && self.session.is_empty()
    }
}

/// What the store knows about a question.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The client.
    pub client: Option<Arc<ClientRecord>>,
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
    pub record: Arc<SessionRecord>,
    /// When it ends unless used again.
    pub expires: Timestamp,
    /// Last use, as far as the store was told.
    pub used: Timestamp,
}

/// A session to be admitted.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// Where it will stand.
    pub hash: TokenHash,
    /// What is known of it.
    pub record: &'a SessionRecord,
    /// It expires after that (and never later than its record says), unless it is used.
    pub idle: Duration,
    /// How many its user may hold.
    pub cap: Option<Cap>,
    /// The session in whose place it comes: it does not count for the cap, and is ended as by a logout when the new one stands.
    pub older: Option<TokenHash>,
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

/// What became of a nonce or signature that was to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// It is new, and remembered from now on.
    Fresh,
    /// It was used before.
    Seen,
    /// The client has used as many as are remembered. Room comes after so long.
    Full(Duration),
}
