//! Patterns of rules: globs over paths and texts, patterns over endpoints.

use std::borrow::Cow;

use crate::policy::endpoint::{Endpoint, Fold};

/// A glob: `*` within a segment, `**` across segments; matched case-insensitively over the whole text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    /// In lower case.
    whole: Vec<u8>,
    /// The same without a trailing slash: for paths.
    lower: Vec<u8>,
}

impl Glob {
    /// Compiles it; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty; write `*` or `**` to match anything".to_owned());
        }
        if text.contains("***") {
            return Err("holds `***`; `*` matches within a segment, `**` across segments".to_owned());
        }
        let whole = text.to_ascii_lowercase().into_bytes();
        Ok(Self { text: text.to_owned(), lower: without_trailing_slash(&whole).to_vec(), whole })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `**` stands in it: only such a glob matches paths that needed a leniency.
    pub fn crosses_segments(&self) -> bool {
        self.text.contains("**")
    }

    /// Whether it matches a path. `/` separates; a trailing `/` on either side does not matter, and `/a/**` matches `/a` too.
    pub fn matches_path(&self, path: &[u8]) -> bool {
        let path = without_trailing_slash(path).to_ascii_lowercase();
        let below = self.lower.strip_suffix(b"/**").is_some_and(|parent| glob(parent, &path, Some(b'/')));
        below || glob(&self.lower, &path, Some(b'/'))
    }

    /// Whether it matches a text without segments: `*` matches anything.
    pub fn matches_text(&self, text: &[u8]) -> bool {
        glob(&self.whole, &text.to_ascii_lowercase(), None)
    }

    /// What of `path` stands where `**` matched: the part that the rule leaves open. Of several, from the first to the last.
    pub fn rest<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let first = self.lower.windows(2).position(|pair| pair == b"**")?;
        let segments = self.lower.iter().take(first).filter(|byte| **byte == b'/').count();
        let start = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').nth(segments.saturating_sub(1));
        let rest = path.get(start.map_or(path.len(), |(at, _)| at)..)?;
        // Behind the last `**` a text without a star stands as written; with one, what the star takes is open as well.
        let behind = self.lower.iter().rev().take_while(|byte| **byte != b'*').count();
        let written = self.lower.len().checked_sub(behind).and_then(|at| self.lower.get(..at)?.last_chunk::<2>());
        let written = if written == Some(b"**") { behind } else { 0 };
        without_trailing_slash(rest).get(..without_trailing_slash(rest).len().saturating_sub(written))
    }
}

fn without_trailing_slash(path: &[u8]) -> &[u8] {
    match path {
        [before @ .., b'/'] if !before.is_empty() => before,
        _ => path,
    }
}

/// Matches with backtracking to the last star only, so that the cost is bounded by the product of the lengths.
/// A single `*` stops at `separator`, and at the NUL that veils what a path may hold under `**` alone.
fn glob(pattern: &[u8], text: &[u8], separator: Option<u8>) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: behind the last `*` and the last `**`, and how much text each has taken.
    let mut star: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) if separator.is_some() && pattern.get(p + 1) == Some(&b'*') => {
                p += 2;
                (double, star) = (Some((p, t)), None);
                continue;
            }
            (Some(b'*'), _) => {
                p += 1;
                star = Some((p, t));
                continue;
            }
            (Some(wanted), Some(found)) if wanted == found => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            _ => {}
        }
        if let Some((after, taken)) = star
            && text.get(taken).is_some_and(|byte| separator.is_none() || (Some(*byte) != separator && *byte != 0))
        {
            star = Some((after, taken + 1));
            (p, t) = (after, taken + 1);
        } else if let Some((after, taken)) = double
            && taken < text.len()
        {
            (double, star) = (Some((after, taken + 1)), None);
            (p, t) = (after, taken + 1);
        } else {
            return false;
        }
    }
}

/// `m/c/a`, `*` inside a part, parts left out match anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPattern {
    text: String,
    parts: [Vec<u8>; 3],
}

impl EndpointPattern {
    /// Compiles it; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut given = text.split('/');
        let mut next = || given.next().unwrap_or("*").as_bytes().to_vec();
        let parts = [next(), next(), next()];
        match given.next() {
            _ if text.is_empty() => Err("is empty; write `*` to match any endpoint".to_owned()),
            Some(_) => Err("has more than three parts; an endpoint is module/controller/action".to_owned()),
            None => Ok(Self { text: text.to_owned(), parts }),
        }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parts as written, `*` for those left out.
    pub fn parts(&self) -> &[Vec<u8>; 3] {
        &self.parts
    }

    /// Whether it matches.
    pub fn matches(&self, endpoint: &Endpoint, fold: Fold) -> bool {
        let found = [&endpoint.module, &endpoint.controller, &endpoint.action];
        self.parts.iter().zip(found).all(|(wanted, found)| part_matches(wanted, found, fold))
    }
}

fn part_matches(wanted: &[u8], found: &[u8], fold: Fold) -> bool {
    wanted == b"*" || {
        let (wanted, found) = (fold.apply(wanted), fold.apply(found));
        glob(&wanted, &found, None)
    }
}

