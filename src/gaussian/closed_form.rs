//! A Gaussian, and what has a closed form for it.

use super::spectral::SpectralGaussian;
use crate::channel::LinearGaussian;
use crate::error::{Error, Result};
use crate::noise::Stream;
use nalgebra::{Cholesky, DMatrix, DVector, SymmetricEigen};

/// Variance that is added to observations whose covariance is singular, relative to the largest one; far above the
/// rounding errors of doubles and far below any noise that matters.
const JITTER: f64 = 1e-9;

/// Normal distribution N(μ, Σ) on R^d.
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    /// μ, length d.
    pub mean: DVector<f64>,
    /// Σ, d x d, symmetric positive semi-definite.
    pub covariance: DMatrix<f64>,
}

pub(super) fn invert(matrix: DMatrix<f64>, what: &str) -> Result<Cholesky<f64, nalgebra::Dyn>> {
    Cholesky::new(matrix).ok_or_else(|| {
        Error::config(what, "the covariance is not positive definite; add noise to the channel or drop repeated rows")
    })
}

impl Gaussian {
    /// N(μ, Σ).
    pub fn new(mean: DVector<f64>, covariance: DMatrix<f64>) -> Result<Self> {
        let d = mean.len();
        if covariance.shape() != (d, d) {
            return Err(Error::shape("covariance", format!("[{d}, {d}]"), format!("{:?}", covariance.shape())));
        }
        Ok(Self { mean, covariance })
    }

    /// N(0, s² I) in d dimensions.
    pub fn isotropic(d: usize, std: f64) -> Self {
        Self { mean: DVector::zeros(d), covariance: DMatrix::identity(d, d) * (std * std) }
    }

    /// The same distribution as independent coefficients have: images with a given spectrum.
    pub fn stationary(coefficients: &SpectralGaussian) -> Self {
        let (basis, power) = (coefficients.basis(), &coefficients.variance);
        let d = power.len();
        let mut covariance = DMatrix::zeros(d, d);
        let mut unit = vec![0.0; d];
        for j in 0..d {
            unit[j] = 1.0;
            let mut c = basis.forward(&unit);
            unit[j] = 0.0;
            c.iter_mut().zip(power).for_each(|(c, p)| *c *= p);
            covariance.column_mut(j).copy_from_slice(&basis.inverse(&c));
        }
        let mean = DVector::from_vec(basis.inverse(&coefficients.mean));
        Self { mean, covariance: (&covariance + covariance.transpose()) * 0.5 }
    }

    /// Dimension d.
    pub fn d(&self) -> usize {
        self.mean.len()
    }

    /// Gain K and posterior covariance; neither depends on y. Where E = A Σ Aᵀ + Σ_y is singular, as with a coordinate
    /// that has no spread and is observed without noise, noise of [`JITTER`] times the largest variance is added to it:
    /// such a coordinate keeps its mean.
    pub(super) fn gain(&self, model: &LinearGaussian) -> Result<(DMatrix<f64>, DMatrix<f64>)> {
        let (a, s) = (&model.matrix, &self.covariance);
        let seen = a * s;
        let evidence = || &seen * a.transpose() + &model.covariance;
        let jittered = || {
            let mut evidence = evidence();
            let widest = evidence.diagonal().max();
            let jitter = if widest > 0.0 { JITTER * widest } else { 1.0 };
            (0..evidence.nrows()).for_each(|i| evidence[(i, i)] += jitter);
            invert(evidence, "channel")
        };
        // K = Σ Aᵀ E⁻¹, from the Cholesky factor of the symmetric E.
        let k = Cholesky::new(evidence()).map_or_else(jittered, Ok)?.solve(&seen).transpose();
        let covariance = s - &k * seen;
        Ok((k, (&covariance + covariance.transpose()) * 0.5))
    }

    /// The exact posterior x | y.
    pub fn posterior(&self, model: &LinearGaussian, y: &[f64]) -> Result<Self> {
        let (model, kept) = model.informative();
        if kept.is_empty() {
            return Ok(self.clone());
        }
        let (k, covariance) = self.gain(&model)?;
        let y = DVector::from_iterator(kept.len(), kept.iter().map(|&i| y[i]));
        Ok(Self { mean: &self.mean + k * (y - &model.matrix * &self.mean), covariance })
    }

    /// The distribution of y.
    pub fn observed(&self, model: &LinearGaussian) -> Self {
        let a = &model.matrix;
        Self { mean: a * &self.mean, covariance: a * &self.covariance * a.transpose() + &model.covariance }
    }

    /// One exact EM update when the distribution of the observations is known to be `observed`
    /// (infinite data): m⁺ = m + K (m_y - A m), S⁺ = K S_y Kᵀ + (I - K A) S.
    pub fn em_update(&self, model: &LinearGaussian, observed: &Self) -> Result<Self> {
        let (k, covariance) = self.gain(model)?;
        let mean = &self.mean + &k * (&observed.mean - &model.matrix * &self.mean);
        Ok(Self { mean, covariance: covariance + &k * &observed.covariance * k.transpose() })
    }

