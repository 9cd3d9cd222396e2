//! `credentials`, `names`, `elsewhere`, and all reserved names of a configuration.

use crate::config::faults::Faults;
use crate::config::file::File;
use crate::config::file::routing::{Elsewhere, Place};
use crate::config::resolve::endpoint::{named, php_name};
use crate::credentials::{Names, Settings};
use crate::request::reserved::{Kind, Name, Places, Reserved};

/// The header that carries each credential, by the key of its parameter's name.
const HEADERS: [(&str, &str); 7] = [
    ("names.client_id", "X-Client-Id"),
    ("names.api_token", "X-Api-Token"),
    ("names.user_id", "X-User-Id"),
    ("names.user_token", "X-User-Token"),
    ("names.timestamp", "X-Timestamp"),
    ("names.nonce", "X-Nonce"),
    ("names.sign", "X-Sign"),
];

fn header_of(key: &str) -> Option<&'static str> {
    HEADERS.iter().find(|(name, _)| *name == key).map(|(_, header)| *header)
}

/// Where credentials are looked for, and under which names.
pub(super) fn credentials(file: &File, faults: &mut Faults) -> Option<Settings> {
    if file.credentials.is_empty() {
        faults.missing("credentials", "must name at least one of query, header, form");
    }
    let mut name = |key: &str, text: &str| faults.take(&format!("names.{key}"), php_name(text));
    let names = &file.names;
    let client_id = name("client_id", &names.client_id);
    let api_token = name("api_token", &names.api_token);
    let user_id = name("user_id", &names.user_id);
    let user_token = name("user_token", &names.user_token);
    let timestamp = name("timestamp", &names.timestamp);
    let nonce = name("nonce", &names.nonce);
    let sign = name("sign", &names.sign);
    let names = Names {
        client_id: client_id?,
        api_token: api_token?,
        user_id: user_id?,
        user_token: user_token?,
        timestamp: timestamp?,
        nonce: nonce?,
        sign: sign?,
    };
    Some(Settings { places: places(file), names })
}

fn places(file: &File) -> Places {
    let has = |place| file.credentials.contains(&place);
    Places { query: has(Place::Query), form: has(Place::Form), header: has(Place::Header) }
}

/// Every name that decides something.
pub(super) fn names(file: &File, faults: &mut Faults) -> Option<Reserved> {
    let mut book = Book { entries: Vec::new(), sound: true };
    credential_names(file, &mut book, faults);
    endpoint_names(file, &mut book, faults);
    for (index, text) in file.selectors.iter().enumerate() {
        book.add(text, Kind::Selector, &format!("selectors[{index}]"), faults);
    }
    for (index, rule) in file.rules.iter().enumerate() {
        for name in rule.params.keys() {
            book.add(name, Kind::RuleParam, &format!("rules[{index}].params.{name}"), faults);
        }
        let fields = rule.login.iter().flat_map(|login| login.fields.iter().enumerate());
        for (field, text) in fields {
            // Of `LoginForm[username]` the whole array is the login's.
            let name = text.split('[').next().unwrap_or_default();
            book.add(name, Kind::LoginField, &format!("rules[{index}].login.fields[{field}]"), faults);
        }
    }
    let names = book.entries.into_iter().map(|(name, _)| name).collect();
    book.sound.then(|| Reserved::new(names, has_nameless_query(file)))
}

/// Whether a query may be a path itself (`?/news/list`).
fn has_nameless_query(file: &File) -> bool {
    let mut names = file.endpoint.0.iter().filter_map(|source| source.query_path.as_ref()?.name.as_deref());
    names.any(str::is_empty)
}

fn credential_names(file: &File, book: &mut Book, faults: &mut Faults) {
    let kind = Kind::Credential { places: places(file), ignore: file.elsewhere == Elsewhere::Ignore };
    let names = &file.names;
    let texts = [
        &names.client_id,
        &names.api_token,
        &names.user_id,
        &names.user_token,
        &names.timestamp,
        &names.nonce,
        &names.sign,
    ];
    for ((key, _), text) in HEADERS.iter().zip(texts) {
        book.add(text, kind, key, faults);
    }
}

fn endpoint_names(file: &File, book: &mut Book, faults: &mut Faults) {
    let query = Places { query: true, ..Places::default() };
    let form = Places { form: true, ..Places::default() };
    let both = Places { query: true, form: true, ..Places::default() };
    for (index, source) in file.endpoint.0.iter().enumerate() {
        let key = format!("endpoint[{index}]");
        for (place, places, parts) in
            [("query", query, &source.query), ("form", form, &source.form), ("request", both, &source.request)]
        {
            for (part, _, text) in parts.iter().flat_map(named) {
                book.add(text, Kind::Endpoint { places }, &format!("{key}.{place}.{part}"), faults);
            }
        }
        if let Some(name) = source.query_path.as_ref().and_then(|query_path| query_path.name.as_deref()) {
            // A nameless query is no parameter.
            if !name.is_empty() {
                book.add(name, Kind::Endpoint { places: query }, &format!("{key}.query_path.name"), faults);
            }
        }
    }
}

/// The names so far, each with the key that brought it.
struct Book {
    entries: Vec<(Name, String)>,
    sound: bool,
}

impl Book {
    fn add(&mut self, text: &str, kind: Kind, key: &str, faults: &mut Faults) {
        let name = match php_name(text) {
            Ok(name) => name,
            Err(what) => {
                // Where the name itself is resolved, that is told there already.
                if matches!(kind, Kind::Selector | Kind::RuleParam | Kind::LoginField) {
                    faults.add(key, what);
                }
                self.sound = false;
                return;
            }
        };
        let Some((present, brought_by)) = self.entries.iter_mut().find(|(present, _)| present.name == name) else {
            self.entries.push((Name { name, header: header_of(key), kind }, key.to_owned()));
            return;
        };
        match (&mut present.kind, kind) {
            (Kind::Endpoint { places: all }, Kind::Endpoint { places }) => {
                *all = Places { query: all.query || places.query, form: all.form || places.form, header: false };
            }
            // A rule may ask for what stands reserved more strictly anyway.
            (Kind::Endpoint { .. } | Kind::RuleParam, Kind::RuleParam) | (Kind::LoginField, Kind::LoginField) => {}
            (Kind::Selector, Kind::Selector) => faults.add(key, "is given twice"),
            _ => {
                faults
                    .add(key, format!("the name `{text}` is taken by {brought_by}; one of the two needs another name"));
                self.sound = false;
            }
        }
    }
}
