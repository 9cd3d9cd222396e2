//! `session.lost`: replies that tell that the application's own session, behind one of ours, is gone.

use http::Response;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::time::timeout;

use crate::gate::Gate;
use crate::gate::forward::Passage;
use crate::gate::note::Note;
use crate::login::jar;
use crate::login::judged::{Answer, Judged};
use crate::policy::login_rule::Conditions;
use crate::reply::{Reason, Refusal};
use crate::store::{Ending, Live};
use crate::upstream::{Fault, ResponseBody};

/// Longest body that is looked at, in bytes: pages that ask to log in are short.
const MAX_LOOK: usize = 256 * 1024;

impl Gate {
    /// Whether bodies of replies will be looked at, so that they must come uncompressed.
    pub(super) fn looks_at_bodies(&self, passage: &Passage<'_>) -> bool {
        watches(passage) && self.settings.lost.iter().any(asks_for_body)
    }

    /// Whether the reply may tell of a loss.
    pub(super) fn may_be_lost(&self, passage: &Passage<'_>) -> bool {
        !self.settings.lost.is_empty() && watches(passage)
    }

    /// Ends the session, and refuses, where the reply tells that the application's own is gone.
    pub(super) async fn unless_lost(
        &self,
        passage: &Passage<'_>,
        live: &Live,
        response: Response<ResponseBody>,
        note: &mut Note,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let (head, mut body) = response.into_parts();
        let now = self.clock.now();
        let changes = jar::changes(&head.headers, &passage.inbound.target.raw_path, now);
        let before = if live.record.holds_cookies { live.record.jar.clone() } else { jar::deleted(&changes) };
        let mut after = before.clone();
        jar::apply(&mut after, &changes, now);
        let readable = self.looks_at_bodies(passage) && is_text(&head.headers);
        let seen = if readable { self.peek(passage, &mut body).await? } else { None };
        let answer = Answer { head, body: seen.unwrap_or_default() };
        let lost = Judged::new(passage.inbound, &answer, &after, now).since(&before).succeeded(&self.settings.lost);
        if lost {
            let ended = self.store.end(live.hash, Ending::Logout).await?;
            note.ended("session_lost", live.record.user.as_ref(), Some(&live.record.id), usize::from(ended));
            return Err(Refusal::new(Reason::SessionLost, "the application's reply fits session.lost"));
        }
        Ok(Response::from_parts(answer.head, body))
    }

    async fn peek(&self, passage: &Passage<'_>, body: &mut ResponseBody) -> Result<Option<bytes::Bytes>, Fault> {
        timeout(self.patience(passage), body.peek(MAX_LOOK)).await.map_err(|_| Fault::TimedOut)?
    }
}

/// Logins begin a session, and logouts end theirs: what they answer tells nothing of a loss. A guest has nothing to lose that he
/// could log in to: to him, pages that ask to log in are pages.
fn watches(passage: &Passage<'_>) -> bool {
    passage.permit.identity().user.is_some()
        && passage.decided.rule.login.is_none()
        && passage.decided.rule.logout.is_none()
}

fn asks_for_body(conditions: &Conditions) -> bool {
    !conditions.json.is_empty() || conditions.body.is_some() || conditions.not.iter().any(asks_for_body)
}

/// What is a page or data, and no stream of events that never ends.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let text = kind.is_empty()
        || kind.starts_with(b"text/") && kind != b"text/event-stream"
        || [&b"json"[..], b"xml", b"javascript"].iter().any(|end| kind.ends_with(end));
    text && !headers.contains_key(CONTENT_ENCODING)
}
