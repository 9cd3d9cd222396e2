//! `api_token`: proves which client calls, for one endpoint and one day.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use md5::{Digest, Md5};
use sha2::Sha256;

use crate::clock::Timestamp;
use crate::policy::endpoint::Endpoint;
use crate::secret;
use crate::store::record::Algorithm;

/// What md5 is taken over: a client's `token` template, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Module,
    Controller,
    Action,
    Date,
    Secret,
}

impl Default for Recipe {
    /// `{module}{controller}{action}{date}{secret}`
    fn default() -> Self {
        Self(vec![Piece::Module, Piece::Controller, Piece::Action, Piece::Date, Piece::Secret])
    }
}

impl Recipe {
    /// Compiles a template; the error says what is wrong with it. Without the secret it would prove nothing.
    pub fn parse(template: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some((text, behind)) = rest.split_once('{') {
            let (name, behind) = behind.split_once('}').ok_or("holds a `{` without `}`")?;
            if !text.is_empty() {
                pieces.push(Piece::Text(text.to_owned()));
            }
            pieces.push(Piece::named(name)?);
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        if pieces.contains(&Piece::Secret) { Ok(Self(pieces)) } else { Err("leaves out {secret}".to_owned()) }
    }

    fn md5(&self, endpoint: &Endpoint, date: &str, secret: &[u8]) -> [u8; 16] {
        let mut md5 = Md5::new();
        for piece in &self.0 {
            md5.update(match piece {
                Piece::Text(text) => text.as_bytes(),
                Piece::Module => &endpoint.module,
                Piece::Controller => &endpoint.controller,
                Piece::Action => &endpoint.action,
                Piece::Date => date.as_bytes(),
                Piece::Secret => secret,
            });
        }
        md5.finalize().into()
    }
}

impl Piece {
    fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "module" => Self::Module,
            "controller" => Self::Controller,
            "action" => Self::Action,
            "date" => Self::Date,
            "secret" => Self::Secret,
            _ => return Err(format!("knows no `{{{name}}}`; there are module, controller, action, date, secret")),
        })
    }
}

/// The token that a client with that secret sends: lower-case hex.
pub fn compute(algorithm: Algorithm, recipe: &Recipe, endpoint: &Endpoint, date: &str, secret: &[u8]) -> String {
    match algorithm {
        Algorithm::Md5 => hex::encode(recipe.md5(endpoint, date, secret)),
        Algorithm::HmacSha256 => hex::encode(hmac_sha256(endpoint, date, secret)),
    }
}

fn hmac_sha256(endpoint: &Endpoint, date: &str, secret: &[u8]) -> [u8; 32] {
    // HMAC takes a key of any length, so there is no error to meet.
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(secret) else { return [0; 32] };
    for part in [&endpoint.module, &endpoint.controller, &endpoint.action] {
        hmac.update(part);
        hmac.update(b"\n");
    }
    hmac.update(date.as_bytes());
    hmac.finalize().into_bytes().into()
}

/// A token that a caller sent.
#[derive(Clone, Copy)]
pub struct Given {
    bytes: [u8; 32],
    length: usize,
}

impl Given {
    /// Reads it; `None` for what no secret makes.
    pub fn read(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        let length = text.len() / 2;
        hex::decode_to_slice(text, bytes.get_mut(..length)?).ok()?;
        Some(Self { bytes, length })
    }

    /// Whether it is one of the tokens that these secrets make on these dates. Every candidate is computed and compared, so
    /// that the time tells nothing about which one fits. Only algorithms whose tokens are as long have candidates: the length
    /// is the caller's own, so the time tells it nothing by that either.
    pub fn is_made_by(&self, claim: &Claim<'_>, secrets: &[&[u8]]) -> bool {
        let given = self.bytes.get(..self.length).unwrap_or_default();
        let mut fits = false;
        for algorithm in claim.algorithms.iter().filter(|algorithm| algorithm.length() == self.length) {
            for date in claim.dates {
                for secret in secrets {
                    fits |= match algorithm {
                        Algorithm::Md5 => secret::same(&claim.recipe.md5(claim.endpoint, date, secret), given),
                        Algorithm::HmacSha256 => secret::same(&hmac_sha256(claim.endpoint, date, secret), given),
                    };
                }
            }
        }
        fits
    }
}

/// What a token is computed over, besides the secret.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Algorithms the client may use.
    pub algorithms: &'a [Algorithm],
    /// What md5 is taken over.
    pub recipe: &'a Recipe,
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// The dates that count now.
    pub dates: &'a [String],
}

/// The dates that count at `now`: those of now - skew, now and now + skew in `zone`, each once, in order.
pub fn dates(zone: &TimeZone, now: Timestamp, skew: Duration, format: &str) -> Vec<String> {
    let mut dates: Vec<String> = Vec::with_capacity(2);
    for moment in [now.minus(skew), now, now.plus(skew)] {
        let date = date(zone, moment, format);
        if dates.last() != Some(&date) {
            dates.push(date);
        }
    }
    dates
}

/// The date that PHP's `date()` gives in `zone`; `format` in strftime's words, empty for none.
pub fn date(zone: &TimeZone, moment: Timestamp, format: &str) -> String {
    let seconds = i64::try_from(moment.as_secs()).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    // The configuration was refused if its format could not be written.
    strtime::format(format, &moment.to_zoned(zone.clone())).unwrap_or_default()
}

