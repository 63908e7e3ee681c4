//! Judges a lap without clean data: if X^k were distributed as the signals are, its re-corruptions Q(X^k)
//! would be distributed as the observations are. They are compared with observations that were never trained
//! on.
//!
//! Laps are chosen by a proper scoring rule for each held-out observation under its own operator: for channels
//! of masks by hidden values ([`super::hidden`]), for short observations by their likelihood
//! ([`super::likelihood`]), otherwise by the energy score (Gneiting & Raftery 2007):
//!
//! ```text
//! ES = mean over i of  E|y' - y_i| - ½ E|y' - y''|,   y', y'' ~ Q(. | x, a_i), x ~ X^k
//! ```
//!
//! Its expectation is smallest for the true distribution. The two-sample distances of joint rows (y, a) are
//! reported as well; they are insensitive to fine structure in the signals when all operators differ. The same
//! y_i and a_i serve every lap, so that differences between laps are far more certain than the score itself.
//! According to the theory the likelihood of the observations increases with every lap, so the chosen lap is the
//! last one that is not worse than the best mean by more than two standard errors. This holds for plain EM only:
//! where E-steps were over-relaxed, the lap with the best mean is chosen.

use super::config::MonitorConfig;
use super::hidden::{HiddenValues, Sample};
use super::likelihood::Likelihood;
use crate::channel::Channel;
use crate::error::Result;
use crate::metric::{Sinkhorn, energy_distance};
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::parallel;
use crate::samples::Samples;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Number of simulated observations per held-out observation.
const SIMULATIONS: usize = 512;

/// Held-out scores of one lap; smaller is better. The floors are the scores of real observations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MonitorRecord {
    /// Mean energy score of the held-out observations under their own operators.
    pub energy_score: f64,
    /// Mean energy score of the posterior for hidden values of the held-out observations, in laps of channels of
    /// masks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_score: Option<f64>,
    /// Mean log-likelihood of the held-out observations, in nats, where they are short and there are no hidden
    /// values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_likelihood: Option<f64>,
    /// How much worse the score (of hidden values or the likelihood, where there is one) is than the best mean of
    /// the earlier laps, in standard errors of the paired difference; negative where it is better, and 0 for the
    /// start and the first lap. Laps are chosen by this value. The start is not a reference, because it is fitted to all observations, including the
    /// held-out ones.
    pub excess: f64,
    /// Energy distance between re-corrupted reconstructions and held-out observations (unbiased: near 0, with
    /// either sign, when the distributions agree).
    pub energy: f64,
    /// The same between training and held-out observations.
    pub energy_floor: f64,
    /// Sinkhorn divergence OT(u1, v) - OT(u1, u2), where v are the re-corrupted reconstructions, and u1 and
    /// u2 are held-out observations.
    pub sinkhorn: f64,
    /// The same where v are training observations.
    pub sinkhorn_floor: f64,
    /// Number of points on each side of the distances.
    pub points: usize,
}

impl fmt::Display for MonitorRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.hidden_score, self.log_likelihood) {
            (Some(score), _) => write!(f, "energy score of hidden values {score:.5}"),
            (None, Some(l)) => write!(f, "held-out log-likelihood {l:.5}"),
            (None, None) => write!(f, "held-out energy score {:.5}", self.energy_score),
        }
    }
}

/// What the reconstructions of every lap are compared with; it is the same for all laps.
pub(super) struct Monitor {
    channel: Arc<dyn Channel>,
    seed: u64,
    held_out: Observations,
    hidden: Option<HiddenValues>,
    likelihood: Option<Likelihood>,
    sinkhorn: Sinkhorn,
    /// Held-out joint rows, `[points, m + k]`.
    u1: Samples,
    /// OT(u1, u2), where u2 are the held-out rows that follow.
    own_cost: f64,
    energy_floor: f64,
    sinkhorn_floor: f64,
}

impl Monitor {
    /// Prepares the comparison with `held_out`; `train` gives the floors. `None` where the settings or the
    /// number of held-out observations leave fewer than two points per side.
    pub fn new(
        channel: Arc<dyn Channel>,
        held_out: Observations,
        train: &Observations,
        config: &MonitorConfig,
        seed: u64,
    ) -> Result<Option<Self>> {
        let points = config.points.min(held_out.n() / 2).min(train.n());
        if points < 2 {
            return Ok(None);
        }
        let all = held_out.joint();
        let (u1, u2) = (all.slice(0..points), all.slice(points..2 * points));
        let real = train.joint().slice(0..points);
        let sinkhorn = Sinkhorn { reg: config.regularization, ..Default::default() };
        let own_cost = sinkhorn.cost(&u1, &u2)?.cost;
        let energy_floor = energy_distance(&u1, &real)?;
        let sinkhorn_floor = sinkhorn.cost(&u1, &real)?.cost - own_cost;
        let hidden = HiddenValues::new(channel.as_ref(), &held_out, seed)?;
        let likelihood = match hidden {
            Some(_) => None,
            None => Likelihood::new(&held_out, train.n(), seed),
        };
        Ok(Some(Self {
            channel,
            seed,
            held_out,
            hidden,
            likelihood,
            sinkhorn,
            u1,
            own_cost,
            energy_floor,
            sinkhorn_floor,
        }))
    }

