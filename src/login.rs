//! Logins: watches the application's answer to a login request, and makes a session where it succeeded.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_LENGTH, ETAG, SET_COOKIE};
use http::response::Parts;
use serde_json::{Map, Value};

use crate::clock::Clock;
use crate::credentials::Claims;
use crate::ids::{ClientId, TokenHash, UserId};
use crate::policy::login_rule::{LoginReply, LoginRule, Source, TokenSource};
use crate::request::Inbound;
use crate::secret::Secret;
use crate::store::channel::Channel;
use crate::store::{self, Ending, Found, HeldCookie, Live, Question, Store};
use crate::upstream::{self, ResponseBody};
use crate::verify::SessionSettings;

mod cookie_date;
mod html;
pub mod issue;
pub mod jar;
pub mod json;
pub mod judged;
mod location;
pub mod merge;
mod pages;
pub mod prepare;
pub mod seal_token;
pub mod steps;
pub mod text;

use issue::{Issued, NewSession, NotIssued};
use judged::{Answer, Judged};
pub use pages::Pages;
use prepare::Prepared;
use steps::{Seen, Step};

/// A login under way.
pub struct Attempt<'a> {
    /// What the rule says.
    pub rule: &'a LoginRule,
    /// The request.
    pub inbound: &'a Inbound,
    /// The client that logs a user in.
    pub client: Option<&'a ClientId>,
    /// The secret by which it proved itself.
    pub client_secret: Option<&'a Secret>,
    /// What the caller says of itself. If it has a session, that ends when this login succeeds.
    pub claims: &'a Claims<'a>,
    /// How further pages are asked for.
    pub pages: Pages<'a>,
    /// The envelope's name for data.
    pub data_key: &'a str,
    /// What was made ready before, where the rule wants that.
    pub prepared: Option<&'a Prepared>,
    /// The connection that asks, where the session shall live on it.
    pub channel: Option<&'a Channel>,
    /// The guest's session that it goes on from; without one it begins from a clean jar.
    pub guest: Option<&'a Live>,
    /// The session in whose place the new one comes, where that is known.
    pub older: Option<TokenHash>,
}

impl Attempt<'_> {
    /// The cookies that the login went out with.
    fn begins_with(&self) -> &[HeldCookie] {
        match (self.prepared, self.guest) {
            (Some(prepared), _) => &prepared.jar,
            (None, Some(live)) => &live.record.jar,
            (None, None) => &[],
        }
    }

    /// The path that was asked.
    fn path(&self) -> &str {
        self.prepared.map_or(&self.inbound.target.raw_path, Prepared::path)
    }
}

/// What a watched login came to.
#[derive(Debug)]
pub enum Watched {
    /// The application said no: its answer, without the cookies that are held.
    Failed(Response<Bytes>),
    /// A session stands; the application's JSON with the tokens in it.
    Merged(NewLogin, Response<Bytes>),
    /// A session stands; what the client is to be told in the gate's own envelope.
    Envelope(NewLogin, Map<String, Value>),
}

/// Who is logged in now.
#[derive(Clone, Debug)]
pub struct NewLogin {
    /// The user.
    pub user: UserId,
    /// The session that stands.
    pub issued: Issued,
    /// The session that ended for it: the one under which the login was made.
    pub replaced: Option<Live>,
}

/// Why a login could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The application broke off.
    #[error(transparent)]
    Upstream(#[from] upstream::Fault),
    /// The store failed: the application knows of a login, but no session stands.
    #[error(transparent)]
    Store(#[from] store::Fault),
    /// The user holds as many sessions as allowed.
    #[error("the user holds as many sessions as allowed")]
    Full,
}

impl From<NotIssued> for Trouble {
    fn from(not: NotIssued) -> Self {
        match not {
            NotIssued::Full => Self::Full,
            NotIssued::Store(fault) => Self::Store(fault),
            NotIssued::NoRandom(why) => Self::Store(store::Fault::Failed(why)),
            NotIssued::NoSecret => Self::Store(store::Fault::Failed(not.to_string())),
        }
    }
}

/// What logins need of the gate.
#[derive(Debug)]
pub struct Desk<'a> {
    /// Where sessions stand.
    pub store: &'a Store,
    /// The time.
    pub clock: &'a Clock,
    /// How sessions live.
    pub sessions: &'a SessionSettings,
    /// How long an answer may take to come whole, from its head on.
    pub patience: Duration,
}

