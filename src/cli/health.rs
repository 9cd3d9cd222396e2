//! `ticketgate health`: for containers, whose image holds no other program that could ask.

use anyhow::anyhow;
use clap::Args;

use crate::cli::Failure;
use crate::cli::api::ApiArgs;
use crate::cli::output::{say, say_json, text};

/// Arguments of `health`.
#[derive(Args, Debug)]
pub struct HealthArgs {
    #[command(flatten)]
    api: ApiArgs,
    /// Ask whether it is ready, too: store and upstream reachable, not draining
    #[arg(long)]
    ready: bool,
}

/// Says how the gate is; fails where it is not well.
pub fn run(args: &HealthArgs) -> Result<(), Failure> {
    let api = args.api.open()?;
    let (status, found) = api.health(if args.ready { "/readyz" } else { "/healthz" })?;
    if api.json {
        say_json(&found)?;
    }
    if status.is_success() {
        return if api.json { Ok(()) } else { Ok(say(&text(&found, "status"))?) };
    }
    let parts = ["store", "upstream", "draining"].map(|part| format!("{part}: {}", text(&found, part)));
    Err(anyhow!("{}: {}", text(&found, "status"), parts.join(", ")).into())
}
