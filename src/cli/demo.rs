//! `ticketgate demo`: a gate before a built-in legacy application, and curl lines that show what it does.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{self, Manner};
use crate::cli::Failure;
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Loaded, Overrides};
use crate::telemetry::AccessLog;

mod legacy;
mod tour;

const CONFIGURATION: &str = include_str!("demo/demo.yaml");

/// Serves until Ctrl-C.
pub fn run(listen: String) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(serve(listen))?)
}

async fn serve(listen: String) -> anyhow::Result<()> {
    // Caught from the beginning, so that there is no moment at which it ends the demo otherwise.
    let mut ctrl_c = signal(SignalKind::interrupt()).context("Ctrl-C cannot be caught")?;
    let page = || tour::page(&today(Clock::system().now()));
    let application = legacy::start(page).await.context("the built-in application cannot listen")?;
    let loaded = load(listen, application)?;
    let clock = Clock::system();
    let manner = Manner { clock: clock.clone(), log: AccessLog::off(), workers: 1 };
    let started = app::start(loaded.settings, manner).await;
    let running = started.map_err(|error| anyhow::anyhow!("{error:#}; try another address with --listen HOST:PORT"))?;
    let address = running.addresses.first().cloned().unwrap_or_default();
    // Whoever reads only the first lines (`| head`) has what they wanted.
    let _ = io::stdout().write_all(tour::lines(&reachable(&address), &today(clock.now())).as_bytes());
    ctrl_c.recv().await;
    running.drain().await;
    Ok(())
}

fn load(listen: String, application: SocketAddr) -> anyhow::Result<Loaded> {
    anyhow::ensure!(!listen.starts_with("unix:"), "the demo's lines need a port: --listen HOST:PORT");
    let overrides =
        Overrides { listen: Some(listen), upstream: Some(format!("http://{application}")), ..Overrides::default() };
    config::parse(CONFIGURATION, Path::new("demo.yaml"), &overrides).map_err(|faults| {
        // The configuration is ours, so whatever is wrong is wrong with the address.
        let faults: Vec<String> = faults.iter().map(|fault| format!("{}: {}", fault.key, fault.what)).collect();
        anyhow::anyhow!(faults.join("; "))
    })
}

/// A listener on every address is reached at the loopback.
fn reachable(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(any) if any.ip().is_unspecified() && any.is_ipv4() => format!("127.0.0.1:{}", any.port()),
        Ok(any) if any.ip().is_unspecified() => format!("[::1]:{}", any.port()),
        _ => address.to_owned(),
    }
}

/// The date that client tokens are computed over; the demo runs by UTC.
fn today(now: Timestamp) -> String {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_can_be_reached() {
        for (bound, shown) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert_eq!(reachable(bound), shown);
        }
    }

    #[test]
    fn the_embedded_configuration_is_right() {
        let loaded = load("127.0.0.1:0".to_owned(), SocketAddr::from(([127, 0, 0, 1], 9)));
        assert!(loaded.is_ok(), "{loaded:?}");
    }

    #[test]
    fn the_date_is_that_of_greenwich() {
        assert_eq!(today(Timestamp::from_secs(1_795_132_799)), "2026-11-19");
        assert_eq!(today(Timestamp::from_secs(1_795_132_800)), "2026-11-20");
    }
}
