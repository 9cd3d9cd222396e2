//! What a configuration consists of, without any of its values: enough to tell what another one changes, and where it says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::config::yaml::{Node, Value, child};
use crate::config::{MAX_FILE, Remark, read_file};

type Print = [u8; 32];

/// Keys and files, each with a fingerprint of what it holds.
#[derive(Clone, Debug)]
pub struct Outline {
    file: PathBuf,
    keys: BTreeMap<String, Entry>,
    files: BTreeMap<PathBuf, Print>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    line: u64,
    print: Print,
}

impl Outline {
    /// Of a file as read, variables filled in, and the files that it names.
    pub(super) fn of(file: &Path, root: &Node, named: &[PathBuf]) -> Self {
        let mut keys = BTreeMap::new();
        note(root, root.line, String::new(), &mut keys);
        // What cannot be read by now was told before, or comes as a change of its own.
        let print = |path: &PathBuf| (path.clone(), digest(&read_file(path, MAX_FILE).unwrap_or_default()));
        Self { file: file.to_owned(), keys, files: named.iter().map(print).collect() }
    }

    /// The keys that say something else here than there, and the files named here that hold something else.
    pub fn changed_since(&self, old: &Self) -> Vec<String> {
        let keys: BTreeSet<&String> = self.keys.keys().chain(old.keys.keys()).collect();
        let print = |outline: &Self, key: &String| outline.keys.get(key).map(|entry| entry.print);
        let changed = keys.into_iter().filter(|key| print(self, key) != print(old, key)).cloned();
        let files = self.files.iter().filter(|(path, print)| old.files.get(*path).is_some_and(|old| old != *print));
        changed.chain(files.map(|(path, _)| path.display().to_string())).collect()
    }

    /// Something to say about a key.
    pub fn remark(&self, key: &str, what: String) -> Remark {
        let mut known = key;
        let line = loop {
            match (self.keys.get(known), known.rsplit_once('.')) {
                (Some(entry), _) => break entry.line,
                (None, Some((parent, _))) => known = parent,
                (None, None) => break 0,
            }
        };
        Remark { file: self.file.clone(), line, key: key.to_owned(), what }
    }
}

/// Maps are taken apart, lists are not: what was put in at the top of a list has not changed what stands below.
fn note(node: &Node, line: u64, key: String, keys: &mut BTreeMap<String, Entry>) {
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                note(&entry.value, entry.line, child(&key, &entry.key), keys);
            }
        }
        _ => {
            let mut text = String::new();
            spell(node, &mut text);
            keys.insert(key, Entry { line, print: digest(text.as_bytes()) });
        }
    }
}

/// As text from which it could be told back, so that no two are alike.
fn spell(node: &Node, text: &mut String) {
    match &node.value {
        Value::Scalar { null: true, .. } | Value::Broken => text.push('~'),
        Value::Scalar { text: scalar, .. } => *text += &format!("{scalar:?}"),
        Value::List(items) => {
            text.push('[');
            items.iter().for_each(|item| spell(item, text));
            text.push(']');
        }
        Value::Map(entries) => {
            text.push('{');
            for entry in entries {
                *text += &format!("{:?}:", entry.key);
                spell(&entry.value, text);
            }
            text.push('}');
        }
    }
}

fn digest(bytes: &[u8]) -> Print {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(text: &str) -> Outline {
        Outline::of(Path::new("t.yaml"), &crate::config::yaml::read(text).0, &[])
    }

    #[test]
    fn changed_keys_are_told_without_their_values() {
        let old = "a: 1\nb: {c: x, d: y}\nrules:\n  - {path: /a}\n";
        for (new, changed) in [
            (old, vec![]),
            ("# moved\nb: {d: y, c: x}\n\na: 1\nrules: [{path: /a}]\n", vec![]),
            ("a: 2\nb: {c: x}\nrules: [{path: /a}, {path: /b}]\ne: {f: 1}\n", vec!["a", "b.d", "e.f", "rules"]),
            ("a: '1'\nb: {c: x, d: }\nrules: [{path: /a}]\n", vec!["b.d"]),
        ] {
            assert_eq!(outline(new).changed_since(&outline(old)), changed, "{new}");
        }
    }

    #[test]
    fn a_remark_knows_the_line_of_the_key_or_of_what_it_would_stand_in() {
        let outline = outline("a: 1\nb:\n  c: x\n");
        for (key, line) in [("a", 1), ("b.c", 3), ("listen", 0)] {
            assert_eq!(outline.remark(key, "w".to_owned()).line, line, "{key}");
        }
    }
}
