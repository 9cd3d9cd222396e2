//! The walk: one request from its bytes to its answer.
//!
//! [`Gate::answer`] stands around it: it starts the clock, renders what the walk came to, and records one outcome.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderName, Response};

use crate::clock::Clock;
use crate::credentials::{self, Claims};
use crate::login::steps::Steps;
use crate::policy::login_rule::{Conditions, UserSource};
use crate::policy::rule::Rule;
use crate::policy::{Decided, Policy};
use crate::reply::{self, Asked, Body, Reason, Refusal};
use crate::request::address::{Peer, TrustedProxies};
use crate::request::body::{self, Limits};
use crate::request::head::Head;
use crate::request::reserved::{Parts, Reserved};
use crate::request::target::Lenient;
use crate::request::{Inbound, Unreadable, inquiry};
use crate::store::Store;
use crate::telemetry::{Recorder, RuleLabel};
use crate::upstream::{self, Interim, Upstream};
use crate::verify::{self, Case, Excess, Permit, Verifier, signature};
use crate::websocket::open::Open;
use crate::websocket::takeover::Switch;

mod asked;
pub mod bridge;
pub mod cors;
pub mod explain;
mod forward;
mod guests;
mod location;
mod logins;
mod lost;
mod note;
mod read;
mod redact;
mod replies;
mod signed;
mod under_way;
mod unwinding;
mod upgrade;

use bridge::message::Sent;
use cors::PREFLIGHT;
use forward::Passage;
use note::Note;
use under_way::UnderWay;

/// A request as the server hands it over.
#[derive(Debug)]
pub struct Arrived {
    /// Its head, or why there is none.
    pub head: Result<Head, Unreadable>,
    /// Its body.
    pub body: body::Arriving,
    /// The connection it came by.
    pub peer: Peer,
    /// Where interim replies go.
    pub interim: Interim,
    /// What a message of a connection brings along, where this is one.
    pub sent: Option<Arc<Sent>>,
    /// Where it is left who goes on with a connection that switches protocols.
    pub switch: Switch,
}

/// `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Decide and refuse.
    Enforce,
    /// Decide, log and count, but forward.
    Observe,
}

/// How requests are read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// `lenient_paths`
    pub lenient: Lenient,
    /// Reserved names.
    pub reserved: Reserved,
    /// `trusted_proxies`
    pub trusted: TrustedProxies,
    /// Bounds of bodies.
    pub limits: Limits,
}

/// Everything a gate is made of, besides the store.
#[derive(Debug)]
pub struct Settings {
    /// `mode`
    pub mode: Mode,
    /// How requests are read.
    pub reading: Reading,
    /// Rules.
    pub policy: Policy,
    /// `session.lost`
    pub lost: Vec<Conditions>,
    /// Where credentials stand.
    pub credentials: credentials::Settings,
    /// How they are judged.
    pub verify: verify::Settings,
    /// Where requests go.
    pub upstream: upstream::Settings,
    /// What they carry.
    pub forward: upstream::headers::Settings,
    /// How refusals look.
    pub reply: reply::Settings,
    /// `cors`
    pub cors: Option<cors::Settings>,
    /// `decide`: how proxies ask about requests that they forward themselves.
    pub inquiry: Option<inquiry::Settings>,
    /// Counts connections that are WebSockets.
    pub websockets: Open,
    /// Whether each request is logged.
    pub access_log: bool,
}

impl Settings {
    /// The rule that decides, once nothing stands in two places.
    pub(crate) fn decide(&self, inbound: &Inbound) -> Result<Decided<'_>, Refusal> {
        let reserved = &self.reading.reserved;
        let parts = Parts {
            head: &inbound.head,
            target: &inbound.target,
            query: &inbound.query,
            form: &inbound.form,
            cookies: &inbound.cookies,
        };
        reserved.check(&parts)?;
        let decided = self.policy.decide(inbound, reserved)?;
        if decided.rule.login.is_none() {
            reserved.check_login_fields(&parts)?;
        }
        Ok(decided)
    }

    /// What outcomes name as their rule, by number: the policy's rules, then preflights.
    pub fn labels(&self) -> Vec<Arc<str>> {
        self.policy.labels().into_iter().chain([PREFLIGHT.into()]).collect()
    }

    /// The greatest length of a body, with the rule where one is known.
    fn max_body(&self, rule: Option<&Rule>) -> u64 {
        rule.and_then(|rule| rule.max_body).unwrap_or(self.reading.limits.body)
    }

    /// Bounds of a body whose rule is not known yet: as long as any rule allows.
    fn arriving(&self) -> Limits {
        let most = self.policy.rules.iter().filter_map(|rule| rule.max_body).max().unwrap_or_default();
        Limits { body: self.reading.limits.body.max(most), ..self.reading.limits }
    }
}

