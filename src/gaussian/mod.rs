//! Gaussians in closed form, in `f64`: the exact posterior of a linear channel, exact EM and the
//! Kullback-Leibler divergence.
//!
//! Prior x ~ N(μ, Σ), channel y = A x + n, n ~ N(0, Σ_y):
//! K = Σ Aᵀ (A Σ Aᵀ + Σ_y)⁻¹,  x | y ~ N(μ + K (y - A μ), Σ - K A Σ).

mod closed_form;
mod combination;
mod low_rank;
mod matrix_free;
mod sampled;
mod shared;
mod signal_space;
mod smooth;
mod spectral;

pub use crate::channel::LinearGaussian;
pub use closed_form::Gaussian;
pub(crate) use combination::{Covariance, History};
pub use low_rank::LowRankGaussian;
pub use matrix_free::SolverConfig;
pub(crate) use matrix_free::{Stop, System, conjugate_gradient};
pub(crate) use shared::moments;
pub use spectral::SpectralGaussian;

use crate::channel::Channel;
use crate::error::{Error, Result};
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::parallel;
use crate::samples::Samples;
use nalgebra::{DMatrix, DVector};

/// Number of observations whose posteriors one worker computes at a time.
const ROWS: usize = 16;

impl Gaussian {
    /// Fits the prior to observations of a linear-Gaussian channel by `iterations` iterations of exact EM
    /// from N(0, std² I), with closed-form moments (no sampling). Operators may differ between observations;
    /// where they do not, an iteration costs d³ instead of n d³ (signals of more than 64 values).
    pub fn fit(channel: &dyn Channel, observations: &Observations, std: f64, iterations: usize) -> Result<Self> {
        Self::isotropic(channel.signal_len(), std).fitted(channel, observations, iterations)
    }

    /// [`Gaussian::fit`], starting from this prior.
    pub fn fitted(self, channel: &dyn Channel, observations: &Observations, iterations: usize) -> Result<Self> {
        let mut prior = self;
        if let Some(model) = shared::shared_model(channel)? {
            return shared::fit(prior, &model, &observations.y, iterations);
        }
        for _ in 0..iterations {
            prior = prior.em_iteration(channel, observations)?;
        }
        Ok(prior)
    }

    fn em_iteration(&self, channel: &dyn Channel, observations: &Observations) -> Result<Self> {
        const SHARD: usize = 256;
        let (n, d) = (observations.n(), self.d());
        let shards = parallel::map(n.div_ceil(SHARD), |shard| -> Result<_> {
            let (mut first, mut second) = (DVector::zeros(d), DMatrix::zeros(d, d));
            for i in shard * SHARD..((shard + 1) * SHARD).min(n) {
                let p = self.posterior_of(channel, observations, i)?;
                second += &p.covariance + &p.mean * p.mean.transpose();
                first += p.mean;
            }
            Ok((first, second))
        });
        let (mut first, mut second) = (DVector::zeros(d), DMatrix::zeros(d, d));
        for shard in shards {
            let (f, s) = shard?;
            first += f;
            second += s;
        }
        let mean = first / n as f64;
        let covariance = second / n as f64 - &mean * mean.transpose();
        Ok(Self { mean, covariance })
    }

    /// The posterior of observation `i`.
    pub fn posterior_of(&self, channel: &dyn Channel, observations: &Observations, i: usize) -> Result<Self> {
        let model =
            channel.linear_gaussian(observations.operator(i)).ok_or(Error::NotLinear("a Gaussian posterior"))?;
        let y: Vec<f64> = observations.y.row(i).iter().map(|&v| v as f64).collect();
        self.posterior(&model, &y)
    }

    /// The posterior mean of every observation, `[n, d]`.
    pub fn means(&self, channel: &dyn Channel, observations: &Observations) -> Result<Samples> {
        Samples::filled(observations.n(), self.d(), |out| {
            if let Some(model) = shared::shared_model(channel)? {
                return shared::posteriors(self, &model, &observations.y, None, out);
            }
            parallel::fill_each_row(out, ROWS, |i| {
                Ok(self.posterior_of(channel, observations, i)?.mean.iter().map(|&v| v as f32).collect())
            })
        })
    }

    /// One posterior draw per observation, keyed by (seed, observation): `[n, d]`.
    pub fn reconstruct(&self, channel: &dyn Channel, observations: &Observations, seed: u64) -> Result<Samples> {
        Samples::filled(observations.n(), self.d(), |out| self.reconstruct_into(channel, observations, seed, out))
    }

    /// [`Gaussian::reconstruct`], written into a table of shape `[n, d]`.
    pub fn reconstruct_into(
        &self,
        channel: &dyn Channel,
        observations: &Observations,
        seed: u64,
        out: &mut Samples,
    ) -> Result<()> {
        let key = Key::new(seed, Purpose::Start, 0);
        if let Some(model) = shared::shared_model(channel)? {
            return shared::posteriors(self, &model, &observations.y, Some(key), out);
        }
        parallel::fill_each_row(out, ROWS, |i| {
            let posterior = self.posterior_of(channel, observations, i)?;
            let draw = posterior.draw(&posterior.root(), &mut key.stream(i, 0));
            Ok(draw.iter().map(|&v| v as f32).collect())
        })
    }
}
