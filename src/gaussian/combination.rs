//! What systems of one observation share: the covariance of the signal, and the solutions from which the next ones begin.

use crate::basis::Basis;
use crate::channel::wide;
use nalgebra::{Cholesky, DMatrix, DVector};
use std::ops::Range;

/// A covariance S of the signal.
#[derive(Clone, Copy)]
pub(crate) enum Covariance<'a> {
    /// Independent coordinates with these variances, `[d]`.
    Diagonal(&'a [f64]),
    /// Independent coefficients in a basis, with these variances, `[d]`.
    Spectral(&'a Basis, &'a [f64]),
}

impl Covariance<'_> {
    /// S x.
    pub(super) fn times(&self, x: &[f32]) -> Vec<f64> {
        self.image(self.scaled(&self.coordinates(&wide(x))))
    }

    /// d.
    pub(super) fn len(&self) -> usize {
        self.variance().len()
    }

    /// The coordinates of `x` in which S is diagonal.
    pub(super) fn coordinates(&self, x: &[f64]) -> Vec<f64> {
        match self {
            Self::Diagonal(_) => x.to_vec(),
            Self::Spectral(basis, _) => basis.forward(x),
        }
    }

    /// The signal with the coordinates `c`.
    pub(super) fn image(&self, c: Vec<f64>) -> Vec<f64> {
        match self {
            Self::Diagonal(_) => c,
            Self::Spectral(basis, _) => basis.inverse(&c),
        }
    }

    /// aᵀ S b of signals by their coordinates.
    pub(super) fn product(&self, a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).zip(self.variance()).map(|((a, b), v)| a * b * v).sum()
    }

    /// `map` of a signal, both by their coordinates.
    pub(super) fn within(&self, c: &[f64], map: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        match self {
            Self::Diagonal(_) => map(c),
            Self::Spectral(basis, _) => basis.forward(&map(&basis.inverse(c))),
        }
    }

    /// S times a signal, both by their coordinates.
    pub(super) fn scaled(&self, c: &[f64]) -> Vec<f64> {
        c.iter().zip(self.variance()).map(|(c, v)| c * v).collect()
    }

    /// The greatest variance.
    pub(super) fn greatest(&self) -> f64 {
        self.variance().iter().copied().fold(0.0, f64::max)
    }

    /// The mean variance.
    pub(super) fn mean(&self) -> f64 {
        self.variance().iter().sum::<f64>() / self.len() as f64
    }

    /// The frequency of every coordinate, in half waves per image, rounded down; `None` where coordinates have none.
    pub(super) fn bands(&self) -> Option<Vec<usize>> {
        let Self::Spectral(basis, _) = self else { return None };
        let side = basis.shape().height.max(basis.shape().width) as f64;
        let band = |l: f64| (l.max(0.0).sqrt() * side / std::f64::consts::PI + 1e-6) as usize;
        Some(basis.laplacian().into_iter().map(band).collect())
    }

    fn variance(&self) -> &[f64] {
        match self {
            Self::Diagonal(variance) | Self::Spectral(_, variance) => variance,
        }
    }
}

/// The mean of `values` over the coordinates of the same band, for every coordinate.
pub(super) fn mean_of_bands(band: &[usize], values: &[f64]) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); band.iter().max().map_or(0, |last| last + 1)];
    band.iter().zip(values).for_each(|(b, v)| sums[*b] = (sums[*b].0 + v, sums[*b].1 + 1.0));
    band.iter().map(|b| sums[*b].0 / sums[*b].1).collect()
}

/// Number of solutions that are kept.
const KEPT: usize = 2;
/// Added to the normalized products of solutions, which are alike: far above their rounding.
const RIDGE: f64 = 1e-8;

/// The last solutions for one observation, newest first: z `[m]`, then S Aᵀ z `[d]`, A S Aᵀ z `[m]` and (Σ_y + δ I) z `[m]`;
/// in the space of the signal what [`super::signal_space`] keeps.
#[derive(Default)]
pub(crate) struct History {
    solutions: Vec<Vec<f64>>,
    /// About the diagonal of AᵀA in the coordinates of S, where [`super::signal_space`] found it.
    pub(super) diagonal: Option<Vec<f64>>,
}

impl History {
    pub(super) fn keep(&mut self, solution: Vec<f64>) {
        self.solutions.insert(0, solution);
        self.solutions.truncate(KEPT);
    }
}

/// How solutions are combined.
pub(super) struct Combination<'a> {
    /// Length of what is kept of a solution.
    pub length: usize,
    /// Where in it is what its product with images is taken of.
    pub dual: Range<usize>,
    /// Its image under the map.
    pub image: &'a dyn Fn(&[f64]) -> Vec<f64>,
}

/// The combination of the solutions in `history` for `r` whose error is least in the norm of the map; zeros without any.
pub(super) fn combined(way: &Combination<'_>, r: &[f64], history: &History) -> Vec<f64> {
    let mut sum = vec![0.0; way.length];
    let kept: Vec<(&[f64], Vec<f64>)> =
        history.solutions.iter().map(|solution| (&solution[way.dual.clone()], (way.image)(solution))).collect();
    let norms: Vec<f64> = kept.iter().map(|(z, image)| dot(z, image).sqrt()).collect();
    if norms.is_empty() || !norms.iter().all(|norm| *norm > 0.0 && norm.is_finite()) {
        return sum;
    }
    let product = |i: usize, j: usize| dot(kept[i].0, &kept[j].1) / (norms[i] * norms[j]);
    let matrix = DMatrix::from_fn(kept.len(), kept.len(), |i, j| product(i, j) + if i == j { RIDGE } else { 0.0 });
    let right = DVector::from_fn(kept.len(), |i, _| dot(kept[i].0, r) / norms[i]);
    if let Some(factor) = Cholesky::new(matrix) {
        let weights = factor.solve(&right);
        history.solutions.iter().enumerate().for_each(|(i, solution)| add(&mut sum, weights[i] / norms[i], solution));
    }
    sum
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn add(to: &mut [f64], factor: f64, x: &[f64]) {
    to.iter_mut().zip(x).for_each(|(to, x)| *to += factor * x);
}
