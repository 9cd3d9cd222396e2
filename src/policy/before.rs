//! `before`: a page of the application that is fetched before a login or logout, for what must go along.

use crate::policy::login_rule::Source;

/// A rule's `login.before` or `logout.before`.
#[derive(Clone, Debug)]
pub struct Before {
    /// `get`: path and query of the page.
    pub get: String,
    /// `form`: which of its forms is sent in place of the client's own request.
    pub form: Option<Form>,
    /// `take`: fields, and where in the page their values stand.
    pub take: Vec<(String, Taken)>,
}

/// A form of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// `true`: the first that asks for a password.
    WithPassword,
    /// The first of that name or id.
    Named(String),
}

/// Where a field's value stands.
#[derive(Clone, Debug)]
pub enum Taken {
    /// `input:NAME`: an input of the page's HTML.
    Input(String),
    /// Anywhere else in the page.
    From(Source),
}
