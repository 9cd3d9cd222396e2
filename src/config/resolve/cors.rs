//! `cors`.

use crate::config::faults::Faults;
use crate::config::file::File;
use crate::config::file::rule::Requirement;
use crate::config::resolve::all_of;
use crate::gate::cors::{Origins, Settings};
use crate::request::head::is_token;

/// What a page may always send: its credentials, and what tells how its body is read.
const OWN_HEADERS: [&str; 9] = [
    "Authorization",
    "Content-Type",
    "X-Client-Id",
    "X-Api-Token",
    "X-User-Id",
    "X-User-Token",
    "X-Timestamp",
    "X-Nonce",
    "X-Sign",
];

/// What may pass where a rule lists no methods.
const USUAL_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Who may call; `Some(None)` where the gate does not care.
pub(super) fn settings(file: &File, faults: &mut Faults) -> Option<Option<Settings>> {
    let Some(cors) = &file.cors else { return Some(None) };
    let origins = origins(&cors.origins, faults);
    let headers = cors.headers.iter().enumerate().map(|(index, header)| {
        let is_name = !header.is_empty() && header.bytes().all(is_token);
        faults.take(
            &format!("cors.headers[{index}]"),
            if is_name { Ok(header.clone()) } else { Err("is no name of a header") },
        )
    });
    let headers = all_of(headers);
    let own = OWN_HEADERS.iter().map(|header| (*header).to_owned());
    Some(Some(Settings {
        origins: origins?,
        headers: own.chain(headers?).collect(),
        methods: methods(file),
        max_age: cors.max_age.0,
    }))
}

fn origins(written: &[String], faults: &mut Faults) -> Option<Origins> {
    if written.is_empty() {
        faults.missing("cors.origins", "is missing: a list such as [https://app.example.com]");
        return None;
    }
    if written == ["*"] {
        return Some(Origins::Any);
    }
    let these = written.iter().enumerate().map(|(index, origin)| {
        faults.take(&format!("cors.origins[{index}]"), checked(origin).map(|()| origin.clone()))
    });
    all_of(these).map(Origins::These)
}

/// As browsers write one: scheme, host, and a port other than the usual one.
fn checked(origin: &str) -> Result<(), &'static str> {
    const SHAPE: &str = "must be as https://app.example.com or http://localhost:3000, in lower case, without a path";
    let (scheme, place) = origin.split_once("://").ok_or(match origin {
        "*" => "stands alone, or not at all: [\"*\"]",
        _ => SHAPE,
    })?;
    if place.is_empty() || origin.bytes().any(|byte| !(0x21..=0x7e).contains(&byte) || byte.is_ascii_uppercase()) {
        return Err(SHAPE);
    }
    if place.contains(['/', '?', '#', '@', '*', ',']) || scheme.is_empty() {
        return Err(SHAPE);
    }
    match (scheme, place.rsplit_once(':')) {
        ("https", Some((_, "443"))) | ("http", Some((_, "80"))) => Err("leaves out its usual port, as browsers do"),
        _ => Ok(()),
    }
}

/// Those of some rule; what falls to the default passes with any.
fn methods(file: &File) -> Vec<String> {
    let open = file.default != Requirement::Deny || file.rules.iter().any(|rule| rule.methods.is_none());
    let usual = USUAL_METHODS.iter().filter(|_| open).map(|method| (*method).to_owned());
    let listed =
        file.rules.iter().filter_map(|rule| rule.methods.as_ref()).flat_map(|methods| methods.0.iter().cloned());
    let mut methods: Vec<String> = Vec::new();
    for method in usual.chain(listed) {
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    methods
}
