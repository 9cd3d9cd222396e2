//! Keys of the file whose feature this version does not have. They may be left out or hold their default; anything else is a
//! fault, because a protection that is asked for must never be missing in silence.

use crate::config::faults::Faults;
use crate::config::file::File;
use crate::config::file::rule::Rule;
use crate::config::file::sections::Session;

/// Tells of every such key that asks for something.
pub(super) fn tell(file: &File, faults: &mut Faults) {
    session(&file.session, faults);
    for (index, rule) in file.rules.iter().enumerate() {
        self::rule(rule, &format!("rules[{index}]"), faults);
    }
}

fn session(session: &Session, faults: &mut Faults) {
    faults.unbuilt("session.guest", session.guest != Session::default().guest);
}

fn rule(rule: &Rule, key: &str, faults: &mut Faults) {
    faults.unbuilt(&format!("{key}.guest"), rule.guest);
}
