//! The answer to a login that succeeded: the application's own JSON, with the tokens put in.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::ids::UserId;
use crate::login::issue::Issued;
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

/// Puts the token as it is handed out where the application's own stood: sealed in one place and plain in another, it would not
/// be sealed at all.
pub fn replace(reply: &mut Value, pointer: &str, token: &Secret) {
    if let Some(old) = reply.pointer_mut(pointer) {
        *old = text(token);
    }
}

/// Puts `data` into the member `key` of a JSON object. `None` where the reply is no object, or the member holds something that
/// cannot take members; it is made an object where it is missing, null or an empty list (PHP's empty array).
pub fn into_json(reply: Option<Value>, key: &str, data: Map<String, Value>) -> Option<Bytes> {
    let Some(Value::Object(mut reply)) = reply else { return None };
    match reply.entry(key).or_insert(Value::Null) {
        Value::Object(members) => members.extend(data),
        empty @ Value::Null => *empty = Value::Object(data),
        Value::Array(list) if list.is_empty() => {
            reply.insert(key.to_owned(), Value::Object(data));
        }
        _ => return None,
    }
    Some(ascii(&Value::Object(reply).to_string()).into())
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
            (r#"{"code":1,"data":[]}"#, Some(r#"{"code":1,"data":{"user_id":"7"}}"#)),
            (r#"{"code":1,"data":null}"#, Some(r#"{"code":1,"data":{"user_id":"7"}}"#)),
            (r#"{"code":1}"#, Some(r#"{"code":1,"data":{"user_id":"7"}}"#)),
            (r#"{"data":{"user_id":9}}"#, Some(r#"{"data":{"user_id":"7"}}"#)),
            (r#"{"msg":"登录"}"#, Some(r#"{"msg":"\u767b\u5f55","data":{"user_id":"7"}}"#)),
            (r#"{"data":"text"}"#, None),
            (r#"{"data":[1]}"#, None),
            (r#"[1]"#, None),
        ];
        for (reply, expected) in table {
            let merged = into_json(serde_json::from_str(reply).ok(), "data", data.clone());
            assert_eq!(merged.as_deref(), expected.map(str::as_bytes), "{reply}");
        }
        assert_eq!(into_json(None, "data", data), None);
    }
}
