//! Posteriors of linear channels without their matrices, by conjugate gradient on products with A and Aᵀ:
//!
//! ```text
//! K r = v S Aᵀ z,   (v A S Aᵀ + Σ_y + δ I) z = r
//! ```
//!
//! v S is the covariance before the observation. Memory is a few vectors of length d and m.
//!
//! A sampler solves such a system at every noise level, for the same observation. Each begins at the combination of the
//! last solutions that fits it best, which takes no product, because their images under the parts of the map are kept.

use super::combination::{Combination, Covariance, History, add, combined, dot};
use super::signal_space::{End, SignalSystem};
use crate::channel::{LinearChannel, Normal, narrow};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// When the update by conjugate gradient stops.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SolverConfig {
    /// Maximum number of iterations, 1 to 10000; each takes one product with A and one with its transpose.
    pub iterations: usize,
    /// Root mean square error of an update, estimated and relative to the standard deviation of the estimate before it,
    /// at which it stops, in (0, 1).
    pub tolerance: f64,
}

impl Default for SolverConfig {
    fn default() -> Self {
        Self { iterations: 100, tolerance: 0.01 }
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

/// When conjugate gradient stops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// Maximum number of iterations.
    iterations: usize,
    /// Norm of the residual, relative to the right-hand side.
    residual: f64,
    /// Squared error of the solution z in the norm of the map, zᵀ E z.
    energy: f64,
}

impl Stop {
    /// Stops at a residual of `tolerance` times the right-hand side.
    pub const fn residual(iterations: usize, tolerance: f64) -> Self {
        Self { iterations, residual: tolerance, energy: 0.0 }
    }

    /// Stops when the squared norm of the error of K r is about `square`, where v is `scale`: with E = v A S Aᵀ + Σ_y and
    /// an error e of z, that of S^-½ K r is v eᵀ v A S Aᵀ e, at most v eᵀ E e.
    pub fn error(iterations: usize, square: f64, scale: f64) -> Self {
        Self { iterations, residual: 0.0, energy: square / scale }
    }
}

/// The system of one observation.
pub(crate) struct System<'a> {
    pub linear: &'a dyn LinearChannel,
    /// Parameters of the operator.
    pub a: &'a [f32],
    /// S.
    pub covariance: Covariance<'a>,
    /// v.
    pub scale: f64,
    /// δ >= 0.
    pub floor: f64,
    pub stop: Stop,
}

