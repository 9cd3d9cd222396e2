//! A running admin listener over a memory store, and a client that asks it.
#![expect(unreachable_pub, reason = "test crates have no outside")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use ticketgate::admin::{self, Parts};
use ticketgate::clock::Clock;
use ticketgate::ids::ClientId;
use ticketgate::secret::Secret;
use ticketgate::server::{Listen, Listener, Room};
use ticketgate::shutdown::{self, Phase, Trigger};
use ticketgate::store::record::{Algorithm, LiveSecret};
use ticketgate::store::{self, Location, Store};
use ticketgate::telemetry::{AccessLog, Telemetry};
use ticketgate::upstream::{self, Address, HostHeader, Upstream};
use ticketgate::verify::client_token::Recipe;
use ticketgate::verify::{FileClient, SessionSettings};
use ticketgate::websocket::open::Open;

/// What opens the API.
pub const TOKEN: &str = "operator-token";

/// An admin listener in this process, on a thread of its own.
pub struct Admin {
    /// `127.0.0.1:PORT` or `unix:PATH`
    pub address: String,
    pub clock: Clock,
    pub store: Store,
    pub trigger: Trigger,
    thread: Option<JoinHandle<()>>,
}

/// How it differs from the usual one.
#[derive(Clone, Copy)]
pub struct Setting {
    pub token: Option<&'static str>,
    pub session: SessionSettings,
    /// Port of the application.
    pub upstream: u16,
}

impl Default for Setting {
    fn default() -> Self {
        let session = SessionSettings {
            idle: Duration::from_secs(2 * 3600),
            max_age: Duration::from_secs(30 * 24 * 3600),
            extend_every: Duration::from_secs(60),
            per_user: 0,
            end_oldest: true,
            bind_client: true,
            bind_ip: false,
            bind_user_agent: false,
            user_id_required: true,
            guest: Duration::from_mins(30),
            sealed: false,
        };
        Self { token: Some(TOKEN), session, upstream: 1 }
    }
}

impl Admin {
    /// The usual one: a token, a client `ios` in the configuration file.
    pub fn start() -> Self {
        Self::with(Setting::default())
    }

    pub fn with(setting: Setting) -> Self {
        Self::on(&Listen::Tcp("127.0.0.1:0".to_owned()), setting)
    }

    /// The usual one, on a socket in the file system.
    pub fn on_socket(path: &Path) -> Self {
        Self::on(&Listen::Unix(path.to_owned()), Setting::default())
    }

    fn on(listen: &Listen, setting: Setting) -> Self {
        let listener = Listener::bind(listen).expect("a free place to listen");
        let address = listener.address();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let clock = Clock::movable();
        let store = runtime.block_on(Store::open(&memory(), clock.clone())).expect("a memory store");
        let (trigger, shutdown) = shutdown::channel();
        let parts = Parts {
            tokens: setting.token.map(Secret::new).into_iter().collect(),
            store: store.clone(),
            upstream: upstream(setting.upstream),
            session: setting.session,
            holds_cookies: true,
            file_clients: vec![Arc::new(file_client())],
            config: Value::Null,
            telemetry: Telemetry::new(AccessLog::off(), clock.now()),
            connections: Room::for_connections(1),
            websockets: Open::default(),
            clock: clock.clone(),
            shutdown: shutdown.clone(),
            reload: ticketgate::reload::channel().0,
        };
        let admin = Arc::new(admin::Admin::new(parts));
        let serve = async move { admin::serve(listener, admin, shutdown).await.expect("served") };
        let thread = std::thread::spawn(move || runtime.block_on(serve));
        Self { address, clock, store, trigger, thread: Some(thread) }
    }

    /// Asks as the operator.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask_with(method, path, &[("Authorization", &format!("Bearer {TOKEN}"))], body)
    }

    /// Asks with exactly these headers.
    pub fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
        // A refused body may end the connection before all of it was sent.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::parse(&String::from_utf8(answer).expect("text"))
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.trigger.announce(Phase::Stopped);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// The text under that key.
    pub fn text(&self, key: &str) -> String {
        self.json()[key].as_str().expect("a text").to_owned()
    }

    pub fn error(&self) -> String {
        self.text("error")
    }
}

fn memory() -> store::Settings {
    let timeout = Duration::from_secs(5);
    store::Settings {
        location: Location::Memory,
        prefix: "ticketgate:".to_owned(),
        keys: Vec::new(),
        timeout,
        tls: Default::default(),
    }
}

fn upstream(port: u16) -> Upstream {
    Upstream::new(upstream::Settings {
        address: Address::Tcp { host: "127.0.0.1".to_owned(), port },
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(60),
        max_connections: 0,
        queue_timeout: Duration::from_secs(1),
        host: HostHeader::Keep,
    })
}

fn file_client() -> FileClient {
    FileClient {
        id: ClientId::new("ios").expect("an id"),
        secrets: vec![LiveSecret { secret: Secret::new("s3cret-of-the-file"), until: None }],
        algorithms: vec![Algorithm::Md5],
        signature: None,
        endpoints: vec!["*".to_owned()],
        token: Recipe::default(),
        date_format: "%Y-%m-%d".to_owned(),
    }
}
