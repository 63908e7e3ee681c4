//! `diffem compare`: several methods on the same observations, over seeds, in one table and two figures.

use crate::args::Compare;
use crate::budget::Passes;
use crate::config::load;
use crate::files;
use crate::metrics::{self, Line};
use crate::report::canvas::{BLUE, Colour, GREEN, GREY, ORANGE, PURPLE, VERMILLION};
use crate::report::curves::{Best, Curve, Floor, metric_over};
use crate::report::figures::save;
use crate::report::progress::Progress;
use crate::session::Session;
use crate::training::{EXIT_STOPPED, Ended};
use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const COLOURS: [Colour; 6] = [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, GREY];

/// A method: its name and the settings that make it.
#[derive(Debug)]
struct Contender {
    name: String,
    settings: Vec<String>,
}

/// One contender's runs.
#[derive(Serialize)]
struct Outcome {
    contender: String,
    settings: Vec<String>,
    seeds: Vec<u64>,
    score: &'static str,
    laps: Vec<Row>,
}

/// A lap over the seeds.
#[derive(Serialize)]
struct Row {
    lap: usize,
    /// One a seed.
    scores: Vec<f64>,
    mean: f64,
    /// Standard deviation over the seeds, divided by n - 1; 0 for one seed.
    deviation: f64,
    floor: Option<f64>,
    /// Training and sampling so far, mean over the seeds.
    seconds: f64,
    /// Signals that went forward and backward through the network so far.
    forward: f64,
    backward: f64,
}

/// Runs the command.
pub fn run(args: &Compare) -> Result<ExitCode> {
    super::use_threads(&args.compute)?;
    let contenders = args.contenders.iter().map(|text| Contender::parse(text)).collect::<Result<Vec<_>>>()?;
    check(args, &contenders)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("runs/out/compare-{}", plain(&args.config))));
    // All of them before the first is trained: a mistake in the last must not cost the hours of the others.
    for (contender, seed) in all(&contenders, &args.seeds) {
        load(&args.config, &contender.resolved(args, &out, seed)).with_context(|| contender.name.clone())?;
    }
    for (contender, seed) in all(&contenders, &args.seeds) {
        if let Ended::Stopped = train(args, contender, seed, &out)? {
            return Ok(ExitCode::from(EXIT_STOPPED as u8));
        }
    }
    let outcomes = contenders.iter().map(|c| outcome(args, c, &out)).collect::<Result<Vec<_>>>()?;
    report(&outcomes, &out)?;
    Ok(ExitCode::SUCCESS)
}

fn all<'a>(contenders: &'a [Contender], seeds: &'a [u64]) -> impl Iterator<Item = (&'a Contender, u64)> {
    seeds.iter().flat_map(move |seed| contenders.iter().map(move |contender| (contender, *seed)))
}

/// The file's or preset's name as a part of a path.
fn plain(config: &str) -> String {
    Path::new(config).file_stem().map_or_else(|| "run".into(), |stem| stem.to_string_lossy().into_owned())
}

fn check(args: &Compare, contenders: &[Contender]) -> Result<()> {
    ensure!(!args.seeds.is_empty(), "--seeds: expected one or more");
    if contenders.len() > COLOURS.len() {
        bail!("--contender: expected at most {}, found {}", COLOURS.len(), contenders.len());
    }
    for (i, contender) in contenders.iter().enumerate() {
        if contenders[..i].iter().any(|other| other.name == contender.name) {
            bail!("--contender {:?}: the name is taken; give each contender its own", contender.name);
        }
    }
    Ok(())
}

