//! A page of metrics, read as Prometheus reads it.

use std::collections::BTreeSet;

use super::http::Request;

/// What `/metrics` answered.
#[derive(Debug)]
pub struct Scrape(pub String);

impl Scrape {
    /// Asks the admin listener at that address.
    pub async fn of(admin: &str) -> Self {
        let reply = Request::new(admin, "GET", "/metrics").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        Self(reply.text())
    }

    /// The value of a series written like this: `name{label="value"}`.
    pub fn get(&self, series: &str) -> Option<f64> {
        self.samples().find(|(name, _)| *name == series).map(|(_, value)| value)
    }

    /// The value of a series that there is.
    pub fn value(&self, series: &str) -> f64 {
        self.get(series).unwrap_or_else(|| panic!("no {series} in\n{}", self.0))
    }

    /// The names of all samples.
    pub fn names(&self) -> BTreeSet<&str> {
        self.samples().map(|(series, _)| series.split('{').next().expect("a name")).collect()
    }

    /// All series with their values.
    pub fn samples(&self) -> impl Iterator<Item = (&str, f64)> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            (series, value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        })
    }
}
