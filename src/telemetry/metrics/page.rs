//! The text format of Prometheus, 0.0.4.

use std::fmt::{Display, Write as _};

use crate::measure::Times;

/// A page of metrics that is being written.
#[derive(Debug, Default)]
pub struct Page(String);

/// What kind of metric it is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Times in buckets.
    Histogram,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// All samples of one name.
#[derive(Debug)]
pub struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Page {
    /// What the page is sent as.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins a metric; a counter's name ends in `_total`. `help` is one line without a backslash.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) -> Family<'_> {
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.name()));
        Family { page: self, name }
    }

    /// All that was written.
    pub fn into_text(self) -> String {
        self.0
    }

    fn put(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(what);
    }

    fn labels(&mut self, labels: &[(&str, &str)]) {
        for (index, (name, value)) in labels.iter().enumerate() {
            self.put(format_args!("{}{name}=\"{}\"", if index == 0 { '{' } else { ',' }, Quoted(value)));
        }
        self.0.push_str(if labels.is_empty() { " " } else { "} " });
    }
}

impl Family<'_> {
    /// One sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, value);
    }

    /// The samples of a histogram, with `label` where there are several of them.
    pub fn times(&mut self, label: Option<(&str, &str)>, times: &Times) {
        let label = label.as_slice();
        for (micros, count) in times.up_to() {
            let bound = (micros as f64 / 1e6).to_string();
            self.line("_bucket", &[label, &[("le", &bound)]].concat(), count);
        }
        self.line("_bucket", &[label, &[("le", "+Inf")]].concat(), times.count());
        self.line("_sum", label, times.seconds());
        self.line("_count", label, times.count());
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.page.put(format_args!("{}{suffix}", self.name));
        self.page.labels(labels);
        self.page.put(format_args!("{value}\n"));
    }
}

/// A label's value with what ends it escaped.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Histogram;
    use std::time::Duration;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "A.").sample(&[("rule", "x\"\\\n登"), ("b", "")], 3);
        assert_eq!(
            page.into_text(),
            "# HELP a_total A.\n# TYPE a_total counter\na_total{rule=\"x\\\"\\\\\\n登\",b=\"\"} 3\n"
        );
    }

    #[test]
    fn buckets_are_cumulative_and_in_seconds() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_micros(200));
        histogram.record(Duration::from_secs(100));
        let mut page = Page::default();
        page.family("t", Kind::Histogram, "T.").times(Some(("op", "ask")), &histogram.read());
        let text = page.into_text();
        for line in [
            "t_bucket{op=\"ask\",le=\"0.0001\"} 0",
            "t_bucket{op=\"ask\",le=\"0.00025\"} 1",
            "t_bucket{op=\"ask\",le=\"60\"} 1",
            "t_bucket{op=\"ask\",le=\"+Inf\"} 2",
            "t_sum{op=\"ask\"} 100.0002",
            "t_count{op=\"ask\"} 2",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
    }
}
