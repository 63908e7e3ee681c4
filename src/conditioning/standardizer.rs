//! Coordinates in which the diffusion runs: x = μ + L x̃, where x̃ has mean 0 and covariance near I.
//!
//! The preconditioning and the measurement update assume x̃ ~ N(0, σ_d² I). If μ and L Lᵀ are the moments of
//! the first reconstructions, this is their Gaussian fit, so the network only has to learn the remainder: for
//! a Gaussian signal observed through a linear channel, F = 0 is already the exact posterior.

use super::measurement::MAX_DENSE;
use super::shared::{self, Factors, Place};
use crate::channel::Channel;
use crate::error::{Error, Result};
use crate::samples::Samples;
use crate::scratch::with_scratch;
use nalgebra::{Cholesky, DMatrix, DVector, SymmetricEigen};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Minimum standard deviation of a direction, relative to the widest one.
const MIN_SPREAD: f64 = 1e-3;
/// Minimum standard deviation: the network computes in single precision, which holds the square of no smaller one.
const MIN_STD: f64 = 1e-18;
/// Maximum length of signals whose directions, not only their coordinates, are standardized by default.
const MAX_DIRECTIONS: usize = 32;

/// What is standardized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Standardize {
    /// All coordinates jointly for channels that are diagonal in the cosine basis (blur). Otherwise
    /// directions for dense linear channels with up to 32 coordinates, and single coordinates for
    /// all other channels.
    #[default]
    Auto,
    /// No standardization.
    None,
    /// All coordinates jointly, with one mean and one standard deviation: for images, whose
    /// pixels share one scale.
    Scale,
    /// Each coordinate.
    Coordinates,
    /// Each principal direction of signals with up to 256 coordinates; each coordinate of longer signals.
    Directions,
}

impl Standardize {
    /// True when directions, not only coordinates, are standardized for signals of length `d`.
    pub(crate) fn is_full(self, d: usize, diagonal: bool) -> bool {
        match self {
            Self::None | Self::Scale | Self::Coordinates => false,
            Self::Directions => d <= MAX_DENSE,
            Self::Auto => !diagonal && d <= MAX_DIRECTIONS,
        }
    }
}

/// A standard deviation to divide by; 1 where nothing varies.
fn usable(std: f64) -> f64 {
    if std > 0.0 { std.max(MIN_STD) } else { 1.0 }
}

/// An affine change of coordinates x = μ + L x̃.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardizer {
    /// μ, length d.
    pub mean: Vec<f64>,
    /// L, as its diagonal (d values) or row by row (d x d values).
    pub root: Vec<f64>,
    /// L⁻¹ in the same layout.
    inverse: Vec<f64>,
    /// Variance of each coefficient of x̃ in the basis in which the channel is diagonal, length d, if there is one: x̃
    /// is then treated as N(0, Uᵀ diag(power) U), an image with a spectrum, instead of N(0, σ_d² I).
    pub power: Option<Vec<f64>>,
    /// The operator that all observations of a posterior's channel share, in these coordinates.
    shared: Place,
}

impl Standardizer {
    /// The identity x = x̃ in `d` dimensions.
    pub fn identity(d: usize) -> Self {
        Self { mean: vec![0.0; d], root: vec![1.0; d], inverse: vec![1.0; d], power: None, shared: Place::default() }
    }

    /// Standardizer from the moments of `x [n, d]`; `diagonal` says whether the channel is diagonal.
    pub fn of(x: &Samples, standardize: Standardize, diagonal: bool) -> Self {
        let d = x.d();
        match standardize {
            Standardize::None => return Self::identity(d),
            Standardize::Scale => return Self::scale(x),
            _ => {}
        }
        let n = x.n() as f64;
        let row = |r: &[f32]| DVector::from_iterator(d, r.iter().map(|&v| v as f64));
        let mean = x.rows().map(row).sum::<DVector<f64>>() / n;
        if !standardize.is_full(d, diagonal) {
            let square = |r: &[f32]| (row(r) - &mean).map(|v| v * v);
            let variance = x.rows().map(square).sum::<DVector<f64>>() / n;
            let least = variance.amax().sqrt() * MIN_SPREAD;
            let root: Vec<f64> = variance.iter().map(|v| usable(v.sqrt().max(least))).collect();
            let inverse = root.iter().map(|v| 1.0 / v).collect();
            return Self { mean: mean.iter().copied().collect(), root, inverse, power: None, shared: Place::default() };
        }
        let outer = |r: &[f32]| (row(r) - &mean) * (row(r) - &mean).transpose();
        let eigen = SymmetricEigen::new(x.rows().map(outer).sum::<DMatrix<f64>>() / n);
        let least = eigen.eigenvalues.amax().sqrt() * MIN_SPREAD;
        let std = eigen.eigenvalues.map(|v| usable(v.max(0.0).sqrt().max(least)));
        let u = &eigen.eigenvectors;
        let root = u * DMatrix::from_diagonal(&std);
        let inverse = DMatrix::from_diagonal(&std.map(|v| 1.0 / v)) * u.transpose();
        let by_row = |m: DMatrix<f64>| m.transpose().iter().copied().collect();
        let mean = mean.iter().copied().collect();
        Self { mean, root: by_row(root), inverse: by_row(inverse), power: None, shared: Place::default() }
    }

