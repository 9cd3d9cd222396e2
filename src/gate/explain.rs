//! What the gate would make of a request, told without a store or an application.

use bytes::Bytes;
use serde::Serialize;

use crate::credentials::Claims;
use crate::gate::{Settings, read, upgrade};
use crate::policy::{Decided, Requirement};
use crate::reply::Refusal;
use crate::request::address::Peer;
use crate::request::body::Body;
use crate::request::head::Head;
use crate::request::php::{BodyKind, Params};
use crate::request::reserved::Kind;
use crate::request::{Inbound, Unreadable};
use crate::verify::Denial;

mod difference;
mod mistakes;
mod signed;

pub use signed::{Aid, PartShown, SignedShown};

/// How a request is read and what would become of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Explanation {
    /// The path, decoded.
    pub path: String,
    /// `$_GET`
    pub query: Vec<Shown>,
    /// `$_POST`
    pub form: Vec<Shown>,
    /// `$_COOKIE`
    pub cookies: Vec<Shown>,
    /// `module/controller/action`, where the request names one.
    pub endpoint: Option<String>,
    /// The rule that decides.
    pub rule: Option<String>,
    /// What it requires.
    pub requirement: Option<&'static str>,
    /// Credentials that it requires and the request lacks.
    pub missing: Vec<&'static str>,
    /// Why it would be refused as it stands, as far as that can be told offline.
    pub refused: Option<Refused>,
    /// Its signature, where one is asked for, given or looked into.
    pub signature: Option<SignedShown>,
}

/// A value as PHP will see it.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// The name after PHP's folding.
    pub name: String,
    /// Its text; `None` for an array.
    pub value: Option<String>,
    /// Whether the value was replaced, because it is a credential.
    pub redacted: bool,
}

/// A refusal.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// Its stable name.
    pub reason: &'static str,
    /// What and where.
    pub why: String,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { reason: refusal.reason.name(), why: refusal.detail }
    }
}

impl Settings {
    /// Reads a request that was typed in, by the same steps as one that arrives. The head is everything up to the empty line.
    pub fn read_offline(&self, head: Result<Head, Unreadable>, body: Option<&[u8]>) -> Result<Inbound, Unreadable> {
        let head = head?;
        let peer = Peer { ip: [127, 0, 0, 1].into(), local_port: 80, tls: false };
        let origin = self.reading.trusted.origin(&head, peer);
        let mut inbound = read::unread(head, origin, self.reading.lenient)?;
        if let Some(body) = body {
            if self.kind_of(&inbound) == BodyKind::Form {
                let limit = self.reading.limits.form;
                if body.len() as u64 > limit {
                    return Err(Unreadable::TooLarge(format!("the form is larger than {limit} bytes")));
                }
                inbound.form = Params::parse(body);
            }
            inbound.body = Body::Gathered(Bytes::copy_from_slice(body));
        }
        Ok(inbound)
    }

    /// Explains it.
    pub fn explain(&self, head: Result<Head, Unreadable>, body: Option<&[u8]>, aid: &Aid<'_>) -> Explanation {
        let mut inbound = match self.read_offline(head, body) {
            Ok(inbound) => inbound,
            Err(unreadable) => {
                let refused = Some(Refusal::from(unreadable).into());
                return Explanation { refused, ..Explanation::default() };
            }
        };
        let mut explanation = Explanation {
            path: inbound.target.path.escape_ascii().to_string(),
            query: self.shown(&inbound.query),
            form: self.shown(&inbound.form),
            cookies: self.shown(&inbound.cookies),
            ..Explanation::default()
        };
        let mut body = inbound.split_body();
        match self.decide_offline(&inbound, &mut body) {
            Ok(decided) => {
                let claims = Claims::of(&inbound, &self.credentials);
                explanation.decided(&decided, &claims, self);
                let (signature, denial) = self.explain_signed((&inbound, &decided, &claims), aid);
                explanation.signature = signature;
                match denial {
                    Some(Denial::SignMissing(what)) => explanation.missing.push(what),
                    // Without its other credentials it would not get as far as that.
                    Some(denial) if explanation.missing.is_empty() => {
                        explanation.refused = explanation.refused.or(Some(Refusal::from(denial).into()));
                    }
                    _ => {}
                }
            }
            Err(refusal) => explanation.refused = Some(refusal.into()),
        }
        explanation
    }

    /// With a look at the body, as far as it was given.
    fn decide_offline(&self, inbound: &Inbound, body: &mut Body) -> Result<Decided<'_>, Refusal> {
        let decided = self.decide(inbound);
        body.limit_to(self.max_body(decided.as_ref().ok().map(|decided| decided.rule)))?;
        let decided = decided?;
        upgrade::check(inbound, decided.rule)?;
        if let (Some(bytes), Some(scan)) = (body.gathered(), self.scan(inbound, decided.rule)) {
            read::check_multipart(bytes, scan)?;
        }
        Ok(decided)
    }

    fn shown(&self, params: &Params) -> Vec<Shown> {
        let show = |name: &[u8], value: Option<&[u8]>| {
            let kind = self.reading.reserved.find(name).map(|name| name.kind);
            let redacted = matches!(kind, Some(Kind::Credential { .. } | Kind::LoginField));
            let value = value.filter(|_| !redacted).map(|value| value.escape_ascii().to_string());
            Shown { name: name.escape_ascii().to_string(), value, redacted }
        };
        params.iter().map(|param| show(param.name, param.value)).collect()
    }
}

impl Explanation {
    fn decided(&mut self, decided: &Decided<'_>, claims: &Claims<'_>, settings: &Settings) {
        let require = decided.rule.require;
        self.endpoint = decided.endpoint.as_ref().map(ToString::to_string);
        self.rule = Some(decided.rule.name.to_string());
        self.requirement = Some(require.name());
        let mut need = |needed: bool, claim: Option<&[u8]>, name: &'static str| {
            if needed && claim.is_none() {
                self.missing.push(name);
            }
        };
        need(require.needs_client(), claims.client_id, "client_id");
        need(require.needs_client(), claims.api_token, "api_token");
        need(require.needs_user() && settings.verify.session.user_id_required, claims.user_id, "user_id");
        need(require.needs_user(), claims.user_token, "user_token");
        if require == Requirement::Deny {
            self.refused = Some(Refused { reason: "denied", why: "the rule says deny".to_owned() });
        } else if require.needs_client() && decided.endpoint.is_none() {
            self.refused =
                Some(Refused { reason: "endpoint_unknown", why: "the request names no endpoint".to_owned() });
        }
    }
}
