//! Cookies held for a session: what the application set, by name and path, sent back as a browser would and never shown.

use std::time::Duration;

use http::HeaderMap;
use http::header::SET_COOKIE;

use crate::clock::Timestamp;
use crate::login::cookie_date;
use crate::policy::pattern::Glob;
use crate::store::HeldCookie;

/// Most cookies held for one session, the most bytes of one's name and value, and of its path: what browsers keep (RFC 6265, 6.1).
const MAX_COOKIES: usize = 50;
const MAX_BYTES: usize = 4096;
const MAX_PATH: usize = 1024;

/// One Set-Cookie line: a cookie to hold, or one to forget.
#[derive(Clone, Debug)]
pub struct Change {
    cookie: HeldCookie,
    deleted: bool,
}

impl Change {
    /// The cookie's name.
    pub fn name(&self) -> &str {
        &self.cookie.name
    }

    /// Whether it is forgotten.
    pub fn deletes(&self) -> bool {
        self.deleted
    }
}

/// What a reply does to the jar. Lines that cannot be read, or are larger than a browser would keep, do nothing.
pub fn changes(headers: &HeaderMap, request_path: &str, now: Timestamp) -> Vec<Change> {
    headers.get_all(SET_COOKIE).iter().filter_map(|line| change(line.as_bytes(), request_path, now)).collect()
}

fn change(line: &[u8], request_path: &str, now: Timestamp) -> Option<Change> {
    let (pair, attributes) = line.split_at(memchr::memchr(b';', line).unwrap_or(line.len()));
    let (name, value) = pair.split_at(memchr::memchr(b'=', pair)?);
    let (name, value) = (name.trim_ascii(), value.get(1..)?.trim_ascii());
    let printable = |text: &[u8]| text.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f);
    if name.is_empty() || name.len() + value.len() > MAX_BYTES || !printable(name) || !printable(value) {
        return None;
    }
    let attributes = Attributes::read(attributes);
    let expires = attributes.lapses(now);
    let cookie = HeldCookie {
        name: text_of(name),
        value: text_of(value),
        path: attributes.path.map_or_else(|| default_path(request_path).to_owned(), text_of),
        expires: expires.map(Timestamp::as_millis),
    };
    Some(Change { deleted: expires.is_some_and(|at| at <= now), cookie })
}

/// Cookies are bytes and the record is text: each byte is the character of that number (ISO 8859-1).
fn text_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The inverse of `text_of`.
pub fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().filter_map(|character| u8::try_from(character).ok()).collect()
}

/// What counts of a line's attributes: of several of one name the last (RFC 6265, 5.3). Domain does not, because everything goes
/// to one application, nor does Secure: the hop is the gate's own.
#[derive(Default)]
struct Attributes<'a> {
    path: Option<&'a [u8]>,
    expires: Option<Timestamp>,
    /// In seconds; negative is none.
    max_age: Option<u64>,
}

impl<'a> Attributes<'a> {
    fn read(text: &'a [u8]) -> Self {
        let mut found = Self::default();
        for attribute in text.split(|byte| *byte == b';') {
            let (name, value) = attribute.split_at(memchr::memchr(b'=', attribute).unwrap_or(attribute.len()));
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            match name.trim_ascii().to_ascii_lowercase().as_slice() {
                b"path" => found.path = Some(value).filter(|path| path.starts_with(b"/") && path.len() <= MAX_PATH),
                b"expires" => found.expires = cookie_date::read(value).or(found.expires),
                b"max-age" => found.max_age = max_age(value).or(found.max_age),
                _ => {}
            }
        }
        found
    }

    /// Max-Age counts before Expires.
    fn lapses(&self, now: Timestamp) -> Option<Timestamp> {
        self.max_age.map(|seconds| now.plus(Duration::from_secs(seconds))).or(self.expires)
    }
}

/// RFC 6265, 5.2.2. A number too large for anybody is a century.
fn max_age(text: &[u8]) -> Option<u64> {
    const CENTURY: u64 = 100 * 366 * 24 * 3600;
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let age = std::str::from_utf8(text).ok()?;
    Some(if age.starts_with('-') { 0 } else { age.parse().unwrap_or(CENTURY).min(CENTURY) })
}

/// The directory of the request (RFC 6265, 5.1.4).
fn default_path(request_path: &str) -> &str {
    match request_path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => request_path.get(..at).unwrap_or("/"),
    }
}

/// Where headers of replies are kept that are no cookies: a path that no request has.
const HEADERS: &str = "\0";

/// Keeps a header of a reply beside the cookies.
pub fn keep_header(name: &str, value: &[u8]) -> Change {
    let cookie = HeldCookie { name: name.to_owned(), value: text_of(value), path: HEADERS.to_owned(), expires: None };
    Change { cookie, deleted: false }
}

/// A header that was kept.
pub fn kept_header(jar: &[HeldCookie], name: &str) -> Option<Vec<u8>> {
    let found = jar.iter().find(|held| held.path == HEADERS && held.name == name)?;
    Some(bytes_of(&found.value))
}

/// The cookies that changes delete, as if they had been held.
pub fn deleted(changes: &[Change]) -> Vec<HeldCookie> {
    let deleted = changes.iter().filter(|change| change.deleted);
    deleted.map(|change| HeldCookie { value: "?".to_owned(), expires: None, ..change.cookie.clone() }).collect()
}

