//! A rule: what it matches and what it demands.

use std::sync::Arc;
use std::time::Duration;

use crate::policy::Requirement;
use crate::policy::before::Before;
use crate::policy::channel::Channel;
use crate::policy::csrf::Csrf;
use crate::policy::endpoint::Endpoint;
use crate::policy::login_rule::LoginRule;
use crate::policy::pattern::{EndpointPattern, Glob};
use crate::request::php::Params;
use crate::store::counting::Rate;
use crate::store::record::{Algorithm, Signing};

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Label for logs and metrics: its `endpoint` or `path` as written, `default` for the default.
    pub name: Arc<str>,
    /// What it matches: all that are given.
    pub matcher: Matcher,
    /// What it requires.
    pub require: Requirement,
    /// What guests' sessions are to it.
    pub guests: Guests,
    /// The login it watches.
    pub login: Option<Arc<LoginRule>>,
    /// The sessions it ends.
    pub logout: Option<Logout>,
    /// The page with which the logout begins.
    pub logout_before: Option<Arc<Before>>,
    /// The field that a user's POST gets where it leaves it out.
    pub csrf: Option<Csrf>,
    /// Whether an accepted request pushes the session's expiry forward.
    pub extend: bool,
    /// How often it may be used.
    pub limit: Option<Limit>,
    /// What it demands of signatures.
    pub signatures: Arc<Signatures>,
    /// The endpoint it gives a path (`endpoint: {is: m/c/a}`).
    pub endpoint_is: Option<Endpoint>,
    /// `body: opaque`.
    pub opaque_body: bool,
    /// `max_body`, in bytes.
    pub max_body: Option<u64>,
    /// `response_timeout`.
    pub response_timeout: Option<Duration>,
    /// How the connection goes on, where it is one for WebSockets.
    pub websocket: Option<Arc<Channel>>,
}

/// What sessions of guests are to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Guests {
    /// Nothing.
    #[default]
    Unknown,
    /// `guest`: whoever comes without a session gets one.
    Welcome,
    /// A login, which goes on where a guest's session was.
    TakenOver,
}

/// A rule's own `limit`: counted for each user, else for each client, else for each address.
#[derive(Clone, Debug)]
pub struct Limit {
    /// What tells it from other rules' limits.
    pub name: Arc<str>,
    /// How often.
    pub rate: Rate,
}

/// What is demanded of signatures: `signature`, as a rule overrides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signatures {
    /// `require`, where neither rule nor client says otherwise.
    pub usual: Signing,
    /// `require` of the rule itself.
    pub of_rule: Option<Signing>,
    /// `algorithms`
    pub algorithms: Vec<Algorithm>,
    /// `window`: how far a timestamp may lie from now.
    pub window: Duration,
    /// `nonce: required`
    pub nonce_required: bool,
    /// `max_nonces`: so many of one client are remembered.
    pub max_nonces: u64,
}

impl Default for Signatures {
    /// As where the configuration says nothing.
    fn default() -> Self {
        Self {
            usual: Signing::Never,
            of_rule: None,
            algorithms: vec![Algorithm::HmacSha256, Algorithm::Md5],
            window: Duration::from_mins(5),
            nonce_required: false,
            max_nonces: 1_000_000,
        }
    }
}

impl Signatures {
    /// What counts for a client with a word of its own, or without one. Rule and client each say the least that they want, so the
    /// stricter of both counts; what is usual counts where neither says anything.
    pub fn demand(&self, of_client: Option<Signing>) -> Signing {
        self.of_rule.max(of_client).unwrap_or(self.usual)
    }
}

/// What a rule matches.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    /// The path.
    pub path: Option<Glob>,
    /// The endpoint.
    pub endpoint: Option<EndpointPattern>,
    /// The methods; empty: any.
    pub methods: Vec<String>,
    /// Parameters of query and form.
    pub params: Vec<(String, Glob)>,
}

impl Matcher {
    pub(super) fn methods_allow(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|listed| listed == method)
    }

    /// `path` is without a front controller, `whole` with it: `/index.php` may be written in a rule as well as `/`. A path that
    /// needed a leniency (`lenient`) matches no rule without a path.
    pub(super) fn path_allows(&self, path: &[u8], whole: &[u8], lenient: bool) -> bool {
        match &self.path {
            None => !lenient,
            Some(glob) => glob.matches_path(path) || (path == b"/" && glob.matches_path(whole)),
        }
    }

    pub(super) fn params_allow(&self, query: &Params, form: &Params) -> bool {
        self.params.iter().all(|(name, glob)| {
            let value = form.text(name.as_bytes()).or_else(|| query.text(name.as_bytes()));
            value.is_some_and(|value| glob.matches_text(value))
        })
    }
}

/// Which of the user's sessions a logout ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logout {
    /// The one that asked.
    This,
    /// All but the one that asked.
    Others,
    /// All.
    All,
}
