//! `ticketgate check`: everything that is wrong with a configuration, at once.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::clock::Clock;
use crate::config::{self, Loaded, Overrides, Remark, Settings};
use crate::store::Store;
use crate::upstream::Upstream;

/// Checks a file, and with `connect` also whether store and upstream answer. Faults go to stderr, one in each line, and make
/// the exit code 1; with `json` everything goes to stdout as one list.
pub fn run(path: &Path, connect: bool, json: bool) -> Result<(), Failure> {
    let (faults, loaded, reached) = match config::load(path, &Overrides::default()) {
        Err(faults) => (faults, None, None),
        Ok(loaded) if connect => {
            let (faults, reached) = connected(path, &loaded.settings)?;
            (faults, Some(loaded), reached)
        }
        Ok(loaded) => (Vec::new(), Some(loaded), None),
    };
    if json {
        print_json(&faults, loaded.as_ref())?;
    } else {
        print_text(path, &faults, loaded.as_ref(), reached)?;
    }
    if faults.is_empty() { Ok(()) } else { Err(Failure::Said) }
}

fn print_text(path: &Path, faults: &[Remark], loaded: Option<&Loaded>, reached: Option<String>) -> io::Result<()> {
    let mut errors = io::stderr().lock();
    for fault in faults {
        writeln!(errors, "{fault}")?;
    }
    let Some(loaded) = loaded.filter(|_| faults.is_empty()) else { return Ok(()) };
    let mut out = io::stdout().lock();
    writeln!(out, "{}: fine", path.display())?;
    writeln!(out, "  {}", counts(loaded))?;
    if let Some(store) = reached {
        writeln!(out, "  store: {store}")?;
    }
    if let Some(preset) = &loaded.preset {
        writeln!(out, "framework: {} stands for, where the file says nothing else:", preset.name)?;
        for line in preset.text.lines() {
            writeln!(out, "  {line}")?;
        }
    }
    for warning in &loaded.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    Ok(())
}

fn counts(loaded: &Loaded) -> String {
    let gate = &loaded.settings.gate;
    [
        count(gate.policy.rules.len(), "rule"),
        count(gate.verify.clients.len(), "client"),
        count(gate.policy.reader.sources.len(), "endpoint source"),
        count(loaded.warnings.len(), "warning"),
    ]
    .join(", ")
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn print_json(faults: &[Remark], loaded: Option<&Loaded>) -> anyhow::Result<()> {
    let warnings = loaded.map(|loaded| loaded.warnings.as_slice()).unwrap_or_default();
    let entries = faults.iter().map(|fault| entry(fault, "fault"));
    let list: Vec<Value> = entries.chain(warnings.iter().map(|warning| entry(warning, "warning"))).collect();
    serde_json::to_writer_pretty(io::stdout().lock(), &list)?;
    writeln!(io::stdout())?;
    Ok(())
}

fn entry(remark: &Remark, level: &str) -> Value {
    json!({
        "file": remark.file.to_string_lossy(),
        "line": remark.line,
        "key": remark.key,
        "what": remark.what,
        "level": level,
    })
}

/// Which of store and upstream do not answer, and what answered as the store.
fn connected(path: &Path, settings: &Settings) -> anyhow::Result<(Vec<Remark>, Option<String>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime for --connect could be started")?;
    let (store, upstream) = runtime.block_on(async {
        let store = match Store::open(&settings.store, Clock::system()).await {
            Ok(store) => store.reached().await,
            Err(fault) => Err(fault),
        };
        (store, Upstream::new(settings.gate.upstream.clone()).ping().await)
    });
    let remark = |key: &str, what: String| Remark { file: path.to_owned(), line: 0, key: key.to_owned(), what };
    let upstream = upstream.err().map(|fault| remark("upstream.url", fault.to_string()));
    let (fault, reached) = match store {
        Ok(reached) => (None, Some(reached)),
        Err(fault) => (Some(remark("store.url", fault.to_string())), None),
    };
    Ok((fault.into_iter().chain(upstream).collect(), reached))
}
