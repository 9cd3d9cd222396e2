//! `ticketgate serve`: loads, starts, takes up changed configurations, waits for the signal to end.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{self, Manner};
use crate::cli::{Failure, said};
use crate::config::{self, Loaded, Overrides, Reading};
use crate::telemetry;

mod reloading;

use reloading::{Reloader, Source};

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
    keep_pages_small();
    let overrides = Overrides { listen: args.listen, upstream: args.upstream, store: args.store };
    let Reading { result, files } = config::read(&args.config, &overrides);
    let loaded = result.map_err(said)?;
    for warning in &loaded.warnings {
        eprintln!("{warning} (warning)");
    }
    let level = telemetry::init(&loaded.settings.log);
    telemetry::panics::watch();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let source = Source { path: args.config, overrides, files, level };
    let ended = runtime.block_on(serve(loaded, source));
    // What a second signal cut off is not waited for.
    runtime.shutdown_background();
    Ok(ended?)
}

/// Has the system give memory in pages of 4 KiB. Of pages of 2 MiB, which the allocator asks for where the system lets it, any burst
/// leaves some behind for the few kilobytes in them that last.
fn keep_pages_small() {
    // Where that cannot be had, everything works as well.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

async fn serve(loaded: Loaded, source: Source) -> anyhow::Result<()> {
    let manner = Manner::of(&loaded.settings);
    let clock = manner.clock.clone();
    let mut signals = Signals::catch().context("signals cannot be caught")?;
    let mut running = app::start(loaded.settings, manner).await?;
    let decide = running.decide.iter().map(|address| format!(", deciding on {address}")).collect::<String>();
    eprintln!("ticketgate listening on {}{decide}, admin on {}", running.addresses.join(" and "), running.admin);
    let mut reloader = Reloader::new(source, loaded.outline, clock);
    tokio::select! {
        () = signals.end.recv() => {}
        never = reloader.reload_when_asked(&mut running, &mut signals.hangup) => match never {},
    }
    tracing::info!("ending: what is under way may finish; a second signal ends at once");
    tokio::select! {
        () = running.drain() => tracing::info!("ended"),
        () = signals.end.recv() => tracing::warn!("ended at once, by a second signal"),
    }
    Ok(())
}

/// Signals that are caught.
struct Signals {
    end: End,
    hangup: Signal,
}

/// Those that end the gate.
struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        let end = End { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
        Ok(Self { end, hangup: signal(SignalKind::hangup())? })
    }
}

impl End {
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