impl System<'_> {
    /// K r for `r [m]`, `[d]`.
    pub fn correction(&self, r: &[f64]) -> Vec<f64> {
        self.continued(r, &mut History::default())
    }

    /// v zᵀ A S Aᵀ z for `r [m]`.
    pub fn score(&self, r: &[f64]) -> f64 {
        if let Some(space) = self.in_signal_space() {
            return space.score(&space.back(&narrow(r)));
        }
        let (m, kept) = (r.len(), self.solved(r));
        // Without an iteration z is 0, and nothing else was computed.
        kept.get(m + self.linear.signal_len()..).map_or(0.0, |seen| self.scale * dot(&kept[..m], &seen[..m]))
    }

    /// [`System::correction`] from the solutions in `history`, to which its own is added. They belong to the same
    /// operator and S, at any v.
    pub fn continued(&self, r: &[f64], history: &mut History) -> Vec<f64> {
        if let Some(space) = self.in_signal_space() {
            return space.solve(&space.back(&narrow(r)), history);
        }
        let (m, d) = (r.len(), self.linear.signal_len());
        let way = Combination { length: 3 * m + d, dual: 0..m, image: &|solution| self.image(solution) };
        let mut solution = combined(&way, r, history);
        let image = self.image(&solution);
        let residual: Vec<f64> = r.iter().zip(image).map(|(r, image)| r - image).collect();
        add(&mut solution, 1.0, &self.solved(&residual));
        let correction = solution[m..m + d].iter().map(|x| x * self.scale).collect();
        history.keep(solution);
        correction
    }

    /// z of `r`, then what else is kept of it, from nothing.
    fn solved(&self, r: &[f64]) -> Vec<f64> {
        let product = |z: &[f64]| self.times(z);
        let (v, floor) = (self.scale * self.covariance.mean(), self.floor);
        match self.linear.preconditioner(self.a).filter(|known| known.variance + floor > 0.0) {
            Some(known) => preconditioned(&product, &|r| known.solve(v, floor, r), r, self.stop, self.stop.energy),
            None => conjugate_gradient(&product, r, self.stop),
        }
    }

    /// The same in the space of the signal, where that costs less: coefficients of a basis have a preconditioner there.
    pub fn in_signal_space(&self) -> Option<SignalSystem<'_>> {
        let longer = self.linear.observation_len() > self.linear.signal_len();
        let normal = match self.covariance {
            Covariance::Spectral(..) => Normal::of(self.linear, self.a),
            // A sampler asks for every update of a row, so nothing is computed where the answer is no.
            Covariance::Diagonal(_) if longer => self.linear.as_normal(self.a),
            Covariance::Diagonal(_) => None,
        };
        let normal = normal.filter(|normal| normal.gain != 0.0)?;
        let Stop { iterations, residual, energy } = self.stop;
        let end = End { iterations, residual, square: energy * self.scale };
        Some(SignalSystem::new(normal, self.covariance, self.scale, self.floor, end))
    }

    /// (v A S Aᵀ + Σ_y + δ I) z of a solution, from what is kept of it.
    fn image(&self, solution: &[f64]) -> Vec<f64> {
        let m = self.linear.observation_len();
        let (seen, noise) = solution[solution.len() - 2 * m..].split_at(m);
        seen.iter().zip(noise).map(|(seen, noise)| self.scale * seen + noise).collect()
    }

    /// (v A S Aᵀ + Σ_y + δ I) z, then what is kept of z besides itself.
    fn times(&self, z: &[f64]) -> Vec<f64> {
        let (m, d, narrowed) = (z.len(), self.linear.signal_len(), narrow(z));
        let (mut x, mut seen, mut noise) = (vec![0.0f32; d], vec![0.0f32; m], vec![0.0f32; m]);
        self.linear.adjoint(self.a, &narrowed, &mut x);
        let spread = self.covariance.times(&x);
        self.linear.apply(self.a, &narrow(&spread), &mut seen);
        self.linear.apply_noise(self.a, &narrowed, &mut noise);
        let mut out = vec![0.0; m];
        out.extend(spread);
        out.extend(seen.iter().map(|v| f64::from(*v)));
        out.extend(noise.iter().zip(z).map(|(noise, z)| f64::from(*noise) + self.floor * z));
        let image = self.image(&out);
        out[..m].copy_from_slice(&image);
        out
    }
}

/// Solves `product`(z) = r for a symmetric positive definite map, from z = 0. `product` may return more than the image
/// `[m]`: values that are linear in z, such as intermediate results. Returns z and those of z.
pub(crate) fn conjugate_gradient(product: &dyn Fn(&[f64]) -> Vec<f64>, r: &[f64], stop: Stop) -> Vec<f64> {
    preconditioned(product, &<[f64]>::to_vec, r, stop, 0.0)
}

/// The same with a symmetric positive definite map `nearly` near the inverse of `product`. Residuals are measured by it: their
/// square is about the squared error of z in the norm of the map, and `least` of it is enough.
fn preconditioned(
    product: &dyn Fn(&[f64]) -> Vec<f64>,
    nearly: &dyn Fn(&[f64]) -> Vec<f64>,
    r: &[f64],
    stop: Stop,
    least: f64,
) -> Vec<f64> {
    let m = r.len();
    let mut z = vec![0.0; m];
    let (mut residual, mut direction) = (r.to_vec(), nearly(r));
    let mut square = dot(r, &direction);
    let end = (square * stop.residual * stop.residual).max(least);
    for _ in 0..stop.iterations {
        if square <= end {
            break;
        }
        let mut image = product(&direction);
        let curvature = dot(&direction, &image[..m]);
        // Rounding alone can leave a direction that the map does not see.
        if !(curvature > 0.0 && curvature.is_finite()) {
            break;
        }
        let length = square / curvature;
        add(&mut residual, -length, &image[..m]);
        image[..m].copy_from_slice(&direction);
        z.resize(image.len(), 0.0);
        add(&mut z, length, &image);
        // What this step took from the squared error, which is about what the next ones take.
        if length * square <= stop.energy {
            break;
        }
        let spread = nearly(&residual);
        let next = dot(&residual, &spread);
        let ratio = next / square;
        direction.iter_mut().zip(&spread).for_each(|(d, r)| *d = r + ratio * *d);
        square = next;
    }
    z
}
