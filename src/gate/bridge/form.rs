//! Fields of a message as a form: nested values as PHP's `http_build_query` writes them.

use serde_json::value::RawValue;

use crate::login::json::{self, Object};
use crate::policy::written::encode;

/// Deepest nesting of a field; PHP reads up to 64.
const DEEPEST: usize = 32;

/// The fields as a form; `None` where they nest too deep. `true` is `1` and `false` `0`, `null` and what is empty leave nothing.
pub(super) fn encoded<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let mut form = String::new();
    for (name, value) in fields {
        add(&mut form, &encode(name.as_bytes()), json::whole(value)?, 1)?;
    }
    Some(form)
}

fn add(form: &mut String, name: &str, value: &RawValue, depth: usize) -> Option<()> {
    if depth > DEEPEST {
        return None;
    }
    match value.get().as_bytes().first()? {
        b'{' => {
            let object = Object::read(value.get())?;
            object.members().try_for_each(|(key, value)| {
                let inner = format!("{name}[{}]", encode(key.as_bytes()));
                add(form, &inner, json::whole(value)?, depth + 1)
            })
        }
        b'[' => {
            let items = json::items(value.get())?.into_iter().enumerate();
            items.into_iter().try_for_each(|(index, item)| add(form, &format!("{name}[{index}]"), item, depth + 1))
        }
        b'n' => Some(()),
        b't' => put(form, name, "1"),
        b'f' => put(form, name, "0"),
        _ => put(form, name, &encode(json::text_or_number(value)?.as_bytes())),
    }
}

fn put(form: &mut String, name: &str, value: &str) -> Option<()> {
    if !form.is_empty() {
        form.push('&');
    }
    form.push_str(name);
    form.push('=');
    form.push_str(value);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(json: &str) -> Option<String> {
        encoded(Object::read(json).unwrap().members())
    }

    #[test]
    fn fields_are_written_as_php_reads_them() {
        let table = [
            (r#"{"username":"张三","pwd":"a b&c=1"}"#, "username=%E5%BC%A0%E4%B8%89&pwd=a%20b%26c%3D1"),
            (
                r#"{"n":12345678901234567890,"p":1.10,"t":true,"f":false,"z":null}"#,
                "n=12345678901234567890&p=1.10&t=1&f=0",
            ),
            (r#"{"a":{"b":[1,{"c":"x"}]},"e":[],"o":{}}"#, "a[b][0]=1&a[b][1][c]=x"),
            (r#"{"a[b]":1,"c.d":2}"#, "a%5Bb%5D=1&c.d=2"),
        ];
        for (json, expected) in table {
            assert_eq!(form(json).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_nests_too_deep_is_no_form() {
        let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(form(&nested(DEEPEST - 1)).is_some());
        assert_eq!(form(&nested(DEEPEST)), None);
        assert_eq!(form(&nested(100_000)), None);
    }
}
