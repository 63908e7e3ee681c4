//! E-step: one posterior draw x_i ~ q_θ(. | y_i, a_i) for every observation, in shards that workers take.
//!
//! The noise of observation i at sampler step s is keyed by (seed, lap, i, s) alone and every kernel treats rows
//! independently, so neither the shard size nor the number of workers changes a bit of the result.

use crate::conditioning::Whitened;
use crate::conditioning::{Conditioning, Measurement, Method, OperatorStructure};
use crate::denoiser::{Denoiser, Gain, Preconditioned, to_samples, to_samples_async, to_tensor};
use crate::error::{Error, Result};
use crate::kernels;
use crate::method::{Masked, Mmps, write_seen};
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
const MIN_ROWS: usize = 8;

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
    shown: Shown,
    /// Least and greatest value of each coordinate, `[1, d]`, where signals have a range.
    bounds: Option<[Tensor<2>; 2]>,
    chain: Chain,
}

/// What the rows' observations give to the denoiser.
enum Shown {
    /// The network as the posterior: its features, prepared, and what updates its estimates.
    Features(Tensor<2>, Vec<Measurement>),
    /// The network as the prior, with no features, prepared, led to the observations by moment matching.
    Guided(Tensor<2>, Box<Whitened>),
    /// The network behind the observations' own masks `[n, d]`, updated by what they show.
    Masked(Tensor<2>, Vec<Measurement>),
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

    /// What the last step left, in the standardizer's coordinates and with rows beyond [`Draws::n`] to be dropped
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
        rows.extend(rows.last().copied().into_iter().cycle().take(MIN_ROWS.saturating_sub(n)));
        let grid = self.sampler.grid(self.schedule);
        let start = self.noise(&rows, 0) * grid[0];
        let bounds = self.conditioning.bounds().map(|bounds| bounds.map(|bound| to_tensor(&bound, self.device)));
        Draws { n, shown: self.show(&rows), rows, bounds, chain: Chain::new(grid, start) }
    }

    /// Takes one sampler step; reads nothing from the device.
    pub fn advance(&self, draws: Draws) -> Draws {
        let Draws { n, rows, shown, bounds, chain } = draws;
        let denoiser = self.denoiser(&shown, bounds.as_ref());
        let chain =
            chain.step(self.sampler.build().as_ref(), denoiser.as_ref(), &mut |step| self.noise(&rows, step + 1));
        drop(denoiser);
        Draws { n, rows, shown, bounds, chain }
    }

    /// D at the level reached, on the device; [`EStep::restore`] makes signals of it.
    pub fn last(&self, draws: Draws) -> Tensor<2> {
        let Draws { shown, bounds, chain, .. } = draws;
        chain.finish(self.denoiser(&shown, bounds.as_ref()).as_ref())
    }

    /// The first `n` rows of `x`, from the standardizer's coordinates to the signal's.
    pub fn restore(&self, x: &Samples, n: usize) -> Samples {
        self.conditioning.standardizer.restore(&x.slice(0..n))
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
        let (n, d) = (self.observations.n(), self.conditioning.channel.signal_len());
        Samples::filled(n, d, |out| self.all_into(size, out))
    }

    /// [`EStep::all`] into a table of `[n, d]`.
    pub fn all_into(&self, size: usize, out: &mut Samples) -> Result<()> {
        let mut done = 0;
        self.run(0, size, &mut |group| {
            out.put(done, group);
            done += group.n();
            ControlFlow::Continue(())
        })
    }

    fn noise(&self, rows: &[Row], step: usize) -> Tensor<2> {
        let mut noise = Samples::zeros(rows.len(), self.conditioning.channel.signal_len());
        for (i, row) in rows.iter().enumerate() {
            row.key.stream(row.index, step).fill_normal(noise.row_mut(i));
        }
        to_tensor(&noise, self.device)
    }

    fn show(&self, rows: &[Row]) -> Shown {
        let (conditioning, observations) = (self.conditioning, self.observations);
        let seen = |row: &Row| (observations.y.row(row.observation), observations.operator(row.observation));
        let measure = |row| conditioning.measurement(seen(row).0, seen(row).1);
        let measurements = || rows.iter().filter_map(measure).collect::<Vec<Measurement>>();
        match conditioning.config.method {
            Method::Diffem => {
                let mut features = Samples::zeros(rows.len(), conditioning.feature_len());
                let read = |(i, row)| conditioning.condition(seen(row).0, seen(row).1, features.row_mut(i));
                let measurements = rows.iter().enumerate().filter_map(read).collect();
                Shown::Features(self.network.prepare(to_tensor(&features, self.device)), measurements)
            }
            Method::EmMmps => {
                let nothing = self.network.prepare(to_tensor(&Samples::zeros(rows.len(), 0), self.device));
                Shown::Guided(nothing, Box::new(Whitened::new(&measurements(), conditioning, self.device)))
            }
            Method::Ambient => {
                let mut masks = Samples::zeros(rows.len(), conditioning.channel.signal_len());
                let write = |(i, row)| write_seen(conditioning.channel, seen(row).1, masks.row_mut(i));
                rows.iter().enumerate().for_each(write);
                Shown::Masked(to_tensor(&masks, self.device), measurements())
            }
        }
    }

    /// The denoiser of the observations that `shown` is of, one a row, within the range of the signals.
    fn denoiser<'d>(&'d self, shown: &'d Shown, bounds: Option<&'d [Tensor<2>; 2]>) -> Box<dyn Denoiser + 'd> {
        let denoiser = self.unbounded(shown);
        let Some([least, greatest]) = bounds else {
            return denoiser;
        };
        Box::new(move |x_t: Tensor<2>, sigma: f64| {
            let shape = x_t.dims();
            denoiser.denoise(x_t, sigma).max_pair(least.clone().expand(shape)).min_pair(greatest.clone().expand(shape))
        })
    }

    fn unbounded<'d>(&'d self, shown: &'d Shown) -> Box<dyn Denoiser + 'd> {
        let (network, schedule, device) = (self.network, self.schedule, self.device);
        let preconditioned = Preconditioned { network, schedule };
        let gain = move |measurements: &[Measurement], sigma: f64| {
            gain(measurements, |_| sigma, schedule, self.conditioning, device)
        };
        match shown {
            Shown::Features(features, measurements) => Box::new(move |x_t: Tensor<2>, sigma: f64| {
                preconditioned.forward_prepared(x_t, sigma, features.clone(), gain(measurements, sigma).as_ref())
            }),
            Shown::Guided(nothing, observations) => {
                let prior =
                    move |x_t: Tensor<2>, s: f64| preconditioned.forward_prepared(x_t, s, nothing.clone(), None);
                let iterations = self.conditioning.config.mmps.iterations;
                Box::new(Mmps { prior, observations: observations.as_ref().clone(), iterations })
            }
            Shown::Masked(masks, measurements) => {
                let masked = Masked { network, schedule, seen: masks.clone() };
                Box::new(move |x_t: Tensor<2>, sigma: f64| {
                    let d0 = masked.forward(x_t.clone(), &[sigma]);
                    match gain(measurements, sigma) {
                        Some(gain) => gain.apply(d0, x_t),
                        None => d0,
                    }
                })
            }
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
    let width = if measurements.first()?.structure() == OperatorStructure::Dense { d * d } else { d };
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
