//! E-step: one posterior draw x_i ~ q_θ(. | y_i, a_i) for every observation, in shards that workers take.
//!
//! The noise of observation i at sampler step s is keyed by (seed, lap, i, s) alone and every kernel treats rows
//! independently, so neither the shard size nor the number of workers changes a bit of the result.

use crate::conditioning::{Conditioning, Measurement, Method, Shape};
use crate::denoiser::{Denoiser, Gain, Preconditioned, to_samples, to_tensor};
use crate::error::{Error, Result};
use crate::kernels;
use crate::network::Network;
use crate::noise::Key;
use crate::observations::Observations;
use crate::parallel;
use crate::rivals::{Masked, Mmps, Whitened, write_seen};
use crate::sampler::{Progress, SamplerConfig, sample};
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
        let rows = range.len().max(LEAST_ROWS);
        // Short shards are filled up with copies of the last observation, which are dropped again below.
        let index = |row: usize| (range.start + row).min(range.end - 1);
        let noise = |step: usize| self.noise(rows, index, step);
        let grid = self.sampler.grid(self.schedule);
        let denoiser = self.denoiser((0..rows).map(index).collect());
        let start = noise(0) * grid[0];
        let x = sample(
            self.sampler.build().as_ref(),
            denoiser.as_ref(),
            &grid,
            start,
            &mut |step| noise(step + 1),
            on_step,
        )?;
        Ok(self.conditioning.frame.restore(&to_samples(x)?.slice(0..range.len())))
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

    fn noise(&self, rows: usize, index: impl Fn(usize) -> usize, step: usize) -> Tensor<2> {
        let mut noise = Samples::zeros(rows, self.conditioning.channel.signal_len());
        for row in 0..rows {
            self.key.stream(index(row), step).fill_normal(noise.row_mut(row));
        }
        to_tensor(&noise, self.device)
    }

    /// The denoiser of the observations `indices`, one a row.
    fn denoiser<'b>(&'b self, indices: Vec<usize>) -> Box<dyn Denoiser + 'b> {
        let preconditioned = Preconditioned { network: self.network, schedule: self.schedule };
        match self.conditioning.config.method {
            Method::Diffem => Box::new(self.conditioned(indices)),
            Method::EmMmps => {
                let nothing = to_tensor(&Samples::zeros(indices.len(), 0), self.device);
                let prior = move |x_t: Tensor<2>, s: f64| preconditioned.forward(x_t, &[s], nothing.clone(), None);
                Box::new(self.guided(prior, indices))
            }
            Method::Ambient => Box::new(self.masked(indices)),
        }
    }

    /// The network behind the observations' own masks, updated by what they show.
    fn masked(&self, indices: Vec<usize>) -> impl Denoiser {
        let conditioning = self.conditioning;
        let mut seen = Samples::zeros(indices.len(), conditioning.channel.signal_len());
        for (row, &i) in indices.iter().enumerate() {
            write_seen(conditioning.channel, self.observations.operator(i), seen.row_mut(row));
        }
        let seen = to_tensor(&seen, self.device);
        let masked = Masked { network: self.network, schedule: self.schedule, seen };
        let measurements = self.measurements(indices);
        move |x_t: Tensor<2>, sigma: f64| {
            let d0 = masked.forward(x_t.clone(), &[sigma]);
            match gain(&measurements, |_| sigma, self.schedule, conditioning, self.device) {
                Some(gain) => gain.apply(d0, x_t),
                None => d0,
            }
        }
    }

    /// The linear-Gaussian forms of the observations `indices`.
    fn measurements(&self, indices: Vec<usize>) -> Vec<Measurement> {
        let read = |i| self.conditioning.measurement(self.observations.y.row(i), self.observations.operator(i));
        indices.into_iter().filter_map(read).collect()
    }

    /// A `prior`, led to the observations by moment matching.
    fn guided<D: Denoiser>(&self, prior: D, indices: Vec<usize>) -> Mmps<D> {
        let measurements = self.measurements(indices);
        let seen = Whitened::new(&measurements, self.conditioning, self.device);
        Mmps { prior, observations: seen, iterations: self.conditioning.config.mmps.iterations }
    }

    /// The network as the posterior.
    fn conditioned(&self, indices: Vec<usize>) -> impl Denoiser {
        let preconditioned = Preconditioned { network: self.network, schedule: self.schedule };
        let (conditioning, observations) = (self.conditioning, self.observations);
        let mut features = Samples::zeros(indices.len(), conditioning.feature_len());
        let read =
            |(row, i)| conditioning.condition(observations.y.row(i), observations.operator(i), features.row_mut(row));
        let measurements: Vec<Measurement> = indices.into_iter().enumerate().filter_map(read).collect();
        let features = to_tensor(&features, self.device);
        move |x_t: Tensor<2>, sigma: f64| {
            let gain = gain(&measurements, |_| sigma, self.schedule, conditioning, self.device);
            preconditioned.forward(x_t, &[sigma], features.clone(), gain.as_ref())
        }
    }
}

/// The gain of `measurements` at noise level `sigma(i)` of row i; `None` without measurements.
pub(super) fn gain(
    measurements: &[Measurement],
    sigma: impl Fn(usize) -> f64,
    schedule: &Schedule,
    conditioning: Conditioning<'_>,
    device: &Device,
) -> Option<Gain> {
    let (n, d) = (measurements.len(), conditioning.channel.signal_len());
    let width = if measurements.first()?.shape() == Shape::Dense { d * d } else { d };
    let power = conditioning.power();
    let (mut ka, mut ky) = (Samples::zeros(n, width), Samples::zeros(n, d));
    let mut skip = power.map(|_| Samples::zeros(n, d));
    for (i, measurement) in measurements.iter().enumerate() {
        let (ka, ky, s) = (ka.row_mut(i), ky.row_mut(i), sigma(i));
        let (Some(power), Some(skip)) = (power, &mut skip) else {
            measurement.update(schedule.posterior_variance(s), ka, ky);
            continue;
        };
        // Of a signal with this spectrum: its variance given x_t, and x_t's weight beyond c_skip.
        let variance: Vec<f64> = power.iter().map(|p| p * s * s / (p + s * s)).collect();
        measurement.update_each(&variance, ka, ky);
        let plain = schedule.sigma_data.powi(2) / (schedule.sigma_data.powi(2) + s * s);
        skip.row_mut(i).iter_mut().zip(power).for_each(|(out, p)| *out = (p / (p + s * s) - plain) as f32);
    }
    let basis = conditioning.basis().map(|basis| basis.on(device));
    let skip = skip.map(|skip| to_tensor(&skip, device));
    Some(Gain { ka: to_tensor(&ka, device), ky: to_tensor(&ky, device), basis, skip })
}
