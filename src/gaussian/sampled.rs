//! Independent coefficients as the prior of channels that are not diagonal in their basis: posterior draws by
//! conjugate gradient, and EM on such draws.
//!
//! A draw corrects a draw from the prior by the observation that it would have given (Matheron's rule; Orieux et al.
//! 2012, "Sampling high-dimensional Gaussian distributions for general linear inverse problems"):
//!
//! ```text
//! x = x₀ + K (y - y₀),   x₀ ~ N(m, S),   y₀ ~ Q(. | x₀, a)
//! ```

use super::combination::Covariance;
use super::matrix_free::{Stop, System};
use super::spectral::SpectralGaussian;
use crate::channel::{Channel, LinearChannel, narrow, wide};
use crate::error::{Error, Result};
use crate::noise::{Key, Purpose, Stream};
use crate::observations::Observations;
use crate::parallel;
use crate::samples::Samples;

/// Maximum number of observations that EM draws from; their number limits the accuracy of a variance, 12 % here.
const MAX_DRAWN: usize = 128;
/// Number of observations that a worker takes at a time.
const SHARD: usize = 8;
/// Maximum number of iterations of a solution.
const ITERATIONS: usize = 400;
/// Error of a solution in standard deviations of the prior.
const TOLERANCE: f64 = 0.01;
/// δ: keeps noiseless channels invertible.
const FLOOR: f64 = 1e-8;

impl SpectralGaussian {
    /// Fits the distribution to observations of a linear `channel` by `iterations` iterations of EM on posterior draws,
    /// starting from this one. At most 128 observations are used.
    ///
    /// # Errors
    /// A channel that is not linear with Gaussian noise.
    pub fn fitted_to_draws(
        self,
        channel: &dyn Channel,
        observations: &Observations,
        iterations: usize,
        seed: u64,
    ) -> Result<Self> {
        let mut prior = self;
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

    /// Posterior means, or draws keyed by the key, the observation and the step (0 for those that are kept), written into
    /// `out [n, d]`.
    pub(super) fn sample_into(
        &self,
        channel: &dyn Channel,
        observations: &Observations,
        key: Option<(Key, usize)>,
        out: &mut Samples,
    ) -> Result<()> {
        let linear = channel.as_linear().ok_or(Error::NotLinear("a Gaussian of independent coefficients"))?;
        parallel::fill_each_row(out, SHARD, |i| {
            let (a, y) = (observations.operator(i), observations.y.row(i));
            let (first, seen) = self.begin(linear, a, key.map(|(key, step)| key.stream(i, step)));
            let residual: Vec<f64> = y.iter().zip(&seen).map(|(y, seen)| f64::from(*y) - f64::from(*seen)).collect();
            let correction = self.system(linear, a, ITERATIONS).correction(&residual);
            Ok(first.iter().zip(correction).map(|(x, c)| (f64::from(*x) + c) as f32).collect())
        })
    }

    /// The system of the observation with the operator `a`, whose solution takes at most `iterations` iterations.
    pub(super) fn system<'a>(&'a self, linear: &'a dyn LinearChannel, a: &'a [f32], iterations: usize) -> System<'a> {
        System {
            linear,
            a,
            covariance: Covariance::Spectral(self.basis(), &self.variance),
            scale: 1.0,
            floor: FLOOR,
            stop: Stop::error(iterations, TOLERANCE * TOLERANCE * self.mean.len() as f64, 1.0),
        }
    }

    /// A draw from the prior and its observation; without a stream the mean and its observation without noise.
    fn begin(&self, linear: &dyn LinearChannel, a: &[f32], stream: Option<Stream>) -> (Vec<f32>, Vec<f32>) {
        let mut seen = vec![0.0f32; linear.observation_len()];
        let Some(mut stream) = stream else {
            let x = narrow(&self.basis().inverse(&self.mean));
            linear.apply(a, &x, &mut seen);
            return (x, seen);
        };
        let x = self.draw(&mut stream);
        linear.observe(&x, a, &mut stream, &mut seen);
        (x, seen)
    }
}
