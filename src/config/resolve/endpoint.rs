//! `endpoint`, `endpoint_defaults`, `fold`, `scripts`, `suffixes`

use crate::config::faults::Faults;
use crate::config::file::File;
use crate::config::file::routing::{self, EndpointParts, QueryPath};
use crate::config::resolve::all_of;
use crate::policy::endpoint::{Endpoint, Fold, Place, Reader, Source};
use crate::policy::template::{Part, Segment, Template};

/// How endpoints are read.
pub(super) fn reader(file: &File, faults: &mut Faults) -> Option<Reader> {
    let sources = file.endpoint.0.iter().enumerate().map(|(index, written)| {
        let key = format!("endpoint[{index}]");
        source(written, &key, faults)
    });
    let sources = all_of(sources);
    let defaults = defaults(&file.endpoint_defaults, faults);
    let scripts = scripts(&file.scripts, faults);
    let suffixes = suffixes(&file.suffixes.0, faults);
    Some(Reader {
        sources: sources?,
        defaults: defaults?,
        scripts: scripts?,
        suffixes: suffixes?,
        any_suffix: file.suffixes.0.iter().any(|suffix| suffix == "any"),
        fold: fold(file),
    })
}

/// `fold`. `UserType` is `user_type` only where case does not count either.
pub(super) fn fold(file: &File) -> Fold {
    let folds = |fold| file.fold.contains(&fold);
    Fold { case: !file.fold.is_empty(), underscore: folds(routing::Fold::Underscore), dash: folds(routing::Fold::Dash) }
}

fn source(written: &routing::Source, key: &str, faults: &mut Faults) -> Option<Source> {
    let path = match &written.path {
        Some(text) => Some(faults.take(&format!("{key}.path"), Template::parse(text))?),
        None => None,
    };
    let query_path = match &written.query_path {
        Some(written) => Some(query_path(written, &format!("{key}.query_path"), faults)?),
        None => None,
    };
    let mut params = Vec::new();
    for (name, place, parts) in [
        ("query", Place::Query, &written.query),
        ("form", Place::Form, &written.form),
        ("request", Place::Request, &written.request),
    ] {
        for (part_name, part, param) in parts.iter().flat_map(named) {
            let key = format!("{key}.{name}.{part_name}");
            params.push((place, part, faults.take(&key, php_name(param))?, key));
        }
    }
    let templates = [&path, &query_path.as_ref().map(|(_, template)| template.clone())];
    check(templates.into_iter().flatten(), &params, key, faults)?;
    if path.is_some() && query_path.is_some() {
        faults.add(key, "a source has either path or query_path; make them two sources");
        return None;
    }
    Some(Source {
        path,
        query_path,
        params: params.into_iter().map(|(place, part, name, _)| (place, part, name)).collect(),
    })
}

/// Every source gives something, and each part once.
fn check<'a>(
    templates: impl Iterator<Item = &'a Template>,
    params: &[(Place, Part, Vec<u8>, String)],
    key: &str,
    faults: &mut Faults,
) -> Option<()> {
    let mut given: Vec<Part> = templates.flat_map(parts_of).collect();
    for (index, (_, part, name, key)) in params.iter().enumerate() {
        if given.contains(part) {
            faults.add(key, "this source has that part already");
            return None;
        }
        if params.iter().take(index).any(|(_, _, earlier, _)| earlier == name) {
            faults.add(key, "this parameter gives another part already");
            return None;
        }
        given.push(*part);
    }
    if given.is_empty() {
        faults.missing(key, "gives no part of an endpoint; write query, form, request, path or query_path");
        return None;
    }
    Some(())
}

fn parts_of(template: &Template) -> Vec<Part> {
    let whole = template.whole.then_some(Part::Action);
    let parts = template.segments.iter().filter_map(|segment| match segment {
        Segment::Part { part, .. } => Some(*part),
        Segment::Literal(_) => None,
    });
    whole.into_iter().chain(parts).collect()
}

fn query_path(written: &QueryPath, key: &str, faults: &mut Faults) -> Option<(Vec<u8>, Template)> {
    let name = match written.name.as_deref() {
        Some("") => Some(Vec::new()),
        Some(name) => faults.take(&format!("{key}.name"), php_name(name)),
        None => {
            faults.missing(&format!("{key}.name"), "is missing; write \"\" for a query that is a path itself");
            None
        }
    };
    let template = match &written.template {
        Some(text) => faults.take(&format!("{key}.template"), Template::parse(text)),
        None => {
            faults.missing(&format!("{key}.template"), "is missing");
            None
        }
    };
    Some((name?, template?))
}

