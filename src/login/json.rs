//! JSON as it was written: members keep their order, numbers every digit.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The whole of a text as JSON, where it is that.
pub fn whole(text: &str) -> Option<&RawValue> {
    serde_json::from_str(text).ok()
}

/// The value at a pointer (RFC 6901).
pub fn at<'a>(json: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    let tokens = pointer.split('/').skip(1);
    tokens.map(|token| token.replace("~1", "/").replace("~0", "~")).try_fold(json, |json, token| member(json, &token))
}

/// Where the value at a pointer stands in its text.
pub fn place(text: &str, pointer: &str) -> Option<Range<usize>> {
    let value = at(whole(text)?, pointer)?.get();
    let start = value.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    Some(start..start + value.len())
}

fn member<'a>(json: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    if json.get().starts_with('[') {
        let index: usize = name.parse().ok()?;
        return serde_json::from_str::<Vec<&RawValue>>(json.get()).ok()?.get(index).copied();
    }
    // Of members of the same name PHP takes the last.
    Members::of(json.get())?.into_iter().rfind(|(key, _)| key == name).map(|(_, value)| value)
}

/// A string's text, or a number's digits as written.
pub fn text_or_number(json: &RawValue) -> Option<String> {
    match json.get().as_bytes().first()? {
        b'"' => serde_json::from_str(json.get()).ok(),
        b'-' | b'0'..=b'9' => Some(json.get().to_owned()),
        _ => None,
    }
}

/// The same, and `true`, `false` and `null` by their names.
pub fn scalar(json: &RawValue) -> Option<String> {
    let named = matches!(json.get(), "true" | "false" | "null");
    if named { Some(json.get().to_owned()) } else { text_or_number(json) }
}

/// The values of a list, unread; `None` where it is none.
pub fn items(json: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(json).ok()
}

/// An object that members are put into.
#[derive(Debug, Default)]
pub struct Object<'a>(Vec<(String, Cow<'a, str>)>);

impl<'a> Object<'a> {
    /// Of its text; `None` where that is no object.
    pub fn read(text: &'a str) -> Option<Self> {
        let members = Members::of(text)?.into_iter();
        Some(Self(members.map(|(name, value)| (name, Cow::Borrowed(value.get()))).collect()))
    }

    /// The text of a member's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// The same object without members of those names.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|(key, _)| !names.contains(&key.as_str()));
        self
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its members as written, in order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_ref()))
    }

    /// The same object with one member of that name, in the place of an older one.
    #[must_use]
    pub fn with(mut self, name: &str, value: String) -> Self {
        let place = self.0.iter().position(|(key, _)| key == name).unwrap_or(self.0.len());
        self.0.retain(|(key, _)| key != name);
        self.0.insert(place, (name.to_owned(), Cow::Owned(value)));
        self
    }
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{value}", serde_json::Value::from(name.as_str()))?;
        }
        f.write_str("}")
    }
}

/// The members of an object, in order, with their values unread.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn of(text: &'a str) -> Option<Vec<(String, &'a RawValue)>> {
        serde_json::from_str::<Self>(text).ok().map(|members| members.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Gathering;
        impl<'de> Visitor<'de> for Gathering {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Gathering)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_to_a_value_as_written() {
        let json = whole(r#" {"a":{"b/c":[1.50, {"~":123456789012345678901}]},"d":"x","d":"y","":0} "#).unwrap();
        let table: &[(&str, Option<&str>)] = &[
            ("/a/b~1c/0", Some("1.50")),
            ("/a/b~1c/1/~0", Some("123456789012345678901")),
            ("/a/b~1c/2", None),
            ("/a/b~1c/x", None),
            ("/d", Some("\"y\"")),
            ("/d/x", None),
            ("/", Some("0")),
            ("/missing", None),
        ];
        for (pointer, expected) in table {
            assert_eq!(at(json, pointer).map(RawValue::get), *expected, "{pointer}");
        }
        assert!(at(json, "").unwrap().get().starts_with('{'));
    }

    #[test]
    fn scalars_have_a_text() {
        let text = |json, read: fn(&RawValue) -> Option<String>| read(whole(json).unwrap());
        assert_eq!(text(r#""\u738b""#, text_or_number).as_deref(), Some("王"));
        assert_eq!(text("-1.0e2", text_or_number).as_deref(), Some("-1.0e2"));
        for named in ["true", "false", "null"] {
            assert_eq!((text(named, text_or_number), text(named, scalar).as_deref()), (None, Some(named)));
        }
        for compound in ["[]", "{}"] {
            assert_eq!(text(compound, scalar), None);
        }
    }

    #[test]
    fn putting_a_member_leaves_the_others_as_they_are() {
        let object = Object::read(r#"{"price":1.10,"id":123456789012345678901,"a":{ "x" : 1.0 },"id":2}"#).unwrap();
        assert_eq!(object.get("id"), Some("2"));
        let text = object.with("id", "3".to_owned()).with("n\"", "[]".to_owned()).to_string();
        assert_eq!(text, r#"{"price":1.10,"id":3,"a":{ "x" : 1.0 },"n\"":[]}"#);
        assert!(Object::read("[1]").is_none() && Object::read("{").is_none());
    }
}
