//! What is stored about clients and sessions, and how it is written: JSON with a version, which the store seals where it has a
//! key.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{ChannelId, ClientId, SessionId, TokenHash, UserId};
use crate::secret::Secret;

use super::channel::Channel;

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
    /// Whether its requests must be signed, where that is its own affair.
    pub signature: Option<Signing>,
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

impl LiveSecret {
    /// Whether it counts at `now`.
    pub fn counts(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
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

impl Algorithm {
    /// How many bytes a token or signature of it has, which hex doubles.
    pub const fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::HmacSha256 => 32,
        }
    }
}

/// Whether requests must be signed; in the order of strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signing {
    /// No signature is looked at.
    Never,
    /// One that is given must be right.
    WhenPresent,
    /// One must be given.
    Always,
}

impl Signing {
    /// As written in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::WhenPresent => "when_present",
            Self::Always => "always",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Never, Self::WhenPresent, Self::Always].into_iter().find(|signing| signing.name() == name)
    }
}

/// One login of one user, or one guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its public id.
    pub id: SessionId,
    /// Whose it is; `None` for a guest's.
    pub user: Option<UserId>,
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
    /// The one connection that it may be used on; `None` for a session that was made over HTTP, and is used there.
    pub channel: Option<Box<Channel>>,
}

/// A cookie that the application set and the client never sees.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldCookie {
    /// Its name.
    pub name: String,
    /// Its value, as the application wrote it.
    pub value: String,
    /// The path it is sent to, `/` by default.
    pub path: String,
    /// When it lapses, in milliseconds since the epoch; `None`: with the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

impl fmt::Debug for HeldCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldCookie")
            .field("name", &self.name)
            .field("value", &format_args!("[redacted]"))
            .field("path", &self.path)
            .field("expires", &self.expires)
            .finish()
    }
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

impl Ending {
    /// Its name in the store.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Admin => "admin",
            Self::NewerLogin => "newer_login",
        }
    }

    /// The inverse of [`Ending::label`].
    pub(super) fn from_label(label: &[u8]) -> Option<Self> {
        [Self::Logout, Self::Admin, Self::NewerLogin].into_iter().find(|ending| ending.label().as_bytes() == label)
    }
}

/// The version that is written.
const VERSION: u32 = 1;
/// That of sessions bound to a connection: a gate that knows nothing of connections must not take them for others.
const BOUND: u32 = 2;

impl SessionRecord {
    /// About how many bytes of memory it takes.
    pub(super) fn weight(&self) -> usize {
        // Each name is a piece of memory of its own, with what it takes to manage it.
        const NAMES: usize = 128;
        let cookie = |cookie: &HeldCookie| {
            size_of::<HeldCookie>() + cookie.name.capacity() + cookie.value.capacity() + cookie.path.capacity()
        };
        let texts = self.ip.capacity() + self.user_agent.capacity();
        size_of::<Self>() + NAMES + texts + self.jar.iter().map(cookie).sum::<usize>()
    }

    /// As JSON.
    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&StoredSession {
            v: if self.channel.is_some() { BOUND } else { VERSION },
            id: self.id.as_str().into(),
            user: self.user.as_ref().map(|user| user.as_str().into()),
            client: self.client.as_ref().map(|client| client.as_str().into()),
            created: self.created.as_millis(),
            ends: self.ends.as_millis(),
            ip: self.ip.clone(),
            user_agent: self.user_agent.clone(),
            jar: self.jar.clone(),
            holds_cookies: self.holds_cookies,
            channel: self.channel.as_deref().map(StoredChannel::from),
        })
    }

    /// From JSON; `None` for what this version does not understand.
    pub(crate) fn from_json(json: &[u8]) -> Option<Self> {
        let stored: StoredSession = serde_json::from_slice(json).ok()?;
        (stored.v == if stored.channel.is_some() { BOUND } else { VERSION }).then_some(())?;
        Some(Self {
            id: SessionId::new(stored.id).ok()?,
            user: stored.user.map(UserId::new).transpose().ok()?,
            client: stored.client.map(ClientId::new).transpose().ok()?,
            created: Timestamp::from_millis(stored.created),
            ends: Timestamp::from_millis(stored.ends),
            ip: stored.ip,
            user_agent: stored.user_agent,
            jar: stored.jar,
            holds_cookies: stored.holds_cookies,
            channel: stored.channel.map(StoredChannel::channel).map_or(Some(None), |channel| channel.map(Some))?,
        })
    }
}

