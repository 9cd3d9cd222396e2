//! `reject`

use std::collections::HashMap;

use crate::config::faults::Faults;
use crate::config::file::ByName;
use crate::config::file::sections::{Language, Reject, Status};
use crate::config::reader::none_of;
use crate::reply::{self, Keys, Reason, Settings};

/// Reasons by their names in the file.
const REASONS: [(&str, Reason); 24] = [
    ("malformed", Reason::Malformed),
    ("ambiguous", Reason::Ambiguous),
    ("too_large", Reason::TooLarge),
    ("header_too_large", Reason::HeaderTooLarge),
    ("denied", Reason::Denied),
    ("endpoint_unknown", Reason::EndpointUnknown),
    ("client_missing", Reason::ClientMissing),
    ("client_refused", Reason::ClientRefused),
    ("sign_missing", Reason::SignMissing),
    ("sign_refused", Reason::SignRefused),
    ("sign_expired", Reason::SignExpired),
    ("sign_replayed", Reason::SignReplayed),
    ("user_missing", Reason::UserMissing),
    ("user_refused", Reason::UserRefused),
    ("login_failed", Reason::LoginFailed),
    ("session_lost", Reason::SessionLost),
    ("user_ended", Reason::UserEnded),
    ("wrong_channel", Reason::WrongChannel),
    ("limited", Reason::Limited),
    ("locked", Reason::Locked),
    ("overloaded", Reason::Overloaded),
    ("store_down", Reason::StoreDown),
    ("upstream_failed", Reason::UpstreamFailed),
    ("upstream_timeout", Reason::UpstreamTimeout),
];

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
    let known = REASONS.map(|(name, _)| name);
    let resolved = named.iter().map(|(name, value)| {
        let reason = REASONS.iter().find(|(known, _)| known == name).map(|(_, reason)| *reason);
        let reason = faults.take(&format!("{key}.{name}"), reason.ok_or_else(|| none_of(name, &known)));
        reason.map(|reason| (reason, value.clone()))
    });
    super::all_of(resolved).map(|pairs| pairs.into_iter().collect())
}
