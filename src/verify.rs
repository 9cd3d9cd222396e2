//! Judging claims against records. The only maker of [`Permit`]s.
//!
//! One question to the store, then judgement without I/O, so that it can be tested as a table. Only a signature that proved right
//! makes for a second question: whether it was used before.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::clock::{Clock, Timestamp};
use crate::credentials::Claims;
use crate::ids::ClientId;
use crate::policy::endpoint::Fold;
use crate::policy::rule::{Guests, Rule, Signatures};
use crate::policy::{Decided, Requirement};
use crate::request::Unreadable;
use crate::request::body::Body;
use crate::secret::Secret;
use crate::store::counting::Tally;
use crate::store::record::{Algorithm, ClientRecord};
use crate::store::{Fault, Found, Question, Records, Store};

mod at_once;
pub mod channel;
pub mod client;
pub mod client_token;
pub mod denial;
pub mod limits;
pub mod lockout;
mod permit;
pub mod session;
pub mod signature;
mod unproved;
mod upkeep;

pub use at_once::Begun;
pub use channel::{Proof, Resume, Via};
pub use client::{FileClient, KnownClient};
pub use denial::{ClientFlaw, Denial, SessionFlaw};
pub use limits::Excess;
pub use lockout::LoginTry;
pub use permit::{Identity, Permit};
pub use session::{Extension, SessionSettings};
pub use unproved::{WRONG_SIGNATURE, Withdrawn};
pub use upkeep::Upkeep;

use signature::{Attempt, Terms};
use unproved::{Unproved, Use};

/// How claims are judged.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Clients of the configuration file.
    pub clients: Vec<Arc<FileClient>>,
    /// `time.zone`
    pub zone: TimeZone,
    /// `time.skew`
    pub skew: Duration,
    /// `session`
    pub session: SessionSettings,
    /// `limits`
    pub limits: limits::Settings,
    /// `fold`: the endpoints of a client are patterns as in rules.
    pub fold: Fold,
}

/// Why no permit was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The caller lacks something.
    Denied(Denial),
    /// Nobody can tell.
    Undecided(Fault),
    /// The body, which was signed, cannot be read.
    Unreadable(Unreadable),
}

impl From<Unreadable> for Refusal {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Undecided(fault)
    }
}

/// What a judgement looks at beside the records.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// Rule and endpoint.
    pub decided: &'a Decided<'a>,
    /// What the caller says.
    pub claims: &'a Claims<'a>,
    /// The caller's address, for limits, and for sessions bound to it.
    pub address: IpAddr,
    /// The caller's User-Agent, likewise.
    pub user_agent: &'a str,
    /// What of the request may be signed.
    pub request: signature::Request<'a>,
    /// What becomes of it over a limit.
    pub excess: &'a Excess,
    /// The connection that it came by as a message.
    pub via: Option<Via<'a>>,
}

impl Case<'_> {
    /// The client that calls, or says it does. Of a connection, the one that opened it.
    fn claimed_client(&self) -> Option<ClientId> {
        match self.via {
            Some(via) => via.proof.client().cloned(),
            None => self.claims.client_id.and_then(|id| ClientId::new(id).ok()),
        }
    }

    /// With the hash of a body that is there, where a signature over it came along.
    fn with_body(self, body: &Body) -> Self {
        let over_body = self.claims.sign.and_then(signature::algorithm_of) == Some(Algorithm::HmacSha256);
        let body = if over_body { signature::body_hash(body) } else { None };
        Self { request: signature::Request { body, ..self.request }, ..self }
    }
}

/// Judges claims.
#[derive(Debug)]
pub struct Verifier {
    /// A few, so that comparing finds one sooner than hashing.
    clients: BTreeMap<ClientId, KnownClient<'static>>,
    /// Stands in for a client that nobody knows.
    nobody: KnownClient<'static>,
    calendars: client::Calendars,
    session: SessionSettings,
    limits: limits::Settings,
    fold: Fold,
}

