//! What is stored about clients and sessions, and how it is written: JSON, sealed where a key is given.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{ClientId, SessionId, UserId};
use crate::secret::Secret;

/// A registered program. (Serialised by the store in a form of its own; secrets are never `Debug`-printed.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRecord {
    /// Its id.
    pub id: ClientId,
    /// Its live secrets, newest first; two while it is being rotated.
    pub secrets: Vec<LiveSecret>,
    /// Whether it may call at all.
    pub enabled: bool,
    /// Algorithms of its api_token: `md5`, `hmac-sha256`.
    pub algorithms: Vec<Algorithm>,
    /// Endpoints that it may call, patterns as in rules.
    pub endpoints: Vec<String>,
    /// What people call it.
    pub name: String,
    /// When it was registered.
    pub created: Timestamp,
}

/// A secret and how long it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSecret {
    /// The secret.
    pub secret: Secret,
    /// `None`: until replaced.
    pub until: Option<Timestamp>,
}

/// How an api_token or signature is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// md5 over the concatenation.
    #[serde(rename = "md5")]
    Md5,
    /// HMAC-SHA256 over the lines.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
}

/// One login of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its public id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The client that logged in; `None` for `user_only` logins.
    pub client: Option<ClientId>,
    /// When.
    pub created: Timestamp,
    /// When it ends whatever happens (`created` + `session.max_age`).
    pub ends: Timestamp,
    /// Address of the login.
    pub ip: String,
    /// User-Agent of the login.
    pub user_agent: String,
    /// Cookies held for the application.
    pub jar: Vec<HeldCookie>,
    /// Whether cookies are held at all (`login.cookies: hold`).
    pub holds_cookies: bool,
}

/// A cookie that the application set and the client never sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldCookie {
    /// Its name.
    pub name: String,
    /// Its value, as the application wrote it.
    pub value: String,
    /// The path it is sent to, `/` by default.
    pub path: String,
    /// When it lapses, in milliseconds since the epoch; `None`: with the session.
    pub expires: Option<u64>,
}

/// Why a session ended, where its holder may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Its user logged out: nothing is left of it.
    Logout,
    /// An operator ended it: leaves a tombstone.
    Admin,
    /// A newer login took its place: leaves a tombstone.
    NewerLogin,
}
