//! What a caller can lack.

use std::time::Duration;

use crate::store::Ending;

/// The caller lacks something. Some carry what only the log may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// `denied`, and by what.
    Denied(&'static str),
    /// `endpoint_unknown`
    EndpointUnknown,
    /// `client_missing`, and which of the two.
    ClientMissing(&'static str),
    /// `client_refused`: one answer for all flaws, told apart in the log only.
    ClientRefused(ClientFlaw),
    /// `user_missing`, and which of the two.
    UserMissing(&'static str),
    /// `user_refused`: one answer for all flaws.
    UserRefused(SessionFlaw),
    /// `user_ended`
    UserEnded(Ending),
    /// `wrong_channel`: what the session is bound to.
    WrongChannel(&'static str),
    /// `sign_missing`, and which of its parameters.
    SignMissing(&'static str),
    /// `sign_refused`, and why.
    SignRefused(&'static str),
    /// `sign_expired`: its timestamp is outside the window.
    SignExpired,
    /// `sign_replayed`
    SignReplayed,
    /// `limited`: which limit, and when it passes.
    Limited(&'static str, Duration),
    /// `locked`: what is locked, and for how long.
    Locked(&'static str, Duration),
}

/// What is wrong with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientFlaw {
    /// Nobody of that id is registered.
    Unknown,
    /// It may not call at all.
    Disabled,
    /// Its api_token is wrong for this endpoint and day.
    WrongToken,
    /// The secret by which it opened its connection does not count any more.
    Replaced,
}

/// What is wrong with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionFlaw {
    /// There is none for that token.
    Unknown,
    /// It is over.
    Expired,
    /// It is another user's.
    NotTheOwner,
    /// It is a guest's.
    Guest,
}

impl Denial {
    /// When it passes by itself.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited(_, after) | Self::Locked(_, after) => Some(*after),
            _ => None,
        }
    }

    /// What the log says beside the reason; holds nothing the caller sent.
    pub const fn detail(&self) -> &'static str {
        match self {
            Self::Denied(why) | Self::WrongChannel(why) | Self::Limited(why, _) | Self::Locked(why, _) => why,
            Self::SignMissing(what) | Self::SignRefused(what) => what,
            Self::SignExpired => "the timestamp is outside the window",
            Self::SignReplayed => "the nonce or signature was used before",
            Self::EndpointUnknown => "the request names no endpoint",
            Self::ClientMissing(what) | Self::UserMissing(what) => what,
            Self::ClientRefused(ClientFlaw::Unknown) => "no such client",
            Self::ClientRefused(ClientFlaw::Disabled) => "the client is disabled",
            Self::ClientRefused(ClientFlaw::Replaced) => "the secret that opened the connection was replaced",
            Self::ClientRefused(ClientFlaw::WrongToken) => "api_token is wrong for this endpoint and day",
            Self::UserRefused(SessionFlaw::Unknown) => "no such session",
            Self::UserRefused(SessionFlaw::Expired) => "the session is over",
            Self::UserRefused(SessionFlaw::NotTheOwner) => "user_id is not the session's",
            Self::UserRefused(SessionFlaw::Guest) => "the session is a guest's, and the rule wants a user",
            Self::UserEnded(Ending::Admin) => "ended by an operator",
            Self::UserEnded(Ending::NewerLogin) => "ended by a newer login",
            Self::UserEnded(Ending::Logout) => "logged out",
        }
    }
}
