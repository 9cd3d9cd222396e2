//! A client's WebSocket, message by message. The frames are tungstenite's affair, how much of them is kept is ours: nothing is read
//! while something is to be written, so what waits for a slow reader is one message.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Bytes read at once, which every connection has room for: thousands of them wait.
const READ: usize = 4 * 1024;
/// How long a client may take to answer a close frame.
const CLOSING: Duration = Duration::from_secs(1);

/// Bounds of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of a frame's payload, in bytes.
    pub frame: usize,
    /// Of a message in all its frames, in bytes.
    pub message: usize,
    /// Of an answer, in bytes.
    pub answer: usize,
    /// `timeouts.write`: of sending one message.
    pub write: Duration,
}

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
    /// A ping or a pong: it is there.
    Sign,
}

/// Why a socket is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client closed it, or is gone.
    Gone,
    /// It is to be closed with that status and reason.
    Close(u16, &'static str),
}

/// A WebSocket after its handshake.
#[derive(Debug)]
pub struct Socket<IO> {
    stream: WebSocketStream<IO>,
    write: Duration,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Socket<IO> {
    /// The server's side of one.
    pub async fn over(io: IO, bounds: Bounds) -> Self {
        let mut config = WebSocketConfig::default().read_buffer_size(READ).write_buffer_size(0);
        // Pongs may come beside an answer.
        config.max_write_buffer_size = bounds.answer.saturating_add(READ);
        config.max_frame_size = Some(bounds.frame);
        config.max_message_size = Some(bounds.message);
        let stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        Self { stream, write: bounds.write }
    }

    /// What comes next. May be dropped and called again. Pings are answered by the way.
    pub async fn next(&mut self) -> Result<Received, End> {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => Ok(Received::Text(text)),
            Some(Ok(Message::Binary(bytes))) => Ok(Received::Binary(bytes)),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(Received::Sign),
            Some(Ok(Message::Close(_))) => {
                // The answer to it is written by asking once more.
                let _ = timeout(CLOSING, self.stream.next()).await;
                Err(End::Gone)
            }
            Some(Err(error)) => Err(end_of(&error)),
            None => Err(End::Gone),
        }
    }

    /// Sends a text. A client that does not take it in time is gone.
    pub async fn send(&mut self, text: String) -> Result<(), End> {
        self.put(Message::Text(text.into())).await
    }

    /// Sends bytes.
    pub async fn send_bytes(&mut self, bytes: Bytes) -> Result<(), End> {
        self.put(Message::Binary(bytes)).await
    }

    /// Asks whether the client is there.
    pub async fn ping(&mut self) -> Result<(), End> {
        self.put(Message::Ping(Bytes::new())).await
    }

    async fn put(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.write, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    /// Closes it with a status and a reason, and waits a moment for the client to hear of that.
    pub async fn close(mut self, status: u16, reason: &'static str) {
        let frame = CloseFrame { code: CloseCode::from(status), reason: Utf8Bytes::from_static(reason) };
        let closed = async {
            self.stream.close(Some(frame)).await?;
            // What comes before the client's own close frame is not looked at any more; closing with it unread would reset the
            // connection, and our frame with it.
            while let Some(Ok(_)) = self.stream.next().await {}
            self.stream.get_mut().shutdown().await.map_err(Error::Io)
        };
        // It is gone either way.
        let _ = timeout(CLOSING, closed).await;
    }
}

/// What a client is told of what it did wrong (RFC 6455, 7.4.1).
fn end_of(error: &Error) -> End {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => End::Close(1009, "too big"),
        Error::Utf8(_) => End::Close(1007, "not UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Gone,
        Error::Protocol(_) => End::Close(1002, "protocol error"),
        _ => End::Gone,
    }
}
