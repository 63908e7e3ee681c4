//! Products of the coils with planes: with A, with its transpose, and with both in turn.

use super::Multicoil;
use super::transform::{Real, Transform};
use crate::channel::{Normal, NormalProduct, Rough};
use rustfft::FftDirection;
use rustfft::num_complex::{Complex, Complex64};
use rustfft::num_traits::AsPrimitive;
use std::cell::{OnceCell, RefCell};

/// Relative error of products of 32 bits, with some room: four transforms of planes round a few times per stage.
#[cfg(not(target_arch = "wasm32"))]
const ROUNDING: f64 = 1e-6;

/// The sensitivity of one coil, pixel by pixel, from its two planes.
fn pixels_of<T: Real>(map: &[f32]) -> impl Iterator<Item = Complex<T>> {
    let (re, im) = map.split_at(map.len() / 2);
    let number = |v: f32| T::of(f64::from(v));
    re.iter().zip(im).map(move |(re, im)| Complex::new(number(*re), number(*im)))
}

impl Multicoil {
    /// S_c ∘ x of an image part, for one coil.
    fn weigh<T: Real>(&self, map: &[f32], x: &[impl AsPrimitive<T>], plane: &mut [Complex<T>]) {
        let (re, im) = x.split_at(plane.len());
        let all = plane.iter_mut().zip(pixels_of::<T>(map)).zip(re);
        if self.complex {
            all.zip(im).for_each(|(((v, map), re), im)| *v = map * Complex::new(re.as_(), im.as_()));
        } else {
            all.for_each(|((v, map), re)| *v = map * re.as_());
        }
    }

    /// Adds conj(S_c) ∘ `plane` to an image part, without its imaginary part for real images.
    fn add<T: Real>(&self, map: &[f32], plane: &[Complex<T>], x: &mut [f64]) {
        let (re, im) = x.split_at_mut(plane.len());
        let all = plane.iter().zip(pixels_of::<T>(map));
        if self.complex {
            all.zip(re.iter_mut().zip(im)).for_each(|((v, map), (re, im))| {
                let seen = map.conj() * v;
                (*re, *im) = (*re + seen.re.as_(), *im + seen.im.as_());
            });
        } else {
            all.zip(re).for_each(|((v, map), re)| *re += (map.re * v.re + map.im * v.im).as_());
        }
    }

    /// M F (S_c ∘ x) of every coil.
    pub(super) fn forward(&self, a: &[f32], x: &[f32], y: &mut [f32]) {
        let (pixels, (mask, maps)) = (self.shape.pixels(), self.parts(a));
        let mut plane = vec![Complex64::default(); pixels];
        for (x, y) in x.chunks_exact(self.part()).zip(y.chunks_exact_mut(self.seen())) {
            for (map, y) in maps.chunks_exact(2 * pixels).zip(y.chunks_exact_mut(2 * pixels)) {
                self.weigh(map, x, &mut plane);
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
    /// Products in 64 bits, and rough ones in 32.
    pub(super) fn normal<'a>(&'a self, a: &'a [f32]) -> Normal<'a> {
        let (mask, maps) = self.parts(a);
        let back = move |y: &[f32], out: &mut [f64]| self.combine(mask, maps, y, out);
        let product = self.filtered(&self.transform, a);
        Normal { product, rough: self.rough(a), back: Box::new(back), gain: 1.0, variance: 0.0 }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn rough<'a>(&'a self, a: &'a [f32]) -> Option<Rough<'a>> {
        let error = ROUNDING * self.greatest(self.parts(a).1);
        Some(Rough { product: self.filtered(&self.rough, a), error })
    }

    /// None in a browser, where the second set of transforms would have to be downloaded.
    #[cfg(target_arch = "wasm32")]
    fn rough<'a>(&'a self, _a: &'a [f32]) -> Option<Rough<'a>> {
        None
    }

    /// Σ_c conj(S_c) ∘ Fᴴ M F (S_c ∘ x).
    fn filtered<'a, T: Real>(&'a self, transform: &'a Transform<T>, a: &'a [f32]) -> NormalProduct<'a>
    where
        f64: AsPrimitive<T>,
    {
        let (pixels, (mask, maps)) = (self.shape.pixels(), self.parts(a));
        let (filter, scratch) = (OnceCell::new(), RefCell::new([Vec::new(), Vec::new()]));
        Box::new(move |x: &[f64], out: &mut [f64]| {
            let filter = filter.get_or_init(|| transform.filter(mask));
            let [plane, turned] = &mut *scratch.borrow_mut();
            plane.resize(pixels, Complex::default());
            turned.resize(pixels, Complex::default());
            out.fill(0.0);
            for (x, out) in x.chunks_exact(self.part()).zip(out.chunks_exact_mut(self.part())) {
                for map in maps.chunks_exact(2 * pixels) {
                    self.weigh(map, x, plane);
                    transform.apply(filter, plane, turned);
                    self.add(map, plane, out);
                }
            }
        })
    }

    /// The greatest Σ_c |S_c|² of a pixel, which no eigenvalue of AᵀA exceeds.
    #[cfg(not(target_arch = "wasm32"))]
    fn greatest(&self, maps: &[f32]) -> f64 {
        let pixels = self.shape.pixels();
        let mut squares = vec![0.0f32; pixels];
        for plane in maps.chunks_exact(pixels) {
            squares.iter_mut().zip(plane).for_each(|(square, v)| *square += v * v);
        }
        f64::from(squares.into_iter().fold(0.0, f32::max))
    }
}

#[cfg(test)]
mod tests {
    use crate::channel::{Channel, ChannelConfig};
    use crate::image::ImageShape;
    use crate::noise::{Key, Purpose};

    /// Real and complex images, columns and points.
    #[test]
    fn rough_products_are_as_near_as_they_say() {
        for (channels, complex, pattern) in [(1, false, "columns"), (1, false, "points"), (2, true, "points")] {
            let stage = format!(
                r#"[{{"kind":"multicoil","coils":3,"acceleration":3.0,"pattern":"{pattern}","complex":{complex}}}]"#
            );
            let shape = ImageShape { channels, height: 12, width: 16 };
            let channel = stage.parse::<ChannelConfig>().unwrap().build_image(shape).unwrap();
            let mut stream = Key::new(1, Purpose::Truth, 0).stream(0, 0);
            let mut a = vec![0.0f32; channel.operator_len()];
            channel.draw_operator(&mut stream, &mut a);
            let normal = channel.as_linear().and_then(|linear| linear.as_normal(&a)).unwrap();
            let x: Vec<f64> = (0..shape.len()).map(|_| stream.normal().into()).collect();
            let (mut exact, mut near) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            let rough = normal.rough.unwrap();
            (normal.product)(&x, &mut exact);
            (rough.product)(&x, &mut near);
            let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
            let error = norm(&mut exact.iter().zip(&near).map(|(a, b)| a - b)) / norm(&mut x.iter().copied());
            assert!(error > 0.0 && error < rough.error, "{stage}: {error} and {}", rough.error);
        }
    }
}
