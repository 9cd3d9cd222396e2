//! The way to the application: pooled connections, heads rebuilt from what was read, bodies streamed both ways.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::request::{Unreadable, body};

mod connection;
mod exchange;
pub(crate) mod framing;
pub mod headers;
mod interim;
mod line;
mod places;
mod pool;
pub(crate) mod reply_head;
mod response_body;
mod sending;
mod spelled;
mod switched;

pub use interim::Interim;
pub use line::Asker;
pub use response_body::ResponseBody;
pub use spelled::Spelled;
pub use switched::Switched;

use connection::Look;
use exchange::{Broken, Expected, exchange};
use pool::Pool;
use reply_head::{Asked, ReplyHead};
use response_body::Flow;
use sending::Sending;

/// Where the application listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `http://host:port`
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// `unix:/path`
    Unix(PathBuf),
}

/// Which Host the application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The client's.
    Keep,
    /// The upstream's own address.
    Upstream,
    /// This one.
    Name(String),
}

/// `upstream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `url`
    pub address: Address,
    /// `connect_timeout`
    pub connect_timeout: Duration,
    /// `response_timeout`: until the response head.
    pub response_timeout: Duration,
    /// `idle_timeout` of pooled connections.
    pub idle_timeout: Duration,
    /// `max_connections`, 0 for no limit.
    pub max_connections: usize,
    /// `queue_timeout`
    pub queue_timeout: Duration,
    /// `host`
    pub host: HostHeader,
}

/// The application failed, or the client did while its body was being sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Refused, reset, or broke off before its head was whole; or its head cannot be read.
    #[error("the application failed: {0}")]
    Failed(String),
    /// No connection or no response head in time.
    #[error("the application did not answer in time")]
    TimedOut,
    /// Too many requests are waiting for a connection.
    #[error("no connection to the application became free in time")]
    Overloaded,
    /// The client's body turned out unreadable, too large or too slow on its way.
    #[error(transparent)]
    Body(#[from] Unreadable),
}

/// How things stand with connections to the application, those of all workers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// There are so many…
    pub open: usize,
    /// …of which so many wait for a request.
    pub idle: usize,
    /// Requests that wait for one.
    pub waiting: usize,
    /// `max_connections`
    pub limit: usize,
}

/// A request ready to be sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// On whose behalf: those who wait for a connection take turns.
    pub asker: Asker<'a>,
    /// Request line and headers without framing ones, each line ended by CRLF, without the empty line: `headers::head` makes it.
    pub head: Vec<u8>,
    /// Whether the method is HEAD: the reply has no body.
    pub is_head: bool,
    /// Whether it asks for a WebSocket: the connection may switch to it.
    pub upgrade: bool,
    /// Whether the method is one that may be repeated (RFC 9110, 9.2.2).
    pub idempotent: bool,
    /// The body.
    pub body: body::Body,
    /// `response_timeout` of the rule, where it has one.
    pub response_timeout: Option<Duration>,
    /// Where interim replies go.
    pub interim: Interim,
}

/// The application, reached over a pool of connections that belongs to one worker thread. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct Upstream {
    pool: Pool,
}

impl Upstream {
    /// A pool without connections.
    pub fn new(settings: Settings) -> Self {
        Self { pool: Pool::new(settings) }
    }

    /// A pool of its own for another worker thread. `max_connections` counts the connections of all of them together.
    #[must_use]
    pub fn attach(&self) -> Self {
        Self { pool: self.pool.attach() }
    }

    /// The application under other settings. Connections are kept where they lead to the same one.
    #[must_use]
    pub fn renewed(&self, settings: &Settings) -> Self {
        match self.pool.settings() == settings {
            true => self.clone(),
            false => Self { pool: self.pool.renewed(settings.clone()) },
        }
    }

    /// Another worker's connections, under the settings of this one.
    #[must_use]
    pub fn renew(&self, other: &Self) -> Self {
        Self { pool: other.pool.within(&self.pool) }
    }

    /// Sends a request and waits for the response head; the response body streams from the connection. Hop-by-hop headers and
    /// framing of the response are taken off; 1xx go their own way, except 100, which nobody asked for, and 101, which is an error
    /// unless a WebSocket was asked for; then the body has the connection ([`ResponseBody::into_switched`]).
    ///
    /// A request is sent again, once, when a pooled connection turned out closed before any byte of a reply, its body can be sent
    /// again, and it may be repeated or nothing of it was taken.
    pub async fn send(&self, request: Outgoing<'_>) -> Result<http::Response<ResponseBody>, Fault> {
        let Outgoing { asker, head, is_head, upgrade, idempotent, body, response_timeout, interim } = request;
        let asked = match (is_head, upgrade) {
            (true, _) => Asked::Head,
            (false, true) => Asked::Upgrade,
            (false, false) => Asked::Usual,
        };
        let lease = self.pool.lease(asker).await?;
        let patience = response_timeout.unwrap_or(self.pool.settings().response_timeout);
        let repeatable = idempotent && !matches!(body, body::Body::Streaming(_));
        let look = if repeatable { Look::AtEvents } else { Look::AtSocket };
        let mut sending = Sending::new(head, body);
        let mut connection = match lease.idle(look) {
            Some(connection) => connection,
            None => Box::pin(lease.connect()).await?,
        };
        let reply = loop {
            match exchange(&mut connection, &mut sending, Expected { asked, patience, interim: &interim }).await {
                Ok(reply) => break reply,
                Err(Broken::Closed(_)) if connection.reused && (idempotent || !sending.taken()) && sending.rewind() => {
                    connection = Box::pin(lease.connect()).await?;
                }
                Err(broken) => return Err(broken.into()),
            }
        };
        sending.settle();
        let ReplyHead { response, framing, keep_alive } = reply;
        let flow = Flow { connection, sending, framing, keep_alive, lease };
        Ok(response.map(|()| ResponseBody::begin(flow)))
    }

    /// How things stand with its connections.
    pub fn figures(&self) -> Figures {
        self.pool.figures()
    }

    /// Whether a connection can be made.
    pub async fn ping(&self) -> Result<(), Fault> {
        self.pool.connect().await.map(drop)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