impl Contender {
    /// `NAME KEY=VALUE ...`
    fn parse(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace().map(str::to_string);
        let name = words.next().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
            bail!("--contender {text:?}: expected a name of letters, digits, - and _, then settings KEY=VALUE");
        }
        let settings: Vec<String> = words.collect();
        match settings.iter().find(|setting| !setting.contains('=')) {
            Some(setting) => {
                bail!("--contender {text:?}: expected settings KEY=VALUE after the name, found {setting:?}")
            }
            None => Ok(Self { name, settings }),
        }
    }

    /// Settings of one run; `{out}` and `{seed}` in values are filled in.
    fn resolved(&self, args: &Compare, out: &Path, seed: u64) -> Vec<String> {
        let own = self
            .settings
            .iter()
            .map(|setting| setting.replace("{out}", &out.display().to_string()).replace("{seed}", &seed.to_string()));
        args.settings.set.iter().cloned().chain(own).chain([format!("seed={seed}")]).collect()
    }

    fn dir(&self, out: &Path, seed: u64) -> PathBuf {
        out.join(format!("{}-seed{seed}", self.name))
    }
}

/// Trains, or goes on with, one run.
fn train(args: &Compare, contender: &Contender, seed: u64, out: &Path) -> Result<Ended> {
    let (dir, settings) = (contender.dir(out, seed), contender.resolved(args, out, seed));
    Progress::new(args.progress).message(&format!("{}, seed {seed}", contender.name));
    let session = if dir.exists() {
        let session = Session::open(&dir, &settings, &args.compute.device)?;
        session.run.check_same(&session.config)?;
        session
    } else {
        Session::create(&dir, load(&args.config, &settings)?, &args.compute.device)?
    };
    crate::training::run(&session, args.progress)
}

/// What the runs of `contender` say, lap by lap, for the laps that every seed has.
fn outcome(args: &Compare, contender: &Contender, out: &Path) -> Result<Outcome> {
    let mut runs = Vec::new();
    for &seed in &args.seeds {
        let session = Session::open(&contender.dir(out, seed), &[], &args.compute.device)?;
        let laps = scored(&metrics::read(&session.run.file("metrics.jsonl"))?);
        runs.push((Passes::of(&session), laps));
    }
    let by_truth = runs.iter().all(|(_, laps)| laps.iter().all(|lap| lap.truth.is_some()));
    let score = if by_truth { "Sinkhorn divergence to the truth" } else { "held-out energy score" };
    let common = runs.iter().map(|(_, laps)| laps.len()).min().unwrap_or(0);
    let rows = (0..common).map(|i| row(&runs, i, by_truth)).collect::<Result<Vec<_>>>()?;
    Ok(Outcome {
        contender: contender.name.clone(),
        settings: contender.settings.clone(),
        seeds: args.seeds.clone(),
        score,
        laps: rows,
    })
}

/// One run's lap.
struct Lap {
    lap: usize,
    truth: Option<(f64, f64)>,
    held_out: Option<f64>,
    seconds: f64,
}

fn scored(lines: &[Line]) -> Vec<Lap> {
    let lap = |line: &Line| match *line {
        Line::Lap { lap, truth, monitor, seconds, .. } => Some(Lap {
            lap,
            truth: truth.map(|t| (t.sinkhorn, t.sinkhorn_floor)),
            held_out: monitor.map(|m| m.energy_score),
            seconds,
        }),
        Line::MStep { .. } => None,
    };
    lines.iter().filter_map(lap).collect()
}

/// What a lap of a run costs, and its laps.
type Run = (Passes, Vec<Lap>);

fn row(runs: &[Run], i: usize, by_truth: bool) -> Result<Row> {
    let score = |lap: &Lap| if by_truth { lap.truth.map(|t| t.0) } else { lap.held_out };
    let scores: Vec<f64> = runs.iter().filter_map(|(_, laps)| score(&laps[i])).collect();
    ensure!(
        scores.len() == runs.len(),
        "nothing to compare: the runs have no truth and monitor.holdout is 0, so that no lap has a score"
    );
    let n = scores.len() as f64;
    let average = |of: &dyn Fn(&Run) -> f64| runs.iter().map(of).sum::<f64>() / n;
    let mean = scores.iter().sum::<f64>() / n;
    let square = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>();
    let lap = runs[0].1[i].lap;
    Ok(Row {
        lap,
        deviation: if scores.len() < 2 { 0.0 } else { (square / (n - 1.0)).sqrt() },
        scores,
        mean,
        floor: by_truth.then(|| average(&|(_, laps)| laps[i].truth.map_or(f64::NAN, |t| t.1))),
        seconds: average(&|(_, laps)| laps[i].seconds),
        forward: average(&|(passes, _)| passes.forward as f64 * lap as f64),
        backward: average(&|(passes, _)| passes.backward as f64 * lap as f64),
    })
}

