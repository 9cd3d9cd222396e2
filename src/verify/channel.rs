//! Connections: what was proved once, when one was opened, and counts for every message on it; sessions that live on one.

use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::ids::{ChannelId, ClientId, TokenHash};
use crate::secret::Secret;
use crate::store::channel::{Channel, Move, Moved, Unmoved};
use crate::store::{Live, Store};
use crate::verify::denial::{ClientFlaw, Denial, SessionFlaw};
use crate::verify::{Begun, Caller, Case, KnownClient, Permit, Refusal, Signed, Verifier, session, signature};

/// What a caller proved when it opened a connection. Only a permit gives one.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    client: Option<ClientId>,
    secret: Option<Secret>,
}

impl Proof {
    /// The client that opened it.
    pub fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }
}

impl Permit {
    /// What counts for the messages of a connection that was opened by it.
    pub fn proof(&self) -> Proof {
        Proof { client: self.identity.client.clone(), secret: self.client_secret.clone() }
    }
}

/// The connection that a message came by.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// Which.
    pub channel: &'a ChannelId,
    /// What was proved when it was opened.
    pub proof: &'a Proof,
}

/// A session that shall live on the connection that asks.
#[derive(Clone, Copy, Debug)]
pub struct Resume<'a> {
    /// What must be shown beside the token.
    pub wstoken: &'a [u8],
    /// Where it shall live, and what moves it from there.
    pub to: &'a Channel,
    /// How long after its connection was lost it may move.
    pub within: Duration,
}

impl Verifier {
    /// The client of a connection, as it stands now: it may have been disabled, or its secret replaced, since it proved itself.
    pub(super) fn judge_proved(
        &self,
        case: &Case<'_>,
        via: &Via<'_>,
        known: Option<&KnownClient<'_>>,
        now: Timestamp,
    ) -> Result<Caller, Denial> {
        let endpoint = case.decided.endpoint.as_ref().ok_or(Denial::EndpointUnknown)?;
        let (Some(id), Some(secret)) = (&via.proof.client, &via.proof.secret) else {
            return Err(Denial::ClientMissing("the connection was opened without a client"));
        };
        let client = known.ok_or(Denial::ClientRefused(ClientFlaw::Disabled))?;
        if !client.enabled {
            return Err(Denial::ClientRefused(ClientFlaw::Disabled));
        }
        if !client.live_secrets(now).contains(secret) {
            return Err(Denial::ClientRefused(ClientFlaw::Replaced));
        }
        if !client.may_call(endpoint, self.fold) {
            return Err(Denial::Denied("the client may not call this endpoint"));
        }
        // A message carries no signature of its own.
        let rule = &case.decided.rule.signatures;
        signature::terms(rule.demand(client.signature), rule, case.claims, now)?;
        Ok(Caller { client: Some(id.clone()), secret: Some(secret.clone()), signed: Signed::Not })
    }

    /// Lets a session live on the connection that asks, if it may: the same questions and limits as for any message, and the
    /// session's move in place of its use.
    pub async fn resume(
        &self,
        case: &Case<'_>,
        resume: &Resume<'_>,
        store: &Store,
        clock: &Clock,
    ) -> Result<Permit, Refusal> {
        let (caller, found, _) = self.find((case, Begun::default()), store, clock.now()).await?;
        let live = session::judge_elsewhere(&self.session, case, found, caller.client.as_ref(), clock.now())?;
        let shown = store.channel_keys(resume.wstoken);
        may_move(&live, &shown, resume, clock.now())?;
        let permit = Permit::of(caller.client, caller.secret, Some(live));
        case.excess.met(store.take(&self.limits.of_identity(case, &permit.identity, store)).await)?;
        let Some(live) = &permit.session else { return Err(Denial::UserRefused(SessionFlaw::Unknown).into()) };
        let session = &live.record.id;
        let moving = Move { hash: live.hash, session, shown: &shown, to: resume.to, within: resume.within };
        match store.rebind(&moving).await? {
            Moved::Done => {}
            Moved::Gone => return Err(Denial::UserRefused(SessionFlaw::Unknown).into()),
            Moved::Not(why) => return Err(why.into()),
        }
        if let Some(extension) = self.session.extension(live, clock.now()) {
            extension.note(store).await?;
        }
        Ok(permit)
    }
}

/// As far as the record tells that was found; the store looks once more when it moves the session.
fn may_move(live: &Live, shown: &[TokenHash], resume: &Resume<'_>, now: Timestamp) -> Result<(), Denial> {
    let channel = live.record.channel.as_ref().ok_or(Denial::from(Unmoved::Unbound))?;
    channel.lets_go(shown, now, resume.within).map_err(Denial::from)
}

impl From<Unmoved> for Denial {
    fn from(why: Unmoved) -> Self {
        match why {
            Unmoved::Unbound => Self::WrongChannel("the session was not made over a connection"),
            Unmoved::WrongKey => Self::WrongChannel("the wstoken is not the session's"),
            Unmoved::Late => Self::UserRefused(SessionFlaw::Expired),
        }
    }
}

impl From<Unmoved> for Refusal {
    fn from(why: Unmoved) -> Self {
        Self::Denied(why.into())
    }
}

/// Whether a session may be used where the caller is: one that lives on a connection there alone, any other over HTTP alone.
pub(super) fn lives_here(case: &Case<'_>, live: &Live) -> Result<(), Denial> {
    match (&live.record.channel, case.via) {
        (None, None) => Ok(()),
        (Some(channel), Some(via)) if channel.id == *via.channel => Ok(()),
        (Some(_), Some(_)) => Err(Denial::WrongChannel("the session lives on another connection")),
        (Some(_), None) => Err(Denial::WrongChannel("the session lives on a WebSocket")),
        (None, Some(_)) => Err(Denial::WrongChannel("the session was not made over this connection")),
    }
}
