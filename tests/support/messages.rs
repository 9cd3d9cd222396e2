//! A program that speaks JSON messages over a WebSocket of the gate.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::caller::Caller;

/// Longest wait for anything to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open WebSocket.
#[derive(Debug)]
pub struct Messages {
    pub stream: WebSocketStream<TcpStream>,
}

/// What a login or a resumption handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub token: String,
    pub wstoken: String,
}

impl Messages {
    /// Opens one at that address; the error is what came in place of it, head and body.
    pub async fn open(address: &str, target: &str, headers: &str) -> Result<Self, String> {
        let mut stream = TcpStream::connect(address).await.expect("a gate that listens");
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUser-Agent: ws/1\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("a gate that reads");
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => read.push(byte),
                Err(_) => break,
            }
        }
        let text = String::from_utf8(read).expect("a head in ASCII");
        if !text.starts_with("HTTP/1.1 101 ") {
            let mut rest = vec![0; 4096];
            let count = stream.read(&mut rest).await.unwrap_or_default();
            return Err(format!("{text}{}", rest[..count].escape_ascii()));
        }
        assert!(text.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{text}");
        Ok(Self { stream: WebSocketStream::from_raw_socket(stream, Role::Client, None).await })
    }

    /// Opens one at `/ws` as this client, whose api_token is over `ws/main/open`.
    pub async fn of(caller: &Caller, address: &str) -> Self {
        Self::open(address, &caller.target("/ws", "ws/main/open"), "").await.expect("a WebSocket")
    }

    pub async fn say(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.expect("a gate that reads");
    }

    /// What comes next, pings and pongs aside; `None` where it just breaks.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            match timeout(PATIENCE, self.stream.next()).await.expect("something in time") {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                _ => return None,
            }
        }
    }

    /// The next text.
    pub async fn text(&mut self) -> String {
        match self.next().await {
            Some(Message::Text(text)) => text.as_str().to_owned(),
            other => panic!("no text: {other:?}"),
        }
    }

    /// The next text as JSON.
    pub async fn json(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// Says it and takes the answer.
    pub async fn ask(&mut self, message: Value) -> Value {
        self.say(&message.to_string()).await;
        self.json().await
    }

    /// The status that it is closed with.
    pub async fn closed(&mut self) -> Option<u16> {
        match self.next().await {
            Some(Message::Close(frame)) => frame.map(|frame| frame.code.into()),
            None => None,
            other => panic!("not closed: {other:?}"),
        }
    }

    /// Logs in at the application `mvc`.
    pub async fn log_in(&mut self, username: &str) -> Pair {
        let password = format!("{username}123");
        let message = serde_json::json!({"type": "login", "username": username, "password": password});
        let answer = self.ask(message).await;
        assert_eq!(answer["code"], 1, "{answer}");
        pair_of(&answer)
    }
}

/// Token and wstoken of an answer.
#[track_caller]
pub fn pair_of(answer: &Value) -> Pair {
    let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned();
    Pair { token: text("token"), wstoken: text("wstoken") }
}
