//! What the configuration demands of a request: which endpoint it names, which rule decides, what that rule requires.

pub mod endpoint;
pub mod login_rule;
pub mod pattern;
pub mod rule;

use crate::policy::endpoint::{Endpoint, Reader};
use crate::policy::rule::Rule;
use crate::request::{Inbound, Unreadable};

/// What a request must hold to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing.
    Public,
    /// A client.
    Client,
    /// A client and a user.
    User,
    /// A user without a client: browsers, and programs that cannot keep a secret.
    UserOnly,
    /// Never passes.
    Deny,
}

/// All rules in order, and how endpoints are read.
#[derive(Debug)]
pub struct Policy {
    /// Reads endpoints.
    pub reader: Reader,
    /// The first that matches decides.
    pub rules: Vec<Rule>,
    /// What decides where none matches: a rule named `default`.
    pub default: Rule,
}

/// What decides about a request.
#[derive(Debug)]
pub struct Decided<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The endpoint the request names (or that the rule gives it).
    pub endpoint: Option<Endpoint>,
}

impl Policy {
    /// The endpoint and the first rule that matches.
    pub fn decide(&self, _inbound: &Inbound) -> Result<Decided<'_>, Unreadable> {
        todo!()
    }
}
