//! As written: signatures, limits, time-outs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::file::counts::{Rate, Tries};
use crate::config::file::{Algorithm, kib};
use crate::config::values::{Size, Span};

/// Request signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Signature {
    /// `never`, `when_present` or `always`.
    pub(crate) require: Signing,
    /// Algorithms.
    pub(crate) algorithms: Vec<Algorithm>,
    /// How old a signature may be.
    pub(crate) window: Span,
    /// Whether a nonce must come along.
    pub(crate) nonce: Nonce,
    /// So many nonces of one client are remembered; beyond that its requests are `limited`.
    pub(crate) max_nonces: u64,
}

/// What a rule, at length, says otherwise than `signature`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RuleSignature {
    /// `never`, `when_present` or `always`.
    pub(crate) require: Option<Signing>,
    /// Algorithms.
    pub(crate) algorithms: Option<Vec<Algorithm>>,
    /// How old a signature may be.
    pub(crate) window: Option<Span>,
    /// Whether a nonce must come along.
    pub(crate) nonce: Option<Nonce>,
    /// So many nonces of one client are remembered; beyond that its requests are `limited`.
    pub(crate) max_nonces: Option<u64>,
}

impl Default for Signature {
    fn default() -> Self {
        Self {
            require: Signing::Never,
            algorithms: vec![Algorithm::HmacSha256, Algorithm::Md5],
            window: Span::secs(300),
            nonce: Nonce::Optional,
            max_nonces: 1_000_000,
        }
    }
}

/// `signature.require`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signing {
    /// No signature is looked at.
    Never,
    /// A signature that is given must be right.
    WhenPresent,
    /// A signature must be given.
    Always,
}

/// `signature.nonce`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Nonce {
    /// It may.
    Optional,
    /// It must.
    Required,
}

/// Bounds of requests and connections.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// A request's head.
    pub(crate) header: Size,
    /// A body that is read: forms.
    pub(crate) form: Size,
    /// Any body.
    pub(crate) body: Size,
    /// Connections at once.
    pub(crate) connections: usize,
    /// Requests of an address (of IPv6: of a /64): `50/s`, `600/m`, `{rate: 600/m, burst: 100}`.
    pub(crate) per_ip: Option<Rate>,
    /// Requests of a client.
    pub(crate) per_client: Option<Rate>,
    /// Requests of a user.
    pub(crate) per_user: Option<Rate>,
    /// Failed logins that lock a user name, for the address they came from and for all.
    pub(crate) failed_logins: Option<Tries>,
    /// Failed client tokens that lock the address they came from.
    pub(crate) failed_tokens: Option<Tries>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: kib(32),
            form: kib(1024),
            body: kib(64 * 1024),
            connections: 10_000,
            per_ip: None,
            per_client: None,
            per_user: None,
            failed_logins: Some(Tries::of(5, Span::secs(900))),
            failed_tokens: Some(Tries::of(100, Span::secs(60))),
        }
    }
}

/// Bounds in time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// For a whole request head.
    pub(crate) header: Span,
    /// Longest wait for the next bytes of a body.
    pub(crate) body_idle: Span,
    /// Least bytes per second of a body, counted after ten seconds; 0 for none.
    pub(crate) body_rate: Size,
    /// Longest time without the client taking any byte of a reply.
    pub(crate) write: Span,
    /// Between requests on a connection.
    pub(crate) keep_alive: Span,
    /// For what is under way when the gate stops.
    pub(crate) drain: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Span::secs(10),
            body_idle: Span::secs(30),
            body_rate: Size(512),
            write: Span::secs(60),
            keep_alive: Span::secs(75),
            drain: Span::secs(30),
        }
    }
}
