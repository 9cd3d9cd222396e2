//! Following frames without holding them (RFC 6455, 5.2): where one ends, a frame of our own may stand.

use crate::websocket::ended::Why;

/// Longest head of a frame: two bytes, eight of length, four of mask.
const LONGEST_HEAD: usize = 14;

/// Where in a stream of frames we are.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The head of a frame, as far as it has come.
    head: [u8; LONGEST_HEAD],
    come: u8,
    /// Bytes of the payload that are still to come.
    left: u64,
}

impl Walk {
    /// Whether a frame is under way.
    pub(super) fn is_within(&self) -> bool {
        self.come > 0 || self.left > 0
    }

    /// Takes bytes up to the end of a frame, or all; says how many, and whether a frame of a message began among them.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Step {
        let mut used = 0;
        let mut began = false;
        while self.left == 0 {
            let Some(byte) = bytes.get(used) else { return Step { used, began } };
            if let Some(place) = self.head.get_mut(usize::from(self.come)) {
                *place = *byte;
            }
            self.come += 1;
            used += 1;
            let Some(length) = self.length() else { continue };
            began = self.head[0] & 0x0f < 0x08;
            (self.come, self.left) = (0, length);
            if length == 0 {
                return Step { used, began };
            }
        }
        let rest = bytes.len() - used;
        let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest);
        self.left -= here as u64;
        Step { used: used + here, began }
    }

    /// The payload's length, once the head is whole.
    fn length(&self) -> Option<u64> {
        let head = self.head.get(..usize::from(self.come))?;
        let [_, second, rest @ ..] = head else { return None };
        let masked = if second & 0x80 == 0 { 0 } else { 4 };
        let (wide, length) = match second & 0x7f {
            126 => (2, number(rest.get(..2)?)),
            127 => (8, number(rest.get(..8)?)),
            short => (0, u64::from(short)),
        };
        (rest.len() == wide + masked).then_some(length)
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// What became of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) used: usize,
    pub(super) began: bool,
}

/// A close frame, as a client sends it where there is a mask (RFC 6455, 5.3 and 5.5.1).
pub(super) fn close(why: Why, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut payload = why.code().to_be_bytes().to_vec();
    payload.extend_from_slice(why.text().as_bytes());
    // Never longer than 125 bytes.
    let length = u8::try_from(payload.len()).unwrap_or_default();
    let mut frame = vec![0x88, length];
    if let Some(mask) = mask {
        frame = vec![0x88, 0x80 | length];
        frame.extend_from_slice(&mask);
        for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
    }
    frame.extend_from_slice(&payload);
    frame
}
