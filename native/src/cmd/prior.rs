//! `diffem prior`: trains an unconditional denoiser on a run's reconstructions.

use crate::args::Prior as Args;
use crate::config::Config;
use crate::ranks::world;
use crate::report::progress::ProgressMode;
use crate::run::laps::reconstructed_lap;
use crate::run::prior::{Origin, Prior, train};
use crate::run::session::Session;
use crate::run::together;
use crate::signals::{EXIT_STOPPED, Ended};
use anyhow::Result;
use diffem::method::Method;
use std::process::ExitCode;

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let world = world();
    world.agree(super::use_threads(&args.compute))?;
    let session = together::view(&args.run, &[], &args.compute.device)?;
    let origin = world.agree(origin(args, &session))?;
    if train(&session.run, &session.device, &origin, args.progress)? == Ended::Stopped {
        return Ok(ExitCode::from(EXIT_STOPPED));
    }
    world.by_first(|| shown(args, &session, origin.lap))?;
    Ok(ExitCode::SUCCESS)
}

/// Draws the prior's figure, and says where it is.
fn shown(args: &Args, session: &Session, lap: usize) -> Result<()> {
    let prior = Prior::load(&session.run, &[], &session.device)?;
    crate::figures::comparisons::prior(session, &prior)?;
    let run = args.run.display();
    let text =
        format!("{run}/prior: trained on lap {lap}; draws in {run}/figures, more with `diffem sample {run} --prior`\n");
    let quiet = matches!(args.progress, ProgressMode::Json | ProgressMode::Quiet);
    if quiet { Ok(()) } else { super::print(&text) }
}

/// What the prior is trained on, and how.
fn origin(args: &Args, session: &Session) -> Result<Origin> {
    let lap = reconstructed_lap(&session.run, args.lap)?;
    Ok(Origin { lap, config: configure(args, session, lap)? })
}

/// The run's configuration, overridden by the prior's settings.
fn configure(args: &Args, session: &Session, lap: usize) -> Result<Config> {
    let mut settings = args.settings.set.clone();
    settings.extend(args.seed.map(|seed| format!("seed={seed}")));
    settings.extend(args.steps.map(|steps| format!("m_step.steps={steps}")));
    if !settings.iter().any(|setting| setting.trim_start().starts_with("m_step.steps")) {
        // The prior starts from random weights, so it gets as many steps as the posterior had up to that lap.
        settings.push(format!("m_step.steps={}", session.config.m_step.steps.saturating_mul(lap.max(1))));
    }
    let mut config = session.run.config(&settings)?;
    // Without observations there is nothing to condition on or to guide with, whatever the run's method.
    config.method = Method::default();
    Ok(config)
}
