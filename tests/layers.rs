//! The layers hold: `src/lib.rs` lists the modules in layer order, and each may use only what stands above it.
//!
//! Blank lines in that list separate layers; inside one layer, modules may use each other in one direction only. The same reading of
//! the source holds a few habits that would otherwise erode: no `mod.rs`, no long files, no silenced lints, and no panic
//! without a reason given to the lint.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From here on a file is worth a look.
const LONG_FILE: usize = 400;
/// From here on it must be split.
const TOO_LONG_FILE: usize = 500;

#[test]
fn modules_use_only_what_stands_above_them() {
    let faults = check_layers(&Layers::read(&read_source("src/lib.rs")), &sources());
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn source_files_stay_short_and_cannot_panic() {
    let sources = sources();
    for source in sources.iter().filter(|source| source.lines() > LONG_FILE) {
        eprintln!("{}: {} lines without tests; consider splitting it", source.name, source.lines());
    }
    let faults: Vec<String> = sources.iter().flat_map(check_habits).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// A file of the crate, with everything blanked that is not code that ships: comments, texts, test modules. Lines stay where they are.
struct Source {
    /// `src/store/redis.rs`
    name: String,
    /// `["store", "redis"]`
    module: Vec<String>,
    code: String,
}

impl Source {
    fn new(name: &str, text: &str) -> Self {
        let stem = name.trim_start_matches("src/").trim_end_matches(".rs");
        let module = stem.split('/').map(str::to_owned).collect();
        Self { name: name.to_owned(), module, code: without_tests(&without_text(text)) }
    }

    fn top(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }

    fn line_of(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }

    fn lines(&self) -> usize {
        self.code.lines().filter(|line| *line != BLANKED).count()
    }

    /// Every top-level module that the code names, with the line.
    fn uses(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        for (offset, _) in self.code.match_indices("crate::") {
            if !is_name_byte_before(&self.code, offset) && !self.code[..offset].ends_with('$') {
                found
                    .extend(first_names(&self.code[offset + 7..]).into_iter().map(|name| (name, self.line_of(offset))));
            }
        }
        for (offset, supers) in super_chains(&self.code) {
            if supers >= self.module.len() {
                let rest = &self.code[offset + supers * 7..];
                found.extend(first_names(rest).into_iter().map(|name| (name, self.line_of(offset))));
            }
        }
        found
    }
}

/// Which layer each module stands in, counted from the top of `lib.rs`.
struct Layers(BTreeMap<String, usize>);

impl Layers {
    fn read(lib: &str) -> Self {
        let (mut layers, mut layer, mut open) = (BTreeMap::new(), 0, false);
        for line in lib.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
                layers.insert(name.to_owned(), layer);
                open = true;
            } else if line.is_empty() && open {
                layer += 1;
                open = false;
            }
        }
        Self(layers)
    }
}

fn check_layers(layers: &Layers, sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut beside: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        let Some(own) = layers.0.get(source.top()) else {
            faults.push(format!("{}: its module is not listed in src/lib.rs", source.name));
            continue;
        };
        for (used, line) in source.uses() {
            match layers.0.get(&used) {
                _ if used == source.top() => {}
                Some(layer) if layer < own => {}
                Some(layer) if layer == own => {
                    beside.entry(source.top()).or_default().insert(used);
                }
                Some(_) => faults.push(format!("{}:{line}: `{used}` stands below `{}`", source.name, source.top())),
                None => faults.push(format!("{}:{line}: `{used}` is not a module of src/lib.rs", source.name)),
            }
        }
    }
    faults.extend(cycles(&beside));
    faults
}

/// Takes modules away that use no other one, until nothing changes: what stays is in a cycle, or uses one.
fn cycles(uses: &BTreeMap<&str, BTreeSet<String>>) -> Vec<String> {
    let mut left = uses.clone();
    loop {
        let stays: Vec<&str> = left.keys().copied().collect();
        for used in left.values_mut() {
            used.retain(|name| stays.contains(&name.as_str()));
        }
        left.retain(|_, used| !used.is_empty());
        if left.len() == stays.len() {
            break;
        }
    }
    left.iter().map(|(module, used)| format!("src/{module}.rs: in a cycle of one layer, with {used:?}")).collect()
}

