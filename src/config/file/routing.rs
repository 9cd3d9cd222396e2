//! As written: how endpoints and credentials are read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One source of the endpoint. A path (or query_path) may be combined with parameters for the other parts.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Source {
    /// Names of query parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query: Option<EndpointParts>,
    /// Names of form parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) form: Option<EndpointParts>,
    /// Names of parameters in the form or, where it has none, in the query (`$_REQUEST`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<EndpointParts>,
    /// A template of the path: `/{module}/{controller}/{action}`, `/{module}.php`, a trailing `/**`, or `{path}` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// A query parameter that holds a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query_path: Option<QueryPath>,
}

impl Source {
    /// The default source.
    pub(crate) fn modctlact() -> Self {
        let part = |name: &str| Some(name.to_owned());
        let query = EndpointParts { module: part("mod"), controller: part("ctl"), action: part("act") };
        Self { query: Some(query), ..Self::default() }
    }
}

/// A query parameter that holds a path (`?s=/user/info/get`).
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QueryPath {
    /// Its name; empty for a query that is a path itself (`/index.php?/user/info`).
    pub(crate) name: Option<String>,
    /// The template of that path.
    pub(crate) template: Option<String>,
}

/// One text for each part of an endpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EndpointParts {
    /// For the module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) module: Option<String>,
    /// For the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) controller: Option<String>,
    /// For the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) action: Option<String>,
}

/// `framework`. What each stands for lies in `config/presets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Framework {
    /// ThinkPHP 3.2.
    Thinkphp3,
    /// ThinkPHP 5.
    Thinkphp5,
    /// CodeIgniter 3.
    Codeigniter3,
    /// Yii 1.1.
    Yii1,
    /// Discuz! X.
    Discuz,
    /// ECShop.
    Ecshop,
}

/// How rules compare parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fold {
    /// `User` = `user`.
    Case,
    /// `UserType` = `user_type`.
    Underscore,
    /// `user-type` = `usertype`.
    Dash,
}

/// A spelling of paths that is refused otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Leniency {
    /// `%2f`
    EncodedSlash,
    /// `%3f`
    EncodedQuestion,
    /// `%25`
    EncodedPercent,
    /// `;`
    Semicolon,
    /// `//`
    DoubleSlash,
    /// `\`, also as the second byte of a GBK character.
    Backslash,
}

/// Where a credential may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// In the query.
    Query,
    /// In its header.
    Header,
    /// In an urlencoded form.
    Form,
}

/// `elsewhere`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Elsewhere {
    /// Refuse the request.
    Refuse,
    /// It is the application's own parameter.
    Ignore,
}

/// Names of the credential parameters.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Names {
    /// Who calls: the client. Its header is X-Client-Id.
    pub(crate) client_id: String,
    /// The client's proof. Its header is X-Api-Token.
    pub(crate) api_token: String,
    /// The user. Its header is X-User-Id.
    pub(crate) user_id: String,
    /// The user's session. Its header is X-User-Token, or Authorization: Bearer.
    pub(crate) user_token: String,
    /// When the request was signed. Its header is X-Timestamp.
    pub(crate) timestamp: String,
    /// Used once. Its header is X-Nonce.
    pub(crate) nonce: String,
    /// The signature. Its header is X-Sign.
    pub(crate) sign: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            client_id: "client_id".to_owned(),
            api_token: "api_token".to_owned(),
            user_id: "user_id".to_owned(),
            user_token: "user_token".to_owned(),
            timestamp: "timestamp".to_owned(),
            nonce: "nonce".to_owned(),
            sign: "sign".to_owned(),
        }
    }
}
