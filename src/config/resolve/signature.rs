//! `signature`, and what rules say otherwise.

use std::sync::Arc;
use std::time::Duration;

use crate::config::faults::Faults;
use crate::config::file;
use crate::config::file::bounds::{Nonce, RuleSignature, Signature, Signing};
use crate::config::file::rule::{Requirement, Rule};
use crate::config::refusal::none_of;
use crate::config::values::{Span, TextOr};
use crate::policy::rule::Signatures;
use crate::store::record;

/// Longer than any clock or network is off, and short enough to remember every nonce of it.
const LONGEST_WINDOW: Duration = Duration::from_hours(24);

/// `signature`
pub(super) fn settings(file: &Signature, faults: &mut Faults) -> Option<Signatures> {
    let algorithms = algorithms(Some(&file.algorithms), "signature.algorithms", [], faults);
    let window = window(file.window, "signature.window", faults);
    let max_nonces = max_nonces(file.max_nonces, "signature.max_nonces", faults);
    Some(Signatures {
        usual: signing(file.require),
        of_rule: None,
        algorithms: algorithms?,
        window: window?,
        nonce_required: file.nonce == Nonce::Required,
        max_nonces: max_nonces?,
    })
}

/// `signature` of a rule, laid over the usual one.
pub(super) fn of_rule(rule: &Rule, key: &str, usual: &Arc<Signatures>, faults: &mut Faults) -> Option<Arc<Signatures>> {
    let key = format!("{key}.signature");
    let own = match &rule.signature {
        None => return Some(Arc::clone(usual)),
        Some(TextOr::Text(text)) => {
            let names = ["never", "when_present", "always"];
            let known = record::Signing::from_name(text).ok_or_else(|| none_of(text, &names));
            Signatures { of_rule: Some(faults.take(&key, known)?), ..Signatures::clone(usual) }
        }
        Some(TextOr::Map(map)) => laid_over(usual, map, &key, faults)?,
    };
    let has_client = matches!(rule.require, None | Some(Requirement::Client | Requirement::User));
    if own.of_rule == Some(record::Signing::Always) && !has_client {
        faults.add(&key, "asks for a signature, which a client makes, but the rule does not require a client");
    }
    Some(Arc::new(own))
}

fn laid_over(usual: &Signatures, map: &RuleSignature, key: &str, faults: &mut Faults) -> Option<Signatures> {
    let at = |name: &str| format!("{key}.{name}");
    let algorithms = match &map.algorithms {
        None => Some(usual.algorithms.clone()),
        written => algorithms(written.as_deref(), &at("algorithms"), [], faults),
    };
    let window = map.window.map_or(Some(usual.window), |span| window(span, &at("window"), faults));
    let max_nonces = map.max_nonces.map_or(Some(usual.max_nonces), |most| max_nonces(most, &at("max_nonces"), faults));
    Some(Signatures {
        usual: usual.usual,
        of_rule: map.require.map(signing),
        algorithms: algorithms?,
        window: window?,
        nonce_required: map.nonce.map_or(usual.nonce_required, |nonce| nonce == Nonce::Required),
        max_nonces: max_nonces?,
    })
}

/// Seconds are what timestamps count.
fn window(span: Span, key: &str, faults: &mut Faults) -> Option<Duration> {
    let fits = span.0 >= Duration::from_secs(1) && span.0 <= LONGEST_WINDOW;
    faults.take(key, if fits { Ok(span.0) } else { Err("must be between 1s and 24h") })
}

fn max_nonces(most: u64, key: &str, faults: &mut Faults) -> Option<u64> {
    faults.take(key, if most == 0 { Err("must be more than 0") } else { Ok(most) })
}

/// A list of algorithms, or what counts where there is none.
pub(super) fn algorithms(
    written: Option<&[file::Algorithm]>,
    key: &str,
    usual: impl Into<Vec<record::Algorithm>>,
    faults: &mut Faults,
) -> Option<Vec<record::Algorithm>> {
    let Some(written) = written else { return Some(usual.into()) };
    if written.is_empty() {
        faults.missing(key, "must name at least one algorithm");
    }
    let algorithm = |written: &file::Algorithm| match written {
        file::Algorithm::Md5 => record::Algorithm::Md5,
        file::Algorithm::HmacSha256 => record::Algorithm::HmacSha256,
    };
    Some(written.iter().map(algorithm).collect())
}

/// As written, to what it means.
pub(super) fn signing(written: Signing) -> record::Signing {
    match written {
        Signing::Never => record::Signing::Never,
        Signing::WhenPresent => record::Signing::WhenPresent,
        Signing::Always => record::Signing::Always,
    }
}
