//! Judging claims against records. The only maker of [`Permit`]s.
//!
//! One question to the store, then [`judge`](Verifier::judge): pure, so that it can be tested as a table.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::clock::Timestamp;
use crate::credentials::Claims;
use crate::ids::{ClientId, SessionId, UserId};
use crate::policy::Decided;
use crate::policy::endpoint::Fold;
use crate::secret::Secret;
use crate::store::record::{Algorithm, ClientRecord, LiveSecret};
use crate::store::{Fault, Live, Question, Records, Store};

pub mod client;
pub mod client_token;
pub mod denial;
pub mod session;

pub use client::{FileClient, KnownClient};
pub use denial::{ClientFlaw, Denial, SessionFlaw};
pub use session::{Extension, SessionSettings};

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

    /// What `mode: observe` forwards: a request that proved nothing.
    pub fn observed() -> Self {
        Self { identity: Identity::default(), client_secret: None, session: None }
    }
}

/// Why no permit was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The caller lacks something.
    Denied(Denial),
    /// Nobody can tell.
    Undecided(Fault),
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
}

/// Judges claims.
#[derive(Debug)]
pub struct Verifier {
    clients: HashMap<ClientId, KnownClient>,
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

    /// Asks the store what the rule needs, judges, and has the session's expiry pushed forward where that is due.
    pub async fn permit(&self, case: &Case<'_>, store: &Store, now: Timestamp) -> Result<Permit, Refusal> {
        self.precheck(case)?;
        let claimed = claimed_client(case.claims).filter(|_| case.decided.rule.require.needs_client());
        let of_file = claimed.as_ref().is_some_and(|id| self.clients.contains_key(id));
        let verdict = match self.prejudge(case, of_file, now) {
            Ok(()) => {
                let asked_for = claimed.as_ref().filter(|_| !of_file);
                self.judge(case, ask(case, asked_for, store).await?, now)
            }
            Err(denial) => Err(denial),
        };
        if of_file && matches!(verdict, Err(Denial::ClientRefused(_))) {
            // An unknown client is looked for in the store. So that nobody can tell the two by the time they take, this one is as
            // well; whatever the store says of it changes nothing.
            let _ = ask(case, claimed.as_ref(), store).await;
        }
        let (permit, extension) = verdict?;
        if let Some(Extension { hash, life }) = extension {
            store.extend(hash, life);
            if permit.session().is_some_and(|live| live.expires.since(now) < SOON) {
                store.flush().await?;
            }
        }
        Ok(permit)
    }

    /// What a rule for users can refuse without the store: a client of the file that does not prove itself, and a session that
    /// is not even claimed. A store that is away is no reason to say anything else of them.
    fn prejudge(&self, case: &Case<'_>, of_file: bool, now: Timestamp) -> Result<(), Denial> {
        let require = case.decided.rule.require;
        if !require.needs_user() || (require.needs_client() && !of_file) {
            return Ok(());
        }
        if require.needs_client() {
            self.judge_client(case, None, now)?;
        }
        session::claimed(&self.session, case.claims)
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

    /// Judges claims against what the store knows. Pure.
    pub fn judge(
        &self,
        case: &Case<'_>,
        records: Records,
        now: Timestamp,
    ) -> Result<(Permit, Option<Extension>), Denial> {
        self.precheck(case)?;
        let require = case.decided.rule.require;
        let proved =
            if require.needs_client() { Some(self.judge_client(case, records.client.as_ref(), now)?) } else { None };
        let (client, client_secret) = proved.unzip();
        let mut identity = Identity { client, ..Identity::default() };
        if !require.needs_user() {
            return Ok((Permit { identity, client_secret, session: None }, None));
        }
        let live = session::judge(&self.session, case, records.session, identity.client.as_ref(), now)?;
        identity.user = Some(live.record.user.clone());
        identity.session = Some(live.record.id.clone());
        let extension = if case.decided.rule.extend { self.session.extension(&live, now) } else { None };
        Ok((Permit { identity, client_secret, session: Some(live) }, extension))
    }

    /// Which client it is, and the secret that it proved to know.
    fn judge_client(
        &self,
        case: &Case<'_>,
        stored: Option<&ClientRecord>,
        now: Timestamp,
    ) -> Result<(ClientId, Secret), Denial> {
        let endpoint = case.decided.endpoint.as_ref().ok_or(Denial::EndpointUnknown)?;
        let token = case.claims.api_token.ok_or(Denial::ClientMissing("api_token"))?;
        let claimed = claimed_client(case.claims);
        let stored = stored.map(KnownClient::of_record);
        let known = claimed.as_ref().and_then(|id| self.clients.get(id)).or(stored.as_ref());
        // An unknown client is judged as well, against a secret that nobody has, so that it costs what a wrong token costs.
        let nobody = KnownClient::nobody();
        let proved = known.unwrap_or(&nobody).proved(token, endpoint, &self.calendars, now);
        match (known, claimed) {
            (Some(client), Some(id)) if client.enabled => {
                let secret = proved.ok_or(Denial::ClientRefused(ClientFlaw::WrongToken))?;
                if !client.may_call(endpoint, self.fold) {
                    return Err(Denial::Denied("the client may not call this endpoint"));
                }
                Ok((id, secret.clone()))
            }
            (Some(_), _) => Err(Denial::ClientRefused(ClientFlaw::Disabled)),
            (None, _) => Err(Denial::ClientRefused(ClientFlaw::Unknown)),
        }
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

/// The secrets that count now.
fn live_secrets(secrets: &[LiveSecret], now: Timestamp) -> impl Iterator<Item = &Secret> {
    secrets.iter().filter(move |live| live.counts(now)).map(|live| &live.secret)
}

/// What a client may use where nothing is said.
pub const DEFAULT_ALGORITHMS: [Algorithm; 2] = [Algorithm::Md5, Algorithm::HmacSha256];

#[cfg(test)]
mod tests;
