//! As written: the sections about the process and its neighbours.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::file::ByName;
use crate::config::file::rule::Conditions;
use crate::config::values::{OneOrMany, SecretText, Size, Span};

/// The application.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Upstream {
    /// `http://host:port`, or `unix:/path`; required.
    pub(crate) url: Option<String>,
    /// For a connection.
    pub(crate) connect_timeout: Span,
    /// Until the response head; bodies may stream on.
    pub(crate) response_timeout: Span,
    /// Of pooled connections.
    pub(crate) idle_timeout: Span,
    /// Most connections at once, 0 for no limit; further requests queue.
    pub(crate) max_connections: usize,
    /// Longest wait in that queue.
    pub(crate) queue_timeout: Span,
    /// The Host the application is told: `keep` the client's, `upstream`, or a literal name.
    pub(crate) host: String,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            url: None,
            connect_timeout: Span::secs(2),
            response_timeout: Span::secs(60),
            idle_timeout: Span::secs(60),
            max_connections: 0,
            queue_timeout: Span::secs(5),
            host: "keep".to_owned(),
        }
    }
}

/// Where sessions and registered clients are kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    /// `memory:`, `file:PATH`, `redis://[user:pass@]host:port/db`, `redis+sentinel://h1,h2,h3/SERVICE/db` or
    /// `redis+cluster://h1,h2,h3`; with `rediss` in place of `redis`, over TLS.
    #[serde(serialize_with = "memory")]
    pub(crate) url: SecretText,
    /// Before every key in Redis.
    pub(crate) prefix: String,
    /// 32 bytes in base64, one or a list: the first seals what is stored, all of them open it. `plain` for none.
    pub(crate) key: OneOrMany<Option<SecretText>>,
    /// Bound of every single operation, connecting included.
    pub(crate) timeout: Span,
    /// For `rediss` URLs.
    pub(crate) tls: StoreTls,
    /// While it does not answer: `refuse`, or `{trust: DURATION}`: sessions verified at most that long ago still pass.
    pub(crate) when_down: WhenDown,
    /// Memory for answers of Redis that are held as long as it promises to tell of changes; 0 holds none.
    pub(crate) held: Size,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            url: SecretText::Text("memory:".to_owned()),
            prefix: "ticketgate:".to_owned(),
            key: OneOrMany::default(),
            timeout: Span::millis(250),
            tls: StoreTls::default(),
            when_down: WhenDown::Refuse,
            held: Size(128 << 20),
        }
    }
}

/// Whom to trust at the other end of a `rediss` URL, and as whom to appear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreTls {
    /// Path of the certificates (PEM) that sign those of the servers; without it, those that the system trusts.
    pub(crate) ca: Option<String>,
    /// Path of a certificate (PEM) to show, where Redis asks for one.
    pub(crate) cert: Option<String>,
    /// Path of its key (PEM).
    pub(crate) key: Option<String>,
    /// The name in the servers' certificates, where it is not the host that they are reached by.
    pub(crate) name: Option<String>,
}

/// Only defaults are ever serialised, for the schema; the type as such never shows its text.
fn memory<S: serde::Serializer>(_: &SecretText, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("memory:")
}

/// `when_down`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenDown {
    /// Refuse.
    Refuse,
    /// Trust sessions that were verified at most that long ago.
    Trust(Span),
}

/// The clock of the application.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Time {
    /// The zone in which PHP's `date('Y-m-d')` runs.
    pub(crate) zone: String,
    /// How far the clocks of clients may differ.
    pub(crate) skew: Span,
}

impl Default for Time {
    fn default() -> Self {
        Self { zone: "UTC".to_owned(), skew: Span::secs(300) }
    }
}

/// User sessions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Session {
    /// Ends this long after the last accepted request…
    pub(crate) idle: Span,
    /// …and this long after the login, whatever happens.
    pub(crate) max_age: Span,
    /// The store is told of use at most this often.
    pub(crate) extend_every: Span,
    /// Sessions that one user may hold, 0 for no limit.
    pub(crate) per_user: usize,
    /// A login over that: `end_oldest` or `refuse`.
    pub(crate) when_full: WhenFull,
    /// What a session is tied to.
    pub(crate) bind: Vec<Binding>,
    /// Whether user_id must come along with user_token.
    pub(crate) user_id: UserId,
    /// Hand out user_token sealed under the client's secret.
    pub(crate) sealed: bool,
    /// Guest sessions end this long after their last use.
    pub(crate) guest: Span,
    /// How to tell that the application's own session is gone: all conditions of one of these hold. `cookie` is one that it deletes.
    pub(crate) lost: OneOrMany<Conditions>,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            idle: Span::secs(2 * 3600),
            max_age: Span::secs(30 * 86_400),
            extend_every: Span::secs(60),
            per_user: 0,
            when_full: WhenFull::EndOldest,
            bind: vec![Binding::Client],
            user_id: UserId::Required,
            sealed: false,
            guest: Span::secs(1800),
            lost: OneOrMany::default(),
        }
    }
}

