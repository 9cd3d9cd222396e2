//! The way back: from an endpoint to a request that names it, for requests that the gate makes itself.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::policy::endpoint::{Endpoint, Place, Reader, Source};
use crate::policy::template::{Part, Segment, Template};

/// A request that names an endpoint, to which fields are to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and perhaps a query.
    pub target: String,
    /// What of the form is there already.
    pub form: String,
}

/// What stays as it is in a path and in a query.
const OPEN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const OPEN_PATH: &AsciiSet = &OPEN.remove(b'/');

/// Percent-encoded for a query, a form or a segment of a path.
pub fn encode(text: &[u8]) -> String {
    percent_encode(text, OPEN).to_string()
}

impl Reader {
    /// A request of that method that the first source which can name the endpoint would read it from; `None` where none can.
    pub fn write(&self, endpoint: &Endpoint, method: &str) -> Option<Written> {
        self.sources.iter().find_map(|source| self.write_by(source, endpoint, method))
    }

    fn write_by(&self, source: &Source, endpoint: &Endpoint, method: &str) -> Option<Written> {
        let mut named = [false; 3];
        let mut fill = |template: &Template| fill(template, endpoint, &mut named);
        let path = match &source.path {
            Some(template) => fill(template),
            None => self.scripts.first().cloned().unwrap_or_else(|| "/".to_owned()),
        };
        let (mut query, mut form) = (Vec::new(), Vec::new());
        if let Some((name, template)) = &source.query_path {
            let path = fill(template);
            query.push(if name.is_empty() { path } else { format!("{}={path}", encode(name)) });
        }
        for (place, part, name) in &source.params {
            let pair = format!("{}={}", encode(name), encode(part_of(endpoint, *part)));
            match place {
                Place::Form if method != "POST" => return None,
                Place::Form => form.push(pair),
                Place::Query | Place::Request => query.push(pair),
            }
            if let Some(named) = named.get_mut(part.index()) {
                *named = true;
            }
        }
        let parts = [Part::Module, Part::Controller, Part::Action];
        let left_out = parts.into_iter().zip(named).filter(|(_, named)| !named).map(|(part, _)| part);
        // What the request leaves out is the default's, so the endpoint must be, too.
        let told = left_out.into_iter().all(|part| part_of(endpoint, part) == part_of(&self.defaults, part));
        let mark = if query.is_empty() { "" } else { "?" };
        let target = format!("{path}{mark}{}", query.join("&"));
        told.then(|| Written { method: method.to_owned(), target, form: form.join("&") })
    }
}

fn part_of(endpoint: &Endpoint, part: Part) -> &[u8] {
    match part {
        Part::Module => &endpoint.module,
        Part::Controller => &endpoint.controller,
        Part::Action => &endpoint.action,
    }
}

fn fill(template: &Template, endpoint: &Endpoint, named: &mut [bool; 3]) -> String {
    if template.whole {
        *named = [true; 3];
        return percent_encode(&endpoint.action, OPEN_PATH).to_string();
    }
    let mut path = String::new();
    for segment in &template.segments {
        path.push('/');
        match segment {
            Segment::Literal(text) => path.push_str(&encode(text)),
            Segment::Part { before, part, after } => {
                path.push_str(&encode(before));
                path.push_str(&encode(part_of(endpoint, *part)));
                path.push_str(&encode(after));
                if let Some(named) = named.get_mut(part.index()) {
                    *named = true;
                }
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: Option<&str>, query_path: Option<(&str, &str)>, params: &[(Place, Part, &str)]) -> Source {
        Source {
            path: path.map(|path| Template::parse(path).unwrap()),
            query_path: query_path.map(|(name, path)| (name.into(), Template::parse(path).unwrap())),
            params: params.iter().map(|(place, part, name)| (*place, *part, name.as_bytes().to_vec())).collect(),
        }
    }

    fn written(sources: Vec<Source>, method: &str) -> Option<String> {
        let defaults = Endpoint { module: "home".into(), ..Endpoint::default() };
        let reader = Reader { sources, defaults, scripts: vec!["/index.php".into()], ..Reader::default() };
        let endpoint = Endpoint { module: "home".into(), controller: "用户".into(), action: "info".into() };
        reader.write(&endpoint, method).map(|written| format!("{} {}", written.target, written.form))
    }

    #[test]
    fn the_first_source_that_can_names_the_endpoint() {
        use Part::{Action, Controller, Module};
        let three = |place| source(None, None, &[(place, Module, "m"), (place, Controller, "c"), (place, Action, "a")]);
        let user = "%E7%94%A8%E6%88%B7";
        let table = [
            (vec![three(Place::Query)], "POST", Some(format!("/index.php?m=home&c={user}&a=info "))),
            (vec![three(Place::Form)], "POST", Some(format!("/index.php m=home&c={user}&a=info"))),
            (vec![three(Place::Form)], "GET", None),
            (
                vec![three(Place::Form), three(Place::Request)],
                "GET",
                Some(format!("/index.php?m=home&c={user}&a=info ")),
            ),
            (vec![source(Some("/{controller}/{action}.html"), None, &[])], "GET", Some(format!("/{user}/info.html "))),
            (
                vec![source(None, Some(("s", "/{controller}/{action}")), &[])],
                "GET",
                Some(format!("/index.php?s=/{user}/info ")),
            ),
            (vec![source(Some("/{module}.php"), None, &[(Place::Query, Action, "act")])], "GET", None),
            (vec![], "GET", None),
        ];
        for (sources, method, expected) in table {
            assert_eq!(written(sources, method), expected);
        }
    }
}
