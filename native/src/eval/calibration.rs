//! Calibration of a run's posteriors, which tests whether they are as wide as their errors.

use crate::args::Calibrate;
use crate::files;
use crate::ranks::world;
use crate::run::session::Session;
use anyhow::{Result, bail};
use diffem::metric::{Calibration, Curve};
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Samples};
use serde::Serialize;

/// Where the signals of a test come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signals {
    /// The clean test set.
    Truth,
    /// The run's own reconstructions, corrupted anew.
    Own,
}

impl Signals {
    /// Name of the set in tables and figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truth => "clean test signals",
            Self::Own => "own reconstructions",
        }
    }
}

/// The posteriors of one lap on one set of signals.
pub struct Tested {
    pub signals: Signals,
    pub lap: usize,
    pub calibration: Calibration,
}

/// Scores of one set of signals as written to calibration.json.
#[derive(Serialize)]
struct Scores {
    signals: &'static str,
    lap: usize,
    calibrated: bool,
    ranks: Points,
    ranks_p: f64,
    coverage: Points,
    tarp: Points,
    crps: f64,
    energy_score: f64,
    spread: f64,
    skill: f64,
    spread_skill: Vec<(f64, f64)>,
    observations: usize,
    draws: usize,
}

#[derive(Serialize)]
struct Points {
    levels: Vec<f64>,
    values: Vec<f64>,
    expected: Vec<f64>,
    half_width: Vec<f64>,
    within_band: bool,
}

impl Points {
    fn of(curve: &Curve) -> Self {
        let Curve { levels, values, expected, half_width } = curve.clone();
        Self { levels, values, expected, half_width, within_band: curve.within() }
    }
}

/// Tests the calibration of the posteriors of `session` as `args` specify. Draws are dealt to all ranks, of which rank 0
/// receives the results, and the others an empty list.
pub fn calibrate(args: &Calibrate, session: &Session) -> Result<Vec<Tested>> {
    let (world, (lap, posterior)) = (world(), session.dealt_posterior(args.lap)?);
    let mut tested = Vec::new();
    for (signals, x, seen) in world.agree(sets(session, lap, args))? {
        let draws = world.agree(posterior.sample_seeded(&seen, args.draws, args.seed).map_err(Into::into))?;
        let test = || Ok(Tested { signals, lap, calibration: Calibration::of(&x, &draws, args.seed)? });
        tested.extend(world.by_first(test)?);
    }
    Ok(tested)
}

/// Writes calibration.json to the run directory of `session`.
pub fn write(session: &Session, tested: &[Tested]) -> Result<()> {
    let scores: Vec<Scores> = tested.iter().map(Scores::of).collect();
    let text = serde_json::to_string_pretty(&scores)? + "\n";
    files::write_atomic(&session.run.file("calibration.json"), text.as_bytes())
}

/// Returns signals and their observations: the clean test set if there is one, and always the reconstructions
/// of the lap, corrupted anew. The latter need no clean data; they test whether the posterior is consistent
/// with the prior on which it was trained.
fn sets(session: &Session, lap: usize, args: &Calibrate) -> Result<Vec<(Signals, Samples, Observations)>> {
    let mut sets = Vec::new();
    if let Some((x, seen)) = &session.dataset.truth.test {
        let rows: Vec<usize> = (0..x.n().min(args.signals)).collect();
        sets.push((Signals::Truth, x.select(&rows), seen.select(&rows)));
    }
    let x = session.run.reconstructions(lap)?;
    let mut order = Key::new(args.seed, Purpose::Calibrate, 2).stream(0, 0).permutation(x.n());
    order.truncate(args.signals);
    let x = x.select(&order);
    let seen = Observations::simulate(&session.channel, &x, Key::new(args.seed, Purpose::Calibrate, 3), 0);
    sets.push((Signals::Own, x, seen));
    match sets.iter().find(|(_, x, _)| x.n() < 2) {
        Some((signals, ..)) => bail!("{}: fewer than two signals; calibration needs two or more", signals.name()),
        None => Ok(sets),
    }
}

impl Scores {
    fn of(Tested { signals, lap, calibration: c }: &Tested) -> Self {
        Self {
            signals: signals.name(),
            lap: *lap,
            calibrated: c.is_calibrated(),
            ranks: Points::of(&c.ranks),
            ranks_p: c.ranks_p,
            coverage: Points::of(&c.coverage),
            tarp: Points::of(&c.tarp),
            crps: c.crps,
            energy_score: c.energy_score,
            spread: c.spread,
            skill: c.skill,
            spread_skill: c.spread_skill.clone(),
            observations: c.signals,
            draws: c.draws,
        }
    }
}

/// Formats the scores as a table, with coverage at 50 and 90 %.
pub fn table(tested: &[Tested]) -> String {
    let heads = ["50 % int.", "90 % int.", "50 % ball", "90 % ball", "rank p", "CRPS", "energy", "spread", "skill"];
    let heads = heads.map(|head| format!(" {head:>9}")).concat();
    let mut out = format!("{:20}{heads} {:>10} {:>7} {:>5}\n", "set of signals", "calibrated", "signals", "draws");
    let at = |points: &Points, level: f64| {
        points.levels.iter().position(|l| (l - level).abs() < 1e-9).map_or(f64::NAN, |i| points.values[i])
    };
    for r in tested.iter().map(Scores::of) {
        let cells = [
            at(&r.coverage, 0.5),
            at(&r.coverage, 0.9),
            at(&r.tarp, 0.5),
            at(&r.tarp, 0.9),
            r.ranks_p,
            r.crps,
            r.energy_score,
            r.spread,
            r.skill,
        ];
        let cells = cells.map(|v| format!(" {v:>9.4}")).concat();
        let verdict = if r.calibrated { "yes" } else { "no" };
        out += &format!("{:20}{cells} {verdict:>10} {:>7} {:>5}\n", r.signals, r.observations, r.draws);
    }
    out
}
