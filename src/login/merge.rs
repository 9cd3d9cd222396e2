//! The answer to a login that succeeded: the application's own JSON, with the tokens put in.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::ids::UserId;
use crate::login::issue::Issued;
use crate::login::json::{self, Object};
use crate::secret::Secret;

/// What the client learns: `user_id`, `user_token` and `expire_time` (Unix seconds). The only place where a token leaves the gate.
pub fn data(user: &UserId, issued: &Issued) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("user_id".into(), json!(user.as_str()));
    data.insert("user_token".into(), text(&issued.token));
    data.insert("expire_time".into(), json!(issued.expires.as_secs()));
    data
}

fn text(token: &Secret) -> Value {
    json!(std::str::from_utf8(token.expose()).unwrap_or_default())
}

/// Puts the sealed token where the application's own stood: sealed in one place and plain in another, it would not be sealed at all.
/// `None` where nothing stands there.
pub fn replace(reply: &str, pointer: &str, sealed: &Secret) -> Option<String> {
    let place = json::place(reply, pointer)?;
    let mut replaced = reply.to_owned();
    replaced.replace_range(place, &text(sealed).to_string());
    Some(replaced)
}

/// Puts `data` into the member `key` of a JSON object; all else stays as written. `None` where the reply is no object, or the
/// member holds something that cannot take members; it is made an object where it is missing, null or an empty list (PHP's empty
/// array).
pub fn into_json(reply: &str, key: &str, data: &Map<String, Value>) -> Option<Bytes> {
    let reply = Object::read(reply)?;
    let members = match reply.get(key) {
        None | Some("null") => Object::default(),
        Some(list) if is_empty_list(list) => Object::default(),
        Some(other) => Object::read(other)?,
    };
    let members = data.iter().fold(members, |members, (name, value)| members.with(name, value.to_string())).to_string();
    Some(ascii(&reply.with(key, members).to_string()).into())
}

fn is_empty_list(json: &str) -> bool {
    json.strip_prefix('[').is_some_and(|rest| rest.trim_start() == "]")
}

/// JSON text in ASCII, as PHP's `json_encode` writes it: beyond ASCII it can only stand inside strings, where `\uXXXX` means
/// the same, and survives clients that take it for another charset.
pub fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            out.push(character);
            continue;
        }
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_goes_where_the_application_keeps_its_own() {
        let data: Map<String, Value> = [("user_id".to_owned(), json!("7"))].into_iter().collect();
        let table: &[(&str, Option<&str>)] = &[
            (r#"{"code":1,"data":{"uid":7}}"#, Some(r#"{"code":1,"data":{"uid":7,"user_id":"7"}}"#)),
            (r#"{"code":1,"data":[ ]}"#, Some(r#"{"code":1,"data":{"user_id":"7"}}"#)),
            (r#"{"code":1,"data":[]}"#, Some(r#"{"code":1,"data":{"user_id":"7"}}"#)),
            (r#"{"code":1,"data":null}"#, Some(r#"{"code":1,"data":{"user_id":"7"}}"#)),
            (r#"{"code":1}"#, Some(r#"{"code":1,"data":{"user_id":"7"}}"#)),
            (r#"{"data":{"user_id":9}}"#, Some(r#"{"data":{"user_id":"7"}}"#)),
            (r#"{"msg":"登录"}"#, Some(r#"{"msg":"\u767b\u5f55","data":{"user_id":"7"}}"#)),
            (
                r#"{"data":{},"price":1.10,"id":123456789012345678901}"#,
                Some(r#"{"data":{"user_id":"7"},"price":1.10,"id":123456789012345678901}"#),
            ),
            (r#"{"msg":"\ud800"}"#, Some(r#"{"msg":"\ud800","data":{"user_id":"7"}}"#)),
            (r#"{"data":"text"}"#, None),
            (r#"{"data":[1]}"#, None),
            (r#"[1]"#, None),
        ];
        for (reply, expected) in table {
            let merged = into_json(reply, "data", &data);
            assert_eq!(merged.as_deref(), expected.map(str::as_bytes), "{reply}");
        }
        assert_eq!(into_json("<html>", "data", &data), None);
    }

    #[test]
    fn a_sealed_token_takes_the_place_of_the_applications_own_and_of_nothing_else() {
        let table: &[(&str, &str, Option<&str>)] = &[
            (r#"{"t": "plain","n":1.10}"#, "/t", Some(r#"{"t": "v1.x","n":1.10}"#)),
            (
                r#"{"data":{"t":123,"u":[{"t":"plain"}]}}"#,
                "/data/t",
                Some(r#"{"data":{"t":"v1.x","u":[{"t":"plain"}]}}"#),
            ),
            (r#"{"data":["登录","plain"]}"#, "/data/1", Some(r#"{"data":["登录","v1.x"]}"#)),
            (r#"{"data":{}}"#, "/data/t", None),
            ("<html>", "/t", None),
        ];
        for (reply, pointer, expected) in table {
            assert_eq!(replace(reply, pointer, &Secret::new("v1.x")).as_deref(), *expected, "{reply}");
        }
    }
}
