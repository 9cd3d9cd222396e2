//! A session that is used over a connection that stays open, without a request each time.

use crate::clock::Timestamp;
use crate::ids::TokenHash;
use crate::store::{Live, Store};
use crate::verify::session::{Extension, SessionSettings, Span};

/// What it takes to extend a session that a permit was made for. Whoever holds it tells of every use.
#[derive(Clone, Debug)]
pub struct Upkeep {
    hash: TokenHash,
    span: Span,
    settings: SessionSettings,
}

impl Upkeep {
    pub(super) fn of(live: &Live, settings: SessionSettings) -> Self {
        Self { hash: live.hash, span: Span::of(live, &settings), settings }
    }

    /// The session was used: its expiry is pushed forward where that is due. The store is not waited for, and one that was ended
    /// stays ended.
    pub fn used(&mut self, store: &Store, now: Timestamp) {
        if let Some(Extension { hash, life, .. }) = self.settings.extension_of(self.hash, self.span, now) {
            store.extend(hash, life);
            self.span.expires = now.plus(life);
        }
    }
}
