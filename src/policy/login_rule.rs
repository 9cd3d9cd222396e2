//! What a login rule watches for: when a login succeeded, who logged in, what the client is told.

use std::fmt;

use regex::bytes::Regex;

use crate::policy::before::Before;
use crate::policy::pattern::Glob;

/// A rule's `login`.
#[derive(Clone, Debug)]
pub struct LoginRule {
    /// It succeeded when any of these holds.
    pub success: Vec<Conditions>,
    /// Who logged in.
    pub user_id: UserSource,
    /// `user_id.get`: the page in which that is found, asked with the new cookies; otherwise it is found in the reply itself.
    pub user_page: Option<String>,
    /// `form:NAME` that names the account, for the lock-out.
    pub user_name: Option<String>,
    /// Where the token comes from.
    pub user_token: TokenSource,
    /// How the client is told.
    pub reply: LoginReply,
    /// `login.failed: envelope`: a failed login is answered by the gate.
    pub failed_envelope: bool,
    /// Whether the application's cookies are held (`hold`) or left alone (`pass`).
    pub hold_cookies: bool,
    /// The application's own credential fields.
    pub fields: Vec<String>,
    /// The page that is fetched first.
    pub before: Option<Before>,
}

/// All that are given must hold.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// The reply's status is one of these.
    pub status: Vec<u16>,
    /// JSON pointer and the text that must stand there.
    pub json: Vec<(String, String)>,
    /// A cookie of such a name is in the jar after the reply.
    pub cookie: Option<Glob>,
    /// Path and query of Location.
    pub location: Option<Glob>,
    /// The body holds this.
    pub body: Option<Regex>,
    /// And not all of these hold; of several, none does.
    pub not: Vec<Conditions>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub enum Check<'a> {
    /// `status`
    Status(&'a [u16]),
    /// `json`: pointer and text.
    Json(&'a str, &'a str),
    /// `cookie`
    Cookie(&'a Glob),
    /// `location`
    Location(&'a Glob),
    /// `body`
    Body(&'a Regex),
    /// `not`
    Not(&'a [Conditions]),
}

impl Conditions {
    /// All that are given.
    pub fn checks(&self) -> impl Iterator<Item = Check<'_>> {
        let status = (!self.status.is_empty()).then_some(Check::Status(&self.status));
        let json = self.json.iter().map(|(at, wanted)| Check::Json(at, wanted));
        let cookie = self.cookie.as_ref().map(Check::Cookie);
        let location = self.location.as_ref().map(Check::Location);
        let body = self.body.as_ref().map(Check::Body);
        let not = (!self.not.is_empty()).then_some(Check::Not(&self.not));
        status.into_iter().chain(json).chain(cookie).chain(location).chain(body).chain(not)
    }
}

impl fmt::Display for Check<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(statuses) => {
                let written: Vec<String> = statuses.iter().map(u16::to_string).collect();
                write!(f, "status {}", written.join(" or "))
            }
            Self::Json(at, wanted) => write!(f, "json {at}: {wanted}"),
            Self::Cookie(glob) => write!(f, "cookie {}", glob.as_str()),
            Self::Location(glob) => write!(f, "location {}", glob.as_str()),
            Self::Body(regex) => write!(f, "body {}", regex.as_str()),
            Self::Not(others) => {
                let all = |conditions: &Conditions| -> String {
                    conditions.checks().map(|check| check.to_string()).collect::<Vec<_>>().join(" and ")
                };
                write!(f, "not ({})", others.iter().map(all).collect::<Vec<_>>().join(") nor ("))
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(at) => write!(f, "json:{at}"),
            Self::Form(name) => write!(f, "form:{name}"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(glob) => write!(f, "cookie:{}", glob.as_str()),
            Self::Body(regex) => write!(f, "body:{}", regex.as_str()),
        }
    }
}

/// Where a value is found.
#[derive(Clone, Debug)]
pub enum Source {
    /// `json:POINTER` of the reply.
    Json(String),
    /// `form:NAME` of the request.
    Form(String),
    /// `header:NAME` of the reply.
    Header(String),
    /// `cookie:NAME-GLOB` of the reply.
    Cookie(Glob),
    /// `body:REGEX` of the reply, first group.
    Body(Regex),
}

impl Source {
    /// Whether it looks at cookies: then later replies are watched for another user's.
    pub const fn is_cookie(&self) -> bool {
        matches!(self, Self::Cookie(_))
    }
}

/// A source, and what is done with what it gives.
#[derive(Clone, Debug)]
pub struct UserSource {
    /// Where it is found.
    pub from: Source,
    /// `decode`.
    pub decode: Decode,
    /// `match`: the first group (or the whole match) counts.
    pub extract: Option<Regex>,
    /// `fold: lower`.
    pub lower: bool,
}

/// How a found value is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Decode {
    /// Not at all.
    #[default]
    None,
    /// Base64, standard or URL-safe alphabet.
    Base64,
    /// Percent-decoding.
    Url,
}

/// Where a user_token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// The gate makes it: 128 random bits as 32 hex digits.
    Issue,
    /// The application issued it: `json:POINTER`.
    Json(String),
}

/// How the client learns its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LoginReply {
    /// Put into `/data` of the application's JSON.
    #[default]
    Merge,
    /// In place of the application's reply.
    Envelope,
}
