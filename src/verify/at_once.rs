//! The judgement where nobody need be asked or told: the client is known, its session is held, and nothing is counted. Most requests
//! of an API are such, and go without a future that could wait, and the memory that it takes.

use crate::clock::{Clock, Timestamp};
use crate::policy::Requirement;
use crate::store::{Question, Store};
use crate::verify::denial::Denial;
use crate::verify::{Caller, Case, Permit, Signed, Verifier, session};

/// A judgement that could not be ended at once, for [`Verifier::permit`] to go on from.
#[derive(Debug, Default)]
pub struct Begun {
    /// Who calls, or why nobody may, where that is settled.
    pub(super) caller: Option<Box<Result<Caller, Denial>>>,
}

impl Verifier {
    /// The permit, if it can be given at once.
    pub fn permit_at_once(&self, case: &Case<'_>, store: &Store, clock: &Clock) -> Result<Permit, Begun> {
        // A signature may be over the body, which is not looked at here.
        if case.via.is_some() || case.claims.sign.is_some() || self.counts(case) {
            return Err(Begun::default());
        }
        let now = clock.now();
        let caller = self.caller_at_once(case, store, now);
        let permit = match &caller {
            Some(Ok(caller)) => self.user_at_once(case, caller, store, now),
            Some(Err(_)) | None => None,
        };
        permit.ok_or_else(|| Begun { caller: caller.map(Box::new) })
    }

    /// Who calls; `None` where the store must be asked.
    fn caller_at_once(&self, case: &Case<'_>, store: &Store, now: Timestamp) -> Option<Result<Caller, Denial>> {
        self.precheck(case).ok()?;
        let claimed = case.claimed_client().filter(|_| case.decided.require.needs_client());
        let stored = match claimed.as_ref().filter(|id| !self.clients.contains_key(id)) {
            Some(id) => store.known_client(id)?,
            None => None,
        };
        Some(self.judge_caller(case, claimed.as_ref(), stored.as_deref(), now))
    }

    fn user_at_once(&self, case: &Case<'_>, caller: &Caller, store: &Store, now: Timestamp) -> Option<Permit> {
        let matters = case.decided.require.needs_user() || session::may_come_along(case);
        let found = match case.claims.user_token.filter(|_| matters) {
            Some(token) => store.answer_at_once(Question { client: None, session: &store.hashes(token) })?.session,
            None => None,
        };
        let unsigned = matches!(caller.signed, Signed::Not);
        let proved = (caller.client.clone(), caller.secret.clone());
        let (permit, extension) = self.judge_user(case, proved, found, now).ok()?;
        (unsigned && extension.is_none()).then_some(permit)
    }

    /// Whether there is anything to count, or a lock to look for.
    fn counts(&self, case: &Case<'_>) -> bool {
        let limits = &self.limits;
        limits.per_ip.is_some()
            || limits.per_client.is_some()
            || limits.per_user.is_some()
            || case.decided.rule.limit.is_some()
            || limits.failed_tokens.is_some() && case.decided.require == Requirement::Client
    }
}
