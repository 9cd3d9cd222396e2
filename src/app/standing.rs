//! What stands as long as the process runs: sockets that are bound, the store that is open. A configuration that says otherwise is not
//! taken up in part, since half of one may allow what neither the old nor the new one does.

use crate::app::force::Rest;
use crate::config::Settings;
use crate::server;
use crate::store::Key;

/// A key that needs a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The key.
    pub key: &'static str,
    /// What to do.
    pub what: String,
}

/// Every such key, where it says something else than what is in force.
pub(super) fn differences(
    (server, decide): (&server::Settings, Option<&server::Settings>),
    rest: &Rest,
    new: &Settings,
) -> Vec<Bound> {
    let store = (&rest.store, &new.store);
    let asked_at = |decide: Option<&server::Settings>| decide.map(|decide| decide.listen.clone());
    let cases = [
        ("listen", server.listen != new.server.listen),
        ("tls", server.tls.is_some() != new.server.tls.is_some()),
        ("decide.listen", asked_at(decide) != asked_at(new.decide.as_ref())),
        ("admin.listen", rest.admin.listen != new.admin.listen),
        ("store.url", store.0.location != store.1.location),
        ("store.prefix", store.0.prefix != store.1.prefix),
        ("store.timeout", store.0.timeout != store.1.timeout),
        ("store.tls", store.0.tls != store.1.tls),
        ("store.held", rest.held.bytes != new.held.bytes),
        ("store.when_down", rest.held.trust != new.held.trust),
        ("log.format", rest.log.json != new.log.json),
    ];
    let differing = cases.into_iter().filter(|(_, differs)| *differs);
    let mut bound: Vec<Bound> = differing.map(|(key, _)| needs_restart(key)).collect();
    if are_strangers(&store.0.keys, &store.1.keys) {
        let what =
            "shares no key with the ones in force, so that every session would end: write [NEW, OLD], or restart";
        bound.push(Bound { key: "store.key", what: what.to_owned() });
    }
    bound
}

fn needs_restart(key: &'static str) -> Bound {
    let what = "cannot change while the gate runs: restart it, or put the old value back";
    Bound { key, what: what.to_owned() }
}

/// No key at all is the plain one.
fn are_strangers(old: &[Key], new: &[Key]) -> bool {
    let old = if old.is_empty() { &[Key::Plain] } else { old };
    let new = if new.is_empty() { &[Key::Plain] } else { new };
    !old.iter().any(|key| new.contains(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn keys_that_share_none_are_strangers() {
        let key = |byte: u8| Key::Sealing(Secret::new([byte; 32]));
        assert!(!are_strangers(&[], &[]));
        assert!(!are_strangers(&[], &[key(1), Key::Plain]));
        assert!(!are_strangers(&[key(1)], &[key(2), key(1)]));
        assert!(are_strangers(&[], &[key(1)]));
        assert!(are_strangers(&[key(1)], &[]));
        assert!(are_strangers(&[key(1), Key::Plain], &[key(2)]));
    }
}
