//! Addresses: where to listen, where the application listens.

use std::path::PathBuf;

use http::uri::Authority;

use crate::config::faults::Faults;
use crate::config::resolve::all_of;
use crate::server::Listen;
use crate::upstream::Address;

/// `listen`
pub(super) fn listeners(texts: &[String], faults: &mut Faults) -> Option<Vec<Listen>> {
    if texts.is_empty() {
        faults.add("listen", "must name at least one address");
    }
    let listeners = texts.iter().enumerate().map(|(index, text)| {
        let key = format!("listen[{index}]");
        let twice = texts.iter().take(index).any(|earlier| earlier == text) && !text.ends_with(":0");
        faults.take(&key, if twice { Err("is given twice".to_owned()) } else { listen(text) })
    });
    all_of(listeners)
}

/// `host:port` or `unix:/path`
pub(super) fn listen(text: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return socket(path).map(Listen::Unix);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let host_is_fine = text.parse::<Authority>().is_ok() && !host.is_empty() && !host.contains('@');
    if host_is_fine && port.parse::<u16>().is_ok() {
        Ok(Listen::Tcp(text.to_owned()))
    } else {
        Err("must be host:port, as 0.0.0.0:8080 or [::]:8080, or unix:/path".to_owned())
    }
}

/// `http://host:port` or `unix:/path`
pub(super) fn upstream(text: &str) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return socket(path).map(Address::Unix);
    }
    if text.starts_with("https://") {
        return Err("https:// is not available in this version; write http://host:port or unix:/path".to_owned());
    }
    let wrong = || "must be http://host:port or unix:/path".to_owned();
    let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err("must be http://host:port without a path: requests keep their own".to_owned());
    }
    let authority: Authority = rest.parse().map_err(|_| wrong())?;
    if rest.contains('@') || authority.host().is_empty() {
        return Err(wrong());
    }
    let port = match rest.strip_prefix(authority.host()).unwrap_or_default() {
        "" => 80,
        port => port.strip_prefix(':').and_then(|port| port.parse().ok()).filter(|port| *port > 0).ok_or_else(wrong)?,
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    Ok(Address::Tcp { host: host.to_owned(), port })
}

fn socket(path: &str) -> Result<PathBuf, String> {
    // The kernel keeps 108 bytes for a socket's path, the last of them for NUL.
    match path {
        "" => Err("must name a path, as unix:/run/ticketgate.sock".to_owned()),
        long if long.len() > 107 => Err("the path of a socket must be shorter than 108 bytes".to_owned()),
        path => Ok(PathBuf::from(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_at_are_checked() {
        for text in ["0.0.0.0:8080", "[::]:8080", "localhost:0", "127.0.0.1:65535"] {
            assert_eq!(listen(text), Ok(Listen::Tcp(text.to_owned())));
        }
        assert_eq!(listen("unix:/run/t.sock"), Ok(Listen::Unix(PathBuf::from("/run/t.sock"))));
        for text in
            ["", ":8080", "8080", "host", "host:", "host:99999", "http://h:1", "u@h:1", "::1:80", "unix:", "h:80/x"]
        {
            assert!(listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_of_applications_are_checked() {
        for (text, host, port) in [
            ("http://127.0.0.1:8081", "127.0.0.1", 8081),
            ("http://php", "php", 80),
            ("http://php:9000/", "php", 9000),
            ("http://[::1]:8081", "::1", 8081),
        ] {
            assert_eq!(upstream(text), Ok(Address::Tcp { host: host.to_owned(), port }), "{text}");
        }
        assert_eq!(upstream("unix:/run/php.sock"), Ok(Address::Unix(PathBuf::from("/run/php.sock"))));
        for text in [
            "",
            "php:80",
            "https://php",
            "http://",
            "http://php:0",
            "http://php:x",
            "http://u@php",
            "http://php/app",
            "http://php?x",
            "ftp://x",
        ] {
            assert!(upstream(text).is_err(), "{text}");
        }
    }
}
