//! Heads for the application: the caller's headers without what must not pass, then ours.

use crate::clock::Timestamp;
use crate::ids::{ClientId, RequestId, SessionId, UserId};
use crate::request::Inbound;
use crate::secret::Secret;
use crate::upstream::HostHeader;

/// `forward`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `hide_credentials`: take credentials out of query and headers before forwarding.
    pub hide_credentials: bool,
    /// `headers.user`
    pub user: String,
    /// `headers.client`
    pub client: String,
    /// `headers.session`
    pub session: String,
    /// `assertion_key`
    pub assertion_key: Option<Secret>,
    /// `upstream.host`
    pub host: HostHeader,
    /// The name the application goes by, for `host: upstream`: `host:port`.
    pub upstream_name: String,
}

/// Who asks, as proved.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The user.
    pub user: Option<UserId>,
    /// The client.
    pub client: Option<ClientId>,
    /// The session.
    pub session: Option<SessionId>,
}

/// What else the head needs to know.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Proved identity.
    pub identity: &'a Identity,
    /// This request's id.
    pub request_id: &'a RequestId,
    /// Now, for the assertion.
    pub now: Timestamp,
    /// The Cookie line that replaces the client's: `None` keeps the client's, `Some("")` sends none.
    pub cookies: Option<&'a str>,
    /// Whether `Authorization` is dropped (where a session is held, or it carried a credential).
    pub drop_authorization: bool,
    /// Whether the application is asked for an uncompressed reply (login requests).
    pub plain_reply: bool,
    /// `traceparent` to send.
    pub traceparent: &'a str,
}

/// Request line and headers, without framing headers (Content-Length, Transfer-Encoding, Connection) and without the empty line.
pub fn head(_inbound: &Inbound, _context: &Context<'_>, _settings: &Settings) -> Vec<u8> {
    todo!()
}
