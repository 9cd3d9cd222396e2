//! What is answered to a message: code, message and data, as the application's envelope says them, or as its answer can be taken
//! where it is none.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::login::json::{self, Object};
use crate::login::merge::ascii;
use crate::login::text::Text;
use crate::reply::{Body, Keys};
use crate::upstream;

/// Code, message and data, each as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// A number, mostly.
    pub code: String,
    /// A text, mostly.
    pub msg: String,
    /// Anything.
    pub data: String,
    /// Whether the application wrote an envelope itself.
    written: bool,
}

/// The whole of an answer.
#[derive(Debug)]
pub(super) struct Whole {
    status: u16,
    content_type: Option<Vec<u8>>,
    body: Bytes,
}

const EMPTY: &str = "[]";

impl Envelope {
    /// The gate's own words.
    pub fn ours(code: i64, message: &str) -> Self {
        Self { code: code.to_string(), msg: quoted(message), data: EMPTY.to_owned(), written: true }
    }

    /// Something was done.
    pub fn done(message: &str) -> Self {
        Self::ours(1, message)
    }

    /// An answer of the application. JSON is known by its content, whatever Content-Type says.
    pub(super) fn of(answer: &Whole, keys: &Keys) -> Self {
        let text = Text::of(&answer.body, answer.content_type.as_deref()).text;
        let text = text.trim();
        let written = Object::read(text).and_then(|object| Self::written(&object, text, keys));
        written.unwrap_or_else(|| Self::taken(answer.status, text))
    }

    /// The envelope as written. Without `data`, what else it holds is that: many applications write their values beside the code.
    fn written(object: &Object<'_>, text: &str, keys: &Keys) -> Option<Self> {
        let code = object.get(&keys.code)?.to_owned();
        let msg = object.get(&keys.msg).unwrap_or("\"\"").to_owned();
        let data = match object.get(&keys.data) {
            Some(data) => data.to_owned(),
            None => Object::read(text)
                .map(|rest| rest.without(&[&keys.code, &keys.msg]))
                .filter(|rest| !rest.is_empty())
                .map_or_else(|| EMPTY.to_owned(), |rest| rest.to_string()),
        };
        Some(Self { code, msg, data, written: true })
    }

    /// What is no envelope: its status tells how it went, and what it says is the data.
    fn taken(status: u16, text: &str) -> Self {
        if !(200..300).contains(&status) {
            let words = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
            let msg = quoted(&format!("{status} {}", words.unwrap_or_default()));
            return Self { code: "0".to_owned(), msg, data: EMPTY.to_owned(), written: false };
        }
        let data = match text {
            "" => EMPTY.to_owned(),
            _ => json::whole(text).map_or_else(|| quoted(text), |json| json.get().to_owned()),
        };
        Self { code: "1".to_owned(), msg: quoted(""), data, written: false }
    }

    /// Of a login that succeeded.
    pub(super) fn of_login(self) -> Self {
        Self { code: "1".to_owned(), ..self }
    }

    /// Of one that did not: whatever the application wrote, that is no success.
    pub(super) fn of_failed_login(self, words: impl FnOnce() -> Self) -> Self {
        if !self.written {
            return words();
        }
        let success = json::whole(&self.code).and_then(json::scalar).as_deref() == Some("1");
        Self { code: if success { "0".to_owned() } else { self.code.clone() }, ..self }
    }
}

fn quoted(text: &str) -> String {
    ascii(&Value::from(text).to_string())
}

/// Reads an answer whole, up to `most` bytes.
pub(super) async fn gather(
    response: Response<Body>,
    most: usize,
    patience: Duration,
) -> Result<Whole, upstream::Fault> {
    let (head, body) = response.into_parts();
    let body = tokio::time::timeout(patience, gather_body(body, most));
    let body = body.await.map_err(|_| upstream::Fault::TimedOut)??;
    let content_type = head.headers.get(CONTENT_TYPE).map(|value| value.as_bytes().to_vec());
    Ok(Whole { status: head.status.as_u16(), content_type, body })
}

async fn gather_body(mut body: Body, most: usize) -> Result<Bytes, upstream::Fault> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            whole.extend_from_slice(&data);
        }
        if whole.len() > most {
            return Err(upstream::Fault::Failed(format!("its answer to a message is longer than {most} bytes")));
        }
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> String {
        let keys = Keys { code: "code".into(), msg: "msg".into(), data: "data".into() };
        let answer = Whole { status, content_type: None, body: Bytes::copy_from_slice(body.as_bytes()) };
        let Envelope { code, msg, data, .. } = Envelope::of(&answer, &keys);
        format!("{code} {msg} {data}")
    }

    #[test]
    fn an_envelope_is_taken_as_written_and_anything_else_as_data() {
        let table = [
            (
                200,
                r#"{"code":1,"msg":"ok","data":{"uid":12345678901234567890,"p":1.10}}"#,
                r#"1 "ok" {"uid":12345678901234567890,"p":1.10}"#,
            ),
            (500, "\u{feff} {\"code\":\"-3\",\"msg\":null}", r#""-3" null []"#),
            (200, r#"{"code":0,"list":[1],"msg":"x","page":2}"#, r#"0 "x" {"list":[1],"page":2}"#),
            (200, r#"{"uid":7}"#, r#"1 "" {"uid":7}"#),
            (200, "[1,2]", r#"1 "" [1,2]"#),
            (204, "", r#"1 "" []"#),
            (200, "<b>\u{738b}</b>", r#"1 "" "<b>\u738b</b>""#),
            (404, "<h1>no</h1>", r#"0 "404 Not Found" []"#),
            (302, "", r#"0 "302 Found" []"#),
        ];
        for (status, body, expected) in table {
            assert_eq!(of(status, body), expected, "{status} {body}");
        }
    }
}
