//! Which node has which slot.

use std::collections::BTreeSet;
use std::sync::Arc;

use redis::Value;

use super::slots::SLOTS;
use crate::store::redis::url::Address;

/// No node has it.
const NOBODY: u16 = u16::MAX;

/// The nodes of a Cluster, as one of them told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    masters: Vec<Arc<Address>>,
    replicas: Vec<Arc<Address>>,
    /// For each slot an index into `masters`.
    owners: Vec<u16>,
}

impl Table {
    /// Reads the answer of `CLUSTER SLOTS`, which Redis 6.2 knows as well: ranges, each with its master, then its replicas.
    pub(super) fn told(ranges: Value, by: &Address) -> Option<Self> {
        let Value::Array(ranges) = ranges else { return None };
        let owners = vec![NOBODY; usize::from(SLOTS)];
        let mut table = Self { masters: Vec::new(), replicas: Vec::new(), owners };
        for range in ranges {
            table.add(range, by)?;
        }
        (!table.masters.is_empty()).then_some(table)
    }

    fn add(&mut self, range: Value, by: &Address) -> Option<()> {
        let Value::Array(parts) = range else { return None };
        let mut parts = parts.into_iter();
        let (first, last) = (number(&parts.next()?)?, number(&parts.next()?)?);
        let owner = self.index(&address(parts.next()?, by)?)?;
        self.owners.get_mut(usize::from(first)..=usize::from(last))?.fill(owner);
        for replica in parts.filter_map(|replica| address(replica, by)) {
            if !self.replicas.iter().any(|known| **known == replica) {
                self.replicas.push(Arc::new(replica));
            }
        }
        Some(())
    }

    fn index(&mut self, address: &Address) -> Option<u16> {
        let known = self.masters.iter().position(|master| **master == *address);
        let index = known.unwrap_or_else(|| {
            self.masters.push(Arc::new(address.clone()));
            self.masters.len() - 1
        });
        u16::try_from(index).ok().filter(|index| *index != NOBODY)
    }

    /// The same, with one slot elsewhere.
    pub(super) fn with(&self, slot: u16, owner: &Address) -> Self {
        let mut table = self.clone();
        if let Some(index) = table.index(owner)
            && let Some(entry) = table.owners.get_mut(usize::from(slot))
        {
            *entry = index;
        }
        table
    }

    /// Who has a slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Arc<Address>> {
        self.masters.get(usize::from(*self.owners.get(usize::from(slot))?))
    }

    /// Those who had slots that are another's in `after`.
    pub(super) fn losers<'a>(&'a self, after: &Self) -> BTreeSet<&'a Arc<Address>> {
        let owners = (0..SLOTS).filter_map(|slot| self.owner(slot).filter(|owner| after.owner(slot) != Some(owner)));
        owners.collect()
    }

    /// Those that have slots.
    pub(super) fn masters(&self) -> &[Arc<Address>] {
        &self.masters
    }

    /// All nodes.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Arc<Address>> {
        self.masters.iter().chain(&self.replicas)
    }

    /// How many masters, replicas, and slots that nobody has.
    pub(super) fn count(&self) -> (usize, usize, usize) {
        let orphans = self.owners.iter().filter(|owner| **owner == NOBODY).count();
        (self.masters.len(), self.replicas.len(), orphans)
    }
}

/// `[host, port, id, …]`; a node that does not know its own host names none, and is where it was asked.
fn address(node: Value, by: &Address) -> Option<Address> {
    let Value::Array(parts) = node else { return None };
    let mut parts = parts.into_iter();
    let host = match parts.next()? {
        Value::BulkString(host) => String::from_utf8(host).ok()?,
        Value::Nil => String::new(),
        _ => return None,
    };
    let host = if matches!(host.as_str(), "" | "?") { by.host.clone() } else { host };
    Some(Address { host, port: number(&parts.next()?)? })
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str, port: i64) -> Value {
        Value::Array(vec![Value::BulkString(host.into()), Value::Int(port), Value::BulkString("id".into())])
    }

    fn range(first: i64, last: i64, nodes: &[Value]) -> Value {
        Value::Array([Value::Int(first), Value::Int(last)].into_iter().chain(nodes.iter().cloned()).collect())
    }

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.into(), port }
    }

    #[test]
    fn slots_belong_to_whom_redis_says_or_to_nobody() {
        let told = Value::Array(vec![
            range(0, 5, &[node("a", 1), node("b", 2)]),
            range(7, 16383, &[node("", 3)]),
            range(6, 6, &[node("a", 1), node("b", 2)]),
        ]);
        let table = Table::told(told, &at("asked", 9)).unwrap();
        let owner = |slot| table.owner(slot).map(|owner| (**owner).clone());
        assert_eq!(owner(5), Some(at("a", 1)));
        assert_eq!(owner(6), Some(at("a", 1)));
        assert_eq!(owner(16383), Some(at("asked", 3)));
        assert_eq!(table.count(), (2, 1, 0));

        let moved = table.with(5, &at("c", 4));
        assert_eq!(moved.owner(5).map(|owner| owner.port), Some(4));
        assert_eq!(moved.owner(4).map(|owner| owner.port), Some(1));
        assert_eq!(table.losers(&moved).into_iter().map(|loser| loser.port).collect::<Vec<_>>(), [1]);
        assert!(table.losers(&table).is_empty());
    }

    #[test]
    fn gaps_are_nobodys_and_nonsense_is_no_table() {
        let asked = at("asked", 9);
        let table = Table::told(Value::Array(vec![range(0, 0, &[node("a", 1)])]), &asked).unwrap();
        assert_eq!((table.owner(1), table.count()), (None, (1, 0, 16383)));
        for told in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![range(0, 16384, &[node("a", 1)])]),
            Value::Array(vec![range(5, 0, &[node("a", 1)])]),
            Value::Array(vec![range(0, 1, &[])]),
            Value::Array(vec![Value::Int(1)]),
        ] {
            assert_eq!(Table::told(told.clone(), &asked), None, "{told:?}");
        }
    }
}
