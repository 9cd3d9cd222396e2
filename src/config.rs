//! The configuration file: read, checked with every fault at once, resolved into finished values.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything a process needs, finished.
#[derive(Debug)]
pub struct Settings {
    /// The gate.
    pub gate: crate::gate::Settings,
    /// The public listener.
    pub server: crate::server::Settings,
    /// The store.
    pub store: crate::store::Settings,
    /// The admin listener.
    pub admin: crate::admin::Settings,
    /// Logs.
    pub log: crate::telemetry::Settings,
    /// `drain_delay`
    pub drain_delay: Duration,
}

/// Flags of `serve` that override the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--listen`
    pub listen: Option<String>,
    /// `--upstream`
    pub upstream: Option<String>,
    /// `--store`
    pub store: Option<String>,
}

/// One thing wrong (or doubtful) with a configuration. Displays as `FILE:LINE: key: what is wrong`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 where none applies.
    pub line: u64,
    /// The key, dotted (`upstream.url`, `rules[2].endpoint`).
    pub key: String,
    /// What is wrong, and what to do.
    pub what: String,
}

impl std::fmt::Display for Remark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file.display(), self.line, self.key, self.what)
    }
}

/// A configuration that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub settings: Settings,
    /// What is doubtful in it.
    pub warnings: Vec<Remark>,
}

/// Reads a file. The error is every fault at once.
pub fn load(_path: &Path, _overrides: &Overrides) -> Result<Loaded, Vec<Remark>> {
    todo!()
}

/// Reads a text, as if from a file of that name.
pub fn parse(_text: &str, _name: &Path, _overrides: &Overrides) -> Result<Loaded, Vec<Remark>> {
    todo!()
}
