//! `store`

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_PAD_INDIFFERENT as BASE64;

use crate::config::faults::Faults;
use crate::config::file::sections::{Store, StoreTls, WhenDown};
use crate::config::resolve::{lasting, secrets};
use crate::config::values::{OneOrMany, SecretText};
use crate::secret::Secret;
use crate::store::redis::Target;
use crate::store::{Key, Location, Settings, Tls, held};

/// Longer prefixes waste memory in every key.
const MAX_PREFIX: usize = 64;

/// A session is looked for under every key.
const MAX_KEYS: usize = 4;

/// `store`
pub(super) fn settings(file: &Store, faults: &mut Faults) -> Option<Settings> {
    let url = secrets::required(Some(&file.url), "store.url", faults);
    let location = url.and_then(|url| faults.take("store.url", location(&url)));
    let prefix = faults.take("store.prefix", prefix(&file.prefix));
    let keys = keys(&file.key, faults);
    let timeout = lasting(faults, "store.timeout", file.timeout);
    let tls = tls(&file.tls, faults);
    if let Some(location) = &location
        && file.tls != StoreTls::default()
        && !is_encrypted(location)
    {
        faults
            .add("store.tls", "is for rediss://, rediss+sentinel:// and rediss+cluster://; store.url is none of them");
    }
    Some(Settings { location: location?, prefix: prefix?, keys: keys?, timeout: timeout?, tls: tls? })
}

fn is_encrypted(location: &Location) -> bool {
    matches!(location, Location::Redis(url) if Target::parse(url).is_ok_and(|target| target.is_tls()))
}

/// `store.tls`; its files are read now, so that a wrong one is found before there is a connection to make.
fn tls(file: &StoreTls, faults: &mut Faults) -> Option<Tls> {
    let mut path = |text: &Option<String>| text.as_ref().map(|text| faults.named(text));
    let ca = path(&file.ca);
    let identity = match (path(&file.cert), path(&file.key)) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        _ => Err("needs cert and key, both or neither"),
    };
    let tls = Tls { ca, identity: faults.take("store.tls", identity)?, name: file.name.clone() };
    if *file == StoreTls::default() {
        return Some(tls);
    }
    let checked = tls.check();
    faults.take("store.tls", checked).map(|()| tls)
}

/// `store.held`, `store.when_down`
pub(super) fn held(file: &Store, faults: &mut Faults) -> Option<held::Settings> {
    let trust = match file.when_down {
        WhenDown::Refuse => None,
        WhenDown::Trust(trust) => Some(lasting(faults, "store.when_down.trust", trust)?),
    };
    let bytes = usize::try_from(file.held.0).unwrap_or(usize::MAX);
    if trust.is_some() && bytes == 0 {
        faults.add("store.when_down", "needs store.held: nothing can be trusted that is not held");
        return None;
    }
    Some(held::Settings { bytes, trust })
}

/// The refusals never show the URL: it may hold a password.
fn location(url: &Secret) -> Result<Location, String> {
    const WANTED: &str = "must be memory:, file:PATH, redis://[user:pass@]host:port/db, \
                          redis+sentinel://h1,h2,h3/SERVICE/db or redis+cluster://h1,h2,h3";
    let text = std::str::from_utf8(url.expose()).map_err(|_| WANTED)?;
    match text.split_once(':').ok_or(WANTED)? {
        ("memory", "") => Ok(Location::Memory),
        ("file", path) if !path.is_empty() => Ok(Location::File(PathBuf::from(path))),
        (scheme, _) if scheme.starts_with("redis") => Target::parse(url).map(|_| Location::Redis(url.clone())),
        _ => Err(WANTED.to_owned()),
    }
}

fn prefix(text: &str) -> Result<String, String> {
    match text {
        "" => Err("is empty: the gate's keys would mix with others".to_owned()),
        long if long.len() > MAX_PREFIX => Err(format!("is longer than {MAX_PREFIX} bytes")),
        text if !text.bytes().all(|byte| byte.is_ascii_graphic())
            || text.contains(['{', '}', '*', '?', '[', ']', '\\']) =>
        {
            Err("must be of visible ASCII characters without { } * ? [ ] \\".to_owned())
        }
        text => Ok(text.to_owned()),
    }
}

fn keys(written: &OneOrMany<Option<SecretText>>, faults: &mut Faults) -> Option<Vec<Key>> {
    let secrets = secrets::list(written, "store.key", MAX_KEYS, faults)?;
    let keys: Result<_, _> = secrets.iter().map(key).collect();
    faults.take("store.key", keys)
}

fn key(secret: &Secret) -> Result<Key, &'static str> {
    if *secret == Secret::new("plain") {
        return Ok(Key::Plain);
    }
    match BASE64.decode(secret.expose().trim_ascii()) {
        Ok(bytes) if bytes.len() == 32 => Ok(Key::Sealing(Secret::new(bytes))),
        _ => Err("must be 32 bytes in base64; `openssl rand -base64 32` makes some"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_urls_are_checked() {
        assert!(matches!(location(&Secret::new("memory:")), Ok(Location::Memory)));
        assert!(
            matches!(location(&Secret::new("file:/v/s.redb")), Ok(Location::File(path)) if path == std::path::Path::new("/v/s.redb"))
        );
        for text in [
            "redis://h:6379/0",
            "redis://u:p%40@h",
            "redis://127.0.0.1",
            "rediss://h",
            "redis+sentinel://h/s",
            "rediss+cluster://a,b",
        ] {
            assert!(matches!(location(&Secret::new(text)), Ok(Location::Redis(_))), "{text}");
        }
        for text in [
            "",
            "memory",
            "memory:x",
            "file:",
            "mysql://h",
            "redis://",
            "redis://h:x",
            "rediss://",
            "redis+sentinel://h",
            "redis+cluster://a,b/1",
        ] {
            assert!(location(&Secret::new(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_is_32_bytes_in_base64() {
        assert!(key(&Secret::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")).is_ok());
        assert!(key(&Secret::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")).is_ok());
        assert_eq!(key(&Secret::new("plain")), Ok(Key::Plain));
        for text in ["AAAA", "not base64 at all", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(key(&Secret::new(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_prefix_is_plain_text() {
        assert!(prefix("ticketgate:").is_ok());
        for text in ["", "a b", "{x}", "a*", "ä", &"x".repeat(65)] {
            assert!(prefix(text).is_err(), "{text}");
        }
    }
}
