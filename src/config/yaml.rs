//! The text of a configuration as a tree that knows its lines. Scalars keep their spelling: whether `007` is a number is for
//! the reader to say, who knows what is wanted.

use std::collections::HashMap;

use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

/// Deepest nesting; the file itself needs seven.
const MAX_DEPTH: usize = 32;
/// Most nodes, those that aliases repeat included.
const MAX_NODES: usize = 100_000;

/// A value and the line it stands on.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// From 1; 0 for what does not stand in the file.
    pub(crate) line: u64,
    /// What stands there.
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A text, number, truth value or nothing.
    Scalar {
        /// As spelled.
        text: String,
        /// Whether it means "nothing": `~`, `null`, or no text at all, without quotes.
        null: bool,
    },
    /// `- a`
    List(Vec<Node>),
    /// `a: b`, in order; keys are unique.
    Map(Vec<Entry>),
    /// Something wrong stood here and was told; readers step over it.
    Broken,
}

/// One key of a map.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// The line of the key.
    pub(crate) line: u64,
    /// What it holds.
    pub(crate) value: Node,
}

/// Something wrong with the text itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where.
    pub(crate) line: u64,
    /// At which key, dotted; empty at the top.
    pub(crate) key: String,
    /// What.
    pub(crate) what: String,
}

impl Node {
    /// A text.
    pub(crate) fn scalar(line: u64, text: &str) -> Self {
        Self { line, value: Value::Scalar { text: text.to_owned(), null: false } }
    }

    /// An empty map.
    pub(crate) fn empty_map(line: u64) -> Self {
        Self { line, value: Value::Map(Vec::new()) }
    }

    /// Whether it was refused before.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.value, Value::Broken)
    }

    /// Whether nothing stands here.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Scalar { null: true, .. })
    }

    /// Whether it says `~` or `null`, and not just nothing.
    pub(crate) fn is_spelled_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { null: true, text } if !text.is_empty())
    }

    /// Puts a value at the end of a path of keys. What is in the way and no map stays, for readers to refuse.
    pub(crate) fn set(&mut self, path: &[&str], value: Self) {
        let [key, rest @ ..] = path else {
            *self = value;
            return;
        };
        if matches!(self.value, Value::Scalar { null: true, .. } | Value::Broken) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else { return };
        if !entries.iter().any(|entry| entry.key == *key) {
            entries.push(Entry { key: (*key).to_owned(), line: 0, value: Self::empty_map(0) });
        }
        if let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key) {
            if rest.is_empty() {
                entry.line = value.line;
            }
            entry.value.set(rest, value);
        }
    }

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Scalar { .. } | Value::Broken => 0,
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
        }
    }
}

