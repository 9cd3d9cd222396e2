//! URLs, as far as signing looks into them.

use anyhow::bail;
use percent_encoding::percent_decode_str;

use crate::policy::endpoint::Endpoint;

/// A URL in the three pieces that matter here; what follows `#` is never sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url<'a> {
    /// Scheme and authority; empty for a bare path.
    pub(super) origin: &'a str,
    /// As sent.
    pub(super) path: &'a str,
    /// As sent, without `?`.
    pub(super) query: &'a str,
}

impl<'a> Url<'a> {
    /// Of a whole URL, or of a path alone.
    pub(super) fn split(url: &'a str) -> anyhow::Result<Self> {
        let url = url.split('#').next().unwrap_or_default();
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("{url}: holds what no URL may; percent-encode it");
        }
        let start = match url.find("://") {
            _ if url.starts_with('/') => Some(0),
            Some(scheme) => url.get(scheme + 3..).and_then(|rest| rest.find(['/', '?'])).map(|at| scheme + 3 + at),
            None => bail!("{url}: is no URL; give http://HOST/PATH or /PATH"),
        };
        let (origin, rest) = url.split_at(start.unwrap_or(url.len()));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Ok(Self { origin, path: if path.is_empty() { "/" } else { path }, query })
    }

    /// Path and query.
    pub(super) fn target(&self) -> String {
        if self.query.is_empty() { self.path.to_owned() } else { format!("{}?{}", self.path, self.query) }
    }

    /// The endpoint by the usual parameters; the last of a name wins, as in PHP.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        let value = |name: &str| {
            let mut pairs = self.query.rsplit('&').filter_map(|pair| pair.split_once('='));
            let (_, value) = pairs.find(|(found, _)| *found == name)?;
            Some(percent_decode_str(&value.replace('+', " ")).collect::<Vec<u8>>())
        };
        let (module, controller, action) = (value("mod"), value("ctl"), value("act"));
        if module.is_none() && controller.is_none() && action.is_none() {
            return None;
        }
        let part = Option::unwrap_or_default;
        Some(Endpoint { module: part(module), controller: part(controller), action: part(action) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_falls_into_origin_path_and_query() {
        let cases = [
            ("http://h:1/a/b?c=d&e#f", ("http://h:1", "/a/b", "c=d&e")),
            ("http://h", ("http://h", "/", "")),
            ("http://h?a=/b", ("http://h", "/", "a=/b")),
            ("/index.php?u=http://x/", ("", "/index.php", "u=http://x/")),
        ];
        for (text, (origin, path, query)) in cases {
            assert_eq!(Url::split(text).unwrap(), Url { origin, path, query }, "{text}");
        }
        for bad in ["", "h/a", "http://h/a b", "http://h/\u{738b}"] {
            assert!(Url::split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_usual_endpoint_is_read_decoded_and_the_last_of_a_name_wins() {
        let endpoint = |query| Url { origin: "", path: "/", query }.endpoint();
        let found = endpoint("mod=a&ctl=%E7%8E%8B&act=x&mod=b").unwrap();
        assert_eq!(found, Endpoint { module: "b".into(), controller: "王".into(), action: "x".into() });
        assert_eq!(endpoint("mod=a").unwrap().action, b"");
        assert_eq!(endpoint("model=a"), None);
    }
}
