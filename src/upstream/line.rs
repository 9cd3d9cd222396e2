//! Those who wait for something that is given out one at a time, in turns: one for each program that has a client id, one for all
//! who have none; within that, one for each user, or network without a user; and there whoever came first.
//!
//! So nobody gets ahead by asking often, and a program with many users shares its turns among them.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::Hash;
use std::net::IpAddr;

use crate::ids::{ClientId, UserId};
use crate::verify::{Identity, limits};

/// Room for fewer is never given back.
const FEW: usize = 64;

/// On whose behalf something is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Who that was proved to be.
    pub identity: &'a Identity,
    /// Its address.
    pub address: IpAddr,
}

/// Waiters, each of whom is a `W`.
#[derive(Debug)]
pub(super) struct Line<W> {
    programs: Ring<Option<ClientId>, Ring<Member, BTreeMap<u64, W>>>,
    tickets: u64,
}

/// Where somebody stands in a [`Line`].
#[derive(Debug)]
pub(super) struct Ticket {
    program: Option<ClientId>,
    member: Member,
    number: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Member {
    User(UserId),
    Network(Vec<u8>),
}

impl From<Asker<'_>> for Member {
    fn from(asker: Asker<'_>) -> Self {
        asker.identity.user.clone().map_or_else(|| Self::Network(limits::network(asker.address)), Self::User)
    }
}

impl<W> Default for Line<W> {
    fn default() -> Self {
        Self { programs: Ring::default(), tickets: 0 }
    }
}

impl<W> Line<W> {
    /// Somebody comes.
    pub(super) fn join(&mut self, asker: Asker<'_>, waiter: W) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket { program: asker.identity.client.clone(), member: asker.into(), number: self.tickets };
        let members = self.programs.line(&ticket.program);
        members.line(&ticket.member).insert(ticket.number, waiter);
        ticket
    }

    /// Somebody leaves; taken out, unless it was its turn already.
    pub(super) fn leave(&mut self, ticket: &Ticket) -> Option<W> {
        let mut gone = None;
        self.programs.visit(&ticket.program, |members| {
            members.visit(&ticket.member, |waiters| {
                gone = waiters.remove(&ticket.number);
                waiters.is_empty()
            });
            members.is_empty()
        });
        gone
    }

    /// Whose turn it is; taken out.
    pub(super) fn next(&mut self) -> Option<W> {
        let first = |waiters: &mut BTreeMap<u64, W>| (waiters.pop_first(), waiters.is_empty());
        let taken = self.programs.turn(|members| (members.turn(first), members.is_empty()));
        taken.flatten().flatten().map(|(_, waiter)| waiter)
    }
}

/// Lines that take turns, none of them empty.
#[derive(Debug)]
struct Ring<K, L> {
    lines: HashMap<K, (u64, L)>,
    /// The keys of all, those first whose turn is next.
    order: BTreeMap<u64, K>,
    last: u64,
}

impl<K, L> Default for Ring<K, L> {
    fn default() -> Self {
        Self { lines: HashMap::new(), order: BTreeMap::new(), last: 0 }
    }
}

impl<K: Clone + Eq + Hash, L: Default> Ring<K, L> {
    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// A line, for somebody to be put into it. A new one has its turn after all others.
    fn line(&mut self, key: &K) -> &mut L {
        match self.lines.entry(key.clone()) {
            Entry::Occupied(known) => &mut known.into_mut().1,
            Entry::Vacant(new) => {
                self.last += 1;
                self.order.insert(self.last, key.clone());
                &mut new.insert((self.last, L::default())).1
            }
        }
    }

    /// The line whose turn it is gives what `take` takes out of it, and comes last then. `take` also tells whether it is empty.
    fn turn<T>(&mut self, take: impl FnOnce(&mut L) -> (T, bool)) -> Option<T> {
        let (_, key) = self.order.pop_first()?;
        let (place, line) = self.lines.get_mut(&key)?;
        let (taken, emptied) = take(line);
        if emptied {
            self.forget(&key);
        } else {
            self.last += 1;
            *place = self.last;
            self.order.insert(self.last, key);
        }
        Some(taken)
    }

    /// Changes a line where it stands. `change` tells whether it is empty then.
    fn visit(&mut self, key: &K, change: impl FnOnce(&mut L) -> bool) {
        let Some((place, line)) = self.lines.get_mut(key) else { return };
        if change(line) {
            self.order.remove(place);
            self.forget(key);
        }
    }

