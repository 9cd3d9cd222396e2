//! Who sent a request: the peer, or whom a trusted proxy names.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::request::head::Head;

/// How the client reached us, after trusted proxies were heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub ip: IpAddr,
    /// The other end of the connection; differs from `ip` behind a trusted proxy. Unix sockets count as 127.0.0.1.
    pub peer: IpAddr,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
    /// Whether the client speaks HTTPS.
    pub https: bool,
    /// The host the client asked for, without port.
    pub host: String,
    /// The port the client asked for.
    pub port: u16,
    /// The value for X-Forwarded-For: the trusted proxies' chain continued, or the peer alone.
    pub forwarded_for: String,
}

/// A connection's two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end; 127.0.0.1 for a unix socket.
    pub ip: IpAddr,
    /// Our port.
    pub local_port: u16,
    /// Whether the connection is TLS.
    pub tls: bool,
}

/// The networks whose word on X-Forwarded-* counts (`trusted_proxies`).
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(pub Vec<IpNet>);

impl TrustedProxies {
    /// Reads the origin of a request: right to left through X-Forwarded-For while the speaker is trusted.
    pub fn origin(&self, _head: &Head, _peer: Peer) -> Origin {
        todo!()
    }
}
