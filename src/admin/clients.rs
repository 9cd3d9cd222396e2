//! `/api/v1/clients`: registered programs. Those of the configuration file are shown and cannot be changed here.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::Parts;
use crate::admin::answer::{self, Problem, Response};
use crate::clock::Timestamp;
use crate::clock::span::Span;
use crate::ids::ClientId;
use crate::policy::pattern::EndpointPattern;
use crate::secret::Secret;
use crate::store::record::{Algorithm, LiveSecret, Signing};
use crate::store::{ClientRecord, Question};
use crate::verify::FileClient;

/// Made-up ids and secrets fit the `varchar(20)` columns that old applications keep them in.
const ID_LENGTH: usize = 12;
const SECRET_LENGTH: usize = 20;
/// Longest given secret or name, in bytes.
const MAX_TEXT: usize = 255;
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// All clients, those of the file first.
pub(super) async fn list(parts: &Parts) -> Result<Response, Problem> {
    let now = parts.clock.now();
    let stored = parts.store.clients().await?;
    let of_file = parts.file_clients.iter().map(|client| view_of_file(client, now));
    let of_store = stored.iter().filter(|client| in_file(parts, &client.id).is_none()).map(|client| view(client, now));
    let clients: Vec<Value> = of_file.chain(of_store).collect();
    Ok(answer::ok(&json!({"clients": clients})))
}

/// One client.
pub(super) async fn show(parts: &Parts, id: &str) -> Result<Response, Problem> {
    let id = client_id(id)?;
    let now = parts.clock.now();
    if let Some(client) = in_file(parts, &id) {
        return Ok(answer::ok(&view_of_file(client, now)));
    }
    match stored(parts, &id).await? {
        Some(client) => Ok(answer::ok(&view(&client, now))),
        None => Err(unknown(&id)),
    }
}

/// The newest secret of a client that the file or the store knows; `None` where neither does.
pub(super) async fn newest_secret(parts: &Parts, id: &ClientId) -> Result<Option<Secret>, Problem> {
    let secrets = match in_file(parts, id) {
        Some(client) => Some(client.secrets.clone()),
        None => stored(parts, id).await?.map(|client| client.secrets.clone()),
    };
    let now = parts.clock.now();
    Ok(secrets.and_then(|secrets| secrets.into_iter().find(|live| live.counts(now))).map(|live| live.secret))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    id: Option<String>,
    secret: Option<String>,
    name: Option<String>,
    enabled: Option<bool>,
    algorithms: Option<Vec<Algorithm>>,
    endpoints: Option<Vec<String>>,
    signature: Option<Signing>,
}

/// Registers a client. The one time that its secret is shown.
pub(super) async fn add(parts: &Parts, body: &Bytes) -> Result<Response, Problem> {
    let new: New = answer::parse(body)?;
    let (record, secret) = record(new, parts.clock.now())?;
    changeable(parts, &record.id)?;
    if !parts.store.add_client(&record).await? {
        return Err(Problem::conflict(format!("a client `{}` is registered already", record.id)));
    }
    tracing::info!(client_id = %record.id, "client added by an operator");
    Ok(answer::json(StatusCode::CREATED, &with_secret(view(&record, record.created), &secret)))
}

fn record(new: New, now: Timestamp) -> Result<(ClientRecord, String), Problem> {
    let id = match new.id {
        Some(id) => client_id(&id)?,
        None => client_id(&random_text(ID_LENGTH)?)?,
    };
    let secret = secret(new.secret)?;
    let record = ClientRecord {
        id,
        secrets: vec![LiveSecret { secret: Secret::new(&secret), until: None }],
        enabled: new.enabled.unwrap_or(true),
        algorithms: checked_algorithms(new.algorithms.unwrap_or(vec![Algorithm::Md5, Algorithm::HmacSha256]))?,
        endpoints: checked_endpoints(new.endpoints.unwrap_or(vec!["*".to_owned()]))?,
        signature: new.signature,
        name: checked_name(new.name.unwrap_or_default())?,
        created: now,
    };
    Ok((record, secret))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    enabled: Option<bool>,
    endpoints: Option<Vec<String>>,
    algorithms: Option<Vec<Algorithm>>,
    name: Option<String>,
    #[serde(default, deserialize_with = "answer::given")]
    signature: Option<Option<Signing>>,
}

