//! Sinkhorn divergence of reconstructions to the truth, for reporting only.

use super::sinkhorn::MIN_DIVERGENCE;
use super::{MetricError, Sinkhorn};
use crate::Samples;

/// Sinkhorn divergence max(OT(u1, v) - OT(u1, u2), 1e-6) to the truth at a fixed number of points; costs that
/// do not change are computed once.
#[derive(Clone, Debug)]
pub struct TruthScorer {
    sinkhorn: Sinkhorn,
    u1: Samples,
    self_cost: f64,
    floor: f64,
}

impl TruthScorer {
    /// Creates a scorer from the first `points` rows of three truth samples `[n, d]`. `points` is at most the
    /// number of rows that will be scored, so that all sets have the same size. `regularization` > 0 is in
    /// squared units of the signal.
    ///
    /// # Errors
    /// As [`Sinkhorn::cost`].
    pub fn new(u: &[Samples; 3], points: usize, regularization: f64) -> Result<Self, MetricError> {
        let [u1, u2, u3] = u.each_ref().map(|u| u.slice(0..points.min(u.n())));
        let sinkhorn = Sinkhorn { reg: regularization, ..Default::default() };
        let self_cost = sinkhorn.cost(&u1, &u2)?.cost;
        let floor = (sinkhorn.cost(&u1, &u3)?.cost - self_cost).max(MIN_DIVERGENCE);
        Ok(Self { sinkhorn, u1, self_cost, floor })
    }

    /// Divergence of the third truth sample: the score of a perfect reconstruction.
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// Number of points on each side.
    pub fn points(&self) -> usize {
        self.u1.n()
    }

    /// Divergence of the first rows of `x [n, d]`.
    ///
    /// # Errors
    /// As [`Sinkhorn::cost`].
    pub fn score(&self, x: &Samples) -> Result<f64, MetricError> {
        let cost = self.sinkhorn.cost(&self.u1, &x.slice(0..self.points()))?.cost;
        Ok((cost - self.self_cost).max(MIN_DIVERGENCE))
    }
}