    /// Scores the reconstructions `x [n, d]` of the training observations after `lap`, and the posterior that
    /// `sample` draws from; `None` for the start.
    ///
    /// `best` holds the held-out observations' scores of the lap with the best mean; they are replaced by better ones.
    pub fn score(
        &self,
        x: &Samples,
        lap: usize,
        best: &mut Vec<f32>,
        sample: Option<&Sample<'_>>,
    ) -> Result<MonitorRecord> {
        let points = self.u1.n();
        let order = Key::new(self.seed, Purpose::Split, lap + 1).stream(0, 0).permutation(x.n());
        let key = Key::new(self.seed, Purpose::Monitor, lap);
        let v = Observations::simulate(self.channel.as_ref(), &x.select(&order[..points]), key, 0).joint();
        let scores = self.energy_scores(x);
        let hidden = self.hidden.as_ref().zip(sample);
        let hidden = hidden.map(|(hidden, sample)| hidden.scores(self.channel.as_ref(), sample)).transpose()?;
        let likelihood = self.likelihood.as_ref().map(|l| l.scores(self.channel.as_ref(), &self.held_out, x));
        let (energy_score, hidden_score) = (mean(&scores), hidden.as_deref().map(mean));
        let log_likelihood = likelihood.as_deref().map(|scores| -mean(scores));
        let scores = hidden.or(likelihood).unwrap_or(scores);
        let excess = excess(&scores, best);
        if excess <= 0.0 {
            *best = scores;
        }
        Ok(MonitorRecord {
            energy_score,
            hidden_score,
            log_likelihood,
            excess,
            energy: energy_distance(&self.u1, &v)?,
            energy_floor: self.energy_floor,
            sinkhorn: self.sinkhorn.cost(&self.u1, &v)?.cost - self.own_cost,
            sinkhorn_floor: self.sinkhorn_floor,
            points,
        })
    }

    /// Energy score of each held-out observation against simulations through its own operator from the next
    /// rows of `x`. Rows and noise are the same in every lap, so that chance hardly affects the difference
    /// between two laps.
    fn energy_scores(&self, x: &Samples) -> Vec<f32> {
        let (n, m, simulations) = (self.held_out.n(), self.channel.observation_len(), SIMULATIONS.min(x.n()));
        let key = Key::new(self.seed, Purpose::Monitor, 0);
        parallel::map(n, |i| {
            // Step 0 is that of the joint samples.
            let mut stream = key.stream(i, 1);
            let (seen, a) = (self.held_out.y.row(i), self.held_out.operator(i));
            let (mut y, mut previous) = (vec![0.0f32; m], vec![0.0f32; m]);
            let (mut to_seen, mut to_previous) = (0.0, 0.0);
            for j in 0..simulations {
                std::mem::swap(&mut y, &mut previous);
                self.channel.observe(x.row((i * simulations + j) % x.n()), a, &mut stream, &mut y);
                to_seen += distance(&y, seen);
                // Neighboring rows are independent draws.
                to_previous += if j > 0 { distance(&y, &previous) } else { 0.0 };
            }
            let score = to_seen / simulations as f64 - 0.5 * to_previous / (simulations - 1).max(1) as f64;
            score as f32
        })
    }
}

fn mean(scores: &[f32]) -> f64 {
    scores.iter().map(|&s| s as f64).sum::<f64>() / scores.len() as f64
}

/// Mean of `scores - best` in standard errors; 0 without earlier scores.
fn excess(scores: &[f32], best: &[f32]) -> f64 {
    if best.len() != scores.len() {
        return 0.0;
    }
    let differences: Vec<f64> = scores.iter().zip(best).map(|(s, b)| *s as f64 - *b as f64).collect();
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    mean / (variance / n).sqrt().max(f64::MIN_POSITIVE)
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (*a as f64 - *b as f64).powi(2)).sum::<f64>().sqrt()
}
