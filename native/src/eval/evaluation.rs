//! `diffem evaluate`: scores against the truth on full-size samples.

use crate::args::{Evaluate, LapChoice};
use crate::data::layout::{Fit, Rows};
use crate::data::observations::load_signals;
use crate::data::tensor_file::TensorFile;
use crate::eval::baselines;
use crate::eval::channel_override::see_through;
use crate::eval::features;
use crate::eval::features::network::Network;
use crate::eval::features::scores::{FeatureScorer, FeatureScores, half};
use crate::eval::features::st_lpips::{self, StLpips};
use crate::eval::features::weights::directory;
use crate::eval::reference::{Reference, note_on_features, notes_on_distances, test_on_own};
use crate::eval::report::{Distances, Report};
use crate::eval::restoration::{Estimate, Judge, Restoration};
use crate::ranks::world;
use crate::report::progress::{Progress, ProgressMode};
use crate::run::laps::chosen_lap;
use crate::run::session::Session;
use anyhow::{Result, bail};
use diffem::channel::Channel;
use diffem::em::InitialPrior;
use diffem::metric::{TruthScorer, energy_distance, sliced_wasserstein};
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Samples};
use std::borrow::Cow;

/// Number of projections in the sliced Wasserstein distance.
const DIRECTIONS: usize = 256;

/// Signals to score.
struct Scored {
    label: String,
    /// Lap of the reconstructions; `None` for signals from a file.
    lap: Option<usize>,
    /// Signals from a file; the reconstructions of a lap are read when they are scored, one lap at a time.
    file: Option<Samples>,
}

impl Scored {
    /// Number of signals.
    fn n(&self, session: &Session) -> usize {
        self.file.as_ref().map_or(session.dataset.observations.n(), Samples::n)
    }

    fn read(&self, session: &Session) -> Result<Cow<'_, Samples>> {
        match (&self.file, self.lap) {
            (Some(x), _) => Ok(Cow::Borrowed(x)),
            (None, lap) => Ok(Cow::Owned(session.run.reconstructions(lap.unwrap_or(0))?)),
        }
    }
}

/// Scores the run of `session` as `args` specify. If `args` name a channel, it replaces that of `session`. Draws are dealt to
/// all ranks; rank 0 scores them and has the report, and the others have an empty one.
///
/// # Errors
/// Fails if weights are missing (before any work), if there is nothing to compare with, or if a lap is not
/// finished.
pub fn evaluate(args: &Evaluate, session: &mut Session) -> Result<Report> {
    let world = world();
    // Loaded first, so that a missing file fails early.
    let networks = world.by_first(|| networks(args, session))?.unwrap_or_default();
    let reference = world.by_first(|| Reference::of(args, session))?.flatten();
    test_on_own(session);
    let mut progress = Progress::new(if world.leads() { args.progress } else { ProgressMode::Quiet });
    if let Some(channel) = &args.channel {
        return through_another(args, session, channel, &mut progress);
    }
    let judged = session.dataset.truth.test.is_some() && args.samples.is_none();
    let start = world.by_first(|| if judged { session.start_prior() } else { Ok(None) })?.flatten();
    let mut report = world
        .by_first(|| match judged || !with_st_lpips(args) {
            true => compared(args, session, reference, &mut progress),
            false => {
                bail!("--features st-lpips scores estimates of test observations, which need a truth and no --samples")
            }
        })?
        .unwrap_or_default();
    if judged {
        report.test = restoration(args, session, start, &mut progress)?;
    }
    world.by_first(|| {
        if !networks.is_empty() {
            [report.features, report.proximal] = features(args, session, &networks, &mut progress)?;
            report.notes.extend(note_on_features(&[&report.features[..], &report.proximal].concat()));
        }
        if report.is_empty() {
            bail!("{} has no truth to compare with: pass --truth FILE with clean signals x [n, d]", args.run.display());
        }
        Ok(())
    })?;
    Ok(report)
}

/// The report of distances to the truth, where there is one.
fn compared(
    args: &Evaluate,
    session: &Session,
    reference: Option<Reference>,
    progress: &mut Progress,
) -> Result<Report> {
    let mut report = Report { clean: session.clean_use(), ..Report::default() };
    if let Some(reference) = reference {
        report.distances = distances(args, session, reference, progress)?;
        report.notes = notes_on_distances(&report.distances);
    }
    Ok(report)
}