/// The gate of one worker thread.
#[derive(Debug)]
pub struct Gate {
    settings: Arc<Settings>,
    verifier: Verifier,
    store: Store,
    upstream: Upstream,
    clock: Clock,
    recorder: Recorder,
    /// Bounds of bodies whose rule is not known yet.
    arriving: Limits,
    holds_cookies: bool,
    cookie_users: Vec<UserSource>,
    /// Headers of replies that `csrf` of some rule wants kept.
    kept_headers: Vec<HeaderName>,
    /// Where logins tell what they go through.
    steps: Steps,
    /// Names this gate among all that share the store.
    instance: String,
    /// Connections that it named so far.
    channels: AtomicU64,
    /// What decides in its place since the configuration changed.
    successor: OnceLock<Arc<Self>>,
}

impl Gate {
    /// A gate over its handles.
    pub fn new(settings: Arc<Settings>, store: Store, upstream: Upstream, clock: Clock, recorder: Recorder) -> Self {
        let logins = || settings.policy.rules.iter().filter_map(|rule| rule.login.as_ref());
        let holds_cookies = settings.policy.holds_cookies();
        let cookie_users = logins().map(|login| login.user_id.clone()).filter(|user| user.from.is_cookie()).collect();
        let kept_headers =
            settings.policy.rules.iter().filter_map(|rule| rule.csrf.as_ref()?.header().cloned()).collect();
        let verifier = Verifier::new(&settings.verify);
        let arriving = settings.arriving();
        Self {
            verifier,
            store,
            upstream,
            clock,
            recorder,
            arriving,
            holds_cookies,
            cookie_users,
            kept_headers,
            steps: Steps::default(),
            instance: format!("{:032x}", fastrand::u128(..)),
            channels: AtomicU64::default(),
            successor: OnceLock::new(),
            settings,
        }
    }

    /// The same, which tells what its logins go through.
    #[must_use]
    pub fn telling(self, steps: Steps) -> Self {
        Self { steps, ..self }
    }

    /// Another decides from now on. Requests keep to this one; who stays longer asks for the latest.
    pub fn give_way_to(&self, successor: Arc<Self>) {
        // Only one ever comes after it.
        let _ = self.successor.set(successor);
    }

    /// The one that decides now.
    fn latest(self: &Arc<Self>) -> &Arc<Self> {
        let mut latest = self;
        while let Some(successor) = latest.successor.get() {
            latest = successor;
        }
        latest
    }

    /// Answers one request. Never fails: whatever goes wrong is an envelope.
    pub fn answer(self: Arc<Self>, arrived: Arrived) -> impl Future<Output = Response<Body>> + Send {
        let note = Note::new(self.clock.now(), &arrived);
        UnderWay::begin(self, note).answer(arrived)
    }

    /// Tells what became of a request.
    fn record(&self, note: &mut Note, status: u16, duration: Duration) {
        let shown = note.is_shown(&self.recorder).then_some(&self.settings.reading.reserved);
        self.recorder.record(&note.outcome(status, duration, shown));
    }

