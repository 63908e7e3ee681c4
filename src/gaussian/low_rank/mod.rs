//! Gaussians with a low-rank plus diagonal covariance, for signals too long for a full one: x = μ + W z + e,
//! z ~ N(0, I_k), e ~ N(0, diag D), fitted by EM to observations of a diagonal channel (masks, noise). This
//! is factor analysis with missing values (Rubin & Thayer 1982; Tipping & Bishop 1999).
//!
//! With O the coordinates that observation i shows, ỹ = y / a and Ψ = D + (noise variance) / a²:
//!
//! ```text
//! E-step  P = I + W_Oᵀ Ψ_O⁻¹ W_O,  z | y ~ N(P⁻¹ W_Oᵀ Ψ_O⁻¹ (ỹ - μ)_O, P⁻¹)
//! M-step  (w_j, μ_j) by regression of ỹ_j on (z, 1) over the observations that show j,  Ψ_j the mean residual
//! ```
//!
//! Coordinates that are not observed need no imputation: they drop out of the likelihood, which increases
//! at every iteration.

mod em;
mod shown;

use self::shown::{SHARD, Shown, diagonal, observed_means, shown};
use crate::channel::Channel;
use crate::error::{Error, Result};
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::parallel;
use crate::samples::Samples;
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

/// Minimum variance of e, relative to the initial one.
const MIN_VARIANCE: f64 = 1e-4;

/// N(μ, W Wᵀ + diag D).
#[derive(Clone, Debug, PartialEq)]
pub struct LowRankGaussian {
    /// μ, length d.
    pub mean: Vec<f64>,
    /// W, d x k.
    pub loadings: DMatrix<f64>,
    /// D, length d.
    pub variance: Vec<f64>,
}

impl LowRankGaussian {
    /// Fits a model of rank `rank` by `iterations` iterations of EM, which start from random loadings and
    /// noise of standard deviation `std`. Returns the fit and the mean log-likelihood per observation before
    /// each iteration, in nats.
    pub fn fit(
        channel: &dyn Channel,
        observations: &Observations,
        rank: usize,
        std: f64,
        iterations: usize,
        seed: u64,
    ) -> Result<(Self, Vec<f64>)> {
        let linear = diagonal(channel)?;
        let d = linear.signal_len();
        if !(1..=d).contains(&rank) {
            return Err(Error::config("init.rank", format!("expected 1 to {d} (the signal's length), found {rank}")));
        }
        let mut loadings = DMatrix::zeros(d, rank);
        for (j, mut row) in loadings.row_iter_mut().enumerate() {
            let mut stream = Key::new(seed, Purpose::Start, 1).stream(j, 0);
            row.iter_mut().for_each(|w| *w = std / (rank as f64).sqrt() * stream.normal() as f64);
        }
        let mut model = Self { mean: observed_means(linear, observations), loadings, variance: vec![std * std; d] };
        let mut history = Vec::with_capacity(iterations);
        for _ in 0..iterations {
            let moments = model.moments(linear, observations)?;
            history.push(moments.log_likelihood / observations.n() as f64);
            model = model.maximized(&moments, std * std * MIN_VARIANCE)?;
        }
        Ok((model, history))
    }

    /// Rank k.
    pub fn rank(&self) -> usize {
        self.loadings.ncols()
    }

    /// One posterior draw per observation, keyed by (seed, observation): `[n, d]`.
    pub fn reconstruct(&self, channel: &dyn Channel, observations: &Observations, seed: u64) -> Result<Samples> {
        let fill = |out: &mut Samples| self.reconstruct_into(channel, observations, seed, out);
        Samples::filled(observations.n(), self.mean.len(), fill)
    }

    /// [`LowRankGaussian::reconstruct`], written into a table of shape `[n, d]`.
    pub fn reconstruct_into(
        &self,
        channel: &dyn Channel,
        observations: &Observations,
        seed: u64,
        out: &mut Samples,
    ) -> Result<()> {
        let key = Key::new(seed, Purpose::Start, 0);
        self.rows(channel, observations, out, |i, shown, factor, mean| {
            let mut stream = key.stream(i, 0);
            let noise = DVector::from_fn(self.rank(), |_, _| stream.normal() as f64);
            // P = L Lᵀ, so L⁻ᵀ ε has covariance P⁻¹.
            let spread = factor.l().tr_solve_lower_triangular(&noise).unwrap_or(noise);
            let signal = &self.loadings * (mean + spread);
            let draw = |(j, shown): (usize, &Option<(f64, f64)>)| {
                let (mean, variance) = update(signal[j] + self.mean[j], self.variance[j], *shown);
                (mean + variance.sqrt() * stream.normal() as f64) as f32
            };
            shown.iter().enumerate().map(draw).collect()
        })
    }

    /// The posterior mean of every observation, `[n, d]`.
    pub fn means(&self, channel: &dyn Channel, observations: &Observations) -> Result<Samples> {
        let row = |_, shown: &Shown, _: &Cholesky<f64, Dyn>, mean: DVector<f64>| {
            let signal = &self.loadings * mean;
            let mean = |(j, shown): (usize, &Option<(f64, f64)>)| {
                update(signal[j] + self.mean[j], self.variance[j], *shown).0 as f32
            };
            shown.iter().enumerate().map(mean).collect()
        };
        Samples::filled(observations.n(), self.mean.len(), |out| self.rows(channel, observations, out, row))
    }

