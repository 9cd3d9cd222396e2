//! What is noted of a request on its way, for its outcome.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::gate::cors::Asking;
use crate::gate::{Arrived, redact};
use crate::ids::{RequestId, SessionId, UserId};
use crate::login::NewLogin;
use crate::login::issue::Issued;
use crate::reply::{Asked, Reason, Refusal};
use crate::request::address::Origin;
use crate::request::head::{Head, Line};
use crate::request::reserved::Reserved;
use crate::store::Live;
use crate::telemetry::{Ended, Login, Outcome, Recorder, RuleLabel, Trace, Verdict};
use crate::upstream::Interim;
use crate::verify::Identity;
use crate::websocket::takeover::Switch;

/// Filled in as the walk goes.
#[derive(Debug)]
pub(super) struct Note {
    at: Timestamp,
    pub(super) request_id: RequestId,
    ip: IpAddr,
    line: Option<Line>,
    accept_language: Option<Bytes>,
    is_head: bool,
    /// Whether a proxy asks, which forwards the request itself.
    pub(super) inquiry: bool,
    /// The page of another origin that asks, where it may.
    pub(super) asking: Option<Asking>,
    /// The headers that its preflight asks for, if it is one.
    pub(super) preflight: Option<Vec<u8>>,
    /// Where interim replies go, about which nobody decides anything.
    pub(super) interim: Interim,
    /// Where it is left who goes on with the connection.
    pub(super) switch: Switch,
    pub(super) rule: Option<RuleLabel>,
    /// Whether that rule is one for WebSockets.
    pub(super) websocket: bool,
    pub(super) login: Option<Login>,
    pub(super) ended: Vec<Ended>,
    pub(super) identity: Identity,
    pub(super) upstream: Option<Duration>,
    upstream_after: Option<Duration>,
    trace: Option<Trace>,
    started: Instant,
    verdict: Verdict,
    refusal: Option<Refusal>,
    /// The session that it made.
    pub(super) issued: Option<Issued>,
}

impl Note {
    pub(super) fn new(at: Timestamp, arrived: &Arrived) -> Self {
        Self::of(at, arrived.peer.ip, arrived.interim.clone(), arrived.switch.clone())
    }

    /// Of what came from there.
    pub(super) fn of(at: Timestamp, ip: IpAddr, interim: Interim, switch: Switch) -> Self {
        Self {
            at,
            request_id: RequestId::ulid(at.as_millis(), fastrand::u128(..)),
            ip,
            line: None,
            accept_language: None,
            is_head: false,
            inquiry: false,
            asking: None,
            preflight: None,
            interim,
            switch,
            rule: None,
            login: None,
            ended: Vec::new(),
            websocket: false,
            identity: Identity::default(),
            upstream: None,
            upstream_after: None,
            trace: None,
            started: Instant::now(),
            verdict: Verdict::Forwarded,
            refusal: None,
            issued: None,
        }
    }

    /// How long ago it came.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// The head could be read.
    pub(super) fn saw(&mut self, head: &Head, origin: &Origin) {
        self.ip = origin.ip;
        self.line = Some(head.line());
        self.accept_language = head.header_bytes("Accept-Language");
        // Of an inquiry, the proxy's own method counts for that, which HTTP itself sees to.
        self.is_head = head.method() == "HEAD" && !self.inquiry;
    }

    /// Where it stands in its trace.
    pub(super) fn traced(&mut self, trace: Trace) {
        self.trace = Some(trace);
    }

    /// What the application is told of the trace.
    pub(super) fn traceparent(&self) -> String {
        self.trace.unwrap_or_else(|| Trace::of(None, None)).traceparent()
    }

    /// The application was asked, and answered or failed.
    pub(super) fn asked_upstream(&mut self, asked: Instant) {
        self.upstream = Some(asked.elapsed());
        self.upstream_after = Some(asked.saturating_duration_since(self.started));
    }

    /// It made a session.
    pub(super) fn logged_in(&mut self, NewLogin { user, issued, replaced }: NewLogin) {
        if let Some(Live { record, .. }) = &replaced {
            self.ended("newer_login", record.user.as_ref(), Some(&record.id), 1);
        }
        self.ended("newer_login", Some(&user), None, issued.displaced);
        self.identity.user = Some(user);
        self.identity.session = Some(issued.session.clone());
        self.issued = Some(issued);
        self.login = Some(Login::Succeeded);
    }

    /// It ended that session, or so many of that user's. Of guests nothing is told.
    pub(super) fn ended(
        &mut self,
        why: &'static str,
        user: Option<&UserId>,
        session: Option<&SessionId>,
        count: usize,
    ) {
        if let Some(user) = user.filter(|_| count > 0) {
            self.ended.push(Ended { why, user: user.clone(), session: session.cloned(), count });
        }
    }

    /// It was refused, or our side failed.
    pub(super) fn refused(&mut self, refusal: Refusal) {
        self.verdict = Verdict::of(refusal.reason);
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

    /// Whether anybody will want to see it.
    pub(super) fn is_shown(&self, recorder: &Recorder) -> bool {
        recorder.shows(self.verdict, self.at, self.trace)
    }

    /// Its client has left before the answer.
    pub(super) fn left(&mut self) {
        self.refused(Reason::ClientClosed.into());
    }

    /// The finished outcome. What is `reserved` is blotted out of the target; `None` where nobody wants to see it.
    pub(super) fn outcome(&mut self, status: u16, duration: Duration, reserved: Option<&Reserved>) -> Outcome {
        let line = self.line.as_ref().zip(reserved);
        let reason = self.refusal.as_ref().map(|refusal| refusal.reason);
        Outcome {
            shown: reserved.is_some(),
            at: self.at,
            request_id: self.request_id.clone(),
            ip: self.ip,
            method: line.map_or_else(String::new, |(line, _)| line.method().to_owned()),
            path: line.map_or_else(String::new, |(line, reserved)| redact::target(line.target(), reserved)),
            rule: self.rule.take(),
            verdict: self.verdict,
            reason,
            detail: self.refusal.take().map(|refusal| refusal.detail),
            status,
            client: self.identity.client.take(),
            user: self.identity.user.take(),
            session: self.identity.session.take(),
            login: self.login,
            ended: std::mem::take(&mut self.ended),
            duration,
            upstream: self.upstream,
            upstream_after: self.upstream_after,
            trace: self.trace,
        }
    }
}
