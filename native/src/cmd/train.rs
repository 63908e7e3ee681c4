//! `diffem train` and `diffem resume`.

use crate::args::{Resume, Train};
use crate::config::{Config, DataConfig, InitConfig, load};
use crate::report::progress::ProgressMode;
use crate::report::units::bytes;
use crate::resources::peak_memory;
use crate::run::prior::Prior;
use crate::run::session::{Session, lap_dir, reconstructions_of};
use crate::run::train::{EXIT_STOPPED, Ended};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs `diffem train`.
pub fn run(args: &Train) -> Result<ExitCode> {
    super::use_threads(&args.compute)?;
    let config = configure(args)?;
    if args.dry_run {
        super::dry_run::run(&config, &args.compute.device, args.progress)?;
        return Ok(ExitCode::SUCCESS);
    }
    let out =
        args.out.clone().unwrap_or_else(|| PathBuf::from(format!("runs/out/{}-seed{}", config.name, config.seed)));
    // Before anything is made for a run that cannot start.
    match &config.init {
        InitConfig::Checkpoint(place) => lap_dir(Path::new(&place.path), None).map(drop),
        InitConfig::Reconstructions(place) => reconstructions_of(Path::new(&place.path)).map(drop),
        InitConfig::Prior(guided) => Prior::check(Path::new(&guided.path)),
        _ => Ok(()),
    }
    .context("init.path")?;
    let session = Session::create(&out, config, &args.compute.device)?;
    finish(&session, args.progress).inspect_err(|_| session.run.discard_unstarted())
}

/// Runs `diffem resume`.
pub fn resume(args: &Resume) -> Result<ExitCode> {
    super::use_threads(&args.compute)?;
    let session = Session::open(&args.run, &args.settings.set, &args.compute.device)?;
    if !args.settings.set.is_empty() {
        // Nothing is kept while another process trains the run, if another run would come of it, or if it cannot go on.
        let _lock = session.run.lock()?;
        session.run.check_same(&session.config)?;
        session.run.latest_state(&session.config, session.layout.len(), &session.device)?;
        session.run.write_config(&session.config)?;
    }
    finish(&session, args.progress)
}

fn finish(session: &Session, progress: ProgressMode) -> Result<ExitCode> {
    match crate::run::train::run(session, progress)? {
        Ended::Stopped => Ok(ExitCode::from(EXIT_STOPPED as u8)),
        Ended::Finished => {
            super::plot::draw(session, &[0, 1, 2, 3, 4, 5], session.config.report.draws)?;
            if !matches!(progress, ProgressMode::Json | ProgressMode::Quiet) {
                let run = session.run.path().display();
                let peak = peak_memory().map_or(String::new(), |peak| format!("; at most {} of memory", bytes(peak)));
                super::print(&format!("{run}: done; figures in {run}/figures, numbers in {run}/summary.json{peak}\n"))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The configuration with the command line's settings on top.
fn configure(args: &Train) -> Result<Config> {
    let mut settings = args.settings.set.clone();
    settings.extend(args.seed.map(|seed| format!("seed={seed}")));
    let mut config = load(&args.config, &settings)?;
    if let Some(path) = &args.observations {
        let (signal, shape) = (Some(config.signal_len()), config.data.image_shape());
        config.data = DataConfig::File { path: path.display().to_string(), signal, shape };
    }
    Ok(config)
}
