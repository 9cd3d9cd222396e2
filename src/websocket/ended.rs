//! Why a connection is ended from our side, and how it learns that its session has ended.

use tokio::sync::watch;

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

/// Tells a connection that the session that opened it has ended. Whoever watches sessions holds the other side.
#[derive(Clone, Debug, Default)]
pub struct Ended(Option<watch::Receiver<bool>>);

impl Ended {
    /// For a connection without a session.
    pub fn never() -> Self {
        Self(None)
    }

    /// Of a session that is watched: `true` once it has ended. A watch that is gone tells nothing.
    pub fn watched(session: watch::Receiver<bool>) -> Self {
        Self(Some(session))
    }

    /// Waits until it has; for ever, where nobody can tell.
    pub async fn happened(&mut self) {
        if let Some(session) = &mut self.0
            && session.wait_for(|ended| *ended).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}
