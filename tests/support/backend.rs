//! A backend that records every byte it is sent and answers what it is told.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

type Script = Arc<dyn Fn(&[u8]) -> Answer + Send + Sync>;

/// What a backend does when a request has come.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Sends these bytes, and closes if they say `Connection: close`.
    Bytes(Vec<u8>),
    /// Sends these bytes and closes without having said so.
    Last(Vec<u8>),
    /// Closes the connection.
    Close,
    /// Holds the connection and never answers.
    Never,
}

/// What a plain backend answers.
pub const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n{\"code\":1,\"msg\":\"ok\",\"data\":{}}";

/// A listening backend.
#[derive(Debug)]
pub struct FakeBackend {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl FakeBackend {
    /// One that answers every request with a small JSON object.
    pub async fn start() -> Self {
        Self::answering(FINE).await
    }

    /// One that answers every request with these bytes.
    pub async fn answering(bytes: &[u8]) -> Self {
        let bytes = bytes.to_vec();
        Self::with(move |_| Answer::Bytes(bytes.clone())).await
    }

    /// One that does what the script says about the bytes of a request.
    pub async fn with(script: impl Fn(&[u8]) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let requests = Arc::new(Mutex::new(vec![]));
        let task = tokio::spawn(accept(listener, requests.clone(), Arc::new(script)));
        Self { url, requests, task }
    }

    /// Every request so far, head and body as they came.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock().expect("the requests");
        requests.iter().map(|bytes| bytes.iter().map(|byte| char::from(*byte)).collect()).collect()
    }

    /// The last request; there must be one.
    #[track_caller]
    pub fn last(&self) -> String {
        self.requests().pop().expect("a request at the backend")
    }

    /// Fails if any byte of a request came.
    #[track_caller]
    pub fn assert_untouched(&self) {
        assert_eq!(self.requests(), Vec::<String>::new(), "something reached the backend");
    }
}

impl Drop for FakeBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, requests: Arc<Mutex<Vec<Vec<u8>>>>, script: Script) {
    // Dropped with this task, the set ends its connections as well.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(converse(stream, requests.clone(), script.clone()));
    }
}

async fn converse(mut stream: TcpStream, requests: Arc<Mutex<Vec<Vec<u8>>>>, script: Script) {
    let mut bytes = vec![];
    loop {
        let Some(request) = next_request(&mut stream, &mut bytes).await else {
            if !bytes.is_empty() {
                requests.lock().expect("the requests").push(bytes);
            }
            return;
        };
        requests.lock().expect("the requests").push(request.clone());
        match script(&request) {
            Answer::Bytes(answer) => {
                if stream.write_all(&answer).await.is_err() || says_close(&answer) {
                    return;
                }
            }
            Answer::Last(answer) => {
                let _ = stream.write_all(&answer).await;
                return;
            }
            Answer::Close => return,
            Answer::Never => std::future::pending().await,
        }
    }
}

async fn next_request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(length) = request_length(bytes) {
            return Some(bytes.drain(..length).collect());
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// How long the request at the front is, once all of it is there.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let text = bytes[..head].to_ascii_lowercase();
    let body = if find(&text, b"transfer-encoding:").is_some() {
        match bytes[head..].starts_with(b"0\r\n\r\n") {
            true => 5,
            false => find(&bytes[head..], b"\r\n0\r\n\r\n")? + 7,
        }
    } else {
        let text = std::str::from_utf8(&text).unwrap_or_default();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        length.map_or(0, |length| length.trim().parse().expect("a length"))
    };
    (bytes.len() >= head + body).then_some(head + body)
}

fn says_close(answer: &[u8]) -> bool {
    find(&answer.to_ascii_lowercase(), b"connection: close").is_some()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