/// Reads the application's whole answer and finishes the login.
pub async fn watch(
    desk: &Desk<'_>,
    attempt: &Attempt<'_>,
    response: Response<ResponseBody>,
) -> Result<Watched, Trouble> {
    let answer = pages::read(response, desk.patience).await?;
    let mut jar = attempt.begins_with().to_vec();
    take_up(&mut jar, &answer, attempt.path(), desk.clock);
    let finished = finished(desk, attempt, &answer, &mut jar).await;
    attempt.pages.steps.tell(|| Step::Held(jar.iter().map(steps::held).collect()));
    let Some((user, adopted)) = finished? else {
        return Ok(Watched::Failed(unchanged(answer, attempt.rule.hold_cookies)));
    };
    let older = older(desk, attempt).await?;
    let hash = older.as_ref().map(|older| older.hash);
    let new = NewSession { adopted, older: hash, ..new_session(attempt, user.clone(), jar) };
    let issued = issue::issue(desk.store, desk.clock, desk.sessions, new).await?;
    let data = merge::data(&user, &issued);
    let merged = match attempt.rule.reply {
        LoginReply::Merge => {
            let judged = Judged::new(attempt.inbound, &answer, &[], desk.clock.now());
            let reply = handed_on(desk, attempt, judged.text(), &issued);
            reply.and_then(|reply| merge::into_json(&reply, attempt.data_key, &data))
        }
        LoginReply::Envelope => None,
    };
    // One that adopts its token anew is the same session.
    let replaced = older.filter(|older| older.hash != issued.hash);
    let new = NewLogin { user, issued, replaced };
    Ok(match merged {
        Some(body) => Watched::Merged(new, with_body(answer.head, body, attempt.rule.hold_cookies)),
        None => Watched::Envelope(new, data),
    })
}

fn take_up(jar: &mut Vec<HeldCookie>, answer: &Answer, path: &str, clock: &Clock) {
    let now = clock.now();
    jar::apply(jar, &jar::changes(&answer.head.headers, path, now), now);
}

/// Who logged in, and the application's own token where the rule adopts it. `None` where the login did not succeed; an answer
/// that fits the conditions but names nobody is no success either, and most likely a condition too wide.
async fn finished(
    desk: &Desk<'_>,
    attempt: &Attempt<'_>,
    answer: &Answer,
    jar: &mut Vec<HeldCookie>,
) -> Result<Option<(UserId, Option<Secret>)>, Trouble> {
    let (rule, now) = (attempt.rule, desk.clock.now());
    let judged = Judged::new(attempt.inbound, answer, jar, now).at(attempt.path());
    let steps = attempt.pages.steps;
    steps.tell(|| Step::Answered(Seen::of(answer, attempt.path(), now)));
    judged.tell(&rule.success, steps);
    if !judged.succeeded(&rule.success) {
        return Ok(None);
    }
    if let Some(live) = attempt.guest {
        // To the application the guest is somebody from now on, whatever becomes of this login.
        desk.store.end(live.hash, Ending::Logout).await?;
    }
    let adopted = match &rule.user_token {
        TokenSource::Issue => None,
        TokenSource::Json(pointer) => {
            match judged.find(&Source::Json(pointer.clone())).filter(|token| !token.is_empty()) {
                Some(token) => Some(Secret::new(token)),
                None => return Ok(unfinished("login.user_token finds no token in it")),
            }
        }
    };
    let user = match &rule.user_page {
        None => judged.user(&rule.user_id),
        Some(target) => {
            let page = attempt.pages.get(target, attempt.inbound, jar, now).await?;
            let page = pages::read(page, desk.patience).await?;
            take_up(jar, &page, pages::path_of(target), desk.clock);
            steps.tell(|| Step::Fetched(target.clone(), Seen::of(&page, pages::path_of(target), now)));
            Judged::new(attempt.inbound, &page, jar, now).user(&rule.user_id)
        }
    };
    steps.tell(|| Step::User(rule.user_id.from.to_string(), user.as_ref().map(ToString::to_string)));
    Ok(user.map_or_else(|| unfinished("login.user_id finds nobody in it"), |user| Some((user, adopted))))
}

