//! One iteration of EM for a low-rank Gaussian.

use super::LowRankGaussian;
use super::shown::{SHARD, Shown, shown};
use crate::channel::LinearChannel;
use crate::error::{Error, Result};
use crate::observations::Observations;
use crate::parallel;
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

/// Number of shards between two reductions; fixed, so that the number of workers does not change the
/// order of the sums.
const GROUP: usize = 4;

/// Sums over observations that the M-step needs, per coordinate.
pub(super) struct Moments {
    /// Σ E[z̃ z̃ᵀ], upper triangle, `[d, (k + 1)(k + 2) / 2]`.
    second: DMatrix<f64>,
    /// Σ ỹ E[z̃], `[d, k + 1]`.
    first: DMatrix<f64>,
    /// Σ ỹ², Σ noise variance, number of observations.
    own: Vec<[f64; 3]>,
    /// Σ log p(y).
    pub(super) log_likelihood: f64,
}

/// z | y of one observation: the Cholesky factor of P, and W_Oᵀ Ψ_O⁻¹ (ỹ - μ)_O.
pub(super) type Posterior = (Cholesky<f64, Dyn>, DVector<f64>);

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

impl LowRankGaussian {
    /// w_j w_jᵀ, upper triangle, `[d, k (k + 1) / 2]`.
    pub(super) fn outer(&self) -> DMatrix<f32> {
        let k = self.rank();
        let places: Vec<(usize, usize)> = upper(k).collect();
        DMatrix::from_fn(self.mean.len(), places.len(), |j, p| {
            (self.loadings[(j, places[p].0)] * self.loadings[(j, places[p].1)]) as f32
        })
    }

    /// Cholesky factor of P and W_Oᵀ Ψ_O⁻¹ (ỹ - μ)_O for every observation of a shard.
    pub(super) fn posteriors(&self, shard: &[Shown], outer: &DMatrix<f32>) -> Result<Vec<Posterior>> {
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
            // Where Ψ is tiny, single precision can lose the smallest eigenvalues of P, which are 1 or more.
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

    pub(super) fn moments(&self, linear: &dyn LinearChannel, observations: &Observations) -> Result<Moments> {
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

    /// The M-step; coordinates that no observation shows keep their parameters.
    pub(super) fn maximized(&self, moments: &Moments, least: f64) -> Result<Self> {
        let (d, k) = (self.mean.len(), self.rank());
        let rows = parallel::map(d, |j| {
            let [square, noise, count] = moments.own[j];
            if count == 0.0 {
                return (self.loadings.row(j).iter().copied().chain([self.mean[j]]).collect(), self.variance[j]);
            }
            let second = symmetric(k + 1, moments.second.row(j).iter().copied());
            let first = moments.first.row(j).transpose();
            // The ridge matters only for coordinates that are observed less often than there are loadings.
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
}
