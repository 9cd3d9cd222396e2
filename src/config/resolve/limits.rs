//! `limits`, as far as they count, and `rules[].limit`

use std::time::Duration;

use crate::config::faults::Faults;
use crate::config::file::bounds::Limits;
use crate::config::file::counts::{Rate, RateMap, Tries, TriesMap};
use crate::config::values::{Span, TextOr};
use crate::store::counting;
use crate::store::counting::Lockout;
use crate::verify;

const RATE: &str = "must be a rate such as 50/s, 600/m or 10/h, or 0 for none";
/// Failures are kept with their times.
const MOST_TRIES: u64 = 1000;
const MOST_BURST: u64 = 1_000_000;

/// `limits.per_…` and `limits.failed_…`
pub(super) fn settings(limits: &Limits, faults: &mut Faults) -> Option<verify::limits::Settings> {
    let per_ip = optional(limits.per_ip.as_ref(), "limits.per_ip", faults);
    let per_client = optional(limits.per_client.as_ref(), "limits.per_client", faults);
    let per_user = optional(limits.per_user.as_ref(), "limits.per_user", faults);
    let default = Limits::default();
    let mut lockout = |written: &Option<Tries>, default: &Option<Tries>, key| match (written, default) {
        (Some(written), Some(default)) => self::lockout(written, default, key, faults),
        _ => Some(None),
    };
    let failed_logins = lockout(&limits.failed_logins, &default.failed_logins, "limits.failed_logins");
    let failed_tokens = lockout(&limits.failed_tokens, &default.failed_tokens, "limits.failed_tokens");
    Some(verify::limits::Settings {
        per_ip: per_ip?,
        per_client: per_client?,
        per_user: per_user?,
        failed_logins: failed_logins?,
        failed_tokens: failed_tokens?,
    })
}

/// A rate at that key, where one is given.
pub(super) fn optional(written: Option<&Rate>, key: &str, faults: &mut Faults) -> Option<Option<counting::Rate>> {
    written.map_or(Some(None), |written| rate(written, key, faults))
}

fn rate(written: &Rate, key: &str, faults: &mut Faults) -> Option<Option<counting::Rate>> {
    match &written.0 {
        TextOr::Text(text) if text == "0" => Some(None),
        TextOr::Text(text) => faults.take(key, parsed(text, None)).map(Some),
        TextOr::Map(RateMap { rate: None, .. }) => {
            faults.missing(&format!("{key}.rate"), RATE);
            None
        }
        TextOr::Map(RateMap { rate: Some(text), burst }) => {
            let most = burst.is_none_or(|burst| (1..=MOST_BURST).contains(&burst));
            let burst = burst.and_then(|burst| u32::try_from(burst).ok());
            let told = format!("must be from 1 to {MOST_BURST}");
            let burst = faults.take(&format!("{key}.burst"), if most { Ok(burst) } else { Err(told) });
            let rate = faults.take(&format!("{key}.rate"), parsed(text, None));
            rate.and_then(|_| parsed(text, burst?).ok()).map(Some)
        }
    }
}

fn parsed(text: &str, burst: Option<u32>) -> Result<counting::Rate, String> {
    let (count, unit) = text.split_once('/').ok_or(RATE)?;
    let per = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(RATE.to_owned()),
    };
    let count = count.parse::<u32>().map_err(|_| RATE)?;
    if count == 0 {
        return Err("lets nothing pass: write 0 for no limit, or `require: deny` in a rule".to_owned());
    }
    let most = 1_000_000 / counting::Rate::SHORTEST.as_micros();
    counting::Rate::new(count, Duration::from_secs(per), burst)
        .ok_or_else(|| format!("must be at most {most}/s; write 0 for no limit"))
}

/// What is not given is as in the default.
fn lockout(written: &Tries, default: &Tries, key: &str, faults: &mut Faults) -> Option<Option<Lockout>> {
    let given = match &written.0 {
        TextOr::Text(text) if text == "0" => return Some(None),
        TextOr::Text(_) => return faults.take(key, Err("must be {tries: 5, within: 15m, lock: 15m}, or 0 for none")),
        TextOr::Map(map) => map,
    };
    let TextOr::Map(TriesMap { tries, within, lock }) = &default.0 else { return None };
    let tries = given.tries.or(*tries)?;
    let within = long_enough(given.within.or(*within)?, &format!("{key}.within"), faults);
    let lock = long_enough(given.lock.or(*lock)?, &format!("{key}.lock"), faults);
    if tries > MOST_TRIES {
        faults.add(&format!("{key}.tries"), format!("must be at most {MOST_TRIES}"));
    }
    let lockout = Lockout { tries: usize::try_from(tries).ok()?, within: within?, lock: lock? };
    Some((tries > 0).then_some(lockout))
}

fn long_enough(span: Span, key: &str, faults: &mut Faults) -> Option<Duration> {
    faults.take(key, if span.0 < Duration::from_secs(1) { Err("must be 1s or more") } else { Ok(span.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        let interval = |text| parsed(text, None).map(|rate| (rate.interval().as_micros(), rate.burst()));
        assert_eq!(interval("50/s"), Ok((20_000, 4)));
        assert_eq!(interval("600/m"), Ok((100_000, 1)));
        assert_eq!(interval("10/h"), Ok((360_000_000, 1)));
        assert_eq!(interval("10000/s"), Ok((100, 800)));
        assert_eq!(parsed("600/m", Some(100)).map(counting::Rate::burst), Ok(100));
        for text in ["", "50", "50/", "/s", "50/d", "50 / s", "-1/s", "1.5/s", "0/s", "10001/s", "99999999999/h"] {
            assert!(parsed(text, None).is_err(), "{text}");
        }
    }
}
