//! `ticketgate completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{Cli, Failure, output};

/// Prints a completion script.
pub fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ticketgate", &mut script);
    Ok(output::write(&script)?)
}
