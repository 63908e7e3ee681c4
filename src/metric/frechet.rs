//! Fréchet distance between the Gaussians fitted to two sets of features (Dowson and Landau, "The Fréchet
//! distance between multivariate normal distributions", 1982; Heusel et al., "GANs trained by a two
//! time-scale update rule", 2017):
//!
//! ```text
//! FD = |μ1 - μ2|² + Tr(S1 + S2 - 2 (S1^½ S2 S1^½)^½)
//! ```
//!
//! It is computed in f64, with S divided by n - 1. FD is biased upwards for small samples: compare it with
//! the distance between two samples of the truth at the same n.

use super::MetricError;
use crate::Samples;
use crate::gaussian::Gaussian;
use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Mean and covariance of rows that arrive in batches (Chan, Golub and LeVeque, "Updating formulae and a
/// pairwise algorithm for computing sample variances", 1979), in memory d².
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    n: usize,
    mean: DVector<f64>,
    /// Σ (x - mean)(x - mean)ᵀ.
    scatter: DMatrix<f64>,
}

impl Moments {
    /// Moments without rows yet, for rows of length `d` >= 1.
    pub fn new(d: usize) -> Self {
        Self { n: 0, mean: DVector::zeros(d), scatter: DMatrix::zeros(d, d) }
    }

    /// Moments of all rows of `x [n, d]`.
    ///
    /// # Errors
    /// A value that is not finite.
    pub fn of(x: &Samples) -> Result<Self, MetricError> {
        let mut moments = Self::new(x.d());
        moments.add(x)?;
        Ok(moments)
    }

    /// Adds the rows of `x [n, d]`, n >= 0.
    ///
    /// # Errors
    /// Rows of another length, a value that is not finite; no row is added then.
    pub fn add(&mut self, x: &Samples) -> Result<(), MetricError> {
        super::check_rows("x", x, 0)?;
        super::check_dimension("x", x, self.mean.len())?;
        if x.n() == 0 {
            return Ok(());
        }
        // One column per row of x.
        let mut rows = DMatrix::from_iterator(x.d(), x.n(), x.as_slice().iter().map(|&v| f64::from(v)));
        let mean = rows.column_mean();
        rows.column_iter_mut().for_each(|mut row| row -= &mean);
        let (a, b) = (self.n as f64, x.n() as f64);
        let gap = mean - &self.mean;
        self.scatter.gemm(1.0, &rows, &rows.transpose(), 1.0);
        self.scatter.ger(a * b / (a + b), &gap, &gap, 1.0);
        self.mean.axpy(b / (a + b), &gap, 1.0);
        self.n += x.n();
        Ok(())
    }

    /// Number of rows added so far.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The Gaussian with these moments, its covariance divided by n - 1.
    ///
    /// # Errors
    /// Fewer than two rows.
    pub fn gaussian(&self) -> Result<Gaussian, MetricError> {
        if self.n < 2 {
            return Err(MetricError::TooFew { set: "x", found: self.n, needed: 2 });
        }
        Ok(Gaussian { mean: self.mean.clone(), covariance: &self.scatter / (self.n - 1) as f64 })
    }
}

/// Fréchet distances to one Gaussian, whose S^½ is computed once.
#[derive(Clone, Debug)]
pub struct Frechet {
    mean: DVector<f64>,
    root: DMatrix<f64>,
    trace: f64,
}

impl Frechet {
    /// Prepares distances to `reference`, whose covariance must be symmetric positive semi-definite.
    pub fn new(reference: &Gaussian) -> Self {
        let (mean, trace) = (reference.mean.clone(), reference.covariance.trace());
        let SymmetricEigen { eigenvectors, eigenvalues } = SymmetricEigen::new(reference.covariance.clone());
        let scaled = &eigenvectors * DMatrix::from_diagonal(&eigenvalues.map(|v| v.max(0.0).sqrt()));
        Self { mean, root: scaled * eigenvectors.transpose(), trace }
    }

    /// FD to `other`, >= 0 up to rounding, in squared units of the features.
    ///
    /// # Errors
    /// Gaussians of different dimensions.
    pub fn distance(&self, other: &Gaussian) -> Result<f64, MetricError> {
        if other.d() != self.mean.len() {
            return Err(MetricError::Dimension { set: "v", expected: self.mean.len(), found: other.d() });
        }
        let product = &self.root * &other.covariance * &self.root;
        // Rounding leaves a slight asymmetry, which must not affect the eigenvalues.
        let product = (&product + product.transpose()) * 0.5;
        let overlap: f64 = product.symmetric_eigenvalues().iter().map(|v| v.max(0.0).sqrt()).sum();
        Ok((&self.mean - &other.mean).norm_squared() + self.trace + other.covariance.trace() - 2.0 * overlap)
    }
}

/// FD between two sets of features, `u [n, d]` and `v [m, d]`, n, m >= 2.
///
/// # Errors
/// Fewer than two rows, rows of different lengths, a value that is not finite.
pub fn frechet_distance(u: &Samples, v: &Samples) -> Result<f64, MetricError> {
    super::check_pair(u, v, 2)?;
    Frechet::new(&Moments::of(u)?.gaussian()?).distance(&Moments::of(v)?.gaussian()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Key, Purpose};

    fn normals(n: usize, d: usize, index: usize) -> Samples {
        let mut x = Samples::zeros(n, d);
        Key::new(3, Purpose::Truth, 0).stream(index, 0).fill_normal(x.as_mut_slice());
        x
    }

    #[test]
    fn batches_do_not_show() {
        let x = normals(50, 4, 0);
        let mut streamed = Moments::new(4);
        for range in [0..1, 1..1, 1..30, 30..50] {
            streamed.add(&x.slice(range)).unwrap();
        }
        let (streamed, whole) = (streamed.gaussian().unwrap(), Moments::of(&x).unwrap().gaussian().unwrap());
        assert!((&streamed.mean - &whole.mean).amax() < 1e-14);
        assert!((&streamed.covariance - &whole.covariance).amax() < 1e-14);
    }

    #[test]
    fn diagonal_gaussians_have_their_closed_form() {
        let normal = |mean: [f64; 2], std: [f64; 2]| Gaussian {
            mean: DVector::from_column_slice(&mean),
            covariance: DMatrix::from_diagonal(&DVector::from_column_slice(&std.map(|s| s * s))),
        };
        // |μ1 - μ2|² + Σ (s1 - s2)²; the second has a direction without spread.
        let found = Frechet::new(&normal([0.0, 1.0], [2.0, 1.0])).distance(&normal([3.0, 1.0], [0.5, 0.0])).unwrap();
        assert!((found - (9.0 + 2.25 + 1.0)).abs() < 1e-12, "{found}");
    }

    #[test]
    fn fewer_rows_than_dimensions_are_no_trouble() {
        let (u, v) = (normals(5, 12, 1), normals(6, 12, 2));
        assert!(frechet_distance(&u, &u).unwrap().abs() < 1e-6);
        let (ab, ba) = (frechet_distance(&u, &v).unwrap(), frechet_distance(&v, &u).unwrap());
        assert!(ab > 1.0 && (ab / ba - 1.0).abs() < 1e-6, "{ab} {ba}");
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let u = normals(3, 2, 0);
        assert!(frechet_distance(&u, &u.slice(0..1)).is_err() && frechet_distance(&u, &normals(3, 3, 0)).is_err());
        let mut moments = Moments::new(2);
        let infinite = Samples::new(vec![f32::INFINITY; 2], 2);
        assert!(moments.add(&infinite).is_err() && moments.gaussian().is_err());
        assert_eq!(moments, Moments::new(2));
    }
}
