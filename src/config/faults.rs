//! Gathers what is wrong with a configuration, each with its line.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::config::Remark;
use crate::config::yaml::{Node, Problem, Value, child, element};

/// Faults and warnings so far.
pub(crate) struct Faults {
    file: PathBuf,
    named: Vec<PathBuf>,
    places: Places,
    faults: Vec<Remark>,
    warnings: Vec<Remark>,
}

impl Faults {
    /// With what reading the file found.
    pub(crate) fn new(file: &Path, root: &Node, problems: Vec<Problem>) -> Self {
        let mut faults = Self {
            file: file.to_owned(),
            named: Vec::new(),
            places: Places::of(root),
            faults: Vec::new(),
            warnings: Vec::new(),
        };
        faults.faults = problems
            .into_iter()
            .map(|problem| Remark { file: file.to_owned(), line: problem.line, key: problem.key, what: problem.what })
            .collect();
        faults
    }

    /// Where a file stands that this one names: relative paths start from its own directory. What the file holds belongs to the
    /// configuration.
    pub(crate) fn named(&mut self, path: &str) -> PathBuf {
        let whole = self.file.parent().unwrap_or(Path::new("")).join(path);
        self.named.push(whole.clone());
        whole
    }

    /// Every file that was named.
    pub(crate) fn take_named(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.named)
    }

    /// Something is wrong at that key.
    pub(crate) fn add(&mut self, key: &str, what: impl Into<String>) {
        let remark = self.remark(key, what.into());
        self.faults.push(remark);
    }

    /// Something is missing at that key: told unless something wrong stood there, or in the map it belongs to.
    pub(crate) fn missing(&mut self, key: &str, what: impl Into<String>) {
        if !self.places.is_broken(key) {
            self.add(key, what);
        }
    }

    /// Whether something within that key was refused, so that what is left of it tells little.
    pub(crate) fn is_damaged(&self, key: &str) -> bool {
        self.places.is_damaged(key)
    }

    /// Something is doubtful at that key.
    pub(crate) fn warn(&mut self, key: &str, what: impl Into<String>) {
        let remark = self.remark(key, what.into());
        self.warnings.push(remark);
    }

    /// The value, or a fault at that key.
    pub(crate) fn take<T, E: Display>(&mut self, key: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(what) => {
                self.add(key, what.to_string());
                None
            }
        }
    }

    /// The line of a key.
    pub(crate) fn line(&self, key: &str) -> u64 {
        self.places.find(key).line
    }

    /// All faults, then all warnings; each in the order of the file.
    pub(crate) fn finish(mut self) -> (Vec<Remark>, Vec<Remark>) {
        self.faults.sort_by_key(|remark| remark.line);
        self.faults.dedup();
        self.warnings.sort_by_key(|remark| remark.line);
        (self.faults, self.warnings)
    }

    fn remark(&self, key: &str, what: String) -> Remark {
        let place = self.places.find(key);
        Remark { file: self.file.clone(), line: place.line, key: place.key, what }
    }
}

/// Where each key stands. Keys count list elements as the reader does: without the broken ones.
struct Places {
    known: HashMap<String, Place>,
}

#[derive(Clone)]
struct Place {
    line: u64,
    /// As in the file.
    key: String,
    broken: bool,
    list: bool,
}

impl Places {
    fn of(root: &Node) -> Self {
        let mut places = Self { known: HashMap::new() };
        places.note(root, root.line, String::new(), String::new());
        places
    }

    fn note(&mut self, node: &Node, line: u64, path: String, key: String) {
        match &node.value {
            Value::Map(entries) => {
                for entry in entries {
                    self.note(&entry.value, entry.line, child(&path, &entry.key), child(&key, &entry.key));
                }
            }
            Value::List(items) => {
                let mut sound = 0;
                for (index, item) in items.iter().enumerate() {
                    if matches!(item.value, Value::Broken) {
                        continue;
                    }
                    self.note(item, item.line, element(&path, sound), element(&key, index));
                    sound += 1;
                }
            }
            Value::Scalar { .. } | Value::Broken => {}
        }
        let broken = match &node.value {
            Value::Broken => true,
            Value::List(items) => items.iter().any(|item| matches!(item.value, Value::Broken)),
            _ => false,
        };
        self.known.insert(path, Place { line, key, broken, list: matches!(node.value, Value::List(_)) });
    }

    /// The place of a key; of one that the file does not have, the place it would belong to, under its own name.
    fn find(&self, key: &str) -> Place {
        let key = &self.without_single_elements(key);
        let mut known = key.as_str();
        loop {
            if let Some(place) = self.known.get(known) {
                let rest = key.get(known.len()..).unwrap_or_default();
                let whole = if place.key.is_empty() {
                    rest.trim_start_matches('.').to_owned()
                } else {
                    format!("{}{rest}", place.key)
                };
                return Place { key: whole, ..place.clone() };
            }
            match known.rfind(['.', '[']) {
                Some(end) => known = known.get(..end).unwrap_or_default(),
                None if known.is_empty() => return Place { line: 0, key: key.to_owned(), broken: false, list: false },
                None => known = "",
            }
        }
    }

    /// Where one value stands in place of a list of one, the file knows no `[0]`.
    fn without_single_elements(&self, key: &str) -> String {
        let mut whole = String::new();
        for part in key.split_inclusive("[0]") {
            whole.push_str(part);
            let list = whole.strip_suffix("[0]").unwrap_or_default();
            if self.known.get(list).is_some_and(|place| !place.list && !list.is_empty()) {
                whole.truncate(list.len());
            }
        }
        whole
    }

    fn is_broken(&self, key: &str) -> bool {
        self.find(key).broken
    }

    fn is_damaged(&self, key: &str) -> bool {
        let within =
            |path: &str| path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.is_broken(key) || self.known.iter().any(|(path, place)| place.broken && within(path))
    }
}
