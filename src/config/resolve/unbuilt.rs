//! Keys of the file whose feature this version does not have. They may be left out or hold their default; anything else is a
//! fault, because a protection that is asked for must never be missing in silence.

use crate::config::faults::Faults;
use crate::config::file::File;
use crate::config::file::rule::{Login, Rule};
use crate::config::file::sections::{Session, WhenDown};
use crate::config::values::TextOr;

/// Tells of every such key that asks for something.
pub(super) fn tell(file: &File, faults: &mut Faults) {
    faults.unbuilt("cors", file.cors.is_some());
    faults.unbuilt("tls", file.tls.is_some());
    faults.unbuilt("websocket", !file.websocket.is_empty());
    faults.unbuilt("store.when_down", file.store.when_down != WhenDown::Refuse);
    session(&file.session, faults);
    for (index, rule) in file.rules.iter().enumerate() {
        self::rule(rule, &format!("rules[{index}]"), faults);
    }
}

fn session(session: &Session, faults: &mut Faults) {
    faults.unbuilt("session.guest", session.guest != Session::default().guest);
    faults.unbuilt("session.lost", session.lost.is_some());
}

fn rule(rule: &Rule, key: &str, faults: &mut Faults) {
    faults.unbuilt(&format!("{key}.guest"), rule.guest);
    faults.unbuilt(&format!("{key}.csrf"), rule.csrf.is_some());
    if let Some(TextOr::Map(logout)) = &rule.logout {
        faults.unbuilt(&format!("{key}.logout.before"), logout.before.is_some());
    }
    if let Some(login) = &rule.login {
        self::login(login, &format!("{key}.login"), faults);
    }
}

fn login(login: &Login, key: &str, faults: &mut Faults) {
    faults.unbuilt(&format!("{key}.before"), login.before.is_some());
}