impl ClientRecord {
    /// About how many bytes of memory it takes.
    pub(super) fn weight(&self) -> usize {
        let secret = |live: &LiveSecret| size_of::<LiveSecret>() + live.secret.expose().len();
        let endpoint = |endpoint: &String| size_of::<String>() + endpoint.capacity();
        let secrets: usize = self.secrets.iter().map(secret).sum();
        let endpoints: usize = self.endpoints.iter().map(endpoint).sum();
        size_of::<Self>() + self.id.as_str().len() + self.name.capacity() + secrets + endpoints
    }

    /// As JSON.
    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&StoredClient {
            v: VERSION,
            id: self.id.as_str().into(),
            secrets: self.secrets.iter().map(StoredSecret::from).collect(),
            enabled: self.enabled,
            algorithms: self.algorithms.clone(),
            endpoints: self.endpoints.clone(),
            signature: self.signature,
            name: self.name.clone(),
            created: self.created.as_millis(),
        })
    }

    /// From JSON; `None` for what this version does not understand.
    pub(crate) fn from_json(json: &[u8]) -> Option<Self> {
        let stored: StoredClient = serde_json::from_slice(json).ok()?;
        (stored.v == VERSION).then_some(())?;
        Some(Self {
            id: ClientId::new(stored.id).ok()?,
            secrets: stored.secrets.into_iter().map(StoredSecret::live).collect::<Option<_>>()?,
            enabled: stored.enabled,
            algorithms: stored.algorithms,
            endpoints: stored.endpoints,
            signature: stored.signature,
            name: stored.name,
            created: Timestamp::from_millis(stored.created),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct StoredSession {
    v: u32,
    id: String,
    /// A version that knows of no guests misses it, and reads no such record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    created: u64,
    ends: u64,
    ip: String,
    user_agent: String,
    jar: Vec<HeldCookie>,
    holds_cookies: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<StoredChannel>,
}

#[derive(Serialize, Deserialize)]
struct StoredChannel {
    id: String,
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
}

impl From<&Channel> for StoredChannel {
    fn from(channel: &Channel) -> Self {
        let (id, key) = (channel.id.as_str().into(), channel.key.to_hex());
        Self { id, key, lost: channel.lost.map(Timestamp::as_millis) }
    }
}

impl StoredChannel {
    fn channel(self) -> Option<Box<Channel>> {
        let (id, key) = (ChannelId::new(self.id).ok()?, TokenHash::from_hex(&self.key)?);
        Some(Box::new(Channel { id, key, lost: self.lost.map(Timestamp::from_millis) }))
    }
}

#[derive(Serialize, Deserialize)]
struct StoredClient {
    v: u32,
    id: String,
    secrets: Vec<StoredSecret>,
    enabled: bool,
    algorithms: Vec<Algorithm>,
    endpoints: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Signing>,
    name: String,
    created: u64,
}

/// A secret is any bytes, JSON is text: base64.
#[derive(Serialize, Deserialize)]
struct StoredSecret {
    secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

impl From<&LiveSecret> for StoredSecret {
    fn from(live: &LiveSecret) -> Self {
        Self { secret: STANDARD.encode(live.secret.expose()), until: live.until.map(Timestamp::as_millis) }
    }
}

impl StoredSecret {
    fn live(self) -> Option<LiveSecret> {
        let secret = Secret::new(STANDARD.decode(self.secret).ok()?);
        Some(LiveSecret { secret, until: self.until.map(Timestamp::from_millis) })
    }
}

#[cfg(test)]
mod tests;
