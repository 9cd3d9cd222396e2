//! Patterns of rules: globs over paths and texts, patterns over endpoints.

use crate::policy::endpoint::{Endpoint, Fold};

/// A glob: `*` within a segment, `**` across segments; matched case-insensitively over the whole text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
}

impl Glob {
    /// Compiles it; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned() })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches a path (`/` separates; a trailing `/` on either side does not matter).
    pub fn matches_path(&self, _path: &[u8]) -> bool {
        todo!()
    }

    /// Whether it matches a text without segments: `*` matches anything.
    pub fn matches_text(&self, _text: &[u8]) -> bool {
        todo!()
    }
}

/// `m/c/a`, `*` inside a part, parts left out match anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPattern {
    text: String,
}

impl EndpointPattern {
    /// Compiles it; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned() })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches.
    pub fn matches(&self, _endpoint: &Endpoint, _fold: Fold) -> bool {
        todo!()
    }
}
