//! Signatures: what a request is signed over, and whether what came along fits. Pure.
//!
//! `hmac-sha256` signs method, path, query, timestamp, nonce, user_token and body, a line each. `md5`, the old recipe, signs path
//! and query, timestamp and token, with nothing between them: neither method nor body, nor a nonce that stands in a header.

use std::borrow::Cow;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;
use crate::credentials::Claims;
use crate::policy::rule::Signatures;
use crate::request::body::Body;
use crate::request::php::{fold_name, url_decode};
use crate::secret;
use crate::store::record::{Algorithm, Signing};
use crate::verify::denial::Denial;

/// SHA-256 of a body as received.
pub type BodyHash = [u8; 32];

/// How long a body may stream on after the window of its signature has closed. Its nonce is remembered as much longer, because
/// until then a copy of it may be under way that passed the window as well.
pub const UPLOAD: Duration = Duration::from_hours(1);

/// What of a request is signed, as sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// The query, without `?`.
    pub query: &'a str,
    /// The parameter that carries the signature, as PHP folds it: left out of the query. `None` where the query is no place for
    /// it, so that one of that name is the application's own, and signed as any other.
    pub sign_name: Option<&'a [u8]>,
    /// SHA-256 of the body; `None` where it is still to come, or not asked for.
    pub body: Option<BodyHash>,
}

/// All that is signed.
#[derive(Clone, Copy, Default)]
pub struct Message<'a> {
    /// The request.
    pub request: Request<'a>,
    /// Unix seconds, in decimal digits.
    pub timestamp: &'a [u8],
    /// Empty where there is none.
    pub nonce: &'a [u8],
    /// Empty where there is none.
    pub user_token: &'a [u8],
    /// What `md5` signs in its place then.
    pub api_token: &'a [u8],
}

impl<'a> Message<'a> {
    /// Of a request and what it says of itself.
    pub fn of(request: Request<'a>, claims: &Claims<'a>) -> Self {
        Self {
            request,
            timestamp: claims.timestamp.unwrap_or_default(),
            nonce: claims.nonce.unwrap_or_default(),
            user_token: claims.user_token.unwrap_or_default(),
            api_token: claims.api_token.unwrap_or_default(),
        }
    }

    /// What is signed: for `md5` without the secret that follows, for `hmac-sha256` without the last line where the body's hash
    /// is not known.
    pub fn text(&self, algorithm: Algorithm) -> Vec<u8> {
        self.parts(algorithm, Cow::Borrowed)
            .iter()
            .map(|part| &*part.text)
            .collect::<Vec<_>>()
            .join(separator(algorithm))
    }

    /// Its parts in order, each with its name, as `redact` would have path and pairs of the query shown, and without tokens.
    pub fn shown(&self, algorithm: Algorithm, redact: impl Fn(&'a str) -> Cow<'a, str>) -> Vec<Part<'a>> {
        let mut parts = self.parts(algorithm, redact);
        for part in parts.iter_mut().filter(|part| part.name.ends_with("_token") && !part.text.is_empty()) {
            part.text = format!("[{} bytes, redacted]", part.text.len()).into_bytes().into();
        }
        parts
    }

    /// The parts of the text: lines for `hmac-sha256`, pieces for `md5`.
    pub fn parts(&self, algorithm: Algorithm, redact: impl Fn(&'a str) -> Cow<'a, str>) -> Vec<Part<'a>> {
        let request = self.request;
        let path = bytes_of(redact(request.path));
        let timestamp = Part::new("timestamp", self.timestamp);
        match algorithm {
            Algorithm::HmacSha256 => vec![
                Part::new("method", request.method.as_bytes()),
                Part::new("path", path),
                Part::new("query", self.sorted(redact)),
                timestamp,
                Part::new("nonce", self.nonce),
                Part::new("user_token", self.user_token),
                Part::new("body", request.body.map(hex::encode).unwrap_or_default().into_bytes()),
            ],
            Algorithm::Md5 => {
                let token = if self.user_token.is_empty() { "api_token" } else { "user_token" };
                let value = if self.user_token.is_empty() { self.api_token } else { self.user_token };
                vec![
                    Part::new("path", path),
                    Part::new("query", self.marked(redact)),
                    timestamp,
                    Part::new(token, value),
                ]
            }
        }
    }

