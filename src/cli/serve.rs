//! `ticketgate serve`: loads, starts, waits for the signal to end.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{self, Manner};
use crate::cli::{Failure, load};
use crate::config::{Loaded, Overrides, Settings};
use crate::telemetry;

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE", env = "TICKETGATE_CONFIG")]
    config: PathBuf,
    /// Listen here, whatever the configuration says
    #[arg(long, value_name = "ADDRESS", env = "TICKETGATE_LISTEN")]
    listen: Option<String>,
    /// Forward to this application, whatever the configuration says
    #[arg(long, value_name = "URL", env = "TICKETGATE_UPSTREAM")]
    upstream: Option<String>,
    /// Keep clients and sessions here, whatever the configuration says
    #[arg(long, value_name = "URL", env = "TICKETGATE_STORE", hide_env_values = true)]
    store: Option<String>,
}

/// Serves until told to end.
pub fn run(args: ServeArgs) -> Result<(), Failure> {
    let overrides = Overrides { listen: args.listen, upstream: args.upstream, store: args.store };
    let Loaded { settings, warnings, .. } = load(&args.config, &overrides)?;
    for warning in warnings {
        eprintln!("{warning} (warning)");
    }
    telemetry::init(&settings.log);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(settings));
    // What a second signal cut off is not waited for.
    runtime.shutdown_background();
    Ok(ended?)
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let manner = Manner::of(&settings);
    let mut signals = Signals::catch().context("signals cannot be caught")?;
    let running = app::start(settings, manner).await?;
    eprintln!("ticketgate listening on {}, admin on {}", running.addresses.join(" and "), running.admin);
    signals.end().await;
    tracing::info!("ending: what is under way may finish; a second signal ends at once");
    tokio::select! {
        () = running.drain() => tracing::info!("ended"),
        () = signals.end() => tracing::warn!("ended at once, by a second signal"),
    }
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to end.
    async fn end(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => tracing::warn!("SIGHUP is ignored: restart to take up a new configuration"),
            }
        }
    }
}
