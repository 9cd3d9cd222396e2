//! Durations as the configuration writes them: `250ms 2s 5m 2h 30d`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A duration in a request, as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lasting(pub(super) Duration);

impl<'de> Deserialize<'de> for Lasting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong =
            || serde::de::Error::custom(format!("`{text}` is no duration; write one as in 90s, 30m, 24h or 7d"));
        parse(&text).map(Self).ok_or_else(wrong)
    }
}

fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(millis).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        let cases = [
            ("250ms", Some(Duration::from_millis(250))),
            ("0s", Some(Duration::ZERO)),
            ("90s", Some(Duration::from_secs(90))),
            ("24h", Some(Duration::from_secs(86400))),
            ("7d", Some(Duration::from_secs(604_800))),
            ("", None),
            ("h", None),
            ("24", None),
            ("-1h", None),
            ("1.5h", None),
            ("24 h", None),
            ("99999999999999999999d", None),
            ("18446744073709551615d", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
