//! Linear channels that are diagonal in an orthonormal basis U of images, whatever the parameters of their operator:
//!
//! ```text
//! U Aᵀ A Uᵀ = diag g²,   u = U Aᵀ y / g = g ∘ U x + n,   n ~ N(0, diag v)
//! ```
//!
//! The coefficients u say all that y says about x, since the noise is white or is itself diagonal there. A blur with
//! mirrored borders has cosines, and everything that acts on frequencies has waves. Posteriors then cost two
//! transforms instead of operations on d x d matrices.

use super::{Channel, LinearChannel};
use crate::basis::Basis;
use std::sync::Arc;

/// Relative difference up to which coordinates count as equal.
const EQUAL: f64 = 1e-12;

/// A linear channel that is diagonal in one basis for all of its operators.
pub trait SpectralChannel: LinearChannel {
    /// The basis U.
    fn basis(&self) -> &Basis;

    /// Writes the factor g and the noise variance v of every coefficient, `[d]` each.
    fn write_spectrum(&self, a: &[f32], gain: &mut [f64], variance: &mut [f64]);

    /// Writes the coefficients u of the observation y into `out [d]`, 0 where g is 0.
    fn write_coefficients(&self, a: &[f32], y: &[f32], out: &mut [f64]);

    /// The coefficients u of the observation y, `[d]`.
    fn coefficients(&self, a: &[f32], y: &[f32]) -> Vec<f64> {
        let mut u = vec![0.0; self.signal_len()];
        self.write_coefficients(a, y, &mut u);
        u
    }
}

/// g and v of one observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// Factor of every coefficient, `[d]`.
    pub gain: Vec<f64>,
    /// Noise variance of every coefficient, `[d]`.
    pub variance: Vec<f64>,
}

impl Spectrum {
    /// The spectrum of `channel` with the operator parameters `a`.
    pub fn of(channel: &dyn SpectralChannel, a: &[f32]) -> Self {
        let d = channel.signal_len();
        let mut spectrum = Self { gain: vec![0.0; d], variance: vec![0.0; d] };
        channel.write_spectrum(a, &mut spectrum.gain, &mut spectrum.variance);
        spectrum
    }
}

/// How a stage of a chain acts in the basis of the chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Action {
    /// As g I with the noise v I, in any basis.
    Isotropic(f64, f64),
    /// The same with numbers of the observation.
    IsotropicEach,
    /// With a spectrum of its own.
    Spectral,
}

/// How each of `stages` acts, if the chain is diagonal in one basis; `None` for all other chains.
pub(super) fn actions(stages: &[Arc<dyn Channel>]) -> Option<Vec<Action>> {
    let linear: Vec<&dyn LinearChannel> = stages.iter().map(|stage| stage.as_linear()).collect::<Option<_>>()?;
    let basis = linear.iter().find_map(|stage| stage.as_spectral())?.basis();
    let action = |stage: &&dyn LinearChannel| match stage.as_spectral() {
        Some(own) => (own.basis() == basis).then_some(Action::Spectral),
        None => isotropic(*stage),
    };
    linear.iter().map(action).collect()
}

/// Number of `stages` up to the last one that is no multiple of the identity with white noise.
pub(super) fn maps(stages: &[Arc<dyn Channel>]) -> usize {
    let map = |stage: &Arc<dyn Channel>| stage.as_linear().and_then(isotropic).is_none();
    stages.iter().rposition(map).map_or(0, |last| last + 1)
}

/// g and v of one operator of a stage with A = g I and Σ_y = v I.
pub(super) fn isotropic_of(stage: &dyn LinearChannel, a: &[f32]) -> (f64, f64) {
    let m = stage.signal_len();
    let (mut gain, mut variance) = (vec![0.0; m], vec![0.0; m]);
    stage.write_diagonal(a, &mut gain, &mut variance);
    (gain[0], variance[0])
}

/// A stage with A = g I and Σ_y = v I, which is diagonal in any basis.
fn isotropic(stage: &dyn LinearChannel) -> Option<Action> {
    if stage.is_isotropic() && stage.operator_len() > 0 {
        return Some(Action::IsotropicEach);
    }
    if !stage.is_diagonal() || stage.operator_len() > 0 {
        return None;
    }
    let d = stage.signal_len();
    let (mut gain, mut variance) = (vec![0.0; d], vec![0.0; d]);
    stage.write_diagonal(&[], &mut gain, &mut variance);
    let constant = |v: &[f64]| v.iter().all(|x| (x - v[0]).abs() <= EQUAL * v[0].abs());
    (constant(&gain) && constant(&variance)).then(|| Action::Isotropic(gain[0], variance[0]))
}
