//! E-step: one posterior draw x_i ~ q_θ(. | y_i, a_i) for every observation, in shards that workers take.
//!
//! The noise of observation i at sampler step s is keyed by (seed, lap, i, s) alone and every kernel treats rows
//! independently, so neither the shard size nor the number of workers changes a bit of the result.

use crate::conditioning::{Conditioning, Measurement, Shape};
use crate::denoiser::{Denoiser, Gain, Preconditioned, to_samples, to_samples_async, to_tensor};
use crate::error::{Error, Result};
use crate::kernels;
use crate::network::Network;
use crate::noise::Key;
use crate::observations::Observations;
use crate::parallel;
use crate::sampler::{Chain, Progress, SamplerConfig};
use crate::samples::Samples;
use crate::schedule::Schedule;
use burn::tensor::{Device, Tensor};
use std::ops::{ControlFlow, Range};

/// Fewest rows that a network call is given: a matrix with a single row takes another path in the multiplication, with
/// another order of summation.
const LEAST_ROWS: usize = 8;

/// Posterior sampling of a set of observations.
pub struct EStep<'a, N> {
    /// Network outside autodiff, with the weights to sample with.
    pub network: &'a N,
    /// Noise range and σ_data.
    pub schedule: &'a Schedule,
    /// How the observations enter the denoiser.
    pub conditioning: Conditioning<'a>,
    /// y and a.
    pub observations: &'a Observations,
    /// The sampler.
    pub sampler: &'a SamplerConfig,
    /// Noise key of this pass; observation index and step are added to it.
    pub key: Key,
    /// Where the network lives.
    pub device: &'a Device,
}

/// A row of a batch of draws: which observation, and which noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Place among the observations.
    pub observation: usize,
    /// Noise key of the draw.
    pub key: Key,
    /// Index of its stream: the step is added to it.
    pub index: usize,
}

/// Draws on their way from σ_max to σ_min, see [`EStep::begin`].
pub struct Draws {
    /// How many were asked for.
    n: usize,
    /// These, and copies of the last one up to the fewest rows a network call takes.
    rows: Vec<Row>,
    features: Tensor<2>,
    measurements: Vec<Measurement>,
    chain: Chain,
}

impl Draws {
    /// Number of draws.
    pub fn n(&self) -> usize {
        self.n
    }

    /// True when only the last network call is left, see [`EStep::last`].
    pub fn is_done(&self) -> bool {
        self.chain.is_done()
    }

    /// What the last step left, in the frame's coordinates and with rows beyond [`Draws::n`] to be dropped
    /// ([`EStep::restore`] does both); `None` before the first.
    pub fn progress(&self) -> Option<Progress<'_>> {
        self.chain.progress()
    }
}

