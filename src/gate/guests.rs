//! Guest sessions: whoever comes to a rule with `guest` without a session gets one of nobody's, which holds his cookies until he
//! logs in.

use http::header::{CACHE_CONTROL, HeaderValue};
use http::{HeaderName, Response};

use crate::gate::Gate;
use crate::gate::forward::Passage;
use crate::gate::note::Note;
use crate::login::issue::{self, Issued, NewSession};
use crate::login::{Trouble, jar};
use crate::policy::rule::Guests;
use crate::reply::Refusal;
use crate::store::Live;
use crate::upstream::ResponseBody;

/// Where a guest's token is handed out.
const TOKEN: HeaderName = HeaderName::from_static("x-guest-token");

/// Whether the caller has no session and shall get one. A message of a connection is no caller of its own.
pub(super) fn is_newcomer(passage: &Passage<'_>) -> bool {
    let welcome = passage.decided.rule.guests == Guests::Welcome;
    welcome && passage.permit.session().is_none() && passage.sent.is_none()
}

impl Gate {
    /// Makes a session of what the application answered, and hands out its token. No cache may keep such an answer.
    pub(super) async fn welcome(
        &self,
        passage: &Passage<'_>,
        response: &mut Response<ResponseBody>,
        note: &mut Note,
    ) -> Result<(), Refusal> {
        let mut jar = Vec::new();
        jar::apply(&mut jar, &self.changes_of(passage, None, response.headers()), self.clock.now());
        let new = NewSession {
            client: passage.permit.identity().client.clone(),
            client_secret: passage.permit.client_secret().cloned(),
            ip: passage.inbound.origin.ip.to_string(),
            user_agent: passage.inbound.user_agent().into_owned(),
            jar,
            holds_cookies: true,
            ..NewSession::of(None)
        };
        let issued = issue::issue(&self.store, &self.clock, self.verifier.session_settings(), new).await;
        let Issued { token, session, .. } = issued.map_err(Trouble::from)?;
        note.identity.session = Some(session);
        if let Ok(mut token) = HeaderValue::from_bytes(token.expose()) {
            token.set_sensitive(true);
            response.headers_mut().insert(TOKEN, token);
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Ok(())
    }

    /// A login that failed leaves the guest what he was, with the cookies as they stand now: the next try needs them.
    pub(super) async fn stays_guest(&self, live: &Live, changes: &[jar::Change], note: &mut Note) {
        if changes.is_empty() {
            return;
        }
        if let Err(refusal) = self.take_up_cookies(live, changes, note).await {
            tracing::warn!(reason = refusal.reason.name(), "a guest's session ended with a login that failed");
        }
    }
}
