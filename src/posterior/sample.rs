//! Draws for many observations at once, and their mean and standard deviation.

use super::draws::Row;
use super::trained::Posterior;
use crate::denoiser::to_samples;
use crate::error::{Error, Result};
use crate::kernels;
use crate::network::NetworkSpec;
use crate::observations::Observations;
use crate::parallel;
use crate::ranks::share_of;
use crate::samples::Samples;
use burn::tensor::Tensor;
use std::ops::{ControlFlow, Range};

/// Largest number of values that ranks collect at a time.
const COLLECTED: usize = 1 << 28;
/// Smallest number of shards that are read from a device at once: each read waits until it has nothing left to do.
const READ: usize = 16;

impl<S: NetworkSpec> Posterior<S> {
    /// Returns `draws` draws of x for each of the n `observations` with seed 0, `[n · draws, d]`; the draws
    /// of one observation are adjacent rows.
    ///
    /// # Errors
    /// Observations that do not fit the channel; a device that fails.
    pub fn sample(&self, observations: &Observations, draws: usize) -> Result<Samples> {
        self.sample_seeded(observations, draws, 0)
    }

    /// [`Posterior::sample`] with another seed.
    ///
    /// # Errors
    /// As [`Posterior::sample`].
    pub fn sample_seeded(&self, observations: &Observations, draws: usize, seed: u64) -> Result<Samples> {
        let all: Vec<usize> = (0..observations.n()).collect();
        self.sample_of(observations, &all, draws, seed)
    }

    /// [`Posterior::sample_seeded`] for the observations at the places `chosen`; each has the same draws as
    /// when all are sampled.
    ///
    /// # Errors
    /// As [`Posterior::sample`].
    ///
    /// # Panics
    /// A place in `chosen` beyond the observations.
    pub fn sample_of(&self, observations: &Observations, chosen: &[usize], draws: usize, seed: u64) -> Result<Samples> {
        self.check(observations)?;
        let row = |r: usize| Row::of(seed, chosen[r / draws], r % draws);
        let d = self.model.channel.signal_len();
        Samples::filled(chosen.len() * draws, d, |out| self.fill(observations, &row, out))
    }

    /// Fills the rows of `out [n, d]` with the draws of the rows `row(0)` to `row(n - 1)`.
    pub(crate) fn fill(
        &self,
        observations: &Observations,
        row: &(dyn Fn(usize) -> Row + Sync),
        out: &mut Samples,
    ) -> Result<()> {
        let mut done = 0;
        self.for_each_group(observations, 0..out.n(), row, &mut |group| {
            out.put(done, group);
            done += group.n();
            ControlFlow::Continue(())
        })
    }

    /// Mean and standard deviation of `draws` draws, 2 or more, for each observation and value: `[n, d]` each.
    ///
    /// The standard error of the mean is the standard deviation divided by √draws.
    ///
    /// # Errors
    /// Fewer than two draws; otherwise as [`Posterior::sample`].
    pub fn mean_std(&self, observations: &Observations, draws: usize, seed: u64) -> Result<(Samples, Samples)> {
        if draws < 2 {
            return Err(Error::config("draws", format!("expected 2 or more, found {draws}")));
        }
        self.check(observations)?;
        let (n, d) = (observations.n(), self.model.channel.signal_len());
        let (mut mean, mut squares) = (vec![0.0f64; n * d], vec![0.0f64; n * d]);
        for k in 0..draws {
            let mut at = 0;
            // This is Welford's update, because sums of squares would cancel where a posterior is narrow.
            self.for_each_group(observations, 0..n, &|i| Row::of(seed, i, k), &mut |group| {
                for &x in group.as_slice() {
                    let delta = f64::from(x) - mean[at];
                    mean[at] += delta / (k + 1) as f64;
                    squares[at] += delta * (f64::from(x) - mean[at]);
                    at += 1;
                }
                ControlFlow::Continue(())
            })?;
        }
        let std = squares.iter().map(|s| (s / (draws - 1) as f64).sqrt() as f32).collect();
        Ok((Samples::new(mean.iter().map(|&m| m as f32).collect(), d), Samples::new(std, d)))
    }

    fn check(&self, observations: &Observations) -> Result<()> {
        observations.check(self.model.channel.as_ref())
    }

    /// Draws the rows `row(r)` for r in `range`, in order and some shards at a time; `on_group` may stop
    /// them. Ranks draw a share of each group, and all receive the rows of all and must agree on stopping.
    pub(crate) fn for_each_group(
        &self,
        observations: &Observations,
        range: Range<usize>,
        row: &(dyn Fn(usize) -> Row + Sync),
        on_group: &mut dyn FnMut(&Samples) -> ControlFlow<()>,
    ) -> Result<()> {
        let (size, d, ranks) = (self.model.shard, self.model.channel.signal_len(), self.ranks.as_ref());
        let count = ranks.count();
        // Groups are the same on all ranks, which may have different numbers of workers.
        let most = (COLLECTED / (size * d)).max(count);
        let least = if kernels::is_flex(&self.device) { 1 } else { READ };
        let own = least.max(parallel::workers() * 4);
        let group = size * (ranks.first((own * count) as f64) as usize).min(most);
        for start in range.clone().step_by(group) {
            let end = range.end.min(start + group);
            let shards = (end - start).div_ceil(size);
            let rows = |rank| {
                let shards = share_of(shards, count, rank);
                start + shards.start * size..end.min(start + shards.end * size)
            };
            let mine = ranks.agree(self.draw_shards(observations, rows(ranks.rank()), row))?;
            let counts: Vec<usize> = (0..count).map(|rank| rows(rank).len() * d).collect();
            if on_group(&Samples::new(ranks.collected(mine, &counts), d)).is_break() {
                return Err(Error::Stopped);
            }
        }
        Ok(())
    }

    /// Values of the draws of the rows `row(r)` for r in `range`, one shard to a worker at a time.
    fn draw_shards(
        &self,
        observations: &Observations,
        range: Range<usize>,
        row: &(dyn Fn(usize) -> Row + Sync),
    ) -> Result<Vec<f32>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let size = self.model.shard;
        let draw = |shard: usize| {
            let rows = range.start + shard * size..range.end.min(range.start + (shard + 1) * size);
            let n = rows.len();
            self.drawn(observations, rows.map(row).collect(), &mut |_| ControlFlow::Continue(()))
                .map(|x| x.narrow(0, 0, n))
        };
        let parts = kernels::map_shards(&self.device, range.len().div_ceil(size), draw);
        let parts: Vec<Tensor<2>> = parts.into_iter().collect::<Result<_>>()?;
        // One read for all of them.
        let x = to_samples(Tensor::cat(parts, 0))?;
        Ok(self.restore(&x, range.len()).into_vec())
    }
}
