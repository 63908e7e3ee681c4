//! `diffem calibrate`: are the posteriors as wide as their errors?

use crate::args::Calibrate;
use crate::figures::calibration::calibration;
use crate::figures::save::save;
use crate::files;
use crate::run::session::Session;
use anyhow::{Result, bail};
use diffem::metric::{Calibration, Curve};
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Samples};
use serde::Serialize;

/// Where the signals come from.
const TRUTH: &str = "clean test signals";
const OWN: &str = "own reconstructions";

/// Scores of one set of signals as they are written down.
#[derive(Serialize)]
struct Scores {
    signals: String,
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

/// Runs the command.
pub fn run(args: &Calibrate) -> Result<()> {
    super::use_threads(&args.compute)?;
    for (name, value) in [("--draws", args.draws), ("--signals", args.signals)] {
        if value < 2 {
            bail!("{name} {value}: expected 2 or more");
        }
    }
    let session = Session::open(&args.run, &args.settings.set, &args.compute.device)?;
    let (lap, posterior) = session.posterior(args.lap)?;
    let mut found: Vec<(String, Calibration)> = Vec::new();
    for (name, x, seen) in sets(&session, lap, args)? {
        let draws = posterior.sample_seeded(&seen, args.draws, args.seed)?;
        found.push((name.to_string(), Calibration::of(&x, &draws, args.seed)?));
    }
    let scores: Vec<Scores> = found.iter().map(|(name, c)| Scores::of(name, lap, c)).collect();
    let text = serde_json::to_string_pretty(&scores)? + "\n";
    files::write_atomic(&session.run.file("calibration.json"), text.as_bytes())?;
    let dir = session.run.file("figures");
    files::ensure_writable_dir(&dir)?;
    let sets: Vec<(String, &Calibration)> = found.iter().map(|(name, c)| (name.clone(), c)).collect();
    save(&calibration(&sets)?, &dir, "calibration")?;
    super::print(&table(&scores))
}

/// Signals and their observations: the clean test set where there is one, and always the lap's reconstructions, corrupted
/// afresh. The second needs no clean data; it asks whether the posterior fits the prior that it was trained on.
fn sets(session: &Session, lap: usize, args: &Calibrate) -> Result<Vec<(&'static str, Samples, Observations)>> {
    let mut sets = Vec::new();
    if let Some((x, seen)) = &session.dataset.truth.test {
        let rows: Vec<usize> = (0..x.n().min(args.signals)).collect();
        sets.push((TRUTH, x.select(&rows), seen.select(&rows)));
    }
    let x = session.run.reconstructions(lap)?;
    let mut order = Key::new(args.seed, Purpose::Calibrate, 2).stream(0, 0).permutation(x.n());
    order.truncate(args.signals);
    let x = x.select(&order);
    let seen = Observations::simulate(&session.channel, &x, Key::new(args.seed, Purpose::Calibrate, 3), 0);
    sets.push((OWN, x, seen));
    match sets.iter().find(|(_, x, _)| x.n() < 2) {
        Some((name, ..)) => bail!("{name}: fewer than two, nothing to calibrate with"),
        None => Ok(sets),
    }
}

impl Scores {
    fn of(name: &str, lap: usize, c: &Calibration) -> Self {
        Self {
            signals: name.to_string(),
            lap,
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

/// The scores for reading: coverage at 50 and 90 %.
fn table(rows: &[Scores]) -> String {
    let heads = ["50 % int.", "90 % int.", "50 % ball", "90 % ball", "rank p", "CRPS", "energy", "spread", "skill"];
    let heads = heads.map(|head| format!(" {head:>9}")).concat();
    let mut out = format!("{:20}{heads} {:>10} {:>7} {:>5}\n", "signals", "calibrated", "signals", "draws");
    let at = |points: &Points, level: f64| {
        points.levels.iter().position(|l| (l - level).abs() < 1e-9).map_or(f64::NAN, |i| points.values[i])
    };
    for r in rows {
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