/// Changes what is given, and nothing else.
pub(super) async fn change(parts: &Parts, id: &str, body: &Bytes) -> Result<Response, Problem> {
    let id = client_id(id)?;
    let change: Change = answer::parse(body)?;
    let endpoints = change.endpoints.map(checked_endpoints).transpose()?;
    let algorithms = change.algorithms.map(checked_algorithms).transpose()?;
    let name = change.name.map(checked_name).transpose()?;
    changeable(parts, &id)?;
    let apply = |record: &mut ClientRecord| {
        record.enabled = change.enabled.unwrap_or(record.enabled);
        replace(&mut record.endpoints, endpoints.as_ref());
        replace(&mut record.algorithms, algorithms.as_ref());
        replace(&mut record.name, name.as_ref());
        replace(&mut record.signature, change.signature.as_ref());
    };
    let record = parts.store.change_client(&id, &apply).await?.ok_or_else(|| unknown(&id))?;
    tracing::info!(client_id = %id, enabled = record.enabled, "client changed by an operator");
    Ok(answer::ok(&view(&record, parts.clock.now())))
}

fn replace<T: Clone>(old: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        old.clone_from(new);
    }
}

/// Forgets a client.
pub(super) async fn remove(parts: &Parts, id: &str) -> Result<Response, Problem> {
    let id = client_id(id)?;
    changeable(parts, &id)?;
    if !parts.store.remove_client(&id).await? {
        return Err(unknown(&id));
    }
    tracing::info!(client_id = %id, "client removed by an operator");
    Ok(answer::ok(&json!({"id": id.as_str(), "removed": true})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default)]
    keep_old: Span,
    secret: Option<String>,
}

/// Gives a client a new secret; the one it had stays live for `keep_old`.
pub(super) async fn rotate(parts: &Parts, id: &str, body: &Bytes) -> Result<Response, Problem> {
    let id = client_id(id)?;
    let rotation: Rotation = answer::parse(body)?;
    let secret = secret(rotation.secret)?;
    changeable(parts, &id)?;
    let now = parts.clock.now();
    let until = now.plus(rotation.keep_old.0);
    let apply = |record: &mut ClientRecord| rotate_secrets(&mut record.secrets, &secret, now, until);
    let record = parts.store.change_client(&id, &apply).await?.ok_or_else(|| unknown(&id))?;
    tracing::info!(client_id = %id, "client secret rotated by an operator");
    Ok(answer::ok(&with_secret(view(&record, now), &secret)))
}

/// Puts the new secret first and keeps the newest of the old ones until then: two live ones at most.
fn rotate_secrets(secrets: &mut Vec<LiveSecret>, new: &str, now: Timestamp, until: Timestamp) {
    let old = secrets.drain(..).find(|old| old.counts(now));
    secrets.push(LiveSecret { secret: Secret::new(new), until: None });
    if let Some(LiveSecret { secret, until: limit }) = old
        && until > now
    {
        secrets.push(LiveSecret { secret, until: Some(limit.map_or(until, |limit| limit.min(until))) });
    }
}

async fn stored(parts: &Parts, id: &ClientId) -> Result<Option<Arc<ClientRecord>>, Problem> {
    let question = Question { client: Some(id), session: &[] };
    Ok(parts.store.ask(question).await?.client)
}

fn in_file<'a>(parts: &'a Parts, id: &ClientId) -> Option<&'a FileClient> {
    parts.file_clients.iter().find(|client| client.id == *id).map(|client| &**client)
}

fn changeable(parts: &Parts, id: &ClientId) -> Result<(), Problem> {
    match in_file(parts, id) {
        Some(_) => Err(Problem::conflict(format!("client `{id}` stands in the configuration file: change it there"))),
        None => Ok(()),
    }
}

fn unknown(id: &ClientId) -> Problem {
    Problem::not_found(format!("there is no client `{id}`"))
}

/// Checks an id that an operator gave.
pub(super) fn client_id(text: &str) -> Result<ClientId, Problem> {
    ClientId::new(text).map_err(|why| Problem::bad_id("client", why))
}

fn secret(given: Option<String>) -> Result<String, Problem> {
    match given {
        None => Ok(random_text(SECRET_LENGTH)?),
        Some(secret) if secret.is_empty() => Err(Problem::bad("secret: is empty; leave it out to have one made")),
        Some(secret) => plain("secret", secret),
    }
}

fn checked_name(name: String) -> Result<String, Problem> {
    plain("name", name)
}

