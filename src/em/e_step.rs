//! E-step: one posterior draw x_i ~ q_θ(. | y_i, a_i) for every observation, in shards that workers process.
//!
//! The noise of observation i at sampler step s is keyed by (seed, lap, i, s) alone, and every kernel treats
//! rows independently, so neither the shard size nor the number of workers changes a bit of the result.

use crate::error::Result;
use crate::network::NetworkSpec;
use crate::noise::Key;
use crate::observations::Observations;
use crate::posterior::{Posterior, Row};
use crate::samples::Samples;
use std::ops::ControlFlow;

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
    /// the pass; where the posterior is dealt to ranks, they must agree on that.
    ///
    /// # Errors
    /// A device that fails, on any rank.
    pub fn run(&self, from: usize, on_group: &mut dyn FnMut(&Samples) -> ControlFlow<()>) -> Result<()> {
        let n = self.observations.n();
        self.posterior.for_each_group(self.observations, from..n, &|i| self.row(i), on_group)
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