    /// One mean and one standard deviation for all values of `x`.
    fn scale(x: &Samples) -> Self {
        let (d, count) = (x.d(), x.as_slice().len() as f64);
        // Rows are summed first, because adding millions of squares to one number would lose digits.
        let sum = |f: &dyn Fn(f64) -> f64| x.rows().map(|r| r.iter().map(|&v| f(v as f64)).sum::<f64>()).sum::<f64>();
        let mean = sum(&|v| v) / count;
        let std = usable((sum(&|v| (v - mean) * (v - mean)) / count).sqrt());
        Self {
            mean: vec![mean; d],
            root: vec![std; d],
            inverse: vec![1.0 / std; d],
            power: None,
            shared: Place::default(),
        }
    }

    /// Creates the standardizer with these μ and L (laid out as in the fields).
    pub fn new(mean: Vec<f64>, root: Vec<f64>) -> Result<Self> {
        let d = mean.len();
        let bad =
            || Error::shape("standardizer", format!("an invertible matrix of {d} or {d} x {d} values"), root.len());
        if root.len() == d {
            let inverse: Vec<f64> = root.iter().map(|v| 1.0 / v).collect();
            return match inverse.iter().all(|v| v.is_finite()) {
                true => Ok(Self { mean, root, inverse, power: None, shared: Place::default() }),
                false => Err(bad()),
            };
        }
        if root.len() != d * d {
            return Err(bad());
        }
        // (LᵀL)⁻¹ Lᵀ: the columns of an L that was found above are orthogonal, so that nothing is lost by the product.
        let l = DMatrix::from_row_slice(d, d, &root);
        let inverse = Cholesky::new(l.tr_mul(&l)).ok_or_else(bad)?.solve(&l.transpose());
        let inverse = inverse.transpose().iter().copied().collect();
        Ok(Self { mean, root, inverse, power: None, shared: Place::default() })
    }

    /// Sets the spectrum of the coefficients: d positive numbers, or none.
    pub fn with_power(self, power: Option<Vec<f64>>) -> Result<Self> {
        let d = self.mean.len();
        match power.iter().find(|power| power.len() != d || power.iter().any(|v| !(*v > 0.0 && v.is_finite()))) {
            Some(power) => Err(Error::shape("spectrum of the standardizer", format!("{d} numbers > 0"), power.len())),
            None => Ok(Self { power, ..self }),
        }
    }

    /// These coordinates for a posterior of `channel`: its operator is factored at most once, for this standardizer and
    /// its clones.
    pub(crate) fn of_channel(self, channel: &Arc<dyn Channel>) -> Self {
        if !shared::applies(channel.as_ref()) {
            return self;
        }
        Self { shared: self.shared.of(channel), ..self }
    }

    /// True where the observations of `channel`, to which these coordinates belong, share their operator.
    pub(super) fn shares(&self, channel: &dyn Channel) -> bool {
        self.shared.is_of(channel)
    }

    /// The factored operator that the observations of `channel` share.
    pub(super) fn factors(&self, channel: &dyn Channel) -> Option<&Factors> {
        self.shared.factors(channel, &self.mean, &self.root)
    }

    /// True when L is diagonal.
    pub fn is_diagonal(&self) -> bool {
        self.root.len() == self.mean.len()
    }

    /// The scale s if L = s I; such a standardizer works in any orthonormal basis.
    pub fn uniform(&self) -> Option<f64> {
        let scale = *self.root.first()?;
        (self.is_diagonal() && self.root.iter().all(|l| *l == scale)).then_some(scale)
    }

    /// Computes x̃ = L⁻¹ (x - μ) for every row.
    pub fn standardize(&self, x: &Samples) -> Samples {
        let mut centered = vec![0.0; x.d()];
        self.map(x, |x, out| {
            centered.iter_mut().zip(x).zip(&self.mean).for_each(|((c, &x), m)| *c = x as f64 - m);
            self.times(&self.inverse, &centered, out);
        })
    }

