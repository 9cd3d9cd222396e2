//! As written: `websocket`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::file::ByName;
use crate::config::file::counts::Rate;
use crate::config::file::kib;
use crate::config::file::rule::Requirement;
use crate::config::values::{Size, Span};

/// A route for WebSockets: requests for one at its path are decided by it, before all rules.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Websocket {
    /// The path; required: `*` within a segment, `**` across segments.
    pub(crate) path: Option<String>,
    /// `tunnel`: bytes pass both ways between client and application. `bridge`: messages become requests. Required.
    pub(crate) mode: Option<Mode>,
    /// What the request for it must hold; required.
    pub(crate) require: Option<Requirement>,
    /// `module/controller/action` that its api_token is computed over.
    pub(crate) endpoint: Option<String>,
    /// Pages that may ask, as `https://app.example` or `https://*.example`; any by default.
    pub(crate) origins: Vec<String>,
    /// A tunnel ends after so long without a byte in either direction.
    pub(crate) idle: Span,
    /// A tunnel ends after so long in any case.
    pub(crate) max_age: Span,
    /// Of a bridge: `module/controller/action` that a login message is posted to; a rule with `login` must match it.
    pub(crate) login: Option<String>,
    /// Of a bridge: what message becomes which request, by its type.
    pub(crate) types: ByName<Type>,
    /// Of a bridge: other names for what messages and answers hold.
    pub(crate) fields: Fields,
    /// Of a bridge: how long after its connection was lost a session may go on on another.
    pub(crate) resume: Span,
    /// Of a bridge: how often a client is asked whether it is still there.
    pub(crate) ping: Span,
    /// Of a bridge: longest frame.
    pub(crate) frame: Size,
    /// Of a bridge: longest message, in all its frames, and longest answer of the application.
    pub(crate) message: Size,
    /// Of a bridge: messages of one connection that are under way at once; further ones wait.
    pub(crate) in_flight: usize,
    /// Of a bridge: messages of one connection, none by default.
    pub(crate) rate: Option<Rate>,
}

/// What a message becomes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Type {
    /// `module/controller/action`; required.
    pub(crate) endpoint: Option<String>,
    /// What it requires beside what a rule says that matches; where none does, this alone.
    pub(crate) require: Option<Requirement>,
    /// `POST`: its fields are a form. `GET`: they are a query.
    pub(crate) method: Method,
}

impl Default for Type {
    fn default() -> Self {
        Self { endpoint: None, require: None, method: Method::Post }
    }
}

/// How a message is sent to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    /// As a form.
    Post,
    /// As a query.
    Get,
}

/// Names in messages and answers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Fields {
    /// What a message is.
    pub(crate) r#type: String,
    /// Echoed in the answer; a text or a number.
    pub(crate) id: String,
    /// The session.
    pub(crate) token: String,
    /// What moves the session to another connection.
    pub(crate) wstoken: String,
    /// The envelope's code.
    pub(crate) code: String,
    /// The envelope's message.
    pub(crate) msg: String,
    /// The envelope's data.
    pub(crate) data: String,
}

impl Default for Fields {
    fn default() -> Self {
        let [kind, id, token, wstoken, code, msg, data] =
            ["type", "id", "token", "wstoken", "code", "msg", "data"].map(str::to_owned);
        Self { r#type: kind, id, token, wstoken, code, msg, data }
    }
}

impl Default for Websocket {
    fn default() -> Self {
        Self {
            path: None,
            mode: None,
            require: None,
            endpoint: None,
            origins: Vec::new(),
            idle: Span::secs(5 * 60),
            max_age: Span::secs(24 * 3600),
            login: None,
            types: ByName::new(),
            fields: Fields::default(),
            resume: Span::secs(2 * 60),
            ping: Span::secs(30),
            frame: kib(64),
            message: kib(1024),
            in_flight: 8,
            rate: None,
        }
    }
}

/// `mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// To the application.
    Tunnel,
    /// Frames become requests.
    Bridge,
}
