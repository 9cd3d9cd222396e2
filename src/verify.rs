//! Judging claims against records. The only maker of [`Permit`]s.
//!
//! One question to the store, then judgement without I/O, so that it can be tested as a table. Only a signature that proved right
//! makes for a second question: whether it was used before.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::clock::{Clock, Timestamp};
use crate::credentials::Claims;
use crate::ids::{ClientId, SessionId, UserId};
use crate::policy::Decided;
use crate::policy::endpoint::Fold;
use crate::policy::rule::Signatures;
use crate::request::Unreadable;
use crate::request::body::Body;
use crate::secret::Secret;
use crate::store::record::{Algorithm, ClientRecord};
use crate::store::{Fault, Found, Live, Question, Records, Store};

pub mod client;
pub mod client_token;
pub mod denial;
pub mod session;
pub mod signature;
mod unproved;

pub use client::{FileClient, KnownClient};
pub use denial::{ClientFlaw, Denial, SessionFlaw};
pub use session::{Extension, SessionSettings};
pub use unproved::Withdrawn;

use signature::{Attempt, Terms};
use unproved::{Late, Unproved, Use, WRONG_SIGNATURE};

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
    /// `fold`: the endpoints of a client are patterns as in rules.
    pub fold: Fold,
}

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

/// Proof that a request may be forwarded. Nobody but this module makes one.
#[derive(Debug)]
pub struct Permit {
    identity: Identity,
    client_secret: Option<Secret>,
    session: Option<Live>,
    late: Option<Late>,
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

    /// The session that was used.
    pub fn session(&self) -> Option<&Live> {
        self.session.as_ref()
    }

    /// Why it does not count any more: what was signed over a body that was still to come turned out not to be right. The body
    /// itself has held its end back then.
    pub fn withdrawn(&self) -> Option<&Withdrawn> {
        self.late.as_ref().and_then(|late| late.get())
    }

    /// What `mode: observe` forwards: a request that proved nothing.
    pub fn observed() -> Self {
        Self { identity: Identity::default(), client_secret: None, session: None, late: None }
    }
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
    /// The caller's address, for sessions bound to it.
    pub ip: &'a str,
    /// The caller's User-Agent, likewise.
    pub user_agent: &'a str,
    /// What of the request may be signed.
    pub request: signature::Request<'a>,
}

impl Case<'_> {
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
    clients: HashMap<ClientId, KnownClient<'static>>,
    calendars: client::Calendars,
    session: SessionSettings,
    fold: Fold,
}

/// A session that ends sooner than this is extended before its request goes on: noted in passing, the use could come too late.
const SOON: Duration = Duration::from_secs(1);

impl Verifier {
    /// One that judges by those settings.
    pub fn new(settings: &Settings) -> Self {
        let clients = settings.clients.iter().map(|client| (client.id.clone(), KnownClient::of_file(client))).collect();
        let formats = settings.clients.iter().map(|client| client.date_format.as_str());
        let calendars = client::Calendars::new(&settings.zone, settings.skew, formats);
        Self { clients, calendars, session: settings.session, fold: settings.fold }
    }

    /// How sessions live.
    pub fn session_settings(&self) -> &SessionSettings {
        &self.session
    }

    /// Asks the store what the rule needs and judges: client, then signature, then session, whose expiry is pushed forward where
    /// that is due. A small body that was signed is asked for and gathered; a longer one gets its end checked.
    pub async fn permit(
        &self,
        case: &Case<'_>,
        body: &mut Body,
        store: &Store,
        clock: &Clock,
    ) -> Result<Permit, Refusal> {
        self.precheck(case)?;
        let now = clock.now();
        let (caller, found) = self.find(&case.with_body(body), store, now).await?;
        let unproved = match caller.signed {
            Signed::Not => None,
            Signed::Right(used) => used.remember(store).await.map(|()| None)?,
            Signed::Unproved(unproved) => unproved.settle(body, store, clock).await?,
        };
        let (permit, extension) = self.judge_user(case, (caller.client, caller.secret), found, now)?;
        if let Some(unproved) = unproved {
            let late = unproved.check_at_end(body, store, clock, extension);
            return Ok(Permit { late: Some(late), ..permit });
        }
        if let Some(extension) = extension {
            store.extend(extension.hash, extension.life);
            if permit.session().is_some_and(|live| live.expires.since(now) < SOON) {
                store.flush().await?;
            }
        }
        Ok(permit)
    }