/// [`dates`] of one format, computed once a second.
#[derive(Debug)]
pub struct Calendar {
    zone: TimeZone,
    skew: Duration,
    format: String,
    today: Mutex<(u64, Vec<String>)>,
}

impl Calendar {
    /// A calendar of that zone.
    pub fn new(zone: TimeZone, skew: Duration, format: &str) -> Self {
        Self { zone, skew, format: format.to_owned(), today: Mutex::new((u64::MAX, Vec::new())) }
    }

    /// Calls `with` with the dates that count at `now`.
    pub fn at<T>(&self, now: Timestamp, with: impl FnOnce(&[String]) -> T) -> T {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        if today.0 != now.as_secs() {
            *today = (now.as_secs(), dates(&self.zone, now, self.skew, &self.format));
        }
        with(&today.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(module: &str, controller: &str, action: &str) -> Endpoint {
        Endpoint { module: module.into(), controller: controller.into(), action: action.into() }
    }

    #[test]
    fn tokens_are_those_of_the_vectors() {
        let cases = [
            (
                ["user", "auth", "login"],
                "2013-12-18",
                "s3cret",
                "ea5c241756c8c8c441090ba291f47d83",
                "6c3aa135dcce96cf44ae4e2006fb8848fe673d703b4ee2296e2481172c9488ff",
            ),
            (
                ["news", "list", "index"],
                "2026-11-20",
                "Kx9fQ2mT7bLp4WvZ1dRs",
                "c7faee45c14e0a7fc6562e106d7fb563",
                "4ab3de4e7ce9e5e2064d99d89286dde9bb597323d292b8dfef835e3af8cd4c37",
            ),
            (
                ["", "", ""],
                "2026-01-01",
                "x",
                "cb898b90027c293d94d4e8425d53d09b",
                "4176d6dc10a0069ba5653f574454754dc02302b67b7477749b1fdcb97c78f002",
            ),
            (
                ["新闻", "列表", "首页"],
                "2028-02-29",
                "密钥",
                "1362390ce70a93efaced199dc585382c",
                "85db735a4cc0235e52e4dd93168205f6f550a2f1c5db856279bed8f17cac01b9",
            ),
            (
                ["a", "bc", "d"],
                "2026-11-20",
                "k",
                "e0743e109961a266747f7fb36acb2380",
                "696143bb5310de4edeb674be4c86c1ba28cd032803a29771fde4f9cf142221be",
            ),
            (
                ["ab", "c", "d"],
                "2026-11-20",
                "k",
                "e0743e109961a266747f7fb36acb2380",
                "c396531dd85e4d72a35f974ac4e5bb3b6c82b5bada72eb8cdb2ee0e1d4559638",
            ),
        ];
        for ([module, controller, action], date, secret, md5, hmac) in cases {
            let endpoint = endpoint(module, controller, action);
            let token = |algorithm| compute(algorithm, &Recipe::default(), &endpoint, date, secret.as_bytes());
            assert_eq!(token(Algorithm::Md5), md5, "{module}/{controller}/{action}");
            assert_eq!(token(Algorithm::HmacSha256), hmac, "{module}/{controller}/{action}");
        }
    }

    #[test]
    fn templates_change_order_and_what_stands_between() {
        let endpoint = endpoint("user", "auth", "login");
        let recipe = Recipe::parse("{secret}|{module}/{controller}").unwrap();
        assert_eq!(recipe.md5(&endpoint, "x", b"k"), <[u8; 16]>::from(Md5::digest(b"k|user/auth")));
        assert_eq!(Recipe::parse("{module}{controller}{action}{date}{secret}").unwrap(), Recipe::default());
        assert!(Recipe::parse("{module}").unwrap_err().contains("{secret}"));
        assert!(Recipe::parse("{secret}{x}").unwrap_err().contains("{x}"));
        assert!(Recipe::parse("{secret").is_err());
    }

    #[test]
    fn a_token_proves_in_any_case_and_only_with_its_algorithm() {
        let (endpoint, recipe) = (endpoint("a", "b", "c"), Recipe::default());
        let dates = ["2026-11-20".to_owned()];
        let token = compute(Algorithm::HmacSha256, &recipe, &endpoint, "2026-11-20", b"k");
        let proves = |given: &[u8], claim: &Claim<'_>, secrets: &[&[u8]]| {
            Given::read(given).is_some_and(|given| given.is_made_by(claim, secrets))
        };
        let claim = |algorithms| Claim { algorithms, recipe: &recipe, endpoint: &endpoint, dates: &dates };
        assert!(proves(token.to_uppercase().as_bytes(), &claim(&[Algorithm::HmacSha256]), &[b"other", b"k"]));
        assert!(!proves(token.as_bytes(), &claim(&[Algorithm::Md5]), &[b"k"]));
        assert!(!proves(token.as_bytes(), &claim(&[Algorithm::HmacSha256]), &[b"other"]));
        for bad in [
            String::new(),
            "g".repeat(64),
            token.repeat(2),
            token.chars().take(63).collect(),
            token.chars().take(32).collect(),
        ] {
            assert!(!proves(bad.as_bytes(), &claim(&[Algorithm::Md5, Algorithm::HmacSha256]), &[b"k"]), "{bad}");
        }
    }

    #[test]
    fn an_empty_format_is_no_date() {
        assert_eq!(dates(&TimeZone::UTC, Timestamp::from_secs(1), Duration::from_secs(300), ""), [""]);
    }
}
