//! Making a connection: TCP, TLS where it is wanted, and the greeting that logs in.

use std::io;
use std::net::SocketAddr;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::{AbortHandle, JoinSet};

use super::tls::Tls;
use super::url::{Address, Login};

/// Commands that wait to be written at most; more wait in their senders.
const QUEUE: usize = 1024;

/// What every connection to some servers has in common.
pub(super) struct Dialer {
    greeting: RedisConnectionInfo,
    tls: Option<Tls>,
}

/// The task that reads and writes a connection; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Driver(AbortHandle);

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Failure {
    /// The network, TLS, or what they were told.
    Path(String),
    /// Redis said something, or nothing that can be understood.
    Greeting(RedisError),
}

impl Dialer {
    pub(super) fn new(login: &Login, tls: Option<Tls>) -> Self {
        let mut greeting = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(login.database);
        if let Some(user) = &login.user {
            greeting = greeting.set_username(user);
        }
        // It was read from text, so it is text.
        if let Some(Ok(password)) = login.password.as_ref().map(|password| std::str::from_utf8(password.expose())) {
            greeting = greeting.set_password(password);
        }
        Self { greeting, tls }
    }

    /// Connects, and hands pushed messages to `pushed`.
    pub(super) async fn dial(
        &self,
        address: &Address,
        pushed: impl AsyncPushSender,
    ) -> Result<(MultiplexedConnection, Driver), Failure> {
        let stream = connect(address).await?;
        match &self.tls {
            None => self.greet(stream, pushed).await,
            Some(tls) => {
                let name = tls.name_of(&address.host).map_err(|error| Failure::Path(error.to_string()))?;
                let stream = tls.connector().map_err(Failure::Path)?.connect(name, stream).await;
                let stream = stream.map_err(|error| Failure::Path(format!("TLS: {error}")))?;
                self.greet(stream, pushed).await
            }
        }
    }

    async fn greet(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        pushed: impl AsyncPushSender,
    ) -> Result<(MultiplexedConnection, Driver), Failure> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE)
            .set_push_sender(pushed);
        let greeted = MultiplexedConnection::new_with_config(&self.greeting, stream, config).await;
        let (line, driver) = greeted.map_err(Failure::Greeting)?;
        Ok((line, Driver(tokio::spawn(driver).abort_handle())))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tries all addresses of a name at once: one of them may swallow what it is sent.
async fn connect(address: &Address) -> Result<TcpStream, Failure> {
    let mut attempts = JoinSet::new();
    let found = lookup_host((address.host.as_str(), address.port)).await?;
    found.for_each(|found| drop(attempts.spawn(connect_to(found))));
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while let Some(attempt) = attempts.join_next().await {
        match attempt.map_err(io::Error::from).flatten() {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure.into())
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Path(error.to_string())
    }
}