impl Fold {
    /// The form in which parts are compared.
    pub fn apply(self, part: &[u8]) -> Cow<'_, [u8]> {
        let dropped = |byte: &u8| (self.underscore && *byte == b'_') || (self.dash && *byte == b'-');
        let lowered = |byte: &u8| self.case && byte.is_ascii_uppercase();
        if !part.iter().any(|byte| dropped(byte) || lowered(byte)) {
            return Cow::Borrowed(part);
        }
        let lower = |byte: &u8| if self.case { byte.to_ascii_lowercase() } else { *byte };
        Cow::Owned(part.iter().filter(|byte| !dropped(byte)).map(lower).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_within_and_across_segments_in_any_case() {
        let table: &[(&str, &str, bool)] = &[
            ("/assets/**", "/assets/js/app.js", true),
            ("/assets/**", "/ASSETS/js", true),
            ("/assets/**", "/assets", true),
            ("/assets/**", "/assets/", true),
            ("/assets/**", "/assetsx", false),
            ("/assets/*", "/assets/app.js", true),
            ("/assets/*", "/assets/js/app.js", false),
            ("/*/list", "/news/list", true),
            ("/*/list", "/a/b/list", false),
            ("/**/list", "/a/b/list", true),
            ("/a/*.php", "/a/x.php", true),
            ("/a/*.php", "/a/x.phpx", false),
            ("/a*b*c", "/axxbyybzc", true),
            ("/**/x*/y", "/a/xb/xc/y", true),
            ("/", "/", true),
            ("/news/", "/news", true),
            ("**", "/anything/at/all", true),
        ];
        for (pattern, path, expected) in table {
            assert_eq!(Glob::parse(pattern).unwrap().matches_path(path.as_bytes()), *expected, "{pattern} on {path}");
        }
        assert!(Glob::parse("a*").unwrap().matches_text(b"a/b"));
        assert!(Glob::parse("/a/").unwrap().matches_text(b"/A/"));
        assert!(!Glob::parse("/a/").unwrap().matches_text(b"/a"));
    }

    #[test]
    fn what_is_veiled_stands_under_two_stars_alone() {
        let table: &[(&str, &[u8], bool)] = &[
            ("/wiki/**", b"/wiki/a\0b", true),
            ("/wiki/**", b"/wiki\0a", false),
            ("/wiki/*/**", b"/wiki/a\0b/c", false),
            ("/wiki/*/**", b"/wiki/a/b\0c", true),
            ("/wiki/**/edit", b"/wiki/a\0b/edit", true),
            ("/wiki/**/e*t", b"/wiki/a/e\0t", false),
        ];
        for (pattern, path, expected) in table {
            assert_eq!(Glob::parse(pattern).unwrap().matches_path(path), *expected, "{pattern} {path:?}");
        }
    }

    #[test]
    fn a_hostile_path_costs_no_exponential_time() {
        let pattern = Glob::parse(&"*a".repeat(40)).unwrap();
        assert!(!pattern.matches_text(&[b'a'; 4000].iter().copied().chain([b'b']).collect::<Vec<_>>()));
    }

    #[test]
    fn the_rest_is_what_a_final_double_star_matched() {
        let rest = |pattern: &str, path: &'static str| Glob::parse(pattern).unwrap().rest(path.as_bytes());
        assert_eq!(rest("/foo/**", "/foo/a/b"), Some(&b"/a/b"[..]));
        assert_eq!(rest("/**", "/foo/a"), Some(&b"/foo/a"[..]));
        assert_eq!(rest("/foo/*", "/foo/a"), None);
        assert_eq!(rest("/foo/**/", "/foo/a/"), Some(&b"/a"[..]));
        assert_eq!(rest("/foo/**/show.php", "/foo/a/b/show.php"), Some(&b"/a/b"[..]));
        assert_eq!(rest("/foo/**/*.php", "/foo/a/b.php"), Some(&b"/a/b.php"[..]));
        assert_eq!(rest("/foo/*/**/x/**", "/foo/1/a/x/b"), Some(&b"/a/x/b"[..]));
        assert_eq!(rest("/foo/**", "/foo"), Some(&b""[..]));
    }

    #[test]
    fn endpoint_patterns_fill_parts_left_out_and_fold() {
        let case = Fold { case: true, ..Fold::default() };
        let all = Fold { case: true, underscore: true, dash: true };
        type Row = (&'static str, (&'static str, &'static str, &'static str), Fold, bool);
        let table: &[Row] = &[
            ("news", ("news", "list", "index"), case, true),
            ("news", ("NEWS", "x", ""), case, true),
            ("news", ("newsx", "x", ""), case, false),
            ("user/auth/login", ("user", "auth", "login"), case, true),
            ("user/auth/login", ("user", "auth", "logout"), case, false),
            ("user/*/get*", ("user", "info", "getAll"), case, true),
            ("user/user_type", ("user", "UserType", "x"), case, false),
            ("user/user_type", ("user", "UserType", "x"), all, true),
            ("user/user-type", ("user", "usertype", "x"), all, true),
            ("User", ("user", "x", "y"), Fold::default(), false),
            ("U*r", ("User", "x", "y"), Fold::default(), true),
            ("U*r", ("user", "x", "y"), Fold::default(), false),
        ];
        for (pattern, (m, c, a), fold, expected) in table {
            let endpoint =
                Endpoint { module: m.as_bytes().into(), controller: c.as_bytes().into(), action: a.as_bytes().into() };
            assert_eq!(
                EndpointPattern::parse(pattern).unwrap().matches(&endpoint, *fold),
                *expected,
                "{pattern} on {m}/{c}/{a}"
            );
        }
        assert!(EndpointPattern::parse("a/b/c/d").is_err());
    }
}
