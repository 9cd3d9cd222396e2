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
        match algorithm {
            Algorithm::HmacSha256 => {
                let mut lines = self.lines(Cow::Borrowed).join(&b'\n');
                lines.push(b'\n');
                lines.extend(self.request.body.map(hex::encode).unwrap_or_default().into_bytes());
                lines
            }
            Algorithm::Md5 => self.pieces(Cow::Borrowed).concat(),
        }
    }

    /// The same for people who may not see tokens: `is_secret` says of a parameter whether its value is one.
    pub fn shown(&self, algorithm: Algorithm, is_secret: &dyn Fn(&[u8]) -> bool) -> String {
        let redact = |pair: &'a [u8]| match split_pair(pair) {
            (name, Some(value)) if is_secret(&folded(name)) => Cow::Owned([name, b"=", &blot(value)].concat()),
            _ => Cow::Borrowed(pair),
        };
        match algorithm {
            Algorithm::HmacSha256 => {
                let mut lines = self.lines(redact);
                let token = blot(self.user_token);
                if let Some(last) = lines.last_mut() {
                    *last = Cow::Owned(token);
                }
                lines.push(Cow::Owned(self.request.body.map(hex::encode).unwrap_or_default().into_bytes()));
                lines.iter().map(|line| line.escape_ascii().to_string()).collect::<Vec<_>>().join("\n")
            }
            Algorithm::Md5 => {
                let mut pieces = self.pieces(redact);
                let token = blot(self.token());
                if let Some(last) = pieces.last_mut() {
                    *last = Cow::Owned(token);
                }
                pieces.concat().escape_ascii().to_string()
            }
        }
    }

    /// The lines before the body's.
    fn lines(&self, pair: impl Fn(&'a [u8]) -> Cow<'a, [u8]>) -> Vec<Cow<'a, [u8]>> {
        let mut pairs: Vec<&[u8]> = self.pairs().filter(|pair| !pair.is_empty()).collect();
        pairs.sort_unstable();
        let pairs: Vec<_> = pairs.into_iter().map(pair).collect();
        let request = self.request;
        let query = Cow::Owned(pairs.join(&b'&'));
        let method = request.method.as_bytes();
        let rest = [self.timestamp, self.nonce, self.user_token].map(Cow::Borrowed);
        [method.into(), request.path.as_bytes().into(), query].into_iter().chain(rest).collect()
    }

    /// Path and query, timestamp, token.
    fn pieces(&self, pair: impl Fn(&'a [u8]) -> Cow<'a, [u8]>) -> Vec<Cow<'a, [u8]>> {
        let pairs: Vec<_> = self.pairs().map(pair).collect();
        let query = pairs.join(&b'&');
        let mark: &[u8] = if query.is_empty() { b"" } else { b"?" };
        vec![self.request.path.as_bytes().into(), mark.into(), query.into(), self.timestamp.into(), self.token().into()]
    }

    fn token(&self) -> &'a [u8] {
        if self.user_token.is_empty() { self.api_token } else { self.user_token }
    }

    /// The query's pieces in their order, without the signature.
    fn pairs(&self) -> impl Iterator<Item = &'a [u8]> {
        let sign = self.request.sign_name;
        let pairs = self.request.query.as_bytes().split(|byte| *byte == b'&');
        pairs.filter(move |pair| sign.is_none_or(|sign| folded(split_pair(pair).0) != sign))
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
pub(super) struct Terms {
    /// When it is said to have been made.
    pub(super) made: Timestamp,
    /// What of it must not have been used before.
    pub(super) marks: Vec<Vec<u8>>,
}

/// Judges all but whether it fits; `None` where no signature is looked at.
pub(super) fn terms(
    demand: Signing,
    rule: &Signatures,
    claims: &Claims<'_>,
    now: Timestamp,
) -> Result<Option<Terms>, Denial> {
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

/// Decimal digits without a leading zero: one number has one spelling, since `md5` could take a zero from the query's end.
fn seconds(timestamp: &[u8]) -> Option<u64> {
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

fn split_pair(pair: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'=', pair).and_then(|at| pair.split_at_checked(at)) {
        Some((name, value)) => (name, value.get(1..)),
        None => (pair, None),
    }
}

/// A parameter's name as PHP folds it.
fn folded(name: &[u8]) -> Vec<u8> {
    fold_name(&url_decode(name)).map(|(name, _)| name).unwrap_or_default()
}

fn blot(value: &[u8]) -> Vec<u8> {
    if value.is_empty() { Vec::new() } else { format!("[{} bytes, redacted]", value.len()).into_bytes() }
}

#[cfg(test)]
mod tests;
