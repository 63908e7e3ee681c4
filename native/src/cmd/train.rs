//! `diffem train` and `diffem resume`.

use crate::args::{Resume, Train};
use crate::config::{Config, load_for};
use crate::estimate::found::announce;
use crate::figures;
use crate::ranks::world;
use crate::report::progress::ProgressMode;
use crate::report::units::bytes;
use crate::resources::peak_memory;
use crate::run::train::run as train;
use crate::run::{session::Session, together};
use crate::signals::{EXIT_STOPPED, Ended};
use anyhow::Result;
use std::process::ExitCode;

/// Runs `diffem train`.
pub fn run(args: &Train) -> Result<ExitCode> {
    let (world, compute) = (world(), &args.compute);
    let config = world.agree(super::use_threads(compute).and_then(|()| configure(args)))?;
    if args.dry_run {
        let work = || super::dry_run::run(config, args);
        return world.by_first(work).map(|_| ExitCode::SUCCESS);
    }
    let out = args.out.clone().unwrap_or_else(|| config.default_out());
    let session = together::create(&out, config, &args.settings.set, &compute.device)?;
    let announced = world.by_first(|| announce(&session, args.progress));
    let finished = announced.and_then(|_| finish(&session, args.progress));
    finished.inspect_err(|_| session.discard_unstarted())
}

/// Runs `diffem resume`.
pub fn resume(args: &Resume) -> Result<ExitCode> {
    world().agree(super::use_threads(&args.compute))?;
    finish(&together::open(&args.run, &args.settings.set, &args.compute.device)?, args.progress)
}

/// Runs the remaining laps of `session` and draws its figures.
fn finish(session: &Session, progress: ProgressMode) -> Result<ExitCode> {
    if train(session, progress)? == Ended::Stopped {
        return Ok(ExitCode::from(EXIT_STOPPED));
    }
    world().by_first(|| {
        figures::run::finished(session)?;
        if !matches!(progress, ProgressMode::Json | ProgressMode::Quiet) {
            let run = session.run.path().display();
            let peak = peak_memory().map_or(String::new(), |peak| format!("; at most {} of memory", bytes(peak)));
            super::print(&format!("{run}: done; figures in {run}/figures, numbers in {run}/summary.json{peak}\n"))?;
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The configuration, overridden by the settings of the command line.
fn configure(args: &Train) -> Result<Config> {
    let settings: Vec<_> = args.settings.set.iter().cloned().chain(args.seed.map(|s| format!("seed={s}"))).collect();
    load_for(&args.config, &settings, args.observations.as_deref())
}
