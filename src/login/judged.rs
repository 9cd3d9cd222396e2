//! A login's reply, read once, and judged by the rule: did it succeed, and who logged in.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::header::{LOCATION, SET_COOKIE};
use http::response::Parts;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::login::jar;
use crate::policy::login_rule::{Conditions, Decode, Source, UserSource};
use crate::policy::pattern::Glob;
use crate::request::Inbound;
use crate::request::php::url_decode;
use crate::store::HeldCookie;

/// A login's reply as the rule looks at it.
#[derive(Debug)]
pub struct Judged<'a> {
    /// The request.
    pub inbound: &'a Inbound,
    /// Status and headers of the reply.
    pub reply: &'a Parts,
    /// Its body.
    pub body: &'a [u8],
    /// The body as JSON, whatever its Content-Type says.
    pub json: Option<Value>,
    /// The cookies after the whole reply.
    pub jar: &'a [HeldCookie],
    /// Now.
    pub now: Timestamp,
}

/// JSON by content: after a byte order mark, a whole document.
pub fn json_of(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).ok()
}

impl Judged<'_> {
    /// Whether any of the conditions holds.
    pub fn succeeded(&self, success: &[Conditions]) -> bool {
        success.iter().any(|conditions| self.holds(conditions))
    }

    fn holds(&self, conditions: &Conditions) -> bool {
        let Conditions { status, json, cookie, location, body, not } = conditions;
        (status.is_empty() || status.contains(&self.reply.status.as_u16()))
            && json.iter().all(|(pointer, wanted)| self.json_text(pointer).as_deref() == Some(wanted))
            && cookie.as_ref().is_none_or(|glob| self.cookie(glob).is_some())
            && location.as_ref().is_none_or(|glob| self.location().is_some_and(|found| glob.matches_text(found)))
            && body.as_ref().is_none_or(|regex| regex.is_match(self.body))
            && not.as_ref().is_none_or(|not| !self.holds(not))
    }

    /// Values compare as text: `1` and `"1"` are the same.
    fn json_text(&self, pointer: &str) -> Option<String> {
        text_of(self.json.as_ref()?.pointer(pointer)?)
    }

    /// A living, non-empty cookie of such a name.
    fn cookie(&self, glob: &Glob) -> Option<&HeldCookie> {
        self.jar.iter().find(|held| {
            !held.value.is_empty() && jar::alive(held, self.now) && glob.matches_text(held.name.as_bytes())
        })
    }

    /// Path and query of Location.
    fn location(&self) -> Option<&[u8]> {
        let text = self.reply.headers.get(LOCATION)?.as_bytes();
        let Some(authority) = memchr::memmem::find(text, b"://") else { return Some(text) };
        let behind = text.get(authority + 3..)?;
        match memchr::memchr(b'/', behind) {
            Some(slash) => behind.get(slash..),
            None => Some(b"/"),
        }
    }

    /// Who logged in, where the source gives a usable id.
    pub fn user(&self, source: &UserSource) -> Option<UserId> {
        let found = self.find(&source.from)?;
        refine(source, &found)
    }

    /// The text that a source gives.
    pub fn find(&self, source: &Source) -> Option<Vec<u8>> {
        match source {
            Source::Json(pointer) => self.json_text(pointer).map(String::into_bytes),
            Source::Form(name) => form_field(self.inbound, name),
            Source::Header(name) => {
                self.reply.headers.get_all(name).iter().next_back().map(|value| value.as_bytes().to_vec())
            }
            Source::Cookie(glob) => self.cookie(glob).map(|held| held.value.clone().into_bytes()),
            Source::Body(regex) => {
                let captures = regex.captures(self.body)?;
                captures.get(1).or_else(|| captures.get(0)).map(|found| found.as_bytes().to_vec())
            }
        }
    }
}

/// `json:`'s values as text; objects, lists and null are none.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A field of the request's form: `username`, or `LoginForm[username]` as it is written in the form.
pub fn form_field(inbound: &Inbound, name: &str) -> Option<Vec<u8>> {
    if !name.contains('[') {
        return inbound.form.text(name.as_bytes()).map(<[u8]>::to_vec);
    }
    let mut last = None;
    for pair in inbound.gathered()?.split(|byte| *byte == b'&') {
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (field, value) = pair.split_at(equals);
        if url_decode(field) == name.as_bytes() {
            last = Some(url_decode(value.strip_prefix(b"=").unwrap_or(value)).to_vec());
        }
    }
    last
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
        let captures = regex.captures(&value)?;
        value = captures.get(1).or_else(|| captures.get(0))?.as_bytes().to_vec();
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

/// What a later reply says about whose cookies these are: the user that a Set-Cookie of that name names.
pub fn user_of_cookies(
    source: &UserSource,
    headers: &http::HeaderMap,
    request_path: &str,
    now: Timestamp,
) -> Option<UserId> {
    let Source::Cookie(glob) = &source.from else { return None };
    if !headers.contains_key(SET_COOKIE) {
        return None;
    }
    let mut jar = Vec::new();
    jar::apply(&mut jar, &jar::changes(headers, request_path, now));
    let named = jar.iter().find(|held| !held.value.is_empty() && glob.matches_text(held.name.as_bytes()))?;
    refine(source, named.value.as_bytes())
}
