//! `ticketgate schema`: the JSON Schema of the configuration.

use std::io::{self, Write};

use crate::cli::Failure;
use crate::config;

/// Prints it.
pub fn run() -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &config::schema())?;
    writeln!(out)?;
    Ok(())
}
