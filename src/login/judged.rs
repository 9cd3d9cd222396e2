//! A login's reply, read once, and judged by the rule: did it succeed, and who logged in.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use http::response::Parts;
use regex::bytes::Regex;
use serde_json::value::RawValue;

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::login::steps::{Step, Steps};
use crate::login::text::Text;
use crate::login::{jar, json, location, steps};
use crate::policy::login_rule::{Check, Conditions, Decode, Source, UserSource};
use crate::policy::pattern::Glob;
use crate::request::Inbound;
use crate::request::php::{fold_name, nested, url_decode};
use crate::store::{HeldCookie, Live};

/// A reply of the application, read whole.
#[derive(Debug)]
pub struct Answer {
    /// Status and headers.
    pub head: Parts,
    /// Its body.
    pub body: Bytes,
}

/// A reply as the rule looks at it.
#[derive(Debug)]
pub struct Judged<'a> {
    inbound: &'a Inbound,
    answer: &'a Answer,
    text: Text<'a>,
    jar: &'a [HeldCookie],
    now: Timestamp,
    /// The path that was asked.
    path: &'a str,
    /// The cookies before, where a condition is about those that are gone.
    before: Option<&'a [HeldCookie]>,
}

impl<'a> Judged<'a> {
    /// What came of a request, with the cookies that stand after it.
    pub fn new(inbound: &'a Inbound, answer: &'a Answer, jar: &'a [HeldCookie], now: Timestamp) -> Self {
        let content_type = answer.head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let path = &inbound.target.raw_path;
        Self { inbound, answer, text: Text::of(&answer.body, content_type), jar, now, path, before: None }
    }

    /// The same, where another path than the caller's was asked.
    pub fn at(self, path: &'a str) -> Self {
        Self { path, ..self }
    }

    /// The same, where conditions on cookies ask for those of `before` that are gone.
    pub fn since(self, before: &'a [HeldCookie]) -> Self {
        Self { before: Some(before), ..self }
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        &self.text.text
    }

    /// Whether any of the conditions holds.
    pub fn succeeded(&self, success: &[Conditions]) -> bool {
        success.iter().any(|conditions| self.holds(conditions))
    }

    fn holds(&self, conditions: &Conditions) -> bool {
        conditions.checks().all(|check| self.fits(check))
    }

    fn fits(&self, check: Check<'_>) -> bool {
        match check {
            Check::Status(statuses) => statuses.contains(&self.answer.head.status.as_u16()),
            Check::Json(pointer, wanted) => self.value(pointer).and_then(json::scalar).as_deref() == Some(wanted),
            Check::Cookie(glob) => self.cookie_stands(glob),
            Check::Location(glob) => self.leads_to(glob),
            Check::Body(regex) => self.shows(regex),
            Check::Not(others) => !self.succeeded(others),
        }
    }

    /// Every condition, with what there is in its place.
    pub fn tell(&self, success: &[Conditions], steps: &Steps) {
        let numbered = (1..).zip(success).filter(|_| steps.are_told());
        for (alternative, check) in numbered.flat_map(|(number, all)| all.checks().map(move |check| (number, check))) {
            let (wanted, found) = (check.to_string(), self.found(check));
            steps.tell(|| Step::Condition { alternative, wanted, found, holds: self.fits(check) });
        }
    }

    fn found(&self, check: Check<'_>) -> String {
        match check {
            Check::Status(_) => self.answer.head.status.as_u16().to_string(),
            Check::Json(pointer, _) => {
                let found =
                    self.value(pointer).map(|value| json::scalar(value).unwrap_or_else(|| "a list or object".into()));
                found.map_or_else(|| "nothing there".to_owned(), |found| steps::shown(&found))
            }
            Check::Cookie(glob) => match self.cookie(glob) {
                Some(_) => "held".to_owned(),
                None => "none held".to_owned(),
            },
            Check::Location(_) => match self.answer.head.headers.get(LOCATION) {
                Some(location) => location::path_and_query(location::without_fragment(location.as_bytes()), self.path)
                    .escape_ascii()
                    .to_string(),
                None => "no Location".to_owned(),
            },
            Check::Body(regex) => if self.shows(regex) { "found" } else { "not found" }.to_owned(),
            Check::Not(others) => if self.succeeded(others) { "it does" } else { "it does not" }.to_owned(),
        }
    }

    /// JSON is known by its content, whatever Content-Type says.
    fn value(&self, pointer: &str) -> Option<&RawValue> {
        json::at(json::whole(self.text())?, pointer)
    }

    fn shows(&self, regex: &Regex) -> bool {
        regex.is_match(self.text().as_bytes()) || regex.is_match(&self.answer.body)
    }

