//! Sessions: whether one may be used by this caller, and when its expiry is pushed forward.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::{ClientId, TokenHash};
use crate::store::{Fault, Found, Live, Store, Told};
use crate::verify::Case;
use crate::verify::channel::lives_here;
use crate::verify::denial::{Denial, SessionFlaw};

/// `session`.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// `idle`
    pub idle: Duration,
    /// `max_age`
    pub max_age: Duration,
    /// `extend_every`
    pub extend_every: Duration,
    /// `per_user`, 0 for no limit.
    pub per_user: usize,
    /// `when_full: end_oldest`
    pub end_oldest: bool,
    /// `bind` holds `client`.
    pub bind_client: bool,
    /// `bind` holds `ip`.
    pub bind_ip: bool,
    /// `bind` holds `user_agent`.
    pub bind_user_agent: bool,
    /// `user_id: required`
    pub user_id_required: bool,
    /// `sealed`: tokens are handed out sealed under the client's secret.
    pub sealed: bool,
}

/// A session's expiry to be pushed forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Which session.
    pub hash: TokenHash,
    /// It ends so long from now.
    pub life: Duration,
    /// Whether it would end so soon that the store has to know before the request goes on.
    pub urgent: bool,
}

/// How long a session lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Its expiry, as far as it was pushed.
    pub(super) expires: Timestamp,
    /// Its end, whatever happens.
    pub(super) ends: Timestamp,
}

impl Span {
    pub(super) fn of(live: &Live) -> Self {
        Self { expires: live.expires, ends: live.record.ends }
    }
}

/// A session that ends sooner than this is extended before its request goes on: noted in passing, the use could come too late.
const SOON: Duration = Duration::from_secs(1);

impl Extension {
    /// Tells the store.
    pub(super) async fn note(self, store: &Store) -> Result<Told, Fault> {
        let told = store.extend(self.hash, self.life);
        if self.urgent {
            store.flush().await?;
        }
        Ok(told)
    }
}

impl SessionSettings {
    /// An accepted request at `now` promises `idle` from now on. What the store was told before may still cover that; if not, it
    /// is told `extend_every` more than promised, so that it need not be told again before then. An `extend_every` that is not
    /// shorter than `idle` would keep sessions for a multiple of it: then the surplus is a quarter of `idle`.
    pub(super) fn extension(&self, live: &Live, now: Timestamp) -> Option<Extension> {
        self.extension_of(live.hash, Span::of(live), now)
    }

    /// The same of a session of which only that is known.
    pub(super) fn extension_of(&self, hash: TokenHash, span: Span, now: Timestamp) -> Option<Extension> {
        let promised = now.plus(self.idle).min(span.ends);
        if span.expires >= promised {
            return None;
        }
        let surplus = if self.extend_every < self.idle { self.extend_every } else { self.idle / 4 };
        let until = promised.plus(surplus).min(span.ends);
        let urgent = span.expires.since(now) < SOON;
        Some(Extension { hash, life: until.since(now), urgent })
    }
}

/// Whether a session is claimed at all.
pub(super) fn claimed(settings: &SessionSettings, case: &Case<'_>) -> Result<(), Denial> {
    case.claims.user_token.ok_or(Denial::UserMissing("user_token"))?;
    // On its own connection a token says enough.
    if settings.user_id_required && case.claims.user_id.is_none() && case.via.is_none() {
        return Err(Denial::UserMissing("user_id"));
    }
    Ok(())
}

/// Whether the session that was found may be used by this caller now.
pub(super) fn judge(
    settings: &SessionSettings,
    case: &Case<'_>,
    found: Option<Found>,
    client: Option<&ClientId>,
    now: Timestamp,
) -> Result<Live, Denial> {
    let live = judge_elsewhere(settings, case, found, client, now)?;
    lives_here(case, &live)?;
    Ok(live)
}

/// The same but for where it lives.
pub(super) fn judge_elsewhere(
    settings: &SessionSettings,
    case: &Case<'_>,
    found: Option<Found>,
    client: Option<&ClientId>,
    now: Timestamp,
) -> Result<Live, Denial> {
    let claims = case.claims;
    claimed(settings, case)?;
    let live = match found {
        None => return Err(Denial::UserRefused(SessionFlaw::Unknown)),
        Some(Found::Ended(ending)) => return Err(Denial::UserEnded(ending)),
        Some(Found::Live(live)) => live,
    };
    if claims.user_id.is_some_and(|claimed| claimed != live.record.user.as_str().as_bytes()) {
        return Err(Denial::UserRefused(SessionFlaw::NotTheOwner));
    }
    if now >= live.expires || now >= live.record.ends {
        return Err(Denial::UserRefused(SessionFlaw::Expired));
    }
    bound(settings, case, &live, client)?;
    Ok(live)
}

/// Where no client is asked for (`user_only`), there is none to compare.
fn bound(settings: &SessionSettings, case: &Case<'_>, live: &Live, client: Option<&ClientId>) -> Result<(), Denial> {
    let record = &live.record;
    if settings.bind_client && client.is_some() && record.client.as_ref() != client {
        return Err(Denial::WrongChannel("the session is bound to another client"));
    }
    if settings.bind_ip && record.ip != case.address.to_string() {
        return Err(Denial::WrongChannel("the session is bound to another address"));
    }
    if settings.bind_user_agent && record.user_agent != case.user_agent {
        return Err(Denial::WrongChannel("the session is bound to another user agent"));
    }
    Ok(())
}
