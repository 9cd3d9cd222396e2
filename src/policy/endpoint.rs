//! Endpoints: the triple module / controller / action that a request names, read from its sources.

use std::fmt;

use crate::policy::template::{Part, Template};
use crate::request::php::url_decode;
use crate::request::target::{Lenient, check_decoded};
use crate::request::{Inbound, Unreadable};

/// Module, controller, action: the decoded bytes as sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Endpoint {
    /// Module; may be empty.
    pub module: Vec<u8>,
    /// Controller; may be empty.
    pub controller: Vec<u8>,
    /// Action; may be empty.
    pub action: Vec<u8>,
}

/// Where a parameter source looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `query:`
    Query,
    /// `form:`
    Form,
    /// `request:` (form over query)
    Request,
}

/// One source of `endpoint`. A source may combine a path with parameters for the other parts.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// `path: "/{module}/{controller}/{action}"`, compiled.
    pub path: Option<Template>,
    /// `query_path: {name, template}`: a query parameter that holds a path.
    pub query_path: Option<(Vec<u8>, Template)>,
    /// `query:`, `form:`, `request:`: parameter names for parts.
    pub params: Vec<(Place, Part, Vec<u8>)>,
}

/// How parts compare in rules, besides case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Fold {
    /// `UserType` = `usertype`.
    pub case: bool,
    /// `UserType` = `user_type`.
    pub underscore: bool,
    /// `user-type` = `usertype`.
    pub dash: bool,
}

/// Reads the endpoint of a request.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// Where to look, in order.
    pub sources: Vec<Source>,
    /// What a present source leaves out.
    pub defaults: Endpoint,
    /// Front controllers taken off the path before it is matched (`/index.php`).
    pub scripts: Vec<String>,
    /// Suffixes taken off the action (`.html`).
    pub suffixes: Vec<String>,
    /// `suffixes: any`.
    pub any_suffix: bool,
    /// How parts compare.
    pub fold: Fold,
}

/// An endpoint as read, and what its source left open behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The rest of a path behind a `/**`: applications read parameters from it.
    pub rest: Vec<u8>,
}

/// What a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// No source is present.
    Nothing,
    /// An endpoint.
    Named(Named),
    /// The path fits a source, but names no endpoint that PHP could not read in another way; only `path` rules may match.
    Unfit(Unfit),
}

/// A path that fits a source and names no endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// What is said of it where no `path` rule matches.
    pub why: Unreadable,
    /// Whether it looks like a file's (`/assets/app.js`): without a rule of its own that is not one of the application's.
    pub file: bool,
}

impl Reading {
    /// The endpoint, where one is named.
    pub fn into_endpoint(self) -> Option<Endpoint> {
        match self {
            Self::Named(named) => Some(named.endpoint),
            Self::Nothing | Self::Unfit(_) => None,
        }
    }

    /// The endpoint, where one is named.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Named(named) => Some(&named.endpoint),
            Self::Nothing | Self::Unfit(_) => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.module.escape_ascii(), self.controller.escape_ascii(), self.action.escape_ascii())
    }
}

impl Endpoint {
    fn part(&self, part: usize) -> &[u8] {
        match part {
            0 => &self.module,
            1 => &self.controller,
            _ => &self.action,
        }
    }
}

