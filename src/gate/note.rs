//! What is noted of a request on its way, for its outcome.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::gate::{Arrived, redact};
use crate::ids::{RequestId, SessionId, UserId};
use crate::reply::{Asked, Refusal};
use crate::request::address::Origin;
use crate::request::head::{Head, Line};
use crate::request::reserved::Reserved;
use crate::telemetry::{Outcome, Verdict};
use crate::upstream::Interim;
use crate::verify::Identity;

/// Filled in as the walk goes.
#[derive(Debug)]
pub(super) struct Note {
    at: Timestamp,
    pub(super) request_id: RequestId,
    ip: IpAddr,
    line: Option<Line>,
    accept_language: Option<Bytes>,
    is_head: bool,
    /// Where interim replies go, about which nobody decides anything.
    pub(super) interim: Interim,
    pub(super) rule: Option<Arc<str>>,
    pub(super) identity: Identity,
    pub(super) upstream: Option<Duration>,
    verdict: Verdict,
    refusal: Option<Refusal>,
}

impl Note {
    pub(super) fn new(at: Timestamp, arrived: &Arrived) -> Self {
        Self {
            at,
            request_id: RequestId::ulid(at.as_millis(), fastrand::u128(..)),
            ip: arrived.peer.ip,
            line: None,
            accept_language: None,
            is_head: false,
            interim: arrived.interim.clone(),
            rule: None,
            identity: Identity::default(),
            upstream: None,
            verdict: Verdict::Forwarded,
            refusal: None,
        }
    }

    /// The head could be read.
    pub(super) fn saw(&mut self, head: &Head, origin: &Origin) {
        self.ip = origin.ip;
        self.line = Some(head.line());
        self.accept_language = head.header_bytes("Accept-Language");
        self.is_head = head.method() == "HEAD";
    }

    /// It made a session.
    pub(super) fn logged_in(&mut self, user: UserId, session: SessionId) {
        self.identity.user = Some(user);
        self.identity.session = Some(session);
    }

    /// It was refused, or our side failed.
    pub(super) fn refused(&mut self, refusal: Refusal) {
        self.verdict = if refusal.reason.is_fault() { Verdict::Failed } else { Verdict::Refused };
        self.refusal = Some(refusal);
    }

    /// It would have been; the first reason counts.
    pub(super) fn observed(&mut self, refusal: &Refusal) {
        self.verdict = Verdict::Observed;
        self.refusal.get_or_insert_with(|| refusal.clone());
    }

    /// What an answer of ours needs to know.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            request_id: &self.request_id,
            accept_language: self.accept_language.as_deref(),
            is_head: self.is_head,
            now: self.at,
        }
    }

    /// The finished outcome. What is `reserved` is blotted out of the target; `None` where nobody wants to see method and target.
    pub(super) fn outcome(self, status: u16, duration: Duration, reserved: Option<&Reserved>) -> Outcome {
        let line = self.line.as_ref().zip(reserved);
        let reason = self.refusal.as_ref().map(|refusal| refusal.reason.name());
        Outcome {
            at: self.at,
            request_id: self.request_id,
            ip: self.ip,
            method: line.map_or_else(String::new, |(line, _)| line.method().to_owned()),
            path: line.map_or_else(String::new, |(line, reserved)| redact::target(line.target(), reserved)),
            rule: self.rule,
            verdict: self.verdict,
            reason,
            detail: self.refusal.map(|refusal| refusal.detail),
            status,
            client: self.identity.client,
            user: self.identity.user,
            session: self.identity.session,
            duration,
            upstream: self.upstream,
        }
    }
}
