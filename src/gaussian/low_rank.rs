//! Gaussians of low rank plus a diagonal, for signals too long for a full covariance: x = μ + W z + e, z ~ N(0, I_k),
//! e ~ N(0, diag D), fitted by EM to observations of a diagonal channel (masks, noise) — factor analysis with missing values
//! (Rubin & Thayer 1982; Tipping & Bishop 1999).
//!
//! With O the coordinates that observation i shows, ỹ = y / a and Ψ = D + (noise variance) / a²:
//!
//! ```text
//! E-step  P = I + W_Oᵀ Ψ_O⁻¹ W_O,  z | y ~ N(P⁻¹ W_Oᵀ Ψ_O⁻¹ (ỹ - μ)_O, P⁻¹)
//! M-step  (w_j, μ_j) by regression of ỹ_j on (z, 1) over the observations that show j,  Ψ_j the mean residual
//! ```
//!
//! Coordinates that are not shown need no imputation: they drop out of the likelihood, which climbs at every iteration.

use crate::channel::{Channel, LinearChannel};
use crate::error::{Error, Result};
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::parallel;
use crate::samples::Samples;
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

/// Observations that one worker takes.
const SHARD: usize = 256;
/// Shards between two reductions; fixed, so that the number of workers does not change the order of the sums.
const GROUP: usize = 4;
/// Least variance of e, relative to the initial one.
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

/// What observation i shows: per coordinate ỹ and its noise variance, `None` where nothing is shown.
type Shown = Vec<Option<(f64, f64)>>;

/// Sums over observations that the M-step needs, per coordinate.
struct Moments {
    /// Σ E[z̃ z̃ᵀ], upper triangle, `[d, (k + 1)(k + 2) / 2]`.
    second: DMatrix<f64>,
    /// Σ ỹ E[z̃], `[d, k + 1]`.
    first: DMatrix<f64>,
    /// Σ ỹ², Σ noise variance, number of observations.
    own: Vec<[f64; 3]>,
    /// Σ log p(y).
    log_likelihood: f64,
}

/// z | y of one observation: the factor of P, and W_Oᵀ Ψ_O⁻¹ (ỹ - μ)_O.
type Posterior = (Cholesky<f64, Dyn>, DVector<f64>);

fn upper(k: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..k).flat_map(move |i| (i..k).map(move |j| (i, j)))
}

fn symmetric(k: usize, values: impl IntoIterator<Item = f64>) -> DMatrix<f64> {
    let mut out = DMatrix::zeros(k, k);
    for ((i, j), v) in upper(k).zip(values) {
        (out[(i, j)], out[(j, i)]) = (v, v);
    }
    out
}

/// The diagonal view of a channel.
fn diagonal(channel: &dyn Channel) -> Result<&dyn LinearChannel> {
    channel
        .as_linear()
        .filter(|linear| linear.is_diagonal())
        .ok_or(Error::NotLinear("a low-rank Gaussian start (it takes masks and noise; others start \"corrupted\")"))
}

fn shown(linear: &dyn LinearChannel, observations: &Observations, i: usize) -> Shown {
    let d = linear.signal_len();
    let (mut a, mut noise) = (vec![0.0; d], vec![0.0; d]);
    linear.write_diagonal(observations.operator(i), &mut a, &mut noise);
    let see = |j: usize| (a[j] != 0.0).then(|| (observations.y.row(i)[j] as f64 / a[j], noise[j] / (a[j] * a[j])));
    (0..d).map(see).collect()
}

impl LowRankGaussian {
    /// Fits rank `rank` by `iterations` of EM from loadings and noise of standard deviation `std`. Returns the fit and the
    /// mean log-likelihood of an observation before each iteration, in nats.
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
            return Err(Error::config(
                "init.rank",
                format!("expected 1 to {d} (the signal's length), found {rank}"),
            ));
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

    /// w_j w_jᵀ, upper triangle, `[d, k (k + 1) / 2]`.
    fn outer(&self) -> DMatrix<f32> {
        let k = self.rank();
        let places: Vec<(usize, usize)> = upper(k).collect();
        DMatrix::from_fn(self.mean.len(), places.len(), |j, p| {
            (self.loadings[(j, places[p].0)] * self.loadings[(j, places[p].1)]) as f32
        })
    }

