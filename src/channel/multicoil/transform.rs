//! The centered Fourier transform of complex planes by fast transforms of their lines, for products that are taken many times
//! over. [`crate::basis::Fourier`] has the same in a form for devices.

use crate::image::ImageShape;
use rustfft::num_complex::Complex;
use rustfft::num_traits::AsPrimitive;
use rustfft::{Fft, FftDirection, FftNum};
use std::fmt;
use std::sync::Arc;

/// Numbers of 32 or 64 bits.
pub(super) trait Real: FftNum + AsPrimitive<f64> + Default {
    fn of(v: f64) -> Self;
}

impl Real for f32 {
    fn of(v: f64) -> Self {
        v as f32
    }
}

impl Real for f64 {
    fn of(v: f64) -> Self {
        v
    }
}

/// Transforms of lines of one length.
#[derive(Clone)]
struct Lines<T> {
    n: usize,
    both: [Arc<dyn Fft<T>>; 2],
}

impl<T: Real> Lines<T> {
    fn new(n: usize) -> Self {
        Self { n, both: [plan(n, FftDirection::Forward), plan(n, FftDirection::Inverse)] }
    }

    /// Transforms every line of `lines`, without a factor.
    fn process(&self, direction: FftDirection, lines: &mut [Complex<T>]) {
        let which = usize::from(direction == FftDirection::Inverse);
        self.both[which].process(lines);
    }

    /// The orthonormal transform of every line, whose origins are at n / 2.
    fn centered(&self, direction: FftDirection, lines: &mut [Complex<T>]) {
        lines.chunks_exact_mut(self.n).for_each(|line| line.rotate_left(self.n / 2));
        self.process(direction, lines);
        let scale = T::of(1.0 / (self.n as f64).sqrt());
        for line in lines.chunks_exact_mut(self.n) {
            line.rotate_right(self.n / 2);
            line.iter_mut().for_each(|v| *v = *v * scale);
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn plan<T: Real>(n: usize, direction: FftDirection) -> Arc<dyn Fft<T>> {
    rustfft::FftPlanner::new().plan_fft(n, direction)
}

/// The plain sum, which makes the module for browsers hundreds of kilobytes smaller than the planner.
#[cfg(target_arch = "wasm32")]
fn plan<T: Real>(n: usize, direction: FftDirection) -> Arc<dyn Fft<T>> {
    Arc::new(rustfft::algorithm::Dft::new(n, direction))
}

/// The transform of planes of one shape.
#[derive(Clone)]
pub(super) struct Transform<T> {
    down: Lines<T>,
    across: Lines<T>,
}

impl<T: Real> fmt::Debug for Transform<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transform({} x {})", self.down.n, self.across.n)
    }
}

/// The shape says all.
impl<T> PartialEq for Transform<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.down.n, self.across.n) == (other.down.n, other.across.n)
    }
}

/// Which frequencies a filter keeps, in the order of the lines' transforms.
pub(super) struct Filter<T> {
    /// Factors of a line's frequencies, for all lines or, turned, for those of each column.
    weights: Vec<T>,
    columns: bool,
}

impl<T: Real> Transform<T> {
    pub fn new(ImageShape { height, width, .. }: ImageShape) -> Self {
        Self { down: Lines::new(height), across: Lines::new(width) }
    }

    /// The filter Fᴴ M F of a mask `[pixels]`. Shifts of the origin cancel in it, and so does the transform along columns that
    /// are measured as a whole.
    pub fn filter(&self, mask: &[f32]) -> Filter<T> {
        let (height, width) = (self.down.n, self.across.n);
        let centered = |k: usize, n: usize| (k + n / 2) % n;
        let columns = mask.chunks_exact(width).all(|row| row == &mask[..width]);
        let at = |k: usize, l: usize| f64::from(mask[centered(k, height) * width + centered(l, width)]);
        let weights = match columns {
            true => (0..width).map(|l| T::of(at(0, l) / width as f64)).collect(),
            false => (0..height * width).map(|p| T::of(at(p % height, p / height) / (height * width) as f64)).collect(),
        };
        Filter { weights, columns }
    }