fn report(outcomes: &[Outcome], out: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(outcomes)? + "\n";
    files::write_atomic(&out.join("compare.json"), text.as_bytes())?;
    for (x, name, file) in [
        (&(|row: &Row| row.lap as f64) as &dyn Fn(&Row) -> f64, "lap", "laps"),
        (&|row: &Row| row.seconds, "seconds of training and sampling", "seconds"),
    ] {
        figure(outcomes, x, name, &out.join("figures"), file)?;
    }
    super::print(&table(outcomes))
}

/// Mean over the seeds with a band of one standard deviation, against `x`.
fn figure(outcomes: &[Outcome], x: &dyn Fn(&Row) -> f64, x_name: &str, dir: &Path, file: &str) -> Result<()> {
    files::ensure_writable_dir(dir)?;
    let points: Vec<Vec<(f64, f64)>> =
        outcomes.iter().map(|o| o.laps.iter().map(|row| (x(row), row.mean)).collect()).collect();
    // A band that reaches below the best seed would leave a logarithmic axis.
    let low = |row: &Row| (row.mean - row.deviation).max(row.scores.iter().copied().fold(f64::MAX, f64::min));
    let bands: Vec<Vec<(f64, f64)>> =
        outcomes.iter().map(|o| o.laps.iter().map(|row| (low(row), row.mean + row.deviation)).collect()).collect();
    let floor = |o: &Outcome| o.laps.last().and_then(|row| row.floor);
    let curves: Vec<Curve<'_>> = outcomes
        .iter()
        .enumerate()
        .map(|(i, o)| Curve {
            label: o.contender.clone(),
            colour: COLOURS[i],
            points: &points[i],
            band: if o.seeds.len() > 1 { &bands[i] } else { &[] },
            floor: floor(o).filter(|_| i == 0).map(|value| Floor { value, label: "truth against truth".into() }),
            best: Best::Unmarked,
        })
        .collect();
    save(&metric_over(&curves, x_name, outcomes[0].score)?, dir, file)
}

fn table(outcomes: &[Outcome]) -> String {
    let heads = format!("{:>12} {:>11} {:>10} {:>9} {:>9}", "mean", "deviation", "seconds", "forward", "backward");
    let mut out = format!("{}\n{:20} {:>4} {heads}\n", outcomes[0].score, "contender", "lap");
    for o in outcomes {
        for row in &o.laps {
            out += &format!(
                "{:20} {:>4} {:>12.4e} {:>11.1e} {:>10.1} {:>9.2e} {:>9.2e}\n",
                o.contender, row.lap, row.mean, row.deviation, row.seconds, row.forward, row.backward
            );
        }
    }
    if let Some(floor) = outcomes[0].laps.last().and_then(|row| row.floor) {
        out += &format!("{:20} {:>4} {floor:>12.4e}\n", "truth (floor)", "");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contender_is_a_name_and_settings() {
        let found = Contender::parse("em-mmps conditioning.method=em-mmps em.laps=3").unwrap();
        assert_eq!((found.name.as_str(), found.settings.len()), ("em-mmps", 2));
        for bad in ["", "a/b", "..", "name em.laps"] {
            assert!(Contender::parse(bad).unwrap_err().to_string().contains("--contender"), "{bad}");
        }
    }
}
