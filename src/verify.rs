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
    session: Option<Live>,
    late: Option<Late>,
}

impl Permit {
    /// Who asks.
    pub fn identity(&self) -> &Identity {
        &self.identity
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
        Self { identity: Identity::default(), session: None, late: None }
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

/// Judges claims.
#[derive(Debug)]
pub struct Verifier {
    clients: HashMap<ClientId, KnownClient>,
    calendars: client::Calendars,
    session: SessionSettings,
}

impl Verifier {
    /// One that judges by those settings.
    pub fn new(settings: &Settings) -> Self {
        let clients = settings.clients.iter().map(|client| (client.id.clone(), KnownClient::of_file(client))).collect();
        let formats = settings.clients.iter().map(|client| client.date_format.as_str());
        let calendars = client::Calendars::new(&settings.zone, settings.skew, formats);
        Self { clients, calendars, session: settings.session }
    }

    /// How sessions live.
    pub fn session_settings(&self) -> &SessionSettings {
        &self.session
    }

    /// Asks the store what the rule needs and judges: client, then signature, then session, whose expiry is pushed forward where
    /// that is due. A signed body that is still to come gets its end checked.
    pub async fn permit(
        &self,
        case: &Case<'_>,
        body: &mut Body,
        store: &Store,
        clock: &Clock,
    ) -> Result<Permit, Refusal> {
        self.precheck(case)?;
        let case = &with_body(case, body).await?;
        let records = self.ask(case, store).await?;
        let now = clock.now();
        let caller = self.judge_caller(case, records.client.as_ref(), now)?;
        if let Signed::Right(used) = &caller.signed {
            used.remember(store).await?;
        }
        let (permit, extension) = self.judge_user(case, caller.client, records.session, now)?;
        if let Signed::Unproved(unproved) = caller.signed {
            let late = unproved.check_at_end(body, store, clock, extension);
            return Ok(Permit { late: Some(late), ..permit });
        }
        if let Some(extension) = extension {
            store.extend(extension.hash, extension.life);
        }
        Ok(permit)
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

    async fn ask(&self, case: &Case<'_>, store: &Store) -> Result<Records, Fault> {
        let require = case.decided.rule.require;
        let client = claimed_client(case.claims).filter(|id| require.needs_client() && !self.clients.contains_key(id));
        let user_token = case.claims.user_token.filter(|_| require.needs_user());
        let question = Question { client: client.as_ref(), session: user_token.map(|token| store.hash(token)) };
        if question.client.is_none() && question.session.is_none() {
            return Ok(Records::default());
        }
        store.ask(question).await
    }

    /// Judges who calls and what it signed against what the store knows. Pure.
    ///
    /// An unknown client is judged as well, against a secret that nobody has, signature and all. So unknown client, wrong token
    /// and right token with a wrong signature cost the same computations. Not the same is a client with two live secrets, which
    /// costs twice as much, and a signature over a body that streams: that is judged at its end, and only for a right token.
    fn judge_caller(&self, case: &Case<'_>, stored: Option<&ClientRecord>, now: Timestamp) -> Result<Caller, Denial> {
        if !case.decided.rule.require.needs_client() {
            return Ok(Caller { client: None, signed: Signed::Not });
        }
        let endpoint = case.decided.endpoint.as_ref().ok_or(Denial::EndpointUnknown)?;
        let token = case.claims.api_token.ok_or(Denial::ClientMissing("api_token"))?;
        let claimed = claimed_client(case.claims);
        let stored = stored.map(KnownClient::of_record);
        let known = claimed.as_ref().and_then(|id| self.clients.get(id)).or(stored.as_ref());
        let nobody = KnownClient::nobody();
        let secrets = known.unwrap_or(&nobody).live_secrets(now);
        let proves = known.unwrap_or(&nobody).proves(token, endpoint, &self.calendars, (now, &secrets));
        let attempt = Attempt::of(case.request, case.claims);
        let fits = attempt.as_ref().and_then(|attempt| attempt.fits(secrets.iter().map(Secret::expose)));
        let (client, id) = match (known, claimed) {
            (Some(client), Some(id)) if client.enabled && proves => (client, id),
            (Some(client), Some(_)) if client.enabled => return Err(Denial::ClientRefused(ClientFlaw::WrongToken)),
            (Some(_), _) => return Err(Denial::ClientRefused(ClientFlaw::Disabled)),
            (None, _) => return Err(Denial::ClientRefused(ClientFlaw::Unknown)),
        };
        if !client.may_call(endpoint) {
            return Err(Denial::Denied("the client may not call this endpoint"));
        }
        let rule = &case.decided.rule.signatures;
        let signed = match signature::terms(rule.demand(client.signature), rule, case.claims, now)? {
            None => Signed::Not,
            Some(terms) => signed(&id, rule, terms, (attempt, fits), secrets)?,
        };
        Ok(Caller { client: Some(id), signed })
    }

    /// Judges the session. Pure.
    fn judge_user(
        &self,
        case: &Case<'_>,
        client: Option<ClientId>,
        found: Option<Found>,
        now: Timestamp,
    ) -> Result<(Permit, Option<Extension>), Denial> {
        let mut identity = Identity { client, ..Identity::default() };
        if !case.decided.rule.require.needs_user() {
            return Ok((Permit { identity, session: None, late: None }, None));
        }
        let live = session::judge(&self.session, case, found, identity.client.as_ref(), now)?;
        identity.user = Some(live.record.user.clone());
        identity.session = Some(live.record.id.clone());
        let extension = if case.decided.rule.extend { self.session.extension(&live, now) } else { None };
        Ok((Permit { identity, session: Some(live), late: None }, extension))
    }
}

/// Who calls, and what is known of its signature.
#[derive(Debug)]
struct Caller {
    client: Option<ClientId>,
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

/// With the hash of the body, where a signature over it came along: what is small and of known length is gathered for that.
async fn with_body<'a>(case: &Case<'a>, body: &mut Body) -> Result<Case<'a>, Unreadable> {
    let over_body = case.claims.sign.and_then(signature::algorithm_of) == Some(Algorithm::HmacSha256);
    if !over_body || !case.decided.rule.require.needs_client() {
        return Ok(*case);
    }
    body.settle().await?;
    let request = signature::Request { body: signature::body_hash(body), ..case.request };
    Ok(Case { request, ..*case })
}

fn claimed_client(claims: &Claims<'_>) -> Option<ClientId> {
    claims.client_id.and_then(|id| ClientId::new(id).ok())
}

/// What a client may use where nothing is said.
pub const DEFAULT_ALGORITHMS: [Algorithm; 2] = [Algorithm::Md5, Algorithm::HmacSha256];

#[cfg(test)]
mod tests;