    /// Applies a filter to a plane; `turned` is as long.
    pub fn apply(&self, filter: &Filter<T>, plane: &mut [Complex<T>], turned: &mut [Complex<T>]) {
        let weigh = |plane: &mut [Complex<T>]| {
            for line in plane.chunks_exact_mut(filter.weights.len()) {
                line.iter_mut().zip(&filter.weights).for_each(|(v, weight)| *v = *v * *weight);
            }
        };
        self.across.process(FftDirection::Forward, plane);
        if filter.columns {
            weigh(plane);
        } else {
            turn(plane, self.across.n, turned);
            self.down.process(FftDirection::Forward, turned);
            weigh(turned);
            self.down.process(FftDirection::Inverse, turned);
            turn(turned, self.down.n, plane);
        }
        self.across.process(FftDirection::Inverse, plane);
    }

    /// F of a plane, or Fᴴ for the inverse direction, orthonormal and with the origins at the center.
    pub fn centered(&self, direction: FftDirection, plane: &mut [Complex<T>]) {
        let mut turned = vec![Complex::default(); plane.len()];
        self.across.centered(direction, plane);
        turn(plane, self.across.n, &mut turned);
        self.down.centered(direction, &mut turned);
        turn(&turned, self.down.n, plane);
    }
}

/// Side of the squares that are turned as a whole, which stay in the processor's nearest memory.
const SQUARE: usize = 8;

/// Writes the plane with lines of `width` values into `turned`, column by column.
fn turn<T: Real>(plane: &[Complex<T>], width: usize, turned: &mut [Complex<T>]) {
    let height = plane.len() / width;
    for top in (0..height).step_by(SQUARE) {
        let rows = SQUARE.min(height - top);
        for (column, turned) in turned.chunks_exact_mut(height).enumerate() {
            let from = plane[top * width + column..].iter().step_by(width);
            turned[top..top + rows].iter_mut().zip(from).for_each(|(to, v)| *to = *v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::basis::Fourier;
    use crate::noise::{Key, Purpose};
    use rustfft::num_complex::Complex64;

    /// Even and odd sides.
    #[test]
    fn planes_are_transformed_as_by_the_matrices() {
        for (height, width) in [(6, 8), (5, 4), (7, 9)] {
            let shape = ImageShape { channels: 2, height, width };
            let (fourier, transform) = (Fourier::new(shape, true), Transform::<f64>::new(shape));
            let mut stream = Key::new(1, Purpose::Truth, 0).stream(0, 0);
            let mut draw = || f64::from(stream.normal());
            let plane: Vec<Complex64> = (0..height * width).map(|_| Complex64::new(draw(), draw())).collect();
            let part = |f: fn(&Complex64) -> f64, plane: &[Complex64]| plane.iter().map(f).collect::<Vec<_>>();
            let close = |found: &[Complex64], (re, im): (Vec<f64>, Vec<f64>)| {
                let expected = re.into_iter().zip(im);
                assert!(found.iter().zip(expected).all(|(v, (re, im))| (v - Complex64::new(re, im)).norm() < 1e-12));
            };
            let (re, im) = (part(|v| v.re, &plane), part(|v| v.im, &plane));
            for (direction, sign) in [(FftDirection::Forward, 1.0), (FftDirection::Inverse, -1.0)] {
                let mut found = plane.clone();
                transform.centered(direction, &mut found);
                close(&found, fourier.waves(&re, &im, sign));
            }
            // Masks of columns, and of points.
            let mut mask: Vec<f32> = (0..height * width).map(|p| f32::from(u8::from(p % width % 3 != 1))).collect();
            for columns in [true, false] {
                mask[0] = if columns { mask[width] } else { 1.0 - mask[0] };
                let filter = transform.filter(&mask);
                assert_eq!(filter.columns, columns);
                let (mut found, mut turned) = (plane.clone(), plane.clone());
                transform.apply(&filter, &mut found, &mut turned);
                let (mut re, mut im) = fourier.waves(&re, &im, 1.0);
                for part in [&mut re, &mut im] {
                    part.iter_mut().zip(&mask).for_each(|(v, m)| *v *= f64::from(*m));
                }
                close(&found, fourier.waves(&re, &im, -1.0));
            }
        }
    }
}
