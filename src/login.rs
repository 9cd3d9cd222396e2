//! Logins: watches the application's answer to a login request, and makes a session where it succeeded.

use bytes::{Bytes, BytesMut};
use http::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, SET_COOKIE};
use http::response::Parts;
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use crate::clock::Clock;
use crate::credentials::Claims;
use crate::ids::{ClientId, TokenHash, UserId};
use crate::policy::login_rule::{LoginReply, LoginRule, Source, TokenSource};
use crate::request::Inbound;
use crate::secret::Secret;
use crate::store::{self, Found, HeldCookie, Question, Store};
use crate::upstream::{self, ResponseBody};
use crate::verify::SessionSettings;

pub mod issue;
pub mod jar;
pub mod json;
pub mod judged;
mod location;
pub mod merge;
mod text;

use issue::{NewSession, NotIssued};
use judged::Judged;
use text::Text;

/// Longest reply to a login that is read, in bytes.
const MAX_REPLY: usize = 1024 * 1024;

/// A login under way.
pub struct Attempt<'a> {
    /// What the rule says.
    pub rule: &'a LoginRule,
    /// The request.
    pub inbound: &'a Inbound,
    /// The client that logs a user in.
    pub client: Option<&'a ClientId>,
    /// What the caller says of itself. If it has a session, that ends when this login succeeds.
    pub claims: &'a Claims<'a>,
    /// The envelope's name for data.
    pub data_key: &'a str,
}

/// What a watched login came to.
#[derive(Debug)]
pub enum Watched {
    /// The application said no: its answer, without the cookies that are held.
    Failed(Response<Bytes>),
    /// A session stands; the application's JSON with the tokens in it.
    Merged(UserId, Response<Bytes>),
    /// A session stands; what the client is to be told in the gate's own envelope.
    Envelope(UserId, Map<String, Value>),
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
}

/// Reads the application's whole answer and finishes the login.
pub async fn watch(
    desk: &Desk<'_>,
    attempt: &Attempt<'_>,
    response: Response<ResponseBody>,
) -> Result<Watched, Trouble> {
    let (mut reply, body) = response.into_parts();
    let body = collect(body).await?;
    let now = desk.clock.now();
    let mut jar = Vec::new();
    jar::apply(&mut jar, &jar::changes(&reply.headers, &attempt.inbound.target.raw_path, now), now);
    let text = Text::of(&body, reply.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes));
    let json = json::whole(&text.text);
    let judged = Judged { inbound: attempt.inbound, reply: &reply, body: &body, text: &text, json, jar: &jar, now };
    let Some((user, adopted)) = finished(&judged, attempt.rule) else {
        if attempt.rule.hold_cookies {
            reply.headers.remove(SET_COOKIE);
        }
        return Ok(Watched::Failed(Response::from_parts(reply, body)));
    };
    let new = NewSession { adopted, older: older(desk, attempt).await?, ..new_session(attempt, user.clone(), jar) };
    let issued = issue::issue(desk.store, desk.clock, desk.sessions, new).await?;
    let data = merge::data(&user, &issued);
    let merged = match attempt.rule.reply {
        LoginReply::Merge => merge::into_json(&text.text, attempt.data_key, &data),
        LoginReply::Envelope => None,
    };
    Ok(match merged {
        Some(body) => Watched::Merged(user, with_body(reply, body, attempt.rule.hold_cookies)),
        None => Watched::Envelope(user, data),
    })
}

/// Who logged in, and the application's own token where the rule adopts it. `None` where the login did not succeed; an answer
/// that fits the conditions but names nobody is no success either, and most likely a condition too wide.
fn finished(judged: &Judged<'_>, rule: &LoginRule) -> Option<(UserId, Option<Secret>)> {
    if !judged.succeeded(&rule.success) {
        return None;
    }
    let Some(user) = judged.user(&rule.user_id) else {
        tracing::warn!("an answer fits login.success, but login.user_id finds nobody in it: taken for a failed login");
        return None;
    };
    let TokenSource::Json(pointer) = &rule.user_token else { return Some((user, None)) };
    let token = judged.find(&Source::Json(pointer.clone())).filter(|token| !token.is_empty());
    if token.is_none() {
        tracing::warn!(
            "an answer fits login.success, but login.user_token finds no token in it: taken for a failed login"
        );
    }
    token.map(|token| (user, Some(Secret::new(token))))
}

fn new_session(attempt: &Attempt<'_>, user: UserId, jar: Vec<HeldCookie>) -> NewSession {
    let hold = attempt.rule.hold_cookies;
    NewSession {
        client: attempt.client.cloned(),
        ip: attempt.inbound.origin.ip.to_string(),
        user_agent: attempt.inbound.user_agent().to_owned(),
        jar: if hold { jar } else { Vec::new() },
        holds_cookies: hold,
        ..NewSession::of(user)
    }
}

/// The session that the login was made under: the claimed user's, and not bound to another client.
async fn older(desk: &Desk<'_>, attempt: &Attempt<'_>) -> Result<Option<TokenHash>, store::Fault> {
    let Some(token) = attempt.claims.user_token else { return Ok(None) };
    let hashes = desk.store.hashes(token);
    let question = Question { session: &hashes, ..Question::default() };
    let Some(Found::Live(live)) = desk.store.ask(question).await?.session else { return Ok(None) };
    let record = &live.record;
    let owned = attempt.claims.user_id.is_none_or(|claimed| claimed == record.user.as_str().as_bytes());
    let foreign = attempt.client.is_some() && record.client.as_ref() != attempt.client;
    Ok((owned && !(foreign && desk.sessions.bind_client)).then_some(live.hash))
}

async fn collect(mut body: ResponseBody) -> Result<Bytes, upstream::Fault> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            whole.extend_from_slice(&data);
        }
        if whole.len() > MAX_REPLY {
            return Err(upstream::Fault::Failed("its answer to a login is longer than 1 MiB".to_owned()));
        }
    }
    Ok(whole.freeze())
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