    /// Computes x = μ + L x̃ for every row.
    pub fn restore(&self, x: &Samples) -> Samples {
        let mut standard = vec![0.0; x.d()];
        self.map(x, |x, out| {
            standard.iter_mut().zip(x).for_each(|(s, &x)| *s = x as f64);
            self.times(&self.root, &standard, out);
            out.iter_mut().zip(&self.mean).for_each(|(out, m)| *out += m);
        })
    }

    fn map(&self, x: &Samples, mut f: impl FnMut(&[f32], &mut [f64])) -> Samples {
        let mut out = vec![0.0; x.d()];
        let mut values = Vec::with_capacity(x.as_slice().len());
        for row in x.rows() {
            f(row, &mut out);
            values.extend(out.iter().map(|&v| v as f32));
        }
        Samples::new(values, x.d())
    }

    fn times(&self, matrix: &[f64], x: &[f64], out: &mut [f64]) {
        if self.is_diagonal() {
            return out.iter_mut().zip(matrix).zip(x).for_each(|((out, m), x)| *out = m * x);
        }
        for (row, out) in matrix.chunks_exact(x.len()).zip(out) {
            *out = row.iter().zip(x).map(|(m, x)| m * x).sum();
        }
    }

    /// Replaces A by A L in place, for `a [m, d]` row by row or, if `diagonal`, for the diagonals of A and L.
    pub fn compose(&self, a: &mut [f64], diagonal: bool) {
        let d = self.mean.len();
        if diagonal {
            return a.iter_mut().zip(&self.root).for_each(|(a, l)| *a *= l);
        }
        if self.is_diagonal() {
            return a.chunks_exact_mut(d).for_each(|row| row.iter_mut().zip(&self.root).for_each(|(a, l)| *a *= l));
        }
        with_scratch(d, |product| {
            for row in a.chunks_exact_mut(d) {
                for (j, product) in product.iter_mut().enumerate() {
                    *product = (0..d).map(|k| row[k] * self.root[k * d + j]).sum();
                }
                row.copy_from_slice(product);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Key, Purpose};

    fn cloud() -> Samples {
        let mut x = Samples::zeros(5000, 3);
        for i in 0..x.n() {
            let mut s = Key::new(1, Purpose::Truth, 0).stream(i, 0);
            let (a, b, c) = (s.normal(), s.normal(), s.normal());
            x.row_mut(i).copy_from_slice(&[1.0 + 2.0 * a, a + 0.1 * b, -3.0 + c]);
        }
        x
    }

    #[test]
    fn standardized_samples_have_mean_zero_and_unit_covariance() {
        let x = cloud();
        for (kind, correlated) in [(Standardize::Directions, false), (Standardize::Coordinates, true)] {
            let standardizer = Standardizer::of(&x, kind, false);
            let y = standardizer.standardize(&x);
            let moment = |i: usize, j: usize| y.rows().map(|r| (r[i] * r[j]) as f64).sum::<f64>() / y.n() as f64;
            assert!((0..3).all(|i| (moment(i, i) - 1.0).abs() < 1e-3));
            assert_eq!(moment(0, 1).abs() > 0.5, correlated);
            let back = standardizer.restore(&y);
            assert!(x.as_slice().iter().zip(back.as_slice()).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }

    #[test]
    fn signals_without_spread_have_coordinates_too() {
        for value in [0.0, 0.5] {
            let x = Samples::new(vec![value; 12], 3);
            for kind in [Standardize::Directions, Standardize::Coordinates, Standardize::Scale] {
                let standardizer = Standardizer::of(&x, kind, false);
                let again = Standardizer::new(standardizer.mean.clone(), standardizer.root.clone()).unwrap();
                assert!(again.inverse.iter().all(|v| (*v as f32).is_finite()), "{kind:?}");
                let y = standardizer.standardize(&x);
                assert!(y.as_slice().iter().all(|v| *v == 0.0) && standardizer.restore(&y) == x, "{kind:?}");
            }
        }
    }

    #[test]
    fn a_frame_is_rebuilt_from_its_mean_and_root() {
        let standardizer = Standardizer::of(&cloud(), Standardize::Directions, false);
        let again = Standardizer::new(standardizer.mean.clone(), standardizer.root.clone()).unwrap();
        assert!(standardizer.inverse.iter().zip(&again.inverse).all(|(a, b)| (a - b).abs() < 1e-9));
        assert!(
            Standardizer::new(vec![0.0; 2], vec![1.0; 3]).is_err()
                && Standardizer::new(vec![0.0; 2], vec![0.0; 4]).is_err()
        );
    }
}
