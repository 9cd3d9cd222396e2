//! What a judgement leaves to be done about a signature: remembering what was used, and judging a body at its end.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::ids::ClientId;
use crate::policy::rule::Signatures;
use crate::request::body::Body;
use crate::secret::Secret;
use crate::store::{Remembered, Store};
use crate::verify::Refusal;
use crate::verify::denial::Denial;
use crate::verify::session::Extension;
use crate::verify::signature::{Attempt, BodyHash, UPLOAD, body_hash};

/// A signature that fits nothing.
pub const WRONG_SIGNATURE: Denial = Denial::SignRefused("the signature is wrong");

/// Something that a client signed with, to be remembered so that it cannot be used again.
#[derive(Debug)]
pub(super) struct Use {
    client: ClientId,
    marks: Vec<Vec<u8>>,
    life: Duration,
    most: u64,
}

impl Use {
    /// A timestamp passes from `window` before it to `window` after it, to the end of that second.
    pub(super) fn of(client: &ClientId, rule: &Signatures, marks: Vec<Vec<u8>>) -> Self {
        let life = rule.window * 2 + Duration::from_secs(1);
        Self { client: client.clone(), marks, life, most: rule.max_nonces }
    }

    /// Remembers it; an error where it was used before.
    pub(super) async fn remember(&self, store: &Store) -> Result<(), Refusal> {
        for mark in &self.marks {
            match store.remember(&self.client, mark, self.life, self.most).await? {
                Remembered::Fresh => {}
                Remembered::Seen => return Err(Denial::SignReplayed.into()),
                Remembered::Full(wait) => return Err(Denial::Limited("the client's nonces", wait).into()),
            }
        }
        Ok(())
    }
}

/// A signature over a body that is still to come.
pub(super) struct Unproved {
    pub(super) attempt: Attempt,
    pub(super) secrets: Vec<Secret>,
    pub(super) made: Timestamp,
    pub(super) window: Duration,
    pub(super) used: Use,
}

/// Why a permit does not count any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// What the caller is told.
    pub refusal: Refusal,
    /// What the body turned out to be.
    pub body: BodyHash,
}

/// What became of a permit after it was made.
pub(super) type Late = Arc<OnceLock<Withdrawn>>;

impl Unproved {
    /// Proves it over a body that is small enough to be gathered first; gives it back where the body is longer.
    pub(super) async fn settle(self, body: &mut Body, store: &Store, clock: &Clock) -> Result<Option<Self>, Refusal> {
        body.settle().await?;
        match body_hash(body) {
            None => Ok(Some(self)),
            Some(hash) => self.prove(hash, store, clock.now(), Duration::ZERO).await.map(|()| None),
        }
    }

    /// Has the body hold its end back until the signature has proved right; the session is used only then.
    pub(super) fn check_at_end(
        self,
        body: &mut Body,
        store: &Store,
        clock: &Clock,
        extension: Option<Extension>,
    ) -> Late {
        let late = Late::default();
        let (told, store, clock) = (Arc::clone(&late), store.clone(), clock.clone());
        body.check_end(Box::new(move |hash| {
            Box::pin(async move {
                let mut proof = self.prove(hash, &store, clock.now(), UPLOAD).await;
                if let (Ok(()), Some(extension)) = (&proof, extension) {
                    match extension.note(&store).await {
                        Ok(told) => told.wait().await,
                        Err(fault) => proof = Err(fault.into()),
                    }
                }
                let Err(refusal) = proof else { return true };
                // Nobody else sets it.
                let _ = told.set(Withdrawn { refusal, body: hash });
                false
            })
        }));
        late
    }

    /// Until `late` after its window a body may end; what was used is remembered so much longer.
    async fn prove(self, hash: BodyHash, store: &Store, now: Timestamp, late: Duration) -> Result<(), Refusal> {
        if now.as_secs().saturating_sub(self.made.as_secs()) > (self.window + late).as_secs() {
            return Err(Denial::SignExpired.into());
        }
        if !self.attempt.fits_with(hash, self.secrets.iter().map(Secret::expose)) {
            return Err(WRONG_SIGNATURE.into());
        }
        let life = self.used.life + late;
        Use { life, ..self.used }.remember(store).await
    }
}

impl fmt::Debug for Unproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unproved").field("made", &self.made).finish_non_exhaustive()
    }
}
