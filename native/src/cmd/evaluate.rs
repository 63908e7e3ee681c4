//! `diffem evaluate`: scores against the truth at full size.

use crate::args::Evaluate;
use crate::data::observations::load_signals;
use crate::data::tensors::TensorFile;
use crate::files;
use crate::session::{Session, chosen_lap};
use crate::truth::TruthScorer;
use anyhow::{Result, bail};
use diffem::Samples;
use diffem::channel::Channel;
use diffem::metric::{energy_distance, sliced_wasserstein};
use diffem::noise::{Key, Purpose};
use serde::Serialize;

/// Projections of the sliced Wasserstein distance.
const DIRECTIONS: usize = 256;
/// Width of the presets' signal range [-2, 2], the peak of the PSNR.
const PEAK: f64 = 4.0;

/// Distances of one sample to the truth.
#[derive(Serialize)]
struct Distances {
    sample: String,
    sinkhorn_divergence: f64,
    sliced_wasserstein: f64,
    energy_distance: f64,
    points: usize,
}

/// Posterior means against the truth on test observations.
#[derive(Serialize)]
struct Means {
    posterior: String,
    psnr: f64,
    psnr_missing: Option<f64>,
    observations: usize,
    draws: usize,
}

#[derive(Serialize, Default)]
struct Report {
    distances: Vec<Distances>,
    test: Vec<Means>,
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
        report.test = means(args, &session)?;
    }
    if report.distances.is_empty() && report.test.is_empty() {
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
        out += &format!(
            "{:22} {:>10} {:>18} {:>12}\n",
            "posterior mean of", "PSNR (dB)", "PSNR missing (dB)", "observations"
        );
    }
    for m in &report.test {
        let missing = m.psnr_missing.map_or("-".to_string(), |v| format!("{v:.2}"));
        out += &format!("{:22} {:>10.2} {missing:>18} {:>12}\n", m.posterior, m.psnr, m.observations);
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
        out.push(score(label, scorer.score(&x)?.sinkhorn, &x.slice(0..n))?);
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

/// PSNR of posterior means on the test observations: the Gaussian start's exact ones and the trained posterior's.
fn means(args: &Evaluate, session: &Session) -> Result<Vec<Means>> {
    let Some((x, seen)) = &session.problem.truth.test else {
        return Ok(Vec::new());
    };
    let masked = masked(session, x, seen);
    let score = |posterior: String, mean: &Samples, draws: usize| Means {
        posterior,
        psnr: psnr(x, mean, |_| true),
        psnr_missing: masked.as_ref().map(|masked| psnr(x, mean, |i| masked[i])),
        observations: x.n(),
        draws,
    };
    let mut out = Vec::new();
    if let Some(prior) = session.start_prior()? {
        out.push(score("Gaussian start (exact)".into(), &prior.means(&session.channel, seen)?, 0));
    }
    let chosen = laps(args, session)?.into_iter().filter(|(lap, _)| *lap > 0);
    for (lap, label) in chosen {
        let (_, posterior) = session.posterior(Some(lap))?;
        let mut sum = vec![0.0f64; x.n() * x.d()];
        for draw in 0..args.draws {
            let key = Key::new(session.config.seed, Purpose::Draw, draw);
            let drawn = session.e_step(&posterior, seen, key).all(session.config.e_step.shard)?;
            sum.iter_mut().zip(drawn.as_slice()).for_each(|(s, v)| *s += *v as f64);
        }
        let mean = sum.iter().map(|s| (s / args.draws as f64) as f32).collect();
        out.push(score(label, &Samples::new(mean, x.d()), args.draws));
    }
    Ok(out)
}

/// Which values of x are missing from the observations; `None` where the channel masks nothing.
fn masked(session: &Session, x: &Samples, seen: &diffem::Observations) -> Option<Vec<bool>> {
    use diffem::channel::StageConfig;
    let masks = session.config.channel.0.iter().any(|stage| matches!(stage, StageConfig::Mask { .. }));
    if !masks || session.channel.operator_len() != x.d() {
        return None;
    }
    seen.a.as_ref().map(|a| a.as_slice().iter().map(|&a| a == 0.0).collect())
}

/// 10 log10(peak² / mean squared error) over the values where `keep(index)`.
fn psnr(x: &Samples, mean: &Samples, keep: impl Fn(usize) -> bool) -> f64 {
    let pairs = x.as_slice().iter().zip(mean.as_slice()).enumerate().filter(|(i, _)| keep(*i));
    let (sum, count) = pairs.fold((0.0, 0usize), |(s, n), (_, (a, b))| (s + (*a as f64 - *b as f64).powi(2), n + 1));
    10.0 * (PEAK * PEAK / (sum / count.max(1) as f64)).log10()
}
