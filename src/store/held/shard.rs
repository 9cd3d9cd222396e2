//! One shard of what is held: two rooms of two generations each. What was not used while a whole generation came goes with the
//! oldest one.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::flight::Marker;
use super::{Fact, Key, Promise};

/// What is not there, or is no more, gets this part of the room, for anybody can ask for it.
const ABSENT: usize = 16;

/// A fact, and on what grounds it is held.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) fact: Fact,
    pub(super) promise: Arc<Promise>,
    /// When a decision last took it for certain.
    pub(super) verified: Instant,
}

/// All about the keys that fall to it.
#[derive(Debug, Default)]
pub(super) struct Shard {
    present: Room,
    absent: Room,
    pub(super) flights: HashMap<Key, Marker>,
}

/// Facts of two generations, the younger of which fills half the room at most.
#[derive(Debug, Default)]
struct Room {
    young: HashMap<Key, Entry>,
    old: HashMap<Key, Entry>,
    /// About how many bytes the young take.
    weight: usize,
}

impl Shard {
    /// Looks at what is held under a key, which counts as a use of it.
    pub(super) fn look_at<T>(&mut self, key: &Key, room: usize, look: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        // Nearly always it is there and young, so nothing else is looked at before.
        if let Some(entry) = self.present.young.get_mut(key) {
            return Some(look(entry));
        }
        let entry = match self.absent.has(key) {
            true => self.absent.get(key, room / ABSENT),
            false => self.present.get(key, room),
        };
        entry.map(look)
    }

    pub(super) fn put(&mut self, key: Key, entry: Entry, room: usize) {
        self.remove(&key);
        match entry.fact {
            Fact::Live(_) | Fact::Client(_) => self.present.put(key, entry, room),
            Fact::NoClient | Fact::NoSession | Fact::Ended(_) => self.absent.put(key, entry, room / ABSENT),
        }
    }

    /// A flight is over; whether it still stood.
    pub(super) fn end_flight(&mut self, key: &Key, number: u64) -> bool {
        if self.flights.get(key).is_none_or(|marker| marker.number != number) {
            return false;
        }
        self.flights.remove(key).is_some_and(|marker| marker.stands)
    }

    /// Takes back what this link promised or is asking.
    pub(super) fn drop_of(&mut self, key: &Key, link: u32) {
        if let Some(marker) = self.flights.get_mut(key).filter(|marker| marker.link == link) {
            marker.stands = false;
        }
        let theirs = |entry: &Entry| entry.promise.link == link;
        self.present.remove_if(key, theirs);
        self.absent.remove_if(key, theirs);
    }

    /// Takes back whatever is held or being asked.
    pub(super) fn drop_all(&mut self, key: &Key) {
        if let Some(marker) = self.flights.get_mut(key) {
            marker.stands = false;
        }
        self.remove(key);
    }

    /// Takes back all that a connection promised or is being asked.
    pub(super) fn drop_promised(&mut self, promise: &Promise) {
        for marker in self.flights.values_mut().filter(|marker| marker.link == promise.link) {
            marker.stands = false;
        }
        self.retain(|_, entry| !std::ptr::eq(Arc::as_ptr(&entry.promise), promise));
    }

    pub(super) fn retain(&mut self, stays: impl Fn(&Key, &Entry) -> bool) {
        self.present.retain(&stays);
        self.absent.retain(&stays);
    }

    /// How many are there, and how many are not.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        let size = |room: &Room| room.young.len() + room.old.len();
        (size(&self.present), size(&self.absent))
    }

    fn remove(&mut self, key: &Key) {
        self.present.remove_if(key, |_| true);
        self.absent.remove_if(key, |_| true);
    }
}

impl Room {
    fn has(&self, key: &Key) -> bool {
        self.young.contains_key(key) || self.old.contains_key(key)
    }

    /// Whoever is used becomes young again.
    fn get(&mut self, key: &Key, room: usize) -> Option<&mut Entry> {
        if let Some((key, entry)) = self.old.remove_entry(key) {
            self.put(key, entry, room);
        }
        self.young.get_mut(key)
    }

    /// Under a key that is not among the young.
    fn put(&mut self, key: Key, entry: Entry, room: usize) {
        let weight = weight(&key, &entry.fact);
        if self.weight + weight > room / 2 {
            self.old = mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        self.young.insert(key, entry);
    }

    fn remove_if(&mut self, key: &Key, goes: impl Fn(&Entry) -> bool) {
        if self.young.get(key).is_some_and(&goes)
            && let Some(entry) = self.young.remove(key)
        {
            self.weight = self.weight.saturating_sub(weight(key, &entry.fact));
        }
        if self.old.get(key).is_some_and(&goes) {
            self.old.remove(key);
        }
    }

    fn retain(&mut self, stays: impl Fn(&Key, &Entry) -> bool) {
        self.old.retain(|key, entry| stays(key, entry));
        self.young.retain(|key, entry| stays(key, entry));
        self.weight = self.young.iter().map(|(key, entry)| weight(key, &entry.fact)).sum();
    }
}

/// About how many bytes it takes, its share of the table included.
fn weight(key: &Key, fact: &Fact) -> usize {
    const PLACE: usize = 2 * (size_of::<Key>() + size_of::<Entry>());
    let name = match key {
        Key::Client(id) => 32 + id.as_str().len(),
        Key::Session(_) => 0,
    };
    let record = match fact {
        Fact::Client(client) => client.weight(),
        Fact::Live(live) => live.record.weight(),
        Fact::NoClient | Fact::NoSession | Fact::Ended(_) => 0,
    };
    PLACE + name + record
}
