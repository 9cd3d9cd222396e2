//! What a login goes through, step by step, for whoever writes its rule.
//!
//! Steps hold what was sent, passwords included: they are for `test-login`, which shows them redacted, and no running gate keeps any.

use std::sync::{Arc, Mutex, PoisonError};

use http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::login::judged::Answer;
use crate::login::text::Text;
use crate::login::{html, jar};
use crate::store::HeldCookie;

/// Most values of a JSON reply that are told.
const MAX_VALUES: usize = 20;
/// Longer texts may be tokens: their length is told alone.
const MAX_TEXT: usize = 12;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A page was asked for.
    Fetched(String, Seen),
    /// That page's form is sent: its action, and the inputs it hides.
    Form(String, Vec<String>),
    /// A field was found in the page; so many characters.
    Took(String, usize),
    /// The login itself went out: method, target, form.
    Sent(String, String, Option<Vec<u8>>),
    /// The application answered it.
    Answered(Seen),
    /// One thing that one of the alternatives of `login.success` asks for.
    Condition {
        /// Which alternative, from 1.
        alternative: usize,
        /// What it asks for.
        wanted: String,
        /// What there is.
        found: String,
        /// Whether that is it.
        holds: bool,
    },
    /// Where the user was looked for, and who it is.
    User(String, Option<String>),
    /// The names of the cookies that are held, with their paths.
    Held(Vec<String>),
    /// It could not go on.
    Stopped(String),
}

/// What is told of a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its status.
    pub status: u16,
    /// Its Content-Type.
    pub content_type: Option<String>,
    /// Where it leads.
    pub location: Option<String>,
    /// Names of cookies that it sets, and of those that it deletes.
    pub cookies: [Vec<String>; 2],
    /// Values of its JSON by pointer; or title and forms of its page.
    pub shows: Vec<String>,
}

impl Seen {
    /// Of an answer to a request for that path.
    pub fn of(answer: &Answer, path: &str, now: Timestamp) -> Self {
        let header = |name: HeaderName| Some(answer.head.headers.get(name)?.as_bytes().escape_ascii().to_string());
        let (deleted, set): (Vec<_>, Vec<_>) =
            jar::changes(&answer.head.headers, path, now).into_iter().partition(jar::Change::deletes);
        let names = |changes: Vec<jar::Change>| changes.iter().map(|change| change.name().to_owned()).collect();
        let content_type = header(CONTENT_TYPE);
        let text = Text::of(&answer.body, content_type.as_deref().map(str::as_bytes)).text;
        let shows = match serde_json::from_str(&text) {
            Ok(json) => values(&json),
            Err(_) => html::outline(&text),
        };
        Self {
            status: answer.head.status.as_u16(),
            content_type,
            location: header(LOCATION),
            cookies: [names(set), names(deleted)],
            shows,
        }
    }
}

/// Where steps are told; nowhere, unless somebody wants to know.
#[derive(Clone, Debug, Default)]
pub struct Steps(Option<Arc<Mutex<Vec<Step>>>>);

impl Steps {
    /// Kept until they are taken.
    pub fn kept() -> Self {
        Self(Some(Arc::default()))
    }

    /// Whether anybody wants to know.
    pub const fn are_told(&self) -> bool {
        self.0.is_some()
    }

    /// Tells one.
    pub fn tell(&self, step: impl FnOnce() -> Step) {
        if let Some(kept) = &self.0 {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(step());
        }
    }

    /// All that were told.
    pub fn take(&self) -> Vec<Step> {
        let kept =
            self.0.as_ref().map(|kept| std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner)));
        kept.unwrap_or_default()
    }
}

/// A cookie by name and path.
pub fn held(cookie: &HeldCookie) -> String {
    format!("{} ({})", cookie.name, cookie.path)
}

/// A text that may be shown, or how long it is.
pub fn shown(text: &str) -> String {
    let length = text.chars().count();
    if length > MAX_TEXT { format!("(text of {length} characters)") } else { format!("{text:?}") }
}

fn values(json: &Value) -> Vec<String> {
    let mut found = Vec::new();
    gather(json, "", &mut found);
    found.truncate(MAX_VALUES);
    found
}

fn gather(json: &Value, at: &str, found: &mut Vec<String>) {
    match json {
        _ if found.len() >= MAX_VALUES => {}
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            gather(value, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found)
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| gather(value, &format!("{at}/{index}"), found));
        }
        Value::String(text) => found.push(format!("{at} = {}", shown(text))),
        other => found.push(format!("{at} = {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_by_pointers_and_long_texts_are_not() {
        let json =
            serde_json::json!({"code": 1, "data": {"uid": "7", "a/b": null, "t": "0123456789abcdef0"}, "l": [true]});
        let mut found = values(&json);
        found.sort();
        assert_eq!(
            found,
            ["/code = 1", "/data/a~1b = null", "/data/t = (text of 17 characters)", "/data/uid = \"7\"", "/l/0 = true"]
        );
        assert_eq!(values(&serde_json::json!(vec![0; 100])).len(), MAX_VALUES);
    }

    #[test]
    fn nothing_is_kept_that_nobody_asked_for() {
        let nowhere = Steps::default();
        nowhere.tell(|| panic!("nobody asked"));
        assert_eq!(nowhere.take(), []);
        let kept = Steps::kept();
        kept.tell(|| Step::Stopped("why".into()));
        assert_eq!((kept.take().len(), kept.take().len()), (1, 0));
    }
}
