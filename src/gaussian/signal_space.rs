//! The system of one observation in the space of its signal, for maps A with fast products with AᵀA and white noise s²:
//!
//! ```text
//! K r = S w,   (AᵀA S + c I) w = Aᵀ r,   c = (s² + δ) / v
//! ```
//!
//! The map is self-adjoint in the product uᵀ S w, in which conjugate gradient runs. It takes one product with S and one with
//! AᵀA per iteration, and vectors of length d alone. Numbers have 64 bits throughout: what rounding adds to directions that were
//! not measured grows by 1 / c.

use super::combination::{Combination, Covariance, History, add, combined, dot};
use crate::channel::{Normal, NormalProduct};

/// When conjugate gradient stops.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub iterations: usize,
    /// Norm of the residual, relative to that of the first one.
    pub residual: f64,
    /// Squared norm of S^-½ times the last step of K r.
    pub square: f64,
}

/// The system of one observation.
pub(crate) struct SignalSystem<'a> {
    product: NormalProduct<'a>,
    normal: Normal<'a>,
    covariance: Covariance<'a>,
    c: f64,
    end: End,
}

impl<'a> SignalSystem<'a> {
    /// With the covariance v S before the observation.
    pub(super) fn new(normal: Normal<'a>, covariance: Covariance<'a>, v: f64, floor: f64, end: End) -> Self {
        let c = (normal.variance + floor) / (v * normal.gain * normal.gain);
        Self { product: normal.map.normal(normal.a), normal, covariance, c, end }
    }

    /// Aᵀ r / g of `r [m]`, which [`SignalSystem::solve`] takes.
    pub fn back(&self, r: &[f32]) -> Vec<f64> {
        let mut out = vec![0.0; self.normal.map.signal_len()];
        self.normal.map.write_back(self.normal.a, r, &mut out);
        out.iter_mut().for_each(|v| *v /= self.normal.gain);
        out
    }

    /// The same of r = g A x.
    pub fn seen(&self, x: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; x.len()];
        (self.product)(x, &mut out);
        out
    }

    /// K r for the `back` of r, from the solutions in `history`, to which its own is added.
    pub fn solve(&self, back: &[f64], history: &mut History) -> Vec<f64> {
        let d = back.len();
        // w, then S w, then AᵀA S w.
        let way = Combination { length: 3 * d, dual: d..2 * d, image: &|solution| self.image(solution) };
        let mut solution = combined(&way, back, history);
        let mut residual: Vec<f64> = back.iter().zip(self.image(&solution)).map(|(b, image)| b - image).collect();
        let mut spread = self.covariance.times_wide(&residual);
        let mut square = dot(&residual, &spread);
        let (mut direction, mut moved) = (residual.clone(), spread.clone());
        let least = square * self.end.residual * self.end.residual;
        for _ in 0..self.end.iterations {
            if square <= least {
                break;
            }
            let seen = self.seen(&moved);
            let image: Vec<f64> = seen.iter().zip(&direction).map(|(seen, p)| seen + self.c * p).collect();
            let curvature = dot(&moved, &image);
            // Rounding alone can leave a direction that the map does not see.
            if !(curvature > 0.0 && curvature.is_finite()) {
                break;
            }
            let length = square / curvature;
            add(&mut residual, -length, &image);
            for (part, step) in solution.chunks_exact_mut(d).zip([&direction, &moved, &seen]) {
                add(part, length, step);
            }
            if length * length * dot(&direction, &moved) <= self.end.square {
                break;
            }
            spread = self.covariance.times_wide(&residual);
            let next = dot(&residual, &spread);
            let ratio = next / square;
            for (to, from) in [(&mut direction, &residual), (&mut moved, &spread)] {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = from + ratio * *to);
            }
            square = next;
        }
        history.keep(solution.clone());
        solution.drain(..d);
        solution.truncate(d);
        solution
    }

    /// (AᵀA S + c I) w of what is kept of a solution.
    fn image(&self, solution: &[f64]) -> Vec<f64> {
        let d = solution.len() / 3;
        solution[2 * d..].iter().zip(&solution[..d]).map(|(seen, w)| seen + self.c * w).collect()
    }
}
