//! Durations as people write them, in the configuration and to the admin API.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

/// A duration: `250ms`, `2s`, `5m`, `2h`, `30d`, or `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span(pub Duration);

const MILLIS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl Span {
    /// Of milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// Of seconds.
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let end = text.find(|found: char| !found.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        let factor = MILLIS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let millis = match (digits.parse::<u64>(), factor) {
            (Ok(0), None) if unit.is_empty() => Some(0),
            (Ok(number), Some(factor)) => number.checked_mul(factor),
            _ => None,
        };
        let longest = 36_500 * 86_400_000;
        millis
            .filter(|millis| *millis <= longest)
            .map(Self::millis)
            .ok_or_else(|| "must be a duration such as 250ms, 2s, 5m, 2h or 30d".to_owned())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        match MILLIS.iter().find(|(_, factor)| millis != 0 && millis.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", millis / factor),
            None => f.write_str("0s"),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis, written) in [
            ("250ms", 250, "250ms"),
            ("2s", 2000, "2s"),
            ("120s", 120_000, "2m"),
            ("2h", 7_200_000, "2h"),
            ("30d", 2_592_000_000, "30d"),
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span, span.to_string().as_str()), (Span::millis(millis), written), "{text}");
        }
        for text in ["", "5", "s", "5 m", "1h30m", "-1s", "1.5s", "5M", "99999999999999999999s", "40000d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
