//! Draws for many observations at once, and their mean and standard deviation.

use super::draws::Row;
use super::trained::Posterior;
use crate::error::{Error, Result};
use crate::kernels;
use crate::network::NetworkSpec;
use crate::observations::Observations;
use crate::parallel;
use crate::samples::Samples;
use std::ops::{ControlFlow, Range};

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
    /// them.
    pub(crate) fn for_each_group(
        &self,
        observations: &Observations,
        range: Range<usize>,
        row: &(dyn Fn(usize) -> Row + Sync),
        on_group: &mut dyn FnMut(&Samples) -> ControlFlow<()>,
    ) -> Result<()> {
        let (size, n) = (self.model.shard, range.end);
        let group = size * parallel::workers() * 4;
        for start in range.step_by(group) {
            let end = n.min(start + group);
            let draw = |shard: usize| {
                let rows = start + shard * size..end.min(start + (shard + 1) * size);
                self.draw(observations, rows.map(row).collect(), &mut |_| ControlFlow::Continue(()))
            };
            let shards = (end - start).div_ceil(size);
            let parts: Vec<Samples> =
                kernels::map_shards(&self.device, shards, draw).into_iter().collect::<Result<_>>()?;
            let rows = parts.into_iter().flat_map(Samples::into_vec).collect();
            if on_group(&Samples::new(rows, self.model.channel.signal_len())).is_break() {
                return Err(Error::Stopped);
            }
        }
        Ok(())
    }
}
