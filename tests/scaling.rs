//! `docs/scaling.md` holds: the gate's user may do what the gate does and nothing else, and its configurations are accepted.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use support::redis::authority::Authority;

fn manual() -> String {
    fs::read_to_string("docs/scaling.md").expect("the manual")
}

/// The rules of `docs/scaling.md` that begin so.
fn allowed(beginning: &str) -> BTreeSet<String> {
    let manual = manual();
    let rule = manual.lines().find(|line| line.trim().starts_with(beginning)).expect("a rule");
    rule.split(' ').filter_map(|word| word.strip_prefix('+')).map(str::to_owned).collect()
}

/// The module of that name: its file, and all below its folder.
fn paths(module: &Path) -> Vec<PathBuf> {
    let (mut paths, mut folders) = (vec![module.with_extension("rs")], vec![module.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() { folders.push(entry.path()) } else { paths.push(entry.path()) }
        }
    }
    paths
}

/// Every command in the source of a module: what is sent, and what scripts call.
fn used(module: &Path, found: &mut BTreeSet<String>) {
    let word = r#"(?:cmd\(|\.arg\()"([A-Z-]+)"\)|redis\.call\('([A-Z]+)'"#;
    let (word, with_word) = (Regex::new(word).expect("a pattern"), ["CLUSTER", "SENTINEL", "CLIENT"]);
    for path in paths(module) {
        let source = fs::read_to_string(path).expect("a source");
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let mut container = None;
        for words in word.captures_iter(source) {
            let (whole, name) = (&words[0], words.get(1).or(words.get(2)).expect("a name").as_str());
            if whole.starts_with(".arg") {
                found.extend(container.take().map(|container: String| format!("{container}|{name}").to_lowercase()));
            } else if with_word.contains(&name) {
                container = Some(name.to_owned());
            } else {
                container = None;
                found.insert(name.to_lowercase());
            }
        }
    }
}

#[test]
fn the_gates_user_may_use_exactly_the_commands_that_the_gate_uses() {
    let mut used_by_the_gate = BTreeSet::new();
    used(Path::new("src/store/redis"), &mut used_by_the_gate);
    // Whoever may connect may greet; SELECT is sent where the URL names a database.
    used_by_the_gate.remove("hello");
    used_by_the_gate.insert("select".to_owned());
    // The library's own method sends it.
    used_by_the_gate.insert("subscribe".to_owned());
    let (sentinels, servers): (BTreeSet<_>, BTreeSet<_>) =
        used_by_the_gate.into_iter().partition(|command| command.starts_with("sentinel|"));
    assert_eq!(servers, allowed("ACL SETUSER gate on >GATE_PASSWORD"));
    assert_eq!(sentinels, allowed("ACL SETUSER gate on >SENTINEL_PASSWORD"));
}

#[test]
fn every_store_in_the_manual_is_accepted() {
    let (directory, authority, manual) = (tempfile::tempdir().expect("a directory"), Authority::new(), manual());
    let blocks = manual.split("\n```yaml\n").skip(1).filter_map(|rest| rest.split_once("\n```"));
    let mut checked = 0;
    for (block, _) in blocks {
        let mut yaml = block.to_owned();
        for (theirs, ours) in [("redis-ca", "ca"), ("redis-client", "client")] {
            let ours = authority.path(ours).display().to_string();
            yaml = yaml.replace(&format!("/etc/ticketgate/{theirs}"), &ours);
        }
        yaml += "\nupstream: {url: \"http://127.0.0.1:8081\"}\n";
        let path = directory.path().join("ticketgate.yaml");
        fs::write(&path, yaml).expect("a configuration");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ticketgate"));
        command.arg("check").arg("-c").arg(&path).env("TICKETGATE_KEY", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{block}\n{}", output.stderr.escape_ascii());
        checked += 1;
    }
    assert!(checked >= 3, "{checked} configurations");
}
