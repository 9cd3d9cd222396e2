//! The last steps: the request goes to the application, and what comes back is watched where the rule or the session says so.

use std::time::Instant;

use http::Response;

use crate::clock::Timestamp;
use crate::credentials::Claims;
use crate::gate::note::Note;
use crate::gate::{Gate, Mode, is_public, location, replies};
use crate::login::{self, Attempt, Desk, Pages, Watched, jar, judged};
use crate::policy::login_rule::LoginRule;
use crate::policy::rule::{Logout, Rule};
use crate::reply::{Body, Reason, Refusal};
use crate::request::{Inbound, Unreadable, body};
use crate::store::{Ending, Fault, Live};
use crate::upstream::headers::{self, Context};
use crate::upstream::{self, Outgoing, ResponseBody};
use crate::verify::{LoginTry, Permit, Withdrawn};

/// A request that may pass, and everything that was decided about it.
#[derive(Clone, Copy)]
pub(super) struct Passage<'a> {
    pub(super) inbound: &'a Inbound,
    pub(super) claims: &'a Claims<'a>,
    pub(super) rule: &'a Rule,
    pub(super) permit: &'a Permit,
}

/// What a request carries besides its own head.
struct Load<'a> {
    permit: &'a Permit,
    claims: &'a Claims<'a>,
    cookies: Option<Vec<u8>>,
    drop_authorization: bool,
    plain_reply: bool,
    rule: Option<&'a Rule>,
}

