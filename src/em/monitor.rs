//! Judging a lap without clean data: if X^k had the signal's law, its re-corruptions Q(X^k) would have the observations'
//! law. Both are compared as joint rows (y, a), against observations that were never trained on.

use super::config::MonitorConfig;
use crate::channel::Channel;
use crate::error::Result;
use crate::metric::{Sinkhorn, energy_distance};
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::samples::Samples;
use serde::{Deserialize, Serialize};

/// Held-out scores of one lap; smaller is better, the floors are what real observations score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MonitorRecord {
    /// Energy distance between re-corrupted reconstructions and held-out observations (unbiased: near 0, either sign,
    /// when the laws agree). The best lap is chosen by it.
    pub energy: f64,
    /// The same between training and held-out observations.
    pub energy_floor: f64,
    /// Sinkhorn divergence OT(u1, v) - OT(u1, u2), v the re-corrupted reconstructions.
    pub sinkhorn: f64,
    /// The same with v training observations.
    pub sinkhorn_floor: f64,
    /// Points on each side.
    pub points: usize,
}

/// The comparison, with everything that does not change from lap to lap computed once.
pub struct Monitor<'a> {
    channel: &'a dyn Channel,
    seed: u64,
    sinkhorn: Sinkhorn,
    held_out: Samples,
    floor: MonitorRecord,
    /// OT(u1, u2) of the two halves of the held-out observations.
    self_cost: f64,
}

impl<'a> Monitor<'a> {
    /// Compares with the observations `held_out`; `train` gives the floor. `None` where the settings or the number of
    /// held-out observations leave fewer than two points a side.
    pub fn new(
        channel: &'a dyn Channel,
        held_out: &Observations,
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
        let sinkhorn = Sinkhorn { reg: config.regularisation, ..Default::default() };
        let real = train.joint().slice(0..points);
        let self_cost = sinkhorn.cost(&u1, &u2)?.cost;
        let (energy_floor, sinkhorn_floor) =
            (energy_distance(&u1, &real)?, sinkhorn.cost(&u1, &real)?.cost - self_cost);
        let floor =
            MonitorRecord { energy: energy_floor, energy_floor, sinkhorn: sinkhorn_floor, sinkhorn_floor, points };
        Ok(Some(Self { channel, seed, sinkhorn, held_out: u1, floor, self_cost }))
    }

    /// Scores the reconstructions `x [n, d]` of the training observations after `lap`.
    pub fn score(&self, x: &Samples, lap: usize) -> Result<MonitorRecord> {
        let mut order = Key::new(self.seed, Purpose::Split, lap + 1).stream(0, 0).permutation(x.n());
        order.truncate(self.floor.points);
        let key = Key::new(self.seed, Purpose::Monitor, lap);
        let v = Observations::simulate(self.channel, &x.select(&order), key, 0).joint();
        let energy = energy_distance(&self.held_out, &v)?;
        let sinkhorn = self.sinkhorn.cost(&self.held_out, &v)?.cost - self.self_cost;
        Ok(MonitorRecord { energy, sinkhorn, ..self.floor })
    }
}
