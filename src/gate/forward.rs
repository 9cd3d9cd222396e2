//! The last steps: the request goes to the application, and what comes back is watched where the rule or the session says so.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, Response};

use crate::credentials::Claims;
use crate::gate::bridge::message::Sent;
use crate::gate::logins::{begins_with, sent};
use crate::gate::note::Note;
use crate::gate::{Gate, guests, location, replies, upgrade};
use crate::login::prepare::{self, Errand, Prepared};
use crate::login::steps::Step;
use crate::login::{Pages, jar, judged};
use crate::policy::before::Before;
use crate::policy::csrf;
use crate::policy::rule::{Guests, Logout, Rule};
use crate::policy::{Decided, Requirement};
use crate::reply::{Body, Reason, Refusal};
use crate::request::php::url_decode;
use crate::request::{Inbound, Unreadable, body};
use crate::store::{Ending, Fault, Live};
use crate::upstream::headers::{self, Context};
use crate::upstream::{self, Asker, Outgoing, ResponseBody};
use crate::verify::{Permit, Withdrawn};

/// A request that may pass, and everything that was decided about it.
#[derive(Clone, Copy)]
pub(super) struct Passage<'a> {
    pub(super) inbound: &'a Inbound,
    pub(super) claims: &'a Claims<'a>,
    pub(super) decided: &'a Decided<'a>,
    pub(super) permit: &'a Permit,
    /// Of a message.
    pub(super) sent: Option<&'a Sent>,
}

impl Passage<'_> {
    /// Whether the client's own cookies pass: where nothing is required they do.
    fn is_public(&self) -> bool {
        self.decided.require == Requirement::Public
    }
}

/// What a request carries besides its own head.
pub(super) struct Load<'a> {
    permit: &'a Permit,
    claims: &'a Claims<'a>,
    cookies: Option<Vec<u8>>,
    drop_authorization: bool,
    plain_reply: bool,
    rule: Option<&'a Rule>,
    /// What goes in place of the caller's own request.
    pub(super) prepared: Option<&'a Prepared>,
    /// The key, where it asks for a WebSocket and may.
    websocket: Option<&'a [u8]>,
}

impl<'a> Load<'a> {
    /// What a page carries that the gate asks for: plain, and nothing of the caller's own credentials.
    fn page(passage: &Passage<'a>) -> Self {
        Self {
            permit: passage.permit,
            claims: passage.claims,
            cookies: None,
            drop_authorization: true,
            plain_reply: true,
            rule: Some(passage.decided.rule),
            prepared: None,
            websocket: None,
        }
    }
}

impl Gate {
    /// Forwards a permitted request. What few requests need is boxed, so that the others do not make room for it.
    pub(super) async fn pass(
        &self,
        passage: &Passage<'_>,
        body: body::Body,
        note: &mut Note,
    ) -> Result<Response<Body>, Refusal> {
        let login = match passage.decided.rule.login.as_deref() {
            Some(rule) => Some((rule, Box::pin(self.begin_login(passage, rule, note)).await?)),
            None => None,
        };
        let held = self.holds(passage);
        let newcomer = guests::is_newcomer(passage);
        let prepared = match page_before(passage) {
            Some(before) => Some(Box::pin(self.prepare(before, passage, note)).await?),
            None => self.with_csrf(passage),
        };
        let load = Load {
            permit: passage.permit,
            claims: passage.claims,
            cookies: match &prepared {
                Some(prepared) => Some(prepared.cookies(self.clock.now())),
                None if held => Some(self.held_cookies(passage)),
                None => None,
            },
            // Without a session it may be the application's own, as on public pages.
            drop_authorization: (passage.claims.by_authorization && self.settings.forward.hide_credentials)
                || passage.permit.session().is_some()
                || newcomer
                || login.is_some(),
            plain_reply: login.is_some() || self.looks_at_bodies(passage),
            rule: Some(passage.decided.rule),
            prepared: prepared.as_ref(),
            websocket: upgrade::key(passage.inbound, Some(passage.decided.rule)),
        };
        if login.is_some() {
            self.steps.tell(|| sent(passage.inbound, prepared.as_ref()));
        }
        let response = self.send(passage.inbound, body, &load, note).await?;
        let mut response = match login {
            Some(login) => return Box::pin(self.watch_login((passage, &load), login, response, note)).await,
            None => response,
        };
        if let Some(live) = passage.permit.session() {
            if self.may_be_lost(passage) {
                response = Box::pin(self.unless_lost(passage, live, response, note)).await?;
            }
            let changes = self.changes_of(passage, prepared.as_ref(), response.headers());
            if !changes.is_empty() {
                Box::pin(self.take_up_cookies(live, &changes, note)).await?;
            }
        }
        if newcomer {
            Box::pin(self.welcome(passage, &mut response, note)).await?;
        }
        if held {
            response.headers_mut().remove(http::header::SET_COOKIE);
        }
        if let Some(logout) = passage.decided.rule.logout {
            Box::pin(self.log_out(passage, logout, response.status().as_u16(), note)).await?;
        }
        Ok(self.finish(passage.inbound, response.map(Body::Upstream), note))
    }

