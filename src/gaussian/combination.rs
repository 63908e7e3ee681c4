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
    pub(super) fn times(&self, x: &[f32]) -> Vec<f64> {
        self.times_wide(&wide(x))
    }

    pub(super) fn times_wide(&self, x: &[f64]) -> Vec<f64> {
        match self {
            Self::Diagonal(variance) => x.iter().zip(*variance).map(|(x, v)| x * v).collect(),
            Self::Spectral(basis, variance) => {
                let mut c = basis.forward(x);
                c.iter_mut().zip(*variance).for_each(|(c, v)| *c *= v);
                basis.inverse(&c)
            }
        }
    }
}

/// Number of solutions that are kept.
const KEPT: usize = 2;
/// Added to the normalized products of solutions, which are alike: far above their rounding.
const RIDGE: f64 = 1e-8;

/// The last solutions for one observation, newest first: z `[m]`, then S Aᵀ z `[d]`, A S Aᵀ z `[m]` and (Σ_y + δ I) z `[m]`;
/// in the space of the signal what [`super::signal_space`] keeps.
#[derive(Default)]
pub(crate) struct History(Vec<Vec<f64>>);

impl History {
    pub(super) fn keep(&mut self, solution: Vec<f64>) {
        self.0.insert(0, solution);
        self.0.truncate(KEPT);
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
        history.0.iter().map(|solution| (&solution[way.dual.clone()], (way.image)(solution))).collect();
    let norms: Vec<f64> = kept.iter().map(|(z, image)| dot(z, image).sqrt()).collect();
    if norms.is_empty() || !norms.iter().all(|norm| *norm > 0.0 && norm.is_finite()) {
        return sum;
    }
    let product = |i: usize, j: usize| dot(kept[i].0, &kept[j].1) / (norms[i] * norms[j]);
    let matrix = DMatrix::from_fn(kept.len(), kept.len(), |i, j| product(i, j) + if i == j { RIDGE } else { 0.0 });
    let right = DVector::from_fn(kept.len(), |i, _| dot(kept[i].0, r) / norms[i]);
    if let Some(factor) = Cholesky::new(matrix) {
        let weights = factor.solve(&right);
        history.0.iter().enumerate().for_each(|(i, solution)| add(&mut sum, weights[i] / norms[i], solution));
    }
    sum
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn add(to: &mut [f64], factor: f64, x: &[f64]) {
    to.iter_mut().zip(x).for_each(|(to, x)| *to += factor * x);
}
