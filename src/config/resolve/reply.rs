//! `reject`

use std::collections::HashMap;

use crate::config::faults::Faults;
use crate::config::file::ByName;
use crate::config::file::sections::{Language, Reject, Status};
use crate::config::refusal::none_of;
use crate::reply::{self, Keys, Reason, Settings};

/// `reject`
pub(super) fn settings(file: &Reject, faults: &mut Faults) -> Option<Settings> {
    let codes = by_reason(&file.codes, "reject.codes", faults);
    let messages = by_reason(&file.messages, "reject.messages", faults);
    let names = [("code", &file.keys.code), ("msg", &file.keys.msg), ("data", &file.keys.data)];
    for (index, (key, name)) in names.iter().enumerate() {
        if name.is_empty() || names.iter().take(index).any(|(_, earlier)| earlier == name) {
            faults.add(&format!("reject.keys.{key}"), "must be a name of its own");
        }
    }
    Some(Settings {
        always_ok: file.status == Status::Ok,
        language: match file.language {
            Language::Auto => reply::Language::Auto,
            Language::En => reply::Language::English,
            Language::Zh => reply::Language::Chinese,
        },
        codes: codes?,
        messages: messages?,
        keys: Keys { code: file.keys.code.clone(), msg: file.keys.msg.clone(), data: file.keys.data.clone() },
    })
}

fn by_reason<T: Clone>(named: &ByName<T>, key: &str, faults: &mut Faults) -> Option<HashMap<Reason, T>> {
    let known: Vec<&str> = Reason::all().map(Reason::name).collect();
    let resolved = named.iter().map(|(name, value)| {
        let reason = Reason::from_name(name).ok_or_else(|| none_of(name, &known));
        let reason = faults.take(&format!("{key}.{name}"), reason);
        reason.map(|reason| (reason, value.clone()))
    });
    super::all_of(resolved).map(|pairs| pairs.into_iter().collect())
}