    /// `mode: observe`: forwards a request as it would have gone without the gate, but for what no request may carry.
    pub(super) async fn pass_observed(
        &self,
        inbound: &Inbound,
        body: body::Body,
        note: &mut Note,
    ) -> Result<Response<Body>, Refusal> {
        let (permit, claims) = (Permit::observed(), Claims::default());
        let load = Load {
            permit: &permit,
            claims: &claims,
            cookies: None,
            drop_authorization: false,
            plain_reply: false,
            rule: None,
            prepared: None,
            websocket: upgrade::key(inbound, self.settings.policy.websocket(inbound).map(|(_, rule)| rule)),
        };
        let response = self.send(inbound, body, &load, note).await?;
        Ok(self.finish(inbound, response.map(Body::Upstream), note))
    }

    async fn send(
        &self,
        inbound: &Inbound,
        body: body::Body,
        load: &Load<'_>,
        note: &mut Note,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let traceparent = note.traceparent();
        let context = self.context(load, note, &traceparent);
        let forward = &self.settings.forward;
        let (method, head, body) = match load.prepared {
            Some(prepared) => {
                let form = prepared.form.clone().map_or(body::Body::Empty, body::Body::Gathered);
                (prepared.method.as_str(), prepared.head(inbound, &context, forward), form)
            }
            None => {
                let body = headers::body(body, inbound.head.header("Content-Type"), forward);
                (inbound.head.method(), headers::head(inbound, &context, forward), body)
            }
        };
        let outgoing = Outgoing {
            asker: Asker { identity: load.permit.identity(), address: inbound.origin.ip },
            head,
            is_head: method == "HEAD",
            upgrade: load.websocket.is_some(),
            idempotent: matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS"),
            body,
            response_timeout: load.rule.and_then(|rule| rule.response_timeout),
            interim: note.interim.clone(),
        };
        let started = Instant::now();
        let response = self.upstream.send(outgoing).await;
        note.asked_upstream(started);
        match (load.permit.withdrawn(), response) {
            (None, response) => Ok(response?),
            (Some(withdrawn), response) => {
                if withdrawn.refusal.is_guess() {
                    Box::pin(self.verifier.note_guess(inbound.origin.ip, &self.store)).await;
                }
                self.withdraw(withdrawn, response, (inbound, load), note)
            }
        }
    }