    /// KL(self ‖ other) in nats.
    pub fn kl(&self, other: &Self) -> Result<f64> {
        let (p, q) = (invert(self.covariance.clone(), "covariance")?, invert(other.covariance.clone(), "covariance")?);
        let delta = &other.mean - &self.mean;
        let log_ratio: f64 = q.l().diagonal().iter().zip(p.l().diagonal().iter()).map(|(b, a)| (b / a).ln()).sum();
        let trace = q.solve(&self.covariance).trace();
        Ok(0.5 * (trace + delta.dot(&q.solve(&delta)) - self.d() as f64) + log_ratio)
    }

    /// One draw; `root` is [`Gaussian::root`].
    pub fn draw(&self, root: &DMatrix<f64>, stream: &mut Stream) -> DVector<f64> {
        let z = DVector::from_fn(self.d(), |_, _| stream.normal() as f64);
        &self.mean + root * z
    }

    /// Symmetric square root of Σ; defined for singular Σ too.
    pub fn root(&self) -> DMatrix<f64> {
        let eigen = SymmetricEigen::new(self.covariance.clone());
        let values = eigen.eigenvalues.map(|v| v.max(0.0).sqrt());
        &eigen.eigenvectors * DMatrix::from_diagonal(&values) * eigen.eigenvectors.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(value: f64) -> DMatrix<f64> {
        DMatrix::from_element(1, 1, value)
    }

    #[test]
    fn posterior_of_a_scalar_is_the_textbook_one() {
        let prior = Gaussian::new(DVector::from_element(1, 1.0), scalar(4.0)).unwrap();
        let model = LinearGaussian { matrix: scalar(2.0), covariance: scalar(1.0) };
        let p = prior.posterior(&model, &[3.0]).unwrap();
        // Precision 1/4 + 4 = 17/4; mean = (1/4 + 2 * 3) / (17/4).
        assert!((p.covariance[(0, 0)] - 4.0 / 17.0).abs() < 1e-14);
        assert!((p.mean[0] - 25.0 / 17.0).abs() < 1e-14);
    }

    #[test]
    fn silent_rows_leave_the_prior_alone() {
        let prior = Gaussian::isotropic(2, 1.5);
        let model = LinearGaussian { matrix: DMatrix::zeros(2, 2), covariance: DMatrix::zeros(2, 2) };
        assert_eq!(prior.posterior(&model, &[0.0, 0.0]).unwrap(), prior);
    }

    #[test]
    fn rows_of_noise_alone_leave_the_posterior_as_it_is() {
        let prior = Gaussian::isotropic(2, 1.5);
        let (matrix, noise) = (DMatrix::from_row_slice(3, 2, &[1.0, 0.5, 0.0, 0.0, 0.0, 0.0]), 0.25);
        let seen = LinearGaussian { matrix: matrix.rows(0, 1).into(), covariance: scalar(noise) };
        let mut model = LinearGaussian { matrix, covariance: DMatrix::identity(3, 3) * noise };
        let posterior = |model: &LinearGaussian| prior.posterior(model, &[0.7, -0.2, 0.4]).unwrap();
        assert_eq!(posterior(&model), prior.posterior(&seen, &[0.7]).unwrap());
        // Noise that is shared with a row of the signal tells how much of that row is noise.
        (model.covariance[(0, 1)], model.covariance[(1, 0)]) = (0.2, 0.2);
        assert!(posterior(&model).covariance[(0, 0)] < posterior(&seen).covariance[(0, 0)] - 0.01);
    }

    #[test]
    fn a_coordinate_without_spread_keeps_its_mean() {
        let mean = DVector::from_vec(vec![0.5, -1.0]);
        for variances in [[0.0, 4.0], [-1e-17, 4.0], [0.0, 0.0]] {
            let covariance = DMatrix::from_diagonal(&DVector::from_row_slice(&variances));
            let prior = Gaussian::new(mean.clone(), covariance).unwrap();
            let model = LinearGaussian { matrix: DMatrix::identity(2, 2), covariance: DMatrix::zeros(2, 2) };
            let p = prior.posterior(&model, &[0.5, 3.0]).unwrap();
            let seen = if variances[1] > 0.0 { 3.0 } else { -1.0 };
            assert!((p.mean[0] - 0.5).abs() < 1e-12 && (p.mean[1] - seen).abs() < 1e-7, "{p:?}");
            assert!(p.covariance.amax() < 1e-7, "{p:?}");
        }
    }

    #[test]
    fn kl_matches_the_scalar_formula_and_vanishes_on_itself() {
        let n = |v| Gaussian::new(DVector::zeros(1), scalar(v)).unwrap();
        let (a, b) = (2.0f64, 5.0);
        let expected = 0.5 * (a / b - 1.0 - (a / b).ln());
        assert!((n(a).kl(&n(b)).unwrap() - expected).abs() < 1e-14);
        assert!(n(a).kl(&n(a)).unwrap().abs() < 1e-15);
    }
}
