//! The public listener: accepts connections, keeps time-outs and bounds, ends gracefully. hyper speaks HTTP; [`wire`] stands between
//! the socket and hyper and reads every head strictly before hyper sees it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::gate::Gate;
use crate::request::head::Methods;
use crate::shutdown::Shutdown;

pub mod wire;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `host:port`
    Tcp(String),
    /// `unix:/path`
    Unix(PathBuf),
}

/// Bounds of connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `listen`
    pub listen: Vec<Listen>,
    /// Methods that may pass.
    pub methods: Methods,
    /// `limits.header`, in bytes.
    pub header: usize,
    /// `limits.connections`
    pub connections: usize,
    /// `timeouts.header`: for a whole head, from its first byte (and from accepting, for the first).
    pub header_timeout: Duration,
    /// `timeouts.keep_alive`: between requests.
    pub keep_alive: Duration,
    /// `timeouts.write`: longest time without the client taking any byte of a reply.
    pub write: Duration,
    /// `timeouts.drain`
    pub drain: Duration,
}

/// A bound listening socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// Unix.
    Unix(std::os::unix::net::UnixListener, PathBuf),
}

impl Listener {
    /// Binds it, not blocking, address reusable, backlog 4096. The error says which address and why.
    pub fn bind(_listen: &Listen) -> std::io::Result<Self> {
        todo!()
    }

    /// What it is bound to: `127.0.0.1:8080` or `unix:/path`.
    pub fn address(&self) -> String {
        todo!()
    }

    /// A second handle on the same socket, for another worker thread.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        todo!()
    }
}

/// Accepts and serves on the current (single-threaded) runtime until `shutdown` says [`crate::shutdown::Phase::Draining`], then finishes what is
/// under way until it says `Stopped`. One call per worker thread and listener.
pub async fn serve(_listener: Listener, _gate: Arc<Gate>, _settings: Arc<Settings>, _shutdown: Shutdown) {
    todo!()
}