fn unfinished<T>(why: &str) -> Option<T> {
    tracing::warn!("an answer fits login.success, but {why}: taken for a failed login");
    None
}

/// The application's own words, in which an adopted token is sealed where tokens are.
fn handed_on<'a>(desk: &Desk<'_>, attempt: &Attempt<'_>, reply: &'a str, issued: &Issued) -> Option<Cow<'a, str>> {
    match &attempt.rule.user_token {
        TokenSource::Json(pointer) if desk.sessions.sealed => {
            merge::replace(reply, pointer, &issued.token).map(Cow::Owned)
        }
        _ => Some(Cow::Borrowed(reply)),
    }
}

fn new_session(attempt: &Attempt<'_>, user: UserId, jar: Vec<HeldCookie>) -> NewSession {
    let hold = attempt.rule.hold_cookies;
    NewSession {
        client: attempt.client.cloned(),
        client_secret: attempt.client_secret.cloned(),
        ip: attempt.inbound.origin.ip.to_string(),
        user_agent: attempt.inbound.user_agent().into_owned(),
        jar: if hold { jar } else { Vec::new() },
        holds_cookies: hold,
        channel: attempt.channel.cloned(),
        ..NewSession::of(Some(user))
    }
}

/// The session that the login was made under: the claimed user's, living where the login comes from, and not bound to another
/// client. Of a message without one, the session that lives on its connection.
async fn older(desk: &Desk<'_>, attempt: &Attempt<'_>) -> Result<Option<Live>, store::Fault> {
    let (hashes, is_own) = match (attempt.claims.user_token, attempt.older) {
        (Some(token), _) => (desk.store.hashes(token), false),
        (None, Some(older)) => (vec![older], true),
        (None, None) => return Ok(None),
    };
    let question = Question { session: &hashes, ..Question::default() };
    let Some(Found::Live(live)) = desk.store.ask(question).await?.session else { return Ok(None) };
    let record = &live.record;
    let is_theirs = |claimed| record.user.as_ref().is_some_and(|user| user.as_str().as_bytes() == claimed);
    let owned = attempt.claims.user_id.is_none_or(is_theirs);
    let unbound = record.user.is_none() && record.client.is_none();
    let foreign = attempt.client.is_some() && !unbound && record.client.as_ref() != attempt.client;
    let here = record.channel.as_ref().map(|channel| &channel.id) == attempt.channel.map(|channel| &channel.id);
    Ok((is_own || owned && here && !(foreign && desk.sessions.bind_client)).then_some(live))
}

/// The application's answer as it is, but for cookies that reach nobody.
fn unchanged(mut answer: Answer, hold_cookies: bool) -> Response<Bytes> {
    if hold_cookies {
        answer.head.headers.remove(SET_COOKIE);
    }
    Response::from_parts(answer.head, answer.body)
}

/// The application's answer with another body: what described the old one is taken off.
fn with_body(mut reply: Parts, body: Bytes, hold_cookies: bool) -> Response<Bytes> {
    if hold_cookies {
        reply.headers.remove(SET_COOKIE);
    }
    reply.headers.remove(ETAG);
    reply.headers.remove("content-md5");
    reply.headers.insert(CONTENT_LENGTH, body.len().into());
    reply.headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    Response::from_parts(reply, body)
}
