//! `ticketgate check`.

use std::path::Path;

use crate::cli::Failure;

/// To be written.
pub fn run(_config: &Path, _connect: bool, _json: bool) -> Result<(), Failure> {
    Err(anyhow::anyhow!("to be written").into())
}
