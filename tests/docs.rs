//! The documentation keeps to what is there: every test that it names exists.

use std::fs;

/// Files of tests that stand in the documentation before they stand here. Each comes with its feature, and then its rows name
/// single tests.
const COMING: [&str; 3] = ["tests/signature.rs", "tests/limits.rs", "tests/timing.rs"];

fn manual() -> String {
    fs::read_to_string("docs/security.md").unwrap_or_default()
}

/// Everything between backticks that names a test or a file of tests.
fn named(text: &str) -> Vec<&str> {
    let spans = text.split('`').skip(1).step_by(2);
    spans.filter(|span| span.split("::").next().is_some_and(|file| file.ends_with(".rs"))).collect()
}

/// Why a name leads nowhere.
fn fault(name: &str) -> Option<String> {
    let Some((file, test)) = name.split_once("::") else {
        let excused = COMING.contains(&name) || name == "tests/docs.rs";
        return (!excused).then(|| format!("{name}: names no test; write {name}::TEST"));
    };
    let Ok(source) = fs::read_to_string(file) else { return Some(format!("{name}: there is no such file")) };
    let function = format!("fn {test}()");
    let Some(at) = source.find(&function) else { return Some(format!("{name}: there is no such test")) };
    let before: Vec<&str> = source.get(..at).unwrap_or_default().lines().rev().take(4).collect();
    let is_test = before.iter().any(|line| line.trim().starts_with("#[test]") || line.contains("#[tokio::test"));
    (!is_test).then(|| format!("{name}: is no test"))
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let text = manual();
    let names = named(&text);
    assert!(names.len() > 80, "{} tests are named", names.len());
    let faults: Vec<String> = names.into_iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_row_about_an_attack_names_a_test() {
    let text = manual();
    let attacks =
        text.split("\n## ").filter(|section| section.starts_with("Somebody") || section.starts_with("Mistakes"));
    let mut rows = 0;
    for section in attacks {
        for row in section.lines().filter(|line| line.starts_with("| ")).skip(1) {
            assert!(!named(row).is_empty(), "no test holds {row}");
            rows += 1;
        }
    }
    assert!(rows > 40, "{rows} rows");
}

#[test]
fn a_name_that_leads_nowhere_is_noticed() {
    assert_eq!(fault("tests/docs.rs::a_name_that_leads_nowhere_is_noticed"), None);
    for wrong in ["tests/docs.rs::no_such_test", "tests/nowhere.rs::x", "tests/docs.rs::manual", "tests/config.rs"] {
        assert!(fault(wrong).is_some(), "{wrong}");
    }
    assert_eq!(named("see `a` and `tests/x.rs::y`, `src/z.rs`"), ["tests/x.rs::y", "src/z.rs"]);
}
