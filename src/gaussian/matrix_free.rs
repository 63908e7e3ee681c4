//! Posteriors of linear channels without their matrices, by conjugate gradient on products with A and Aᵀ:
//!
//! ```text
//! K r = S Aᵀ z,   (A S Aᵀ + Σ_y + δ I) z = r
//! ```
//!
//! S is the covariance before the observation. Memory is a few vectors of length d and m.

use crate::basis::Basis;
use crate::channel::{LinearChannel, narrow, wide};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// When conjugate gradient stops.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SolverConfig {
    /// Maximum number of iterations, 1 to 10000; each takes one product with A and one with its transpose.
    pub iterations: usize,
    /// Norm of the residual, relative to the right-hand side, at which it stops, in (0, 1).
    pub tolerance: f64,
}

impl Default for SolverConfig {
    fn default() -> Self {
        Self { iterations: 100, tolerance: 1e-6 }
    }
}

impl SolverConfig {
    /// Checks the ranges; the error names the setting below `field`.
    pub fn validate(&self, field: &str) -> Result<()> {
        if !(1..=10_000).contains(&self.iterations) {
            let message = format!("expected 1 to 10000, found {}", self.iterations);
            return Err(Error::config(format!("{field}.iterations"), message));
        }
        if !(self.tolerance > 0.0 && self.tolerance < 1.0) {
            let message = format!("expected a number in (0, 1), found {}", self.tolerance);
            return Err(Error::config(format!("{field}.tolerance"), message));
        }
        Ok(())
    }
}

/// A covariance S of the signal.
#[derive(Clone, Copy)]
pub(crate) enum Covariance<'a> {
    /// Independent coordinates with these variances, `[d]`.
    Diagonal(&'a [f64]),
    /// Independent coefficients in a basis, with these variances, `[d]`.
    Spectral(&'a Basis, &'a [f64]),
}

impl Covariance<'_> {
    fn times(&self, x: &[f32]) -> Vec<f64> {
        match self {
            Self::Diagonal(variance) => x.iter().zip(*variance).map(|(x, v)| f64::from(*x) * v).collect(),
            Self::Spectral(basis, variance) => {
                let mut c = basis.forward(&wide(x));
                c.iter_mut().zip(*variance).for_each(|(c, v)| *c *= v);
                basis.inverse(&c)
            }
        }
    }
}

/// The system of one observation.
pub(crate) struct System<'a> {
    pub linear: &'a dyn LinearChannel,
    /// Parameters of the operator.
    pub a: &'a [f32],
    /// S.
    pub covariance: Covariance<'a>,
    /// δ >= 0.
    pub floor: f64,
    pub solver: SolverConfig,
}

impl System<'_> {
    /// K r = S Aᵀ z for `r [m]`, `[d]`.
    pub fn correction(&self, r: &[f64]) -> Vec<f64> {
        self.covariance.times(&self.adjoint(&self.solve(r)))
    }

    fn adjoint(&self, z: &[f64]) -> Vec<f32> {
        let mut x = vec![0.0f32; self.linear.signal_len()];
        self.linear.adjoint(self.a, &narrow(z), &mut x);
        x
    }

    /// (A S Aᵀ + Σ_y + δ I) z.
    fn times(&self, z: &[f64]) -> Vec<f64> {
        let spread = narrow(&self.covariance.times(&self.adjoint(z)));
        let (mut seen, mut noise) = (vec![0.0f32; z.len()], vec![0.0f32; z.len()]);
        self.linear.apply(self.a, &spread, &mut seen);
        self.linear.apply_noise(self.a, &narrow(z), &mut noise);
        (0..z.len()).map(|i| f64::from(seen[i]) + f64::from(noise[i]) + self.floor * z[i]).collect()
    }

    /// z, as far as the solver goes.
    fn solve(&self, r: &[f64]) -> Vec<f64> {
        conjugate_gradient(|z| self.times(z), r, self.solver)
    }
}

/// Solves `product`(z) = r for a symmetric positive definite map, from z = 0.
pub(crate) fn conjugate_gradient(product: impl Fn(&[f64]) -> Vec<f64>, r: &[f64], solver: SolverConfig) -> Vec<f64> {
    let mut z = vec![0.0; r.len()];
    let (mut residual, mut direction) = (r.to_vec(), r.to_vec());
    let mut square = dot(r, r);
    let end = square * solver.tolerance * solver.tolerance;
    for _ in 0..solver.iterations {
        if square <= end {
            break;
        }
        let image = product(&direction);
        let curvature = dot(&direction, &image);
        // Rounding alone can leave a direction that the map does not see.
        if !(curvature > 0.0 && curvature.is_finite()) {
            break;
        }
        let length = square / curvature;
        add(&mut z, length, &direction);
        add(&mut residual, -length, &image);
        let next = dot(&residual, &residual);
        let ratio = next / square;
        direction.iter_mut().zip(&residual).for_each(|(d, r)| *d = r + ratio * *d);
        square = next;
    }
    z
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], factor: f64, x: &[f64]) {
    to.iter_mut().zip(x).for_each(|(to, x)| *to += factor * x);
}