    /// Cholesky factor of P and W_Oᵀ Ψ_O⁻¹ (ỹ - μ)_O of every observation of a shard.
    fn posteriors(&self, shard: &[Shown], outer: &DMatrix<f32>) -> Result<Vec<Posterior>> {
        let (d, k) = (self.mean.len(), self.rank());
        let precision = |s: &Shown, j: usize| s[j].map_or(0.0, |(_, r)| 1.0 / (self.variance[j] + r));
        let weights = DMatrix::<f32>::from_fn(shard.len(), d, |i, j| precision(&shard[i], j) as f32);
        let sums = weights * outer;
        let residuals = DMatrix::<f64>::from_fn(shard.len(), d, |i, j| {
            shard[i][j].map_or(0.0, |(y, r)| (y - self.mean[j]) / (self.variance[j] + r))
        });
        let right = residuals * &self.loadings;
        let factor = |i: usize| {
            let p = symmetric(k, sums.row(i).iter().map(|&v| v as f64)) + DMatrix::identity(k, k);
            let singular = || Error::config("init", "the posterior of an observation is not positive definite");
            // Where Ψ is tiny, single precision can lose P's least eigenvalues, which are 1 or more.
            let factor = Cholesky::new(p).or_else(|| Cholesky::new(self.precision(&shard[i])));
            Ok((factor.ok_or_else(singular)?, right.row(i).transpose()))
        };
        (0..shard.len()).map(factor).collect()
    }

    /// P of one observation in double precision.
    fn precision(&self, shown: &Shown) -> DMatrix<f64> {
        let mut p = DMatrix::identity(self.rank(), self.rank());
        for (j, (_, r)) in shown.iter().enumerate().filter_map(|(j, s)| s.map(|s| (j, s))) {
            let w = self.loadings.row(j).transpose();
            p.ger(1.0 / (self.variance[j] + r), &w, &w, 1.0);
        }
        p
    }

    fn moments(&self, linear: &dyn LinearChannel, observations: &Observations) -> Result<Moments> {
        let (n, d, k) = (observations.n(), self.mean.len(), self.rank());
        let outer = self.outer();
        let mut total = Moments {
            second: DMatrix::zeros(d, (k + 1) * (k + 2) / 2),
            first: DMatrix::zeros(d, k + 1),
            own: vec![[0.0; 3]; d],
            log_likelihood: 0.0,
        };
        let shards = n.div_ceil(SHARD);
        for group in (0..shards).step_by(GROUP) {
            let parts = parallel::map(GROUP.min(shards - group), |s| {
                let from = (group + s) * SHARD;
                let shard: Vec<Shown> = (from..n.min(from + SHARD)).map(|i| shown(linear, observations, i)).collect();
                self.shard_moments(&shard, &outer)
            });
            for part in parts {
                let part = part?;
                total.second += part.second;
                total.first += part.first;
                total.log_likelihood += part.log_likelihood;
                for (sum, own) in total.own.iter_mut().zip(part.own) {
                    sum.iter_mut().zip(own).for_each(|(sum, v)| *sum += v);
                }
            }
        }
        Ok(total)
    }

    fn shard_moments(&self, shard: &[Shown], outer: &DMatrix<f32>) -> Result<Moments> {
        let (d, k) = (self.mean.len(), self.rank());
        let mut second = DMatrix::<f32>::zeros(shard.len(), (k + 1) * (k + 2) / 2);
        let mut first = DMatrix::<f32>::zeros(shard.len(), k + 1);
        let mut log_likelihood = 0.0;
        for (i, (factor, right)) in self.posteriors(shard, outer)?.into_iter().enumerate() {
            let mean = factor.solve(&right);
            let covariance = factor.inverse();
            log_likelihood += self.log_likelihood(&shard[i], &factor, right.dot(&mean));
            let z = |p: usize| if p < k { mean[p] } else { 1.0 };
            for (place, (p, q)) in upper(k + 1).enumerate() {
                let spread = if p < k && q < k { covariance[(p, q)] } else { 0.0 };
                second[(i, place)] = (spread + z(p) * z(q)) as f32;
            }
            (0..=k).for_each(|p| first[(i, p)] = z(p) as f32);
        }
        let shows = DMatrix::<f32>::from_fn(d, shard.len(), |j, i| f32::from(shard[i][j].is_some()));
        let values = DMatrix::<f32>::from_fn(d, shard.len(), |j, i| shard[i][j].map_or(0.0, |(y, _)| y as f32));
        let own = |j: usize| {
            shard
                .iter()
                .filter_map(|s| s[j])
                .fold([0.0; 3], |[square, noise, count], (y, r)| [square + y * y, noise + r, count + 1.0])
        };
        Ok(Moments {
            second: (shows * second).map(f64::from),
            first: (values * first).map(f64::from),
            own: (0..d).map(own).collect(),
            log_likelihood,
        })
    }

    /// log p(y_O) = -½ (|O| log 2π + Σ log Ψ + log |P| + Σ (ỹ - μ)²/Ψ - bᵀ P⁻¹ b).
    fn log_likelihood(&self, shown: &Shown, factor: &Cholesky<f64, Dyn>, explained: f64) -> f64 {
        let mut sum = -explained;
        for (j, (y, r)) in shown.iter().enumerate().filter_map(|(j, s)| s.map(|s| (j, s))) {
            let psi = self.variance[j] + r;
            sum += (std::f64::consts::TAU * psi).ln() + (y - self.mean[j]).powi(2) / psi;
        }
        let l = factor.l_dirty();
        sum += (0..self.rank()).map(|p| 2.0 * l[(p, p)].ln()).sum::<f64>();
        -0.5 * sum
    }

