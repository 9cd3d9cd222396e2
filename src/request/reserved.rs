//! Reserved names: parameters that decide something (credentials, endpoint, selectors). Each may stand once, in its place, as text.

use std::sync::Arc;

mod check;

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
    /// A parameter of `endpoint`: only in its sources' places, whatever `elsewhere` says, and in one only.
    Endpoint {
        /// The places of its sources.
        places: Places,
    },
    /// A selector: nowhere.
    Selector,
    /// A name that a rule's `params` asks for: query and form (in both with one value), not in cookies, not as an array.
    /// Given twice in one place, the last counts, as for PHP.
    RuleParam,
    /// A login rule's credential fields (`login.fields`): nowhere but in a login rule's request.
    LoginField,
}

impl Kind {
    /// Whether such a name may not stand in a multipart body, whichever rule matched.
    pub(in crate::request) fn bars_multipart(self) -> bool {
        match self {
            Self::Credential { ignore, .. } => !ignore,
            Self::Endpoint { .. } | Self::Selector | Self::LoginField => true,
            Self::RuleParam => false,
        }
    }

    /// Whether such a name may not stand as a word in the open rest of a path.
    fn bars_path(self) -> bool {
        match self {
            Self::Credential { ignore, .. } => !ignore,
            Self::Endpoint { .. } | Self::Selector => true,
            Self::LoginField | Self::RuleParam => false,
        }
    }
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

impl Name {
    fn shown(&self) -> impl std::fmt::Display {
        self.name.escape_ascii()
    }
}

/// All reserved names of a configuration. Cloning is shallow.
#[derive(Clone, Debug, Default)]
pub struct Reserved {
    names: Arc<[Name]>,
    /// Whether a query may begin with a raw `/`, because a route is read from it (`query_path: {name: ""}`).
    nameless_query: bool,
}

impl Reserved {
    /// Of those names. `nameless_query` tells that an endpoint is read from a query without a name (`?/news/list`).
    pub fn new(names: Vec<Name>, nameless_query: bool) -> Self {
        Self { names: names.into(), nameless_query }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Name> {
        self.names.iter()
    }

    /// The entry of a folded name.
    pub fn find(&self, name: &[u8]) -> Option<&Name> {
        self.names.iter().find(|reserved| reserved.name == name)
    }

    /// Refuses every reserved name that stands twice, as an array, in two places or where it must not, with a message that
    /// names what and where (`user_id in query and cookie`), never a value. Login fields are left to
    /// [`Self::check_login_fields`].
    pub fn check(&self, parts: &Parts<'_>) -> Result<(), Unreadable> {
        check::whole(parts, self.nameless_query)?;
        self.names.iter().try_for_each(|name| check::one(name, parts))
    }

    /// Refuses login fields wherever they stand: for requests whose rule is no login rule, because many applications log in
    /// on any URL.
    pub fn check_login_fields(&self, parts: &Parts<'_>) -> Result<(), Unreadable> {
        let fields = self.names.iter().filter(|name| name.kind == Kind::LoginField);
        fields.into_iter().try_for_each(|field| check::nowhere(field, parts, "where no login is"))
    }

    /// Refuses a reserved name among the fields of a message: what they are for is said elsewhere, so none may stand there.
    pub fn check_message(&self, fields: &Params) -> Result<(), Unreadable> {
        let barred = |name: &&Name| match name.kind {
            Kind::Credential { places, ignore } => places.form || places.query || !ignore,
            Kind::Endpoint { .. } | Kind::Selector => true,
            Kind::RuleParam | Kind::LoginField => false,
        };
        match self.names.iter().filter(barred).find(|name| fields.get(&name.name).is_some()) {
            Some(name) => Err(Unreadable::Ambiguous(format!("{} in a message", name.shown()))),
            None => Ok(()),
        }
    }

    /// Whether the name of a token stands in a text as a whole word, so that what follows may be one: for logs.
    pub fn names_token(&self, text: &[u8]) -> bool {
        let is_token = |name: &&Name| matches!(name.header, Some("X-User-Token" | "X-Api-Token"));
        self.names.iter().filter(is_token).any(|name| check::has_word(text, &name.name))
    }

    /// Refuses a reserved name that stands as a whole word in the decoded rest of a path that a rule leaves open (`/**`):
    /// frameworks take parameters from there (`/news/list/user_id/5`).
    pub fn check_path_rest(&self, rest: &[u8]) -> Result<(), Unreadable> {
        let mut barred = self.names.iter().filter(|name| name.kind.bars_path());
        match barred.find(|name| check::has_word(rest, &name.name)) {
            Some(name) => Err(Unreadable::Ambiguous(format!("{} in path", name.shown()))),
            None => Ok(()),
        }
    }

    /// Where the name of a token or a signature ends that stands as a whole word in `text`, as it would before its value in a
    /// path. `sign` is an ordinary word as well, so it counts before something as long as a hash only.
    pub fn token_in(&self, text: &[u8]) -> Option<usize> {
        let ends = self.names.iter().filter_map(|name| {
            let least = match name.header? {
                "X-Api-Token" | "X-User-Token" => 1,
                "X-Sign" => 33,
                _ => return None,
            };
            check::word_end(text, &name.name).filter(|end| text.len() >= end + least)
        });
        ends.min()
    }
}

/// The token of an `Authorization: Bearer` header; `None` for other schemes.
pub fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(6)?;
    let apart = token.is_empty() || token.starts_with(b" ") || token.starts_with(b"\t");
    (apart && scheme.eq_ignore_ascii_case(b"bearer")).then(|| token.trim_ascii())
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
