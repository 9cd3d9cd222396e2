//! Sealing of stored values, and the hashing of tokens, both under keys derived from those of `store.key`.
//!
//! A sealed value is `0x01`, the id of its key (4 bytes), a random nonce (12 bytes), and AES-256-GCM over the plain bytes with
//! the whole name of the value as associated data: a value moved under another name does not open.
//!
//! The first key seals and hashes. All of them open and find, so that a key can be replaced while sessions stand.

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::ids::TokenHash;

use super::Key;

const VERSION: u8 = 1;
const KEY_ID: usize = 4;
const NONCE: usize = 12;

const SEAL_LABEL: &[u8] = b"ticketgate store seal v1";
const TOKEN_LABEL: &[u8] = b"ticketgate store token v1";

/// Why a value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Shut {
    /// It lies open where it should be sealed: somebody else wrote it.
    #[error("it is not sealed, but a store.key is set")]
    Plain,
    /// There is no key to open it with.
    #[error("it is sealed, but no store.key is set")]
    NoKey,
    /// It was sealed under a key that is not ours.
    #[error("it is sealed under another store.key")]
    OtherKey,
    /// Altered, cut off, or moved from another name.
    #[error("it was altered, or moved from another key")]
    Altered,
}

/// No randomness for a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no randomness to seal with")]
pub(super) struct NoRandomness;

/// Seals and opens values, and hashes tokens.
pub(super) struct Seal {
    /// What seals and hashes.
    first: Pair,
    /// What only opens and finds.
    older: Vec<Pair>,
}

/// What is made of one key.
struct Pair {
    tokens: Hmac<Sha256>,
    /// `None`: values are plain.
    values: Option<SealingKey>,
}

impl Seal {
    /// Derives everything from `store.key`; no key at all is [`Key::Plain`].
    pub(super) fn new(keys: &[Key]) -> Self {
        let (first, older) = keys.split_first().unwrap_or((&Key::Plain, &[]));
        Self { first: Pair::new(first), older: older.iter().map(Pair::new).collect() }
    }

    /// The hash that a token's session is written under.
    pub(super) fn hash(&self, token: &[u8]) -> TokenHash {
        self.first.hash(token)
    }

    /// The hashes that a token's session may stand under, the one that is written first.
    pub(super) fn hashes(&self, token: &[u8]) -> Vec<TokenHash> {
        self.pairs().map(|pair| pair.hash(token)).collect()
    }

    /// Seals what is to be stored under `name`.
    pub(super) fn seal(&self, name: &str, plain: Vec<u8>) -> Result<Vec<u8>, NoRandomness> {
        match &self.first.values {
            Some(key) => key.seal(name, &plain),
            None => Ok(plain),
        }
    }

    /// Opens what was stored under `name`.
    pub(super) fn open(&self, name: &str, stored: Vec<u8>) -> Result<Vec<u8>, Shut> {
        match stored.strip_prefix(&[VERSION]) {
            Some(sealed) => self.unseal(name, sealed),
            None if self.pairs().any(|pair| pair.values.is_none()) => Ok(stored),
            None => Err(Shut::Plain),
        }
    }

    /// Whether a stored value would be written under another key today.
    pub(super) fn is_outdated(&self, stored: &[u8]) -> bool {
        let id = stored.strip_prefix(&[VERSION]).and_then(<[u8]>::first_chunk::<KEY_ID>);
        id != self.first.values.as_ref().map(|key| &key.id)
    }

    fn unseal(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Shut> {
        let (id, rest) = sealed.split_first_chunk::<KEY_ID>().ok_or(Shut::Altered)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or(Shut::Altered)?;
        let mut refused = Shut::NoKey;
        for key in self.pairs().filter_map(|pair| pair.values.as_ref()) {
            refused = Shut::OtherKey;
            if key.id == *id {
                return key.open(name, *nonce, ciphertext);
            }
        }
        Err(refused)
    }

    fn pairs(&self) -> impl Iterator<Item = &Pair> {
        std::iter::once(&self.first).chain(&self.older)
    }
}

impl Pair {
    fn new(key: &Key) -> Self {
        match key {
            Key::Sealing(key) => Self {
                tokens: keyed(&derive(key.expose(), TOKEN_LABEL)),
                values: Some(SealingKey::new(&derive(key.expose(), SEAL_LABEL))),
            },
            Key::Plain => Self { tokens: keyed(TOKEN_LABEL), values: None },
        }
    }

    fn hash(&self, token: &[u8]) -> TokenHash {
        TokenHash::new(self.tokens.clone().chain_update(token).finalize().into_bytes().into())
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("keys", &self.pairs().count()).finish_non_exhaustive()
    }
}

struct SealingKey {
    id: [u8; KEY_ID],
    cipher: Aes256Gcm,
}

impl SealingKey {
    fn new(key: &[u8; 32]) -> Self {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let [a, b, c, d, ..] = digest;
        Self { id: [a, b, c, d], cipher: Aes256Gcm::new(&(*key).into()) }
    }

