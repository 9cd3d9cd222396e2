//! Secrets: as written, from the environment, or from a file.

use std::path::Path;

use crate::config::faults::Faults;
use crate::config::read_file;
use crate::config::values::{OneOrMany, SecretText};
use crate::secret::Secret;

/// Larger files hold no secret.
const MAX_SECRET: u64 = 64 << 10;

/// A secret that must be there.
pub(super) fn required(secret: Option<&SecretText>, key: &str, faults: &mut Faults) -> Option<Secret> {
    match secret {
        None => {
            faults.missing(key, "is missing");
            None
        }
        Some(SecretText::Text(text)) => nonempty(Secret::new(text), key, faults),
        Some(SecretText::File(path)) => {
            let whole = faults.named(path);
            let bytes = faults.take(&format!("{key}.file"), from_file(&whole))?;
            nonempty(Secret::new(bytes), key, faults)
        }
    }
}

/// A secret that may be missing: `Some(None)`.
pub(super) fn optional(secret: Option<&SecretText>, key: &str, faults: &mut Faults) -> Option<Option<Secret>> {
    match secret {
        None => Some(None),
        given => required(given, key, faults).map(Some),
    }
}

/// One or several, the one in use first; elements without value count as left out.
pub(super) fn list(
    secrets: &OneOrMany<Option<SecretText>>,
    key: &str,
    most: usize,
    faults: &mut Faults,
) -> Option<Vec<Secret>> {
    if secrets.0.len() > most {
        faults.add(key, format!("holds more than {most}; take out what is no longer in use"));
    }
    let single = secrets.0.len() == 1;
    let given = secrets.0.iter().enumerate().filter_map(|(index, secret)| Some((index, secret.as_ref()?)));
    let mut all: Vec<Secret> = Vec::new();
    let mut sound = secrets.0.len() <= most;
    for (index, secret) in given {
        let key = if single { key.to_owned() } else { format!("{key}[{index}]") };
        match required(Some(secret), &key, faults) {
            Some(secret) if all.contains(&secret) => {
                faults.add(&key, "is given twice");
                sound = false;
            }
            Some(secret) => all.push(secret),
            None => sound = false,
        }
    }
    sound.then_some(all)
}

fn nonempty(secret: Secret, key: &str, faults: &mut Faults) -> Option<Secret> {
    faults.take(key, if secret.is_empty() { Err("is empty") } else { Ok(secret) })
}

/// What a file holds, without the newline that editors and `echo` put at its end.
fn from_file(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = read_file(path, MAX_SECRET).map_err(|what| format!("{}: {what}", path.display()))?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(bytes)
}
