//! Traces: the context that goes with a request (W3C Trace Context, level 1), and its spans for whoever collects them.

use std::time::Duration;

use crate::measure::Counter;
use crate::secret::Secret;
use crate::telemetry::Outcome;

mod export;
mod otlp;

pub use export::Exporter;

/// What the standard `OTEL_*` variables ask for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host of the collector.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Path that spans are posted to.
    pub path: String,
    /// Header lines that open it.
    pub headers: Vec<(String, Secret)>,
    /// `service.name` and its like.
    pub resource: Vec<(String, String)>,
    /// Which requests are told.
    pub sampler: Sampler,
    /// Outcomes that may wait; further ones are counted and left out.
    pub queue: usize,
    /// Outcomes sent together.
    pub batch: usize,
    /// Longest wait for others to be sent together with.
    pub delay: Duration,
    /// How long sending may take.
    pub timeout: Duration,
}

/// `OTEL_TRACES_SAMPLER`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// The share of traces that are told, from 0 to 1.
    pub ratio: f64,
    /// Whether the caller's word counts before that.
    pub by_parent: bool,
}

/// Where a request stands in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    parent: Option<u64>,
    /// The gate's own part.
    span: u64,
    /// The application's part, as the gate sees it: what the application is told.
    upstream: u64,
    flags: u8,
}

/// Outcomes on their way to the collector that were left out.
static LOST: Counter = Counter::new();

/// The flag that says: this trace is told.
const SAMPLED: u8 = 1;

impl Trace {
    /// Continues the caller's trace, or begins one. Without a sampler the caller's word is passed on as it is.
    pub fn of(traceparent: Option<&[u8]>, sampler: Option<Sampler>) -> Self {
        let caller = traceparent.and_then(|value| std::str::from_utf8(value).ok()).and_then(read);
        let id = caller.map_or_else(|| fastrand::u128(1..), |caller| caller.0);
        let told = |flags: u8| flags & SAMPLED != 0;
        let flags = match (sampler, caller) {
            (None, caller) => caller.map_or(0, |caller| caller.2),
            (Some(sampler), Some((_, _, flags))) if sampler.by_parent => u8::from(told(flags)),
            (Some(sampler), _) => u8::from(sampler.takes(id)),
        };
        let parent = caller.map(|caller| caller.1);
        Self { id, parent, span: fastrand::u64(1..), upstream: fastrand::u64(1..), flags }
    }

    /// What the application is told.
    pub fn traceparent(&self) -> String {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        // Room and digits fit each other, so none of them fails; formatting would cost ten times as much.
        let _ = hex::encode_to_slice(self.id.to_be_bytes(), &mut text[3..35]);
        let _ = hex::encode_to_slice(self.upstream.to_be_bytes(), &mut text[36..52]);
        let _ = hex::encode_to_slice([self.flags], &mut text[53..]);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Whether its spans are told.
    pub(super) const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

impl Sampler {
    /// By the trace's id alone, so that all who sample by this ratio take the same.
    fn takes(&self, id: u128) -> bool {
        let low = u64::try_from(id & u128::from(u64::MAX >> 1)).unwrap_or_default();
        (low as f64) < self.ratio * (u64::MAX >> 1) as f64
    }
}

/// Trace, parent and flags.
fn read(value: &str) -> Option<(u128, u64, u8)> {
    let mut fields = value.split('-');
    let (version, trace, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let whole = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    // Version 00 has these four fields and no others.
    if !whole || (version == "00" && fields.next().is_some()) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace > 0)?;
    let parent = u64::from_str_radix(parent, 16).ok().filter(|parent| *parent > 0)?;
    Some((trace, parent, u8::from_str_radix(flags, 16).ok()?))
}

/// How many were lost on their way to the collector.
pub(super) fn lost() -> u64 {
    LOST.get()
}

fn lose(many: usize) {
    LOST.add(many as u64);
}

/// Whether its spans are to be told.
fn is_told(outcome: &Outcome) -> bool {
    outcome.trace.is_some_and(|trace| trace.is_sampled())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALWAYS: Sampler = Sampler { ratio: 1.0, by_parent: true };

    fn of(value: &str, sampler: Option<Sampler>) -> Trace {
        Trace::of(Some(value.as_bytes()), sampler)
    }

    #[test]
    fn a_trace_is_continued_or_begun() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        for version in ["00", "cc"] {
            let told = of(&format!("{version}-{trace}-b7ad6b7169203331-01"), None).traceparent();
            assert!(told.starts_with(&format!("00-{trace}-")) && told.ends_with("-01"), "{told}");
            assert!(!told.contains("b7ad6b7169203331"));
        }
        assert!(of(&format!("cc-{trace}-b7ad6b7169203331-01-later"), None).traceparent().contains(trace));
        for bad in [
            "",
            "00-xyz",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            let told = of(bad, None).traceparent();
            assert!(!told.contains(trace) && told.ends_with("-00") && told.len() == 55, "{bad}: {told}");
        }
    }

    #[test]
    fn the_callers_word_counts_before_the_ratio_where_it_shall() {
        let caller = |flags: &str| format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        let never = Sampler { ratio: 0.0, by_parent: true };
        for (flags, sampler, told) in [
            ("01", ALWAYS, true),
            ("00", ALWAYS, false),
            ("01", never, true),
            ("00", Sampler { by_parent: false, ..ALWAYS }, true),
            ("01", Sampler { by_parent: false, ..never }, false),
        ] {
            assert_eq!(of(&caller(flags), Some(sampler)).is_sampled(), told, "{flags} {sampler:?}");
        }
        assert!(Trace::of(None, Some(ALWAYS)).is_sampled() && !Trace::of(None, Some(never)).is_sampled());
        let half = Sampler { ratio: 0.5, by_parent: false };
        let taken = (0..4000).filter(|_| Trace::of(None, Some(half)).is_sampled()).count();
        assert!((1800..2200).contains(&taken), "{taken}");
    }
}
