//! `diffem evaluate`: scores against the truth at full size.

use crate::args::Evaluate;
use crate::data::observations::load_signals;
use crate::data::tensors::TensorFile;
use crate::features::efficientnet_lite0::EfficientNetLite0;
use crate::features::scores::{self, FeatureScorer, FeatureScores, half};
use crate::features::weights::directory;
use crate::fidelity::{self, Estimate, Fidelity, Judge};
use crate::files;
use crate::session::{Session, chosen_lap};
use anyhow::{Result, bail};
use diffem::channel::Channel;
use diffem::metric::{TruthScorer, energy_distance, sliced_wasserstein};
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Samples};
use serde::Serialize;

/// Projections of the sliced Wasserstein distance.
const DIRECTIONS: usize = 256;

/// Distances of one sample to the truth.
#[derive(Serialize)]
struct Distances {
    sample: String,
    sinkhorn_divergence: f64,
    sliced_wasserstein: f64,
    energy_distance: f64,
    points: usize,
}

#[derive(Serialize, Default)]
struct Report {
    distances: Vec<Distances>,
    test: Vec<Fidelity>,
    /// Images against the truth's, no image twice.
    features: Vec<FeatureScores>,
    /// Reconstructions corrupted afresh against the observations, both shown as images: needs no truth.
    proximal: Vec<FeatureScores>,
}

/// Runs the command.
pub fn run(args: &Evaluate) -> Result<()> {
    super::use_threads(&args.compute)?;
    if args.points < 2 {
        bail!("--points {}: expected 2 or more", args.points);
    }
    if args.draws == 0 {
        bail!("--draws 0: expected 1 or more");
    }
    let session = Session::open(&args.run, &[], &args.compute.device)?;
    let mut report = Report::default();
    if let Some(u) = truth(args, &session)? {
        report.distances = distances(args, &session, u)?;
    }
    if session.problem.truth.test.is_some() && args.samples.is_none() {
        report.test = fidelity(args, &session)?;
    }
    if args.features.is_some() {
        [report.features, report.proximal] = features(args, &session)?;
    }
    let lines = [report.distances.len(), report.test.len(), report.features.len(), report.proximal.len()];
    if lines == [0; 4] {
        bail!("{} has no truth to compare with: pass --truth FILE with clean signals x [n, d]", args.run.display());
    }
    files::write_atomic(
        &session.run.file("evaluation.json"),
        (serde_json::to_string_pretty(&report)? + "\n").as_bytes(),
    )?;
    super::print(&table(&report))
}

/// The report for reading.
fn table(report: &Report) -> String {
    let mut out = String::new();
    if !report.distances.is_empty() {
        out += &format!(
            "{:22} {:>19} {:>18} {:>15} {:>7}\n",
            "sample", "Sinkhorn divergence", "sliced Wasserstein", "energy distance", "points"
        );
    }
    for d in &report.distances {
        let (s, w, e) = (d.sinkhorn_divergence, d.sliced_wasserstein, d.energy_distance);
        out += &format!("{:22} {s:>19.4e} {w:>18.4e} {e:>15.4e} {:>7}\n", d.sample, d.points);
    }
    if !report.test.is_empty() {
        out += &fidelity::table(&report.test);
    }
    for (what, rows) in [("images", &report.features), ("corrupted again", &report.proximal)] {
        if !rows.is_empty() {
            out += &scores::table(what, rows);
        }
    }
    out
}

/// Three disjoint samples of the signal's law.
fn truth(args: &Evaluate, session: &Session) -> Result<Option<[Samples; 3]>> {
    let Some(path) = &args.truth else {
        return Ok(session.problem.truth.u.clone());
    };
    let x = load_signals(path, "x", Some(session.config.signal_len()))?;
    let third = x.n() / 3;
    if third < 2 {
        bail!("{}: expected 6 or more signals, found {}", path.display(), x.n());
    }
    Ok(Some([0, 1, 2].map(|i| x.slice(i * third..(i + 1) * third))))
}

fn distances(args: &Evaluate, session: &Session, u: [Samples; 3]) -> Result<Vec<Distances>> {
    let scored = scored(args, session)?;
    let n = args.points.min(u[0].n()).min(scored.iter().map(|(_, x)| x.n()).min().unwrap_or(0));
    let scorer = TruthScorer::new(&u, n, session.config.report.regularisation)?;
    let directions = directions(u[0].d());
    let [u1, _, u3] = u.map(|u| u.slice(0..n));
    let score = |sample: String, sinkhorn_divergence: f64, v: &Samples| -> Result<Distances> {
        Ok(Distances {
            sample,
            sinkhorn_divergence,
            sliced_wasserstein: sliced_wasserstein(&u1, v, &directions)?,
            energy_distance: energy_distance(&u1, v)?,
            points: n,
        })
    };
    let mut out = vec![score("truth (floor)".into(), scorer.floor(), &u3)?];
    for (label, x) in scored {
        out.push(score(label, scorer.score(&x)?, &x.slice(0..n))?);
    }
    Ok(out)
}

/// The samples to score, with their labels.
fn scored(args: &Evaluate, session: &Session) -> Result<Vec<(String, Samples)>> {
    if let Some(path) = &args.samples {
        let d = session.config.signal_len();
        let x = TensorFile::open(path, "x")?.require("x")?;
        if x.shape.last() != Some(&d) || x.values.is_empty() {
            bail!("{}: `x` has shape {:?}; expected [n, {d}] or [n, draws, {d}]", path.display(), x.shape);
        }
        return Ok(vec![(path.display().to_string(), Samples::new(x.values, d))]);
    }
    let row = |(lap, label)| Ok((label, session.run.reconstructions(lap)?));
    laps(args, session)?.into_iter().map(row).collect()
}

