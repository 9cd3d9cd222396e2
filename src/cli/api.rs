//! Asking a running gate's admin listener.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer taken, in bytes: a list of some hundred thousand sessions.
const MAX_ANSWER: usize = 256 * 1024 * 1024;
/// What may stand in a path segment as it is (RFC 3986, 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the gate is, and what it opens to.
#[derive(Args, Debug)]
pub(super) struct ApiArgs {
    /// The gate's admin listener: http://HOST:PORT or unix:/PATH
    #[arg(long, value_name = "URL", env = "TICKETGATE_ADMIN", default_value = "http://127.0.0.1:9900", global = true)]
    admin: String,
    /// The configuration's `admin.token`
    #[arg(long, value_name = "TOKEN", env = "TICKETGATE_ADMIN_TOKEN", hide_env_values = true, global = true)]
    admin_token: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

/// Why the gate did not do it.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct Refused {
    /// What it answered.
    pub(super) status: StatusCode,
    what: String,
}

/// A running gate's admin API.
#[derive(Debug)]
pub(super) struct Api {
    url: String,
    place: Place,
    token: Option<HeaderValue>,
    /// Whether the caller wants JSON printed.
    pub(super) json: bool,
    runtime: tokio::runtime::Runtime,
}

#[derive(Debug)]
enum Place {
    Tcp(String),
    Unix(PathBuf),
}

impl ApiArgs {
    /// Ready to ask; nothing is connected yet.
    pub(super) fn open(&self) -> anyhow::Result<Api> {
        let token = self.admin_token.as_deref().filter(|token| !token.is_empty());
        let token = token.map(|token| HeaderValue::from_str(&format!("Bearer {token}"))).transpose();
        let token = token.map(|token| token.map(unprintable));
        Ok(Api {
            url: self.admin.clone(),
            place: Place::parse(&self.admin)?,
            token: token.context("the admin token cannot be sent: it holds a control character")?,
            json: self.json,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        })
    }
}

impl Place {
    fn parse(url: &str) -> anyhow::Result<Self> {
        if let Some(path) = url.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        if url.starts_with("https:") {
            bail!("{url}: the admin listener speaks plain http; give http://HOST:PORT");
        }
        let authority = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        let port = authority.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
        match port {
            Some((host, Ok(_))) if !host.is_empty() && !authority.contains(['/', '@', ' ']) => {
                Ok(Self::Tcp(authority.to_owned()))
            }
            _ => bail!("{url}: is no address of an admin listener; give http://HOST:PORT or unix:/PATH"),
        }
    }

    fn authority(&self) -> &str {
        match self {
            Self::Tcp(authority) => authority,
            Self::Unix(_) => "localhost",
        }
    }
}

/// A path of the API whose segments may hold anything.
pub(super) fn path(segments: &[&str]) -> String {
    let encoded = segments.iter().map(|segment| utf8_percent_encode(segment, SEGMENT).to_string());
    format!("/api/v1/{}", encoded.collect::<Vec<_>>().join("/"))
}

impl Api {
    /// Asks, and waits for the answer's JSON.
    pub(super) fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let (status, value) = self.look(self.request(method, path, body)?)?;
        if status.is_success() {
            return Ok(value);
        }
        Err(self.refused(status, value.get("error").and_then(Value::as_str)).into())
    }

    /// Asks how the gate is; what is not well is an answer, too.
    pub(super) fn health(&self, path: &str) -> anyhow::Result<(StatusCode, Value)> {
        self.look(self.request(Method::GET, path, None)?)
    }

    fn look(&self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Value)> {
        let (status, body) = self.runtime.block_on(self.exchange(request))?;
        match serde_json::from_slice(&body) {
            Ok(value) => Ok((status, value)),
            Err(_) => Err(self.refused(status, None).into()),
        }
    }

    fn request(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.place.authority());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        Ok(request.body(Full::from(body.map(Value::to_string).unwrap_or_default()))?)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
        let connected = timeout(CONNECT_TIMEOUT, connect(&self.place)).await;
        let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| {
            let why = why(&error);
            anyhow!("cannot reach {}: {why}; is the gate running, and is admin.listen that address?", self.url)
        })?;
        let answered = timeout(ANSWER_TIMEOUT, converse(stream, request)).await;
        let answered = answered.with_context(|| format!("{} did not answer within 30 s", self.url))?;
        answered.with_context(|| format!("{} broke off; is that address the gate's admin.listen?", self.url))
    }

    fn refused(&self, status: StatusCode, error: Option<&str>) -> Refused {
        let what = match (status, error) {
            (StatusCode::UNAUTHORIZED, _) => {
                let given =
                    if self.token.is_some() { "did not accept that admin token" } else { "wants an admin token" };
                format!(
                    "{} {given}; give the configuration's admin.token with --admin-token or TICKETGATE_ADMIN_TOKEN",
                    self.url
                )
            }
            (_, Some(error)) => error.to_owned(),
            (_, None) => format!("{} answered {status} and no JSON; is it the gate's admin.listen?", self.url),
        };
        Refused { status, what }
    }
}

/// What went wrong in the operating system's words, without its number.
fn why(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

/// So that nothing that prints a request prints it.
fn unprintable(mut token: HeaderValue) -> HeaderValue {
    token.set_sensitive(true);
    token
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn connect(place: &Place) -> io::Result<Box<dyn Stream>> {
    Ok(match place {
        Place::Tcp(authority) => Box::new(TcpStream::connect(authority).await?),
        Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}

async fn converse(stream: Box<dyn Stream>, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| anyhow!(error))?;
    driver.abort();
    Ok((head.status, body.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_or_a_socket() {
        for good in ["http://127.0.0.1:9900", "http://gate:9900/", "127.0.0.1:9900", "http://[::1]:9900", "unix:/run/a"]
        {
            assert!(Place::parse(good).is_ok(), "{good}");
        }
        for bad in ["https://gate:9900", "http://gate", "http://gate:99999", "http://u:p@gate:1", "http://gate:1/x", ""]
        {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_admin_token_is_not_printed() {
        let admin = "http://127.0.0.1:9900".to_owned();
        let api = ApiArgs { admin, admin_token: Some("hunter2".to_owned()), json: false }.open().unwrap();
        assert!(!format!("{api:?}").contains("hunter2"), "{api:?}");
    }

    #[test]
    fn odd_ids_stay_within_their_segment() {
        assert_eq!(path(&["users", "a/b c?", "sessions"]), "/api/v1/users/a%2Fb%20c%3F/sessions");
        assert_eq!(path(&["users", "王", "sessions"]), "/api/v1/users/%E7%8E%8B/sessions");
        assert_eq!(path(&["clients", "a-b.c_d~e"]), "/api/v1/clients/a-b.c_d~e");
    }
}
