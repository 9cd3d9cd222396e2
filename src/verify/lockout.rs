//! Lock-outs: failed client tokens lock their address, failed logins lock the user name for that address and for everybody.
//!
//! A lock keeps guesses out, not people: who holds a living session (a user's: guests get theirs for nothing) is let through an address that is locked, and a locked user
//! name is asked for at logins alone.

use std::net::IpAddr;
use std::time::Duration;

use crate::store::Store;
use crate::store::counting::{Counter, Lockout};
use crate::store::turns::{Place, Turn};
use crate::verify::denial::{ClientFlaw, Denial};
use crate::verify::limits::{failed_tokens_of, network};
use crate::verify::{Case, Proved, Refusal, Verifier};

/// Longest wait for other logins of the same name to be answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names are counted as applications compare them: without blanks around, in lower case.
fn folded(name: &[u8]) -> Vec<u8> {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x0b);
    let start = name.iter().position(|byte| !blank(byte)).unwrap_or(name.len());
    let end = name.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    let trimmed = name.get(start..end).unwrap_or_default();
    match std::str::from_utf8(trimmed) {
        Ok(text) => text.to_lowercase().into_bytes(),
        Err(_) => trimmed.to_ascii_lowercase(),
    }
}

/// A login under way, to be told how it ended. Dropped untold, it counts as nothing.
#[derive(Debug)]
pub struct LoginTry<'a> {
    store: &'a Store,
    lockout: Lockout,
    counters: Vec<Counter>,
    /// Whether any of them counts failures.
    counts: bool,
    _turn: Turn,
}

impl LoginTry<'_> {
    /// The application refused it.
    pub async fn failed(self) {
        self.store.fail(&self.counters, &self.lockout, false).await;
    }

    /// It succeeded: earlier failures of the same name are forgotten, here and everywhere.
    pub async fn succeeded(self) {
        if self.counts {
            self.store.clear(&self.counters).await;
        }
    }
}

impl Verifier {
    /// Lets a login try the application, unless it is locked. So many tries of one name as lock it are under way at most: a burst
    /// of guesses is no more guesses. `None` where logins are not counted.
    pub async fn begin_login<'a>(
        &self,
        store: &'a Store,
        address: IpAddr,
        name: Option<&[u8]>,
    ) -> Result<Option<LoginTry<'a>>, Denial> {
        let Some(lockout) = self.limits.failed_logins else { return Ok(None) };
        let network = network(address);
        let counters = match name.map(folded) {
            Some(name) => vec![store.counter(&[b"name", &name]), store.counter(&[b"login", &network, &name])],
            None => vec![store.counter(&[b"login", &network])],
        };
        let Some(place) = counters.first().map(|whose| store.place(*whose)) else { return Ok(None) };
        let entered = tokio::time::timeout(PATIENCE, enter(store, &place, &counters, &lockout)).await;
        let (turn, failures) = entered
            .unwrap_or(Err(Denial::Limited("too many logins of one user name at once", Duration::from_secs(1))))?;
        Ok(Some(LoginTry { store, lockout, counters, counts: failures > 0, _turn: turn }))
    }

    /// What failed client tokens make of a judgement: a wrong one is counted, and where the address is locked nothing but a living
    /// session passes, nor is anything told about what would have.
    pub(super) async fn lock_out(
        &self,
        case: &Case<'_>,
        store: &Store,
        proved: &Result<Proved, Refusal>,
    ) -> Option<Denial> {
        let guesses = case.decided.require.needs_client() && case.via.is_none();
        let lockout = self.limits.failed_tokens.as_ref().filter(|_| guesses)?;
        let locked = match proved {
            Ok(proved) if proved.permit.identity.user.is_some() => None,
            Ok(proved) => proved.locked,
            Err(refusal) if refusal.is_guess() => Box::pin(self.note_guess(case.address, store)).await,
            Err(refusal) if refusal.tells_of_client() && store.is_alarmed().await => {
                let of_address = [failed_tokens_of(case.address, store)];
                let standings = Box::pin(store.standings(&of_address, lockout)).await;
                standings.first().and_then(|standing| standing.locked)
            }
            Err(_) => None,
        };
        locked.map(|after| Denial::Locked("limits.failed_tokens of the address", after))
    }

    /// Counts a guess. For how much longer the address is locked, where it was so before.
    pub async fn note_guess(&self, address: IpAddr, store: &Store) -> Option<Duration> {
        let lockout = self.limits.failed_tokens.as_ref()?;
        store.fail(&[failed_tokens_of(address, store)], lockout, true).await
    }
}

/// Waits for a turn. Those inside are counted before failures are looked up, and a try leaves only after its failure was counted:
/// so each is seen at least once.
async fn enter(
    store: &Store,
    place: &std::sync::Arc<Place>,
    counters: &[Counter],
    lockout: &Lockout,
) -> Result<(Turn, usize), Denial> {
    let _door = place.door().await;
    loop {
        let inside = place.inside();
        let standings = store.standings(counters, lockout).await;
        if let Some(after) = standings.iter().filter_map(|standing| standing.locked).max() {
            return Err(Denial::Locked("limits.failed_logins of the user name", after));
        }
        let failures = standings.iter().map(|standing| standing.failures).max().unwrap_or_default();
        if inside == 0 || inside + failures < lockout.tries {
            return Ok((place.enter(), failures));
        }
        place.somebody_left().await;
    }
}

impl Refusal {
    /// Whether it stands for a client token, or a signature made with a client's secret, that somebody may have guessed.
    pub const fn is_guess(&self) -> bool {
        matches!(
            self,
            Self::Denied(Denial::ClientRefused(ClientFlaw::Unknown | ClientFlaw::WrongToken) | Denial::SignRefused(_))
        )
    }

    /// Whether it tells that the client's token was right.
    const fn tells_of_client(&self) -> bool {
        match self {
            Self::Denied(denial) => !matches!(
                denial,
                Denial::EndpointUnknown | Denial::ClientMissing(_) | Denial::ClientRefused(_) | Denial::Limited(..)
            ),
            Self::Undecided(_) | Self::Unreadable(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn names_that_applications_take_for_one_are_counted_as_one() {
        for name in ["lilei", " LiLei\t", "LILEI\0", "\r\nlilei\x0b"] {
            assert_eq!(folded(name.as_bytes()), b"lilei", "{name:?}");
        }
        assert_eq!(folded("ÉMILE".as_bytes()), "émile".as_bytes());
        assert_eq!(folded(b"\xc0A"), b"\xc0a");
        assert_eq!(folded(b" \t"), b"");
    }
}
