//! How much of a client's frames may be of no use. Every known flood is one of those: frames that cost us and get nobody anywhere
//! (CVE-2019-9512 to 9518, CVE-2023-44487, CVE-2024-27316).

use std::time::Duration;

use tokio::time::Instant;

use super::frame::{self, Frame};

/// What a connection may have against it at once.
const MOST: u32 = 1000;
/// How fast that is forgotten, with time…
const PER_SECOND: u32 = 100;
/// …with each request that was answered to its end…
pub(super) const ANSWERED: u32 = 4;
/// …and with so many bytes that went either way.
const BYTES: usize = 512;
/// A piece of a body is of use from so many bytes on.
const PIECE: usize = 64;

/// What one connection has against it.
#[derive(Debug)]
pub(super) struct Patience {
    spent: u32,
    counted: Instant,
    bytes: usize,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { spent: 0, counted: Instant::now(), bytes: 0 }
    }

    /// Counts a frame. `false` once there are too many.
    pub(super) fn bears(&mut self, frame: Frame) -> bool {
        self.spent += cost(frame);
        if frame.kind == frame::DATA {
            self.carried(frame.length);
        }
        self.spent <= MOST || {
            self.forget_with_time(Instant::now());
            self.spent <= MOST
        }
    }

    /// So many bytes went.
    pub(super) fn carried(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.forget(u32::try_from(self.bytes / BYTES).unwrap_or(MOST));
        self.bytes %= BYTES;
    }

    pub(super) fn forget(&mut self, count: u32) {
        self.spent = self.spent.saturating_sub(count);
    }

    /// Time is looked at only where it matters.
    fn forget_with_time(&mut self, now: Instant) {
        let step = Duration::from_secs(1) / PER_SECOND;
        let steps = now.saturating_duration_since(self.counted).as_micros() / step.as_micros();
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.forget(steps);
        self.counted += step.saturating_mul(steps);
    }
}

fn cost(frame: Frame) -> u32 {
    let ends = frame.has(frame::END_STREAM);
    match frame.kind {
        frame::DATA if ends || frame.length >= PIECE => 0,
        frame::DATA if frame.length == 0 => 4,
        // A request that is taken back was work for nobody.
        frame::RST_STREAM => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: u8, flags: u8, length: usize) -> Frame {
        Frame { length, kind, flags, stream: 1 }
    }

    /// How many of these frames a connection bears at once, up to 100,000.
    fn borne(frames: &[Frame]) -> usize {
        let mut patience = Patience::new();
        (0..100_000).find(|_| !frames.iter().all(|frame| patience.bears(*frame))).unwrap_or(100_000)
    }

    #[tokio::test(start_paused = true)]
    async fn what_gets_nobody_anywhere_is_not_borne_for_long() {
        let headers = of(frame::HEADERS, frame::END_HEADERS | frame::END_STREAM, 10);
        assert_eq!(borne(&[headers, of(frame::RST_STREAM, 0, 4)]), 333);
        for (what, kind, length, most) in [
            ("settings", 4, 6, 1000),
            ("pings", 6, 8, 1000),
            ("priorities", 2, 5, 1000),
            ("window updates", 8, 4, 1000),
            ("continuations", frame::CONTINUATION, 0, 1000),
            ("frames that nobody knows", 0xfa, 100, 1000),
            ("empty data", frame::DATA, 0, 250),
            ("crumbs of data", frame::DATA, 1, 1001),
        ] {
            assert_eq!(borne(&[of(kind, 0, length)]), most, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn use_and_time_are_counted_in_favour() {
        assert_eq!(borne(&[of(frame::DATA, 0, 64), of(frame::DATA, 0, 16_384)]), 100_000);
        let update = of(8, 0, 4);
        assert_eq!(borne(&[of(frame::DATA, 0, 1024), update, update]), 100_000);
        let mut patience = Patience::new();
        assert!((0..1000).all(|_| patience.bears(update)));
        assert!(!patience.bears(update));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!((0..90).all(|_| patience.bears(update)));
    }
}
