//! Judging a lap without clean data: if X^k had the signal's law, its re-corruptions Q(X^k) would have the observations'
//! law. Both are compared against observations that were never trained on.
//!
//! The two-sample distances compare joint rows (y, a). They see little of what a fine structure does to observations whose
//! operators all differ, so laps are chosen by the energy score instead (Gneiting & Raftery 2007), a proper scoring rule
//! for each held-out observation under its own operator:
//!
//!     ES = mean over i of  E|y' - y_i| - ½ E|y' - y''|,   y', y'' ~ Q(. | x, a_i), x ~ X^k
//!
//! Its expectation is least for the true law, and the same y_i and a_i serve every lap, so that differences between laps are
//! far more certain than the value.

use super::config::MonitorConfig;
use crate::channel::Channel;
use crate::error::Result;
use crate::metric::{Sinkhorn, energy_distance};
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::parallel;
use crate::samples::Samples;
use serde::{Deserialize, Serialize};

/// Simulated observations for each held-out one.
const SIMULATIONS: usize = 512;

/// Held-out scores of one lap; smaller is better, the floors are what real observations score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MonitorRecord {
    /// Mean energy score of the held-out observations under their own operators; laps are chosen by it.
    pub energy_score: f64,
    /// Energy distance between re-corrupted reconstructions and held-out observations (unbiased: near 0, either sign, when
    /// the laws agree).
    pub energy: f64,
    /// The same between training and held-out observations.
    pub energy_floor: f64,
    /// Sinkhorn divergence OT(u1, v) - OT(u1, u2), v the re-corrupted reconstructions, u1 and u2 held-out observations.
    pub sinkhorn: f64,
    /// The same with v training observations.
    pub sinkhorn_floor: f64,
    /// Points on each side of the distances.
    pub points: usize,
}

/// What a lap's reconstructions are compared with.
pub(super) struct Monitor<'a> {
    pub channel: &'a dyn Channel,
    pub held_out: &'a Observations,
    pub train: &'a Observations,
    pub config: &'a MonitorConfig,
    pub seed: u64,
}

impl Monitor<'_> {
    /// Scores the reconstructions `x [n, d]` of the training observations after `lap`; `None` where the settings or the
    /// number of held-out observations leave fewer than two points a side.
    pub fn score(&self, x: &Samples, lap: usize) -> Result<Option<MonitorRecord>> {
        let points = self.config.points.min(self.held_out.n() / 2).min(self.train.n());
        if points < 2 {
            return Ok(None);
        }
        let all = self.held_out.joint();
        let (u1, u2) = (all.slice(0..points), all.slice(points..2 * points));
        let real = self.train.joint().slice(0..points);
        let order = Key::new(self.seed, Purpose::Split, lap + 1).stream(0, 0).permutation(x.n());
        let key = Key::new(self.seed, Purpose::Monitor, lap);
        let v = Observations::simulate(self.channel, &x.select(&order[..points]), key, 0).joint();
        let sinkhorn = Sinkhorn { reg: self.config.regularisation, ..Default::default() };
        let own = sinkhorn.cost(&u1, &u2)?.cost;
        Ok(Some(MonitorRecord {
            energy_score: self.energy_score(x),
            energy: energy_distance(&u1, &v)?,
            energy_floor: energy_distance(&u1, &real)?,
            sinkhorn: sinkhorn.cost(&u1, &v)?.cost - own,
            sinkhorn_floor: sinkhorn.cost(&u1, &real)?.cost - own,
            points,
        }))
    }

    /// Mean energy score of the held-out observations, each against simulations by its own operator from the next rows of
    /// `x`. Rows and noise are the same in every lap, so that chance hardly enters the difference of two laps.
    fn energy_score(&self, x: &Samples) -> f64 {
        let (n, m, simulations) = (self.held_out.n(), self.channel.observation_len(), SIMULATIONS.min(x.n()));
        let key = Key::new(self.seed, Purpose::Monitor, 0);
        let scores = parallel::map(n, |i| {
            // Step 0 makes the joint samples.
            let mut stream = key.stream(i, 1);
            let (seen, a) = (self.held_out.y.row(i), self.held_out.operator(i));
            let (mut y, mut previous) = (vec![0.0f32; m], vec![0.0f32; m]);
            let (mut to_seen, mut to_previous) = (0.0, 0.0);
            for j in 0..simulations {
                std::mem::swap(&mut y, &mut previous);
                self.channel.observe(x.row((i * simulations + j) % x.n()), a, &mut stream, &mut y);
                to_seen += distance(&y, seen);
                // Neighbouring rows are independent draws.
                to_previous += if j > 0 { distance(&y, &previous) } else { 0.0 };
            }
            to_seen / simulations as f64 - 0.5 * to_previous / (simulations - 1).max(1) as f64
        });
        scores.iter().sum::<f64>() / n as f64
    }
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (*a as f64 - *b as f64).powi(2)).sum::<f64>().sqrt()
}
