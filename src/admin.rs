//! The admin listener: health and metrics for everybody; with a token, clients, sessions and events for operators.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::admin::answer::{Problem, Response};
use crate::admin::health::Readiness;
use crate::admin::tries::Tries;
use crate::clock::Clock;
use crate::reload::Reload;
use crate::secret::{Secret, same};
use crate::server::{Listen, Listener, Room, SocketFile};
use crate::shutdown::{Phase, Shutdown};
use crate::store::Store;
use crate::telemetry::Telemetry;
use crate::upstream::Upstream;
use crate::verify::{FileClient, SessionSettings};
use crate::websocket::open::Open;

mod answer;
mod clients;
mod events;
mod health;
mod metrics;
mod page;
mod path;
mod reload;
mod sessions;
mod tries;

/// Largest body that the API takes, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// Longest wait for a whole head, and again for a whole body.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Connections served at a time; more wait in the backlog.
const MAX_CONNECTIONS: usize = 256;
/// Rest after a failed accept (usually: no descriptors left), instead of spinning.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// The API, described for programs (OpenAPI 3.1). `tests/api.rs` holds the answers against it.
const DESCRIPTION: &str = include_str!("admin/openapi.json");

/// `admin`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `listen`
    pub listen: Listen,
    /// `token`: each of them opens the API; two while one is being replaced.
    pub tokens: Vec<Secret>,
}

/// What the admin listener works on.
#[derive(Debug)]
pub struct Parts {
    /// `admin.token`; without one there is no API.
    pub tokens: Vec<Secret>,
    /// Clients and sessions.
    pub store: Store,
    /// The application, to see whether it is there.
    pub upstream: Upstream,
    /// How sessions are made.
    pub session: SessionSettings,
    /// Whether sessions hold cookies, those that are issued here like those of a login.
    pub holds_cookies: bool,
    /// Clients of the configuration file: shown, never changed.
    pub file_clients: Vec<Arc<FileClient>>,
    /// The configuration in force, to be shown.
    pub config: serde_json::Value,
    /// What was counted.
    pub telemetry: Telemetry,
    /// How many connections the public listener has.
    pub connections: Room,
    /// How many of them are WebSockets.
    pub websockets: Open,
    /// The time.
    pub clock: Clock,
    /// How far the ending has come.
    pub shutdown: Shutdown,
    /// Takes up a changed configuration.
    pub reload: Reload,
}

/// Answers operators and probes.
#[derive(Debug)]
pub struct Admin {
    parts: ArcSwap<Parts>,
    readiness: Readiness,
    tries: Tries,
}

impl Admin {
    /// Of those parts.
    pub fn new(parts: Parts) -> Self {
        Self { parts: ArcSwap::from_pointee(parts), readiness: Readiness::default(), tries: Tries::default() }
    }

    /// Works on other parts from now on.
    pub fn renew(&self, parts: Parts) {
        self.parts.store(Arc::new(parts));
    }

    async fn answer(&self, request: Request<Incoming>) -> http::Response<Either<Full<Bytes>, events::Stream>> {
        let streamed = match (request.uri().path(), request.method()) {
            ("/api/v1/events", &Method::GET) => self.listen(request.headers()).await,
            _ => return self.route(request).await.unwrap_or_else(Problem::into_response).map(Either::Left),
        };
        match streamed {
            Ok(stream) => stream.map(Either::Right),
            Err(problem) => problem.into_response().map(Either::Left),
        }
    }

