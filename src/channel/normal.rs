//! Linear maps with white noise after them, for systems in the space of the signal: y = g A x + n, n ~ N(0, v I).

use super::{LinearChannel, narrow, wide};

/// x ↦ AᵀA x for one operator: reads and writes `[d]`.
pub type NormalProduct<'a> = Box<dyn Fn(&[f64], &mut [f64]) + 'a>;

/// y ↦ Aᵀ y for one operator: reads `[m]` and writes `[d]`.
pub type NormalBack<'a> = Box<dyn Fn(&[f32], &mut [f64]) + 'a>;

/// One operator of such a channel.
pub struct Normal<'a> {
    /// Products with AᵀA.
    pub product: NormalProduct<'a>,
    /// Products with Aᵀ.
    pub back: NormalBack<'a>,
    /// g.
    pub gain: f64,
    /// v.
    pub variance: f64,
    /// Whether a product with AᵀA costs less than one with A and one with Aᵀ.
    pub fast: bool,
}

impl<'a> Normal<'a> {
    /// Products of `linear` with the operator `a`, one after another, and the noise variance `variance`.
    pub fn of<L: LinearChannel + ?Sized>(linear: &'a L, a: &'a [f32], variance: f64) -> Self {
        let back = move |y: &[f32], out: &mut [f64]| {
            let mut x = vec![0.0f32; out.len()];
            linear.adjoint(a, y, &mut x);
            out.copy_from_slice(&wide(&x));
        };
        let product = move |x: &[f64], out: &mut [f64]| {
            let mut y = vec![0.0f32; linear.observation_len()];
            linear.apply(a, &narrow(x), &mut y);
            back(&y, out);
        };
        Self { product: Box::new(product), back: Box::new(back), gain: 1.0, variance, fast: false }
    }
}