/// `a.b` of `a` and `b`.
pub(crate) fn child(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// `a[2]` of `a` and 2.
pub(crate) fn element(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// Reads one document. Its problems are all that can be told: those after a syntax error cannot.
pub(crate) fn read(text: &str) -> (Node, Vec<Problem>) {
    let mut composer =
        Composer { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0, problems: Vec::new() };
    let root = match composer.document() {
        Ok(root) => root,
        Err(problem) => {
            composer.problems.push(problem);
            Node { line: 1, value: Value::Broken }
        }
    };
    (root, composer.problems)
}

struct Composer<'a> {
    parser: Parser<'a, serde_yaml::granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl<'a> Composer<'a> {
    fn document(&mut self) -> Result<Node, Problem> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event if root.is_none() => root = Some(self.node(event, span, "", 0)?),
                _ => return Err(problem(span, "", "only one YAML document may stand in the file")),
            }
        }
        let root = root.unwrap_or_else(|| Node::empty_map(1));
        match root.value {
            Value::Map(_) => Ok(root),
            Value::Scalar { null: true, .. } => Ok(Node::empty_map(root.line)),
            _ => Err(Problem { line: root.line, key: String::new(), what: "must be a map of keys".to_owned() }),
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..) | Event::Anchor(..), _))) => {}
                Some(Ok(found)) => return Ok(found),
                Some(Err(error)) => return Err(syntax(&error)),
                None => return Ok((Event::StreamEnd, Span::default())),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, path: &str, depth: usize) -> Result<Node, Problem> {
        let line = line_of(span);
        self.count(1, span, path)?;
        if depth > MAX_DEPTH {
            return Err(problem(span, path, "is nested too deeply"));
        }
        if let Some(tag) = event.tag().filter(|tag| !tag.is_yaml_core_schema()) {
            return Err(problem(span, path, &format!("the tag {} is not supported", tag.original())));
        }
        let anchor = event.anchor_id();
        let value = match event {
            Event::Alias(id) => return self.alias(id, span, path),
            Event::Scalar(text, style, _, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                Value::Scalar { null: plain && is_null(&text), text: text.into_owned() }
            }
            Event::SequenceStart(..) => Value::List(self.list(path, depth)?),
            Event::MappingStart(..) => Value::Map(self.map(path, depth)?),
            _ => return Err(problem(span, path, "cannot be read")),
        };
        let node = Node { line, value };
        if let Some(id) = anchor {
            self.anchors.insert(id, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span, path: &str) -> Result<Node, Problem> {
        let Some(node) = self.anchors.get(&id).cloned() else {
            return Err(problem(span, path, "the alias names an anchor that is not finished yet"));
        };
        self.count(node.size(), span, path)?;
        Ok(node)
    }

    fn count(&mut self, nodes: usize, span: Span, path: &str) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            Err(problem(span, path, "the file is too large, or its aliases are"))
        } else {
            Ok(())
        }
    }

    fn list(&mut self, path: &str, depth: usize) -> Result<Vec<Node>, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => {
                    let item = self.node(event, span, &element(path, items.len()), depth + 1)?;
                    items.push(item);
                }
            }
        }
    }

    fn map(&mut self, path: &str, depth: usize) -> Result<Vec<Entry>, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (key, line) = match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(text, ..), span) => (text.into_owned(), line_of(span)),
                (_, span) => return Err(problem(span, path, "a key must be a text")),
            };
            let (event, span) = self.next()?;
            let at = child(path, &key);
            let value = self.node(event, span, &at, depth + 1)?;
            if key == "<<" {
                merged.extend(self.merged(value, &at)?);
            } else if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let what = format!("is given twice, first in line {}", first.line);
                self.problems.push(Problem { line, key: at, what });
            } else {
                entries.push(Entry { key, line, value });
            }
        }
        for entry in merged {
            if entries.iter().all(|present| present.key != entry.key) {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// What `<<` brings: the keys of a map, or of a list of maps.
    fn merged(&mut self, value: Node, at: &str) -> Result<Vec<Entry>, Problem> {
        match value.value {
            Value::Map(entries) => Ok(entries),
            Value::List(maps) => {
                let mut all = Vec::new();
                for map in maps {
                    all.extend(self.merged(map, at)?);
                }
                Ok(all)
            }
            _ => Err(Problem { line: value.line, key: at.to_owned(), what: "only a map can be merged".to_owned() }),
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn line_of(span: Span) -> u64 {
    span.start.line() as u64
}

fn problem(span: Span, path: &str, what: &str) -> Problem {
    Problem { line: line_of(span), key: path.to_owned(), what: what.to_owned() }
}

fn syntax(error: &ScanError) -> Problem {
    let line = error.marker().line() as u64;
    Problem { line, key: String::new(), what: format!("is no YAML: {}", error.kind()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(u64, String, String)> {
        read(text).1.into_iter().map(|problem| (problem.line, problem.key, problem.what)).collect()
    }

    fn get<'a>(node: &'a Node, key: &str) -> &'a Node {
        let Value::Map(entries) = &node.value else { panic!("no map") };
        &entries.iter().find(|entry| entry.key == key).unwrap().value
    }

    #[test]
    fn every_node_knows_its_line_and_scalars_keep_their_spelling() {
        let (root, found) = read("# c\na: 007\nb:\n  - x\n  - 'null'\nc: ~\n");
        assert_eq!(found, []);
        assert!(matches!(&get(&root, "a").value, Value::Scalar { text, null: false } if text == "007"));
        assert_eq!(get(&root, "a").line, 2);
        let Value::List(items) = &get(&root, "b").value else { panic!("no list") };
        assert_eq!(items[1].line, 5);
        assert!(matches!(&items[1].value, Value::Scalar { null: false, .. }));
        assert!(matches!(&get(&root, "c").value, Value::Scalar { null: true, .. }));
    }

    #[test]
    fn anchors_and_merges_work_and_what_is_written_beats_what_is_merged() {
        let (root, found) = read("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n");
        assert_eq!(found, []);
        let b = get(&root, "b");
        assert!(matches!(&get(b, "x").value, Value::Scalar { text, .. } if text == "1"));
        assert!(matches!(&get(b, "y").value, Value::Scalar { text, .. } if text == "3"));
    }

    #[test]
    fn what_is_wrong_with_a_text_is_told_with_its_line() {
        for (text, line, key, what) in [
            ("a: 1\nb: 2\na: 3\n", 3, "a", "is given twice, first in line 1"),
            ("a: {b: 1,\n  b: 2}\n", 2, "a.b", "is given twice, first in line 1"),
            ("- a\n", 1, "", "must be a map of keys"),
            ("a: 1\n---\nb: 1\n", 3, "", "only one YAML document may stand in the file"),
            ("a: !x 1\n", 1, "a", "the tag !x is not supported"),
            ("[a]: 1\n", 1, "", "a key must be a text"),
        ] {
            assert_eq!(problems(text), [(line, key.to_owned(), what.to_owned())], "{text}");
        }
        assert_eq!(problems("a: [1\nb: 2\n")[0].0, 2);
        assert_eq!(problems("a: *nowhere\n")[0].0, 1);
        assert_eq!(problems(""), []);
        assert_eq!(problems("# nothing\n"), []);
    }

    #[test]
    fn a_billion_laughs_and_a_deep_nest_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let alias = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
        }
        assert!(problems(&text)[0].2.contains("too large"));
        assert!(!problems(&format!("a: {}{}", "[".repeat(200), "]".repeat(200))).is_empty());
        assert!(!problems(&format!("a: {}", "[".repeat(100_000))).is_empty());
    }
}