    async fn listen(&self, headers: &HeaderMap) -> Result<http::Response<events::Stream>, Problem> {
        let parts = &*self.parts.load_full();
        self.authorise(parts, headers).await?;
        events::stream(parts)
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Response, Problem> {
        let (head, body) = request.into_parts();
        let parts = &*self.parts.load_full();
        match head.uri.path() {
            "/healthz" => only_get(&head.method).map(|()| health::alive()),
            "/readyz" => {
                only_get(&head.method)?;
                Ok(self.readiness.answer(parts).await)
            }
            "/metrics" => only_get(&head.method).map(|()| metrics::page(parts, &self.tries)),
            path if page::holds(path) => {
                only_get(&head.method)?;
                if parts.tokens.is_empty() { Err(Problem::off()) } else { page::file(path) }
            }
            path => {
                let rest = path.strip_prefix("/api/v1/").ok_or_else(Problem::no_such_path)?;
                self.authorise(parts, &head.headers).await?;
                let segments = path::segments(rest)?;
                Self::api(parts, &head.method, &segments, read(body).await?).await
            }
        }
    }

    async fn authorise(&self, parts: &Parts, headers: &HeaderMap) -> Result<(), Problem> {
        let tokens = &parts.tokens;
        if tokens.is_empty() {
            return Err(Problem::off());
        }
        let given = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        let Some(given) = given else { return Err(Problem::unauthorised()) };
        // Every token is compared, so that the time does not tell which one fits.
        let opens = || tokens.iter().fold(false, |fits, token| fits | same(given, token.expose()));
        self.tries.judge(opens).await
    }

    async fn api(parts: &Parts, method: &Method, segments: &[String], body: Bytes) -> Result<Response, Problem> {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (segments.as_slice(), method.as_str()) {
            (["config"], "GET") => Ok(answer::ok(&parts.config)),
            (["refusals"], "GET") => Ok(events::refusals(parts)),
            (["openapi.json"], "GET") => Ok(answer::of_json(DESCRIPTION)),
            (["config" | "refusals" | "openapi.json" | "events"], _) => Err(Problem::not_allowed("GET")),
            (["clients"], "GET") => clients::list(parts).await,
            (["clients"], "POST") => clients::add(parts, &body).await,
            (["clients"], _) => Err(Problem::not_allowed("GET, POST")),
            (["clients", id], "GET") => clients::show(parts, id).await,
            (["clients", id], "PATCH") => clients::change(parts, id, &body).await,
            (["clients", id], "DELETE") => clients::remove(parts, id).await,
            (["clients", _], _) => Err(Problem::not_allowed("GET, PATCH, DELETE")),
            (["clients", id, "rotate"], "POST") => clients::rotate(parts, id, &body).await,
            (["clients", _, "rotate"], _) => Err(Problem::not_allowed("POST")),
            (["users", user, "sessions"], "GET") => sessions::list(parts, user).await,
            (["users", user, "sessions"], "POST") => sessions::issue(parts, user, &body).await,
            (["users", user, "sessions"], "DELETE") => sessions::end_all(parts, user).await,
            (["users", _, "sessions"], _) => Err(Problem::not_allowed("GET, POST, DELETE")),
            (["users", user, "sessions", session], "DELETE") => sessions::end(parts, user, session).await,
            (["users", _, "sessions", _], _) => Err(Problem::not_allowed("DELETE")),
            (["reload"], "POST") => reload::reload(&parts.reload).await,
            (["reload"], _) => Err(Problem::not_allowed("POST")),
            _ => Err(Problem::no_such_path()),
        }
    }
}

fn only_get(method: &Method) -> Result<(), Problem> {
    match *method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Problem::not_allowed("GET, HEAD")),
    }
}

/// The token of `Bearer TOKEN`; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

async fn read(body: Incoming) -> Result<Bytes, Problem> {
    let gathered = timeout(MAX_WAIT, Limited::new(body, MAX_BODY).collect());
    match gathered.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::too_large(MAX_BODY)),
        Ok(Err(error)) => Err(Problem::bad(format!("the body broke off: {error}"))),
        Err(_) => Err(Problem::too_slow()),
    }
}

/// Accepts and serves until `shutdown` says [`Phase::Stopped`]: probes must be able to see that the gate is draining.
pub async fn serve(listener: Listener, admin: Arc<Admin>, mut shutdown: Shutdown) -> io::Result<()> {
    let socket = Socket::new(listener)?;
    let mut connections = JoinSet::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = shutdown.reached(Phase::Stopped) => return Ok(()),
            accepted = socket.accept(&room) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, place)) => {
                let admin = admin.clone();
                connections.spawn(async move {
                    converse(stream, &admin).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin listener cannot accept");
                sleep(ACCEPT_REST).await;
            }
        }
    }
}

async fn converse(stream: Box<dyn Stream>, admin: &Admin) {
    let service = service_fn(|request| async { Ok::<_, Infallible>(admin.answer(request).await) });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(MAX_WAIT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "an admin connection broke");
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

enum Socket {
    Tcp(tokio::net::TcpListener),
    /// With the socket file, which goes when the listener does.
    Unix(tokio::net::UnixListener, #[expect(dead_code, reason = "held until the end")] Arc<SocketFile>),
}

type Place = tokio::sync::OwnedSemaphorePermit;

impl Socket {
    fn new(listener: Listener) -> io::Result<Self> {
        match listener {
            Listener::Tcp(listener) => tokio::net::TcpListener::from_std(listener).map(Self::Tcp),
            Listener::Unix(listener, file) => {
                tokio::net::UnixListener::from_std(listener).map(|listener| Self::Unix(listener, file))
            }
        }
    }

    /// The next connection, once there is room for one.
    async fn accept(&self, room: &Arc<Semaphore>) -> io::Result<(Box<dyn Stream>, Place)> {
        let place = room.clone().acquire_owned().await.map_err(io::Error::other)?;
        let stream: Box<dyn Stream> = match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener, _) => Box::new(listener.accept().await?.0),
        };
        Ok((stream, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_whatever_the_schemes_case() {
        let cases: [(&str, Option<&str>); 6] = [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("BEARER  abc ", Some("abc")),
            ("Bearer", None),
            ("Basic abc", None),
            ("", None),
        ];
        for (header, token) in cases {
            assert_eq!(bearer(header.as_bytes()), token.map(str::as_bytes), "{header:?}");
        }
    }
}
