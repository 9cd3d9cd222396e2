//! What arrived, read as PHP will read it. Anything PHP could read in two ways is refused here.
//!
//! [`head`] turns bytes into a [`head::Head`]; [`target`] reads its path; [`php`] reads query, form and cookies by PHP's rules;
//! [`body`] gathers and watches bodies; [`reserved`] refuses names that stand where they must not. [`Inbound`] is their sum:
//! immutable from then on, and the only thing later steps look at.

use std::borrow::Cow;

use bytes::Bytes;

pub mod address;
pub mod body;
pub mod head;
pub mod headers;
pub mod inquiry;
pub mod multipart;
pub mod php;
pub mod reserved;
pub mod target;
pub mod upgrade;

use crate::request::address::Origin;
use crate::request::body::Body;
use crate::request::head::Head;
use crate::request::php::{BodyKind, Params};
use crate::request::target::Target;

/// Why a request cannot be read. What it names is safe to show: names and places, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The bytes are not a request that every server behind us would read alike.
    #[error("{0}")]
    Malformed(String),
    /// A name that decides something stands twice, or where it must not.
    #[error("{0}")]
    Ambiguous(String),
    /// The body, or a form in it, is larger than allowed.
    #[error("{0}")]
    TooLarge(String),
    /// The head is larger than allowed.
    #[error("the head is larger than {0} bytes")]
    HeaderTooLarge(usize),
    /// The connection broke before the request was whole; there is nobody to answer.
    #[error("the client went away")]
    Gone,
    /// Whoever judged the whole body did not let its end pass, and knows why.
    #[error("the end of the body was held back")]
    Withheld,
    /// The body came slower than allowed.
    #[error("the body came too slowly")]
    TooSlow,
}

/// As much of a User-Agent as counts, in bytes.
pub const MAX_USER_AGENT: usize = 512;

/// A request as PHP will see it. Immutable.
#[derive(Debug)]
pub struct Inbound {
    /// Method, target and headers, exactly as sent.
    pub head: Head,
    /// The path, decoded once and checked.
    pub target: Target,
    /// `$_GET`.
    pub query: Params,
    /// `$_POST`, where the body is an urlencoded form that was read.
    pub form: Params,
    /// `$_COOKIE`.
    pub cookies: Params,
    /// Who sent it, after trusted proxies were heard.
    pub origin: Origin,
    /// The body: gathered where a form was read, otherwise still to come.
    pub body: Body,
}

impl Inbound {
    /// Whether PHP reads the body as an urlencoded form: only POST fills `$_POST`.
    pub fn is_form(&self) -> bool {
        self.head.method() == "POST" && BodyKind::of(self.head.header("Content-Type")) == BodyKind::Form
    }

    /// The whole bytes of a gathered body; `None` where it streams.
    pub fn gathered(&self) -> Option<&Bytes> {
        self.body.gathered()
    }

    /// Takes the body out for forwarding; gathered bytes stay readable here.
    pub fn split_body(&mut self) -> Body {
        match &self.body {
            Body::Gathered(bytes) => Body::Gathered(bytes.clone()),
            Body::Empty | Body::Streaming(_) => std::mem::replace(&mut self.body, Body::Empty),
        }
    }

    /// The caller's User-Agent, empty where it sent none. Bytes that are no text are escaped, because sessions may be tied to it;
    /// what goes beyond [`MAX_USER_AGENT`] is left out, because they keep it.
    pub fn user_agent(&self) -> Cow<'_, str> {
        user_agent(&self.head)
    }
}

/// [`Inbound::user_agent`] of a head alone.
pub fn user_agent(head: &Head) -> Cow<'_, str> {
    let whole = head.header("User-Agent").unwrap_or_default();
    let first = whole.get(..MAX_USER_AGENT).unwrap_or(whole);
    std::str::from_utf8(first).map_or_else(|_| Cow::Owned(first.escape_ascii().to_string()), Cow::Borrowed)
}