impl Reader {
    /// The path as rules see it: without a front controller.
    pub fn path_without_script<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        for script in &self.scripts {
            match path.split_at_checked(script.len()) {
                Some((start, b"")) if start.eq_ignore_ascii_case(script.as_bytes()) => return b"/",
                Some((start, rest @ [b'/', ..])) if start.eq_ignore_ascii_case(script.as_bytes()) => return rest,
                _ => {}
            }
        }
        path
    }

    /// The endpoint that a request names. Sources that are present must agree.
    pub fn read(&self, inbound: &Inbound) -> Result<Reading, Unreadable> {
        let mut reading = Reading::Nothing;
        for source in &self.sources {
            match (self.read_source(source, inbound)?, &reading) {
                (Reading::Nothing, _) => {}
                (Reading::Named(named), Reading::Named(other)) if !self.same(&named.endpoint, &other.endpoint) => {
                    return Err(Unreadable::Ambiguous("two endpoints in one request".to_owned()));
                }
                (Reading::Unfit(_), Reading::Named(_)) | (Reading::Named(_), Reading::Unfit(_)) => {
                    return Err(Unreadable::Ambiguous("two endpoints in one request".to_owned()));
                }
                (Reading::Named(named), Reading::Named(other)) if named.rest.is_empty() && !other.rest.is_empty() => {}
                (found, _) => reading = found,
            }
        }
        if reading == Reading::Nothing && self.is_home(inbound) {
            return Ok(Reading::Named(self.named([None; 3], b"")));
        }
        Ok(reading)
    }

    /// Whether a path source is there with every part left out (`/`), which is what the defaults are for. Any other source that
    /// is present goes before it.
    fn is_home(&self, inbound: &Inbound) -> bool {
        let path = self.routed_path(inbound.target.matched());
        let mut templates = self.sources.iter().filter_map(|source| source.path.as_ref()).filter(|path| !path.whole);
        templates.any(|template| {
            template.take(path, |part| self.has_default(part)).is_some_and(|taken| taken.parts == [None; 3])
        })
    }

    fn has_default(&self, part: Part) -> bool {
        !self.defaults.part(part.index()).is_empty()
    }

    /// Whether rules take the two for one.
    pub fn same(&self, one: &Endpoint, other: &Endpoint) -> bool {
        (0..3).all(|part| self.fold.apply(one.part(part)) == self.fold.apply(other.part(part)))
    }

    fn read_source(&self, source: &Source, inbound: &Inbound) -> Result<Reading, Unreadable> {
        let mut parts = [None; 3];
        let value;
        let mut rest: &[u8] = b"";
        let mut from_path = false;
        if let Some(template) = &source.path {
            let path = match template {
                Template { whole: true, .. } => inbound.target.path.as_slice(),
                _ if template.ends_in_a_suffix() => self.routed_path(inbound.target.matched()),
                _ => self.without_suffix(self.routed_path(inbound.target.matched())),
            };
            let Some(taken) = template.take(path, |part| self.has_default(part)) else { return Ok(Reading::Nothing) };
            (parts, rest, from_path) = (taken.parts, taken.rest, true);
            if template.whole {
                return Ok(Reading::Named(self.named(parts, rest)));
            }
        }
        if let Some((name, template)) = &source.query_path {
            let Some(found) = query_path(inbound, name)? else { return Ok(Reading::Nothing) };
            value = found;
            let Some(taken) = template.take(self.without_suffix(&value), |part| self.has_default(part)) else {
                return Err(Unreadable::Malformed(format!("{} names no endpoint", name.escape_ascii())));
            };
            (parts, rest) = (taken.parts, taken.rest);
            if template.whole || parts == [None; 3] {
                // `?s=` is present though empty: the defaults are what PHP runs.
                return Ok(Reading::Named(self.named(parts, rest)));
            }
        }
        for (place, part, name) in &source.params {
            if let Some(text) = parameter(inbound, *place, name)
                && let Some(slot) = parts.get_mut(part.index())
            {
                fit(text).map_err(Unreadable::Malformed)?;
                *slot = Some(text);
            }
        }
        if parts == [None; 3] {
            return Ok(Reading::Nothing);
        }
        match parts.iter().flatten().try_for_each(|part| fit(part)) {
            Ok(()) => Ok(Reading::Named(self.named(parts, rest))),
            // A path such as /assets/app.js fits the template and names no endpoint; `path` rules may still match it.
            Err(why) if from_path => {
                let file = names_a_file(&inbound.target.path);
                Ok(Reading::Unfit(Unfit { why: Unreadable::Malformed(why), file }))
            }
            Err(why) => Err(Unreadable::Malformed(why)),
        }
    }

    /// Frameworks take an empty part for one that is left out, so it is the default's as well.
    fn named(&self, parts: [Option<&[u8]>; 3], rest: &[u8]) -> Named {
        let [module, controller, action] = parts.map(|part| part.filter(|part| !part.is_empty()));
        let endpoint = Endpoint {
            module: module.unwrap_or(&self.defaults.module).to_vec(),
            controller: controller.unwrap_or(&self.defaults.controller).to_vec(),
            action: action.unwrap_or(&self.defaults.action).to_vec(),
        };
        Named { endpoint, rest: rest.to_vec() }
    }

    fn routed_path<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        let path = self.path_without_script(path);
        path.strip_suffix(b"/").unwrap_or(path)
    }

    fn without_suffix<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        let last = memchr::memrchr(b'/', path).map_or(0, |at| at + 1);
        if self.any_suffix {
            let dot = memchr::memrchr(b'.', path).filter(|dot| *dot > last);
            return dot.and_then(|dot| path.get(..dot)).unwrap_or(path);
        }
        for suffix in &self.suffixes {
            if let Some((stem, end)) = path.len().checked_sub(suffix.len()).and_then(|at| path.split_at_checked(at))
                && stem.len() > last
                && end.eq_ignore_ascii_case(suffix.as_bytes())
            {
                return stem;
            }
        }
        path
    }
}

/// Whether the last segment has an extension.
fn names_a_file(path: &[u8]) -> bool {
    path.rsplit(|byte| *byte == b'/').next().is_some_and(|last| last.contains(&b'.'))
}

/// A part is made of letters, digits, `_`, `-` and bytes from 0x80: everything else frameworks cut, fold or route elsewhere.
fn fit(part: &[u8]) -> Result<(), String> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | 0x80..);
    if part.iter().all(fits) {
        Ok(())
    } else {
        Err("an endpoint part holds a character that PHP applications read in different ways".to_owned())
    }
}

fn parameter<'a>(inbound: &'a Inbound, place: Place, name: &[u8]) -> Option<&'a [u8]> {
    match place {
        Place::Query => inbound.query.text(name),
        Place::Form => inbound.form.text(name),
        Place::Request => inbound.form.text(name).or_else(|| inbound.query.text(name)),
    }
}

/// The path that a query parameter holds, by the rules of a path; for the nameless parameter the query up to the first `&`.
fn query_path(inbound: &Inbound, name: &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
    let text = if name.is_empty() {
        let query = inbound.target.raw_query.as_deref().unwrap_or_default();
        if !query.starts_with('/') {
            return Ok(None);
        }
        url_decode(query.split('&').next().unwrap_or_default().as_bytes()).to_vec()
    } else {
        match inbound.query.text(name) {
            Some(text) => text.to_vec(),
            None => return Ok(None),
        }
    };
    let rooted = if text.starts_with(b"/") { text } else { [b"/", text.as_slice()].concat() };
    match check_decoded(&rooted, Lenient::default()) {
        Ok(_) => Ok(Some(rooted.strip_suffix(b"/").map(<[u8]>::to_vec).unwrap_or(rooted))),
        Err(why) => Err(Unreadable::Malformed(format!("{} holds a path, and {why}", name.escape_ascii()))),
    }
}
