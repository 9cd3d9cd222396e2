//! The names of clients, users, sessions and requests, each a type of its own so that one cannot pass for another.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

/// Longest accepted client or user id, in bytes.
pub const MAX_ID: usize = 255;

/// Why a text cannot be an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// Nothing in it.
    #[error("is empty")]
    Empty,
    /// More than [`MAX_ID`] bytes.
    #[error("is longer than 255 bytes")]
    TooLong,
    /// A control character would break headers and logs, bytes that are not UTF-8 would break JSON.
    #[error("holds a control character or is not UTF-8")]
    Unprintable,
}

fn checked(text: &[u8]) -> Result<Arc<str>, BadId> {
    let text = std::str::from_utf8(text).map_err(|_| BadId::Unprintable)?;
    match text {
        "" => Err(BadId::Empty),
        _ if text.len() > MAX_ID => Err(BadId::TooLong),
        _ if text.chars().any(char::is_control) => Err(BadId::Unprintable),
        _ => Ok(text.into()),
    }
}

/// A checked name; `Of` tells what it names.
pub struct Id<Of>(Arc<str>, PhantomData<fn() -> Of>);

/// What a [`ClientId`] names.
pub enum Client {}
/// What a [`UserId`] names.
pub enum User {}
/// What a [`SessionId`] names.
pub enum Session {}
/// What a [`RequestId`] names.
pub enum Request {}
/// What a [`ChannelId`] names.
pub enum Channel {}

/// A registered program.
pub type ClientId = Id<Client>;
/// A user of the application, by the id that the application gives.
pub type UserId = Id<User>;
/// One login of one user, as operators and the application see it. It opens nothing.
pub type SessionId = Id<Session>;
/// One request, echoed in `X-Request-Id` and every log line about it.
pub type RequestId = Id<Request>;
/// One connection that sessions can live on: the gate's instance and the connection there.
pub type ChannelId = Id<Channel>;

impl<Of> Id<Of> {
    /// Checks and takes a text: 1 to 255 bytes of UTF-8 without control characters.
    pub fn new(text: impl AsRef<[u8]>) -> Result<Self, BadId> {
        checked(text.as_ref()).map(|text| Self(text, PhantomData))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RequestId {
    /// A ULID: 48 bits of time and 80 of chance, in Crockford's base 32. It names a request and guards nothing.
    pub fn ulid(millis: u64, chance: u128) -> Self {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut rest = (u128::from(millis) << 80) | (chance & ((1 << 80) - 1));
        let mut text = [b'0'; 26];
        for digit in text.iter_mut().rev() {
            *digit = ALPHABET.get((rest & 31) as usize).copied().unwrap_or(b'0');
            rest >>= 5;
        }
        let text = std::str::from_utf8(&text).unwrap_or_default();
        Self(text.into(), PhantomData)
    }
}

impl<Of> Clone for Id<Of> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<Of> PartialEq for Id<Of> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<Of> Eq for Id<Of> {}

impl<Of> PartialOrd for Id<Of> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<Of> Ord for Id<Of> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl<Of> Hash for Id<Of> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<Of> fmt::Debug for Id<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<Of> fmt::Display for Id<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The keyed hash under which the store finds a session; the token itself is never stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Takes the 32 bytes of the hash.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The whole hash as 64 hex digits: what stands in the store's key.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// The inverse of [`TokenHash::to_hex`]; `None` for anything but 64 hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.to_hex();
        f.write_str(hex.get(..8).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_what_fits_in_a_header_and_in_json() {
        assert_eq!(UserId::new("7").unwrap().as_str(), "7");
        assert_eq!(UserId::new("王五").unwrap().as_str(), "王五");
        assert_eq!(UserId::new(""), Err(BadId::Empty));
        assert_eq!(UserId::new("a\nb"), Err(BadId::Unprintable));
        assert_eq!(UserId::new(b"\xff"), Err(BadId::Unprintable));
        assert_eq!(UserId::new("x".repeat(256)), Err(BadId::TooLong));
    }

    #[test]
    fn a_request_id_sorts_by_time() {
        let earlier = RequestId::ulid(1_795_132_800_000, u128::MAX);
        assert_eq!(earlier.as_str().len(), 26);
        assert_eq!(earlier.as_str().get(10..), Some("ZZZZZZZZZZZZZZZZ"));
        assert!(earlier.as_str() < RequestId::ulid(1_795_132_800_001, 0).as_str());
    }

    #[test]
    fn a_token_hash_shows_eight_digits_and_goes_through_hex() {
        let hash = TokenHash::new([0xab; 32]);
        assert_eq!(format!("{hash:?}"), "abababab");
        assert_eq!(TokenHash::from_hex(&hash.to_hex()), Some(hash));
        assert_eq!(TokenHash::from_hex("ab"), None);
    }
}
