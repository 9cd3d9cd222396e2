//! `session`

use crate::config::faults::Faults;
use crate::config::file::sections::{Binding, Session, UserId, WhenFull};
use crate::config::resolve::lasting;
use crate::verify::SessionSettings;

/// `session`
pub(super) fn settings(file: &Session, faults: &mut Faults) -> Option<SessionSettings> {
    let idle = lasting(faults, "session.idle", file.idle);
    let guest = lasting(faults, "session.guest", file.guest);
    let max_age = lasting(faults, "session.max_age", file.max_age);
    let bound_to = |binding| file.bind.contains(&binding);
    Some(SessionSettings {
        idle: idle?,
        guest: guest?,
        max_age: max_age?,
        extend_every: file.extend_every.0,
        per_user: file.per_user,
        end_oldest: file.when_full == WhenFull::EndOldest,
        bind_client: bound_to(Binding::Client),
        bind_ip: bound_to(Binding::Ip),
        bind_user_agent: bound_to(Binding::UserAgent),
        user_id_required: file.user_id == UserId::Required,
        sealed: file.sealed,
    })
}