impl<N: Network> EStep<'_, N> {
    /// Draws for the observations in `range`, `[len, d]`.
    pub fn shard(&self, range: Range<usize>) -> Result<Samples> {
        self.shard_with(range, &mut |_| ControlFlow::Continue(()))
    }

    /// [`EStep::shard`] with a callback after every sampler step.
    pub fn shard_with(
        &self,
        range: Range<usize>,
        on_step: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Samples> {
        let mut draws = self.begin(range.map(|i| Row { observation: i, key: self.key, index: i }).collect());
        while !draws.is_done() {
            draws = self.advance(draws);
            if draws.progress().is_some_and(|progress| on_step(progress).is_break()) {
                return Err(Error::Stopped);
            }
        }
        let n = draws.n();
        Ok(self.restore(&to_samples(self.last(draws))?, n))
    }

    /// Draws at σ_max, for callers that do something else between two steps; `rows` holds one or more.
    ///
    /// A draw is a function of its row alone: neither the other rows nor their number change a bit.
    pub fn begin(&self, mut rows: Vec<Row>) -> Draws {
        let n = rows.len();
        rows.extend(rows.last().copied().into_iter().cycle().take(LEAST_ROWS.saturating_sub(n)));
        let grid = self.sampler.grid(self.schedule);
        let (features, measurements) = self.condition(&rows);
        let start = self.noise(&rows, 0) * grid[0];
        Draws { n, rows, features, measurements, chain: Chain::new(grid, start) }
    }

    /// Takes one sampler step; reads nothing from the device.
    pub fn advance(&self, draws: Draws) -> Draws {
        let Draws { n, rows, features, measurements, chain } = draws;
        let denoiser = self.denoiser(&features, &measurements);
        let chain = chain.step(self.sampler.build().as_ref(), &denoiser, &mut |step| self.noise(&rows, step + 1));
        drop(denoiser);
        Draws { n, rows, features, measurements, chain }
    }

    /// D at the level reached, on the device; [`EStep::restore`] makes signals of it.
    pub fn last(&self, draws: Draws) -> Tensor<2> {
        let Draws { features, measurements, chain, .. } = draws;
        chain.finish(&self.denoiser(&features, &measurements))
    }

    /// The first `n` rows of `x`, from the frame's coordinates to the signal's.
    pub fn restore(&self, x: &Samples, n: usize) -> Samples {
        self.conditioning.frame.restore(&x.slice(0..n))
    }

    /// [`EStep::restore`] of a device tensor where reads cannot block, as in a browser.
    pub async fn read(&self, x: Tensor<2>, n: usize) -> Result<Samples> {
        Ok(self.restore(&to_samples_async(x).await?, n))
    }

    /// Draws for observations `from..n` in shards of `size`; `on_group` receives the rows of a group of finished shards,
    /// in order, and may stop the pass.
    pub fn run(&self, from: usize, size: usize, on_group: &mut dyn FnMut(&Samples) -> ControlFlow<()>) -> Result<()> {
        let n = self.observations.n();
        let group = size * parallel::workers() * 4;
        for start in (from..n).step_by(group) {
            let end = n.min(start + group);
            let draw = |shard: usize| self.shard(start + shard * size..end.min(start + (shard + 1) * size));
            let shards = (end - start).div_ceil(size);
            let parts: Vec<Samples> =
                kernels::map_shards(self.device, shards, draw).into_iter().collect::<Result<_>>()?;
            let rows = parts.into_iter().flat_map(Samples::into_vec).collect();
            if on_group(&Samples::new(rows, self.conditioning.channel.signal_len())).is_break() {
                return Err(Error::Stopped);
            }
        }
        Ok(())
    }

    /// All draws, `[n, d]`.
    pub fn all(&self, size: usize) -> Result<Samples> {
        let mut rows = Vec::with_capacity(self.observations.n() * self.conditioning.channel.signal_len());
        self.run(0, size, &mut |group| {
            rows.extend_from_slice(group.as_slice());
            ControlFlow::Continue(())
        })?;
        Ok(Samples::new(rows, self.conditioning.channel.signal_len()))
    }

    fn noise(&self, rows: &[Row], step: usize) -> Tensor<2> {
        let mut noise = Samples::zeros(rows.len(), self.conditioning.channel.signal_len());
        for (i, row) in rows.iter().enumerate() {
            row.key.stream(row.index, step).fill_normal(noise.row_mut(i));
        }
        to_tensor(&noise, self.device)
    }

    /// Features `[n, c]` of the rows' observations, and what updates their estimates.
    fn condition(&self, rows: &[Row]) -> (Tensor<2>, Vec<Measurement>) {
        let (conditioning, observations) = (self.conditioning, self.observations);
        let mut features = Samples::zeros(rows.len(), conditioning.feature_len());
        let read = |(i, row): (usize, &Row)| {
            let (y, a) = (observations.y.row(row.observation), observations.operator(row.observation));
            conditioning.condition(y, a, features.row_mut(i))
        };
        let measurements = rows.iter().enumerate().filter_map(read).collect();
        (to_tensor(&features, self.device), measurements)
    }

    /// The denoiser of observations with these features and measurements, one a row.
    fn denoiser<'d>(&'d self, features: &'d Tensor<2>, measurements: &'d [Measurement]) -> impl Denoiser + 'd {
        let preconditioned = Preconditioned { network: self.network, schedule: self.schedule };
        let d = self.conditioning.channel.signal_len();
        move |x_t: Tensor<2>, sigma: f64| {
            let variance = self.schedule.posterior_variance(sigma);
            let gain = gain(measurements, |_| variance, d, self.device);
            preconditioned.forward(x_t, &[sigma], features.clone(), gain.as_ref())
        }
    }
}

/// The gain of `measurements`, row i for an estimate of variance `variance(i)`; `None` without measurements.
pub(super) fn gain(
    measurements: &[Measurement],
    variance: impl Fn(usize) -> f64,
    d: usize,
    device: &Device,
) -> Option<Gain> {
    let width = if measurements.first()?.shape() == Shape::Dense { d * d } else { d };
    let (mut ka, mut ky) = (Samples::zeros(measurements.len(), width), Samples::zeros(measurements.len(), d));
    for (i, measurement) in measurements.iter().enumerate() {
        measurement.update(variance(i), ka.row_mut(i), ky.row_mut(i));
    }
    Some(Gain { ka: to_tensor(&ka, device), ky: to_tensor(&ky, device) })
}
