//! A real Redis of a test's own: on a free port, in a temporary directory, gone when dropped.

#![allow(dead_code, unreachable_pub, reason = "each test file includes this and uses a part of it")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[path = "redis/authority.rs"]
pub mod authority;
#[path = "redis/cluster.rs"]
pub mod cluster;
#[path = "redis/sentinels.rs"]
pub mod sentinels;
#[path = "redis/shared.rs"]
pub mod shared;

/// A running Redis.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    port: u16,
    arguments: Vec<String>,
    directory: TempDir,
}

impl RedisServer {
    /// Starts one and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with further arguments (`["--maxclients", "1"]`).
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_by(|_| arguments.iter().map(|&argument| argument.to_owned()).collect())
    }

    /// Starts one with arguments that are made for its folder, each time it is tried.
    pub fn start_by(arguments: impl Fn(&Path) -> Vec<String>) -> Self {
        // Another process may take the port between finding and using it.
        for _ in 0..10 {
            let directory = tempfile::tempdir().unwrap();
            let (port, arguments) = (free_port(), arguments(directory.path()));
            let child = spawn(port, &arguments, &directory);
            let mut server = Self { child, port, arguments, directory };
            if server.is_up() {
                return server;
            }
        }
        panic!("no redis-server comes up");
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What follows an option on its command line.
    pub fn argument(&self, option: &str) -> &str {
        let at = self.arguments.iter().position(|argument| argument == option).expect(option);
        &self.arguments[at + 1]
    }

    /// Where it keeps its files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// `redis://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal (`"STOP"`, `"CONT"`).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(status.success(), "kill -{name} {}", self.pid());
    }

    /// Kills it at once; [`RedisServer::restart`] brings it back on the same port.
    pub fn kill(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port, with other arguments if some are given, and waits until it answers anything.
    pub fn restart(&mut self, arguments: Option<&[&str]>) {
        self.kill();
        if let Some(arguments) = arguments {
            self.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        }
        self.child = spawn(self.port, &self.arguments, &self.directory);
        assert!(self.is_up(), "redis-server does not come up again");
    }

    /// A connection to it.
    pub fn connect(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_connection_with_timeout(Duration::from_secs(5)).unwrap()
    }

    /// Asks it something, over a connection of its own.
    pub fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let (name, arguments) = words.split_first().unwrap();
        redis::cmd(name).arg(arguments).query(&mut self.connect()).unwrap()
    }

    /// What it says of its replication; nothing where it is away.
    pub fn replication(&self) -> String {
        let client = redis::Client::open(self.url()).unwrap();
        let connection = client.get_connection_with_timeout(Duration::from_secs(1));
        let info = connection.and_then(|mut connection| redis::cmd("INFO").arg("replication").query(&mut connection));
        info.unwrap_or_default()
    }

    /// Whether it answers before it exits; `LOADING` is an answer.
    fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        let client = redis::Client::open(self.url()).unwrap();
        while Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            let answer = client
                .get_connection_with_timeout(Duration::from_secs(1))
                .and_then(|mut connection| redis::cmd("PING").query::<String>(&mut connection));
            match answer {
                Ok(_) => return true,
                Err(error) if matches!(error.code(), Some("LOADING" | "NOAUTH")) => return true,
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        false
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // SIGKILL also ends a stopped process.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The lines of the configuration in `docs/scaling.md` that begins so: what is recommended is what is tested.
pub fn manual(beginning: &str) -> Vec<String> {
    let manual = std::fs::read_to_string("docs/scaling.md").unwrap();
    let blocks = manual.split("\n```conf\n").skip(1).filter_map(|rest| rest.split_once("\n```"));
    let block = blocks.map(|(block, _)| block).find(|block| block.starts_with(beginning));
    block.expect(beginning).lines().map(str::to_owned).collect()
}

/// Looks until something is so.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn spawn(port: u16, arguments: &[String], directory: &TempDir) -> Child {
    let mut command = Command::new("redis-server");
    // A Sentinel writes into its configuration.
    match arguments.first().filter(|first| first.starts_with('/')) {
        Some(file) => command.arg(file).args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--sentinel"]),
        None => command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(directory.path())
            .args(arguments),
    };
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("redis-server is installed")
}
