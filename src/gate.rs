//! The walk: one request from its bytes to its answer.

use std::net::IpAddr;

use http::Response;
use hyper::body::Incoming;

use crate::reply::Body;
use crate::request::Unreadable;
use crate::request::address::Peer;
use crate::request::body::Limits;
use crate::request::head::Head;
use crate::request::target::Lenient;

/// A request as the server hands it over.
#[derive(Debug)]
pub struct Arrived {
    /// Its head, or why there is none.
    pub head: Result<Head, Unreadable>,
    /// Its body.
    pub body: Incoming,
    /// The connection it came by.
    pub peer: Peer,
}

/// `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Decide and refuse.
    Enforce,
    /// Decide, log and count, but forward.
    Observe,
}

/// How requests are read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// `lenient_paths`
    pub lenient: Lenient,
    /// Reserved names.
    pub reserved: crate::request::reserved::Reserved,
    /// `trusted_proxies`
    pub trusted: crate::request::address::TrustedProxies,
    /// Bounds of bodies.
    pub limits: Limits,
}

/// Everything a gate is made of, besides the store.
#[derive(Debug)]
pub struct Settings {
    /// `mode`
    pub mode: Mode,
    /// How requests are read.
    pub reading: Reading,
    /// Rules.
    pub policy: crate::policy::Policy,
    /// Where credentials stand.
    pub credentials: crate::credentials::Settings,
    /// How they are judged.
    pub verify: crate::verify::Settings,
    /// Where requests go.
    pub upstream: crate::upstream::Settings,
    /// What they carry.
    pub forward: crate::upstream::headers::Settings,
    /// How refusals look.
    pub reply: crate::reply::Settings,
    /// Whether each request is logged.
    pub access_log: bool,
}

/// The gate of one worker thread.
#[derive(Debug)]
pub struct Gate;

impl Gate {
    /// Answers one request. Never fails: whatever goes wrong is an envelope.
    pub async fn answer(&self, _arrived: Arrived) -> Response<Body> {
        let _: Option<IpAddr> = None;
        todo!()
    }
}
