//! `tls`: the files are read here, so that whatever is wrong with them is told before a port is bound.

use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::faults::Faults;
use crate::config::file::sections::Tls;
use crate::server::tls::{Files, Keys, Part, Validity};

/// Certificate and key; `Some(None)` where none are asked for.
pub(super) fn keys(tls: Option<&Tls>, faults: &mut Faults) -> Option<Option<Keys>> {
    let Some(tls) = tls else { return Some(None) };
    let cert = path(tls.cert.as_ref(), "tls.cert", faults);
    let key = path(tls.key.as_ref(), "tls.key", faults);
    match Keys::load(Files { cert: cert?, key: key? }) {
        Ok(keys) => {
            doubt(keys.validity(Duration::from_secs(Clock::system().now().as_secs())), faults);
            Some(Some(keys))
        }
        Err(fault) => {
            let key = match fault.part {
                Part::Cert => "tls.cert",
                Part::Key => "tls.key",
            };
            faults.add(key, fault.to_string());
            None
        }
    }
}

fn path(given: Option<&String>, key: &str, faults: &mut Faults) -> Option<PathBuf> {
    match given {
        Some(path) => Some(faults.named(path)),
        None => {
            faults.missing(key, "is missing: a PEM file");
            None
        }
    }
}

fn doubt(validity: Validity, faults: &mut Faults) {
    let what = match validity {
        Validity::Good => return,
        Validity::Expired(then) => format!("the certificate expired on {}: clients will refuse it", day(then)),
        Validity::Ends(then) => format!("the certificate expires on {}: renew it", day(then)),
        Validity::NotBefore(then) => {
            format!("the certificate holds from {} on only: clients will refuse it", day(then))
        }
    };
    faults.warn("tls.cert", what);
}

fn day(seconds: u64) -> String {
    let second = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::MAX).strftime("%Y-%m-%d").to_string()
}
