//! What the configuration demands of a request: which endpoint it names, which rule decides, what that rule requires.

pub mod before;
pub mod bridge;
pub mod channel;
pub mod csrf;
pub mod endpoint;
pub mod login_rule;
pub mod pattern;
pub mod rule;
pub mod template;
pub mod written;

use std::sync::Arc;

use crate::policy::endpoint::{Endpoint, Reader, Reading, Unfit};
use crate::policy::rule::{Guests, Rule};
use crate::request::php::url_decode;
use crate::request::reserved::Reserved;
use crate::request::{Inbound, Unreadable, upgrade};

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

impl Requirement {
    /// Whether a client has to prove itself.
    pub const fn needs_client(self) -> bool {
        matches!(self, Self::Client | Self::User)
    }

    /// Whether a user has to be logged in.
    pub const fn needs_user(self) -> bool {
        matches!(self, Self::User | Self::UserOnly)
    }

    /// What two who each have a say require together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        if matches!(self, Self::Deny) || matches!(other, Self::Deny) {
            return Self::Deny;
        }
        match (self.needs_client() || other.needs_client(), self.needs_user() || other.needs_user()) {
            (true, true) => Self::User,
            (true, false) => Self::Client,
            (false, true) => Self::UserOnly,
            (false, false) => Self::Public,
        }
    }

    /// As written in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Client => "client",
            Self::User => "user",
            Self::UserOnly => "user_only",
            Self::Deny => "deny",
        }
    }
}

/// All rules in order, and how endpoints are read.
#[derive(Debug)]
pub struct Policy {
    /// Reads endpoints.
    pub reader: Reader,
    /// The first that matches decides.
    pub rules: Vec<Rule>,
    /// `websocket`: those that decide about requests for a WebSocket, before all others.
    pub websockets: Vec<Rule>,
    /// What decides where none matches: a rule named `default`.
    pub default: Rule,
}

/// What decides about a request.
#[derive(Debug)]
pub struct Decided<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Its place in [`Policy::labels`].
    pub number: usize,
    /// The endpoint the request names (or that the rule gives it).
    pub endpoint: Option<Endpoint>,
    /// What is required: what the rule says, unless the message of a connection asks for more.
    pub require: Requirement,
}

impl Policy {
    /// Whether any session keeps the application's cookies: then no others pass where somebody must be proved.
    pub fn holds_cookies(&self) -> bool {
        let holds = |rule: &Rule| rule.login.as_ref().is_some_and(|login| login.hold_cookies);
        self.rules.iter().any(|rule| holds(rule) || rule.guests == Guests::Welcome)
    }

    /// How many names [`Self::labels`] has.
    pub fn count(&self) -> usize {
        self.rules.len() + 1 + self.websockets.len()
    }

    /// The names of all rules in order: the rules, the default, those for WebSockets.
    pub fn labels(&self) -> Vec<Arc<str>> {
        let all = self.rules.iter().chain([&self.default]).chain(&self.websockets);
        all.map(|rule| Arc::clone(&rule.name)).collect()
    }

