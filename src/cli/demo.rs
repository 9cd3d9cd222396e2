//! `ticketgate demo`.

use crate::cli::Failure;

/// To be written.
pub fn run(_listen: String) -> Result<(), Failure> {
    Err(anyhow::anyhow!("to be written").into())
}
