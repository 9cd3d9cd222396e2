//! Following frames without holding them (RFC 6455, 5.2): where one ends, a frame of our own may stand.

use crate::websocket::ended::Why;

/// Longest head of a frame: two bytes, eight of length, four of mask.
const LONGEST_HEAD: usize = 14;

/// Where in a stream of frames we are.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// The head of a frame, as far as it has come.
    head: [u8; LONGEST_HEAD],
    come: u8,
    /// Bytes of the payload that are still to come.
    left: u64,
}

impl Walk {
    /// Whether a frame is under way.
    pub(crate) fn is_within(&self) -> bool {
        self.come > 0 || self.left > 0
    }

    /// Takes bytes up to the end of a frame, or all; says how many, and whether a frame of a message began among them.
    pub(crate) fn step(&mut self, bytes: &[u8]) -> Step {
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
pub(crate) struct Step {
    pub(crate) used: usize,
    pub(crate) began: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames as (bytes before the payload, payload length, whether of a message).
    fn frames() -> Vec<(Vec<u8>, usize, bool)> {
        vec![
            (vec![0x81, 0], 0, true),
            (vec![0x01, 5], 5, true),
            (vec![0x89, 0x80, 1, 2, 3, 4], 0, false),
            (vec![0x80, 0x85, 1, 2, 3, 4], 5, true),
            (vec![0x82, 125], 125, true),
            (vec![0x82, 126, 0, 126], 126, true),
            (vec![0xc2, 0xfe, 0xff, 0xff, 9, 9, 9, 9], 65_535, true),
            (vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0], 65_536, true),
            (vec![0x8a, 0xff, 0, 0, 0, 0, 0, 0, 0, 2, 7, 7, 7, 7], 2, false),
            (vec![0x88, 2], 2, false),
        ]
    }

    #[test]
    fn every_frame_ends_where_it_ends_in_whatever_pieces_it_comes() {
        let all: Vec<u8> =
            frames().iter().flat_map(|(head, length, _)| [&head[..], &vec![0; *length]].concat()).collect();
        for piece in [1, 2, 3, 7, 64, 1000, all.len()] {
            let (mut walk, mut seen, mut at) = (Walk::default(), Vec::new(), 0);
            let mut of_message = false;
            while at < all.len() {
                let step = walk.step(&all[at..all.len().min(at + piece)]);
                assert!(step.used > 0);
                at += step.used;
                of_message |= step.began;
                if !walk.is_within() {
                    seen.push((at, std::mem::take(&mut of_message)));
                }
            }
            let mut end = 0;
            let expected: Vec<_> = frames()
                .iter()
                .map(|(head, length, of_message)| {
                    end += head.len() + length;
                    (end, *of_message)
                })
                .collect();
            assert_eq!(seen, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_length_beyond_all_bounds_is_a_frame_that_never_ends() {
        let mut walk = Walk::default();
        let head = [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(walk.step(&head).used, head.len());
        for _ in 0..100 {
            assert_eq!(walk.step(&[0; 1000]).used, 1000);
        }
        assert!(walk.is_within());
    }

    #[test]
    fn a_close_frame_tells_why() {
        let frame = close(Why::Session, None);
        assert_eq!(frame[..4], [0x88, 15, 0x11, 0x31]);
        assert_eq!(&frame[4..], b"session ended");
        let masked = close(Why::Session, Some([1, 2, 3, 4]));
        assert_eq!(masked[..6], [0x88, 0x8f, 1, 2, 3, 4]);
        let plain: Vec<u8> =
            masked[6..].iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        assert_eq!(plain, frame[2..]);
        for frame in [frame, masked] {
            let mut walk = Walk::default();
            assert_eq!(walk.step(&frame), Step { used: frame.len(), began: false });
            assert!(!walk.is_within());
        }
    }
}