/// Parts that are given, with their names.
pub(super) fn named(parts: &EndpointParts) -> impl Iterator<Item = (&'static str, Part, &String)> {
    [
        ("module", Part::Module, &parts.module),
        ("controller", Part::Controller, &parts.controller),
        ("action", Part::Action, &parts.action),
    ]
    .into_iter()
    .filter_map(|(name, part, text)| text.as_ref().map(|text| (name, part, text)))
}

fn defaults(written: &EndpointParts, faults: &mut Faults) -> Option<Endpoint> {
    let mut endpoint = Endpoint::default();
    let mut sound = true;
    for (name, part, text) in named(written) {
        let value = faults.take(&format!("endpoint_defaults.{name}"), endpoint_part(text));
        sound &= value.is_some();
        let value = value.unwrap_or_default();
        match part {
            Part::Module => endpoint.module = value,
            Part::Controller => endpoint.controller = value,
            Part::Action => endpoint.action = value,
        }
    }
    sound.then_some(endpoint)
}

/// `m/c/a`, all three.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let [module, controller, action] = parts.as_slice() else {
        return Err("must be module/controller/action; a part may be empty".to_owned());
    };
    if text == "//" {
        return Err("must name at least one part".to_owned());
    }
    Ok(Endpoint {
        module: endpoint_part(module)?,
        controller: endpoint_part(controller)?,
        action: endpoint_part(action)?,
    })
}

fn endpoint_part(text: &str) -> Result<Vec<u8>, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | 0x80..);
    if text.bytes().all(fits) {
        Ok(text.as_bytes().to_vec())
    } else {
        Err("a part is of letters, digits, _ and -".to_owned())
    }
}

/// The name of a parameter that PHP keeps as it is; it folds others, and two spellings of one name are one too many here.
pub(super) fn php_name(text: &str) -> Result<Vec<u8>, String> {
    let folded = |byte: u8| matches!(byte, b'.' | b' ' | b'[' | b']' | b'&' | b'=' | b'+' | b'%' | b'#' | b';');
    if text.is_empty() {
        Err("must be the name of a parameter".to_owned())
    } else if text.bytes().any(|byte| folded(byte) || byte.is_ascii_control()) {
        Err("must be a name as PHP holds it, without blanks and . [ ] & = + % # ;".to_owned())
    } else {
        Ok(text.as_bytes().to_vec())
    }
}

fn scripts(written: &[String], faults: &mut Faults) -> Option<Vec<String>> {
    let checked = written.iter().enumerate().map(|(index, script)| {
        let sound = script.starts_with('/') && script.len() > 1 && !script.ends_with('/') && !script.contains("//");
        let wrong = "must be a path such as /index.php";
        faults.take(&format!("scripts[{index}]"), if sound { Ok(script.clone()) } else { Err(wrong) })
    });
    all_of(checked)
}

fn suffixes(written: &[String], faults: &mut Faults) -> Option<Vec<String>> {
    let checked = written.iter().enumerate().filter(|(_, suffix)| *suffix != "any").map(|(index, suffix)| {
        let sound = suffix.len() > 1 && suffix.starts_with('.') && !suffix.contains('/');
        let wrong = "must be a suffix such as .html, or `any`";
        faults.take(&format!("suffixes[{index}]"), if sound { Ok(suffix.clone()) } else { Err(wrong) })
    });
    all_of(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_three_parts_of_plain_characters() {
        let parsed = endpoint("user/info/get").unwrap();
        assert_eq!(
            (parsed.module, parsed.controller, parsed.action),
            (b"user".to_vec(), b"info".to_vec(), b"get".to_vec())
        );
        assert!(endpoint("//show").is_ok());
        for text in ["", "user", "user/info", "a/b/c/d", "//", "a/b/*", "a/b/c d"] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parameter_names_are_those_that_php_keeps() {
        for text in ["m", "_method", "a-b", "模块"] {
            assert!(php_name(text).is_ok(), "{text}");
        }
        for text in ["", "a.b", "a b", "a[b]", " a", "a&b", "a\0"] {
            assert!(php_name(text).is_err(), "{text}");
        }
    }
}
