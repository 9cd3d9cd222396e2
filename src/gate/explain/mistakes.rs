//! Which usual mistake makes a wrong signature: each is made on purpose, until one gives the signature that came along.

use std::borrow::Cow;

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::credentials::Names;
use crate::request::php::{fold_name, url_decode};
use crate::secret::Secret;
use crate::store::record::Algorithm;
use crate::verify::signature::{Message, Part, compute, separator};

/// What was to be signed.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) message: Message<'a>,
    pub(super) algorithm: Algorithm,
    pub(super) body: &'a [u8],
    pub(super) names: &'a Names,
}

/// The mistake that makes this signature (in lower case) with one of these secrets.
pub(super) fn find(scene: &Scene<'_>, sign: &[u8], secrets: &[Secret]) -> Option<&'static str> {
    let made = |text: &[u8], secret: &[u8]| compute(scene.algorithm, text, secret).as_bytes() == sign;
    let right = scene.message.text(scene.algorithm);
    for secret in secrets.iter().map(Secret::expose) {
        if made(&right, &[secret, b"\n"].concat()) {
            return Some("the secret ends in a line break");
        }
        if scene.algorithm == Algorithm::Md5 && made(&[secret, &right].concat(), b"") {
            return Some("the secret stands first");
        }
        if let Some((what, _)) = scene.mistakes().iter().find(|(_, text)| made(text, secret)) {
            return Some(what);
        }
    }
    None
}

type Mistake = (&'static str, Vec<u8>);

impl Scene<'_> {
    fn mistakes(&self) -> Vec<Mistake> {
        let mut all = self.of_query();
        all.extend(self.of_token());
        match self.algorithm {
            Algorithm::HmacSha256 => all.extend(self.of_lines()),
            Algorithm::Md5 => all.push(("the timestamp is left out", self.with("timestamp", b""))),
        }
        all
    }

    fn of_query(&self) -> Vec<Mistake> {
        let mark: &[u8] = if self.algorithm == Algorithm::Md5 { b"?" } else { b"" };
        let query = |pairs: &[&[u8]]| self.with("query", &[mark, &pairs.join(&b'&')].concat());
        let signs = |pair: &&[u8]| self.message.request.sign_name.is_none_or(|sign| folded(pair) != sign);
        let as_sent = self.message.request.query.as_bytes().split(|byte| *byte == b'&');
        let as_sent: Vec<&[u8]> = as_sent.filter(signs).collect();
        let mut sorted: Vec<&[u8]> = as_sent.iter().filter(|pair| !pair.is_empty()).copied().collect();
        sorted.sort_unstable();
        let used = if self.algorithm == Algorithm::Md5 { &as_sent } else { &sorted };
        let own = |pair: &&&[u8]| !self.names.all().contains(&folded(pair).as_slice());
        let own: Vec<&[u8]> = used.iter().filter(own).copied().collect();
        let decoded: Vec<Vec<u8>> = used.iter().map(|pair| url_decode(pair)).collect();
        let decoded: Vec<&[u8]> = decoded.iter().map(Vec::as_slice).collect();
        vec![
            ("the pairs of the query are not sorted", query(&as_sent)),
            ("the pairs of the query are sorted", query(&sorted)),
            ("the query's credentials are left out", query(&own)),
            ("the query is decoded", query(&decoded)),
            ("the query is left out", self.with("query", b"")),
            ("the query is without its ?", self.with("query", &as_sent.join(&b'&'))),
        ]
    }

    fn of_token(&self) -> Vec<Mistake> {
        let name = if self.message.user_token.is_empty() && self.algorithm == Algorithm::Md5 {
            "api_token"
        } else {
            "user_token"
        };
        vec![
            ("the token is left out", self.with(name, b"")),
            ("api_token stands in the place of user_token", self.with(name, self.message.api_token)),
        ]
    }

    fn of_lines(&self) -> Vec<Mistake> {
        let Message { request, .. } = self.message;
        let text = self.message.text(self.algorithm);
        let path = [request.path, "?", request.query].concat();
        let hash = hex::encode(Sha256::digest(self.body));
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        vec![
            ("the method is in lower case", self.with("method", request.method.to_ascii_lowercase().as_bytes())),
            ("the path is decoded", self.with("path", &url_decode(request.path.as_bytes()))),
            ("the path holds the query as well", self.with("path", path.as_bytes())),
            ("the nonce is left out", self.with("nonce", b"")),
            ("the body is left out", self.with("body", hex::encode(Sha256::digest(b"")).as_bytes())),
            ("the last line is empty", self.with("body", b"")),
            ("the body stands in the place of its hash", self.with("body", self.body)),
            ("the hash of the body is in upper case", self.with("body", hash.to_ascii_uppercase().as_bytes())),
            ("the hash of the body is md5", self.with("body", hex::encode(Md5::digest(self.body)).as_bytes())),
            ("there is a line break at the end", [text.as_slice(), b"\n"].concat()),
            ("the lines are joined by carriage return and line feed", lines.join(b"\r\n".as_slice())),
            ("nothing stands between the lines", lines.concat()),
            ("the last line is missing", lines.split_last().map_or_else(Vec::new, |(_, rest)| rest.join(&b'\n'))),
        ]
    }

    /// The text with another one in the place of a part.
    fn with(&self, name: &str, text: &[u8]) -> Vec<u8> {
        let parts = self.message.parts(self.algorithm, Cow::Borrowed);
        let texts = parts.iter().map(|part: &Part<'_>| if part.name == name { text } else { &part.text });
        texts.collect::<Vec<_>>().join(separator(self.algorithm))
    }
}

/// The name of a pair, as PHP folds it.
fn folded(pair: &[u8]) -> Vec<u8> {
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    fold_name(&url_decode(name)).map(|(name, _)| name).unwrap_or_default()
}
