//! An application that does what its script says, over raw TCP.
#![expect(unreachable_pub, reason = "test crates have no outside")]
#![allow(clippy::expect_used, reason = "a test that cannot go on has failed; some test crates are exempt anyway")]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// An application: a listening port, and how many connections came.
#[derive(Debug)]
pub struct Backend {
    pub address: SocketAddr,
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
    pub async fn start<S, F>(script: S) -> Self
    where
        S: Fn(Conversation, usize) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let number = counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(script(Conversation { stream, read: Vec::new() }, number));
            }
        });
        Self { address, connections, task: task.abort_handle() }
    }

    /// Answers every request on every connection with those bytes.
    pub async fn answering(reply: impl Into<Vec<u8>>) -> Self {
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
    pub async fn answering_once(reply: impl Into<Vec<u8>>) -> Self {
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

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// The application's side of one connection.
#[derive(Debug)]
pub struct Conversation {
    pub stream: TcpStream,
    read: Vec<u8>,
}

impl Conversation {
    /// Reads one whole request, if one comes: its head, and its body as it stands on the wire.
    pub async fn request(&mut self) -> Option<String> {
        let head = self.head().await?;
        let lower = head.to_ascii_lowercase();
        let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        let body = match length {
            Some(length) => self.take(length).await?,
            None if lower.contains("transfer-encoding: chunked") => self.until(b"0\r\n\r\n").await?,
            None => Vec::new(),
        };
        Some(head + &String::from_utf8(body).expect("a body in UTF-8"))
    }

    /// The next head.
    pub async fn head(&mut self) -> Option<String> {
        Some(String::from_utf8(self.until(b"\r\n\r\n").await?).expect("a head in UTF-8"))
    }

    /// Bytes up to and with `end`.
    pub async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end) {
                return self.take(at + end.len()).await;
            }
            self.more().await?;
        }
    }

    /// The next bytes, exactly so many.
    pub async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.read.len() < count {
            self.more().await?;
        }
        let rest = self.read.split_off(count);
        Some(std::mem::replace(&mut self.read, rest))
    }

    /// What came and was not taken.
    pub fn unread(&self) -> &[u8] {
        &self.read
    }

    async fn more(&mut self) -> Option<()> {
        let count = self.stream.read_buf(&mut self.read).await.ok()?;
        (count > 0).then_some(())
    }

    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Waits until the other side is gone, and gives what it sent until then.
    pub async fn rest(mut self) -> Vec<u8> {
        while self.more().await.is_some() {}
        self.read
    }

    /// Ends the connection with a reset in place of an end.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    }
}
