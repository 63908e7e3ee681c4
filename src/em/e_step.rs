//! E-step: one posterior draw x_i ~ q_θ(. | y_i, a_i) for every observation, in shards that workers process.
//!
//! The noise of observation i at sampler step s is keyed by (seed, lap, i, s) alone, and every kernel treats
//! rows independently, so neither the shard size nor the number of workers changes a bit of the result.

use crate::error::{Error, Result};
use crate::network::NetworkSpec;
use crate::noise::Key;
use crate::observations::Observations;
use crate::parallel;
use crate::posterior::{Posterior, Row};
use crate::ranks::{Ranks, share_of};
use crate::samples::Samples;
use std::ops::{ControlFlow, Range};

/// Largest number of values that ranks collect at a time.
const COLLECTED: usize = 1 << 28;

/// One draw for each of a set of observations.
pub struct EStep<'a, S: NetworkSpec> {
    /// The posterior with the weights to sample with.
    pub posterior: &'a Posterior<S>,
    /// y and a.
    pub observations: &'a Observations,
    /// Noise key of this pass; observation index and step are added to it.
    pub key: Key,
}

impl<S: NetworkSpec> EStep<'_, S> {
    /// The row of observation `i`.
    pub fn row(&self, i: usize) -> Row {
        Row { observation: i, key: self.key, index: i }
    }

    /// Draws for observations `from..n`; `on_group` receives the rows of a group of finished shards, in order, and may stop
    /// the pass.
    pub fn run(&self, from: usize, on_group: &mut dyn FnMut(&Samples) -> ControlFlow<()>) -> Result<()> {
        let n = self.observations.n();
        self.posterior.for_each_group(self.observations, from..n, &|i| self.row(i), on_group)
    }

    /// [`EStep::run`] on `ranks`: each draws its share of a group, and all receive the rows of all and must agree on stopping.
    ///
    /// # Errors
    /// A device that fails, on any rank.
    pub fn run_over(
        &self,
        ranks: &dyn Ranks,
        from: usize,
        on_group: &mut dyn FnMut(&Samples) -> ControlFlow<()>,
    ) -> Result<()> {
        if ranks.count() == 1 {
            return self.run(from, on_group);
        }
        let (n, size, count) = (self.observations.n(), self.posterior.model().shard, ranks.count());
        let d = self.posterior.model().channel.signal_len();
        // Groups are the same on all ranks, which may have different numbers of workers.
        let most = (COLLECTED / (size * d)).max(count);
        let group = size * (ranks.first((parallel::workers() * 4 * count) as f64) as usize).min(most);
        for start in (from..n).step_by(group) {
            let end = n.min(start + group);
            let shards = (end - start).div_ceil(size);
            let rows = |rank| {
                let shards = share_of(shards, count, rank);
                start + shards.start * size..end.min(start + shards.end * size)
            };
            let mine = ranks.agree(self.draw(rows(ranks.rank())))?;
            let counts: Vec<usize> = (0..count).map(|rank| rows(rank).len() * d).collect();
            let mut all = vec![0.0; (end - start) * d];
            ranks.gather(&mine, &counts, &mut all);
            if on_group(&Samples::new(all, d)).is_break() {
                return Err(Error::Stopped);
            }
        }
        Ok(())
    }

    /// Values of the draws of the observations in `range`.
    fn draw(&self, range: Range<usize>) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        self.posterior.for_each_group(self.observations, range, &|i| self.row(i), &mut |rows| {
            values.extend_from_slice(rows.as_slice());
            ControlFlow::Continue(())
        })?;
        Ok(values)
    }

    /// Returns all draws, `[n, d]`.
    pub fn all(&self) -> Result<Samples> {
        let (n, d) = (self.observations.n(), self.posterior.model().channel.signal_len());
        Samples::filled(n, d, |out| self.all_into(out))
    }

    /// Writes the draws of [`EStep::all`] into the table `out [n, d]`.
    pub fn all_into(&self, out: &mut Samples) -> Result<()> {
        self.posterior.fill(self.observations, &|i| self.row(i), out)
    }
}
