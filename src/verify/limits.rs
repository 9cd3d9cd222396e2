//! Rates: which counters a request touches, and when.
//!
//! What counts for the address is counted before anything is proved. What counts for a client or a user is counted once they have
//! proved themselves: otherwise anybody could use up another's share.

use std::net::IpAddr;
use std::sync::OnceLock;

use crate::policy::Requirement;
use crate::store::Store;
use crate::store::counting::{Count, Counter, Lockout, Over, Rate};
use crate::verify::denial::Denial;
use crate::verify::{Case, Identity};

/// `limits`, as far as they count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// `per_ip`
    pub per_ip: Option<Rate>,
    /// `per_client`
    pub per_client: Option<Rate>,
    /// `per_user`
    pub per_user: Option<Rate>,
    /// `failed_logins`
    pub failed_logins: Option<Lockout>,
    /// `failed_tokens`
    pub failed_tokens: Option<Lockout>,
}

/// What becomes of a request over a limit: it is refused, or (`mode: observe`) it is only noted that it would have been.
#[derive(Debug, Default)]
pub struct Excess {
    observe: bool,
    noted: OnceLock<Denial>,
}

impl Excess {
    /// It is refused.
    pub fn refused() -> Self {
        Self::default()
    }

    /// It is noted.
    pub fn observed() -> Self {
        Self { observe: true, noted: OnceLock::new() }
    }

    /// The first limit that was noted.
    pub fn noted(&self) -> Option<Denial> {
        self.noted.get().copied()
    }

    /// Refuses where a limit was met, or notes it.
    pub(super) fn met(&self, limit: Option<impl Into<Denial>>) -> Result<(), Denial> {
        match limit.map(Into::into) {
            Some(denial) if !self.observe => Err(denial),
            Some(denial) => {
                self.noted.get_or_init(|| denial);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl From<Over> for Denial {
    fn from(over: Over) -> Self {
        Self::Limited(over.what, over.wait)
    }
}

impl Settings {
    /// Counts for the address, of a request that has proved nothing yet.
    pub(super) fn of_address(&self, case: &Case<'_>, store: &Store) -> Vec<Count> {
        let mut counts = Vec::new();
        if self.per_ip.is_none() && case.decided.rule.limit.is_none() {
            return counts;
        }
        let network = network(case.address);
        if let Some(rate) = self.per_ip {
            counts.push(Count { what: "limits.per_ip", key: store.counter(&[b"ip", &network]), rate });
        }
        let anybody = case.decided.require == Requirement::Public;
        counts.extend(of_rule(case, store, b"ip", anybody.then_some(&network)));
        counts
    }

    /// Counts for who has proved itself.
    pub(super) fn of_identity(&self, case: &Case<'_>, identity: &Identity, store: &Store) -> Vec<Count> {
        let client = identity.client.as_ref().map(|id| id.as_str().as_bytes());
        let user = identity.user.as_ref().map(|id| id.as_str().as_bytes());
        let mut counts = Vec::new();
        if let (Some(rate), Some(id)) = (self.per_client, client) {
            counts.push(Count { what: "limits.per_client", key: store.counter(&[b"client", id]), rate });
        }
        if let (Some(rate), Some(id)) = (self.per_user, user) {
            counts.push(Count { what: "limits.per_user", key: store.counter(&[b"user", id]), rate });
        }
        let (kind, who): (&[u8], _) = if user.is_some() { (b"user", user) } else { (b"client", client) };
        counts.extend(of_rule(case, store, kind, who));
        counts
    }
}

/// Counts for the rule's own `limit` and somebody.
fn of_rule(case: &Case<'_>, store: &Store, kind: &[u8], who: Option<&[u8]>) -> Option<Count> {
    let (limit, who) = (case.decided.rule.limit.as_ref()?, who?);
    let key = store.counter(&[b"rule", limit.name.as_bytes(), kind, who]);
    Some(Count { what: "the rule's limit", key, rate: limit.rate })
}

/// The counter of an address's failed client tokens.
pub(super) fn failed_tokens_of(address: IpAddr, store: &Store) -> Counter {
    store.counter(&[b"token", &network(address)])
}

/// An address as it is counted: of IPv6 the first 64 bits, because whoever has one address there has all of them (RFC 6177).
pub fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().iter().take(8).copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_counts_as_one_address_and_each_ipv4_address_by_itself() {
        let same = |one: &str, other: &str| network(one.parse().unwrap()) == network(other.parse().unwrap());
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(!same("10.0.0.1", "10.0.0.2"));
        assert!(same("10.0.0.1", "::ffff:10.0.0.1"));
    }
}