    /// The query's pairs, sorted bytewise; what stands between `&&` is none.
    fn sorted(&self, redact: impl Fn(&'a str) -> Cow<'a, str>) -> Vec<u8> {
        let mut pairs: Vec<&str> = self.pairs().filter(|pair| !pair.is_empty()).collect();
        pairs.sort_unstable();
        pairs.into_iter().map(redact).collect::<Vec<_>>().join("&").into_bytes()
    }

    /// The query as it is, with its mark.
    fn marked(&self, redact: impl Fn(&'a str) -> Cow<'a, str>) -> Vec<u8> {
        let pairs: Vec<_> = self.pairs().map(redact).collect();
        if pairs.is_empty() { Vec::new() } else { format!("?{}", pairs.join("&")).into_bytes() }
    }

    /// The query's pairs in their order, empty ones too, without the signature.
    fn pairs(&self) -> impl Iterator<Item = &'a str> {
        let sign = self.request.sign_name;
        let name = |pair: &str| fold_name(&url_decode(pair.split('=').next().unwrap_or_default().as_bytes()));
        let is_sign = move |pair: &str| sign.is_some_and(|sign| name(pair).is_some_and(|(name, _)| name == sign));
        let query = Some(self.request.query).filter(|query| !query.is_empty());
        query.into_iter().flat_map(|query| query.split('&')).filter(move |pair| !is_sign(pair))
    }
}

/// A part of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// What it is: `method`, `path`, `query`, `timestamp`, `nonce`, `user_token`, `api_token`, `body`.
    pub name: &'static str,
    /// As signed.
    pub text: Cow<'a, [u8]>,
}

impl<'a> Part<'a> {
    fn new(name: &'static str, text: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { name, text: text.into() }
    }
}

fn bytes_of(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// What stands between the parts.
pub const fn separator(algorithm: Algorithm) -> &'static [u8] {
    match algorithm {
        Algorithm::HmacSha256 => b"\n",
        Algorithm::Md5 => b"",
    }
}

/// The signature of a text: lower-case hex.
pub fn compute(algorithm: Algorithm, text: &[u8], secret: &[u8]) -> String {
    match algorithm {
        // HMAC takes a key of any length, so there is no error to meet.
        Algorithm::HmacSha256 => Hmac::<Sha256>::new_from_slice(secret)
            .map(|mac| hex::encode(mac.chain_update(text).finalize().into_bytes()))
            .unwrap_or_default(),
        Algorithm::Md5 => hex::encode(Md5::new().chain_update(text).chain_update(secret).finalize()),
    }
}

/// Which algorithm a signature can only be of, told by its length.
pub fn algorithm_of(sign: &[u8]) -> Option<Algorithm> {
    match sign.len() {
        32 => Some(Algorithm::Md5),
        64 => Some(Algorithm::HmacSha256),
        _ => None,
    }
}

/// A signature that came along, and the text that it should be over.
pub(super) struct Attempt {
    algorithm: Algorithm,
    /// In lower case.
    sign: Vec<u8>,
    text: Vec<u8>,
    /// Whether the text is whole.
    whole: bool,
}

impl Attempt {
    /// `None` where nothing came that could be a signature.
    pub(super) fn of(request: Request<'_>, claims: &Claims<'_>) -> Option<Self> {
        let sign = claims.sign?;
        let algorithm = algorithm_of(sign)?;
        let whole = algorithm == Algorithm::Md5 || request.body.is_some();
        Some(Self {
            algorithm,
            sign: sign.to_ascii_lowercase(),
            text: Message::of(request, claims).text(algorithm),
            whole,
        })
    }

