//! Products of the coils with planes: with A, with its transpose, and with both in turn.

use super::Multicoil;
use crate::channel::Normal;
use rustfft::FftDirection;
use rustfft::num_complex::Complex64;

/// The planes of one coil.
fn map_of(map: &[f32], p: usize) -> Complex64 {
    Complex64::new(f64::from(map[p]), f64::from(map[map.len() / 2 + p]))
}

impl Multicoil {
    /// S_c ∘ x of an image part, for one coil.
    fn weigh(&self, map: &[f32], x: impl Fn(usize) -> f64, plane: &mut [Complex64]) {
        let pixels = self.shape.pixels();
        for (p, v) in plane.iter_mut().enumerate() {
            let im = if self.complex { x(pixels + p) } else { 0.0 };
            *v = map_of(map, p) * Complex64::new(x(p), im);
        }
    }

    /// Adds conj(S_c) ∘ `plane` to an image part, without its imaginary part for real images.
    fn add(&self, map: &[f32], plane: &[Complex64], x: &mut [f64]) {
        let pixels = self.shape.pixels();
        for (p, v) in plane.iter().enumerate() {
            let seen = map_of(map, p).conj() * v;
            x[p] += seen.re;
            if self.complex {
                x[pixels + p] += seen.im;
            }
        }
    }

    /// M F (S_c ∘ x) of every coil.
    pub(super) fn forward(&self, a: &[f32], x: &[f32], y: &mut [f32]) {
        let (pixels, (mask, maps)) = (self.shape.pixels(), self.parts(a));
        let mut plane = vec![Complex64::default(); pixels];
        for (x, y) in x.chunks_exact(self.part()).zip(y.chunks_exact_mut(self.seen())) {
            for (map, y) in maps.chunks_exact(2 * pixels).zip(y.chunks_exact_mut(2 * pixels)) {
                self.weigh(map, |p| f64::from(x[p]), &mut plane);
                self.transform.centered(FftDirection::Forward, &mut plane);
                for (p, v) in plane.iter().enumerate() {
                    (y[p], y[pixels + p]) = (v.re as f32 * mask[p], v.im as f32 * mask[p]);
                }
            }
        }
    }

    /// Σ_c conj(S_c) ∘ Fᴴ M y_c, without its imaginary part for real images.
    pub(super) fn combine(&self, mask: &[f32], maps: &[f32], y: &[f32], x: &mut [f64]) {
        let pixels = self.shape.pixels();
        let mut plane = vec![Complex64::default(); pixels];
        x.fill(0.0);
        for (x, y) in x.chunks_exact_mut(self.part()).zip(y.chunks_exact(self.seen())) {
            for (map, y) in maps.chunks_exact(2 * pixels).zip(y.chunks_exact(2 * pixels)) {
                for (p, v) in plane.iter_mut().enumerate() {
                    *v = Complex64::new(f64::from(y[p] * mask[p]), f64::from(y[pixels + p] * mask[p]));
                }
                self.transform.centered(FftDirection::Inverse, &mut plane);
                self.add(map, &plane, x);
            }
        }
    }
}

impl Multicoil {
    /// Products in 64 bits: where few directions are measured, the rounding of 32 bits would spread into all others.
    pub(super) fn normal<'a>(&'a self, a: &'a [f32]) -> Normal<'a> {
        let (pixels, (mask, maps)) = (self.shape.pixels(), self.parts(a));
        let filter = self.transform.filter(mask);
        let product = move |x: &[f64], out: &mut [f64]| {
            let (mut plane, mut turned) = (vec![Complex64::default(); pixels], vec![Complex64::default(); pixels]);
            out.fill(0.0);
            for (x, out) in x.chunks_exact(self.part()).zip(out.chunks_exact_mut(self.part())) {
                for map in maps.chunks_exact(2 * pixels) {
                    self.weigh(map, |p| x[p], &mut plane);
                    self.transform.apply(&filter, &mut plane, &mut turned);
                    self.add(map, &plane, out);
                }
            }
        };
        let back = move |y: &[f32], out: &mut [f64]| self.combine(mask, maps, y, out);
        Normal { product: Box::new(product), back: Box::new(back), gain: 1.0, variance: 0.0 }
    }
}
