//! Listening sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, Protocol, SockFilter, SockRef, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::request::address::Peer;

/// Connections the kernel holds until we accept them.
pub(super) const BACKLOG: i32 = 4096;

/// Bytes of a reply that the kernel takes before they can be sent. Of itself it takes megabytes, for each client that does not read, and
/// `timeouts.write` would never see that.
#[cfg(target_os = "linux")]
const MOST_UNSENT: u32 = 128 * 1024;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `host:port`
    Tcp(String),
    /// `unix:/path`
    Unix(PathBuf),
}

/// A bound listening socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// Unix. The file goes when the last handle on the socket goes, so keep the second part as long as the first.
    Unix(UnixListener, Arc<SocketFile>),
}

/// A unix socket's name in the file system; removed when it is dropped, or before, but once: by then another gate may have taken it.
#[derive(Debug)]
pub struct SocketFile(PathBuf, AtomicBool);

impl SocketFile {
    fn remove(&self) {
        if !self.1.swap(true, Ordering::Relaxed) {
            // It is gone already where somebody tidied up; there is nothing else to do then.
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Listener {
    /// Binds it, not blocking, address reusable, backlog 4096. The error says which address and why.
    pub fn bind(listen: &Listen) -> io::Result<Self> {
        let (bound, address) = match listen {
            Listen::Tcp(address) => (bind_tcp(address).map(Self::Tcp), address.clone()),
            Listen::Unix(path) => (bind_unix(path), format!("unix:{}", path.display())),
        };
        bound.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
    }

    /// What it is bound to: `127.0.0.1:8080` or `unix:/path`.
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(|error| error.to_string(), |at| at.to_string()),
            Self::Unix(_, file) => format!("unix:{}", file.0.display()),
        }
    }

    /// A second handle on the same socket, for another worker thread.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            Self::Unix(listener, file) => Ok(Self::Unix(listener.try_clone()?, Arc::clone(file))),
        }
    }

    /// Makes it accept on the current runtime.
    pub(super) fn into_acceptor(self) -> io::Result<Acceptor> {
        match self {
            Self::Tcp(listener) => {
                let port = listener.local_addr()?.port();
                Ok(Acceptor::Tcp(tokio::net::TcpListener::from_std(listener)?, port))
            }
            Self::Unix(listener, file) => Ok(Acceptor::Unix(file, tokio::net::UnixListener::from_std(listener)?)),
        }
    }
}

fn bind_tcp(address: &str) -> io::Result<std::net::TcpListener> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match bind_address(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn bind_address(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    bound_unsent(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// For every connection that it accepts.
#[cfg(target_os = "linux")]
fn bound_unsent(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(MOST_UNSENT)
}

#[cfg(not(target_os = "linux"))]
fn bound_unsent(_: &socket2::Socket) -> io::Result<()> {
    Ok(())
}

fn bind_unix(path: &Path) -> io::Result<Listener> {
    clear_stale(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    let file = Arc::new(SocketFile(path.to_owned(), AtomicBool::new(false)));
    socket.listen(BACKLOG)?;
    Ok(Listener::Unix(socket.into(), file))
}

/// Removes a socket that a process left behind; not one somebody listens on, and nothing that is no socket.
fn clear_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket stands there"));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// A socket filter (classic BPF) that drops what would open a connection: SYN without ACK in the flags at byte 13 of the TCP header.
/// Who sent it tries again after a second, and finds another gate, or nobody.
const DROP_SYN: [SockFilter; 5] = [
    SockFilter::new(0x30, 0, 0, 13),
    SockFilter::new(0x54, 0, 0, 0x12),
    SockFilter::new(0x15, 0, 1, 0x02),
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// A listening socket of one runtime.
#[derive(Debug)]
pub(super) enum Acceptor {
    /// With its port.
    Tcp(tokio::net::TcpListener, u16),
    /// The file stands first, so that it is removed before its socket closes: nobody can take the name in between.
    Unix(Arc<SocketFile>, tokio::net::UnixListener),
}

/// A client's socket.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Ends it in a way that no client takes for the proper end, where there is one.
    fn reset(self);
}

impl Socket for TcpStream {
    fn reset(self) {
        // One that is closed already cannot be reset, nor need be.
        let _ = self.set_zero_linger();
    }
}

impl Socket for tokio::net::UnixStream {
    fn reset(self) {}
}

/// An accepted socket.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(TcpStream, Peer),
    Unix(tokio::net::UnixStream, Peer),
}

impl Acceptor {
    /// Lets no new connection begin, where that can be done without a reset to those that have begun.
    pub(super) fn close_the_door(&self) {
        match self {
            // Where it cannot be done, a connection of the last moment may be reset.
            Self::Tcp(listener, _) => drop(SockRef::from(listener).attach_filter(&DROP_SYN)),
            Self::Unix(file, _) => file.remove(),
        }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener, local_port) => {
                let (stream, from) = listener.accept().await?;
                // Fails only where the connection is gone already, which its first read tells.
                let _ = stream.set_nodelay(true);
                let peer = Peer { ip: from.ip().to_canonical(), local_port: *local_port, tls: false };
                Ok(Accepted::Tcp(stream, peer))
            }
            Self::Unix(_, listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = Peer { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), local_port: 0, tls: false };
                Ok(Accepted::Unix(stream, peer))
            }
        }
    }
}