    /// The M-step; coordinates that no observation shows stay as they are.
    fn maximized(&self, moments: &Moments, least: f64) -> Result<Self> {
        let (d, k) = (self.mean.len(), self.rank());
        let rows = parallel::map(d, |j| {
            let [square, noise, count] = moments.own[j];
            if count == 0.0 {
                return (self.loadings.row(j).iter().copied().chain([self.mean[j]]).collect(), self.variance[j]);
            }
            let second = symmetric(k + 1, moments.second.row(j).iter().copied());
            let first = moments.first.row(j).transpose();
            // The ridge matters only to coordinates shown less often than there are loadings.
            let ridged = &second + DMatrix::identity(k + 1, k + 1) * (1e-6 * count);
            let w = Cholesky::new(ridged).map_or_else(|| DVector::zeros(k + 1), |f| f.solve(&first));
            let residual = square - 2.0 * w.dot(&first) + w.dot(&(&second * &w));
            let variance = ((residual - noise) / count).max(least);
            (w.iter().copied().collect::<Vec<f64>>(), variance)
        });
        let mut next = self.clone();
        for (j, (w, variance)) in rows.into_iter().enumerate() {
            (0..k).for_each(|p| next.loadings[(j, p)] = w[p]);
            (next.mean[j], next.variance[j]) = (w[k], variance);
        }
        match next.mean.iter().chain(&next.loadings).all(|v| v.is_finite()) {
            true => Ok(next),
            false => Err(Error::config("init", "the low-rank fit did not stay finite; try a smaller rank")),
        }
    }

    /// One posterior draw of every observation, keyed by (seed, observation): `[n, d]`.
    pub fn reconstruct(&self, channel: &dyn Channel, observations: &Observations, seed: u64) -> Result<Samples> {
        let fill = |out: &mut Samples| self.reconstruct_into(channel, observations, seed, out);
        Samples::filled(observations.n(), self.mean.len(), fill)
    }

    /// [`LowRankGaussian::reconstruct`] into a table of `[n, d]`.
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

    /// `row(i, shown, factor of P, E[z])` of every observation into `out`.
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

/// Mean of what is shown of each coordinate; 0 where nothing is.
fn observed_means(linear: &dyn LinearChannel, observations: &Observations) -> Vec<f64> {
    let mut sums = vec![(0.0, 0usize); linear.signal_len()];
    for i in 0..observations.n() {
        for (sum, (y, _)) in
            sums.iter_mut().zip(shown(linear, observations, i)).filter_map(|(sum, s)| s.map(|s| (sum, s)))
        {
            *sum = (sum.0 + y, sum.1 + 1);
        }
    }
    sums.into_iter().map(|(sum, n)| sum / n.max(1) as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{ChannelConfig, MaskConfig, NoiseConfig, ProjectionConfig};
    use crate::gaussian::Gaussian;

    /// Signals of rank 2 plus noise in 12 coordinates, seen through masks.
    fn setup(n: usize) -> (impl Channel, Samples, Observations, Gaussian) {
        let d = 12;
        let loadings = DMatrix::from_fn(d, 2, |j, p| ((j * (p + 1)) as f64 * 0.7).sin());
        let covariance = &loadings * loadings.transpose() + DMatrix::identity(d, d) * 0.05;
        let law = Gaussian::new(DVector::from_fn(d, |j, _| j as f64 / 6.0 - 1.0), covariance).unwrap();
        let root = law.root();
        let draw = |i| law.draw(&root, &mut Key::new(1, Purpose::Truth, 0).stream(i, 0));
        let x = Samples::new((0..n).flat_map(|i| draw(i).iter().map(|&v| v as f32).collect::<Vec<_>>()).collect(), d);
        let stages = vec![MaskConfig { rate: 0.5 }.into(), NoiseConfig { std: 0.1 }.into()];
        let channel = ChannelConfig(stages).build(d).unwrap();
        let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
        (channel, x, seen, law)
    }

    #[test]
    fn the_likelihood_climbs_and_the_covariance_is_found() {
        let (channel, _, seen, law) = setup(4000);
        let (fit, history) = LowRankGaussian::fit(&channel, &seen, 2, 1.0, 40, 0).unwrap();
        // Up to the rounding of the single-precision products.
        assert!(history.windows(2).all(|w| w[1] > w[0] - 1e-4), "{history:?}");
        let covariance =
            &fit.loadings * fit.loadings.transpose() + DMatrix::from_diagonal(&DVector::from_vec(fit.variance.clone()));
        let worst = (covariance - &law.covariance).amax();
        // Entries up to 2 from 1000 pairs that show both coordinates: standard errors of about 0.05.
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
