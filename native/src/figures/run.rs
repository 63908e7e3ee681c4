//! Draws all figures of a run.

use super::calibration;
use super::chart::tiles::Shape;
use super::comparisons;
use super::corner::{Series, corner};
use super::history::History;
use super::posteriors::{posteriors, shown};
use super::save::save;
use super::style::{RECONSTRUCTIONS, START, TRUTH};
use crate::args::Plot;
use crate::eval::calibration::Tested;
use crate::eval::report::Report;
use crate::files;
use crate::run::laps::chosen_lap;
use crate::run::metrics;
use crate::run::prior::{self, Prior};
use crate::run::session::Session;
use anyhow::{Result, bail};
use std::path::Path;

/// Maximum number of draws per posterior.
const MAX_DRAWS: usize = 65_536;
/// Observations whose posteriors are shown at the end of training.
const SHOWN: [usize; 6] = [0, 1, 2, 3, 4, 5];

/// Draws the figures that `args` request, and that of the prior if the run has one.
pub fn plot(args: &Plot, session: &Session) -> Result<()> {
    let n = shown(session).1.n();
    if let Some(i) = args.observations.iter().find(|i| **i >= n) {
        bail!("--observations {i}: the run has observations 0 to {} to show", n - 1);
    }
    if !(2..=MAX_DRAWS).contains(&args.draws) {
        bail!("--draws {}: expected 2 to {MAX_DRAWS}", args.draws);
    }
    draw(session, &args.observations, args.draws)?;
    if prior::exists(&session.run) {
        comparisons::prior(session, &Prior::load(&session.run, &[], &session.device)?)?;
    }
    Ok(())
}

/// Draws the figures at the end of training.
pub fn finished(session: &Session) -> Result<()> {
    draw(session, &SHOWN, session.config.report.draws)
}

/// Draws the calibration of a run's posteriors.
pub fn calibration(session: &Session, tested: &[Tested]) -> Result<()> {
    let dir = session.run.file("figures");
    files::ensure_writable_dir(&dir)?;
    save(&calibration::calibration(tested)?, &dir, "calibration")
}

/// Draws all figures, with the posteriors of those observations in `chosen` that the run has.
fn draw(session: &Session, chosen: &[usize], draws: usize) -> Result<()> {
    let dir = session.run.file("figures");
    files::ensure_writable_dir(&dir)?;
    let lines = metrics::read(&session.run.file("metrics.jsonl"))?;
    History::of(&lines).draw(&dir)?;
    let laps = session.run.laps()?;
    let Some(&last) = laps.last().filter(|lap| **lap > 0) else {
        return Ok(());
    };
    let best = chosen_lap(&session.run, &laps, last)?;
    corners(session, best, &dir)?;
    if let Some(image) = session.picture_shape() {
        comparisons::laps(session, Shape::from(image), &laps)?;
    }
    if let Some(report) = Report::read(&session.run)? {
        comparisons::scores(session, &report)?;
    }
    posteriors(session, best, chosen, draws, &dir)
}

/// Draws start, reconstructions and truth for each pair of coordinates, the widest cloud first.
fn corners(session: &Session, best: usize, dir: &Path) -> Result<()> {
    let (start, x) = (session.run.reconstructions(0)?, session.run.reconstructions(best)?);
    let label = format!("reconstructions (lap {best})");
    let mut series = vec![
        Series { label: "start (lap 0)".into(), color: START, samples: &start },
        Series { label, color: RECONSTRUCTIONS, samples: &x },
    ];
    let truth = session.dataset.truth.x.iter();
    series.extend(truth.map(|x| Series { label: "truth".into(), color: TRUTH, samples: x }));
    save(&corner(&series, &[])?, dir, "corner")
}
