//! `decide`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A listener for proxies that forward requests themselves and ask whether they may.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Decide {
    /// `host:port` or `unix:/path`. Required.
    pub(crate) listen: Option<String>,
    /// Which proxy asks, which settles where it tells method and target: `nginx`, `caddy`, `traefik` or `envoy`. Required.
    pub(crate) proxy: Option<Proxy>,
}

/// `decide.proxy`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Proxy {
    /// `auth_request`: X-Original-Method and X-Original-URI.
    Nginx,
    /// `forward_auth`: X-Forwarded-Method and X-Forwarded-Uri.
    Caddy,
    /// ForwardAuth: the same.
    Traefik,
    /// `ext_authz` over HTTP: its own method, and its own target behind `/ticketgate/decide`.
    Envoy,
}