    /// Whether one of these secrets makes it; `None` where the body is still to come. Each is tried, so that the time tells
    /// nothing about which one fits.
    pub(super) fn fits<'s>(&self, secrets: impl Iterator<Item = &'s [u8]>) -> Option<bool> {
        self.whole.then(|| fits(self.algorithm, &self.text, &self.sign, secrets))
    }

    /// The same, once the body's hash is known.
    pub(super) fn fits_with<'s>(mut self, body: BodyHash, secrets: impl Iterator<Item = &'s [u8]>) -> bool {
        self.text.extend(hex::encode(body).into_bytes());
        fits(self.algorithm, &self.text, &self.sign, secrets)
    }
}

fn fits<'s>(algorithm: Algorithm, text: &[u8], sign: &[u8], secrets: impl Iterator<Item = &'s [u8]>) -> bool {
    secrets.fold(false, |fits, secret| fits | secret::same(compute(algorithm, text, secret).as_bytes(), sign))
}

/// What a signature demands besides that it fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// When it is said to have been made.
    pub(super) made: Timestamp,
    /// What of it must not have been used before.
    pub(super) marks: Vec<Vec<u8>>,
}

/// Judges all but whether it fits; `None` where no signature is looked at.
pub fn terms(demand: Signing, rule: &Signatures, claims: &Claims<'_>, now: Timestamp) -> Result<Option<Terms>, Denial> {
    let sign = match (demand, claims.sign) {
        (Signing::Never, _) | (Signing::WhenPresent, None) => return Ok(None),
        (Signing::Always, None) => return Err(Denial::SignMissing("sign")),
        (_, Some(sign)) => sign,
    };
    let timestamp = claims.timestamp.ok_or(Denial::SignMissing("timestamp"))?;
    if rule.nonce_required && claims.nonce.is_none() {
        return Err(Denial::SignMissing("nonce"));
    }
    let algorithm = algorithm_of(sign).filter(|algorithm| rule.algorithms.contains(algorithm));
    let algorithm = algorithm.ok_or(Denial::SignRefused("sign is of no algorithm that is allowed here"))?;
    let made = seconds(timestamp).ok_or(Denial::SignRefused("timestamp is not Unix seconds in decimal digits"))?;
    if !claims.nonce.is_none_or(is_nonce) {
        return Err(Denial::SignRefused("nonce is not 8 to 64 of A-Z, a-z, 0-9, _ and -"));
    }
    if now.as_secs().abs_diff(made) > rule.window.as_secs() {
        return Err(Denial::SignExpired);
    }
    Ok(Some(Terms { made: Timestamp::from_secs(made), marks: marks(algorithm, sign, claims.nonce) }))
}

/// What is remembered. `md5` does not sign a nonce outside the query, and where one of its parts ends and the next begins is
/// anybody's guess: only the signature itself tells all copies of a request from others.
fn marks(algorithm: Algorithm, sign: &[u8], nonce: Option<&[u8]>) -> Vec<Vec<u8>> {
    let sign = (algorithm == Algorithm::Md5 || nonce.is_none()).then(|| sign.to_ascii_lowercase());
    let sign = sign.map(|sign| [b"sign ", sign.as_slice()].concat());
    let nonce = nonce.map(|nonce| [b"nonce ", nonce].concat());
    sign.into_iter().chain(nonce).collect()
}

/// Unix seconds of decimal digits without a leading zero: one number has one spelling, since `md5` could take a zero from the
/// query's end.
pub fn seconds(timestamp: &[u8]) -> Option<u64> {
    let plain = timestamp.iter().all(u8::is_ascii_digit) && !timestamp.starts_with(b"0");
    std::str::from_utf8(timestamp).ok().filter(|_| plain)?.parse().ok()
}

fn is_nonce(nonce: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (8..=64).contains(&nonce.len()) && nonce.iter().all(allowed)
}

/// SHA-256 of a body; `None` where it is still to come.
pub fn body_hash(body: &Body) -> Option<BodyHash> {
    match body {
        Body::Empty => Some(Sha256::digest(b"").into()),
        Body::Gathered(bytes) => Some(Sha256::digest(bytes).into()),
        Body::Streaming(_) => None,
    }
}

#[cfg(test)]
mod tests;
