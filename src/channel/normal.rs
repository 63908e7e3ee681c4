//! Linear maps with fast products with AᵀA, for systems in the space of the signal: of coils, which see a signal many times
//! over, an observation is much longer than the signal.

use super::LinearChannel;

/// x ↦ AᵀA x for one operator: reads and writes `[d]`.
pub type NormalProduct<'a> = Box<dyn Fn(&[f64], &mut [f64]) + 'a>;

/// A map with products in 64 bits: where few directions are measured, the rounding of 32 bits would spread into all others.
pub trait NormalMap: LinearChannel {
    /// Products with AᵀA for the operator `a`.
    fn normal<'a>(&'a self, a: &'a [f32]) -> NormalProduct<'a>;

    /// Writes Aᵀ y of `y [m]` into `out [d]`.
    fn write_back(&self, a: &[f32], y: &[f32], out: &mut [f64]);
}

/// One operator of a channel that is such a map A with white noise after it: y = g A x + n, n ~ N(0, v I).
#[derive(Clone, Copy)]
pub struct Normal<'a> {
    /// A.
    pub map: &'a dyn NormalMap,
    /// Its parameters.
    pub a: &'a [f32],
    /// g.
    pub gain: f64,
    /// v.
    pub variance: f64,
}
