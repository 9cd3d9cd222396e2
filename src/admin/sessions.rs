//! `/api/v1/users/{id}/sessions`: who is logged in, logging in on somebody's behalf, and ending it.

use std::net::IpAddr;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::answer::{self, Problem, Response};
use crate::admin::{Parts, clients};
use crate::ids::{ClientId, SessionId, UserId};
use crate::login::issue::{self, NewSession, NotIssued};
use crate::request::MAX_USER_AGENT;
use crate::secret::Secret;
use crate::store::{Ending, Live};
use crate::telemetry::Ended;
use crate::verify::SessionSettings;

/// A user's living sessions, oldest first.
pub(super) async fn list(parts: &Parts, user: &str) -> Result<Response, Problem> {
    let user = user_id(user)?;
    let sessions: Vec<Value> = parts.store.sessions(&user).await?.iter().map(view).collect();
    Ok(answer::ok(&json!({"user_id": user.as_str(), "sessions": sessions})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    client_id: Option<String>,
    #[serde(default)]
    ip: String,
    #[serde(default)]
    user_agent: String,
}

/// Makes a session, as a login of that user would. The one time that its token is shown.
pub(super) async fn issue(parts: &Parts, user: &str, body: &Bytes) -> Result<Response, Problem> {
    let user = user_id(user)?;
    let new: New = answer::parse(body)?;
    let (ip, user_agent) = place(&new, &parts.session)?;
    let (client, client_secret) = known_client(parts, new.client_id.as_deref()).await?.unzip();
    let new = NewSession {
        client,
        client_secret,
        ip,
        user_agent,
        holds_cookies: parts.holds_cookies,
        ..NewSession::of(Some(user.clone()))
    };
    let issued = issue::issue(&parts.store, &parts.clock, &parts.session, new).await?;
    tracing::info!(user_id = %user, session = %issued.session, "session issued by an operator");
    tell_ended(parts, "newer_login", (&user, None), issued.displaced);
    let token =
        std::str::from_utf8(issued.token.expose()).map_err(|_| Problem::unavailable("the token is not text"))?;
    let body = json!({
        "user_id": user.as_str(),
        "user_token": token,
        "session": issued.session.as_str(),
        "expire_time": issued.expires.as_secs(),
    });
    Ok(answer::json(StatusCode::CREATED, &body))
}

/// The address and the program that it will be used from, spelled as they are compared. A session bound to what nobody named
/// could never be used.
fn place(new: &New, settings: &SessionSettings) -> Result<(String, String), Problem> {
    let missing = |key: &str| Problem::bad(format!("{key}: is needed, because `session.bind` ties sessions to it"));
    let ip = match new.ip.as_str() {
        "" if settings.bind_ip => return Err(missing("ip")),
        "" => String::new(),
        ip => ip.parse::<IpAddr>().map_err(|_| Problem::bad("ip: is no address"))?.to_canonical().to_string(),
    };
    match new.user_agent.as_str() {
        "" if settings.bind_user_agent => Err(missing("user_agent")),
        long if long.len() > MAX_USER_AGENT => {
            Err(Problem::bad(format!("user_agent: is longer than {MAX_USER_AGENT} bytes, which are all that count")))
        }
        user_agent => Ok((ip, user_agent.to_owned())),
    }
}

/// The client that was named, and its newest secret.
async fn known_client(parts: &Parts, id: Option<&str>) -> Result<Option<(ClientId, Secret)>, Problem> {
    let Some(id) = id else { return Ok(None) };
    let id = clients::client_id(id)?;
    match clients::newest_secret(parts, &id).await? {
        Some(secret) => Ok(Some((id, secret))),
        None => Err(Problem::not_found(format!("client_id: there is no client `{id}`"))),
    }
}

/// Ends every session of a user.
pub(super) async fn end_all(parts: &Parts, user: &str) -> Result<Response, Problem> {
    let user = user_id(user)?;
    let ended = parts.store.end_user(&user, None, Ending::Admin).await?;
    tracing::info!(user_id = %user, ended, "sessions ended by an operator");
    tell_ended(parts, "admin", (&user, None), ended);
    Ok(answer::ok(&json!({"ended": ended})))
}

/// Ends one session.
pub(super) async fn end(parts: &Parts, user: &str, session: &str) -> Result<Response, Problem> {
    let user = user_id(user)?;
    let sessions = parts.store.sessions(&user).await?;
    let unknown = || Problem::not_found(format!("user `{user}` has no living session `{session}`"));
    let found = sessions.iter().find(|live| live.record.id.as_str() == session).ok_or_else(unknown)?;
    if !parts.store.end(found.hash, Ending::Admin).await? {
        return Err(unknown());
    }
    tracing::info!(user_id = %user, session, "session ended by an operator");
    tell_ended(parts, "admin", (&user, Some(&found.record.id)), 1);
    Ok(answer::ok(&json!({"ended": 1})))
}

fn tell_ended(parts: &Parts, why: &'static str, (user, session): (&UserId, Option<&SessionId>), count: usize) {
    if count > 0 {
        let ended = Ended { why, user: user.clone(), session: session.cloned(), count };
        parts.telemetry.events().ended(parts.clock.now(), &ended);
    }
}

fn user_id(text: &str) -> Result<UserId, Problem> {
    UserId::new(text).map_err(|why| Problem::bad_id("user", why))
}

/// A session as shown: without anything that opens it.
fn view(live: &Live) -> Value {
    let record = &live.record;
    json!({
        "id": record.id.as_str(),
        "client_id": record.client.as_ref().map(ClientId::as_str),
        "created": record.created.as_secs(),
        "last_use": live.used.as_secs(),
        "expires": live.expires.min(record.ends).as_secs(),
        "ip": record.ip,
        "user_agent": record.user_agent,
    })
}

impl From<NotIssued> for Problem {
    fn from(why: NotIssued) -> Self {
        match why {
            NotIssued::Full => Self::conflict("the user holds as many sessions as `session.per_user` allows"),
            NotIssued::NoRandom(why) => Self::unavailable(why),
            NotIssued::NoSecret => {
                Self::bad("client_id: is needed, because `session.sealed` seals tokens under its secret")
            }
            NotIssued::Store(fault) => fault.into(),
        }
    }
}
