//! Answers of the gate's own: the only file that knows status codes and the envelope.

use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::upstream::{self, ResponseBody};

/// Why a request was refused or failed: the stable names of logs, metrics and `X-Ticketgate-Reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The bytes are not a request that every server reads alike.
    Malformed,
    /// A name that decides something stands twice, or where it must not.
    Ambiguous,
    /// Body or form over its limit.
    TooLarge,
    /// Head over its limit.
    HeaderTooLarge,
    /// The rule or default says deny, or the client may not call this endpoint.
    Denied,
    /// The request names no endpoint where one is needed.
    EndpointUnknown,
    /// client_id or api_token missing.
    ClientMissing,
    /// Unknown or disabled client, or wrong api_token.
    ClientRefused,
    /// No signature where one is required.
    SignMissing,
    /// Wrong signature.
    SignRefused,
    /// Signature outside its window.
    SignExpired,
    /// Signature or nonce seen before.
    SignReplayed,
    /// user_token (or user_id) missing.
    UserMissing,
    /// No such session.
    UserRefused,
    /// The login failed, where `login.failed: envelope` asks.
    LoginFailed,
    /// The application's own session is gone.
    SessionLost,
    /// Ended by an admin or a newer login.
    UserEnded,
    /// Bound to another client, address or connection.
    WrongChannel,
    /// Rate limit.
    Limited,
    /// Lock-out.
    Locked,
    /// Too many requests wait for the application.
    Overloaded,
    /// The store did not answer: undecided.
    StoreDown,
    /// The application failed.
    UpstreamFailed,
    /// The application was too slow.
    UpstreamTimeout,
}

/// Language of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// By Accept-Language, English otherwise.
    Auto,
    /// English.
    English,
    /// Chinese.
    Chinese,
}

/// `reject`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `status: 200`: always answer 200.
    pub always_ok: bool,
    /// `language`
    pub language: Language,
    /// `codes` by reason.
    pub codes: HashMap<Reason, i64>,
    /// `messages` by reason.
    pub messages: HashMap<Reason, String>,
    /// `keys`: names of code, msg and data.
    pub keys: Keys,
}

/// The envelope's keys.
#[derive(Clone, Debug)]
pub struct Keys {
    /// `code`
    pub code: String,
    /// `msg`
    pub msg: String,
    /// `data`
    pub data: String,
}

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// Ours.
    Own(Option<Bytes>),
    /// The application's.
    Upstream(ResponseBody),
}

impl Body {
    /// Of those bytes.
    pub fn own(bytes: impl Into<Bytes>) -> Self {
        Self::Own(Some(bytes.into()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = upstream::Fault;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Own(bytes) => {
                Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Upstream(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Upstream(body) => body.size_hint(),
        }
    }
}
