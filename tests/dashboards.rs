//! The dashboard and the alert rules in `deploy/` ask for nothing that a gate does not tell.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;
use support::backend::FakeBackend;
use support::gate::Gate;
use support::scrape::Scrape;
use ticketgate::reply::Reason;

const CONFIG: &str = "upstream: {url: \"{upstream}\"}\nrules: [{path: /a, require: client, endpoint: {is: a/b/c}}]\n";
/// Labels that Prometheus itself adds, or that its queries make.
const ADDED: [&str; 3] = ["job", "instance", "le"];
const OUTCOMES: [&str; 5] = ["forwarded", "refused", "failed", "observed", "closed"];

async fn scrape() -> Scrape {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(CONFIG).upstream(&backend.url).start().await;
    Scrape::of(&gate.admin).await
}

fn json(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(name).unwrap()).unwrap()
}

fn alerts() -> Vec<Value> {
    let file: Value = serde_yaml::from_str(&fs::read_to_string("deploy/prometheus/alerts.yaml").unwrap()).unwrap();
    file["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Every expression, with where it stands.
fn expressions() -> Vec<(String, String)> {
    let dashboard = json("deploy/grafana/ticketgate.json");
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            all.push((panel["title"].to_string(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        all.push((variable["name"].to_string(), variable["query"].as_str().unwrap().to_owned()));
    }
    all.extend(alerts().iter().map(|rule| (rule["alert"].to_string(), rule["expr"].as_str().unwrap().to_owned())));
    all
}

fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(move |c| !is_word(c))
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// What is wrong with an expression: metrics, labels or values of them that no gate tells.
fn faults(expression: &str, scrape: &Scrape) -> Vec<String> {
    let names = scrape.names();
    let series: BTreeSet<String> = scrape.samples().map(|(series, _)| series.to_owned()).collect();
    let mut faults = Vec::new();
    for (at, word) in words(expression) {
        if !(word.starts_with("ticketgate_") || word.starts_with("process_")) {
            continue;
        }
        if !names.contains(word) {
            faults.push(format!("no metric {word}"));
            continue;
        }
        let rest = &expression[at + word.len()..];
        let Some(matchers) = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()) else { continue };
        for matcher in matchers.split("\",") {
            let (label, value) = matcher.split_once(|c| "=!~".contains(c)).unwrap();
            let known =
                series.iter().any(|own| own.starts_with(&format!("{word}{{")) && own.contains(&format!("{label}=\"")));
            if !known && !ADDED.contains(&label) {
                faults.push(format!("{word} has no label {label}"));
            }
            let value = value.trim_matches(|c| "=!~\"".contains(c));
            for one in value.split('|').filter(|one| !one.starts_with('$')) {
                let fits = match label {
                    "reason" => Reason::from_name(one).is_some(),
                    "outcome" => OUTCOMES.contains(&one),
                    _ => ADDED.contains(&label) || series.iter().any(|own| own.contains(&format!("{label}=\"{one}\""))),
                };
                if !fits {
                    faults.push(format!("{label} is never {one}"));
                }
            }
        }
    }
    faults
}

#[tokio::test]
async fn dashboard_and_alerts_ask_for_what_there_is() {
    let scrape = scrape().await;
    let all = expressions();
    assert!(all.len() > 40, "{}", all.len());
    let wrong: Vec<_> = all
        .iter()
        .map(|(place, text)| (place, faults(text, &scrape)))
        .filter(|(_, faults)| !faults.is_empty())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_is_not_there_would_be_noticed() {
    let scrape = scrape().await;
    for (expression, fault) in [
        ("rate(ticketgate_request_total[5m])", "no metric ticketgate_request_total"),
        ("ticketgate_requests_total{path=\"/a\"}", "ticketgate_requests_total has no label path"),
        ("ticketgate_requests_total{reason=~\"denied|closed\"}", "reason is never closed"),
        ("ticketgate_requests_total{outcome=\"passed\"}", "outcome is never passed"),
        ("ticketgate_logins_total{result=\"ok\"}", "result is never ok"),
    ] {
        assert!(
            faults(expression, &scrape).contains(&fault.to_owned()),
            "{expression}: {:?}",
            faults(expression, &scrape)
        );
    }
}

#[test]
fn every_alert_is_explained() {
    let manual = fs::read_to_string("docs/operations.md").unwrap();
    let section = manual.split("\n### Alerts\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let explained: BTreeSet<String> = rows.map(str::to_owned).collect();
    let told = alerts().iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(explained, told);
}

#[test]
fn every_reason_is_explained_to_operators_and_to_clients() {
    for (file, section) in
        [("docs/operations.md", "\n## Reasons, seen from this side\n"), ("docs/clients.md", "\n## Refusals\n")]
    {
        let manual = fs::read_to_string(file).unwrap();
        let table = manual.split(section).nth(1).unwrap().split("\n## ").next().unwrap();
        let rows = table.lines().filter(|line| line.starts_with("| `")).filter_map(|row| row.split('|').nth(1));
        let explained: BTreeSet<&str> = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        assert_eq!(explained, Reason::all().map(Reason::name).collect(), "{file}");
    }
}

/// Prometheus' own check.
#[test]
fn promtool_accepts_the_rules() {
    let checked = Command::new("promtool").args(["check", "rules", "deploy/prometheus/alerts.yaml"]).output();
    let checked = checked.expect("the tests need promtool (Debian: prometheus)");
    assert!(checked.status.success(), "{checked:?}");
}
