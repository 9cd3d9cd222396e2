//! Messages of a WebSocket that become requests: which types there are, and what request each one is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::Requirement;
use crate::policy::endpoint::Endpoint;
use crate::policy::rule::Rule;
use crate::policy::written::Written;
use crate::store::counting::Rate;

/// `websocket` of `mode: bridge`.
#[derive(Debug)]
pub struct Bridge {
    /// What decides about a message that resumes a session: the route's rule, with a user.
    pub rule: Rule,
    /// The route's endpoint.
    pub endpoint: Option<Endpoint>,
    /// `login`: the request that a login message becomes.
    pub login: Option<Arc<Kind>>,
    /// `types`
    pub types: HashMap<String, Arc<Kind>>,
    /// `fields`
    pub fields: Fields,
    /// `resume`: how long after its connection was lost a session may go on on another.
    pub resume: Duration,
    /// `rate`: messages of one connection.
    pub rate: Option<Rate>,
    /// Bounds of one connection.
    pub bounds: Bounds,
}

/// What a message of one type becomes.
#[derive(Debug)]
pub struct Kind {
    /// The endpoint that it must turn out to name.
    pub endpoint: Endpoint,
    /// `require`, where given.
    pub require: Option<Requirement>,
    /// What decides where no rule matches: the type's `require`, or nothing where that is not given. Named like the route.
    pub rule: Rule,
    /// The request.
    pub request: Written,
}

/// Names of what every message and answer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// `type`
    pub kind: String,
    /// `id`
    pub id: String,
    /// `token`
    pub token: String,
    /// `wstoken`
    pub wstoken: String,
    /// `code`
    pub code: String,
    /// `msg`
    pub msg: String,
    /// `data`
    pub data: String,
}

impl Default for Fields {
    fn default() -> Self {
        let [kind, id, token, wstoken, code, msg, data] =
            ["type", "id", "token", "wstoken", "code", "msg", "data"].map(str::to_owned);
        Self { kind, id, token, wstoken, code, msg, data }
    }
}

/// Bounds of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// `ping`: how often a connection is asked whether it is still there; one that answers nothing until the next is closed.
    pub ping: Duration,
    /// `timeouts.write`: longest time without the client taking anything.
    pub write: Duration,
    /// `frame`, in bytes.
    pub frame: usize,
    /// `message`, in bytes; longest answer as well.
    pub message: usize,
    /// `in_flight`: messages under way at once.
    pub in_flight: usize,
    /// `limits.header`: longest head of a request that a message becomes.
    pub head: usize,
}
