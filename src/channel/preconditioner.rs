//! What makes conjugate gradient in the space of y short: y = g A x + n, n ~ N(0, s² I), where A Aᵀ is nearly diagonal in
//! coordinates that a channel knows.

/// A map A of which about all functions of A Aᵀ are known, for any of its operators.
pub trait Modes {
    /// About f(A Aᵀ) `y`, `[m]`: the same orthonormal coordinates for every f, each times f of about its variance in A Aᵀ.
    fn function(&self, f: &dyn Fn(f64) -> f64, y: &[f64]) -> Vec<f64>;
}

/// One operator of such a channel.
pub struct Preconditioner<'a> {
    /// A.
    pub modes: &'a dyn Modes,
    /// g.
    pub gain: f64,
    /// s².
    pub variance: f64,
}

impl Preconditioner<'_> {
    /// About (v g² A Aᵀ + (s² + δ) I)⁻¹ `r` for v > 0 and s² + δ > 0.
    pub fn solve(&self, v: f64, floor: f64, r: &[f64]) -> Vec<f64> {
        self.modes.function(&|power| 1.0 / (v * self.gain * self.gain * power + self.variance + floor), r)
    }
}