/// Scores the posteriors on test signals observed through a channel that differs from that of training.
fn through_another(args: &Evaluate, session: &mut Session, channel: &str, progress: &mut Progress) -> Result<Report> {
    // The start is fitted to the run's own observations, so it is taken before the channel changes.
    let start = world().by_first(|| match session.dataset.truth.test {
        Some(_) => session.start_prior(),
        None => bail!("--channel: {} has no test signals to observe", args.run.display()),
    })?;
    world().agree(see_through(session, channel))?;
    let test = restoration(args, session, start.flatten(), progress)?;
    Ok(Report { test, clean: session.clean_use(), channel: Some(session.config.channel.clone()), ..Report::default() })
}

fn with_st_lpips(args: &Evaluate) -> bool {
    args.features.iter().any(|name| name == st_lpips::NETWORK.name)
}

fn distances(
    args: &Evaluate,
    session: &Session,
    reference: Reference,
    progress: &mut Progress,
) -> Result<Vec<Distances>> {
    let scored = scored(args, session)?;
    let Reference { u, first } = reference;
    let start = |sample: &Scored| if sample.file.is_some() { 0 } else { first };
    let n = args.points.min(u[0].n());
    let n = scored.iter().map(|sample| sample.n(session) - start(sample)).fold(n, usize::min);
    if n < 2 {
        bail!("{}: expected 2 or more signals to compare, found {n}", args.run.display());
    }
    progress.start("distances", scored.len() as u64 + 1, "samples");
    let scorer = TruthScorer::new(&u, n, session.config.report.regularization)?;
    let directions = directions(u[0].d());
    let [u1, _, u3] = u.map(|u| u.slice(0..n));
    let mut score = |sample: String, lap, sinkhorn_divergence: f64, v: &Samples| -> Result<Distances> {
        progress.advance(1, &sample);
        Ok(Distances {
            sample,
            lap,
            sinkhorn_divergence,
            sliced_wasserstein: sliced_wasserstein(&u1, v, &directions)?,
            energy_distance: energy_distance(&u1, v)?,
            points: n,
        })
    };
    let mut out = vec![score("truth (floor)".into(), None, scorer.floor(), &u3)?];
    for sample in scored {
        let start = start(&sample);
        let x = sample.read(session)?.slice(start..start + n);
        out.push(score(sample.label.clone(), sample.lap, scorer.score(&x)?, &x)?);
    }
    progress.finish();
    Ok(out)
}

/// Number of rows in the smallest sample.
fn rows(scored: &[Scored], session: &Session) -> usize {
    scored.iter().map(|sample| sample.n(session)).min().unwrap_or(0)
}

/// Returns the samples to score.
fn scored(args: &Evaluate, session: &Session) -> Result<Vec<Scored>> {
    if let Some(path) = &args.samples {
        let d = session.config.signal_len();
        let x = TensorFile::open(path, "x")?.require("x")?;
        let image = session.image_shape().map(Rows::image);
        let is_image = |row: &[usize]| image.as_ref().is_some_and(|image| image.fit(row) == Some(Fit::Flat));
        let fits = x.shape.last() == Some(&d) || (1..3).any(|axis| x.shape.get(axis..).is_some_and(is_image));
        if !fits || x.values.is_empty() {
            bail!("{}: `x` has shape {:?}; expected [n, {d}] or [n, draws, {d}]", path.display(), x.shape);
        }
        let file = Some(Samples::new(x.values, d));
        return Ok(vec![Scored { label: path.display().to_string(), lap: None, file }]);
    }
    let of_lap = |(lap, label)| Scored { label, lap: Some(lap), file: None };
    Ok(laps(args, session)?.into_iter().map(of_lap).collect())
}