/// `when_full`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenFull {
    /// The oldest session ends.
    EndOldest,
    /// The login is refused.
    Refuse,
}

/// What a session can be tied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Binding {
    /// The client that logged in.
    Client,
    /// The address of the login.
    Ip,
    /// The User-Agent of the login.
    UserAgent,
}

/// `session.user_id`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserId {
    /// It must come along.
    Required,
    /// It may; given, it must be the owner's.
    Optional,
}

/// How refusals look.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Reject {
    /// The status line: `semantic` (400, 401, …), or always `200`.
    pub(crate) status: Status,
    /// Of messages: `auto` (by Accept-Language), `en` or `zh`.
    pub(crate) language: Language,
    /// `code` by reason; 0 where none is given.
    pub(crate) codes: ByName<i64>,
    /// `msg` by reason.
    pub(crate) messages: ByName<String>,
    /// Names of the three keys.
    pub(crate) keys: Keys,
}

/// `reject.status`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = also_as_number)]
pub(crate) enum Status {
    /// The status that fits the reason.
    #[default]
    #[serde(rename = "semantic")]
    Semantic,
    /// Always 200.
    #[serde(rename = "200")]
    Ok,
}

/// 200 is usually written without quotes.
fn also_as_number(schema: &mut schemars::Schema) {
    if let Some(serde_json::Value::Array(values)) = schema.get_mut("oneOf") {
        values.push(serde_json::json!({"type": "integer", "enum": [200]}));
    }
}

/// `reject.language`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Language {
    /// By Accept-Language.
    #[default]
    Auto,
    /// English.
    En,
    /// Chinese.
    Zh,
}

/// Names of the envelope's keys.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Keys {
    /// Of the code.
    pub(crate) code: String,
    /// Of the message.
    pub(crate) msg: String,
    /// Of the data.
    pub(crate) data: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self { code: "code".to_owned(), msg: "msg".to_owned(), data: "data".to_owned() }
    }
}

/// What the application is told.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Forward {
    /// Take credentials out of query and headers before forwarding.
    pub(crate) hide_credentials: bool,
    /// Names of the identity headers.
    pub(crate) headers: Headers,
    /// Signs who asks, for an application that must not believe others.
    pub(crate) assertion_key: Option<SecretText>,
}

/// Names of the identity headers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Headers {
    /// The user's id.
    pub(crate) user: String,
    /// The client's id.
    pub(crate) client: String,
    /// The session's public id.
    pub(crate) session: String,
}

impl Default for Headers {
    fn default() -> Self {
        Self {
            user: "X-Auth-User-Id".to_owned(),
            client: "X-Auth-Client-Id".to_owned(),
            session: "X-Auth-Session-Id".to_owned(),
        }
    }
}

/// Pages of other origins that may call.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cors {
    /// Their origins, as `https://app.example.com`; `*` alone for any, which then send no cookies. Required.
    pub(crate) origins: Vec<String>,
    /// Headers that they may send, besides those of the credentials and Content-Type; `*` for any.
    pub(crate) headers: Vec<String>,
    /// How long a browser may remember that.
    pub(crate) max_age: Span,
}

impl Default for Cors {
    fn default() -> Self {
        Self { origins: Vec::new(), headers: Vec::new(), max_age: Span::secs(600) }
    }
}

/// HTTPS.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// A PEM file: the server's own certificate, then those that link it to its authority. Required.
    pub(crate) cert: Option<String>,
    /// A PEM file: its private key, not encrypted. Required.
    pub(crate) key: Option<String>,
}

/// The admin listener.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// `host:port` or `unix:/path`.
    pub(crate) listen: String,
    /// What operators show to see and change clients and sessions, one or a list; without it only health is served.
    pub(crate) token: OneOrMany<Option<SecretText>>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9900".to_owned(), token: OneOrMany::default() }
    }
}

/// Logs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// `json` or `text`.
    pub(crate) format: Format,
    /// The least level.
    pub(crate) level: Level,
    /// A line for each request.
    pub(crate) access: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: Format::Json, level: Level::Info, access: true }
    }
}

/// `log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// One JSON object in each line.
    Json,
    /// For people.
    Text,
}

/// `log.level`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// Errors.
    Error,
    /// And warnings.
    Warn,
    /// And what happens.
    Info,
    /// And details.
    Debug,
    /// And everything.
    Trace,
}
