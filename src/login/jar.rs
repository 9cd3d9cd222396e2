//! Cookies held for a session: what the application set, by name and path, sent back as a browser would and never shown.

use cookie::Cookie;
use http::HeaderMap;
use http::header::SET_COOKIE;

use crate::clock::Timestamp;
use crate::store::HeldCookie;

/// Most cookies held for one session, and the most bytes of one: what browsers keep (RFC 6265, 6.1).
const MAX_COOKIES: usize = 50;
const MAX_BYTES: usize = 4096;

/// One Set-Cookie line: a cookie to hold, or one to forget.
#[derive(Clone, Debug)]
pub struct Change {
    cookie: HeldCookie,
    deleted: bool,
}

/// What a reply does to the jar. Lines that cannot be read, or are larger than a browser would keep, do nothing.
pub fn changes(headers: &HeaderMap, request_path: &str, now: Timestamp) -> Vec<Change> {
    headers.get_all(SET_COOKIE).iter().filter_map(|line| change(line.to_str().ok()?, request_path, now)).collect()
}

fn change(line: &str, request_path: &str, now: Timestamp) -> Option<Change> {
    let parsed = Cookie::parse(line).ok().filter(|_| line.len() <= MAX_BYTES)?;
    let path = parsed.path().filter(|path| path.starts_with('/')).unwrap_or_else(|| default_path(request_path));
    let expires = lapses(&parsed, now);
    let cookie = HeldCookie {
        name: parsed.name().to_owned(),
        value: parsed.value().to_owned(),
        path: path.to_owned(),
        expires: expires.map(Timestamp::as_millis),
    };
    let printable = |text: &str| text.bytes().all(|byte| byte >= 0x20 && byte != 0x7f && byte != b';');
    if cookie.name.is_empty() || !printable(&cookie.name) || !printable(&cookie.value) {
        return None;
    }
    Some(Change { deleted: expires.is_some_and(|at| at <= now), cookie })
}

/// Max-Age counts before Expires (RFC 6265, 5.3).
fn lapses(cookie: &Cookie<'_>, now: Timestamp) -> Option<Timestamp> {
    if let Some(age) = cookie.max_age() {
        let seconds = u64::try_from(age.whole_seconds()).unwrap_or(0);
        return Some(now.plus(std::time::Duration::from_secs(seconds)));
    }
    let at = cookie.expires_datetime()?.unix_timestamp();
    Some(Timestamp::from_secs(u64::try_from(at).unwrap_or(0)))
}

/// The directory of the request (RFC 6265, 5.1.4).
fn default_path(request_path: &str) -> &str {
    match request_path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => request_path.get(..at).unwrap_or("/"),
    }
}

/// Lays changes over a jar; says whether anything is different now.
pub fn apply(jar: &mut Vec<HeldCookie>, changes: &[Change]) -> bool {
    let before = jar.clone();
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
pub fn cookie_line(jar: &[HeldCookie], request_path: &str, now: Timestamp) -> String {
    let mut fitting: Vec<&HeldCookie> =
        jar.iter().filter(|held| alive(held, now) && path_matches(&held.path, request_path)).collect();
    fitting.sort_by_key(|held| std::cmp::Reverse(held.path.len()));
    fitting.iter().map(|held| format!("{}={}", held.name, held.value)).collect::<Vec<_>>().join("; ")
}

/// Whether a cookie has not lapsed.
pub fn alive(held: &HeldCookie, now: Timestamp) -> bool {
    held.expires.is_none_or(|at| Timestamp::from_millis(at) > now)
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
        apply(&mut jar, &changes(&headers, "/app/index.php", NOW));
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
            (&["a=1; domain=elsewhere.example; path=/"], "/", "a=1"),
            (&["a=%E6%88%91+x; path=/"], "/", "a=%E6%88%91+x"),
            (&["=novalue; path=/", "nothing"], "/", ""),
        ];
        for (lines, path, expected) in table {
            assert_eq!(cookie_line(&jar_after(lines), path, NOW), *expected, "{lines:?} on {path}");
        }
    }

    #[test]
    fn a_cookie_lapses_by_itself() {
        let jar = jar_after(&["a=1; Max-Age=60; path=/"]);
        assert_eq!(cookie_line(&jar, "/", NOW.plus(std::time::Duration::from_secs(59))), "a=1");
        assert_eq!(cookie_line(&jar, "/", NOW.plus(std::time::Duration::from_secs(60))), "");
    }

    #[test]
    fn a_jar_is_bounded() {
        let lines: Vec<String> = (0..200).map(|n| format!("c{n}=1; path=/")).collect();
        assert_eq!(jar_after(&lines.iter().map(String::as_str).collect::<Vec<_>>()).len(), MAX_COOKIES);
        assert!(jar_after(&[&format!("a={}; path=/", "x".repeat(5000))]).is_empty());
    }
}
