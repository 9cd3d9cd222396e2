//! What a judgement in favour of a request gives it.

use crate::ids::{ClientId, SessionId, UserId};
use crate::secret::Secret;
use crate::store::{Live, Told};
use crate::verify::unproved::{Late, Withdrawn};

/// Who asks, as proved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: Option<UserId>,
    /// The client.
    pub client: Option<ClientId>,
    /// The session.
    pub session: Option<SessionId>,
}

/// Proof that a request may be forwarded. Nobody but the judge makes one.
#[derive(Debug)]
pub struct Permit {
    pub(super) identity: Identity,
    pub(super) client_secret: Option<Secret>,
    pub(super) session: Option<Live>,
    /// The guest's session that a login goes on from.
    pub(super) guest: Option<Live>,
    pub(super) late: Option<Late>,
    pub(super) told: Told,
}

impl Permit {
    /// Who asks.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The secret by which the client proved itself: while it is being rotated, the one of the two that the caller knows.
    pub fn client_secret(&self) -> Option<&Secret> {
        self.client_secret.as_ref()
    }

    /// The guest's session in whose place a login puts a user's.
    pub fn guest(&self) -> Option<&Live> {
        self.guest.as_ref()
    }

    /// The session that was used.
    pub fn session(&self) -> Option<&Live> {
        self.session.as_ref()
    }

    /// Why it does not count any more: what was signed over a body that was still to come turned out not to be right. The body
    /// itself has held its end back then.
    pub fn withdrawn(&self) -> Option<&Withdrawn> {
        self.late.as_ref().and_then(|late| late.get())
    }

    /// Waits until the store knows of the use, if it had to be told: no answer goes out before, so that a gate that dies right after
    /// it takes no user's time away.
    pub async fn told(&self) {
        self.told.wait().await;
    }

    pub(super) fn of(client: Option<ClientId>, client_secret: Option<Secret>, session: Option<Live>) -> Self {
        let user = session.as_ref().and_then(|live| live.record.user.clone());
        let id = session.as_ref().map(|live| live.record.id.clone());
        let identity = Identity { user, client, session: id };
        Self { identity, client_secret, session, guest: None, late: None, told: Told::at_once() }
    }

    /// What `mode: observe` forwards: a request that proved nothing.
    pub fn observed() -> Self {
        Self::of(None, None, None)
    }
}