    fn seal(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, NoRandomness> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| NoRandomness)?;
        let payload = Payload { msg: plain, aad: name.as_bytes() };
        // It can only fail beyond 64 GiB.
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| NoRandomness)?;
        Ok([&[VERSION], self.id.as_slice(), &nonce, &sealed].concat())
    }

    fn open(&self, name: &str, nonce: [u8; NONCE], ciphertext: &[u8]) -> Result<Vec<u8>, Shut> {
        let payload = Payload { msg: ciphertext, aad: name.as_bytes() };
        self.cipher.decrypt(&Nonce::from(nonce), payload).map_err(|_| Shut::Altered)
    }
}

fn derive(key: &[u8], label: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(label).finalize().into_bytes().into()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length; the error exists for other MACs")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn key(byte: u8) -> Key {
        Key::Sealing(Secret::new([byte; 32]))
    }

    fn with_key(byte: u8) -> Seal {
        Seal::new(&[key(byte)])
    }

    #[test]
    fn a_sealed_value_opens_under_its_name_and_key_alone() {
        let seal = with_key(1);
        let stored = seal.seal("t:client:ios", b"hello".to_vec()).unwrap();
        assert!(!stored.windows(5).any(|window| window == b"hello"));
        assert_eq!(seal.open("t:client:ios", stored.clone()), Ok(b"hello".to_vec()));
        assert_eq!(with_key(1).open("t:client:ios", stored.clone()), Ok(b"hello".to_vec()));

        assert_eq!(seal.open("t:client:web", stored.clone()), Err(Shut::Altered));
        assert_eq!(with_key(2).open("t:client:ios", stored.clone()), Err(Shut::OtherKey));
        assert_eq!(Seal::new(&[]).open("t:client:ios", stored), Err(Shut::NoKey));
    }

    #[test]
    fn nothing_altered_cut_off_or_plain_opens() {
        let seal = with_key(1);
        let stored = seal.seal("n", b"hello".to_vec()).unwrap();
        for at in 0..stored.len() {
            let mut altered = stored.clone();
            altered[at] ^= 0x10;
            assert!(seal.open("n", altered).is_err(), "byte {at}");
            assert!(seal.open("n", stored[..at].to_vec()).is_err(), "cut to {at}");
        }
        assert_eq!(seal.open("n", b"{\"v\":1}".to_vec()), Err(Shut::Plain));
    }

    #[test]
    fn the_same_value_is_never_sealed_the_same_way_twice() {
        let seal = with_key(1);
        assert_ne!(seal.seal("n", b"x".to_vec()).unwrap(), seal.seal("n", b"x".to_vec()).unwrap());
    }

    #[test]
    fn a_token_hash_depends_on_token_and_key() {
        let seal = with_key(1);
        assert_eq!(seal.hash(b"token"), with_key(1).hash(b"token"));
        assert_ne!(seal.hash(b"token"), seal.hash(b"tokem"));
        assert_ne!(seal.hash(b"token"), with_key(2).hash(b"token"));
        assert_ne!(seal.hash(b"token"), Seal::new(&[]).hash(b"token"));
        assert_eq!(Seal::new(&[Key::Plain]).hash(b"token"), Seal::new(&[]).hash(b"token"));
    }

    #[test]
    fn the_first_of_several_keys_seals_and_all_of_them_open() {
        let rotating = Seal::new(&[key(2), key(1), Key::Plain]);
        let old = with_key(1).seal("n", b"x".to_vec()).unwrap();
        for (stored, outdated) in
            [(old.clone(), true), (b"x".to_vec(), true), (with_key(2).seal("n", b"x".to_vec()).unwrap(), false)]
        {
            assert_eq!(rotating.open("n", stored.clone()), Ok(b"x".to_vec()));
            assert_eq!(rotating.is_outdated(&stored), outdated, "{stored:?}");
        }
        let new = rotating.seal("n", b"x".to_vec()).unwrap();
        assert_eq!(with_key(2).open("n", new.clone()), Ok(b"x".to_vec()));
        assert_eq!(with_key(1).open("n", new), Err(Shut::OtherKey));
        assert_eq!(Seal::new(&[key(2), key(3)]).open("n", old), Err(Shut::OtherKey));
        assert_eq!(Seal::new(&[key(2), key(1)]).open("n", b"x".to_vec()), Err(Shut::Plain));
    }

    #[test]
    fn a_token_is_looked_for_under_every_key_and_written_under_the_first() {
        let rotating = Seal::new(&[key(2), key(1), Key::Plain]);
        let expected = [with_key(2), with_key(1), Seal::new(&[])].map(|seal| seal.hash(b"token"));
        assert_eq!(rotating.hashes(b"token"), expected);
        assert_eq!(rotating.hash(b"token"), expected[0]);
    }

    #[test]
    fn a_store_may_be_unsealed_again() {
        let leaving = Seal::new(&[Key::Plain, key(1)]);
        let sealed = with_key(1).seal("n", b"x".to_vec()).unwrap();
        assert_eq!(leaving.seal("n", b"x".to_vec()), Ok(b"x".to_vec()));
        assert_eq!(leaving.open("n", sealed.clone()), Ok(b"x".to_vec()));
        assert!(leaving.is_outdated(&sealed) && !leaving.is_outdated(b"x"));
    }
}
