//! Reserved names: parameters that decide something (credentials, endpoint, selectors). Each may stand once, in its place, as text.

use std::sync::Arc;

use crate::request::Unreadable;
use crate::request::head::Head;
use crate::request::php::Params;
use crate::request::target::Target;

/// Where a parameter can stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Places {
    /// In the query.
    pub query: bool,
    /// In an urlencoded form.
    pub form: bool,
    /// In its header (credentials only).
    pub header: bool,
}

/// What a reserved name is for, and so where it may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A credential: in one of these places, and in one only. Where `ignore` is set, other places are the application's own
    /// (`elsewhere: ignore`).
    Credential {
        /// The places of `credentials`.
        places: Places,
        /// `elsewhere: ignore`.
        ignore: bool,
    },
    /// A parameter of `endpoint`: only in its sources' places, whatever `elsewhere` says; in query and form together only
    /// for a `request` source.
    Endpoint {
        /// The places of its sources.
        places: Places,
    },
    /// A selector: nowhere.
    Selector,
    /// A name that a rule's `params` asks for: query and form (with one value), not in cookies, not as an array.
    RuleParam,
    /// A login rule's credential fields (`login.fields`): nowhere but in a login rule's request.
    LoginField,
}

/// One reserved name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// As PHP folds it.
    pub name: Vec<u8>,
    /// The header that carries it, for credentials (`X-User-Id`).
    pub header: Option<&'static str>,
    /// What it is for.
    pub kind: Kind,
}

/// All reserved names of a configuration. Cloning is shallow.
#[derive(Clone, Debug, Default)]
pub struct Reserved(Arc<[Name]>);

impl Reserved {
    /// Of those names.
    pub fn new(names: Vec<Name>) -> Self {
        Self(names.into())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Name> {
        self.0.iter()
    }

    /// The entry of a folded name.
    pub fn find(&self, name: &[u8]) -> Option<&Name> {
        self.0.iter().find(|reserved| reserved.name == name)
    }

    /// Refuses every reserved name that stands twice, as an array, in two places or where it must not, with a message that
    /// names what and where (`user_id in query and cookie`), never a value. `login` tells that a login rule matched.
    pub fn check(&self, _parts: &Parts<'_>) -> Result<(), Unreadable> {
        todo!()
    }
}

/// What [`Reserved::check`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Headers.
    pub head: &'a Head,
    /// Path, for reserved words in a path's rest.
    pub target: &'a Target,
    /// `$_GET`.
    pub query: &'a Params,
    /// `$_POST`, empty where none was read.
    pub form: &'a Params,
    /// `$_COOKIE`.
    pub cookies: &'a Params,
}
