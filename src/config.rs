//! The configuration file: read, checked with every fault at once, resolved into finished values.
//!
//! ```text
//! text -> tree with lines -> variables filled in -> typed, as written -> finished values
//! yaml    yaml::Node         environment            file::File          Settings, by resolve
//! ```
//!
//! Each step adds to one list of faults and goes on with what is sound, so that one run tells everything.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::faults::Faults;
use crate::config::yaml::{Node, Value};

pub use preset::Preset;

mod environment;
mod faults;
mod file;
mod otel;
pub mod outline;
mod preset;
mod reader;
mod refusal;
mod resolve;
mod shown;
mod values;
mod warn;
pub mod watch;
mod yaml;

use outline::Outline;

/// Larger files are no configurations.
const MAX_FILE: u64 = 4 << 20;

/// Everything a process needs, finished.
#[derive(Debug)]
pub struct Settings {
    /// The gate.
    pub gate: crate::gate::Settings,
    /// The public listener.
    pub server: crate::server::Settings,
    /// `decide`: the listener for proxies that ask.
    pub decide: Option<crate::server::Settings>,
    /// The store.
    pub store: crate::store::Settings,
    /// What of its answers is held.
    pub held: crate::store::held::Settings,
    /// The admin listener.
    pub admin: crate::admin::Settings,
    /// Logs.
    pub log: crate::telemetry::Settings,
    /// `drain_delay`
    pub drain_delay: Duration,
    /// The configuration with every default, and without its secrets: for operators to look at.
    pub shown: serde_json::Value,
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

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.what)
    }
}

/// A configuration that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub settings: Settings,
    /// What is doubtful in it.
    pub warnings: Vec<Remark>,
    /// What it consists of, to tell what another one changes.
    pub outline: Outline,
    /// What `framework` brought.
    pub preset: Option<Preset>,
}

/// What came of reading a file.
#[derive(Debug)]
pub struct Reading {
    /// A configuration, or every fault at once.
    pub result: Result<Loaded, Vec<Remark>>,
    /// The file itself, and those that it names: whatever changes in them is another configuration.
    pub files: Vec<PathBuf>,
}

/// Reads a file. The error is every fault at once.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Loaded, Vec<Remark>> {
    read(path, overrides).result
}

/// Reads a file, and tells which files it consists of.
pub fn read(path: &Path, overrides: &Overrides) -> Reading {
    let mut named = Vec::new();
    let result = read_text(path).and_then(|text| assemble(&text, path, overrides, &environment::process, &mut named));
    named.insert(0, path.to_owned());
    Reading { result, files: named }
}

fn read_text(path: &Path) -> Result<String, Vec<Remark>> {
    let fault = |line, what| vec![Remark { file: path.to_owned(), line, key: String::new(), what }];
    let bytes = read_file(path, MAX_FILE).map_err(|what| fault(0, what))?;
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = 1 + before.filter(|byte| **byte == b'\n').count() as u64;
        fault(line, "is not UTF-8".to_owned())
    })
}

/// Reads a text, as if from a file of that name, in the environment of the process.
pub fn parse(text: &str, name: &Path, overrides: &Overrides) -> Result<Loaded, Vec<Remark>> {
    parse_in(text, name, overrides, &environment::process)
}

/// Reads a text, as if from a file of that name, in an environment of its own: `Ok(None)` of it is a variable that is not set,
/// `Err` tells why one that is set cannot be used.
pub fn parse_in(
    text: &str,
    name: &Path,
    overrides: &Overrides,
    environment: &dyn Fn(&str) -> Result<Option<String>, String>,
) -> Result<Loaded, Vec<Remark>> {
    assemble(text, name, overrides, environment, &mut Vec::new())
}

fn assemble(
    text: &str,
    name: &Path,
    overrides: &Overrides,
    environment: environment::Lookup<'_>,
    named: &mut Vec<PathBuf>,
) -> Result<Loaded, Vec<Remark>> {
    let (mut root, mut problems) = yaml::read(text);
    if matches!(root.value, Value::Broken) {
        return Err(Faults::new(name, &root, problems).finish().0);
    }
    // First the place is emptied, so that a variable that is not set there is no fault; the flag itself is taken as it is.
    override_with(&mut root, overrides, |_| Node::empty_map(0));
    environment::substitute(&mut root, "", environment, &mut problems);
    override_with(&mut root, overrides, |text| Node::scalar(0, text));
    let preset = preset::apply(&mut root);
    let file: Option<file::File> = reader::read(&mut root, &mut problems);
    let mut faults = Faults::new(name, &root, problems);
    let settings = file.and_then(|file| {
        let mut settings = resolve::settings(&file, &mut faults);
        if let Some(settings) = &mut settings {
            settings.log.traces = otel::traces(environment, &mut faults);
        }
        warn::about(&file, &mut faults);
        settings
    });
    named.extend(faults.take_named());
    let outline = Outline::of(name, &root, named);
    match (faults.finish(), settings) {
        ((faults, warnings), Some(settings)) if faults.is_empty() => Ok(Loaded { settings, warnings, outline, preset }),
        ((faults, _), _) => Err(faults),
    }
}

/// The JSON Schema of the configuration.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(file::File).to_value();
    allow_variables(&mut schema);
    schema
}

/// Numbers and truth values may also be written as `${NAME}`.
fn allow_variables(schema: &mut serde_json::Value) {
    use serde_json::Value;
    match schema {
        Value::Object(object) => {
            if let Some(kind) = object.get("type").filter(|kind| *kind == "integer" || *kind == "boolean").cloned() {
                object.insert("type".to_owned(), Value::Array(vec![kind, "string".into()]));
                object.insert("pattern".to_owned(), r"\$\{".into());
            }
            object.values_mut().for_each(allow_variables);
        }
        Value::Array(items) => items.iter_mut().for_each(allow_variables),
        _ => {}
    }
}

/// The whole bytes of a file that is not absurdly large.
fn read_file(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > most { Err(format!("is larger than {most} bytes")) } else { Ok(bytes) }
}

/// Puts flags in the place of what the file says.
fn override_with(root: &mut Node, overrides: &Overrides, value: impl Fn(&str) -> Node) {
    let flags: [(&[&str], _); 3] = [
        (&["listen"], &overrides.listen),
        (&["upstream", "url"], &overrides.upstream),
        (&["store", "url"], &overrides.store),
    ];
    for (path, flag) in flags {
        if let Some(text) = flag {
            root.set(path, value(text));
        }
    }
}
