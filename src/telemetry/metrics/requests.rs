//! Requests by rule, outcome and reason, and how long they took.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::measure::{Counter, Figures, Histogram, Times};
use crate::reply::Reason;
use crate::telemetry::metrics::{Kind, Page};
use crate::telemetry::{Login, Outcome, Verdict};

/// Where one worker counts.
#[derive(Debug)]
pub struct Requests {
    /// Of the rule of that number.
    names: Vec<Arc<str>>,
    /// Likewise, and one row more for requests that no rule decided about.
    rows: Vec<Row>,
    took: Histogram,
    upstream: Histogram,
    logins: [Counter; 2],
}

/// Cells of one rule.
#[derive(Debug, Default)]
struct Row {
    forwarded: Counter,
    refused: [Counter; Reason::COUNT],
    observed: [Counter; Reason::COUNT],
}

/// Rule, outcome and reason, as they stand in labels.
type Labels = (Arc<str>, &'static str, &'static str);

/// What all workers counted.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    requests: BTreeMap<Labels, u64>,
    took: Times,
    upstream: Times,
    logins: [u64; 2],
}

impl Requests {
    pub(super) fn new(names: Vec<Arc<str>>) -> Self {
        let rows = (0..=names.len()).map(|_| Row::default()).collect();
        Self { names, rows, took: Histogram::default(), upstream: Histogram::default(), logins: Default::default() }
    }

    /// One request.
    pub fn count(&self, outcome: &Outcome) {
        let row = outcome.rule.as_ref().map_or(self.names.len(), |rule| rule.number);
        if let Some(cell) = self.rows.get(row).and_then(|row| row.cell(outcome.verdict, outcome.reason)) {
            cell.up();
        }
        self.took.record(outcome.duration);
        if let Some(upstream) = outcome.upstream {
            self.upstream.record(upstream);
        }
        if let Some(login) = outcome.login {
            let [succeeded, failed] = &self.logins;
            if login == Login::Succeeded { succeeded } else { failed }.up();
        }
    }
}

impl Row {
    fn cell(&self, verdict: Verdict, reason: Option<Reason>) -> Option<&Counter> {
        match (verdict, reason) {
            (Verdict::Forwarded, _) | (_, None) => Some(&self.forwarded),
            (Verdict::Refused | Verdict::Failed | Verdict::Closed, Some(reason)) => self.refused.get(reason as usize),
            (Verdict::Observed, Some(reason)) => self.observed.get(reason as usize),
        }
    }

    fn add_to(&self, rule: &Arc<str>, requests: &mut BTreeMap<Labels, u64>) {
        let mut add = |verdict: Verdict, reason: &'static str, count: u64| {
            // A rule's own cell is told from the start; of reasons only those that occurred.
            if count > 0 || (reason.is_empty() && !rule.is_empty()) {
                *requests.entry((Arc::clone(rule), verdict.name(), reason)).or_default() += count;
            }
        };
        add(Verdict::Forwarded, "", self.forwarded.get());
        for ((reason, refused), observed) in Reason::all().zip(&self.refused).zip(&self.observed) {
            add(Verdict::of(reason), reason.name(), refused.get());
            add(Verdict::Observed, reason.name(), observed.get());
        }
    }
}

impl Figures for Requests {
    type Sum = Sum;

    fn add_to(&self, sum: &mut Sum) {
        let none = Arc::from("");
        for (rule, row) in self.names.iter().chain([&none]).zip(&self.rows) {
            row.add_to(rule, &mut sum.requests);
        }
        sum.took.add(&self.took.read());
        sum.upstream.add(&self.upstream.read());
        sum.logins.iter_mut().zip(&self.logins).for_each(|(sum, logins)| *sum += logins.get());
    }
}

pub(super) fn write(sum: &Sum, page: &mut Page) {
    let mut requests = page.family(
        "ticketgate_requests_total",
        Kind::Counter,
        "Requests by the rule that decided, what became of them, and why they were (or would have been) refused.",
    );
    for ((rule, outcome, reason), count) in &sum.requests {
        requests.sample(&[("rule", rule), ("outcome", outcome), ("reason", reason)], count);
    }
    let help = "From a request's head to that of its reply.";
    page.family("ticketgate_request_duration_seconds", Kind::Histogram, help).times(None, &sum.took);
    let help = "The application's part of it.";
    page.family("ticketgate_upstream_duration_seconds", Kind::Histogram, help).times(None, &sum.upstream);
    let mut logins =
        page.family("ticketgate_logins_total", Kind::Counter, "Logins that the application decided about.");
    for (result, count) in ["succeeded", "failed"].into_iter().zip(sum.logins) {
        logins.sample(&[("result", result)], count);
    }
}
