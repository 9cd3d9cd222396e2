//! `csrf`: a field for the application's guard against forged requests, which clients of tokens need not know.

use http::HeaderName;

/// A rule's `csrf`.
#[derive(Clone, Debug)]
pub struct Csrf {
    /// `form`: the field.
    pub field: String,
    /// `from`
    pub from: Origin,
}

/// Where the field's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `cookie:NAME` of the held cookies.
    Cookie(String),
    /// `header:NAME` of the last reply that had it.
    Header(HeaderName),
}

impl Csrf {
    /// The header that must be kept for it.
    pub fn header(&self) -> Option<&HeaderName> {
        match &self.from {
            Origin::Header(name) => Some(name),
            Origin::Cookie(_) => None,
        }
    }
}
