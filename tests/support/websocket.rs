//! WebSockets, frame by frame: a client that sends exactly the bytes it is told to, and an application that echoes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::http::{Connection, Reply, Request};
use super::scripted::{Backend, Conversation};

/// RFC 6455, 1.3
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A request for a WebSocket.
pub fn ask(address: &str, target: &str) -> Request {
    asking(Request::new(address, "GET", target))
}

/// A request that asks for a WebSocket, too.
pub fn asking(request: Request) -> Request {
    request
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", KEY)
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub last: bool,
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    /// A whole message, or a control frame.
    pub fn of(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { last: true, opcode, payload: payload.into() }
    }

    pub fn text(text: &str) -> Self {
        Self::of(TEXT, text)
    }

    /// One that others follow.
    pub fn first(mut self) -> Self {
        self.last = false;
        self
    }

    /// The status of a close frame; 0 for others.
    pub fn status(&self) -> u16 {
        match self.payload[..] {
            [high, low, ..] if self.opcode == CLOSE => u16::from_be_bytes([high, low]),
            _ => 0,
        }
    }

    /// As a server sends it, or with a mask, as a client does.
    pub fn to_bytes(&self, mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut bytes = vec![self.opcode | if self.last { 0x80 } else { 0 }];
        let masked = if mask.is_some() { 0x80 } else { 0 };
        match self.payload.len() {
            short @ 0..=125 => bytes.push(masked | short as u8),
            middle @ 126..=65535 => {
                bytes.push(masked | 126);
                bytes.extend((middle as u16).to_be_bytes());
            }
            long => {
                bytes.push(masked | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        let mask = mask.inspect(|mask| bytes.extend(mask)).unwrap_or_default();
        bytes.extend(self.payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }
}

/// What reads bytes, so many at a time; `None` where the connection ends before.
trait Source {
    async fn next(&mut self, count: usize) -> Option<Vec<u8>>;
}

impl Source for Connection {
    async fn next(&mut self, count: usize) -> Option<Vec<u8>> {
        self.exactly(count).await
    }
}

impl Source for Conversation {
    async fn next(&mut self, count: usize) -> Option<Vec<u8>> {
        self.take(count).await
    }
}

async fn read_frame(from: &mut impl Source) -> Option<Frame> {
    let [first, second] = from.next(2).await?[..] else { return None };
    let length = match second & 0x7f {
        126 => number(&from.next(2).await?),
        127 => number(&from.next(8).await?),
        short => usize::from(short),
    };
    let mask = if second & 0x80 == 0 { vec![0; 4] } else { from.next(4).await? };
    let payload = from.next(length).await?;
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some(Frame { last: first & 0x80 != 0, opcode: first & 0x0f, payload })
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte))
}

/// A client's side of a WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    /// The answer that opened it.
    pub reply: Reply,
    pub connection: Connection,
}

impl WebSocket {
    /// Asks for one; the reply where none comes of it.
    pub async fn ask(request: Request) -> Result<Self, Reply> {
        let (connection, reply) = request.begin().await;
        if reply.status != 101 {
            return Err(reply);
        }
        assert_eq!(reply.header("sec-websocket-accept"), Some(ACCEPT), "{reply:?}");
        assert_eq!(reply.header("upgrade"), Some("websocket"), "{reply:?}");
        assert_eq!(reply.header("connection"), Some("Upgrade"), "{reply:?}");
        Ok(Self { reply, connection })
    }

    /// Asks for one that must be granted.
    pub async fn open(request: Request) -> Self {
        Self::ask(request).await.unwrap_or_else(|reply| panic!("refused: {reply:?}"))
    }

    pub async fn send(&mut self, frame: Frame) {
        self.connection.send(&frame.to_bytes(Some([1, 2, 3, 4]))).await;
    }

    pub async fn text(&mut self, text: &str) {
        self.send(Frame::text(text)).await;
    }

    /// The next frame; `None` where the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        read_frame(&mut self.connection).await
    }

    /// Sends a text and fails unless it comes back.
    pub async fn assert_echoes(&mut self, text: &str) {
        self.text(text).await;
        assert_eq!(self.next().await, Some(Frame::text(text)));
    }

    /// The status with which the other side closes; what comes before is passed over. `None` where it ends without one.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            let frame = self.next().await?;
            if frame.opcode == CLOSE {
                return Some(frame.status());
            }
        }
    }
}

/// The head that makes a connection a WebSocket, for [`KEY`].
pub fn switching(more: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n{more}\r\n"
    )
}

/// What any other request is answered: a login that succeeds.
const LOGIN: &str = r#"{"code":1,"msg":"ok","data":{"uid":"7"}}"#;

/// An application that echoes frames; what asks for no WebSocket is a login that succeeds, and sets a cookie.
pub async fn echo() -> Backend {
    echo_saying("").await
}

/// One that says more when it switches.
pub async fn echo_saying(more: &str) -> Backend {
    let more = more.to_owned();
    Backend::start(move |mut conversation, _| {
        let more = more.clone();
        async move {
            while let Some(request) = conversation.request().await {
                if request.contains("\r\nUpgrade: websocket\r\n") {
                    conversation.say(answer_to(&request, &more)).await;
                    return echo_frames(&mut conversation).await;
                }
                let length = LOGIN.len();
                let head = format!("HTTP/1.1 200 OK\r\nSet-Cookie: sid=held\r\nContent-Length: {length}\r\n\r\n");
                conversation.say(head + LOGIN).await;
            }
        }
    })
    .await
}

/// The switch that this request asks for, whatever its key.
pub fn answer_to(request: &str, more: &str) -> String {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
    let mut hash = sha1_smol::Sha1::new();
    hash.update(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes());
    switching(more).replace(ACCEPT, &STANDARD.encode(hash.digest().bytes()))
}

/// Sends every frame back until a close has been answered.
pub async fn echo_frames(conversation: &mut Conversation) {
    while let Some(mut frame) = application_frame(conversation).await {
        if frame.opcode == PING {
            frame.opcode = PONG;
        }
        conversation.say(frame.to_bytes(None)).await;
        if frame.opcode == CLOSE {
            return;
        }
    }
}

/// The next frame as the application gets it.
pub async fn application_frame(conversation: &mut Conversation) -> Option<Frame> {
    read_frame(conversation).await
}
