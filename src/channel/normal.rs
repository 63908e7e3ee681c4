//! Linear maps with white noise after them, for systems in the space of the signal: y = g A x + n, n ~ N(0, v I).

use super::{LinearChannel, narrow, wide};
use crate::noise::{Key, Purpose};

/// x ↦ AᵀA x for one operator: reads and writes `[d]`.
pub type NormalProduct<'a> = Box<dyn Fn(&[f64], &mut [f64]) + 'a>;

/// y ↦ Aᵀ y for one operator: reads `[m]` and writes `[d]`.
pub type NormalBack<'a> = Box<dyn Fn(&[f32], &mut [f64]) + 'a>;

/// Products with AᵀA that take less time.
pub struct Rough<'a> {
    /// x ↦ AᵀA x.
    pub product: NormalProduct<'a>,
    /// Norm of their error, relative to that of x.
    pub error: f64,
}

/// One operator of such a channel.
pub struct Normal<'a> {
    /// Products with AᵀA.
    pub product: NormalProduct<'a>,
    /// The same with less precision where that takes less time.
    pub rough: Option<Rough<'a>>,
    /// Products with Aᵀ.
    pub back: NormalBack<'a>,
    /// g.
    pub gain: f64,
    /// v.
    pub variance: f64,
}

impl<'a> Normal<'a> {
    /// `linear` with the operator `a`, if its noise is white: with its own products, or those with A and Aᵀ one after another.
    pub fn of(linear: &'a dyn LinearChannel, a: &'a [f32]) -> Option<Self> {
        linear.as_normal(a).or_else(|| Some(Self::plain(linear, a, white_noise(linear, a)?)))
    }

    fn plain(linear: &'a dyn LinearChannel, a: &'a [f32], variance: f64) -> Self {
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
        Self { product: Box::new(product), rough: None, back: Box::new(back), gain: 1.0, variance }
    }
}

/// Relative difference that rounding to 32 bits explains, of numbers up to 5.
const ROUNDING: f64 = 1e-5;

/// s², if Σ_y = s² I for the operator `a`: its product with random numbers, which are no eigenvector of any other matrix, is
/// s² times them. It takes one product, where the diagonal of a chain whose noise passes a map takes one per value.
fn white_noise(linear: &dyn LinearChannel, a: &[f32]) -> Option<f64> {
    let m = linear.observation_len();
    let (mut random, mut product) = (vec![0.0f32; m], vec![0.0f32; m]);
    Key::new(0, Purpose::Start, 0).stream(0, 0).fill_normal(&mut random);
    linear.apply_noise(a, &random, &mut product);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let variance = dot(&random, &product) / dot(&random, &random);
    let near = |(v, p): (&f32, &f32)| (f64::from(*p) - variance * f64::from(*v)).abs() <= ROUNDING * variance;
    random.iter().zip(&product).all(near).then_some(variance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Channel;
    use crate::noise::Stream;

    /// y = x + n with Σ_y = (variances in `each`) + `shared`, which all values have in common.
    struct Noisy {
        each: [f64; 3],
        shared: f32,
    }

    impl Channel for Noisy {
        fn signal_len(&self) -> usize {
            3
        }

        fn observation_len(&self) -> usize {
            3
        }

        fn observe(&self, x: &[f32], _a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
            y.copy_from_slice(x);
        }

        fn as_linear(&self) -> Option<&dyn LinearChannel> {
            Some(self)
        }
    }

    impl LinearChannel for Noisy {
        fn apply(&self, _a: &[f32], x: &[f32], y: &mut [f32]) {
            y.copy_from_slice(x);
        }

        fn adjoint(&self, _a: &[f32], y: &[f32], x: &mut [f32]) {
            x.copy_from_slice(y);
        }

        fn write_noise_variance(&self, _a: &[f32], out: &mut [f64]) {
            out.iter_mut().zip(self.each).for_each(|(out, v)| *out = v + f64::from(self.shared));
        }

        fn apply_noise(&self, _a: &[f32], v: &[f32], out: &mut [f32]) {
            let common: f32 = v.iter().sum::<f32>() * self.shared;
            out.iter_mut().zip(v).zip(self.each).for_each(|((out, v), own)| *out = own as f32 * v + common);
        }

        fn is_noiseless(&self) -> bool {
            self.each == [0.0; 3] && self.shared == 0.0
        }
    }

    #[test]
    fn only_white_noise_is_taken_for_it() {
        let variance = |each, shared| Normal::of(&Noisy { each, shared }, &[]).map(|normal| normal.variance);
        assert_eq!(variance([0.0; 3], 0.0), Some(0.0));
        assert!(variance([0.04; 3], 0.0).is_some_and(|found| (found - 0.04).abs() < 1e-7));
        assert_eq!(variance([0.04, 0.04, 0.05], 0.0), None);
        assert_eq!(variance([0.04; 3], 0.01), None);
    }
}
