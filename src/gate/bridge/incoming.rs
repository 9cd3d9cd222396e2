//! A message as it came, and an answer as it goes.

use serde_json::Value;

use crate::gate::bridge::envelope::Envelope;
use crate::gate::bridge::form;
use crate::login::json::{self, Object};
use crate::policy::bridge::Fields;

/// Longest type or id, in bytes.
const LONGEST: usize = 256;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) kind: String,
    pub(super) token: Option<String>,
    pub(super) wstoken: Option<String>,
    /// What else it holds, as a form.
    pub(crate) form: String,
    /// A text or a number as written, to be echoed.
    id: Option<String>,
}

impl Incoming {
    /// Of a text; `None` for what is no message: no JSON object, no type, or a name of the message's own twice or not as text.
    pub(crate) fn read(text: &str, names: &Fields) -> Option<Self> {
        let object = Object::read(text)?;
        let own = |name: &str| {
            let mut all = object.members().filter(|(key, _)| *key == name);
            let value = all.next().map(|(_, value)| value).filter(|value| *value != "null");
            if all.next().is_some() { None } else { Some(value) }
        };
        let written = |name: &str| own(name)?.map_or(Some(None), |value| text_of(value).map(Some));
        let kind = written(&names.kind)?.filter(|kind| !kind.is_empty() && kind.len() <= LONGEST)?;
        let id = own(&names.id)?.map(str::to_owned);
        if id.as_ref().is_some_and(|id| id.len() > LONGEST || id_of(id).is_none()) {
            return None;
        }
        let (token, wstoken) = (written(&names.token)?, written(&names.wstoken)?);
        let taken = [&names.kind, &names.id, &names.token, &names.wstoken];
        let fields = object.members().filter(|(name, _)| !taken.iter().any(|taken| taken == name));
        let form = form::encoded(fields)?;
        Some(Self { kind, token, wstoken, form, id })
    }

    /// The answer to it.
    pub(super) fn answer(&self, names: &Fields, wstoken: Option<&str>, envelope: &Envelope) -> String {
        let token = self.token.as_deref();
        self.answer_with(names, (token, wstoken), envelope)
    }

    /// The same with another token.
    pub(super) fn answer_with(
        &self,
        names: &Fields,
        (token, wstoken): (Option<&str>, Option<&str>),
        envelope: &Envelope,
    ) -> String {
        let Envelope { code, msg, data, .. } = envelope;
        let members = [
            (&names.kind, Some(quoted(&self.kind))),
            (&names.id, self.id.clone()),
            (&names.code, Some(code.clone())),
            (&names.msg, Some(msg.clone())),
            (&names.token, token.map(quoted)),
            (&names.wstoken, wstoken.map(quoted)),
            (&names.data, Some(data.clone())),
        ];
        let written: Vec<String> =
            members.into_iter().filter_map(|(name, value)| Some(format!("{}:{}", quoted(name), value?))).collect();
        format!("{{{}}}", written.join(","))
    }
}

/// The answer to what is no message.
pub(super) fn no_message(names: &Fields) -> String {
    format!("{{{}:0,{}:\"error submit data\"}}", quoted(&names.code), quoted(&names.msg))
}

fn text_of(value: &str) -> Option<String> {
    if value.starts_with('"') { json::text_or_number(json::whole(value)?) } else { None }
}

fn id_of(value: &str) -> Option<String> {
    json::text_or_number(json::whole(value)?)
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_an_object_with_a_type_and_names_of_its_own_once() {
        let names = Fields::default();
        let read = |text| Incoming::read(text, &names);
        let message = read(r#"{"type":"news","id":7,"token":"T","wstoken":"W","page":2}"#).unwrap();
        assert_eq!(
            (message.kind.as_str(), message.id.as_deref(), message.form.as_str()),
            ("news", Some("7"), "page=2")
        );
        assert_eq!((message.token.as_deref(), message.wstoken.as_deref()), (Some("T"), Some("W")));
        for text in [
            "",
            "x",
            "[]",
            "7",
            "\"login\"",
            "{}",
            r#"{"type":7}"#,
            r#"{"type":""}"#,
            r#"{"type":null}"#,
            r#"{"type":"a","type":"b"}"#,
            r#"{"type":"a","token":"T","token":"U"}"#,
            r#"{"type":"a","token":7}"#,
            r#"{"type":"a","id":{}}"#,
            r#"{"type":"a","id":true}"#,
            r#"{"type":"a"} {}"#,
            r#"{"type":"a""#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(read(&format!(r#"{{"type":"a","id":"{}"}}"#, "x".repeat(300))).is_none());
    }

    #[test]
    fn an_answer_echoes_type_id_and_token_under_the_names_configured() {
        let names = Fields { code: "status".into(), ..Fields::default() };
        let message = Incoming::read(r#"{"type":"a\"b","id":"x1","token":"T"}"#, &names).unwrap();
        let answer = message.answer(&names, None, &Envelope::ours(0, "王"));
        assert_eq!(answer, r#"{"type":"a\"b","id":"x1","status":0,"msg":"\u738b","token":"T","data":[]}"#);
        assert_eq!(no_message(&Fields::default()), r#"{"code":0,"msg":"error submit data"}"#);
    }
}
