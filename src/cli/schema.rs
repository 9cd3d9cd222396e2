//! `ticketgate schema`.

use crate::cli::Failure;

/// To be written.
pub fn run() -> Result<(), Failure> {
    Err(anyhow::anyhow!("to be written").into())
}
