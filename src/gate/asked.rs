//! Inquiries: a trusted proxy asks whether a request may pass that it forwards itself. They take the same walk as any request, up to
//! where it would be forwarded.
//!
//! What can be done only by who forwards is refused: a rule that needs it, a body that ought to be read, cookies that are held.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};

use super::forward::Passage;
use super::note::Note;
use super::under_way::UnderWay;
use super::{Arrived, Gate, Settings};
use crate::credentials::Claims;
use crate::policy::rule::{Guests, Rule};
use crate::reply::{Body, Reason, Refusal};
use crate::request::body::Arriving;
use crate::request::php::BodyKind;
use crate::request::{Inbound, Unreadable};
use crate::store::record::Algorithm;
use crate::upstream::headers::{Context, is_identity, told_apart};
use crate::verify::{Permit, signature};

impl Gate {
    /// Answers a proxy: 200 and who asks, where the request that it asks about may pass, otherwise the refusal.
    pub fn answer_inquiry(self: Arc<Self>, arrived: Arrived) -> impl Future<Output = Response<Body>> + Send {
        let mut note = Note::new(self.clock.now(), &arrived);
        note.inquiry = true;
        UnderWay::begin(self, note).answer(arrived)
    }

    /// The request that is asked about, in place of the inquiry.
    pub(super) fn asked_about(&self, arrived: Arrived) -> Result<Arrived, Refusal> {
        let peer = arrived.peer.ip;
        if !self.settings.reading.trusted.trusts(peer) {
            let detail = format!("{peer} asks for a decision, and is none of trusted_proxies");
            return Err(Refusal::new(Reason::Denied, detail));
        }
        let Some(inquiry) = &self.settings.inquiry else {
            return Err(Refusal::new(Reason::Denied, "decide is not configured"));
        };
        let head = inquiry.head(&arrived.head?)?;
        let identity = head.headers().find(|(name, _)| is_identity(name, &self.settings.forward));
        if let Some((name, _)) = identity {
            let name = name.escape_ascii();
            return Err(
                Unreadable::Malformed(format!("{name} is for the gate to tell, and cannot be taken off here")).into()
            );
        }
        Ok(Arrived { head: Ok(head), body: Arriving::Whole(Bytes::new()), ..arrived })
    }

    /// Cookies that the gate holds would have to be put on, and those of the client taken off.
    pub(super) fn check_held(&self, passage: &Passage<'_>) -> Result<(), Refusal> {
        let shows = passage.permit.session().is_some() || passage.inbound.head.header("Cookie").is_some();
        if self.holds(passage) && shows {
            return Err(only_forwarding("the gate holds the application's cookies (login.cookies: hold)"));
        }
        Ok(())
    }

    /// The proxy may forward the request, and is told for whom.
    pub(super) fn let_pass(&self, inbound: &Inbound, permit: &Permit, note: &Note) -> Result<Response<Body>, Refusal> {
        let context = Context {
            identity: permit.identity(),
            request_id: &note.request_id,
            now: self.clock.now(),
            cookies: None,
            drop_authorization: false,
            plain_reply: false,
            traceparent: &note.traceparent(),
            websocket: None,
        };
        let mut response = Response::new(Body::Own(None));
        let headers = response.headers_mut();
        headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in told_apart(inbound, &context, &self.settings.forward) {
            // Who asks must not get lost on the way.
            let untold = || Refusal::new(Reason::InternalError, format!("{name} cannot be told"));
            let value = HeaderValue::try_from(value).map_err(|_| untold())?;
            headers.insert(HeaderName::try_from(name).map_err(|_| untold())?, value);
        }
        Ok(response)
    }
}

impl Settings {
    /// Whether a decision can be made without forwarding, and without having seen a body.
    pub(super) fn check_inquiry(&self, inbound: &Inbound, claims: &Claims<'_>, rule: &Rule) -> Result<(), Refusal> {
        let needs = [
            (rule.login.is_some(), "the rule watches a login"),
            (rule.logout.is_some(), "the rule ends sessions once the application has answered"),
            // A proxy may keep to itself that its client asks for one.
            (self.policy.websocket_route(inbound).is_some(), "the route is one for WebSockets"),
            (rule.csrf.is_some(), "the rule fills in a field (csrf)"),
            (rule.guests == Guests::Welcome, "the rule gives guests a session (guest)"),
            (
                self.hides_form(inbound, rule),
                "a form may come along that nobody reads, and the rule is not `body: opaque`",
            ),
            (signs_body(inbound, claims), "the signature is over a body that is not seen"),
        ];
        match needs.into_iter().find(|(needed, _)| *needed) {
            Some((_, why)) => Err(only_forwarding(why)),
            None => Ok(()),
        }
    }

    /// Whether PHP might read a form (only POST fills `$_POST`). A proxy that leaves Content-Type out, or has two of them, tells nothing.
    fn hides_form(&self, inbound: &Inbound, rule: &Rule) -> bool {
        let head = &inbound.head;
        let mut types = head.all("Content-Type");
        let is_none = match (types.next(), types.next()) {
            (Some(one), None) => BodyKind::of(Some(one)) == BodyKind::Opaque && !one.is_empty(),
            _ => false,
        };
        head.method() == "POST" && !is_none && !(rule.opaque_body && self.policy.leaves_body_unread(inbound))
    }
}

/// Whether what was signed holds a body: with these methods there is none that counts.
fn signs_body(inbound: &Inbound, claims: &Claims<'_>) -> bool {
    let over_body = claims.sign.and_then(signature::algorithm_of) == Some(Algorithm::HmacSha256);
    over_body && !matches!(inbound.head.method(), "GET" | "HEAD" | "OPTIONS")
}

fn only_forwarding(why: &str) -> Refusal {
    Refusal::new(Reason::Denied, format!("{why}: such a request must be forwarded to the gate, not only asked about"))
}
