//! The `ticketgate` command. Everything it does is in the library; this decides the exit code.

use std::process::ExitCode;

use ticketgate::cli::{self, Failure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Said) => ExitCode::FAILURE,
        Err(Failure::Failed(error)) => {
            eprintln!("ticketgate: {error:#}");
            ExitCode::FAILURE
        }
        Err(Failure::Usage(wrong)) => {
            eprintln!("ticketgate: {wrong}");
            ExitCode::from(2)
        }
    }
}
