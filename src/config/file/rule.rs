//! As written: rules and logins.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::file::ByName;
use crate::config::file::bounds::RuleSignature;
use crate::config::file::counts::Rate;
use crate::config::values::{AnyText, OneOrMany, Size, Span, TextOr};

/// A rule: what it matches (all that is given), then what it requires.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rule {
    /// Matches the path: `*` within a segment, `**` across segments.
    pub(crate) path: Option<String>,
    /// Matches the endpoint: `module/controller/action`, `*` inside a part, parts left out match anything. As a map, `{is: m/c/a}`
    /// gives the path an endpoint of its own.
    pub(crate) endpoint: Option<TextOr<EndpointIs>>,
    /// Matches the method: one or a list, upper case.
    pub(crate) methods: Option<OneOrMany<String>>,
    /// Matches parameters of query and form by globs.
    pub(crate) params: ByName<AnyText>,
    /// What it requires; required.
    pub(crate) require: Option<Requirement>,
    /// The login to watch for.
    pub(crate) login: Option<Login>,
    /// Which sessions of the user end once the application has answered: `this`, `others` or `all`.
    pub(crate) logout: Option<TextOr<LogoutMap>>,
    /// Whether an accepted request pushes the session's expiry forward.
    pub(crate) extend: bool,
    /// Overrides `signature`: `never`, `when_present`, `always`, or a map of the same keys.
    pub(crate) signature: Option<TextOr<RuleSignature>>,
    /// A rate of its own, counted for each user, else for each client, else for each address.
    pub(crate) limit: Option<Rate>,
    /// `opaque`: do not read bodies.
    pub(crate) body: Option<BodyReading>,
    /// Overrides `limits.body`.
    pub(crate) max_body: Option<Size>,
    /// Overrides `upstream.response_timeout`.
    pub(crate) response_timeout: Option<Span>,
    /// Gives callers without a session one without a user, which holds the application's cookies.
    pub(crate) guest: bool,
    /// Fills a token field that a user's POST leaves out.
    pub(crate) csrf: Option<Csrf>,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            path: None,
            endpoint: None,
            methods: None,
            params: ByName::new(),
            require: None,
            login: None,
            logout: None,
            extend: true,
            signature: None,
            limit: None,
            body: None,
            max_body: None,
            response_timeout: None,
            guest: false,
            csrf: None,
        }
    }
}

/// What a request must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Requirement {
    /// Nothing.
    Public,
    /// A client.
    Client,
    /// A client and a user.
    User,
    /// A user without a client.
    UserOnly,
    /// Never passes.
    Deny,
}

/// The endpoint of a path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EndpointIs {
    /// `module/controller/action`
    pub(crate) is: Option<String>,
}

/// A logout, at length.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogoutMap {
    /// `this`, `others` or `all`.
    pub(crate) end: Option<String>,
    /// A page to fetch first.
    pub(crate) before: Option<Before>,
}

/// `csrf`: a field for the application's guard against forged requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Csrf {
    /// The field; required.
    pub(crate) form: Option<String>,
    /// `cookie:NAME` of the held cookies, or `header:NAME` of the last reply; required.
    pub(crate) from: Option<String>,
}

/// `before`: a page to fetch first, and what to take from it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Before {
    /// Path and query of the page; required.
    pub(crate) get: Option<String>,
    /// `true` for its first form with a password, or a form's name or id: it is sent, with the client's fields over its hidden ones.
    pub(crate) form: Option<AnyText>,
    /// Single fields and where their values stand: `input:NAME`, `json:POINTER`, `header:NAME`, `cookie:GLOB` or `body:REGEX`.
    pub(crate) take: ByName<String>,
}

/// `body`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BodyReading {
    /// Not at all.
    Opaque,
}

/// A login: when it succeeded, who logged in, what the client is told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Login {
    /// It succeeded when all conditions of one of these hold; required.
    pub(crate) success: OneOrMany<Conditions>,
    /// Who logged in: `json:POINTER`, `form:NAME`, `header:NAME`, `cookie:GLOB` or `body:REGEX`; required.
    pub(crate) user_id: Option<TextOr<UserSource>>,
    /// `form:NAME` that names the account, for the lock-out; by default the `form:` of `user_id`.
    pub(crate) user_name: Option<String>,
    /// `issue`, or `json:POINTER` to adopt the application's.
    pub(crate) user_token: String,
    /// How the client learns its token: `merge` it into the reply's data, or send an `envelope` in its place.
    pub(crate) reply: LoginReply,
    /// A login that failed: `pass` on the reply, or send an `envelope` in its place.
    pub(crate) failed: LoginFailed,
    /// The application's cookies: `hold` them in the session, or `pass` them through.
    pub(crate) cookies: Cookies,
    /// The application's own credential fields; refused anywhere but in a login rule.
    pub(crate) fields: Vec<String>,
    /// A page to fetch first.
    pub(crate) before: Option<Before>,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            success: OneOrMany::default(),
            user_id: None,
            user_name: None,
            user_token: "issue".to_owned(),
            reply: LoginReply::Merge,
            failed: LoginFailed::Pass,
            cookies: Cookies::Hold,
            fields: Vec::new(),
            before: None,
        }
    }
}

/// Conditions on the application's reply: all that are given must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Conditions {
    /// The status: a number or a list.
    pub(crate) status: OneOrMany<u16>,
    /// JSON pointers and the values that must stand there, compared as text.
    pub(crate) json: ByName<AnyText>,
    /// A glob: a cookie of such a name is set after the reply.
    pub(crate) cookie: Option<String>,
    /// A glob over path and query of Location.
    pub(crate) location: Option<String>,
    /// A regular expression over the body.
    pub(crate) body: Option<String>,
    /// And not all of these hold; of a list of such maps, none does.
    pub(crate) not: OneOrMany<Conditions>,
}

/// A source of the user's id, at length.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UserSource {
    /// `json:POINTER`, `form:NAME`, `header:NAME`, `cookie:GLOB` or `body:REGEX`.
    pub(crate) from: Option<String>,
    /// Decode what is found: `base64` or `url`.
    pub(crate) decode: Option<Decode>,
    /// A regular expression whose first group (or whole match) counts.
    #[serde(rename = "match")]
    pub(crate) extract: Option<String>,
    /// `lower`: fold to lower case.
    pub(crate) fold: Option<FoldCase>,
    /// Path and query of a page to ask for with the new cookies, where the id stands.
    pub(crate) get: Option<String>,
}

/// How a value is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decode {
    /// Base64, standard or URL-safe.
    Base64,
    /// Percent-decoding.
    Url,
}

/// How a value is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FoldCase {
    /// To lower case.
    Lower,
}

/// How the client learns its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LoginReply {
    /// In the data of the application's JSON.
    Merge,
    /// In place of the application's reply.
    Envelope,
}

/// What becomes of a failed login's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LoginFailed {
    /// It passes unchanged.
    Pass,
    /// It is replaced.
    Envelope,
}

/// What becomes of the application's cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cookies {
    /// Held in the session.
    Hold,
    /// Left alone.
    Pass,
}