    fn forget(&mut self, key: &K) {
        self.lines.remove(key);
        if self.lines.is_empty() && self.lines.capacity() > FEW {
            self.lines = HashMap::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `client/user@address`, each of which may be empty.
    fn identity(who: &str) -> (Identity, IpAddr) {
        let (name, address) = who.split_once('@').unwrap_or((who, ""));
        let (client, user) = name.split_once('/').unwrap();
        let identity = Identity { client: ClientId::new(client).ok(), user: UserId::new(user).ok(), session: None };
        (identity, address.parse().unwrap_or([192, 0, 2, 1].into()))
    }

    fn join(line: &mut Line<String>, who: &str, waiter: &str) -> Ticket {
        let (identity, address) = identity(who);
        line.join(Asker { identity: &identity, address }, waiter.to_owned())
    }

    fn rest(line: &mut Line<String>) -> String {
        std::iter::from_fn(|| line.next()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn those_who_wait_take_turns_and_each_keeps_its_own_order() {
        let cases: &[(&str, &[&str], &str)] = &[
            ("networks", &["/@10.0.0.1", "/@10.0.0.1", "/@10.0.0.1", "/@10.0.0.2"], "0 3 1 2"),
            ("one network of IPv6", &["/@2001:db8::1", "/@2001:db8::2", "/@2001:db8:0:1::1"], "0 2 1"),
            ("clients at one address", &["a/", "a/", "a/", "b/", "c/", "b/"], "0 3 4 1 5 2"),
            ("a client and strangers", &["a/", "a/", "a/", "/@10.0.0.1", "/@10.0.0.2", "/@10.0.0.3"], "0 3 1 4 2 5"),
            ("users of one client", &["a/1", "a/1", "a/1", "a/2", "a/3@10.0.0.1"], "0 3 4 1 2"),
            ("a client with many users", &["a/1", "a/2", "a/3", "b/1"], "0 3 1 2"),
            ("a user at two addresses", &["/1@10.0.0.1", "/1@10.0.0.2", "/2@10.0.0.1"], "0 2 1"),
            ("a user of two clients", &["a/1", "a/1", "b/1"], "0 2 1"),
            ("no user is a network", &["/@10.0.0.1", "/@10.0.0.1", "/10.0.0.1@10.0.0.1"], "0 2 1"),
        ];
        for (name, askers, order) in cases {
            let mut line = Line::default();
            for (number, asker) in askers.iter().enumerate() {
                join(&mut line, asker, &number.to_string());
            }
            assert_eq!(rest(&mut line), *order, "{name}");
            assert!(line.programs.is_empty(), "{name}");
        }
    }

    #[test]
    fn who_asks_again_at_once_comes_after_all_others_who_wait() {
        let mut line = Line::default();
        for waiter in ["a1", "a2", "a3"] {
            join(&mut line, "a/", waiter);
        }
        let mut served = vec![];
        for round in 0..3 {
            join(&mut line, "b/", &format!("b{round}"));
            served.extend([line.next().unwrap(), line.next().unwrap()]);
        }
        assert_eq!(served, ["a1", "b0", "a2", "b1", "a3", "b2"]);
    }

    #[test]
    fn who_leaves_gives_up_its_turn_and_nobody_elses() {
        let mut line = Line::default();
        let first = join(&mut line, "a/1", "a1");
        let second = join(&mut line, "a/2", "a2");
        join(&mut line, "a/2", "a2 again");
        let only = join(&mut line, "b/", "b");
        join(&mut line, "c/", "c");
        assert_eq!(line.leave(&first).as_deref(), Some("a1"));
        assert_eq!(line.leave(&only).as_deref(), Some("b"));
        assert_eq!(line.leave(&only), None);
        assert_eq!(line.next().as_deref(), Some("a2"));
        assert_eq!(line.leave(&second), None);
        assert_eq!(rest(&mut line), "c a2 again");
        assert!(line.programs.is_empty() && line.programs.order.is_empty());
    }

    #[test]
    fn room_for_many_is_given_back() {
        let mut line = Line::default();
        for number in 0..10_000 {
            join(&mut line, &format!("{number}/"), "");
        }
        while line.next().is_some() {}
        assert!(line.programs.lines.capacity() <= FEW);
    }
}