/// Lays changes over a jar, from which cookies that have lapsed go; says whether anything is different now.
pub fn apply(jar: &mut Vec<HeldCookie>, changes: &[Change], now: Timestamp) -> bool {
    let before = jar.clone();
    jar.retain(|held| alive(held, now));
    for Change { cookie, deleted } in changes {
        let at = jar.iter().position(|held| held.name == cookie.name && held.path == cookie.path);
        match (at, deleted) {
            (Some(at), true) => {
                jar.remove(at);
            }
            (Some(at), false) => jar.splice(at..=at, [cookie.clone()]).for_each(drop),
            (None, false) if jar.len() < MAX_COOKIES => jar.push(cookie.clone()),
            (None, _) => {}
        }
    }
    *jar != before
}

/// The Cookie line for a request: cookies whose path matches and that have not lapsed, longer paths first (RFC 6265, 5.4).
/// Empty where there is none.
pub fn cookie_line(jar: &[HeldCookie], request_path: &str, now: Timestamp) -> Vec<u8> {
    let mut fitting: Vec<&HeldCookie> =
        jar.iter().filter(|held| alive(held, now) && path_matches(&held.path, request_path)).collect();
    fitting.sort_by_key(|held| std::cmp::Reverse(held.path.len()));
    let pairs = fitting.iter().map(|held| bytes_of(&format!("{}={}", held.name, held.value)));
    pairs.collect::<Vec<_>>().join(b"; ".as_slice())
}

/// Whether a cookie has not lapsed.
pub fn alive(held: &HeldCookie, now: Timestamp) -> bool {
    held.expires.is_none_or(|at| Timestamp::from_millis(at) > now)
}

/// The values of living cookies of such a name.
pub fn named<'a>(jar: &'a [HeldCookie], glob: &'a Glob, now: Timestamp) -> impl Iterator<Item = Vec<u8>> + 'a {
    let cookies = jar.iter().filter(|held| held.path != HEADERS);
    let living = cookies.filter(move |held| !held.value.is_empty() && alive(held, now));
    living.filter(|held| glob.matches_text(&bytes_of(&held.name))).map(|held| bytes_of(&held.value))
}

/// The value of the first living cookie of exactly that name.
pub fn value_of(jar: &[HeldCookie], name: &str, now: Timestamp) -> Option<Vec<u8>> {
    let found = jar.iter().find(|held| held.path != HEADERS && held.name == name && alive(held, now))?;
    Some(bytes_of(&found.value))
}

/// RFC 6265, 5.1.4.
fn path_matches(cookie_path: &str, request_path: &str) -> bool {
    match request_path.strip_prefix(cookie_path) {
        Some(rest) => rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_132_800);

    fn jar_after(lines: &[&str]) -> Vec<HeldCookie> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SET_COOKIE, line.parse().unwrap());
        }
        let mut jar = Vec::new();
        apply(&mut jar, &changes(&headers, "/app/index.php", NOW), NOW);
        jar
    }

    #[test]
    fn a_jar_keeps_what_a_browser_would_keep() {
        let table: &[(&[&str], &str, &str)] = &[
            (&["PHPSESSID=a; path=/"], "/index.php", "PHPSESSID=a"),
            (&["PHPSESSID=a; path=/", "PHPSESSID=b; path=/; HttpOnly; Secure"], "/", "PHPSESSID=b"),
            (&["a=1; path=/", "a=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/"], "/", ""),
            (&["a=x; Max-Age=0; path=/", "a=2; path=/"], "/", "a=2"),
            (&["a=root; path=/", "a=sub; path=/app"], "/app/x", "a=sub; a=root"),
            (&["a=root; path=/", "a=sub; path=/app"], "/application", "a=root"),
            (&["a=1"], "/app/x", "a=1"),
            (&["a=1"], "/other", ""),
            (&["a=1; path=/", "a=2; path=/; expires=Thursday, 01-Jan-1970 00:00:01 GMT"], "/", ""),
            (&["a=1; path=/; Max-Age=99999999999999999999"], "/", "a=1"),
            (
                &["a=1; path=/; Max-Age=", "b=1; path=/; Max-Age=x; max-age=-5", "c=1; path=/; Max-Age=0x1"],
                "/",
                "a=1; c=1",
            ),
            (&["a=1; path=/x; path=/"], "/", "a=1"),
            (&["a=1; Path = / ; x; =y"], "/", "a=1"),
            (&["a=1; path"], "/app/", "a=1"),
            (&["a=1; domain=elsewhere.example; path=/"], "/", "a=1"),
            (&["a=%E6%88%91+x; path=/"], "/", "a=%E6%88%91+x"),
            (&["=novalue; path=/", "nothing"], "/", ""),
        ];
        for (lines, path, expected) in table {
            assert_eq!(cookie_line(&jar_after(lines), path, NOW), expected.as_bytes(), "{lines:?} on {path}");
        }
    }

    #[test]
    fn a_cookie_lapses_by_itself() {
        let jar = jar_after(&["a=1; Max-Age=60; path=/"]);
        assert_eq!(cookie_line(&jar, "/", NOW.plus(Duration::from_secs(59))), b"a=1");
        assert_eq!(cookie_line(&jar, "/", NOW.plus(Duration::from_secs(60))), b"");
    }

    #[test]
    fn a_jar_is_bounded() {
        let lines: Vec<String> = (0..200).map(|n| format!("c{n}=1; path=/")).collect();
        assert_eq!(jar_after(&lines.iter().map(String::as_str).collect::<Vec<_>>()).len(), MAX_COOKIES);
        assert!(jar_after(&[&format!("a={}; path=/", "x".repeat(5000))]).is_empty());
    }
}
