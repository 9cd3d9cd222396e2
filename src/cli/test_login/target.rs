//! What a client asks for that a login rule matches.

use crate::policy::Policy;
use crate::policy::endpoint::{Place, Source};
use crate::policy::pattern::Glob;
use crate::policy::rule::Rule;
use crate::policy::template::{Part, Segment, Template};

/// A target, and fields that go with it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// `None` where the rule fixes too little.
    pub(super) target: Option<String>,
    pub(super) form: Vec<(String, String)>,
}

/// Made of the rule's path, else of its endpoint and the first source that can name it; with the rule's parameters in the query.
pub(super) fn of(rule: &Rule, policy: &Policy) -> Made {
    let mut form = Vec::new();
    let target = match &rule.matcher.path {
        Some(glob) => literal(glob).map(str::to_owned),
        None => {
            let parts = parts(rule, policy);
            policy.reader.sources.iter().find_map(|source| spelled(source, &parts, policy, &mut form))
        }
    };
    let params = rule.matcher.params.iter().filter_map(|(name, glob)| Some((name.as_str(), literal(glob)?)));
    let target = target.map(|target| params.fold(target, |target, (name, value)| with(&target, name, value)));
    Made { target, form }
}

fn literal(glob: &Glob) -> Option<&str> {
    Some(glob.as_str()).filter(|text| !text.contains('*'))
}

/// Module, controller and action, as far as the rule or the defaults say.
fn parts(rule: &Rule, policy: &Policy) -> [Option<String>; 3] {
    let defaults = &policy.reader.defaults;
    let defaults = [&defaults.module, &defaults.controller, &defaults.action];
    let wanted = rule.matcher.endpoint.as_ref().map(|pattern| pattern.parts());
    std::array::from_fn(|at| {
        let written = wanted.and_then(|parts| parts.get(at)).filter(|part| !part.contains(&b'*'));
        let default = defaults.get(at).copied().filter(|part| !part.is_empty());
        written.or(default).and_then(|part| String::from_utf8(part.clone()).ok())
    })
}

fn spelled(
    source: &Source,
    parts: &[Option<String>; 3],
    policy: &Policy,
    form: &mut Vec<(String, String)>,
) -> Option<String> {
    let part = |part: Part| parts.get(part.index()).and_then(Option::as_deref);
    let script = policy.reader.scripts.first().map_or("/", String::as_str);
    let mut target = match &source.path {
        Some(template) => filled(template, part)?,
        None => script.to_owned(),
    };
    if let Some((name, template)) = &source.query_path {
        let path = filled(template, part)?;
        target = match std::str::from_utf8(name).ok()? {
            "" => format!("{target}?{path}"),
            name => with(&target, name, &path),
        };
    }
    for (place, which, name) in &source.params {
        let (name, Some(value)) = (String::from_utf8(name.clone()).ok()?, part(*which)) else { continue };
        match place {
            Place::Query | Place::Request => target = with(&target, &name, value),
            Place::Form => form.push((name, value.to_owned())),
        }
    }
    Some(target)
}

fn filled<'a>(template: &Template, part: impl Fn(Part) -> Option<&'a str>) -> Option<String> {
    if template.whole {
        return part(Part::Action).map(str::to_owned);
    }
    let mut path = String::new();
    for segment in &template.segments {
        path.push('/');
        match segment {
            Segment::Literal(text) => path.push_str(std::str::from_utf8(text).ok()?),
            Segment::Part { before, part: which, after } => {
                path.push_str(std::str::from_utf8(before).ok()?);
                path.push_str(part(*which)?);
                path.push_str(std::str::from_utf8(after).ok()?);
            }
        }
    }
    Some(path)
}

fn with(target: &str, name: &str, value: &str) -> String {
    let separator = if target.contains('?') { '&' } else { '?' };
    format!("{target}{separator}{name}={value}")
}
