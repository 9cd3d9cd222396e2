//! Secrets: as written, from the environment, or from a file.

use std::path::Path;

use crate::config::faults::Faults;
use crate::config::read_file;
use crate::config::values::SecretText;
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
            let whole = faults.directory().join(path);
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
