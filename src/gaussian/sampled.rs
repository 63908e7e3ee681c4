//! Independent coefficients as the prior of channels that are not diagonal in their basis: posterior draws by
//! conjugate gradient, and EM on such draws.
//!
//! A draw corrects a draw from the prior by the observation that it would have given (Matheron's rule; Orieux et al.
//! 2012, "Sampling high-dimensional Gaussian distributions for general linear inverse problems"):
//!
//! ```text
//! x = x₀ + K (y - y₀),   x₀ ~ N(m, S),   y₀ ~ Q(. | x₀, a)
//! ```

use super::matrix_free::{Covariance, Stop, System};
use super::spectral::SpectralGaussian;
use crate::basis::Basis;
use crate::channel::{Channel, LinearChannel, narrow, wide};
use crate::error::{Error, Result};
use crate::noise::{Key, Purpose, Stream};
use crate::observations::Observations;
use crate::parallel;
use crate::samples::Samples;

/// Maximum number of observations that EM draws from; their number limits the accuracy of a variance, 6 % here.
const MAX_DRAWN: usize = 512;
/// Number of observations that a worker takes at a time.
const SHARD: usize = 8;
/// Draws for moments, which their number limits to a few per cent, and those that are kept.
const DRAWN: Stop = Stop::residual(100, 1e-3);
const KEPT: Stop = Stop::residual(100, 1e-4);
/// δ: keeps noiseless channels invertible.
const FLOOR: f64 = 1e-8;

impl SpectralGaussian {
    /// Fits the distribution of coefficients in `basis` to observations of a linear `channel` by `iterations` iterations
    /// of EM on posterior draws, from a mean of 0 and the variances `first [d]`. At most 512 observations are used.
    ///
    /// # Errors
    /// A channel that is not linear with Gaussian noise.
    pub fn fit_sampled(
        channel: &dyn Channel,
        observations: &Observations,
        (basis, first): (Basis, Vec<f64>),
        iterations: usize,
        seed: u64,
    ) -> Result<Self> {
        let mut prior = Self::new(basis, vec![0.0; first.len()], first)?;
        let seen = observations.first(observations.n().min(MAX_DRAWN));
        let (n, d, key) = (seen.n(), prior.mean.len(), Key::new(seed, Purpose::Start, 0));
        let mut draws = Samples::zeros(n, d);
        for iteration in 1..=iterations {
            prior.sample_into(channel, &seen, Some((key, iteration)), &mut draws)?;
            let rows = parallel::map(n, |i| prior.basis().forward(&wide(draws.row(i))));
            for j in 0..d {
                let mean = rows.iter().map(|row| row[j]).sum::<f64>() / n as f64;
                let square = rows.iter().map(|row| (row[j] - mean).powi(2)).sum::<f64>() / n as f64;
                (prior.mean[j], prior.variance[j]) = (mean, square);
            }
        }
        Ok(prior)
    }

    /// Smooth variances to begin with, s ∝ 1 / ℓ² with the Laplacian ℓ of `basis` and `std²` per value.
    pub fn smooth(basis: &Basis, std: f64) -> Vec<f64> {
        let raw: Vec<f64> = basis.penalty().into_iter().map(f64::recip).collect();
        let mean = raw.iter().sum::<f64>() / raw.len() as f64;
        raw.into_iter().map(|v| v / mean * std * std).collect()
    }

    /// Posterior means, or draws keyed by the key, the observation and the step (0 for those that are kept), written into `out [n, d]`.
    pub(super) fn sample_into(
        &self,
        channel: &dyn Channel,
        observations: &Observations,
        key: Option<(Key, usize)>,
        out: &mut Samples,
    ) -> Result<()> {
        let linear = channel.as_linear().ok_or(Error::NotLinear("a Gaussian of independent coefficients"))?;
        let stop = if key.is_some_and(|(_, step)| step > 0) { DRAWN } else { KEPT };
        parallel::fill_each_row(out, SHARD, |i| {
            let (a, y) = (observations.operator(i), observations.y.row(i));
            let (first, seen) = self.begin(linear, a, key.map(|(key, step)| key.stream(i, step)));
            let residual: Vec<f64> = y.iter().zip(&seen).map(|(y, seen)| f64::from(*y) - f64::from(*seen)).collect();
            let system = System {
                linear,
                a,
                covariance: Covariance::Spectral(self.basis(), &self.variance),
                scale: 1.0,
                floor: FLOOR,
                stop,
            };
            let correction = system.correction(&residual);
            Ok(first.iter().zip(correction).map(|(x, c)| (f64::from(*x) + c) as f32).collect())
        })
    }

    /// A draw from the prior and its observation; without a stream the mean and its observation without noise.
    fn begin(&self, linear: &dyn LinearChannel, a: &[f32], stream: Option<Stream>) -> (Vec<f32>, Vec<f32>) {
        let mut seen = vec![0.0f32; linear.observation_len()];
        let image = |c: &[f64]| narrow(&self.basis().inverse(c));
        let Some(mut stream) = stream else {
            let x = image(&self.mean);
            linear.apply(a, &x, &mut seen);
            return (x, seen);
        };
        let moments = self.mean.iter().zip(&self.variance);
        let c: Vec<f64> = moments.map(|(m, s)| m + s.sqrt() * f64::from(stream.normal())).collect();
        let x = image(&c);
        linear.observe(&x, a, &mut stream, &mut seen);
        (x, seen)
    }
}
