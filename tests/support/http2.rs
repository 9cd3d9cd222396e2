//! A client of HTTP/2 that sends exactly the frames it is told to, which no library does.

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use super::http::{Connection, Stream};
use super::tls;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// What comes, unread.
#[derive(Debug)]
pub struct Reader(ReadHalf<Box<dyn Stream>>);

impl Reader {
    /// Takes what there is; `false` at the end.
    pub async fn some(&mut self) -> bool {
        let mut scratch = [0; 16 << 10];
        self.0.read(&mut scratch).await.is_ok_and(|count| count > 0)
    }
}

/// What goes.
#[derive(Debug)]
pub struct Writer(WriteHalf<Box<dyn Stream>>);

impl Writer {
    /// `false` where nobody takes it.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok() && self.0.flush().await.is_ok()
    }
}

/// A frame that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of a RST_STREAM or GOAWAY.
    pub fn code(&self) -> u8 {
        let at = if self.kind == GOAWAY { 7 } else { 3 };
        self.payload[at]
    }

    fn ends(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With an answer: its status where that is one of HPACK's table, otherwise 0; and its body.
    Answer(u16, String),
    /// With a RST_STREAM of that code.
    Reset(u8),
    /// With its connection; the code of GOAWAY where one came.
    Closed(Option<u8>),
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    next: u32,
}

impl Client {
    /// One that has said its preface.
    pub async fn open(address: &str) -> Self {
        let mut client = Self::silent(address).await;
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        client.frame(SETTINGS, 0, 0, &[]).await;
        client
    }

    /// One that has not.
    pub async fn silent(address: &str) -> Self {
        Self::over(tls::connect(address, &["h2"]).await)
    }

    pub fn over(stream: impl Stream + 'static) -> Self {
        Self { connection: Connection::over(stream), next: 1 }
    }

    /// Both directions, for two tasks.
    pub fn split(self) -> (Reader, Writer) {
        let (reader, writer) = self.connection.split();
        (Reader(reader), Writer(writer))
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.connection.send(bytes).await;
    }

    pub async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.send(&frame(kind, flags, stream, payload)).await;
    }

    /// The number for a new stream.
    pub fn stream(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }

    /// Begins a request with these fields, and no others; says on which stream.
    pub async fn begin(&mut self, fields: &[(&str, &str)], ends: bool) -> u32 {
        let stream = self.stream();
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        self.frame(HEADERS, flags, stream, &block(fields)).await;
        stream
    }

    /// What these fields come to.
    pub async fn ask(&mut self, fields: &[(&str, &str)]) -> End {
        let stream = self.begin(fields, true).await;
        self.end_of(stream).await
    }

    /// What a plain GET comes to.
    pub async fn get(&mut self, path: &str) -> End {
        self.ask(&get(path)).await
    }

    /// The next frame; acknowledges settings and pings. `None` at the end.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            let head = self.connection.exactly(9).await?;
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
            let payload = self.connection.exactly(length).await?;
            let frame = Frame { kind: head[3], flags: head[4], stream, payload };
            match (frame.kind, frame.flags & ACK) {
                (SETTINGS, 0) => self.frame(SETTINGS, ACK, 0, &[]).await,
                (PING, 0) => self.frame(PING, ACK, 0, &frame.payload).await,
                (SETTINGS | PING, _) => {}
                _ => return Some(frame),
            }
        }
    }

    /// How that stream ends. Room is made for whatever comes.
    pub async fn end_of(&mut self, stream: u32) -> End {
        let (mut status, mut body, mut goaway) = (0, vec![], None);
        while let Some(frame) = self.next().await {
            match frame.kind {
                GOAWAY if frame.code() != 0 => goaway = Some(frame.code()),
                RST_STREAM if frame.stream == stream => return End::Reset(frame.code()),
                HEADERS if frame.stream == stream => status = self::status(frame.payload[0]),
                DATA if frame.stream == stream => {
                    body.extend(&frame.payload);
                    if !frame.payload.is_empty() {
                        let room = u32::try_from(frame.payload.len()).expect("a frame").to_be_bytes();
                        let updates = [frame_of_room(0, room), frame_of_room(stream, room)].concat();
                        self.send(&updates).await;
                    }
                }
                _ => {}
            }
            if frame.stream == stream && frame.ends() {
                return End::Answer(status, String::from_utf8(body).expect("a body in UTF-8"));
            }
        }
        End::Closed(goaway)
    }

    /// Reads on until the connection ends; the code of its GOAWAY.
    pub async fn closed(&mut self) -> Option<u8> {
        let mut code = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                code = Some(frame.code());
            }
        }
        code
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn frame_of_room(stream: u32, room: [u8; 4]) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &room)
}

/// The fields of a plain GET.
pub fn get(path: &str) -> [(&str, &str); 4] {
    [(":method", "GET"), (":scheme", "https"), (":authority", "gate.example"), (":path", path)]
}

/// A header block that leans on no table.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![];
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            put_length(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// RFC 7541, 5.1, after a prefix of 7 bits.
fn put_length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        return block.push(u8::try_from(length).expect("a small number"));
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128 + 128).expect("seven bits"));
        rest /= 128;
    }
    block.push(u8::try_from(rest).expect("seven bits"));
}

fn status(first: u8) -> u16 {
    match first {
        0x88 => 200,
        0x89 => 204,
        0x8c => 400,
        0x8d => 404,
        _ => 0,
    }
}
