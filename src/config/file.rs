//! The configuration as it is written: every key with its type and default. The comments become the descriptions of the
//! JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{OneOrMany, SecretText, Size, Span};

pub(crate) mod bounds;
pub(crate) mod counts;
pub(crate) mod decide;
pub(crate) mod routing;
pub(crate) mod rule;
pub(crate) mod sections;
pub(crate) mod websocket;

use bounds::{Limits, Signature, Signing, Timeouts};
use decide::Decide;
use routing::{Elsewhere, EndpointParts, Fold, Framework, Leniency, Names, Place, Source};
use rule::{Requirement, Rule};
use sections::{Admin, Cors, Forward, Log, Reject, Session, Store, Time, Tls, Upstream};
use websocket::Websocket;

/// The configuration of Ticketgate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct File {
    /// Where clients connect: `host:port` or `unix:/path`, one or a list.
    pub(crate) listen: OneOrMany<String>,
    /// `enforce`, or `observe`: decide, log and count, but forward all that can be forwarded safely.
    pub(crate) mode: Mode,
    /// The application.
    pub(crate) upstream: Upstream,
    /// Where sessions and registered clients are kept.
    pub(crate) store: Store,
    /// The clock of the application.
    pub(crate) time: Time,
    /// Clients that live in this file.
    pub(crate) clients: Vec<Client>,
    /// A framework, which sets the keys from here to `suffixes` that the file leaves out; its `selectors` are added.
    pub(crate) framework: Option<Framework>,
    /// Where module, controller and action stand: one or more sources; `[]` for none.
    pub(crate) endpoint: OneOrMany<Source>,
    /// Parts that a source leaves out.
    pub(crate) endpoint_defaults: EndpointParts,
    /// Further parameters by which the application can be routed; refused wherever they stand.
    pub(crate) selectors: Vec<String>,
    /// How rules compare parts of endpoints.
    pub(crate) fold: Vec<Fold>,
    /// Front controllers taken off the path before it is matched.
    pub(crate) scripts: Vec<String>,
    /// Suffixes taken off the action, as `.html`; `any` for any extension.
    pub(crate) suffixes: OneOrMany<String>,
    /// Spellings of paths that are refused otherwise.
    pub(crate) lenient_paths: Vec<Leniency>,
    /// Where credentials may stand.
    pub(crate) credentials: Vec<Place>,
    /// Names of the credential parameters.
    pub(crate) names: Names,
    /// A credential's name in a place that `credentials` does not list: `refuse`, or `ignore` (it is the application's own).
    pub(crate) elsewhere: Elsewhere,
    /// The first that matches decides.
    pub(crate) rules: Vec<Rule>,
    /// What is required where no rule matches.
    pub(crate) default: Requirement,
    /// User sessions.
    pub(crate) session: Session,
    /// Request signatures.
    pub(crate) signature: Signature,
    /// Bounds of requests and connections.
    pub(crate) limits: Limits,
    /// Bounds in time.
    pub(crate) timeouts: Timeouts,
    /// How long to keep accepting, not ready, after the signal to stop.
    pub(crate) drain_delay: Span,
    /// Networks (CIDR) whose word on X-Forwarded-* counts.
    pub(crate) trusted_proxies: Vec<String>,
    /// Pages of other origins that may call.
    pub(crate) cors: Option<Cors>,
    /// How refusals look.
    pub(crate) reject: Reject,
    /// What the application is told.
    pub(crate) forward: Forward,
    /// Routes for WebSockets.
    pub(crate) websocket: Vec<Websocket>,
    /// HTTPS, with HTTP/2, on every TCP address of `listen`.
    pub(crate) tls: Option<Tls>,
    /// A listener for proxies that forward requests themselves and ask whether they may.
    pub(crate) decide: Option<Decide>,
    /// The admin listener.
    pub(crate) admin: Admin,
    /// Logs.
    pub(crate) log: Log,
}

impl Default for File {
    fn default() -> Self {
        Self {
            listen: OneOrMany(vec!["0.0.0.0:8080".to_owned()]),
            mode: Mode::Enforce,
            upstream: Upstream::default(),
            store: Store::default(),
            time: Time::default(),
            clients: Vec::new(),
            framework: None,
            endpoint: OneOrMany(vec![Source::modctlact()]),
            endpoint_defaults: EndpointParts::default(),
            selectors: Vec::new(),
            fold: vec![Fold::Case],
            scripts: vec!["/index.php".to_owned()],
            suffixes: OneOrMany::default(),
            lenient_paths: Vec::new(),
            credentials: vec![Place::Query, Place::Header, Place::Form],
            names: Names::default(),
            elsewhere: Elsewhere::Refuse,
            rules: Vec::new(),
            default: Requirement::Deny,
            session: Session::default(),
            signature: Signature::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            drain_delay: Span::secs(0),
            trusted_proxies: Vec::new(),
            cors: None,
            reject: Reject::default(),
            forward: Forward::default(),
            websocket: Vec::new(),
            tls: None,
            decide: None,
            admin: Admin::default(),
            log: Log::default(),
        }
    }
}

/// `mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Decide and refuse.
    Enforce,
    /// Decide, log and count, but forward.
    Observe,
}

/// A client: a registered program.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Client {
    /// Its `client_id`; required.
    pub(crate) id: Option<String>,
    /// Its `client_secret`; required. A list of two while it is being replaced, the new one first.
    pub(crate) secret: OneOrMany<Option<SecretText>>,
    /// Algorithms of its api_token; both by default.
    pub(crate) algorithms: Option<Vec<Algorithm>>,
    /// Endpoints that it may call, patterns as in rules; all by default.
    pub(crate) endpoints: Option<Vec<String>>,
    /// Whether its requests must be signed: `never`, `when_present` or `always`; by default as `signature.require` says.
    pub(crate) signature: Option<Signing>,
    /// What md5 is taken over: `{module}`, `{controller}`, `{action}`, `{date}`, `{secret}` and texts between them.
    pub(crate) token: Option<String>,
    /// The date in its tokens (strftime), `%Y-%m-%d` by default; empty for none.
    pub(crate) date_format: Option<String>,
}

/// How a token is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Algorithm {
    /// md5 over the concatenation.
    #[serde(rename = "md5")]
    Md5,
    /// HMAC-SHA256 over the lines.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
}

/// Texts by name.
pub(crate) type ByName<T> = BTreeMap<String, T>;

/// Sizes as they stand in defaults.
pub(crate) const fn kib(kib: u64) -> Size {
    Size(kib * 1024)
}
