//! Query strings, urlencoded forms and cookies, read by PHP's rules (php-src `main/php_variables.c`, as of 8.2).

use std::fmt;

mod name;
pub mod nested;
mod text;

use crate::request::php::name::Shape;
use crate::request::php::text::{Plus, decode, pieces, split_at_equals, trim_start};

/// `max_input_vars`: so many variables PHP takes up from each source.
const MAX_VARIABLES: usize = 1000;

/// What PHP will hold under one top-level name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name after PHP's folding: the key of `$_GET`, `$_POST` or `$_COOKIE`.
    pub name: &'a [u8],
    /// The text, or `None` where PHP holds an array, or nothing.
    pub value: Option<&'a [u8]>,
    /// How often the name was given, in any spelling, as text or as array.
    pub times: usize,
    /// Whether any of the spellings was an array's (`a[]`, `a[b]`).
    pub array: bool,
    /// Whether PHP holds anything at all: a name whose last spelling nests too deep is gone.
    pub held: bool,
}

/// The value stays out of logs.
impl fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name.escape_ascii())?;
        if self.times > 1 {
            write!(f, " x{}", self.times)?;
        }
        f.write_str(if self.array { "[]" } else { "" })
    }
}

/// What PHP will hold: one entry per top-level name, in order of first appearance.
///
/// Names and texts lie decoded in one buffer: a request costs two allocations however many parameters it has.
#[derive(Clone, Default)]
pub struct Params {
    text: Vec<u8>,
    entries: Vec<Entry>,
    /// A bit for each tag, by its lowest six: most names that are looked for are not there.
    seen: u64,
    overflow: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    /// A hash of the name, so that looking one up among a thousand stays cheap.
    tag: u32,
    name: Stretch,
    held: Held,
    times: u32,
    array: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    Text(Stretch),
    Array,
}

/// A part of the buffer. What is read is shorter than 4 GiB, as every bound of heads and forms sees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    from: u32,
    to: u32,
}

impl Stretch {
    fn new(from: usize, to: usize) -> Self {
        let bounded = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self { from: bounded(from), to: bounded(to) }
    }
}

/// Where cookies are read otherwise than query and form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Names are decoded, `+` is a blank, the last text wins.
    Text,
    /// Names are not decoded, `+` stays, the first text wins: browsers send the more specific path first (RFC 6265, 5.4).
    Cookie,
}

impl Params {
    /// `$_GET` of a query string, or `$_POST` of an urlencoded body.
    ///
    /// Empty pieces (`a&&b`) count for [`Self::overflow`], as they do in PHP for a body.
    pub fn parse(text: &[u8]) -> Self {
        let mut params = Self::with_room_for(text, b'&');
        let text = text.strip_suffix(b"&").unwrap_or(text);
        if memchr::memchr2(b'%', b'+', text).is_none() {
            params.take_plain(text);
            return params;
        }
        for (count, piece) in pieces(text, b'&').enumerate() {
            if count == MAX_VARIABLES {
                params.overflow = true;
                break;
            }
            let (name, value) = split_at_equals(piece);
            params.add(name, value, Source::Text);
        }
        params
    }

    /// `$_COOKIE` of the Cookie header (several lines joined by `; ` before).
    pub fn parse_cookies(text: &[u8]) -> Self {
        let mut params = Self::with_room_for(text, b';');
        let named = |piece: &[u8]| !matches!(piece.first(), None | Some(b'='));
        let cookies = pieces(text, b';').map(trim_start).filter(|piece| named(piece));
        for (count, cookie) in cookies.enumerate() {
            if count == MAX_VARIABLES {
                params.overflow = true;
                break;
            }
            let (name, value) = split_at_equals(cookie);
            params.add(name, value, Source::Cookie);
        }
        params
    }

