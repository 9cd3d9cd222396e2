//! The path of a request: decoded once, and refused where a server behind us could see another path than the rules did.

use crate::request::Unreadable;

/// What section "paths" refuses and some applications need; each a name of `lenient_paths`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lenient {
    /// `%2f` in a path.
    pub encoded_slash: bool,
    /// `%3f`.
    pub encoded_question: bool,
    /// `%25`.
    pub encoded_percent: bool,
    /// `;`
    pub semicolon: bool,
    /// `//`
    pub double_slash: bool,
    /// `\` (also as the second byte of a GBK character).
    pub backslash: bool,
}

/// A path that every server reads alike, and the query as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The path as sent, without the query.
    pub raw_path: String,
    /// The path, percent-decoded once; begins with `/` (or is `*` for OPTIONS).
    pub path: Vec<u8>,
    /// What follows the first `?`, as sent; `None` where there is no `?`.
    pub raw_query: Option<String>,
    /// Whether a leniency was needed: then only rules with `**` may match.
    pub lenient: bool,
}

impl Target {
    /// Reads a target in origin form.
    pub fn read(_target: &str, _lenient: Lenient) -> Result<Self, Unreadable> {
        todo!()
    }
}

/// Checks and decodes a path once; used for the path of a target and for the decoded value of a `query_path` parameter.
/// The flag tells whether a leniency was needed.
pub fn decode_path(_raw: &[u8], _lenient: Lenient) -> Result<(Vec<u8>, bool), Unreadable> {
    todo!()
}
