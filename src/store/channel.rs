//! Sessions that live on one connection: which one, and how they come to another.
//!
//! A session that was made over a WebSocket names the connection in its record. Whoever holds its token can use it there and nowhere
//! else. It moves only to who shows its wstoken as well, which is used up by that: one compare-and-set of the record, so that of
//! two who race with the same one, one gets the session.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::{ChannelId, SessionId, TokenHash};

use super::record::SessionRecord;
use super::{Fault, Store};

/// The connection that a session is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Which: the gate's instance, and the connection there.
    pub id: ChannelId,
    /// [`Store::channel_key`] of the wstoken that moves the session to another connection.
    pub key: TokenHash,
    /// When the connection was lost; `None` while it stands, as far as its gate could tell.
    pub lost: Option<Timestamp>,
}

/// A session to be moved to another connection.
#[derive(Clone, Debug)]
pub struct Move<'a> {
    /// Where it stands.
    pub hash: TokenHash,
    /// Its id.
    pub session: &'a SessionId,
    /// The hashes that the wstoken shown may have ([`Store::channel_keys`]).
    pub shown: &'a [TokenHash],
    /// Where it shall live.
    pub to: &'a Channel,
    /// How long after its connection was lost it may move.
    pub within: Duration,
}

/// What became of a session that was to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It lives on the new connection. The old one, if it stands, learns of that from its watch.
    Done,
    /// Nothing was changed.
    Not(Unmoved),
    /// There is no such session any more.
    Gone,
}

/// Why a session does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmoved {
    /// It is bound to no connection.
    Unbound,
    /// The wstoken is not the present one.
    WrongKey,
    /// The connection was lost too long ago.
    Late,
}

impl Channel {
    /// Whether its session may move to who shows one of those keys. A connection that nobody saw being lost may be dead all the
    /// same (half-open, or its gate was killed), so who shows the right key need not wait.
    pub fn lets_go(&self, shown: &[TokenHash], now: Timestamp, within: Duration) -> Result<(), Unmoved> {
        if !shown.contains(&self.key) {
            return Err(Unmoved::WrongKey);
        }
        match self.lost {
            Some(lost) if now > lost.plus(within) => Err(Unmoved::Late),
            _ => Ok(()),
        }
    }
}

impl Store {
    /// The keyed hash that a wstoken is remembered as.
    pub fn channel_key(&self, wstoken: &[u8]) -> TokenHash {
        self.codec.hash(&named(wstoken))
    }

    /// The hashes that a wstoken may be remembered as, one for each key of the store.
    pub fn channel_keys(&self, wstoken: &[u8]) -> Vec<TokenHash> {
        self.codec.hashes(&named(wstoken))
    }

    /// Moves a session to another connection, compare-and-set.
    pub async fn rebind(&self, moving: &Move<'_>) -> Result<Moved, Fault> {
        let now = self.clock.now();
        let may = |record: &SessionRecord| match &record.channel {
            Some(channel) => channel.lets_go(moving.shown, now, moving.within),
            None => Err(Unmoved::Unbound),
        };
        let change = |record: &mut SessionRecord| {
            let may = may(record).is_ok();
            if may {
                record.channel = Some(Box::new(moving.to.clone()));
            }
            may
        };
        let Some(record) = self.change_session(moving.hash, moving.session, &change).await? else {
            return Ok(Moved::Gone);
        };
        if record.channel.as_deref() == Some(moving.to) {
            self.tell_moved(moving.hash).await;
            return Ok(Moved::Done);
        }
        Ok(Moved::Not(may(&record).err().unwrap_or(Unmoved::WrongKey)))
    }

    /// Notes that the connection of a session was lost now; `false` where it lives on another one, or not at all.
    pub async fn lose_channel(&self, hash: TokenHash, session: &SessionId, channel: &ChannelId) -> Result<bool, Fault> {
        let now = self.clock.now();
        let change = |record: &mut SessionRecord| match &mut record.channel {
            Some(own) if own.id == *channel && own.lost.is_none() => {
                own.lost = Some(now);
                true
            }
            _ => false,
        };
        let record = self.change_session(hash, session, &change).await?;
        Ok(record.and_then(|record| record.channel).is_some_and(|own| own.id == *channel))
    }
}

/// So that no wstoken's hash is that of a token.
fn named(wstoken: &[u8]) -> Vec<u8> {
    [b"wstoken\0", wstoken].concat()
}
