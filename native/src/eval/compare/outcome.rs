//! Results of a contender's runs: a score for each lap, and how close the last posteriors are to unseen
//! signals.

use super::contender::Contender;
use crate::estimate::passes::Passes;
use crate::eval::restoration::{Estimate, Judge, Restoration};
use crate::run::clean::CleanUse;
use crate::run::metrics::{self, Line};
use crate::run::session::Session;
use anyhow::{Result, ensure};
use serde::Serialize;

/// Score of a lap, the same for all contenders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// Sinkhorn divergence between the reconstructions and the truth.
    Sinkhorn,
    /// PSNR of the reconstructions, if the signals are images and their truth is known.
    Psnr,
    /// Energy score of the held-out observations, if there is no truth.
    Energy,
}

impl Score {
    /// Chooses the first score that every lap of every run has.
    pub fn of(sessions: impl Iterator<Item = Result<Session>>) -> Result<Self> {
        let (mut divergences, mut images) = (true, true);
        for session in sessions {
            let session = session?;
            divergences &= laps(&session)?.iter().all(|lap| lap.truth.is_some());
            images &= session.image_shape().is_some() && session.dataset.truth.x.is_some();
        }
        Ok(match (divergences, images) {
            (true, _) => Self::Sinkhorn,
            (false, true) => Self::Psnr,
            (false, false) => Self::Energy,
        })
    }

    /// Name of the score, with its unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sinkhorn => "Sinkhorn divergence to the truth",
            Self::Psnr => "PSNR of the reconstructions (missing pixels, if any), dB",
            Self::Energy => "held-out energy score",
        }
    }
}

/// Results of one contender's runs.
#[derive(Serialize)]
pub struct Outcome {
    pub contender: String,
    pub settings: Vec<String>,
    pub seeds: Vec<u64>,
    /// Clean signals that it was trained with; null where there were none.
    pub clean: Option<CleanUse>,
    pub score: &'static str,
    pub laps: Vec<Row>,
    /// Scores of the last lap's posteriors on unseen signals, for their mean and for one draw; empty if they
    /// were not requested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<Unseen>,
}

/// Scores of one lap over the seeds.
#[derive(Serialize)]
pub struct Row {
    pub lap: usize,
    /// Scores, one per seed.
    pub scores: Vec<f64>,
    #[serde(flatten)]
    pub spread: Spread,
    pub floor: Option<f64>,
    /// Time of training and sampling so far, averaged over the seeds.
    pub seconds: f64,
    /// Number of signals passed forward through the network so far; `backward` counts the backward passes.
    pub forward: f64,
    pub backward: f64,
}

/// Mean and standard deviation over the seeds. The variance is divided by n - 1; the deviation is 0 for one
/// seed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    pub mean: f64,
    pub deviation: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        Self { mean, deviation: if values.len() < 2 { 0.0 } else { (square / (n - 1.0)).sqrt() } }
    }
}

/// Scores of one estimate of unseen signals over the seeds; null if a score does not exist.
#[derive(Serialize)]
pub struct Unseen {
    pub estimate: Estimate,
    /// PSNR in dB over all values.
    pub psnr: Option<Spread>,
    /// PSNR in dB over the values that are missing from the observations.
    pub psnr_missing: Option<Spread>,
    pub ssim: Option<Spread>,
    pub chi2: Option<Spread>,
}

impl Outcome {
    /// Collects the laps that the runs of all `seeds` share, and scores unseen signals with `draws` draws
    /// from each posterior.
    pub fn of(
        contender: &Contender,
        seeds: &[u64],
        open: impl Fn(u64) -> Result<Session>,
        score: Score,
        draws: usize,
    ) -> Result<Self> {
        let (mut test, mut clean) = (Vec::new(), None);
        let run = |&seed: &u64| {
            let session = open(seed)?;
            clean = session.clean_use();
            let run = Run::of(&session, score)?;
            let last = run.laps.last().map_or(0, |lap| lap.lap);
            test.extend(unseen(&session, last, draws)?);
            Ok(run)
        };
        let runs = seeds.iter().map(run).collect::<Result<Vec<Run>>>()?;
        let common = runs.iter().map(|run| run.laps.len()).min().unwrap_or(0);
        let laps = (0..common).map(|i| row(&runs, i)).collect();
        Ok(Self {
            contender: contender.name.clone(),
            settings: contender.settings.clone(),
            seeds: seeds.to_vec(),
            clean,
            score: score.name(),
            laps,
            test: Unseen::over_seeds(&test),
        })
    }
}