    /// The endpoint and the first rule that matches. `reserved` names may not hide in the open rest of a path.
    pub fn decide(&self, inbound: &Inbound, reserved: &Reserved) -> Result<Decided<'_>, Unreadable> {
        let reading = self.reader.read(inbound)?;
        let endpoint = reading.endpoint();
        let path = self.reader.path_without_script(inbound.target.matched());
        let (number, rule) = self.websocket(inbound).unwrap_or_else(|| self.first_match(inbound, path, endpoint));
        match &reading {
            // Without a path rule of its own, an unfit path is one that PHP might route where no rule looks.
            Reading::Unfit(Unfit { why, file })
                if rule.matcher.path.is_none() && !(*file && rule.require == Requirement::Deny) =>
            {
                return Err(why.clone());
            }
            Reading::Named(named) => reserved.check_path_rest(&named.rest)?,
            Reading::Nothing | Reading::Unfit(_) => {}
        }
        if let Some(rest) = open_path(rule, &reading, path) {
            reserved.check_path_rest(rest)?;
            if inbound.target.is_lenient() {
                // A percent sign was let pass, and who decodes once more may find a name behind it.
                reserved.check_path_rest(&url_decode(&inbound.target.path))?;
            }
        }
        let endpoint = rule.endpoint_is.clone().or_else(|| reading.into_endpoint());
        Ok(Decided { rule, number, endpoint, require: rule.require })
    }

    /// Whether the rule that decides leaves bodies unread, told from the head alone: a rule before it that asks for
    /// parameters could only be judged with the form, so then the body is read.
    pub fn leaves_body_unread(&self, inbound: &Inbound) -> bool {
        let Ok(reading) = self.reader.read(inbound) else { return false };
        let path = self.reader.path_without_script(inbound.target.matched());
        for rule in &self.rules {
            if !rule.matcher.params.is_empty() {
                return false;
            }
            if self.matches(rule, inbound, path, reading.endpoint()) {
                return rule.opaque_body;
            }
        }
        false
    }

    /// Whether any rule leaves bodies unread: without one nobody has to ask.
    pub fn has_opaque_rules(&self) -> bool {
        self.rules.iter().any(|rule| rule.opaque_body)
    }

    /// Parameters that rules before `rule` ask for which would have matched but for them: the request holds no such parameter
    /// where the gate reads it, so it may hold none anywhere.
    pub fn params_missed<'a>(&'a self, inbound: &Inbound, rule: &Rule) -> Vec<&'a [u8]> {
        let Ok(reading) = self.reader.read(inbound) else { return Vec::new() };
        let path = self.reader.path_without_script(inbound.target.matched());
        let before = self.rules.iter().take_while(|other| !std::ptr::eq(*other, rule));
        let missed = before.filter(|other| self.would_match(other, inbound, path, reading.endpoint()));
        missed.flat_map(|other| &other.matcher.params).map(|(name, _)| name.as_bytes()).collect()
    }

    /// The rule for WebSockets that decides, where the request asks for one at a path that has such a rule. At any other it is a
    /// request like all others, and its Upgrade goes no further than here.
    pub fn websocket(&self, inbound: &Inbound) -> Option<(usize, &Rule)> {
        if self.websockets.is_empty() || !upgrade::is_asked(&inbound.head) {
            return None;
        }
        self.websocket_route(inbound)
    }

    /// The rule for WebSockets at that path, whether the request asks for one or not.
    pub fn websocket_route(&self, inbound: &Inbound) -> Option<(usize, &Rule)> {
        let path = self.reader.path_without_script(inbound.target.matched());
        let target = &inbound.target;
        let fits = |(_, rule): &(usize, &Rule)| rule.matcher.path_allows(path, target.matched(), target.is_lenient());
        // Behind the rules and the default, as in `labels`.
        let numbered = (self.rules.len() + 1..).zip(&self.websockets);
        numbered.into_iter().find(fits)
    }

    fn first_match(&self, inbound: &Inbound, path: &[u8], endpoint: Option<&Endpoint>) -> (usize, &Rule) {
        let mut rules = self.rules.iter().enumerate();
        let first = rules.find(|(_, rule)| self.matches(rule, inbound, path, endpoint));
        first.unwrap_or((self.rules.len(), &self.default))
    }

    fn matches(&self, rule: &Rule, inbound: &Inbound, path: &[u8], endpoint: Option<&Endpoint>) -> bool {
        self.would_match(rule, inbound, path, endpoint) && rule.matcher.params_allow(&inbound.query, &inbound.form)
    }

    /// Whether it matches but for its parameters.
    fn would_match(&self, rule: &Rule, inbound: &Inbound, path: &[u8], endpoint: Option<&Endpoint>) -> bool {
        let matcher = &rule.matcher;
        let target = &inbound.target;
        matcher.methods_allow(inbound.head.method())
            && matcher.path_allows(path, target.matched(), target.is_lenient())
            && matcher
                .endpoint
                .as_ref()
                .is_none_or(|pattern| endpoint.is_some_and(|endpoint| pattern.matches(endpoint, self.reader.fold)))
    }
}

/// What of the path nothing fixes: what `**` of the rule took, or all of it where neither rule nor endpoint says a word about it.
fn open_path<'a>(rule: &Rule, reading: &Reading, path: &'a [u8]) -> Option<&'a [u8]> {
    match (&rule.matcher.path, reading) {
        (Some(glob), _) => glob.rest(path),
        (None, Reading::Nothing) if rule.require != Requirement::Deny => Some(path),
        (None, _) => None,
    }
}
