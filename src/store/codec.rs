//! Names and values as they lie in a store: which key a thing stands under, and its record sealed under that key's name.

use std::sync::Arc;

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};

use crate::ids::{ClientId, TokenHash, UserId};

use super::counting::Counter;
use super::record::{ClientRecord, SessionRecord};
use super::seal::Seal;
use super::{Fault, Key, Settings};

/// Names keys, writes and reads values.
#[derive(Debug)]
pub(super) struct Codec {
    prefix: String,
    seal: ArcSwap<Seal>,
}

impl Codec {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { prefix: settings.prefix.clone(), seal: ArcSwap::from_pointee(Seal::new(&settings.keys)) }
    }

    /// From now on by these keys.
    pub(super) fn renew(&self, keys: &[Key]) {
        self.seal.store(Arc::new(Seal::new(keys)));
    }

    /// The keyed hash that a token's session is written under.
    pub(super) fn hash(&self, token: &[u8]) -> TokenHash {
        self.seal.load().hash(token)
    }

    /// The counter for somebody. Each part goes in with its length, so that no two lists of parts are the same bytes.
    pub(super) fn counter(&self, who: &[&[u8]]) -> Counter {
        let mut whole = b"counter".to_vec();
        for part in who {
            whole.extend((part.len() as u64).to_le_bytes());
            whole.extend_from_slice(part);
        }
        Counter::of_hash(self.seal.load().hash(&whole))
    }

    /// Key of a rate.
    pub(super) fn rate_key(&self, counter: Counter) -> String {
        format!("{}rate:{}", self.prefix, counter.to_hex())
    }

    /// Key of failed tries.
    pub(super) fn tries_key(&self, counter: Counter) -> String {
        format!("{}tries:{}", self.prefix, counter.to_hex())
    }

    /// Key that is there while there may be locks.
    pub(super) fn alarm_key(&self) -> String {
        format!("{}tries:alarm", self.prefix)
    }

    /// The hashes that it may stand under, that one first.
    pub(super) fn hashes(&self, token: &[u8]) -> Vec<TokenHash> {
        self.seal.load().hashes(token)
    }

    /// Whether a stored value would be written under another key today.
    pub(super) fn is_outdated(&self, stored: &[u8]) -> bool {
        self.seal.load().is_outdated(stored)
    }

    /// Where gates tell each other of sessions that ended or moved.
    pub(super) fn notices(&self) -> String {
        format!("{}ended", self.prefix)
    }

    /// Key of a session.
    pub(super) fn session_key(&self, hash: TokenHash) -> String {
        self.session_prefix() + &hash.to_hex()
    }

    /// What the key of every session begins with.
    pub(super) fn session_prefix(&self) -> String {
        format!("{}session:", self.prefix)
    }

    /// Key of the list of a user's sessions.
    pub(super) fn user_key(&self, user: &UserId) -> String {
        format!("{}user:{user}", self.prefix)
    }

    /// Key of a client.
    pub(super) fn client_key(&self, id: &ClientId) -> String {
        self.client_prefix() + id.as_str()
    }

    /// The hash under which something that a client signed with is remembered. It opens nothing, so no key is needed, and a
    /// `store.key` that is being replaced changes nothing.
    pub(super) fn mark(client: &ClientId, what: &[u8]) -> TokenHash {
        // An id holds no control character, so the NUL tells where it ends.
        TokenHash::new(Sha256::digest([client.as_str().as_bytes(), what].join(&0)).into())
    }

    /// Key of a nonce or signature that was used.
    pub(super) fn mark_key(&self, client: &ClientId, mark: TokenHash) -> String {
        format!("{}nonce:{client}:{}", self.prefix, mark.to_hex())
    }

    /// Key of how many of them a client used of late. No mark's key ends in this word, whatever the client is called.
    pub(super) fn mark_count_key(&self, client: &ClientId) -> String {
        format!("{}nonce:{client}:count", self.prefix)
    }

    /// What the key of every client begins with.
    pub(super) fn client_prefix(&self) -> String {
        format!("{}client:", self.prefix)
    }

    /// A session as it is stored.
    pub(super) fn seal_session(&self, hash: TokenHash, record: &SessionRecord) -> Result<Vec<u8>, Fault> {
        self.seal(&self.session_key(hash), record.to_json())
    }

    /// A session from how it is stored.
    pub(super) fn open_session(&self, hash: TokenHash, stored: Vec<u8>) -> Result<SessionRecord, Fault> {
        let plain = self.seal.load().open(&self.session_key(hash), stored);
        let plain = plain.map_err(|shut| Fault::Unreadable(format!("session {hash:?}: {shut}")))?;
        SessionRecord::from_json(&plain)
            .ok_or_else(|| Fault::Unreadable(format!("session {hash:?}: it is no session record of this version")))
    }

    /// A client as it is stored.
    pub(super) fn seal_client(&self, record: &ClientRecord) -> Result<Vec<u8>, Fault> {
        self.seal(&self.client_key(&record.id), record.to_json())
    }

    /// A client from how it is stored.
    pub(super) fn open_client(&self, id: &ClientId, stored: Vec<u8>) -> Result<ClientRecord, Fault> {
        let plain = self.seal.load().open(&self.client_key(id), stored);
        let plain = plain.map_err(|shut| Fault::Unreadable(format!("client {id}: {shut}")))?;
        ClientRecord::from_json(&plain)
            .filter(|record| record.id == *id)
            .ok_or_else(|| Fault::Unreadable(format!("client {id}: it is no record of this client of this version")))
    }

    fn seal(&self, name: &str, json: serde_json::Result<Vec<u8>>) -> Result<Vec<u8>, Fault> {
        let json = json.map_err(|error| Fault::Failed(format!("a record cannot be written: {error}")))?;
        self.seal.load().seal(name, json).map_err(|error| Fault::Failed(error.to_string()))
    }
}