/// The laps to score, with their labels.
fn laps(args: &Evaluate, session: &Session) -> Result<Vec<(usize, String)>> {
    let finished = session.run.laps()?;
    let Some(&last) = finished.last() else { bail!("{} has no finished lap yet", args.run.display()) };
    let best = chosen_lap(&session.run, &finished, last)?;
    let chosen = if args.laps.is_empty() { vec![0, best, last] } else { args.laps.clone() };
    let mut out: Vec<(usize, String)> = Vec::new();
    for lap in chosen {
        if !finished.contains(&lap) {
            bail!("--laps: lap {lap} is not finished; {} has laps 0 to {last}", args.run.display());
        }
        let label = match lap {
            0 => "lap 0 (start)".to_string(),
            lap if lap == best => format!("lap {lap} (chosen)"),
            lap => format!("lap {lap}"),
        };
        if out.iter().all(|(l, _)| *l != lap) {
            out.push((lap, label));
        }
    }
    Ok(out)
}

/// Fixed random unit vectors.
fn directions(d: usize) -> Samples {
    let mut rows = Samples::zeros(DIRECTIONS, d);
    for i in 0..DIRECTIONS {
        let row = rows.row_mut(i);
        Key::new(0, Purpose::Directions, 0).stream(i, 0).fill_normal(row);
        let norm = row.iter().map(|&v| v as f64 * v as f64).sum::<f64>().sqrt();
        row.iter_mut().for_each(|v| *v = (*v as f64 / norm) as f32);
    }
    rows
}

/// Scores of images in a network's features: against the truth, and of corrupted images against the observations.
fn features(args: &Evaluate, session: &Session) -> Result<[Vec<FeatureScores>; 2]> {
    let Some(shape) = session.image_shape() else {
        bail!("--features: the signals of {} are no images", args.run.display());
    };
    let network = EfficientNetLite0::load(&directory(args.weights.as_deref())?, &session.device)?;
    let scored = scored(args, session)?;
    let truth = match &args.truth {
        Some(path) => Some(load_signals(path, "x", Some(shape.len()))?),
        None => session.problem.truth.x.clone(),
    };
    let against = |reference: &Samples, floor: &str, scored: &[(String, Samples)]| {
        let least = scored.iter().map(|(_, x)| x.n()).min().unwrap_or(0);
        let n = args.points.min(reference.n() / 2).min(least);
        let scorer = FeatureScorer::new(&network, shape, &half(reference, 0, n))?;
        let mut out = vec![scorer.score(floor.into(), &half(reference, 1, n))?];
        for (label, x) in scored {
            out.push(scorer.score(label.clone(), &half(x, 1, n))?);
        }
        Ok::<_, anyhow::Error>(out)
    };
    let images = truth.map_or(Ok(Vec::new()), |truth| against(&truth, "truth (floor)", &scored))?;
    if session.channel.observation_len() != shape.len() {
        return Ok([images, Vec::new()]);
    }
    let again = |(i, (label, x)): (usize, (String, Samples))| {
        let key = Key::new(session.config.seed, Purpose::Monitor, i);
        (label, Observations::simulate(&session.channel, &x, key, 0).y)
    };
    let corrupted: Vec<(String, Samples)> = scored.into_iter().enumerate().map(again).collect();
    Ok([images, against(&session.problem.observations.y, "observations (floor)", &corrupted)?])
}

/// Estimates of the test signals against the truth: floors, the Gaussian start's exact posterior, the trained posteriors.
fn fidelity(args: &Evaluate, session: &Session) -> Result<Vec<Fidelity>> {
    let Some(judge) = Judge::new(session) else { return Ok(Vec::new()) };
    let mut out = judge.floors()?;
    if let Some(prior) = session.start_prior()? {
        let mean = prior.means(&session.channel, judge.seen())?;
        let draw = prior.reconstruct(&session.channel, judge.seen(), session.config.seed)?;
        out.push(judge.score("Gaussian start (exact)".into(), Estimate::Mean, &mean, 0)?);
        out.push(judge.score("Gaussian start (exact)".into(), Estimate::Draw, &draw, 1)?);
    }
    let chosen = laps(args, session)?.into_iter().filter(|(lap, _)| *lap > 0);
    for (lap, label) in chosen {
        let [mean, draw] = drawn(args, session, &judge, lap)?;
        out.push(judge.score(label.clone(), Estimate::Mean, &mean, args.draws)?);
        out.push(judge.score(label, Estimate::Draw, &draw, 1)?);
    }
    Ok(out)
}

/// Means of `args.draws` draws from the posteriors of lap `lap`, and the first of the draws.
fn drawn(args: &Evaluate, session: &Session, judge: &Judge<'_>, lap: usize) -> Result<[Samples; 2]> {
    let (_, posterior) = session.posterior(Some(lap))?;
    let mut sum = vec![0.0f64; judge.x().as_slice().len()];
    let draw = |draw: usize| {
        let key = Key::new(session.config.seed, Purpose::Draw, draw);
        session.e_step(&posterior, judge.seen(), key).all(session.config.e_step.shard)
    };
    let mut add = |x: &Samples| sum.iter_mut().zip(x.as_slice()).for_each(|(s, v)| *s += f64::from(*v));
    let first = draw(0)?;
    add(&first);
    for i in 1..args.draws {
        add(&draw(i)?);
    }
    let mean = sum.iter().map(|s| (s / args.draws as f64) as f32).collect();
    Ok([Samples::new(mean, judge.x().d()), first])
}