    /// Who calls, and the session that it claims, in one question at most.
    async fn find(&self, case: &Case<'_>, store: &Store, now: Timestamp) -> Result<(Caller, Option<Found>), Refusal> {
        let require = case.decided.rule.require;
        let claimed = claimed_client(case.claims).filter(|_| require.needs_client());
        let of_file = claimed.as_ref().is_some_and(|id| self.clients.contains_key(id));
        if require.needs_client() && !of_file {
            let records = ask(case, claimed.as_ref(), store).await?;
            let caller = self.judge_caller(case, records.client.as_ref(), now)?;
            return Ok((caller, records.session));
        }
        // A store that is away is no reason to say anything else of a client of the file that does not prove itself, or of a
        // session that is not even claimed.
        let caller = self.judge_caller(case, None, now);
        if caller.is_err() {
            // An unknown client is looked for in the store. So that nobody can tell the two by the time they take, this one is as
            // well; whatever the store says of it changes nothing.
            let _ = ask(case, claimed.as_ref(), store).await;
        }
        let caller = caller?;
        if require.needs_user() {
            session::claimed(&self.session, case.claims)?;
        }
        Ok((caller, ask(case, None, store).await?.session))
    }

    /// What can be refused without asking anybody.
    fn precheck(&self, case: &Case<'_>) -> Result<(), Denial> {
        let (decided, claims) = (case.decided, case.claims);
        let require = decided.rule.require;
        if require == crate::policy::Requirement::Deny {
            return Err(Denial::Denied("the rule says deny"));
        }
        if require.needs_client() {
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
    fn judge_caller(&self, case: &Case<'_>, stored: Option<&ClientRecord>, now: Timestamp) -> Result<Caller, Denial> {
        if !case.decided.rule.require.needs_client() {
            return Ok(Caller { client: None, secret: None, signed: Signed::Not });
        }
        let endpoint = case.decided.endpoint.as_ref().ok_or(Denial::EndpointUnknown)?;
        let token = case.claims.api_token.ok_or(Denial::ClientMissing("api_token"))?;
        let claimed = claimed_client(case.claims);
        let stored = stored.map(KnownClient::of_record);
        let known = claimed.as_ref().and_then(|id| self.clients.get(id)).or(stored.as_ref());
        let nobody = KnownClient::nobody();
        let secrets = known.unwrap_or(&nobody).live_secrets(now);
        let proved = known.unwrap_or(&nobody).proved(token, endpoint, &self.calendars, (now, &secrets)).cloned();
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
            Some(terms) => signed(&id, rule, terms, (attempt, fits), secrets)?,
        };
        Ok(Caller { client: Some(id), secret: Some(secret), signed })
    }

    /// Judges the session. Pure.
    fn judge_user(
        &self,
        case: &Case<'_>,
        (client, client_secret): (Option<ClientId>, Option<Secret>),
        found: Option<Found>,
        now: Timestamp,
    ) -> Result<(Permit, Option<Extension>), Denial> {
        let mut identity = Identity { client, ..Identity::default() };
        if !case.decided.rule.require.needs_user() {
            return Ok((Permit { identity, client_secret, session: None, late: None }, None));
        }
        let live = session::judge(&self.session, case, found, identity.client.as_ref(), now)?;
        identity.user = Some(live.record.user.clone());
        identity.session = Some(live.record.id.clone());
        let extension = if case.decided.rule.extend { self.session.extension(&live, now) } else { None };
        Ok((Permit { identity, client_secret, session: Some(live), late: None }, extension))
    }
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

/// One question: about a registered client, and the session that the rule needs.
async fn ask(case: &Case<'_>, client: Option<&ClientId>, store: &Store) -> Result<Records, Fault> {
    let user_token = case.claims.user_token.filter(|_| case.decided.rule.require.needs_user());
    let session = user_token.map(|token| store.hashes(token)).unwrap_or_default();
    let question = Question { client, session: &session };
    if question.client.is_none() && question.session.is_empty() {
        return Ok(Records::default());
    }
    store.ask(question).await
}

fn claimed_client(claims: &Claims<'_>) -> Option<ClientId> {
    claims.client_id.and_then(|id| ClientId::new(id).ok())
}

/// What a client may use where nothing is said.
pub const DEFAULT_ALGORITHMS: [Algorithm; 2] = [Algorithm::Md5, Algorithm::HmacSha256];

#[cfg(test)]
mod tests;
