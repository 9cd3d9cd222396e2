//! Taking up the configuration anew: by SIGHUP, when its files change, and when an operator asks.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Instant;

use tokio::signal::unix::Signal;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::Running;
use crate::clock::Clock;
use crate::config::outline::Outline;
use crate::config::watch::{self, Watch};
use crate::config::{self, Loaded, Overrides, Reading, Remark};
use crate::reload::{Ask, Kept, Taken};
use crate::telemetry;

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) overrides: Overrides,
    /// The file itself, and those that it names.
    pub(super) files: Vec<PathBuf>,
    pub(super) level: telemetry::Level,
}

/// Reads the configuration again, and puts it in force.
pub(super) struct Reloader {
    source: Source,
    /// Of what is in force.
    outline: Outline,
    watch: Option<Watch>,
    /// The file has faults.
    failing: bool,
    clock: Clock,
}

/// Who wants it.
enum Why {
    Signal,
    Change,
    Operator(Ask),
}

impl Reloader {
    pub(super) fn new(source: Source, outline: Outline, clock: Clock) -> Self {
        let watch = Some(Watch::new(source.files.clone(), Instant::now()));
        Self { source, outline, watch, failing: false, clock }
    }

    /// Goes on until it is dropped, which a signal to end does at any moment.
    pub(super) async fn reload_when_asked(&mut self, running: &mut Running, hangup: &mut Signal) -> Infallible {
        loop {
            let why = tokio::select! {
                _ = hangup.recv() => Why::Signal,
                ask = running.asks.next() => Why::Operator(ask),
                () = self.change() => Why::Change,
            };
            let outcome = self.reload(running).await;
            why.tell(&outcome);
            self.note(running, &why, &outcome);
            if let Why::Operator(ask) = why {
                ask.tell(outcome);
            }
        }
    }

    /// For metrics and listeners; not where nothing was to be done.
    fn note(&mut self, running: &Running, why: &Why, outcome: &Result<Taken, Kept>) {
        let faults = outcome.as_ref().err().map(|kept| kept.faults.as_slice()).unwrap_or_default();
        let idle = outcome.as_ref().is_ok_and(|taken| taken.changed.is_empty()) && matches!(why, Why::Change);
        if !idle || self.failing {
            running.telemetry().reloaded(self.clock.now(), faults);
        }
        self.failing = !faults.is_empty();
    }

    /// Waits until the files have changed. They are looked at apart: a network file system that hangs must hold up nothing else.
    async fn change(&mut self) {
        let mut looks = interval(watch::EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let mut watch = self.watch.take().unwrap_or_else(|| Watch::new(self.source.files.clone(), Instant::now()));
            let looked = spawn_blocking(move || (watch.look(Instant::now()), watch)).await;
            let Ok((changed, watch)) = looked else { continue };
            self.watch = Some(watch);
            if changed {
                return;
            }
        }
    }

    async fn reload(&mut self, running: &mut Running) -> Result<Taken, Kept> {
        let Source { path, overrides, .. } = self.source.clone();
        let reading = spawn_blocking(move || config::read(&path, &overrides)).await;
        let Reading { result, files } = reading.map_err(|error| Kept { faults: vec![error.to_string()] })?;
        if let Some(watch) = &mut self.watch {
            watch.follow(files.clone(), Instant::now());
        }
        self.source.files = files;
        let taken = result.and_then(|loaded| self.take_up(running, loaded));
        taken.map_err(|faults| Kept { faults: faults.iter().map(Remark::to_string).collect() })
    }

    fn take_up(&mut self, running: &mut Running, loaded: Loaded) -> Result<Taken, Vec<Remark>> {
        let Loaded { settings, warnings, outline, .. } = loaded;
        let changed = outline.changed_since(&self.outline);
        let log = settings.log.clone();
        if !changed.is_empty() {
            let remark = |bound: crate::app::Bound| outline.remark(bound.key, bound.what);
            running.take_up(settings).map_err(|bound| bound.into_iter().map(remark).collect::<Vec<_>>())?;
            self.source.level.set(&log);
            self.outline = outline;
        }
        Ok(Taken { changed, warnings: warnings.iter().map(Remark::to_string).collect() })
    }
}

impl Why {
    fn tell(&self, outcome: &Result<Taken, Kept>) {
        let why = match self {
            Self::Signal => "SIGHUP",
            Self::Change => "its files changed",
            Self::Operator(_) => "an operator asked",
        };
        match outcome {
            // They count as changed once at the start.
            Ok(taken) if taken.changed.is_empty() && matches!(self, Self::Change) => {}
            Ok(taken) if taken.changed.is_empty() => tracing::info!(why, "the configuration says what it said before"),
            Ok(taken) => {
                tracing::info!(why, changed = taken.changed.join(", "), "the configuration was taken up");
                taken.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            }
            Err(kept) => {
                tracing::error!(why, "the configuration was not taken up; the one in force stays, whole");
                kept.faults.iter().for_each(|fault| tracing::error!("{fault}"));
            }
        }
    }
}
