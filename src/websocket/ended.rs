//! Why a connection is ended from our side, and how it learns that its session has ended.

use crate::store::watch::Watch;

/// Why the gate ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The gate stops.
    Drained,
    /// The session that opened it has ended: logged out, replaced, ended by an admin, or expired.
    Session,
    /// Nothing moved on it for too long.
    Idle,
    /// It is as old as it may become.
    TooOld,
}

impl Why {
    /// The status that its close frame has (RFC 6455, 7.4).
    pub const fn code(self) -> u16 {
        match self {
            Self::Drained | Self::Idle | Self::TooOld => 1001,
            Self::Session => 4401,
        }
    }

    /// The reason in its close frame.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Drained => "going away",
            Self::Session => "session ended",
            Self::Idle => "idle for too long",
            Self::TooOld => "open for too long",
        }
    }
}

/// Tells a connection that the session that opened it has ended.
#[derive(Debug, Default)]
pub struct Ended(Option<Watch>);

impl Ended {
    /// For a connection without a session.
    pub fn never() -> Self {
        Self(None)
    }

    /// Of a session that is watched.
    pub fn watched(session: Watch) -> Self {
        Self(Some(session))
    }

    /// Waits until it has; for ever, where there is none.
    pub async fn happened(&mut self) {
        match &mut self.0 {
            Some(session) => drop(session.over().await),
            None => std::future::pending().await,
        }
    }
}
