//! Header compression (RFC 7541), the reading half: out of a connection's header blocks into fields.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::huffman;

/// The size of the dynamic table (RFC 9113, 6.5.2: the initial SETTINGS_HEADER_TABLE_SIZE, which we leave as it is).
const TABLE_SIZE: usize = 4096;
/// What a block may take out of tables, in bytes. Nobody has a reason to repeat a field within one request, so all of the dynamic table
/// and what requests have in common in the static one is enough; yet a byte of a block may stand for thousands that are held.
pub(super) const MOST_REPEATED: usize = TABLE_SIZE + 1024;
/// What an entry takes besides its bytes (RFC 7541, 4.1).
const ENTRY_OVERHEAD: usize = 32;

/// A block that cannot be read. Whatever follows it on the connection cannot be, either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// What one connection's blocks left behind.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The newest first.
    table: VecDeque<Entry>,
    size: usize,
    limit: usize,
    /// Bytes that the block being read took out of tables, but for names in the static one.
    repeated: usize,
}

type Entry = (Box<[u8]>, Box<[u8]>);
type Field<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

impl Default for Decoder {
    fn default() -> Self {
        Self { table: VecDeque::new(), size: 0, limit: TABLE_SIZE, repeated: 0 }
    }
}

impl Decoder {
    /// Reads one whole block, and tells of each field in order. Answers how many bytes of them came out of tables.
    pub(super) fn read(&mut self, block: &[u8], mut tell: impl FnMut(&[u8], &[u8])) -> Result<usize, Unreadable> {
        self.repeated = 0;
        let mut rest = Rest(block);
        let mut begun = false;
        while let Some(first) = rest.0.first().copied() {
            match first {
                0x80.. => {
                    let (name, value) = self.entry(rest.number(7)?)?;
                    tell(name, value);
                    let size = name.len() + value.len();
                    self.repeated += size;
                }
                0x40..=0x7f => {
                    let (name, value) = self.literal(&mut rest, 6)?;
                    tell(&name, &value);
                    let entry = (name.into(), value.into());
                    self.insert(entry);
                }
                // Its size may be changed at the beginning of a block only (4.2).
                0x20..=0x3f if !begun => {
                    self.resize(rest.number(5)?)?;
                    continue;
                }
                0x20..=0x3f => return Err(Unreadable),
                0x00..=0x1f => {
                    let (name, value) = self.literal(&mut rest, 4)?;
                    tell(&name, &value);
                }
            }
            begun = true;
        }
        Ok(self.repeated)
    }

    /// Name, by number or spelled, and value (6.2).
    fn literal<'a>(&mut self, rest: &mut Rest<'a>, prefix: u32) -> Result<Field<'a>, Unreadable> {
        let name = match rest.number(prefix)? {
            0 => rest.string()?,
            index => {
                let name = self.entry(index)?.0.to_vec();
                // Of the static table a name is no more than a few bytes.
                self.repeated += if index > STATIC.len() { name.len() } else { 0 };
                Cow::Owned(name)
            }
        };
        Ok((name, rest.string()?))
    }

    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), Unreadable> {
        let index = index.checked_sub(1).ok_or(Unreadable)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let (name, value) = self.table.get(index - STATIC.len()).ok_or(Unreadable)?;
        Ok((name, value))
    }

    fn insert(&mut self, (name, value): Entry) {
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        self.evict_to(self.limit.saturating_sub(size));
        // One larger than the table empties it, and is not kept (4.4).
        if size <= self.limit {
            self.size += size;
            self.table.push_front((name, value));
        }
    }

    fn resize(&mut self, limit: usize) -> Result<(), Unreadable> {
        if limit > TABLE_SIZE {
            return Err(Unreadable);
        }
        self.limit = limit;
        self.evict_to(limit);
        Ok(())
    }

    fn evict_to(&mut self, most: usize) {
        while self.size > most {
            let Some((name, value)) = self.table.pop_back() else { return };
            self.size -= name.len() + value.len() + ENTRY_OVERHEAD;
        }
    }
}

/// What is left of a block.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn byte(&mut self) -> Result<u8, Unreadable> {
        let (first, rest) = self.0.split_first().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(*first)
    }

    /// A number that begins in the last `prefix` bits of a byte (5.1).
    fn number(&mut self, prefix: u32) -> Result<usize, Unreadable> {
        let most = (1 << prefix) - 1;
        let mut number = usize::from(self.byte()?) & most;
        if number < most {
            return Ok(number);
        }
        // More than any block may hold.
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            number += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Unreadable)
    }

    /// A text, plain or in Huffman's code (5.2).
    fn string(&mut self) -> Result<Cow<'a, [u8]>, Unreadable> {
        let is_coded = self.0.first().is_some_and(|first| first & 0x80 != 0);
        let length = self.number(7)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Unreadable)?;
        self.0 = rest;
        if !is_coded {
            return Ok(Cow::Borrowed(text));
        }
        let mut decoded = Vec::with_capacity(text.len() * 8 / 5);
        huffman::decode(text, &mut decoded).ok_or(Unreadable)?;
        Ok(Cow::Owned(decoded))
    }
}

/// RFC 7541, appendix A.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests;