    /// A signature turned out wrong at the end of the body that it was over. The body has stopped there, unless it may not.
    fn withdraw(
        &self,
        withdrawn: &Withdrawn,
        response: Result<Response<ResponseBody>, upstream::Fault>,
        (inbound, load): (&Inbound, &Load<'_>),
        note: &mut Note,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let refusal = Refusal::from(withdrawn.refusal.clone());
        self.tell_signed(&refusal, (inbound, load.claims), || Some(withdrawn.body), note);
        match response {
            Err(upstream::Fault::Body(Unreadable::Withheld)) => Err(refusal),
            response => {
                note.observed(&refusal);
                Ok(response?)
            }
        }
    }

    pub(super) fn context<'a>(&self, load: &'a Load<'_>, note: &'a Note, traceparent: &'a str) -> Context<'a> {
        Context {
            identity: load.permit.identity(),
            request_id: &note.request_id,
            now: self.clock.now(),
            cookies: load.cookies.as_deref(),
            drop_authorization: load.drop_authorization,
            plain_reply: load.plain_reply,
            traceparent,
            websocket: load.websocket,
        }
    }

    /// Whether this request's cookies are the gate's business: the client's own do not pass then.
    pub(super) fn holds(&self, passage: &Passage<'_>) -> bool {
        match (&passage.decided.rule.login, passage.permit.session()) {
            (Some(login), _) => login.hold_cookies,
            _ if passage.decided.rule.guests == Guests::Welcome => true,
            _ if passage.is_public() => false,
            (None, Some(live)) => live.record.holds_cookies,
            (None, None) => self.holds_cookies,
        }
    }

    /// The cookies that the request begins with. A login has those of a guest at most: otherwise it starts from a clean jar.
    fn held_cookies(&self, passage: &Passage<'_>) -> Vec<u8> {
        jar::cookie_line(begins_with(passage), &passage.inbound.target.raw_path, self.clock.now())
    }

    /// Fetches the page with which a login or logout begins.
    async fn prepare(&self, before: &Before, passage: &Passage<'_>, note: &Note) -> Result<Prepared, Refusal> {
        let traceparent = note.traceparent();
        let load = Load::page(passage);
        let errand = Errand {
            pages: self.pages(passage, self.context(&load, note, &traceparent)),
            inbound: passage.inbound,
            jar: begins_with(passage).to_vec(),
            now: self.clock.now(),
            patience: self.patience(passage),
        };
        let prepared = prepare::prepare(before, errand).await;
        prepared.map_err(|trouble| {
            self.steps.tell(|| Step::Stopped(trouble.to_string()));
            trouble.into()
        })
    }

    /// A user's POST with the application's token, where it has left that out.
    fn with_csrf(&self, passage: &Passage<'_>) -> Option<Prepared> {
        let (csrf, live, inbound) = (passage.decided.rule.csrf.as_ref()?, passage.permit.session()?, passage.inbound);
        let missing = inbound.form.get(csrf.field.as_bytes()).is_none();
        if inbound.head.method() != "POST" || !missing || !prepare::takes_fields(inbound) {
            return None;
        }
        let jar = &live.record.jar;
        let value = match &csrf.from {
            csrf::Origin::Header(name) => jar::kept_header(jar, name.as_str())?,
            // As PHP reads it: the field must come to the same.
            csrf::Origin::Cookie(name) => url_decode(&jar::value_of(jar, name, self.clock.now())?).to_vec(),
        };
        Some(prepare::with_field(inbound, &self.settings.forward, (&csrf.field, &value), jar))
    }

    pub(super) fn pages<'a>(&'a self, passage: &Passage<'a>, context: Context<'a>) -> Pages<'a> {
        let (upstream, settings) = (&self.upstream, &self.settings.forward);
        Pages {
            upstream,
            settings,
            context,
            steps: &self.steps,
            response_timeout: passage.decided.rule.response_timeout,
        }
    }

    /// How long an answer that is read may take to come whole.
    pub(super) fn patience(&self, passage: &Passage<'_>) -> Duration {
        passage.decided.rule.response_timeout.unwrap_or(self.settings.upstream.response_timeout)
    }

    /// What a reply changes in the jar, and those of the pages before it.
    pub(super) fn changes_of(
        &self,
        passage: &Passage<'_>,
        prepared: Option<&Prepared>,
        headers: &HeaderMap,
    ) -> Vec<jar::Change> {
        let before = prepared.iter().flat_map(|prepared| &prepared.replies);
        let mut changes: Vec<_> = before.flat_map(|(path, headers)| self.jar_changes(path, headers)).collect();
        let path = prepared.map_or(passage.inbound.target.raw_path.as_str(), Prepared::path);
        changes.extend(self.jar_changes(path, headers));
        changes
    }

    /// What a reply changes in a session's jar.
    fn jar_changes(&self, path: &str, headers: &HeaderMap) -> Vec<jar::Change> {
        let mut changes = match headers.contains_key(http::header::SET_COOKIE) {
            true => jar::changes(headers, path, self.clock.now()),
            false => Vec::new(),
        };
        let kept = |name: &HeaderName| headers.get(name).map(|value| jar::keep_header(name.as_str(), value.as_bytes()));
        changes.extend(self.kept_headers.iter().filter_map(kept));
        changes
    }

    /// Takes the application's cookies up into the session, where it holds them. An identity never changes under a token: cookies
    /// that name another user end it.
    pub(super) async fn take_up_cookies(
        &self,
        live: &Live,
        changes: &[jar::Change],
        note: &mut Note,
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        let other = |source| judged::other_user(source, live, changes, now);
        if let Some(other) = self.cookie_users.iter().find_map(other) {
            let ended = self.store.end(live.hash, Ending::Logout).await?;
            note.ended("session_lost", live.record.user.as_ref(), Some(&live.record.id), usize::from(ended));
            let detail = format!("a cookie of the application names another user: {other}");
            return Err(Refusal::new(Reason::SessionLost, detail));
        }
        if live.record.holds_cookies {
            // The request was done and its answer is right; only the cookies could not be kept.
            let apply = |jar: &mut Vec<_>| jar::apply(jar, changes, now);
            if let Err(fault) = self.store.change_jar(live.hash, &live.record.id, &apply).await {
                tracing::warn!(%fault, "cookies of the application could not be kept");
            }
        }
        Ok(())
    }

    /// The application has answered: `this` ends whatever it said, the others only where it did not fail.
    async fn log_out(&self, passage: &Passage<'_>, logout: Logout, status: u16, note: &mut Note) -> Result<(), Fault> {
        let Some(live) = passage.permit.session() else { return Ok(()) };
        let Some(user) = &live.record.user else { return Ok(()) };
        let count = match logout {
            Logout::This => usize::from(self.store.end(live.hash, Ending::Logout).await?),
            Logout::All | Logout::Others if status >= 400 => 0,
            Logout::All => self.store.end_user(user, None, Ending::Logout).await?,
            Logout::Others => self.store.end_user(user, Some(live.hash), Ending::Logout).await?,
        };
        match logout {
            Logout::This => note.ended("logout", Some(user), Some(&live.record.id), count),
            Logout::All | Logout::Others => note.ended("logout", Some(user), None, count),
        }
        Ok(())
    }

    /// What every answer of the application gets on its way out.
    pub(super) fn finish(&self, inbound: &Inbound, mut response: Response<Body>, note: &Note) -> Response<Body> {
        location::rewrite(response.headers_mut(), inbound.head.host(), &inbound.origin, &self.settings.forward);
        replies::put_request_id(response.headers_mut(), &note.request_id);
        response
    }
}

/// What is fetched before a login or logout, where the rule names something.
fn page_before<'a>(passage: &Passage<'a>) -> Option<&'a Before> {
    let of_login = passage.decided.rule.login.as_ref().and_then(|login| login.before.as_ref());
    of_login.or(passage.decided.rule.logout_before.as_deref())
}
