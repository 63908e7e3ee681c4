//! Scores against the truth, for reporting only.

use crate::metrics::TruthRecord;
use anyhow::Result;
use diffem::Samples;
use diffem::metric::Sinkhorn;

/// Smallest divergence reported (the published protocol's floor).
const LEAST: f64 = 1e-6;

/// Sinkhorn divergence to the truth at a fixed number of points; costs that do not change are computed once.
pub struct TruthScorer {
    sinkhorn: Sinkhorn,
    u1: Samples,
    self_cost: f64,
    floor: f64,
}

impl TruthScorer {
    /// Scorer with the first `points` rows of three truth samples; `points` at most the rows that will be scored, so that
    /// all sets are of one size.
    pub fn new(u: &[Samples; 3], points: usize, regularisation: f64) -> Result<Self> {
        let [u1, u2, u3] = u.each_ref().map(|u| u.slice(0..points.min(u.n())));
        let sinkhorn = Sinkhorn { reg: regularisation, ..Default::default() };
        let self_cost = sinkhorn.cost(&u1, &u2)?.cost;
        let floor = (sinkhorn.cost(&u1, &u3)?.cost - self_cost).max(LEAST);
        Ok(Self { sinkhorn, u1, self_cost, floor })
    }

    /// Divergence of the third truth sample.
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// Scores the first rows of `x`.
    pub fn score(&self, x: &Samples) -> Result<TruthRecord> {
        let points = self.u1.n();
        let cost = self.sinkhorn.cost(&self.u1, &x.slice(0..points))?.cost;
        Ok(TruthRecord { sinkhorn: (cost - self.self_cost).max(LEAST), sinkhorn_floor: self.floor, points })
    }
}
