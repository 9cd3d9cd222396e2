//! Why a signature is wrong: what it should be over, where another text differs from that, and which mistake makes the one given.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::credentials::Claims;
use crate::gate::explain::{difference, mistakes};
use crate::gate::{Settings, signed};
use crate::policy::Decided;
use crate::request::Inbound;
use crate::secret::Secret;
use crate::store::record::{Algorithm, Signing};
use crate::verify::signature::{self, Message, Part, Request};
use crate::verify::{Denial, FileClient, WRONG_SIGNATURE};

/// What is known besides the request, for whoever looks for what is wrong with a signature.
#[derive(Clone, Debug, Default)]
pub struct Aid<'a> {
    /// The client that signs, where the request does not say so.
    pub client: Option<&'a str>,
    /// The client's secret, where it does not stand in the configuration.
    pub secret: Option<Secret>,
    /// What the client signed.
    pub canonical: Option<&'a [u8]>,
    /// When the request arrives.
    pub now: Timestamp,
}

/// A request's signature.
#[derive(Clone, Debug, Serialize)]
pub struct SignedShown {
    /// `never`, `when_present` or `always`.
    pub demand: &'static str,
    /// `hmac-sha256` or `md5`.
    pub algorithm: &'static str,
    /// What it is over, part by part: lines for `hmac-sha256`, pieces for `md5`. Tokens are redacted.
    pub canonical: Vec<PartShown>,
    /// How many seconds its timestamp lies from now, where that is a number.
    pub away: Option<u64>,
    /// Whether the one that was given fits; `None` where there is none, or no secret to tell by.
    pub fits: Option<bool>,
    /// Which mistake makes the one that was given.
    pub mistake: Option<&'static str>,
    /// Where the text that the client signed differs first.
    pub difference: Option<String>,
}

/// A part of what is signed.
#[derive(Clone, Debug, Serialize)]
pub struct PartShown {
    /// What it is.
    pub name: &'static str,
    /// As it may be shown.
    pub text: String,
}

impl Settings {
    /// What there is to say of a request's signature, and why it would be refused; nothing where nobody asks for one.
    pub(super) fn explain_signed(
        &self,
        (inbound, decided, claims): (&Inbound, &Decided<'_>, &Claims<'_>),
        aid: &Aid<'_>,
    ) -> (Option<SignedShown>, Option<Denial>) {
        let client = claims.client_id.or(aid.client.map(str::as_bytes)).and_then(|id| self.client_of_file(id));
        let rule = &decided.rule.signatures;
        let demand = rule.demand(client.and_then(|client| client.signature));
        let aided = aid.client.is_some() || aid.secret.is_some() || aid.canonical.is_some();
        let asked = demand == Signing::Always || claims.sign.is_some() || aided;
        if !decided.rule.require.needs_client() || !asked {
            return (None, None);
        }
        let body = signature::body_hash(&inbound.body);
        let request = Request { body, ..signed::request(inbound, &self.credentials) };
        let algorithm = claims.sign.and_then(signature::algorithm_of).or(aid.canonical.map(algorithm_of_text));
        let inquiry = Inquiry {
            settings: self,
            inbound,
            message: Message::of(request, claims),
            algorithm: algorithm.or(rule.algorithms.first().copied()).unwrap_or(Algorithm::HmacSha256),
            sign: claims.sign.map(<[u8]>::to_ascii_lowercase),
            secrets: secrets(client, aid),
        };
        let shown = inquiry.shown(demand, aid);
        let denial = match signature::terms(demand, rule, claims, aid.now) {
            Err(denial) => Some(denial),
            Ok(Some(_)) if shown.fits == Some(false) => Some(WRONG_SIGNATURE),
            Ok(_) => None,
        };
        (Some(shown), denial)
    }

    fn client_of_file(&self, id: &[u8]) -> Option<&FileClient> {
        self.verify.clients.iter().map(|client| &**client).find(|client| client.id.as_str().as_bytes() == id)
    }
}

/// One look at a signature.
struct Inquiry<'a> {
    settings: &'a Settings,
    inbound: &'a Inbound,
    message: Message<'a>,
    algorithm: Algorithm,
    /// In lower case.
    sign: Option<Vec<u8>>,
    secrets: Vec<Secret>,
}

impl Inquiry<'_> {
    fn shown(&self, demand: Signing, aid: &Aid<'_>) -> SignedShown {
        let parts = self.message.shown(self.algorithm, |piece| self.settings.shown_piece(piece));
        let text = |part: &Part<'_>| part.text.escape_ascii().to_string();
        let fits = self.fits();
        SignedShown {
            demand: demand.name(),
            algorithm: name_of(self.algorithm),
            canonical: parts.iter().map(|part| PartShown { name: part.name, text: text(part) }).collect(),
            away: signature::seconds(self.message.timestamp).map(|made| made.abs_diff(aid.now.as_secs())),
            fits,
            mistake: if fits == Some(false) { self.mistake() } else { None },
            difference: aid.canonical.map(|text| self.difference(text)),
        }
    }

    fn fits(&self) -> Option<bool> {
        let sign = self.sign.as_ref().filter(|_| !self.secrets.is_empty())?;
        let text = self.message.text(self.algorithm);
        let made = |secret: &Secret| signature::compute(self.algorithm, &text, secret.expose());
        Some(self.secrets.iter().any(|secret| made(secret).as_bytes() == sign))
    }

    fn mistake(&self) -> Option<&'static str> {
        let scene = mistakes::Scene {
            message: self.message,
            algorithm: self.algorithm,
            body: self.inbound.gathered().map(|bytes| &**bytes).unwrap_or_default(),
            names: &self.settings.credentials.names,
        };
        mistakes::find(&scene, self.sign.as_deref()?, &self.secrets)
    }

    fn difference(&self, text: &[u8]) -> String {
        // A client that prints what it takes md5 of prints its secret as well.
        let end = self.secrets.iter().find_map(|secret| text.strip_suffix(secret.expose()));
        let text = if self.algorithm == Algorithm::Md5 { end.unwrap_or(text) } else { text };
        let parts = self.message.parts(self.algorithm, Into::into);
        difference::first(&parts, text, self.algorithm, &|piece| self.settings.shown_piece(piece))
    }
}

const fn name_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Md5 => "md5",
        Algorithm::HmacSha256 => "hmac-sha256",
    }
}

fn algorithm_of_text(text: &[u8]) -> Algorithm {
    if text.contains(&b'\n') { Algorithm::HmacSha256 } else { Algorithm::Md5 }
}

fn secrets(client: Option<&FileClient>, aid: &Aid<'_>) -> Vec<Secret> {
    match &aid.secret {
        Some(secret) => vec![secret.clone()],
        None => {
            let live = client.into_iter().flat_map(|client| &client.secrets).filter(|live| live.counts(aid.now));
            live.map(|live| live.secret.clone()).collect()
        }
    }
}