impl Verifier {
    /// One that judges by those settings.
    pub fn new(settings: &Settings) -> Self {
        let clients = settings.clients.iter().map(|client| (client.id.clone(), KnownClient::of_file(client))).collect();
        let formats = settings.clients.iter().map(|client| client.date_format.as_str());
        let calendars = client::Calendars::new(&settings.zone, settings.skew, formats);
        let Settings { session, limits, fold, .. } = *settings;
        Self { clients, nobody: KnownClient::nobody(), calendars, session, limits, fold }
    }

    /// How sessions live.
    pub fn session_settings(&self) -> &SessionSettings {
        &self.session
    }

    /// What keeps the permit's session alive on a connection that stays open; `None` where there is none, or its use does not count.
    pub fn upkeep(&self, permit: &Permit, rule: &Rule) -> Option<Upkeep> {
        permit.session().filter(|_| rule.extend).map(|live| Upkeep::of(live, self.session))
    }

    /// Asks the store what the rule needs and judges: limits of the address, client, signature, session, limits of who they are. The
    /// session's expiry is pushed forward where that is due. A small body that was signed is asked for and gathered; a longer one
    /// gets its end checked.
    pub async fn permit(
        &self,
        (case, begun): (&Case<'_>, Begun),
        body: &mut Body,
        store: &Store,
        clock: &Clock,
    ) -> Result<Permit, Refusal> {
        let proved = self.prove((case, begun), body, store, clock).await;
        case.excess.met(self.lock_out(case, store, &proved).await)?;
        let Proved { permit, unproved, extension, .. } = proved?;
        case.excess.met(store.take(&self.limits.of_identity(case, &permit.identity, store)).await)?;
        if let Some(unproved) = unproved {
            let late = unproved.check_at_end(body, store, clock, extension);
            return Ok(Permit { late: Some(late), ..permit });
        }
        match extension {
            Some(extension) => Ok(Permit { told: Box::pin(extension.note(store)).await?, ..permit }),
            None => Ok(permit),
        }
    }

    /// Client, signature and session.
    async fn prove(
        &self,
        (case, begun): (&Case<'_>, Begun),
        body: &mut Body,
        store: &Store,
        clock: &Clock,
    ) -> Result<Proved, Refusal> {
        let now = clock.now();
        let (caller, found, locked) = self.find((&case.with_body(body), begun), store, now).await?;
        let unproved = match caller.signed {
            Signed::Not => None,
            Signed::Right(used) => Box::pin(used.remember(store)).await.map(|()| None)?,
            Signed::Unproved(unproved) => Box::pin(unproved.settle(body, store, clock)).await?,
        };
        let (permit, extension) = self.judge_user(case, (caller.client, caller.secret), found, now)?;
        Ok(Proved { permit, unproved, extension, locked })
    }

    /// Who calls, the session that it claims, and for how long its address is locked, in one question at most.
    async fn find(
        &self,
        (case, begun): (&Case<'_>, Begun),
        store: &Store,
        now: Timestamp,
    ) -> Result<(Caller, Option<Found>, Option<Duration>), Refusal> {
        let require = case.decided.require;
        let claimed = case.claimed_client().filter(|_| require.needs_client());
        let of_file = claimed.as_ref().is_some_and(|id| self.clients.contains_key(id));
        let prechecked = self.precheck(case);
        let known = claimed.as_ref().filter(|_| !of_file && prechecked.is_ok()).map(|id| store.known_client(id));
        if let Some(None) = known {
            let (records, locked) = self.ask(case, claimed.as_ref(), true, store).await?;
            let records = records?;
            let caller = self.judge_caller(case, claimed.as_ref(), records.client.as_deref(), now)?;
            return Ok((caller, records.session, locked));
        }
        // A store that is away is no reason to say anything else of a client that is known and does not prove itself, or of a
        // session that is not even claimed.
        let judged = || self.judge_caller(case, claimed.as_ref(), known.flatten().flatten().as_deref(), now);
        let mut caller = begun.caller.map_or_else(|| prechecked.and_then(|()| judged()), |caller| *caller);
        // An unknown client is looked for in the store. So that nobody can tell the two by the time they take, a refused one is as
        // well, unless that is known already; whatever the store says of it changes nothing.
        let refused = matches!(caller, Err(Denial::ClientRefused(_) | Denial::SignRefused(_)));
        let looked_for = claimed.as_ref().filter(|id| refused && store.known_client(id).is_none());
        if caller.is_ok() && require.needs_user() {
            caller = session::claimed(&self.session, case).and(caller);
        }
        let hopeful = caller.is_ok() || looked_for.is_some();
        let (records, locked) = self.ask(case, looked_for, hopeful, store).await?;
        Ok((caller?, records?.session, locked))
    }

    /// One question: about a registered client, and the session that the rule needs, unless nothing can come of them. What counts
    /// for the address is counted along with it.
    async fn ask(
        &self,
        case: &Case<'_>,
        client: Option<&ClientId>,
        hopeful: bool,
        store: &Store,
    ) -> Result<(Result<Records, Fault>, Option<Duration>), Denial> {
        let require = case.decided.require;
        let matters = require.needs_user() || session::may_come_along(case);
        let user_token = case.claims.user_token.filter(|_| hopeful && matters);
        let session = user_token.map(|token| store.hashes(token)).unwrap_or_default();
        // Where a user is needed, only who is refused will be looked for among the locked.
        // A message proves no client anew.
        let guesses = hopeful && require == Requirement::Client && case.via.is_none();
        let lockout = self.limits.failed_tokens.as_ref().filter(|_| guesses);
        let lock = match lockout {
            Some(lockout) if client.is_some() || store.is_alarmed().await => {
                Some((limits::failed_tokens_of(case.address, store), lockout))
            }
            _ => None,
        };
        let tally = Tally { counts: &self.limits.of_address(case, store), lock };
        let (records, counted) = store.ask_counting(Question { client, session: &session }, &tally).await;
        case.excess.met(counted.over)?;
        Ok((records, counted.locked))
    }

    /// What can be refused without asking anybody.
    fn precheck(&self, case: &Case<'_>) -> Result<(), Denial> {
        let (decided, claims) = (case.decided, case.claims);
        let require = decided.require;
        if require == Requirement::Deny {
            return Err(Denial::Denied("the rule says deny"));
        }
        if require.needs_client() && case.via.is_none() {
            decided.endpoint.as_ref().ok_or(Denial::EndpointUnknown)?;
            claims.client_id.ok_or(Denial::ClientMissing("client_id"))?;
            claims.api_token.ok_or(Denial::ClientMissing("api_token"))?;
        }
        Ok(())
    }

    /// Judges who calls and what it signed against what the store knows. Pure.
    ///
    /// An unknown client is judged as well, against a secret that nobody has, signature and all. So unknown client, wrong token
    /// and right token with a wrong signature cost the same computations, however many secrets and algorithms a client has. Not
    /// the same is a signature over a body that is still to come: nobody is asked for one in vain, so it is judged for a right
    /// token alone.
    fn judge_caller(
        &self,
        case: &Case<'_>,
        claimed: Option<&ClientId>,
        stored: Option<&ClientRecord>,
        now: Timestamp,
    ) -> Result<Caller, Denial> {
        if !case.decided.require.needs_client() {
            return Ok(Caller { client: None, secret: None, signed: Signed::Not });
        }
        let stored = stored.map(KnownClient::of_record);
        let known = claimed.and_then(|id| self.clients.get(id)).or(stored.as_ref());
        if let Some(via) = &case.via {
            return self.judge_proved(case, via, known, now);
        }
        let endpoint = case.decided.endpoint.as_ref().ok_or(Denial::EndpointUnknown)?;
        let token = case.claims.api_token.ok_or(Denial::ClientMissing("api_token"))?;
        let tried = known.unwrap_or(&self.nobody);
        let secrets = tried.live_secrets(now);
        let proved = tried.proved(token, endpoint, &self.calendars, (now, &secrets)).cloned();
        let attempt = Attempt::of(case.request, case.claims);
        let fits = attempt.as_ref().and_then(|attempt| attempt.fits(KnownClient::tried(&secrets).map(Secret::expose)));
        let (client, id, secret) = match (known, claimed, proved) {
            (Some(client), Some(id), Some(secret)) if client.enabled => (client, id, secret),
            (Some(client), Some(_), None) if client.enabled => {
                return Err(Denial::ClientRefused(ClientFlaw::WrongToken));
            }
            (Some(_), _, _) => return Err(Denial::ClientRefused(ClientFlaw::Disabled)),
            (None, _, _) => return Err(Denial::ClientRefused(ClientFlaw::Unknown)),
        };
        if !client.may_call(endpoint, self.fold) {
            return Err(Denial::Denied("the client may not call this endpoint"));
        }
        let rule = &case.decided.rule.signatures;
        let signed = match signature::terms(rule.demand(client.signature), rule, case.claims, now)? {
            None => Signed::Not,
            Some(terms) => signed(id, rule, terms, (attempt, fits), secrets)?,
        };
        Ok(Caller { client: Some(id.clone()), secret: Some(secret), signed })
    }

    /// Judges the session. Pure.
    fn judge_user(
        &self,
        case: &Case<'_>,
        (client, client_secret): (Option<ClientId>, Option<Secret>),
        found: Option<Found>,
        now: Timestamp,
    ) -> Result<(Permit, Option<Extension>), Denial> {
        let live = if case.decided.require.needs_user() {
            Some(session::judge(&self.session, case, found, client.as_ref(), now)?)
        } else if session::may_come_along(case) {
            session::judge_optional(&self.session, case, found, client.as_ref(), now)?
        } else {
            None
        };
        let extends = case.decided.rule.extend;
        let extension = live.as_ref().filter(|_| extends).and_then(|live| self.session.extension(live, now));
        let permit = match case.decided.rule.guests {
            Guests::TakenOver => Permit { guest: live, ..Permit::of(client, client_secret, None) },
            Guests::Unknown | Guests::Welcome => Permit::of(client, client_secret, live),
        };
        Ok((permit, extension))
    }
}

/// A caller who may pass, but for limits.
#[derive(Debug)]
struct Proved {
    permit: Permit,
    unproved: Option<Unproved>,
    extension: Option<Extension>,
    /// The address is locked for so much longer, as far as that was looked for.
    locked: Option<Duration>,
}

/// Who calls, and what is known of its signature.
#[derive(Debug)]
struct Caller {
    client: Option<ClientId>,
    /// The secret by which it proved itself.
    secret: Option<Secret>,
    signed: Signed,
}

/// What is known of a signature.
#[derive(Debug)]
enum Signed {
    /// None is looked at.
    Not,
    /// It is right, if it was not used before.
    Right(Use),
    /// The body is still to come.
    Unproved(Unproved),
}

fn signed(
    id: &ClientId,
    rule: &Signatures,
    terms: Terms,
    (attempt, fits): (Option<Attempt>, Option<bool>),
    secrets: Vec<Secret>,
) -> Result<Signed, Denial> {
    let used = Use::of(id, rule, terms.marks);
    match (fits, attempt) {
        (Some(true), _) => Ok(Signed::Right(used)),
        (None, Some(attempt)) => {
            Ok(Signed::Unproved(Unproved { attempt, secrets, made: terms.made, window: rule.window, used }))
        }
        (Some(false), _) | (None, None) => Err(WRONG_SIGNATURE),
    }
}

/// What a client may use where nothing is said.
pub const DEFAULT_ALGORITHMS: [Algorithm; 2] = [Algorithm::Md5, Algorithm::HmacSha256];

#[cfg(test)]
mod tests;
