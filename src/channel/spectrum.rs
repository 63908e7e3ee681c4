//! Linear channels that are the same for all observations and diagonal in the cosine basis U of an image,
//! such as a blur with mirrored borders followed by noise: U A Uᵀ = diag g, U Σ_y Uᵀ = diag v. Their
//! posteriors cost two transforms instead of operations on d x d matrices.

use super::LinearChannel;
use crate::dct::Dct;
use std::sync::Arc;

/// Relative difference up to which coordinates count as equal.
const EQUAL: f64 = 1e-12;

/// A and Σ_y of a channel in the cosine basis.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    basis: Arc<Dct>,
    /// Factor of every coefficient, `[d]`.
    pub gain: Vec<f64>,
    /// Noise variance of every coefficient, `[d]`.
    pub variance: Vec<f64>,
}

impl Spectrum {
    /// Spectrum of a noiseless operator with the factors `gain [d]` in `basis`.
    pub(super) fn noiseless(basis: Dct, gain: Vec<f64>) -> Self {
        let variance = vec![0.0; gain.len()];
        Self { basis: Arc::new(basis), gain, variance }
    }

    /// The basis U.
    pub fn basis(&self) -> &Dct {
        &self.basis
    }

    /// Spectrum of `stages` in sequence; `None` if one of them is not diagonal in the basis of the others or
    /// differs between observations.
    pub(super) fn of(stages: &[&dyn LinearChannel]) -> Option<Self> {
        let basis = stages.iter().find_map(|stage| stage.spectrum())?.basis.clone();
        let d = basis.shape().len();
        let mut total = Self { basis, gain: vec![1.0; d], variance: vec![0.0; d] };
        for stage in stages {
            match stage.spectrum() {
                Some(own) if own.basis.shape() == total.basis.shape() => total.follow(&own.gain, &own.variance),
                Some(_) => return None,
                None => {
                    let (gain, variance) = isotropic(*stage, d)?;
                    total.follow(&vec![gain; d], &vec![variance; d]);
                }
            }
        }
        Some(total)
    }

    /// Appends a stage: g ← g_s g, v ← g_s² v + v_s.
    fn follow(&mut self, gain: &[f64], variance: &[f64]) {
        for (j, (g, v)) in self.gain.iter_mut().zip(&mut self.variance).enumerate() {
            *g *= gain[j];
            *v = gain[j] * gain[j] * *v + variance[j];
        }
    }
}

/// (g, v) of a stage with A = g I and Σ_y = v I on `d` values, which is diagonal in any basis.
fn isotropic(stage: &dyn LinearChannel, d: usize) -> Option<(f64, f64)> {
    if !stage.is_diagonal() || stage.operator_len() > 0 || stage.signal_len() != d {
        return None;
    }
    let (mut gain, mut variance) = (vec![0.0; d], vec![0.0; d]);
    stage.write_diagonal(&[], &mut gain, &mut variance);
    let constant = |v: &[f64]| v.iter().all(|x| (x - v[0]).abs() <= EQUAL * v[0].abs());
    (constant(&gain) && constant(&variance)).then(|| (gain[0], variance[0]))
}
