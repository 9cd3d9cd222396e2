//! An application that does what its script says, over raw TCP, and a client whose body arrives as it is written.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ticketgate::request::body::{Body, Limits, Streaming};
use ticketgate::request::head::Framing;
use ticketgate::upstream::{Address, HostHeader, Outgoing, Settings, Upstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// An application: a listening port, and how many connections came.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Backend {
    /// Runs `script` on each connection, which is told its number, from 0.
    pub(crate) async fn start<S, F>(script: S) -> Self
    where
        S: Fn(Conversation, usize) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(script(Conversation { stream, read: Vec::new() }, number));
            }
        });
        Self { address, connections, task: task.abort_handle() }
    }

    /// Answers every request on every connection with those bytes.
    pub(crate) async fn answering(reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::start(move |mut conversation, _| {
            let reply = reply.clone();
            async move {
                while conversation.request().await.is_some() {
                    conversation.say(&reply).await;
                }
            }
        })
        .await
    }

    /// Answers one request on each connection with those bytes, and closes it.
    pub(crate) async fn answering_once(reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::start(move |mut conversation, _| {
            let reply = reply.clone();
            async move {
                conversation.request().await;
                conversation.say(&reply).await;
            }
        })
        .await
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            address: Address::Tcp { host: "127.0.0.1".to_owned(), port: self.address.port() },
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            max_connections: 0,
            queue_timeout: Duration::from_secs(5),
            host: HostHeader::Keep,
        }
    }

    pub(crate) fn upstream(&self) -> Upstream {
        Upstream::new(self.settings())
    }
}

/// The application's side of one connection.
pub(crate) struct Conversation {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Conversation {
    /// Reads one whole request, if one comes: its head, and its body as it stands on the wire.
    pub(crate) async fn request(&mut self) -> Option<String> {
        let head = self.head().await?;
        let lower = head.to_ascii_lowercase();
        let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        let body = match length {
            Some(length) => self.take(length).await?,
            None if lower.contains("transfer-encoding: chunked") => self.until(b"0\r\n\r\n").await?,
            None => Vec::new(),
        };
        Some(head + &String::from_utf8(body).unwrap())
    }

    pub(crate) async fn head(&mut self) -> Option<String> {
        Some(String::from_utf8(self.until(b"\r\n\r\n").await?).unwrap())
    }

    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end) {
                return self.take(at + end.len()).await;
            }
            self.more().await?;
        }
    }

    /// The next bytes, exactly so many.
    pub(crate) async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.read.len() < count {
            self.more().await?;
        }
        let rest = self.read.split_off(count);
        Some(std::mem::replace(&mut self.read, rest))
    }

    async fn more(&mut self) -> Option<()> {
        let count = self.stream.read_buf(&mut self.read).await.ok()?;
        (count > 0).then_some(())
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Waits until the other side is gone, and gives what it sent until then.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        while self.more().await.is_some() {}
        self.read
    }
}

pub(crate) fn get(target: &str) -> Outgoing {
    request("GET", target, Body::Empty)
}

pub(crate) fn post(body: &'static str) -> Outgoing {
    request("POST", "/", Body::Gathered(Bytes::from_static(body.as_bytes())))
}

pub(crate) fn request(method: &str, target: &str, body: Body) -> Outgoing {
    Outgoing {
        head: format!("{method} {target} HTTP/1.1\r\nHost: h\r\n").into_bytes(),
        is_head: method == "HEAD",
        idempotent: method != "POST" && method != "PATCH",
        body,
        response_timeout: None,
    }
}

pub(crate) const LIMITS: Limits = Limits { form: 1 << 20, body: 1 << 40, idle: Duration::from_secs(20), rate: 1 };

/// A body of a client that is still to come, and the client's connection to write it to.
pub(crate) async fn upload(framing: Framing, limits: Limits) -> (Body, DuplexStream) {
    let (mut client, server) = duplex(1 << 16);
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let sender = Arc::new(sender);
    let service = service_fn(move |request: http::Request<Incoming>| {
        sender.send(request.into_body()).unwrap();
        pending::<Result<http::Response<Empty<Bytes>>, Infallible>>()
    });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
    let header = match framing {
        Framing::Length(length) => format!("Content-Length: {length}"),
        Framing::Chunked | Framing::Empty => "Transfer-Encoding: chunked".to_owned(),
    };
    client.write_all(format!("POST / HTTP/1.1\r\nHost: h\r\n{header}\r\n\r\n").as_bytes()).await.unwrap();
    let streaming = Streaming::new(receiver.recv().await.unwrap(), framing, limits).unwrap();
    (Body::Streaming(Box::new(streaming)), client)
}
