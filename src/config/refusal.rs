//! Why a value cannot be what is wanted, in words for the people who write configurations.

use std::fmt;

use serde::de::{Expected, Unexpected};

use crate::config::yaml::{Node, Problem, Value, child, element};

/// A step from a node to one of its own; indices count what is not broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To the value of a key.
    Key(String),
    /// To an element of a list.
    Index(usize),
}

/// Why a node cannot be what is wanted.
#[derive(Debug)]
pub(crate) struct Refusal {
    what: String,
    /// From the node out to the root.
    pub(crate) steps: Vec<Step>,
    line: Option<u64>,
}

impl Refusal {
    /// As seen from the node around it, one step further out.
    pub(crate) fn within(mut self, step: Step, line: u64) -> Self {
        self.steps.push(step);
        self.line.get_or_insert(line);
        self
    }

    /// With its place in the tree, in the words of the file.
    pub(crate) fn problem(&self, root: &Node) -> Problem {
        let mut key = String::new();
        let mut node = Some(root);
        for step in self.steps.iter().rev() {
            let (next, path) = match (step, node.map(|node| &node.value)) {
                (Step::Index(index), Some(Value::List(items))) => {
                    let found = items.iter().enumerate().filter(|(_, item)| !item.is_broken()).nth(*index);
                    (found.map(|(_, item)| item), element(&key, found.map_or(*index, |(real, _)| real)))
                }
                (Step::Key(name), Some(Value::Map(entries))) => {
                    (entries.iter().find(|entry| entry.key == *name).map(|entry| &entry.value), child(&key, name))
                }
                (Step::Key(name), _) => (None, child(&key, name)),
                (Step::Index(index), _) => (None, element(&key, *index)),
            };
            (node, key) = (next, path);
        }
        Problem { line: self.line.unwrap_or(root.line), key, what: self.what.clone() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Refusal {}

impl serde::de::Error for Refusal {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self { what: what.to_string(), steps: Vec::new(), line: None }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format!("must be {}, not {}", wanted(expected), kind(&unexpected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::custom(format!("must be {}, not {length} elements", wanted(expected)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("`{field}` is missing"))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        match nearest(field, known.iter().copied()) {
            Some(near) => Self::custom(format!("unknown key; did you mean `{near}`?")),
            None if known.is_empty() => Self::custom("unknown key"),
            None => Self::custom(format!("unknown key; known here: {}", known.join(", "))),
        }
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::custom(none_of(variant, known))
    }
}

/// `x` is none of a, b, c; with a guess where one is near.
pub(crate) fn none_of(found: &str, known: &[&str]) -> String {
    let guess = nearest(found, known.iter().copied());
    let guess = guess.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("`{found}` is none of {}{guess}", known.join(", "))
}

fn nearest<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_ascii_lowercase().replace('-', "_");
    known
        .map(|known| (strsim::damerau_levenshtein(&found, known), known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// What serde calls a thing, in the words of the documentation.
fn wanted(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "a string" | "a borrowed string" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "u16" => "a whole number up to 65535".to_owned(),
        "u32" | "u64" | "usize" => "a whole number from 0".to_owned(),
        "i32" | "i64" | "isize" => "a whole number".to_owned(),
        other if other.starts_with("struct ") || other.starts_with("a map") => "a map of keys".to_owned(),
        other => other.to_owned(),
    }
}

/// The kind alone: the text itself may be a secret in the wrong place.
pub(crate) fn kind(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a map",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "such a number",
        Unexpected::Bool(_) => "a truth value",
        _ => "a text",
    }
}
