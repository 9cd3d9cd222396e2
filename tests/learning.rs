//! `ticketgate learn`: what it proposes from access logs, that `check` accepts it, and that the guide's configurations are right.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const CONFIG: &str = r#"
upstream: {url: "http://127.0.0.1:1"}
clients: [{id: ios, secret: s3cret}]
endpoint_defaults: {action: index}
"#;

const LOG: &str = r#"10.0.0.1 - - [20/Nov/2026:10:00:00 +0800] "GET /index.php?mod=user&ctl=info&act=get&client_id=ios&api_token=x&user_id=7&user_token=y HTTP/1.1" 200 31 "-" "app"
10.0.0.1 - - [20/Nov/2026:10:00:01 +0800] "POST /?mod=User&ctl=info&act=get&client_id=ios&api_token=x&user_id=7&user_token=y HTTP/1.1" 200 31 "-" "app"
10.0.0.1 - - [20/Nov/2026:10:00:01 +0800] "GET /?mod=user&ctl=info&act=get&client_id=ios&api_token=x&user_id=7&user_token=y HTTP/1.1" 304 0 "-" "app"
10.0.0.1 - - [20/Nov/2026:10:00:02 +0800] "GET /?mod=news&ctl=list HTTP/1.1" 200 31 "-" "app"
10.0.0.1 - - [20/Nov/2026:10:00:02 +0800] "GET /?mod=news&ctl=list&client_id=ios&api_token=x HTTP/1.1" 200 31 "-" "app"
{"ts":"2026-11-20T00:00:00.123Z","method":"POST","path":"/?mod=pay&ctl=order&act=make&user_token=[redacted]","status":200,"outcome":"observed","reason":"client_missing","client_id":null,"user_id":"7"}
10.0.0.9 - - [20/Nov/2026:10:00:03 +0800] "GET /?mod=admin&ctl=user&act=delete HTTP/1.1" 404 31 "-" "scanner"
10.0.0.9 - - [20/Nov/2026:10:00:03 +0800] "GET /?mod=admin&mod=user&ctl=a&act=b HTTP/1.1" 200 31 "-" "scanner"
10.0.0.9 - - [20/Nov/2026:10:00:03 +0800] "GET /?mod[]=admin&ctl=a&act=b HTTP/1.1" 200 31 "-" "scanner"
10.0.0.9 - - [20/Nov/2026:10:00:03 +0800] "GET /?mod=a%2a&ctl=*&act=b HTTP/1.1" 200 31 "-" "scanner"
10.0.0.9 - - [20/Nov/2026:10:00:03 +0800] "\x16\x03\x01" 400 0 "-" "-"
10.0.0.1 - - [20/Nov/2026:10:00:04 +0800] "GET /static/css/a.css?v=1 HTTP/1.1" 200 31 "-" "app"
10.0.0.1 - - [20/Nov/2026:10:00:04 +0800] "GET /about HTTP/1.1" 200 31 "-" "app"
"#;

fn run(arguments: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ticketgate"));
    let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    command.args(arguments).current_dir(directory).env_clear().env("TICKETGATE_KEY", key).env("IOS_SECRET", "s3cret");
    command.output().unwrap()
}

/// What is proposed for that log, once `check` has accepted it together with the configuration.
#[track_caller]
fn learnt(config: &str, log: &str, arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("c.yaml"), config).unwrap();
    fs::write(directory.path().join("access.log"), log).unwrap();
    let output = run(&[&["learn", "-c", "c.yaml", "access.log"], arguments].concat(), directory.path());
    assert!(output.status.success(), "{output:?}");
    let rules = String::from_utf8(output.stdout).unwrap();
    fs::write(directory.path().join("whole.yaml"), format!("{config}\n{rules}")).unwrap();
    let checked = run(&["check", "-c", "whole.yaml"], directory.path());
    assert!(checked.status.success(), "{checked:?}\nof\n{rules}");
    rules
}

fn proposed(rules: &str) -> Vec<&str> {
    rules.lines().filter_map(|line| line.strip_prefix("  - ")).collect()
}

#[test]
fn rules_are_proposed_by_frequency_with_the_methods_and_credentials_that_were_seen() {
    let rules = learnt(CONFIG, LOG, &[]);
    let expected = [
        "{endpoint: user/info/get, methods: [GET, POST], require: user}",
        "{endpoint: news/list/index, methods: [GET], require: client}",
        "{endpoint: pay/order/make, methods: [POST], require: user}",
    ];
    assert_eq!(proposed(&rules), expected, "{rules}");
    assert!(rules.contains("# 3 requests: GET, POST; 3 with client and user"), "{rules}");
    assert!(rules.contains("# 2 requests: GET; 1 with client"), "{rules}");
    assert!(rules.ends_with("nobody may.\ndefault: deny\n"), "{rules}");
    for told in ["1 line: left out: answered with an error", "3 lines: left out: the gate refuses"] {
        assert!(rules.contains(told), "{told} in {rules}");
    }
}

#[test]
fn nothing_looser_is_proposed_than_asked() {
    let requirements = |arguments: &[&str]| -> Vec<String> {
        let rules = learnt(CONFIG, LOG, arguments);
        let requirement =
            |rule: &str| rule.rsplit("require: ").next().map(|rest| rest.trim_end_matches('}').to_owned());
        proposed(&rules).into_iter().filter_map(requirement).collect()
    };
    assert_eq!(requirements(&["--least", "user"]), ["user", "user", "user"]);
    assert_eq!(requirements(&["--least", "deny"]), ["deny", "deny", "deny"]);
    assert_eq!(requirements(&["--least", "public"]), ["user", "public", "user_only"]);
    assert_eq!(requirements(&["--at-least", "2"]), ["user", "client"]);
    assert_eq!(requirements(&["--static"]), ["user", "client", "public", "user"]);
}

#[test]
fn what_the_rules_decide_already_is_not_proposed_again() {
    let config =
        format!("{CONFIG}rules: [{{endpoint: user, require: user}}, {{path: \"/static/**\", require: public}}]\n");
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("c.yaml"), config).unwrap();
    fs::write(directory.path().join("access.log"), LOG).unwrap();
    let output = run(&["learn", "-c", "c.yaml", "access.log", "--static"], directory.path());
    let rules = String::from_utf8(output.stdout).unwrap();
    assert!(rules.contains("4 lines: decided by the rules there are"), "{rules}");
    assert_eq!(proposed(&rules).len(), 2, "{rules}");
}

#[test]
fn a_log_that_cannot_be_read_is_told() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("c.yaml"), CONFIG).unwrap();
    let output = run(&["learn", "-c", "c.yaml", "missing.log"], directory.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("missing.log"));
    assert_eq!(run(&["learn", "-c", "c.yaml"], directory.path()).status.code(), Some(2));
}

#[test]
fn every_configuration_of_the_guide_is_accepted_without_a_warning() {
    let guide = fs::read_to_string("docs/adopting.md").unwrap();
    let blocks: Vec<&str> =
        guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```").map(|(block, _)| block)).collect();
    assert!(blocks.len() >= 7, "{}", blocks.len());
    let directory = tempfile::tempdir().unwrap();
    for block in blocks {
        fs::write(directory.path().join("c.yaml"), block).unwrap();
        let checked = run(&["check", "-c", "c.yaml", "--json"], directory.path());
        assert!(checked.status.success(), "{checked:?}\nof\n{block}");
        assert_eq!(String::from_utf8(checked.stdout).unwrap().trim(), "[]", "{block}");
    }
}
