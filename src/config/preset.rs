//! `framework`: what the applications of a framework have in common, in the words of the configuration itself.

use crate::config::yaml::{self, Entry, Node, Value};

/// Each framework's name and keys.
const PRESETS: [(&str, &str); 6] = [
    ("thinkphp3", include_str!("presets/thinkphp3.yaml")),
    ("thinkphp5", include_str!("presets/thinkphp5.yaml")),
    ("codeigniter3", include_str!("presets/codeigniter3.yaml")),
    ("yii1", include_str!("presets/yii1.yaml")),
    ("discuz", include_str!("presets/discuz.yaml")),
    ("ecshop", include_str!("presets/ecshop.yaml")),
];

/// What a preset brought.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Its keys, as YAML with comments.
    pub text: &'static str,
}

/// Puts the keys of the framework's preset where the file has none of its own; `selectors` of both count. A name that is unknown
/// is left for the reader to refuse.
pub(super) fn apply(root: &mut Node) -> Option<Preset> {
    let Value::Map(entries) = &mut root.value else { return None };
    let (line, name) = entries.iter().find(|entry| entry.key == "framework").and_then(named)?;
    let (name, text) = PRESETS.into_iter().find(|(known, _)| *known == name)?;
    let (preset, _) = yaml::read(text);
    let Value::Map(keys) = preset.value else { return None };
    for Entry { key, value, .. } in keys {
        match entries.iter_mut().find(|entry| entry.key == key && !entry.value.is_null()) {
            None => entries.push(Entry { key, line, value: at(line, value) }),
            Some(own) if key == "selectors" => join(&mut own.value, at(line, value)),
            Some(_) => {}
        }
    }
    Some(Preset { name, text })
}

fn named(entry: &Entry) -> Option<(u64, String)> {
    match &entry.value.value {
        Value::Scalar { text, null: false } => Some((entry.line, text.clone())),
        _ => None,
    }
}

/// A value as if it stood on that line, which is where its faults are mended.
fn at(line: u64, node: Node) -> Node {
    let value = match node.value {
        Value::List(items) => Value::List(items.into_iter().map(|item| at(line, item)).collect()),
        Value::Map(entries) => {
            let entries = entries.into_iter().map(|entry| Entry { line, value: at(line, entry.value), ..entry });
            Value::Map(entries.collect())
        }
        other => other,
    };
    Node { line, value }
}

/// Adds what a list does not have yet.
fn join(own: &mut Node, more: Node) {
    let (Value::List(own), Value::List(more)) = (&mut own.value, more.value) else { return };
    let has = |own: &[Node], new: &Node| own.iter().any(|item| same_text(item, new));
    for item in more {
        if !has(own, &item) {
            own.push(item);
        }
    }
}

fn same_text(one: &Node, other: &Node) -> bool {
    matches!((&one.value, &other.value), (Value::Scalar { text: one, .. }, Value::Scalar { text: other, .. }) if one == other)
}
