//! `${NAME}` and `${NAME:-default}` in the texts of a configuration. Substitution happens after the YAML is read, so what a
//! variable holds can never become a key or a second value.

use crate::config::yaml::{Node, Problem, Value, child, element};

/// Looks up an environment variable. The error tells why a variable that is set cannot be used.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Result<Option<String>, String>;

/// The process's own environment.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub(crate) fn process(name: &str) -> Result<Option<String>, String> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("the environment variable {name} is not UTF-8")),
    }
}

/// Replaces variables in every text of the tree; where that fails, the text becomes [`Value::Broken`].
pub(crate) fn substitute(node: &mut Node, path: &str, lookup: Lookup<'_>, problems: &mut Vec<Problem>) {
    match &mut node.value {
        Value::Scalar { text, null } if text.contains('$') => match expand(text, lookup) {
            // A variable without value counts as a key without value; quotes do not matter, for who sets it does not see them.
            Ok(expanded) => {
                *null = expanded.is_empty();
                *text = expanded;
            }
            Err(what) => {
                problems.push(Problem { line: node.line, key: path.to_owned(), what });
                node.value = Value::Broken;
            }
        },
        Value::Scalar { .. } | Value::Broken => {}
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                substitute(item, &element(path, index), lookup, problems);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                substitute(&mut entry.value, &child(path, &entry.key), lookup, problems);
            }
        }
    }
}

/// One text: `$$` is `$`, a `$` before anything but `{` stays.
fn expand(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (reference, after) =
                after.split_once('}').ok_or("`${` without `}`; write `$${` for a `${` that is meant as text")?;
            expanded.push_str(&resolve(reference, lookup)?);
            rest = after;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn resolve(reference: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let first = name.bytes().next().is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic());
    if !first || !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
        return Err(format!(
            "`${{{reference}}}` names no environment variable; write `$${{` for a `${{` that is meant as text"
        ));
    }
    match (lookup(name)?, default) {
        // As in a shell, `:-` stands in for an empty variable as well.
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            Err(format!("the environment variable {name} is not set; set it, or write ${{{name}:-default}}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Result<Option<String>, String> {
        match name {
            "A" => Ok(Some("alpha".to_owned())),
            "EMPTY" => Ok(Some(String::new())),
            "BAD" => Err("the environment variable BAD is not UTF-8".to_owned()),
            _ => Ok(None),
        }
    }

    #[test]
    fn variables_defaults_and_dollars_are_read() {
        for (text, expanded) in [
            ("${A}", "alpha"),
            ("x${A}y${A}", "xalphayalpha"),
            ("${A:-b}", "alpha"),
            ("${NO:-b c}", "b c"),
            ("${NO:-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-b}", "b"),
            ("$$", "$"),
            ("$${A}", "${A}"),
            ("^ok$", "^ok$"),
            ("a$b", "a$b"),
        ] {
            assert_eq!(expand(text, &environment).as_deref(), Ok(expanded), "{text}");
        }
    }

    #[test]
    fn unset_variables_and_broken_references_are_told() {
        for (text, part) in [
            ("${NO}", "NO is not set"),
            ("${A", "without `}`"),
            ("${}", "names no environment variable"),
            ("${1A}", "names no environment variable"),
            ("${A B}", "names no environment variable"),
            ("${BAD}", "not UTF-8"),
        ] {
            assert!(expand(text, &environment).unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn a_variable_can_bring_no_structure() {
        let (mut root, _) = crate::config::yaml::read("a: ${A}\n");
        substitute(&mut root, "", &|_| Ok(Some("x\nb: {c: 1}".to_owned())), &mut Vec::new());
        let Value::Map(entries) = &root.value else { panic!("no map") };
        assert_eq!(entries.len(), 1);
        assert!(matches!(&entries[0].value.value, Value::Scalar { text, .. } if text == "x\nb: {c: 1}"));
    }
}
