//! A small HTTP/1.1 client of our own: it sends exactly the bytes it is told to, which no library does.

use std::future::{Future, IntoFuture};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};

/// After this long without a byte a test has failed, and must not hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// Nothing moves any more once nothing has moved for this long.
const STUCK: Duration = Duration::from_millis(500);

/// A request that is sent when it is awaited.
#[derive(Clone, Debug)]
#[must_use = "a request is sent when it is awaited"]
pub struct Request {
    address: String,
    from: Option<IpAddr>,
    patience: Duration,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub fn new(address: &str, method: &str, target: &str) -> Self {
        let headers = vec![("Host".to_owned(), address.to_owned())];
        Self {
            address: address.to_owned(),
            from: None,
            patience: PATIENCE,
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body: vec![],
        }
    }

    /// Adds a header line.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends it from that address of this machine.
    pub fn from(mut self, ip: &str) -> Self {
        self.from = Some(ip.parse().expect("an address"));
        self
    }

    /// Waits so long for each byte of its reply.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Takes a header away again.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// Replaces Host.
    pub fn host(mut self, value: &str) -> Self {
        self.headers.retain(|(name, _)| name != "Host");
        self.header("Host", value)
    }

    /// Adds a body with its length.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("Content-Type", content_type).header("Content-Length", &length)
    }

    /// Adds an urlencoded form.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        self.body("application/x-www-form-urlencoded", pairs.join("&"))
    }

    /// The bytes that go out.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }

    async fn send(self) -> Reply {
        self.begin().await.1
    }

    /// Sends it, and leaves the connection open behind the reply.
    pub async fn begin(self) -> (Connection, Reply) {
        let mut connection = match self.from {
            Some(ip) => Connection::open_from(ip, &self.address).await,
            None => Connection::open(&self.address).await,
        };
        connection.patience = self.patience;
        connection.send(&self.to_bytes()).await;
        let reply = connection.reply_to(&self.method).await.expect("a reply");
        (connection, reply)
    }
}

impl IntoFuture for Request {
    type Output = Reply;
    type IntoFuture = Pin<Box<dyn Future<Output = Reply> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986, 2.3.
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A reply, its body taken out of its framing.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// Every header of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// `X-Ticketgate-Reason`, empty where there is none.
    pub fn reason(&self) -> &str {
        self.header("x-ticketgate-reason").unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body in UTF-8")
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The value at a JSON pointer; null where there is none.
    #[track_caller]
    pub fn at(&self, pointer: &str) -> serde_json::Value {
        self.json().pointer(pointer).cloned().unwrap_or_default()
    }

    /// Fails unless it is a refusal of that status and reason.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, reason: &str) {
        assert_eq!((self.status, self.reason()), (status, reason), "{}", self.describe());
    }

    /// Fails unless the application itself answered 200.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert_eq!((self.status, self.reason()), (200, ""), "{}", self.describe());
    }

    fn describe(&self) -> String {
        format!("headers {:?}, body {}", self.headers, self.body.escape_ascii())
    }
}

/// What carries bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug> Stream for T {}

/// Whatever a connection runs over.
pub type AnyStream = Box<dyn Stream>;

/// One connection, for several requests or for bytes that are none.
#[derive(Debug)]
pub struct Connection {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
    patience: Duration,
}

impl Connection {
    pub async fn open(address: &str) -> Self {
        let stream =
            TcpStream::connect(address).await.unwrap_or_else(|error| panic!("cannot reach {address}: {error}"));
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self::over(stream)
    }

    pub async fn open_from(ip: IpAddr, address: &str) -> Self {
        let address: SocketAddr = address.parse().expect("an address");
        let socket = if ip.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.expect("a socket");
        socket.bind(SocketAddr::new(ip, 0)).expect("an address of this machine");
        Self::over(socket.connect(address).await.expect("a connection"))
    }

