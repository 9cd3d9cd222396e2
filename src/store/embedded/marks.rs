//! Nonces and signatures that were used, until they may be forgotten.

use std::collections::{BTreeSet, HashMap};

use crate::clock::Timestamp;
use crate::ids::{ClientId, TokenHash};

/// Something that a client signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Who used it.
    pub(super) client: ClientId,
    /// When it may be forgotten.
    pub(super) expires: Timestamp,
}

/// All of them, with the oldest of each client and of all at hand.
#[derive(Debug, Default)]
pub(super) struct Marks {
    known: HashMap<TokenHash, Mark>,
    expiries: BTreeSet<(Timestamp, TokenHash)>,
    clients: HashMap<ClientId, BTreeSet<(Timestamp, TokenHash)>>,
}

impl Marks {
    /// Puts a mark, or nothing, in the place of what stood there, which is given back.
    pub(super) fn replace(&mut self, hash: TokenHash, mark: Option<Mark>) -> Option<Mark> {
        let before = self.known.remove(&hash);
        if let Some(before) = &before {
            self.expiries.remove(&(before.expires, hash));
            self.forget_of_client(hash, before);
        }
        if let Some(mark) = mark {
            self.expiries.insert((mark.expires, hash));
            self.clients.entry(mark.client.clone()).or_default().insert((mark.expires, hash));
            self.known.insert(hash, mark);
        }
        before
    }

    fn forget_of_client(&mut self, hash: TokenHash, mark: &Mark) {
        let Some(own) = self.clients.get_mut(&mark.client) else { return };
        own.remove(&(mark.expires, hash));
        if own.is_empty() {
            self.clients.remove(&mark.client);
        }
    }

    /// What stands there, expired or not.
    pub(super) fn stored(&self, hash: TokenHash) -> Option<&Mark> {
        self.known.get(&hash)
    }

    /// Whether it was used, and must still be remembered.
    pub(super) fn is_live(&self, hash: TokenHash, now: Timestamp) -> bool {
        self.known.get(&hash).is_some_and(|mark| mark.expires > now)
    }

    /// When there will be room for another of that client; `None` where there is, or would be but for what has expired.
    pub(super) fn full_until(&self, client: &ClientId, most: u64, now: Timestamp) -> Option<Timestamp> {
        let own = self.clients.get(client).filter(|own| own.len() as u64 >= most)?;
        own.first().map(|(expires, _)| *expires).filter(|expires| *expires > now)
    }

    /// Up to so many that have expired.
    pub(super) fn expired(&self, now: Timestamp, most: usize) -> Vec<TokenHash> {
        let expired = self.expiries.iter().take_while(|(expires, _)| *expires <= now);
        expired.take(most).map(|(_, hash)| *hash).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_leaves_no_index_behind() {
        let (at, hash) = (Timestamp::from_secs, |byte| TokenHash::new([byte; 32]));
        let (ios, web) = (ClientId::new("ios").unwrap(), ClientId::new("web").unwrap());
        let mark = |client: &ClientId, expires| Some(Mark { client: client.clone(), expires: at(expires) });
        let mut marks = Marks::default();
        assert_eq!(marks.replace(hash(1), mark(&ios, 5)), None);
        assert_eq!(marks.replace(hash(1), mark(&web, 9)), mark(&ios, 5));
        marks.replace(hash(2), mark(&web, 7));
        assert_eq!((marks.full_until(&ios, 1, at(0)), marks.full_until(&web, 2, at(6))), (None, Some(at(7))));
        assert_eq!((marks.full_until(&web, 2, at(7)), marks.expired(at(7), 5)), (None, vec![hash(2)]));
        assert!(marks.is_live(hash(2), at(6)) && !marks.is_live(hash(2), at(7)));
        marks.replace(hash(1), None);
        marks.replace(hash(2), None);
        assert!(marks.known.is_empty() && marks.expiries.is_empty() && marks.clients.is_empty());
    }
}