fn plain(key: &str, text: String) -> Result<String, Problem> {
    match text {
        text if text.len() > MAX_TEXT => Err(Problem::bad(format!("{key}: is longer than {MAX_TEXT} bytes"))),
        text if text.chars().any(char::is_control) => Err(Problem::bad(format!("{key}: holds a control character"))),
        text => Ok(text),
    }
}

fn checked_endpoints(endpoints: Vec<String>) -> Result<Vec<String>, Problem> {
    if endpoints.is_empty() {
        return Err(Problem::bad(r#"endpoints: is empty; give ["*"] for all, or disable the client"#));
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        EndpointPattern::parse(endpoint).map_err(|why| Problem::bad(format!("endpoints[{index}]: {why}")))?;
    }
    Ok(endpoints)
}

fn checked_algorithms(algorithms: Vec<Algorithm>) -> Result<Vec<Algorithm>, Problem> {
    if algorithms.is_empty() {
        return Err(Problem::bad("algorithms: is empty; give md5, hmac-sha256 or both"));
    }
    Ok(algorithms)
}

/// Letters and digits from the operating system's random bytes, each equally likely.
fn random_text(length: usize) -> Result<String, getrandom::Error> {
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 64];
    while text.len() < length {
        getrandom::fill(&mut bytes)?;
        // Six bits each; the two values that name no letter are thrown away, since a remainder would favour some letters.
        let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte & 63)));
        text.extend(letters.take(length - text.len()).map(|letter| char::from(*letter)));
    }
    Ok(text)
}

/// A client as shown: without its secrets.
fn view(client: &ClientRecord, now: Timestamp) -> Value {
    json!({
        "id": client.id.as_str(),
        "name": client.name,
        "source": "store",
        "enabled": client.enabled,
        "algorithms": client.algorithms,
        "endpoints": client.endpoints,
        "signature": client.signature,
        "created": client.created.as_secs(),
        "old_secret_until": old_secret_until(&client.secrets, now),
    })
}

fn view_of_file(client: &FileClient, now: Timestamp) -> Value {
    json!({
        "id": client.id.as_str(),
        "name": "",
        "source": "file",
        "enabled": true,
        "algorithms": client.algorithms,
        "endpoints": client.endpoints,
        "signature": client.signature,
        "created": null,
        "old_secret_until": old_secret_until(&client.secrets, now),
    })
}

fn old_secret_until(secrets: &[LiveSecret], now: Timestamp) -> Option<u64> {
    secrets.iter().skip(1).filter(|secret| secret.counts(now)).find_map(|secret| secret.until).map(Timestamp::as_secs)
}

fn with_secret(view: Value, secret: &str) -> Value {
    let mut shown = json!({"id": view.get("id"), "secret": secret});
    if let (Value::Object(shown), Value::Object(view)) = (&mut shown, view) {
        shown.extend(view.into_iter().filter(|(key, _)| key != "id"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn made_up_texts_are_letters_and_digits_of_that_length() {
        for length in [ID_LENGTH, SECRET_LENGTH, 200] {
            let text = random_text(length).unwrap();
            assert_eq!(text.len(), length);
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
        }
        assert_ne!(random_text(20).unwrap(), random_text(20).unwrap());
    }

    #[test]
    fn at_most_two_secrets_live_while_one_is_being_rotated() {
        let now = Timestamp::from_secs(1000);
        let hour = Duration::from_secs(3600);
        let shown = |secrets: &[LiveSecret]| -> Vec<(String, Option<u64>)> {
            let text = |secret: &Secret| String::from_utf8(secret.expose().to_vec()).unwrap();
            secrets.iter().map(|live| (text(&live.secret), live.until.map(Timestamp::as_secs))).collect()
        };
        let mut secrets = vec![LiveSecret { secret: Secret::new("one"), until: None }];

        rotate_secrets(&mut secrets, "two", now, now.plus(hour));
        assert_eq!(shown(&secrets), [("two".to_owned(), None), ("one".to_owned(), Some(4600))]);
        assert_eq!(old_secret_until(&secrets, now), Some(4600));

        rotate_secrets(&mut secrets, "three", now, now.plus(2 * hour));
        assert_eq!(shown(&secrets), [("three".to_owned(), None), ("two".to_owned(), Some(8200))]);

        rotate_secrets(&mut secrets, "four", now, now);
        assert_eq!(shown(&secrets), [("four".to_owned(), None)]);
    }
}
