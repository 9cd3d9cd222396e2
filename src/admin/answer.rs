//! What the admin listener answers: JSON, and `{"error":"…"}` where something is wrong.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::ids::BadId;
use crate::store::Fault;

/// An answer of the admin listener.
pub(crate) type Response = http::Response<Full<Bytes>>;

/// JSON with that status.
pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    let mut response = of_json(format!("{body}\n"));
    *response.status_mut() = status;
    response
}

/// A text that is JSON, with 200.
pub(super) fn of_json(text: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(text.into()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// JSON with 200.
pub(super) fn ok(body: &Value) -> Response {
    json(StatusCode::OK, body)
}

/// Reads a request's JSON; nothing at all counts as `{}`.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let at = if matches!(path.as_str(), "." | "?") { "the body" } else { &path };
        Problem::bad(format!("{at}: {}", error.inner()))
    })?;
    reader.end().map_err(|error| Problem::bad(format!("the body: {error}")))?;
    Ok(value)
}

/// A field that is given, be it null: with a default of `None` for one that is not.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// Why a request was not done.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    what: String,
    faults: Vec<String>,
    header: Option<(HeaderName, &'static str)>,
}

impl Problem {
    fn new(status: StatusCode, what: impl Into<String>) -> Self {
        Self { status, what: what.into(), faults: Vec::new(), header: None }
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    /// 400
    pub(super) fn bad(what: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, what)
    }

    /// 400, for an id that cannot be one.
    pub(super) fn bad_id(whose: &str, why: BadId) -> Self {
        Self::bad(format!("the {whose} id {why}"))
    }

    /// 401
    pub(super) fn unauthorised() -> Self {
        let what = "this needs `Authorization: Bearer` with the configuration's `admin.token`";
        Self::new(StatusCode::UNAUTHORIZED, what).with(WWW_AUTHENTICATE, r#"Bearer realm="ticketgate admin""#)
    }

    /// 404
    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }

    /// 404, for a path that means nothing.
    pub(super) fn no_such_path() -> Self {
        Self::not_found(
            "there is nothing here; try /, /healthz, /readyz, /metrics, /api/v1/clients, /api/v1/users/{id}/sessions, /api/v1/reload",
        )
    }

    /// 404, where nothing but health and metrics is there.
    pub(super) fn off() -> Self {
        Self::not_found("the API and its page are off: set `admin.token` in the configuration to use them")
    }

    /// 405
    pub(super) fn not_allowed(allowed: &'static str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("this takes {allowed}")).with(ALLOW, allowed)
    }

    /// 408
    pub(super) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly")
    }

    /// 409
    pub(super) fn conflict(what: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, what)
    }

    /// 413
    pub(super) fn too_large(limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"))
    }

    /// 422, with everything that is wrong with a configuration.
    pub(super) fn not_taken_up(faults: &[String]) -> Self {
        let what = "the configuration was not taken up; the one in force stays, whole";
        Self { faults: faults.to_owned(), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, what) }
    }

    /// 429, for a token that was not looked at.
    pub(super) fn too_many_tries() -> Self {
        let what = "too many wrong tokens are being tried; wait a moment, and see who tries them";
        Self::new(StatusCode::TOO_MANY_REQUESTS, what).with(RETRY_AFTER, "1")
    }

    /// 503: undecided, worth another try.
    pub(super) fn unavailable(what: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, what).with(RETRY_AFTER, "1")
    }

    /// As sent.
    pub(super) fn into_response(self) -> Response {
        let body = match self.faults.as_slice() {
            [] => json!({"error": self.what}),
            faults => json!({"error": self.what, "faults": faults}),
        };
        let mut response = json(self.status, &body);
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        tracing::warn!(%fault, "an admin request could not be done");
        Self::unavailable(fault.to_string())
    }
}

impl From<getrandom::Error> for Problem {
    fn from(error: getrandom::Error) -> Self {
        Self::unavailable(format!("the operating system gave no random bytes: {error}"))
    }
}