fn check_habits(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    if source.name.ends_with("/mod.rs") {
        faults.push(format!("{}: write it as `x.rs` beside `x/`", source.name));
    }
    if source.lines() > TOO_LONG_FILE {
        faults.push(format!("{}: {} lines without tests, {TOO_LONG_FILE} at most", source.name, source.lines()));
    }
    let code =
        without_items(&without_items(&source.code, "#[expect(clippy::expect_used"), "#[expect(clippy::unwrap_used");
    for (number, line) in code.lines().enumerate() {
        for (pattern, instead) in [
            ("[allow(", "`#[expect(lint, reason = …)]`"),
            (".unwrap()", "`?`, or a value to fall back to"),
            (".expect(", "`?`, or a value to fall back to"),
        ] {
            if line.contains(pattern) {
                faults.push(format!("{}:{}: `{pattern}`: write {instead}", source.name, number + 1));
            }
        }
    }
    faults
}

/// The names after `crate::`: one, or those of a group `{a, b::{c, d}, e}`.
fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.trim_start().strip_prefix('{') else {
        return leading_name(path).into_iter().collect();
    };
    let (mut names, mut depth, mut start) = (Vec::new(), 1_usize, 0);
    for (offset, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && byte == b',') {
            names.extend(leading_name(&group[start..offset]));
            start = offset + 1;
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn leading_name(text: &str) -> Option<String> {
    let name: String = text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// Where `super::super::…` begins, and how many times it goes up.
fn super_chains(code: &str) -> Vec<(usize, usize)> {
    let mut chains: Vec<(usize, usize)> = Vec::new();
    for (offset, _) in code.match_indices("super::") {
        match chains.last_mut() {
            Some((start, count)) if *start + *count * 7 == offset => *count += 1,
            _ => chains.push((offset, 1)),
        }
    }
    chains
}

fn is_name_byte_before(code: &str, offset: usize) -> bool {
    code[..offset].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Blanks comments and what stands between quotes; line ends stay.
fn without_text(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (kept, blanked) = match text_at(rest, &code) {
            Some(length) => ("", length),
            None => (&rest[..next.len_utf8()], 0),
        };
        code.push_str(kept);
        code.extend(rest[..blanked].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[kept.len() + blanked..];
    }
    code
}

/// The length of the comment or literal that begins here, if one does. `before` is the code up to here.
fn text_at(rest: &str, before: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if rest.starts_with('r') && !before.ends_with(|c: char| c.is_alphanumeric() && c != 'b' || c == '_') {
        let hashes = rest[1..].len() - rest[1..].trim_start_matches('#').len();
        if rest[1 + hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            return Some(rest[body..].find(&close).map_or(rest.len(), |end| body + end + close.len()));
        }
    }
    match rest.as_bytes() {
        [b'"', ..] => Some(quoted(rest, '"')),
        [b'\'', b'\\', ..] => Some(quoted(rest, '\'')),
        // A quote two characters on makes it a character; otherwise it is a lifetime.
        [b'\'', ..] => rest.char_indices().nth(2).filter(|(_, c)| *c == '\'').map(|(end, _)| end + 1),
        _ => None,
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (offset, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return offset + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

/// Stands for each line of a blanked item, so that such lines are not counted.
const BLANKED: &str = "// blanked";

fn without_tests(code: &str) -> String {
    without_items(code, "#[cfg(test)]")
}

/// Blanks every item under an attribute that begins so.
fn without_items(code: &str, attribute: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(attribute) {
        let end = start + item_length(&rest[start..]);
        kept.push_str(&rest[..start]);
        let lines = rest[start..end].matches('\n').count();
        kept.push_str(&vec![BLANKED; lines + 1].join("\n"));
        rest = &rest[end..];
    }
    kept + rest
}

/// The length of the item that begins here: to its `;`, or to the end of its block.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (byte == b';' || byte == b'}') {
            return offset + 1;
        }
    }
    code.len()
}

/// Every module of the crate: `lib.rs` and `main.rs` stand above and outside the layers.
fn sources() -> Vec<Source> {
    let mut names = Vec::new();
    collect(&root().join("src"), &mut names);
    names.sort();
    let names = names.into_iter().filter(|name| name != "src/lib.rs" && name != "src/main.rs");
    names.filter(|name| !name.ends_with("/tests.rs")).map(|name| Source::new(&name, &read_source(&name))).collect()
}

fn collect(folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
}

fn read_source(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

const LIB: &str = "//! x\n\npub mod clock;\npub mod ids;\n\npub mod store;\n\npub mod gate;\n";

fn faults_of(name: &str, text: &str) -> Vec<String> {
    check_layers(&Layers::read(LIB), &[Source::new(name, text)])
}

#[test]
fn the_check_sees_every_way_to_look_down() {
    for text in [
        "\nuse crate::gate::Gate;\n",
        "\nuse crate::{clock::Clock, gate::{Gate, Mode}};\n",
        "\nfn f() -> crate::gate::Gate { todo() }\n",
        "\nuse super::gate::Gate;\n",
        "\nfn f<'a>(x: &'a str, c: char) -> bool { c == '\"' && crate::gate::is(x) }\n",
    ] {
        assert_eq!(faults_of("src/store.rs", text), ["src/store.rs:2: `gate` stands below `store`"], "{text}");
    }
    assert_eq!(
        faults_of("src/store/redis.rs", "use super::super::gate::Gate;\n"),
        ["src/store/redis.rs:1: `gate` stands below `store`"]
    );
    assert_eq!(
        faults_of("src/store.rs", "use crate::Gate;\n"),
        ["src/store.rs:1: `Gate` is not a module of src/lib.rs"]
    );
    assert_eq!(faults_of("src/drawer.rs", ""), ["src/drawer.rs: its module is not listed in src/lib.rs"]);
}

#[test]
fn the_check_lets_pass_what_is_no_use() {
    for text in [
        "use crate::clock::Clock;\nuse crate::store::record;\n",
        "//! [`crate::gate::Gate`]\n/* crate::gate::x /* y */ crate::gate::y */\n",
        "const A: &str = \"crate::gate\\\" crate::gate::Gate\";\nconst B: &str = r#\"crate::gate::Gate\"\"#;\n",
        "#[cfg(test)]\nmod tests {\n    use crate::gate::Gate;\n}\n",
        "use super::clock::Clock;\n",
        "use serde::__crate::gate;\n",
    ] {
        assert_eq!(faults_of("src/store.rs", text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(faults_of("src/store/redis.rs", "use super::record::Record;\n"), Vec::<String>::new());
}

#[test]
fn the_check_sees_cycles_inside_a_layer() {
    let layers = Layers::read(LIB);
    let one_way = [Source::new("src/clock.rs", "use crate::ids::Id;"), Source::new("src/ids.rs", "")];
    assert_eq!(check_layers(&layers, &one_way), Vec::<String>::new());
    let both =
        [Source::new("src/clock.rs", "use crate::ids::Id;"), Source::new("src/ids.rs", "use crate::clock::Clock;")];
    assert_eq!(check_layers(&layers, &both).len(), 2);
}

#[test]
fn the_check_sees_lost_habits_outside_tests_only() {
    let text = "#[allow(dead_code)]\nfn f() { x().unwrap(); y().expect(\"z\") }\n";
    assert_eq!(check_habits(&Source::new("src/ids.rs", text)).len(), 3);
    let reasoned =
        "#[expect(clippy::expect_used, reason = \"it cannot; see there\")]\nfn f() {\n    y().expect(\"z\");\n}\n";
    assert_eq!(check_habits(&Source::new("src/ids.rs", reasoned)), Vec::<String>::new());
    assert_eq!(check_habits(&Source::new("src/ids.rs", &format!("{reasoned}{text}"))).len(), 3);
    assert_eq!(check_habits(&Source::new("src/ids/mod.rs", "")).len(), 1);
    let tests = format!("// .unwrap()\nfn f() {{}}\n#[cfg(test)]\nmod tests {{\n{text}}}\n");
    assert_eq!(check_habits(&Source::new("src/ids.rs", &tests)), Vec::<String>::new());
    assert_eq!(check_habits(&Source::new("src/ids.rs", &"fn f() {}\n".repeat(501))).len(), 1);
    let long_tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(501));
    assert_eq!(check_habits(&Source::new("src/ids.rs", &long_tests)), Vec::<String>::new());
}