    /// One over something else than TCP.
    pub fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), unread: vec![], patience: PATIENCE }
    }

    /// Both directions, for two tasks. What was read already is lost.
    pub fn split(self) -> (ReadHalf<AnyStream>, WriteHalf<AnyStream>) {
        tokio::io::split(self.stream)
    }

    /// Sends these bytes. That the other side has already closed is seen when the reply is read.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The next final reply, `None` where the connection ends before one. 1xx are passed over.
    pub async fn reply_to(&mut self, method: &str) -> Option<Reply> {
        loop {
            let (status, headers) = self.head().await?;
            if !(100..200).contains(&status) || status == 101 {
                let mut reply = Reply { status, headers, body: vec![] };
                reply.body = self.body_of(&reply, method).await;
                return Some(reply);
            }
        }
    }

    /// Status and headers of the next reply, interim ones included.
    pub async fn head(&mut self) -> Option<(u16, Vec<(String, String)>)> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = String::from_utf8(head).expect("a head in UTF-8");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
        let headers = lines.filter_map(|line| line.split_once(':'));
        Some((status, headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()))
    }

    /// RFC 9112, 6.3.
    async fn body_of(&mut self, reply: &Reply, method: &str) -> Vec<u8> {
        if method == "HEAD" || matches!(reply.status, 101 | 204 | 304) {
            return vec![];
        }
        if reply.header("transfer-encoding").is_some() {
            return self.chunks().await;
        }
        match reply.header("content-length") {
            Some(length) => self.exactly(length.parse().expect("a length")).await.expect("the whole body"),
            None => self.rest().await,
        }
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = vec![];
        loop {
            let line = self.until(b"\r\n").await.expect("a chunk");
            let size = std::str::from_utf8(&line).expect("a chunk size").trim();
            let size = usize::from_str_radix(size, 16).expect("a chunk size");
            body.extend(self.exactly(size).await.expect("a whole chunk"));
            self.until(b"\r\n").await.expect("the end of a chunk");
            if size == 0 {
                return body;
            }
        }
    }

    /// Bytes up to and with `end`; `None` where the connection ends before.
    pub async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                return Some(self.unread.drain(..at + end.len()).collect());
            }
            if self.fill().await == 0 {
                return None;
            }
        }
    }

    /// So many bytes; `None` where the connection ends before.
    pub async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.unread.len() < count {
            if self.fill().await == 0 {
                return None;
            }
        }
        Some(self.unread.drain(..count).collect())
    }

    /// Everything until the connection ends.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await > 0 {}
        std::mem::take(&mut self.unread)
    }

    /// What comes next; empty at the end.
    pub async fn some(&mut self) -> Vec<u8> {
        if self.unread.is_empty() {
            self.fill().await;
        }
        std::mem::take(&mut self.unread)
    }

    /// Reads and forgets so many bytes, or up to the end; says how many there were.
    pub async fn skip(&mut self, count: usize) -> usize {
        let mut seen = 0;
        while seen < count {
            if self.unread.is_empty() && self.fill().await == 0 {
                break;
            }
            let now = self.unread.len().min(count - seen);
            self.unread.drain(..now);
            seen += now;
        }
        seen
    }

    /// Sends bytes until none are taken any more for a moment, or `most` were; says how many went.
    pub async fn send_until_stuck(&mut self, most: usize) -> usize {
        let zeros = vec![0; 64 << 10];
        let mut sent = 0;
        while sent < most {
            let some = zeros.get(..zeros.len().min(most - sent)).expect("a part");
            match tokio::time::timeout(STUCK, self.stream.write(some)).await {
                Ok(count) => sent += count.expect("an open connection"),
                Err(_) => break,
            }
        }
        sent
    }

    /// Reads what there is; 0 at the end, a reset included.
    async fn fill(&mut self) -> usize {
        let read = self.stream.read_buf(&mut self.unread);
        tokio::time::timeout(self.patience, read).await.expect("bytes from the other side in time").unwrap_or(0)
    }
}