impl Gate {
    /// Forwards a permitted request. What few requests need is boxed, so that the others do not make room for it.
    pub(super) async fn pass(
        &self,
        passage: &Passage<'_>,
        body: body::Body,
        note: &mut Note,
    ) -> Result<Response<Body>, Refusal> {
        let login = match passage.rule.login.as_deref() {
            Some(rule) => Some((rule, Box::pin(self.begin_login(passage, rule, note)).await?)),
            None => None,
        };
        let held = self.holds(passage);
        let load = Load {
            permit: passage.permit,
            claims: passage.claims,
            cookies: if held { Some(self.held_cookies(passage)) } else { None },
            // Without a session it may be the application's own, as on public pages.
            drop_authorization: (passage.claims.by_authorization && self.settings.forward.hide_credentials)
                || passage.permit.session().is_some()
                || login.is_some(),
            plain_reply: login.is_some(),
            rule: Some(passage.rule),
        };
        let response = self.send(passage.inbound, body, &load, note).await?;
        let mut response = match login {
            Some(login) => return Box::pin(self.watch_login((passage, &load), login, response, note)).await,
            None => response,
        };
        if let Some(live) = passage.permit.session() {
            let now = self.clock.now();
            let changes = jar::changes(response.headers(), &passage.inbound.target.raw_path, now);
            if !changes.is_empty() {
                Box::pin(self.take_up_cookies(live, &changes, now)).await?;
            }
        }
        if held {
            response.headers_mut().remove(http::header::SET_COOKIE);
        }
        if let Some(logout) = passage.rule.logout {
            Box::pin(self.log_out(passage, logout, response.status().as_u16())).await?;
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
        let traceparent = replies::traceparent(inbound.head.header("traceparent"));
        let context = self.context(load, note, &traceparent);
        let method = inbound.head.method();
        let outgoing = Outgoing {
            head: headers::head(inbound, &context, &self.settings.forward),
            is_head: method == "HEAD",
            idempotent: matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS"),
            body: headers::body(body, inbound.head.header("Content-Type"), &self.settings.forward),
            response_timeout: load.rule.and_then(|rule| rule.response_timeout),
            interim: note.interim.clone(),
        };
        let started = Instant::now();
        let response = self.upstream.send(outgoing).await;
        note.upstream = Some(started.elapsed());
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

    fn context<'a>(&self, load: &'a Load<'_>, note: &'a Note, traceparent: &'a str) -> Context<'a> {
        Context {
            identity: load.permit.identity(),
            request_id: &note.request_id,
            now: self.clock.now(),
            cookies: load.cookies.as_deref(),
            drop_authorization: load.drop_authorization,
            plain_reply: load.plain_reply,
            traceparent,
        }
    }

    /// Whether this request's cookies are the gate's business: the client's own do not pass then.
    fn holds(&self, passage: &Passage<'_>) -> bool {
        match (&passage.rule.login, passage.permit.session()) {
            (Some(login), _) => login.hold_cookies,
            _ if is_public(passage.rule) => false,
            (None, Some(live)) => live.record.holds_cookies,
            (None, None) => self.holds_cookies,
        }
    }

    /// The session's cookies; none for a login, which starts from a clean jar, and where no user is needed.
    fn held_cookies(&self, passage: &Passage<'_>) -> Vec<u8> {
        match passage.permit.session() {
            Some(live) if passage.rule.login.is_none() => {
                jar::cookie_line(&live.record.jar, &passage.inbound.target.raw_path, self.clock.now())
            }
            _ => Vec::new(),
        }
    }

    /// Lets the login try, unless it is locked.
    async fn begin_login(
        &self,
        passage: &Passage<'_>,
        rule: &LoginRule,
        note: &mut Note,
    ) -> Result<Option<LoginTry<'_>>, Refusal> {
        let inbound = passage.inbound;
        let name = rule.user_name.as_ref().and_then(|field| judged::form_field(inbound, field));
        match self.verifier.begin_login(&self.store, inbound.origin.ip, name.as_deref()).await {
            Ok(begun) => Ok(begun),
            Err(denial) if self.settings.mode == Mode::Observe => {
                note.observed(&denial.into());
                Ok(None)
            }
            Err(denial) => Err(denial.into()),
        }
    }

    async fn watch_login(
        &self,
        (passage, load): (&Passage<'_>, &Load<'_>),
        (rule, begun): (&LoginRule, Option<LoginTry<'_>>),
        response: Response<ResponseBody>,
        note: &mut Note,
    ) -> Result<Response<Body>, Refusal> {
        let traceparent = replies::traceparent(passage.inbound.head.header("traceparent"));
        let pages = Pages {
            upstream: &self.upstream,
            settings: &self.settings.forward,
            context: self.context(load, note, &traceparent),
            response_timeout: passage.rule.response_timeout,
        };
        let attempt = Attempt {
            pages,
            rule,
            inbound: passage.inbound,
            client: passage.permit.identity().client.as_ref(),
            client_secret: passage.permit.client_secret(),
            claims: passage.claims,
            data_key: &self.settings.reply.keys.data,
        };
        let desk = Desk {
            store: &self.store,
            clock: &self.clock,
            sessions: self.verifier.session_settings(),
            patience: passage.rule.response_timeout.unwrap_or(self.settings.upstream.response_timeout),
        };
        let watched = login::watch(&desk, &attempt, response).await?;
        match (begun, &watched) {
            (Some(begun), Watched::Failed(_)) => begun.failed().await,
            (Some(begun), _) => begun.succeeded().await,
            (None, _) => {}
        }
        match watched {
            Watched::Failed(_) if rule.failed_envelope => {
                Err(Refusal::new(Reason::LoginFailed, "the application refused the login"))
            }
            Watched::Failed(response) => Ok(self.finish(passage.inbound, response.map(Body::own), note)),
            Watched::Merged(user, session, response) => {
                note.logged_in(user, session);
                Ok(self.finish(passage.inbound, response.map(Body::own), note))
            }
            Watched::Envelope(user, session, data) => {
                note.logged_in(user, session);
                let message = self.settings.reply.logged_in(note.asked().accept_language);
                Ok(self.envelope(message, data, note.asked()))
            }
        }
    }

    /// Takes the application's cookies up into the session, where it holds them. An identity never changes under a token: cookies
    /// that name another user end it.
    async fn take_up_cookies(&self, live: &Live, changes: &[jar::Change], now: Timestamp) -> Result<(), Refusal> {
        let other = |source| judged::other_user(source, live, changes, now);
        if let Some(other) = self.cookie_users.iter().find_map(other) {
            self.store.end(live.hash, Ending::Logout).await?;
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
    async fn log_out(&self, passage: &Passage<'_>, logout: Logout, status: u16) -> Result<(), Fault> {
        let Some(live) = passage.permit.session() else { return Ok(()) };
        let user = &live.record.user;
        match logout {
            Logout::This => self.store.end(live.hash, Ending::Logout).await.map(|_| ()),
            Logout::All | Logout::Others if status >= 400 => Ok(()),
            Logout::All => self.store.end_user(user, None, Ending::Logout).await.map(|_| ()),
            Logout::Others => self.store.end_user(user, Some(live.hash), Ending::Logout).await.map(|_| ()),
        }
    }

    /// What every answer of the application gets on its way out.
    fn finish(&self, inbound: &Inbound, mut response: Response<Body>, note: &Note) -> Response<Body> {
        location::rewrite(response.headers_mut(), inbound.head.host(), &inbound.origin, &self.settings.forward);
        replies::put_request_id(response.headers_mut(), &note.request_id);
        response
    }
}