    /// The steps of a request, in order; none calls an earlier one.
    async fn walk(self: &Arc<Self>, arrived: Arrived, note: &mut Note) -> Result<Response<Body>, Refusal> {
        let (sent, peer) = (arrived.sent.clone(), arrived.peer);
        let sent = sent.as_deref();
        let arrived = if note.inquiry { self.asked_about(arrived)? } else { arrived };
        let mut inbound = match self.read_head(arrived, note)? {
            (inbound, None) => inbound,
            (inbound, Some(body)) => Box::pin(self.read_body(inbound, body)).await?,
        };
        if let Some(response) = self.preflight(&inbound, note) {
            return Ok(response);
        }
        let mut body = inbound.split_body();
        let claims = match sent {
            Some(sent) => sent.claims(),
            None => Claims::of(&inbound, &self.settings.credentials),
        };
        let verdict = self.decide((&inbound, &claims, sent), &mut body, note).await;
        if let Err(refusal) = &verdict {
            self.tell_signed(refusal, (&inbound, &claims), || signature::body_hash(&body), note);
        }
        if self.settings.mode == Mode::Observe {
            body.let_end_by();
        }
        match verdict {
            Ok((decided, permit)) => {
                note.identity = permit.identity().clone();
                if let Some(bridge) = decided.rule.websocket.as_deref().and_then(|channel| channel.bridge()) {
                    permit.told().await;
                    return self.bridge((&inbound, peer), bridge, &permit, note);
                }
                let passage = Passage { inbound: &inbound, claims: &claims, decided: &decided, permit: &permit, sent };
                if note.inquiry {
                    self.check_held(&passage)?;
                    permit.told().await;
                    return self.let_pass(&inbound, &permit, note);
                }
                let response = Box::pin(self.pass(&passage, body, note)).await;
                permit.told().await;
                self.go_on(&inbound, (decided.rule, Some(&permit)), response?, note)
            }
            Err(refusal) if self.lets_by(&refusal) && sent.is_none() => {
                note.observed(&refusal);
                if note.inquiry {
                    return self.let_pass(&inbound, &Permit::observed(), note);
                }
                self.gather_rest(&inbound, &mut body).await?;
                let response = Box::pin(self.pass_observed(&inbound, body, note)).await?;
                match self.settings.policy.websocket(&inbound) {
                    Some((_, rule)) => self.go_on(&inbound, (rule, None), response, note),
                    None => Ok(response),
                }
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// The rule, and the permit that it asks for.
    async fn decide<'a>(
        &'a self,
        (inbound, claims, sent): (&Inbound, &Claims<'_>, Option<&'a Sent>),
        body: &mut body::Body,
        note: &mut Note,
    ) -> Result<(Decided<'a>, Permit), Refusal> {
        let decided = match sent {
            Some(sent) => self.settings.decide_message(inbound, sent),
            None => self.settings.decide(inbound),
        };
        body.limit_to(self.settings.max_body(decided.as_ref().ok().map(|decided| decided.rule)))?;
        let decided = decided?;
        note.rule = Some(RuleLabel { name: Arc::clone(&decided.rule.name), number: decided.number });
        note.websocket = decided.rule.websocket.is_some();
        if note.inquiry {
            self.settings.check_inquiry(inbound, claims, decided.rule)?;
        }
        upgrade::check(inbound, decided.rule)?;
        // A client that waits to be asked for its body (RFC 9110, 10.1.1) is asked once nothing else stands against its request.
        let (waits, has_body) = (inbound.head.expects_continue(), !matches!(body, body::Body::Empty));
        if has_body && !waits {
            Box::pin(self.read_rest(inbound, body, decided.rule)).await?;
        }
        let permit = self.permit((inbound, claims, sent), &decided, body, note).await?;
        if has_body && waits {
            Box::pin(self.read_rest(inbound, body, decided.rule)).await?;
        }
        Ok((decided, permit))
    }

    async fn permit(
        &self,
        (inbound, claims, sent): (&Inbound, &Claims<'_>, Option<&Sent>),
        decided: &Decided<'_>,
        body: &mut body::Body,
        note: &mut Note,
    ) -> Result<Permit, Refusal> {
        let address = inbound.origin.ip;
        let request = signed::request(inbound, &self.settings.credentials);
        let excess = match self.settings.mode {
            Mode::Observe if sent.is_none() => Excess::observed(),
            Mode::Enforce | Mode::Observe => Excess::refused(),
        };
        let (user_agent, via) = (inbound.user_agent(), sent.map(Sent::via));
        let case = Case { decided, claims, address, user_agent: &user_agent, request, excess: &excess, via };
        // Nearly always that is all; the rest is boxed, so that requests which do not need it do not make room for it.
        let begun = match self.verifier.permit_at_once(&case, &self.store, &self.clock) {
            Ok(permit) => return Ok(permit),
            Err(begun) => begun,
        };
        let permit = Box::pin(self.verifier.permit((&case, begun), body, &self.store, &self.clock)).await;
        if let Some(denial) = excess.noted() {
            note.observed(&denial.into());
        }
        Ok(permit?)
    }

    /// Whether `mode: observe` forwards what this refusal would stop. What cannot be read in one way only, and what is too
    /// large, is refused in any mode.
    fn lets_by(&self, refusal: &Refusal) -> bool {
        let always = matches!(refusal.reason, Reason::Malformed | Reason::TooLarge | Reason::HeaderTooLarge);
        self.settings.mode == Mode::Observe && !always
    }

    fn refuse(&self, refusal: Refusal, note: &mut Note) -> Response<Body> {
        let reply = &self.settings.reply;
        let mut response = match note.inquiry {
            true => reply.refuse_inquiry(&refusal, note.asked()),
            false => reply.refuse(&refusal, note.asked()),
        };
        if note.websocket && refusal.reason == Reason::Malformed {
            upgrade::tell_version(response.headers_mut());
        }
        note.refused(refusal);
        response
    }

    fn envelope(
        &self,
        message: &str,
        data: serde_json::Map<String, serde_json::Value>,
        asked: Asked<'_>,
    ) -> Response<Body> {
        self.settings.reply.envelope(1, message, &serde_json::Value::Object(data), asked)
    }
}
