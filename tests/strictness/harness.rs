//! A server that tells what it read, and a client that sends bytes as they are given.

use std::error::Error as _;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http::{Response, StatusCode};
use http_body_util::BodyExt;
use ticketgate::gate::Arrived;
use ticketgate::reply::Body;
use ticketgate::request::Unreadable;
use ticketgate::request::body::Arriving;
use ticketgate::request::head::Methods;
use ticketgate::server::{Current, Listen, Listener, Room, Serving, Settings, serve};
use ticketgate::shutdown::{self, Phase, Shutdown, Trigger};
use tokio::sync::Semaphore;

/// Longer than anything here takes, so that a hang is a failure and not a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A time-out short enough to wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// A server that tells what it read: `METHOD TARGET BODY`.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) trigger: Trigger,
    pub(crate) shutdown: Shutdown,
    /// One permit lets one `/slow` be answered.
    pub(crate) release: Arc<Semaphore>,
    /// Gains one permit when a `/slow` has arrived.
    pub(crate) arrived: Arc<Semaphore>,
    pub(crate) room: Room,
    pub(crate) thread: Option<JoinHandle<()>>,
}

pub(crate) fn settings() -> Settings {
    Settings {
        listen: vec![Listen::Tcp("127.0.0.1:0".to_owned())],
        methods: Methods::with(vec!["PURGE".to_owned()]),
        header: 4096,
        connections: Room::for_connections(1000),
        header_timeout: PATIENCE,
        keep_alive: PATIENCE,
        write: PATIENCE,
        drain: PATIENCE,
        tls: None,
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let listener = Listener::bind(&settings.listen[0]).unwrap();
        let address = listener.address();
        let (trigger, shutdown) = shutdown::channel();
        let (release, arrived) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let room = settings.connections.clone();
        let handler = {
            let (release, arrived) = (Arc::clone(&release), Arc::clone(&arrived));
            move |request| tell(request, Arc::clone(&release), Arc::clone(&arrived))
        };
        let current = Arc::new(Current::new(Serving::new(Arc::new(settings), handler)));
        let worker = serve(listener, current, shutdown.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let thread = Some(std::thread::spawn(move || runtime.block_on(worker)));
        Self { address, trigger, shutdown, release, arrived, room, thread }
    }

    pub(crate) fn connect(&self) -> Client<TcpStream> {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream, held: Vec::new() }
    }

    /// Waits until a `/slow` is under way.
    pub(crate) fn wait_for_arrival(&self) {
        wait_until(|| self.arrived.try_acquire().map(|permit| permit.forget()).is_ok());
    }

    /// Waits until the server has ended by itself.
    pub(crate) fn join(&mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.trigger.announce(Phase::Stopped);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn wait_until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "it never came true");
        std::thread::yield_now();
    }
}

pub(crate) async fn tell(arrived: Arrived, release: Arc<Semaphore>, slow: Arc<Semaphore>) -> Response<Body> {
    let head = match arrived.head {
        Ok(head) => head,
        Err(Unreadable::HeaderTooLarge(_)) => return answer(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too large"),
        Err(error) => return answer(StatusCode::BAD_REQUEST, error.to_string()),
    };
    match head.target() {
        "/early" => return answer(StatusCode::FORBIDDEN, "early"),
        "/large" => return answer(StatusCode::OK, vec![b'x'; 64 << 20]),
        "/panic" => panic!("as asked for"),
        "/slow" => {
            slow.add_permits(1);
            release.acquire().await.unwrap().forget();
        }
        _ => {}
    }
    let Arriving::Stream(body) = arrived.body else { return answer(StatusCode::BAD_REQUEST, "not streamed") };
    match body.collect().await {
        Ok(body) => {
            let mut told = format!("{} {} ", head.method(), head.target()).into_bytes();
            assert!(body.trailers().is_none());
            told.extend_from_slice(&body.to_bytes());
            answer(StatusCode::OK, told)
        }
        Err(error) => {
            let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
            let cause = io.and_then(io::Error::get_ref).and_then(|cause| cause.downcast_ref::<Unreadable>());
            answer(StatusCode::BAD_REQUEST, cause.map_or_else(|| "broken off".to_owned(), Unreadable::to_string))
        }
    }
}

pub(crate) fn answer(status: StatusCode, body: impl Into<bytes::Bytes>) -> Response<Body> {
    Response::builder().status(status).body(Body::own(body)).unwrap()
}

pub(crate) struct Client<S> {
    pub(crate) stream: S,
    pub(crate) held: Vec<u8>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn has(&self, line: &str) -> bool {
        self.head.contains(&format!("\r\n{line}\r\n"))
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        self.send(bytes);
        self.reply()
    }

    pub(crate) fn fill(&mut self) -> usize {
        let mut buffer = [0; 64 << 10];
        let count = self.stream.read(&mut buffer).unwrap();
        self.held.extend_from_slice(&buffer[..count]);
        count
    }

    /// The next answer's head.
    pub(crate) fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.held.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.held.split_off(end + 4);
                return String::from_utf8(std::mem::replace(&mut self.held, rest)).unwrap();
            }
            assert_ne!(self.fill(), 0, "closed without an answer; came: {}", self.held.escape_ascii());
        }
    }

    pub(crate) fn reply(&mut self) -> Reply {
        let head = self.head();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        while self.held.len() < length {
            assert_ne!(self.fill(), 0, "closed within a body");
        }
        let rest = self.held.split_off(length);
        let body = std::mem::replace(&mut self.held, rest);
        Reply { status: head[9..12].parse().unwrap(), head, body }
    }

    pub(crate) fn assert_closed(&mut self) {
        assert_eq!(self.fill(), 0, "came: {}", self.held.escape_ascii());
        assert!(self.held.is_empty(), "came: {}", self.held.escape_ascii());
    }
}

pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}
