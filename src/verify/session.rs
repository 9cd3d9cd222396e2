//! Sessions: whether one may be used by this caller, and when its expiry is pushed forward.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::{ClientId, TokenHash, UserId};
use crate::policy::rule::Guests;
use crate::store::{Fault, Found, Live, Store, Told};
use crate::verify::Case;
use crate::verify::channel::lives_here;
use crate::verify::denial::{Denial, SessionFlaw};

/// `session`.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// `idle`, of users.
    pub idle: Duration,
    /// `guest`: the same of guests.
    pub guest: Duration,
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
    /// It is pushed so far.
    idle: Duration,
}

impl Span {
    pub(super) fn of(live: &Live, settings: &SessionSettings) -> Self {
        let idle = settings.idle_of(live.record.user.as_ref());
        Self { expires: live.expires, ends: live.record.ends, idle }
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
    /// How long sessions of that user, or of guests, live on without use.
    pub fn idle_of(&self, user: Option<&UserId>) -> Duration {
        if user.is_some() { self.idle } else { self.guest }
    }

    /// An accepted request at `now` promises `idle` from now on. What the store was told before may still cover that; if not, it
    /// is told `extend_every` more than promised, so that it need not be told again before then. An `extend_every` that is not
    /// shorter than `idle` would keep sessions for a multiple of it: then the surplus is a quarter of `idle`.
    pub(super) fn extension(&self, live: &Live, now: Timestamp) -> Option<Extension> {
        self.extension_of(live.hash, Span::of(live, self), now)
    }

    /// The same of a session of which only that is known.
    pub(super) fn extension_of(&self, hash: TokenHash, span: Span, now: Timestamp) -> Option<Extension> {
        let promised = now.plus(span.idle).min(span.ends);
        if span.expires >= promised {
            return None;
        }
        let surplus = if self.extend_every < span.idle { self.extend_every } else { span.idle / 4 };
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
    let owner = live.record.user.as_ref().ok_or(Denial::UserRefused(SessionFlaw::Guest))?;
    if claims.user_id.is_some_and(|claimed| claimed != owner.as_str().as_bytes()) {
        return Err(Denial::UserRefused(SessionFlaw::NotTheOwner));
    }
    if is_over(&live, now) {
        return Err(Denial::UserRefused(SessionFlaw::Expired));
    }
    bound(settings, case, &live, client)?;
    Ok(live)
}

fn is_over(live: &Live, now: Timestamp) -> bool {
    now >= live.expires || now >= live.record.ends
}

/// Whether a session is asked for that the caller may have and need not.
pub(super) fn may_come_along(case: &Case<'_>) -> bool {
    case.decided.rule.guests != Guests::Unknown && !case.decided.require.needs_user() && case.via.is_none()
}

/// The session that came along where none need. A guest's counts by its token alone; whoever says that he is a user, or shows a
/// user's token, is judged as one, and is not made a guest of because his session is over. A login goes on from a guest's session
/// if it can, and is refused for none.
pub(super) fn judge_optional(
    settings: &SessionSettings,
    case: &Case<'_>,
    found: Option<Found>,
    client: Option<&ClientId>,
    now: Timestamp,
) -> Result<Option<Live>, Denial> {
    let is_login = case.decided.rule.guests == Guests::TakenOver;
    match found {
        Some(Found::Live(live)) if live.record.user.is_none() && case.claims.user_id.is_none() => {
            match bound(settings, case, &live, client) {
                Ok(()) => Ok((!is_over(&live, now)).then_some(live)),
                Err(_) if is_login => Ok(None),
                Err(denial) => Err(denial),
            }
        }
        _ if is_login || case.claims.user_token.is_none() => Ok(None),
        None if case.claims.user_id.is_none() => Ok(None),
        found => judge(settings, case, found, client, now).map(Some),
    }
}

/// Where no client is asked for (`user_only`), there is none to compare, and a guest who came without one belongs to none.
fn bound(settings: &SessionSettings, case: &Case<'_>, live: &Live, client: Option<&ClientId>) -> Result<(), Denial> {
    let record = &live.record;
    let unbound = record.user.is_none() && record.client.is_none();
    if settings.bind_client && client.is_some() && !unbound && record.client.as_ref() != client {
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