    /// Whether such a cookie is there, or gone where that is asked.
    fn cookie_stands(&self, glob: &Glob) -> bool {
        let is_there = self.cookie(glob).is_some();
        match self.before {
            None => is_there,
            Some(before) => !is_there && jar::named(before, glob, self.now).next().is_some(),
        }
    }

    fn cookie(&self, glob: &Glob) -> Option<Vec<u8>> {
        jar::named(self.jar, glob, self.now).next()
    }

    /// Whether Location has such a path and query; a relative one is looked at as written, too.
    fn leads_to(&self, glob: &Glob) -> bool {
        let Some(location) = self.answer.head.headers.get(LOCATION) else { return false };
        let written = location::without_fragment(location.as_bytes());
        let resolved = location::path_and_query(written, self.path);
        glob.matches_text(&resolved) || location::is_relative(written) && glob.matches_text(written)
    }

    /// Who logged in, where the source gives a usable id.
    pub fn user(&self, source: &UserSource) -> Option<UserId> {
        let found = self.find(&source.from)?;
        refine(source, &found)
    }

    /// The text that a source gives.
    pub fn find(&self, source: &Source) -> Option<Vec<u8>> {
        match source {
            Source::Json(pointer) => {
                let found = json::text_or_number(self.value(pointer)?)?;
                self.text.vouch(found).map(String::into_bytes)
            }
            Source::Form(name) => form_field(self.inbound, name),
            Source::Header(name) => {
                self.answer.head.headers.get_all(name).iter().next_back().map(|value| value.as_bytes().to_vec())
            }
            Source::Cookie(glob) => self.cookie(glob),
            Source::Body(regex) => {
                let found = regex.captures(self.text().as_bytes())?.get(1)?;
                let found = String::from_utf8(found.as_bytes().to_vec()).ok()?;
                self.text.vouch(found).map(String::into_bytes)
            }
        }
    }
}

/// A field of the request's form as PHP reads it: `username`, or `LoginForm[username]` as it is written in the form.
pub fn form_field(inbound: &Inbound, name: &str) -> Option<Vec<u8>> {
    match fold_name(name.as_bytes())? {
        (name, false) => inbound.form.text(&name).map(<[u8]>::to_vec),
        // What PHP does not read as a form is none, whatever it looks like.
        _ if !inbound.is_form() => None,
        _ => nested::text_in(inbound.gathered()?, name.as_bytes()),
    }
}

/// Decodes, extracts and folds what a source gave; `None` where nothing usable is left.
pub fn refine(source: &UserSource, found: &[u8]) -> Option<UserId> {
    let mut value = match source.decode {
        Decode::None => found.to_vec(),
        Decode::Url => url_decode(found).to_vec(),
        Decode::Base64 => {
            let unescaped = url_decode_keeping_plus(found);
            let bare = unescaped.strip_suffix(b"==").or_else(|| unescaped.strip_suffix(b"=")).unwrap_or(&unescaped);
            STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).ok()?
        }
    };
    if let Some(regex) = &source.extract {
        let group = usize::from(regex.captures_len() > 1);
        value = regex.captures(&value)?.get(group)?.as_bytes().to_vec();
    }
    if source.lower {
        value = std::str::from_utf8(&value).ok()?.to_lowercase().into_bytes();
    }
    UserId::new(value).ok()
}

/// Base64 in a cookie is percent-encoded, and its `+` is no blank.
fn url_decode_keeping_plus(text: &[u8]) -> Vec<u8> {
    let escaped: Vec<u8> =
        text.iter().flat_map(|byte| if *byte == b'+' { b"%2B".to_vec() } else { vec![*byte] }).collect();
    url_decode(&escaped).to_vec()
}

/// Whom a later reply's cookies name in the session user's place. A source that never named the user, because the login was
/// another one, says nothing of this session. A guest is nobody, or whomever the cookies named from the beginning: applications
/// have names for them, too.
pub fn other_user(source: &UserSource, live: &Live, changes: &[jar::Change], now: Timestamp) -> Option<UserId> {
    let Source::Cookie(glob) = &source.from else { return None };
    let users = |jar: &[HeldCookie]| -> Vec<UserId> {
        jar::named(jar, glob, now).filter_map(|value| refine(source, &value)).collect()
    };
    let mut known = users(&live.record.jar);
    if let Some(user) = &live.record.user {
        if !known.is_empty() && !known.contains(user) {
            return None;
        }
        known = vec![user.clone()];
    }
    let mut set = Vec::new();
    jar::apply(&mut set, changes, now);
    users(&set).into_iter().find(|named| !known.contains(named))
}