/// One run: the cost of a lap, and the laps.
struct Run {
    passes: Passes,
    laps: Vec<Lap>,
    /// Score of each lap.
    scores: Vec<f64>,
}

/// One lap of a run.
struct Lap {
    lap: usize,
    truth: Option<(f64, f64)>,
    held_out: Option<f64>,
    seconds: f64,
}

fn laps(session: &Session) -> Result<Vec<Lap>> {
    let lap = |line: &Line| match *line {
        Line::Lap { lap, truth, monitor, seconds, .. } => Some(Lap {
            lap,
            truth: truth.map(|t| (t.sinkhorn, t.sinkhorn_floor)),
            held_out: monitor.map(|m| m.hidden_score.unwrap_or(m.energy_score)),
            seconds,
        }),
        Line::MStep { .. } => None,
    };
    Ok(metrics::read(&session.run.file("metrics.jsonl"))?.iter().filter_map(lap).collect())
}

impl Run {
    fn of(session: &Session, score: Score) -> Result<Self> {
        let laps = laps(session)?;
        let judge = Judge::of_training(session);
        let one = |lap: &Lap| match (score, &judge) {
            (Score::Sinkhorn, _) => Ok(lap.truth.map(|t| t.0)),
            (Score::Energy, _) => Ok(lap.held_out),
            (Score::Psnr, Some(judge)) => judge.psnr(&session.run.reconstructions(lap.lap)?),
            (Score::Psnr, None) => Ok(None),
        };
        let scores: Vec<f64> = laps.iter().map(one).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        ensure!(
            scores.len() == laps.len(),
            "{}: no score to compare: it has no truth and monitor.holdout is 0, so no lap has a score",
            session.run.path().display()
        );
        Ok(Self { passes: Passes::of(session), laps, scores })
    }
}

fn row(runs: &[Run], i: usize) -> Row {
    let average = |of: &dyn Fn(&Run) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
    let scores: Vec<f64> = runs.iter().map(|run| run.scores[i]).collect();
    let floored = runs.iter().all(|run| run.laps[i].truth.is_some());
    let lap = runs[0].laps[i].lap;
    Row {
        lap,
        spread: Spread::of(&scores),
        scores,
        floor: floored.then(|| average(&|run| run.laps[i].truth.map_or(f64::NAN, |t| t.1))),
        seconds: average(&|run| run.laps[i].seconds),
        forward: average(&|run| run.passes.forward as f64 * lap as f64),
        backward: average(&|run| run.passes.backward as f64 * lap as f64),
    }
}

/// Scores the posterior means of lap `last`, over `draws` draws each, and their first draws; `None` without
/// test signals or draws.
fn unseen(session: &Session, last: usize, draws: usize) -> Result<Option<[Restoration; 2]>> {
    let (Some(judge), 1..) = (Judge::new(session), draws) else { return Ok(None) };
    let [mean, draw] = judge.estimates(session, last, draws, &mut || {})?;
    let score = |estimate, x, draws| judge.score(String::new(), estimate, x, draws);
    Ok(Some([score(Estimate::Mean, &mean, draws)?, score(Estimate::Draw, &draw, 1)?]))
}

impl Unseen {
    /// Scores of the mean and of one draw over the seeds; `runs` has one entry per seed.
    fn over_seeds(runs: &[[Restoration; 2]]) -> Vec<Self> {
        let of = |k: usize| {
            let spread = |value: fn(&Restoration) -> Option<f64>| {
                runs.iter().map(|run| value(&run[k])).collect::<Option<Vec<f64>>>().map(|values| Spread::of(&values))
            };
            Self {
                estimate: runs[0][k].estimate,
                psnr: spread(|row| row.psnr),
                psnr_missing: spread(|row| row.psnr_missing),
                ssim: spread(|row| row.ssim),
                chi2: spread(|row| row.chi2),
            }
        };
        if runs.is_empty() { Vec::new() } else { vec![of(0), of(1)] }
    }
}