/// Returns the laps to score, with their labels.
fn laps(args: &Evaluate, session: &Session) -> Result<Vec<(usize, String)>> {
    let finished = session.run.laps()?;
    let Some(&last) = finished.last() else { bail!("{} has no finished lap yet", args.run.display()) };
    let best = chosen_lap(&session.run, &finished, last)?;
    let chosen = if args.laps.is_empty() { vec![0, best, last] } else { choice(&args.laps, &finished) };
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

/// Resolves the requested laps.
fn choice(asked: &[LapChoice], finished: &[usize]) -> Vec<usize> {
    let laps = |choice: &LapChoice| match choice {
        LapChoice::All => finished.to_vec(),
        LapChoice::Lap(lap) => vec![*lap],
    };
    asked.iter().flat_map(laps).collect()
}

/// Returns fixed random unit vectors of length `d`, one per row.
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

/// Loads the requested networks that compute features of single images.
fn networks(args: &Evaluate, session: &Session) -> Result<Vec<Box<dyn Network>>> {
    let chosen = features::describing(&args.features);
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    if session.image_shape().is_none() {
        bail!("--features: the signals of {} are not images", args.run.display());
    }
    let dir = directory(args.weights.as_deref())?;
    chosen.into_iter().map(|load| load(&dir, &session.device)).collect()
}

/// Scores images in the features of the networks: clean images against the truth, and re-corrupted images
/// against the observations.
fn features(
    args: &Evaluate,
    session: &Session,
    networks: &[Box<dyn Network>],
    progress: &mut Progress,
) -> Result<[Vec<FeatureScores>; 2]> {
    let Some(shape) = session.image_shape() else { return Ok(Default::default()) };
    let scored = scored(args, session)?;
    let truth = match &args.truth {
        Some(path) => Some(load_signals(path, "x", &Rows::image(shape))?),
        None => session.dataset.truth.x.clone(),
    };
    let mut against = |reference: &Samples, floor: &str, view: &dyn Fn(usize, &Samples) -> Samples| {
        let n = args.points.min(reference.n() / 2).min(rows(&scored, session));
        progress.start("features", scored.len() as u64, "samples");
        let scorer = FeatureScorer::new(networks, shape, &half(reference, 0, n))?;
        let mut out = scorer.score(floor, None, &half(reference, 1, n))?;
        for sample in &scored {
            let x = half(&view(sample.lap.unwrap_or(0), &*sample.read(session)?), 1, n);
            out.extend(scorer.score(&sample.label, sample.lap, &x)?);
            progress.advance(1, &sample.label);
        }
        Ok::<_, anyhow::Error>(out)
    };
    let as_it_is = |_, x: &Samples| x.clone();
    let images = truth.map_or(Ok(Vec::new()), |truth| against(&truth, "truth (floor)", &as_it_is))?;
    if session.channel.observation_len() != shape.len() {
        return Ok([images, Vec::new()]);
    }
    let again = |lap, x: &Samples| {
        let key = Key::new(session.config.seed, Purpose::Monitor, lap);
        Observations::simulate(&session.channel, x, key, 0).y
    };
    Ok([images, against(&session.dataset.observations.y, "observations (floor)", &again)?])
}

/// Scores estimates of the test signals against the truth: those that need no network, and the trained posteriors.
fn restoration(
    args: &Evaluate,
    session: &Session,
    start: Option<InitialPrior>,
    progress: &mut Progress,
) -> Result<Vec<Restoration>> {
    let (world, Some(mut judge)) = (world(), Judge::new(session)) else { return Ok(Vec::new()) };
    let known = world.by_first(|| {
        if with_st_lpips(args) {
            judge.look_with(|| StLpips::load(&directory(args.weights.as_deref())?, &session.device))?;
        }
        without_network(session, &judge, start)
    })?;
    let mut out = known.unwrap_or_default();
    let chosen: Vec<_> = world.agree(laps(args, session))?.into_iter().filter(|(lap, _)| *lap > 0).collect();
    progress.start("posteriors", (chosen.len() * args.draws) as u64, "draws of each observation");
    for (lap, label) in chosen {
        let estimates = judge.estimates(session, lap, args.draws, &mut || progress.advance(1, &label));
        let [mean, draw] = world.agree(estimates)?;
        let scores = world.by_first(|| {
            let mean = judge.score(label.clone(), Estimate::Mean, &mean, args.draws)?.of_lap(lap);
            Ok([mean, judge.score(label.clone(), Estimate::Draw, &draw, 1)?.of_lap(lap)])
        })?;
        out.extend(scores.into_iter().flatten());
    }
    progress.finish();
    Ok(out)
}

/// Scores floors, classical baselines, and the exact posterior of the Gaussian start.
fn without_network(session: &Session, judge: &Judge<'_>, start: Option<InitialPrior>) -> Result<Vec<Restoration>> {
    let mut out = judge.floors()?;
    out.extend(baselines::deconvolutions(session, judge)?);
    if let Some(prior) = start {
        let mean = prior.means(&session.channel, judge.seen())?;
        let draw = prior.reconstruct(&session.channel, judge.seen(), session.config.seed)?;
        out.push(judge.score("Gaussian start (exact)".into(), Estimate::Mean, &mean, 0)?.of_lap(0));
        out.push(judge.score("Gaussian start (exact)".into(), Estimate::Draw, &draw, 1)?.of_lap(0));
    }
    Ok(out)
}
