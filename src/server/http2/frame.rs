//! Frames as they stand on the wire (RFC 9113, 4.1).

use bytes::{BufMut as _, Bytes, BytesMut};

/// What every frame begins with, in bytes.
pub(super) const HEADER: usize = 9;
/// The largest frame that we let a client send (its SETTINGS_MAX_FRAME_SIZE, which stays as it is).
pub(super) const MAX_LENGTH: usize = 16_384;
/// What a client says first (RFC 9113, 3.4).
pub(super) const PREFACE: usize = 24;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const PRIORITY: u8 = 0x20;

/// The beginning of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Frame {
    /// `None` where it has not come whole.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, s, t, u, v] = *bytes.first_chunk::<HEADER>()?;
        Some(Self {
            length: usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
            kind,
            flags,
            stream: u32::from_be_bytes([s & 0x7f, t, u, v]),
        })
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A request that hyper frames by, and interprets nothing in that the client wrote: its path is the stream's number.
pub(super) fn request(stream: u32, ends: bool, length: Option<u64>) -> Bytes {
    // :method: GET, :scheme: https, :path without indexing (RFC 7541, appendix A and 6.2.2).
    let mut block = vec![0x82, 0x87, 0x04];
    put_text(&mut block, &format!("/{stream}"));
    if let Some(length) = length {
        block.extend_from_slice(&[0x0f, 0x0d]);
        put_text(&mut block, &length.to_string());
    }
    headers(stream, ends, &block)
}

/// The number of the stream that such a request was for.
pub(super) fn stream_of(path: &str) -> Option<u32> {
    path.strip_prefix('/')?.parse().ok()
}

/// A request without the least of what one must have, for hyper to end its stream.
pub(super) fn no_request(stream: u32, ends: bool) -> Bytes {
    headers(stream, ends, &[0x82])
}

/// Trailers that say nothing.
pub(super) fn trailers(stream: u32, ends: bool) -> Bytes {
    headers(stream, ends, &[])
}

/// Trailers that hyper ends the stream for, because they hold `connection`.
pub(super) fn no_trailers(stream: u32, ends: bool) -> Bytes {
    let mut block = vec![0x00];
    put_text(&mut block, "connection");
    put_text(&mut block, "close");
    headers(stream, ends, &block)
}

/// What makes hyper end the connection for an error of compression: an entry numbered 0.
pub(super) fn no_compression() -> Bytes {
    headers(1, true, &[0x80])
}

/// What makes hyper end the connection for an error of the protocol: data of no stream.
pub(super) fn no_protocol() -> Bytes {
    frame(DATA, 0, 0, &[])
}

fn headers(stream: u32, ends: bool, block: &[u8]) -> Bytes {
    frame(HEADERS, END_HEADERS | if ends { END_STREAM } else { 0 }, stream, block)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER + payload.len());
    bytes.put_uint(payload.len() as u64, 3);
    bytes.put_u8(kind);
    bytes.put_u8(flags);
    bytes.put_u32(stream);
    bytes.put_slice(payload);
    bytes.freeze()
}

/// Short ones only: a length below 127 is one byte.
fn put_text(block: &mut Vec<u8>, text: &str) {
    block.push(u8::try_from(text.len()).unwrap_or_default());
    block.extend_from_slice(text.as_bytes());
}

/// What of a HEADERS frame's payload belongs to the header block. `Err` where padding or priority do not fit into it.
pub(super) fn fragment(frame: Frame, payload: &[u8]) -> Result<Fragment<'_>, ()> {
    let mut rest = payload;
    let mut padding = 0;
    if frame.has(PADDED) {
        let (first, after) = rest.split_first().ok_or(())?;
        (padding, rest) = (usize::from(*first), after);
    }
    let mut depends_on_itself = false;
    if frame.has(PRIORITY) {
        let (priority, after) = rest.split_first_chunk::<5>().ok_or(())?;
        let [a, b, c, d, _] = *priority;
        depends_on_itself = u32::from_be_bytes([a & 0x7f, b, c, d]) == frame.stream;
        rest = after;
    }
    let length = rest.len().checked_sub(padding).ok_or(())?;
    Ok(Fragment { block: rest.get(..length).unwrap_or_default(), depends_on_itself })
}

/// A piece of a header block.
#[derive(Debug)]
pub(super) struct Fragment<'a> {
    pub(super) block: &'a [u8],
    pub(super) depends_on_itself: bool,
}