    /// What stands under that (folded) name.
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<Param<'_>> {
        if self.entries.is_empty() { None } else { self.find(name) }
    }

    fn find(&self, name: &[u8]) -> Option<Param<'_>> {
        self.entries.get(self.position(name, tag(name))?).map(|entry| self.param(entry))
    }

    /// The text under that name; `None` where it is missing or an array.
    pub fn text(&self, name: &[u8]) -> Option<&[u8]> {
        self.get(name)?.value
    }

    /// All of them, in order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = Param<'_>> {
        self.entries.iter().map(|entry| self.param(entry))
    }

    /// Whether there were more than PHP takes up (`max_input_vars`): what lies behind was not read, and whether PHP sees it
    /// is its configuration's business.
    pub fn overflow(&self) -> bool {
        self.overflow
    }

    /// With room for all that a text can hold.
    fn with_room_for(text: &[u8], separator: u8) -> Self {
        let most = if text.is_empty() { 0 } else { memchr::memchr_iter(separator, text).count() + 1 };
        let most = most.min(MAX_VARIABLES);
        Self { text: Vec::with_capacity(text.len()), entries: Vec::with_capacity(most), seen: 0, overflow: false }
    }

    /// Takes up a text in which nothing is to be decoded, so that it lies in the buffer as it stands. Names that are folded are
    /// put behind it.
    fn take_plain(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
        let mut from = 0;
        for (count, piece) in pieces(text, b'&').enumerate() {
            if count == MAX_VARIABLES {
                self.overflow = true;
                break;
            }
            let (name, value) = split_at_equals(piece);
            if name::is_plain(name) && !name.is_empty() {
                let name_ends = from + name.len();
                let entry = self.entry_of(name, Stretch::new(from, name_ends));
                // Behind the name, unless it has no value, where the two ends meet.
                let value_from = (name_ends + 1).min(from + piece.len());
                self.put(entry, Shape::Text, Stretch::new(value_from, value_from + value.len()));
            } else {
                self.add(name, value, Source::Text);
            }
            from += piece.len() + 1;
        }
    }

    /// Takes up one variable as PHP registers it.
    fn add(&mut self, raw_name: &[u8], raw_value: &[u8], source: Source) {
        let start = self.text.len();
        match source {
            Source::Text => decode(&mut self.text, raw_name, Plus::Blank),
            Source::Cookie => self.text.extend_from_slice(raw_name),
        }
        let Some(shape) = name::fold(&mut self.text, start) else {
            self.text.truncate(start);
            return;
        };
        let entry = self.entry_of_last_name(start);
        let is_held = self.entries.get(entry).is_some_and(|entry| entry.held != Held::Nothing);
        let start = self.text.len();
        match (source, shape) {
            (Source::Cookie, Shape::Text) if is_held => return self.count(entry),
            (Source::Cookie, Shape::Text) => decode(&mut self.text, raw_value, Plus::Plus),
            (Source::Text, Shape::Text) => decode(&mut self.text, raw_value, Plus::Blank),
            (_, Shape::Array | Shape::TooDeep) => {}
        }
        self.put(entry, shape, Stretch::new(start, self.text.len()));
    }

    /// The name stands there once more.
    fn count(&mut self, entry: usize) {
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.times += 1;
        }
    }

    /// The name stands there once more, and PHP holds this under it.
    fn put(&mut self, entry: usize, shape: Shape, text: Stretch) {
        self.count(entry);
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.array |= shape != Shape::Text;
            entry.held = match shape {
                Shape::Array => Held::Array,
                Shape::TooDeep => Held::Nothing,
                Shape::Text => Held::Text(text),
            };
        }
    }

    /// The entry of the name that ends the buffer: a new one, or an older one, and then the buffer forgets the name again.
    fn entry_of_last_name(&mut self, start: usize) -> usize {
        let name = self.text.get(start..).unwrap_or_default();
        let wanted = tag(name);
        if let Some(found) = self.position(name, wanted) {
            self.text.truncate(start);
            return found;
        }
        self.push(Stretch::new(start, self.text.len()), wanted)
    }

    /// The entry of a name that stands in the buffer there: a new one, or an older one.
    fn entry_of(&mut self, name: &[u8], stands: Stretch) -> usize {
        let wanted = tag(name);
        self.position(name, wanted).unwrap_or_else(|| self.push(stands, wanted))
    }

    fn push(&mut self, name: Stretch, tag: u32) -> usize {
        self.seen |= bit(tag);
        self.entries.push(Entry { tag, name, held: Held::Nothing, times: 0, array: false });
        self.entries.len() - 1
    }

    fn position(&self, name: &[u8], wanted: u32) -> Option<usize> {
        if self.seen & bit(wanted) == 0 {
            return None;
        }
        self.entries.iter().position(|entry| entry.tag == wanted && self.slice(entry.name) == name)
    }

    fn param(&self, entry: &Entry) -> Param<'_> {
        let value = if let Held::Text(text) = entry.held { Some(self.slice(text)) } else { None };
        let (times, array, held) = (entry.times as usize, entry.array, entry.held != Held::Nothing);
        Param { name: self.slice(entry.name), value, times, array, held }
    }

    fn slice(&self, stretch: Stretch) -> &[u8] {
        self.text.get(stretch.from as usize..stretch.to as usize).unwrap_or_default()
    }
}

/// Names only: values stay out of logs.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Folds a raw (decoded) parameter name as PHP does and says whether it is an array's; `None` where PHP drops it.
pub fn fold_name(raw: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut name = raw.to_vec();
    let shape = name::fold(&mut name, 0)?;
    Some((name, shape != Shape::Text))
}

/// Percent-decoding as PHP's `urldecode` does it: `+` is a blank, a bad escape stays as text.
pub fn url_decode(raw: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(raw.len());
    decode(&mut decoded, raw, Plus::Blank);
    decoded
}

/// What PHP makes of a body by its Content-Type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/x-www-form-urlencoded`, as loosely as PHP recognises it.
    Form,
    /// `multipart/form-data`, likewise.
    Multipart,
    /// Anything else: PHP leaves it alone.
    Opaque,
}

impl BodyKind {
    /// Of a Content-Type header, cut and folded as PHP does (php-src `main/SAPI.c`, `sapi_read_post_data`); `None` for no
    /// header.
    pub fn of(content_type: Option<&[u8]>) -> Self {
        let Some(whole) = content_type else { return Self::Opaque };
        let end = whole.iter().position(|byte| matches!(byte, b';' | b',' | b' ')).unwrap_or(whole.len());
        let media_type = whole.get(..end).unwrap_or_default();
        if media_type.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            Self::Form
        } else if media_type.eq_ignore_ascii_case(b"multipart/form-data") {
            Self::Multipart
        } else {
            Self::Opaque
        }
    }
}

/// A hash over eight bytes at a time, the last of which may have been looked at before. A collision costs a comparison, nothing
/// else.
fn tag(name: &[u8]) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(ODD).rotate_left(29);
    let (words, _) = name.as_chunks::<8>();
    let hash = words.iter().fold(name.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let rest = match (name.last_chunk::<8>(), name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (Some(last), _, _) => u64::from_le_bytes(*last),
        (None, Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    (mix(hash, rest).wrapping_mul(ODD) >> 32) as u32
}

/// The bit of a tag in [`Params::seen`].
const fn bit(tag: u32) -> u64 {
    1 << (tag & 63)
}

#[cfg(test)]
mod tests;