    /// Writes `row(i, shown, factor of P, E[z])` for every observation into `out`.
    fn rows(
        &self,
        channel: &dyn Channel,
        observations: &Observations,
        out: &mut Samples,
        row: impl Fn(usize, &Shown, &Cholesky<f64, Dyn>, DVector<f64>) -> Vec<f32> + Sync + Send,
    ) -> Result<()> {
        let (linear, outer) = (diagonal(channel)?, self.outer());
        parallel::fill_rows(out, SHARD, |range| {
            let shard: Vec<Shown> = range.clone().map(|i| shown(linear, observations, i)).collect();
            let posteriors = self.posteriors(&shard, &outer)?;
            let rows = range.zip(&shard).zip(posteriors).map(|((i, shown), (factor, right))| {
                let mean = factor.solve(&right);
                row(i, shown, &factor, mean)
            });
            Ok(rows.flatten().collect())
        })
    }
}

/// Posterior mean and variance of one coordinate.
fn update(mean: f64, variance: f64, shown: Option<(f64, f64)>) -> (f64, f64) {
    match shown {
        Some((y, noise)) => {
            let gain = variance / (variance + noise);
            (mean + gain * (y - mean), variance * (1.0 - gain))
        }
        None => (mean, variance),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{ChannelConfig, MaskConfig, NoiseConfig, ProjectionConfig};
    use crate::gaussian::Gaussian;

    /// Signals of rank 2 plus noise in 12 coordinates, observed through masks.
    fn setup(n: usize) -> (impl Channel, Samples, Observations, Gaussian) {
        let d = 12;
        let loadings = DMatrix::from_fn(d, 2, |j, p| ((j * (p + 1)) as f64 * 0.7).sin());
        let covariance = &loadings * loadings.transpose() + DMatrix::identity(d, d) * 0.05;
        let law = Gaussian::new(DVector::from_fn(d, |j, _| j as f64 / 6.0 - 1.0), covariance).unwrap();
        let root = law.root();
        let draw = |i| law.draw(&root, &mut Key::new(1, Purpose::Truth, 0).stream(i, 0));
        let x = Samples::new((0..n).flat_map(|i| draw(i).iter().map(|&v| v as f32).collect::<Vec<_>>()).collect(), d);
        let stages = vec![MaskConfig { rate: 0.5 }.into(), NoiseConfig { std: 0.1.into() }.into()];
        let channel = ChannelConfig(stages).build(d).unwrap();
        let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
        (channel, x, seen, law)
    }

    #[test]
    fn the_likelihood_climbs_and_the_covariance_is_found() {
        let (channel, _, seen, law) = setup(4000);
        let (fit, history) = LowRankGaussian::fit(&channel, &seen, 2, 1.0, 40, 0).unwrap();
        // The likelihood increases up to the rounding of the single-precision products.
        assert!(history.windows(2).all(|w| w[1] > w[0] - 1e-4), "{history:?}");
        let covariance =
            &fit.loadings * fit.loadings.transpose() + DMatrix::from_diagonal(&DVector::from_vec(fit.variance.clone()));
        let worst = (covariance - &law.covariance).amax();
        // Entries are at most 2, from 1000 pairs that show both coordinates: standard errors of about 0.05.
        assert!(worst < 0.2, "{worst}");
    }

    #[test]
    fn reconstructions_are_draws_of_the_exact_posterior() {
        let (channel, _, seen, law) = setup(2000);
        let loadings = DMatrix::from_fn(12, 2, |j, p| ((j * (p + 1)) as f64 * 0.7).sin());
        let model = LowRankGaussian { mean: law.mean.iter().copied().collect(), loadings, variance: vec![0.05; 12] };
        let draws: Vec<Samples> =
            (0..400).map(|s| model.reconstruct(&channel, &seen.select(&[0, 1]), s).unwrap()).collect();
        for i in 0..2 {
            let exact = law.posterior_of(&channel, &seen, i).unwrap();
            for j in 0..12 {
                let values: Vec<f64> = draws.iter().map(|d| d.row(i)[j] as f64).collect();
                let mean = values.iter().sum::<f64>() / 400.0;
                let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 399.0;
                let std = exact.covariance[(j, j)].sqrt();
                // Four standard errors of a mean of 400 draws, and of a variance.
                assert!((mean - exact.mean[j]).abs() < 4.0 * std / 20.0, "{i} {j}: {mean} {}", exact.mean[j]);
                assert!((variance / (std * std) - 1.0).abs() < 4.0 * (2.0f64 / 399.0).sqrt(), "{i} {j}: {variance}");
            }
        }
    }

    #[test]
    fn more_loadings_than_observations_can_tell_apart_still_give_finite_draws() {
        let (channel, _, seen, _) = setup(6);
        let (fit, _) = LowRankGaussian::fit(&channel, &seen, 12, 1.0, 30, 0).unwrap();
        let draws = fit.reconstruct(&channel, &seen, 0).unwrap();
        assert!(draws.as_slice().iter().all(|v| v.is_finite() && v.abs() < 100.0));
    }

    #[test]
    fn other_channels_and_ranks_are_refused() {
        let channel = ChannelConfig(vec![ProjectionConfig { rows: 2 }.into()]).build(3).unwrap();
        let x = Samples::zeros(4, 3);
        let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
        assert!(LowRankGaussian::fit(&channel, &seen, 1, 1.0, 1, 0).is_err());
        let (channel, _, seen, _) = setup(10);
        let message = LowRankGaussian::fit(&channel, &seen, 13, 1.0, 1, 0).unwrap_err().to_string();
        assert!(message.contains("init.rank: expected 1 to 12"), "{message}");
    }
}
