//! The orthonormal discrete Fourier transform of images, with the origin of both domains at the center, pixel (h / 2,
//! w / 2), as magnetic resonance imaging has it:
//!
//! ```text
//! X[k, l] = Σ_ij x[i, j] exp(-2πi ((k - h/2) (i - h/2) / h + (l - w/2) (j - w/2) / w)) / √(h w)
//! ```
//!
//! Real images have the real coefficients Re X - Im X, the discrete Hartley transform (Bracewell 1983), which is
//! orthonormal and its own inverse. Complex images are pairs of planes, real part and imaginary part, and so are
//! their coefficients. Every convolution with periodic borders maps waves of one frequency to waves of that frequency,
//! so Aᵀ A is diagonal in this basis.
//!
//! The transform is four matrix products per plane, on the host in f64 or on a device.

use crate::image::ImageShape;
use crate::kernels::matmul;
use crate::transfer::{Kept, to_device};
use burn::tensor::{Device, Tensor};
use nalgebra::{DMatrix, DMatrixView};

/// Real and imaginary part of every value of a plane, in row-major order.
pub type Complex = (Vec<f64>, Vec<f64>);

/// The transform of images of one shape; the coefficient of a frequency is stored where an image stores a pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct Fourier {
    shape: ImageShape,
    complex: bool,
    down: Waves,
    across: Waves,
    /// What a real transform multiplies lines by, C + S and C - S.
    sums: Box<[DMatrix<f64>; 2]>,
    kept: Kept<4>,
}

/// Cosines and sines of the angles 2π (k - n/2) (i - n/2) / n, divided by √n: symmetric matrices.
#[derive(Clone, Debug, PartialEq)]
struct Waves {
    cosine: DMatrix<f64>,
    sine: DMatrix<f64>,
}

impl Waves {
    fn new(n: usize) -> Self {
        let angle = |p: usize| std::f64::consts::TAU * p as f64 / n as f64;
        // A table of one full turn holds all angles, without rounding in large products.
        let table: Vec<(f64, f64)> = (0..n).map(|p| angle(p).sin_cos()).collect();
        let centered = |k: usize| (k + n - n / 2) % n;
        let entry = |k: usize, i: usize| table[centered(k) * centered(i) % n];
        let scale = 1.0 / (n as f64).sqrt();
        let cosine = DMatrix::from_fn(n, n, |k, i| entry(k, i).1 * scale);
        let sine = DMatrix::from_fn(n, n, |k, i| entry(k, i).0 * scale);
        Self { cosine, sine }
    }
}

impl Fourier {
    /// The transform of images of `shape`; the planes of `complex` images come in pairs, real and imaginary part.
    pub fn new(shape: ImageShape, complex: bool) -> Self {
        let (down, across) = (Waves::new(shape.height), Waves::new(shape.width));
        let sums = Box::new([&across.cosine + &across.sine, &across.cosine - &across.sine]);
        Self { shape, complex, down, across, sums, kept: Kept::default() }
    }

    /// Shape of the images, and of their coefficients.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// True if the planes are real and imaginary parts.
    pub fn is_complex(&self) -> bool {
        self.complex
    }

    /// Coefficients of the image `x`, both of the shape's length.
    pub fn forward(&self, x: &[f64]) -> Vec<f64> {
        self.transform(x, 1.0)
    }

    /// The image with coefficients `x`.
    pub fn inverse(&self, x: &[f64]) -> Vec<f64> {
        self.transform(x, -1.0)
    }

    fn transform(&self, x: &[f64], sign: f64) -> Vec<f64> {
        let pixels = self.shape.pixels();
        if !self.complex {
            // A real transform is its own inverse.
            return x.chunks_exact(pixels).flat_map(|plane| self.hartley(plane)).collect();
        }
        let pair = |planes: &[f64]| {
            let (re, im) = self.waves(&planes[..pixels], &planes[pixels..], sign);
            re.into_iter().chain(im)
        };
        x.chunks_exact(2 * pixels).flat_map(pair).collect()
    }

    /// Planes are row-major, which a column-major matrix reads as transposed: the left factor acts across.
    fn view<'a>(&self, plane: &'a [f64]) -> DMatrixView<'a, f64> {
        DMatrixView::from_slice(plane, self.shape.width, self.shape.height)
    }

    fn hartley(&self, plane: &[f64]) -> Vec<f64> {
        let x = self.view(plane);
        let [sum, difference] = self.sums.as_ref();
        let y = sum * x * &self.down.cosine + difference * x * &self.down.sine;
        y.as_slice().to_vec()
    }

    /// Σ x exp(∓iθ) of one complex plane, for `sign` = ±1.
    pub fn waves(&self, re: &[f64], im: &[f64], sign: f64) -> Complex {
        let (across, down) = (&self.across, &self.down);
        let (re, im) = (self.view(re), self.view(im));
        let lines = (&across.cosine * re + &across.sine * im * sign, &across.cosine * im - &across.sine * re * sign);
        let re = &lines.0 * &down.cosine + &lines.1 * &down.sine * sign;
        let im = &lines.1 * &down.cosine - &lines.0 * &down.sine * sign;
        (re.as_slice().to_vec(), im.as_slice().to_vec())
    }

    /// The place of the frequency opposite to that at place `p` of a plane.
    pub fn opposite(&self, p: usize) -> usize {
        let (height, width) = (self.shape.height, self.shape.width);
        turned(p / width, height) * width + turned(p % width, width)
    }

    /// See [`super::Basis::mirror`].
    pub(super) fn mirror(&self, values: &mut [f64]) {
        let width = self.shape.width;
        for line in values.chunks_exact_mut(width) {
            let before = line.to_vec();
            line.iter_mut().enumerate().for_each(|(l, v)| *v = before[turned(l, width)]);
        }
    }

    /// The same transform for batches of images on `device`.
    pub fn on(&self, device: &Device) -> DeviceFourier {
        let tensor = |m: &DMatrix<f64>, device: &Device| {
            // The matrices are symmetric, so column-major order is also row-major order.
            let values: Vec<f32> = m.iter().map(|&v| v as f32).collect();
            to_device(values, [m.nrows(), m.ncols()], device)
        };
        let (down, across) = (&self.down, &self.across);
        let matrices = [&down.cosine, &down.sine, &across.cosine, &across.sine];
        let [a, b, c, d] = self.kept.on(device, |device| matrices.map(|m| tensor(m, device)));
        DeviceFourier { shape: self.shape, complex: self.complex, down: [a, b], across: [c, d] }
    }
}

/// The place of frequency -k where the frequency k has place `k` of n, with 0 at n / 2.
fn turned(k: usize, n: usize) -> usize {
    (2 * (n / 2) + n - k) % n
}

/// A [`Fourier`] on a device.
#[derive(Clone, Debug)]
pub struct DeviceFourier {
    shape: ImageShape,
    complex: bool,
    /// Cosines and sines, `[height, height]`.
    down: [Tensor<2>; 2],
    /// Cosines and sines, `[width, width]`.
    across: [Tensor<2>; 2],
}

impl DeviceFourier {
    /// Coefficients of the images `x [n, d]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.transform(x, 1.0)
    }

    /// Images with the coefficients `x [n, d]`.
    pub fn inverse(&self, x: Tensor<2>) -> Tensor<2> {
        self.transform(x, -1.0)
    }

    fn transform(&self, x: Tensor<2>, sign: f64) -> Tensor<2> {
        let ([n, d], ImageShape { height, width, .. }) = (x.dims(), self.shape);
        let ([cd, sd], [ca, sa]) = (self.down.clone(), self.across.clone());
        if !self.complex {
            let lines = x.reshape([n * d / width, width]);
            let inner = self.columns(matmul(lines.clone(), ca.clone() + sa.clone()), cd);
            let outer = self.columns(matmul(lines, ca - sa), sd);
            return (inner + outer).reshape([n, d]);
        }
        let (sd, sa) = (sd * sign, sa * sign);
        let pairs = x.reshape([n * d / (2 * height * width), 2, height * width]);
        let part = |i: usize| pairs.clone().narrow(1, i, 1).reshape([n * d / (2 * width), width]);
        let (re, im) = (part(0), part(1));
        let lines = |x: &Tensor<2>, m: &Tensor<2>| matmul(x.clone(), m.clone());
        let [re, im] = [lines(&re, &ca) + lines(&im, &sa), lines(&im, &ca) - lines(&re, &sa)];
        let column = |x: &Tensor<2>, m: &Tensor<2>| self.columns(x.clone(), m.clone());
        let parts = [column(&re, &cd) + column(&im, &sd), column(&im, &cd) - column(&re, &sd)];
        let planes = parts.map(|part| part.reshape([n * d / (2 * height * width), 1, height * width]));
        Tensor::cat(planes.to_vec(), 1).reshape([n, d])
    }

    /// Multiplies every column of the planes whose `lines [_, width]` are given by the symmetric `matrix`.
    fn columns(&self, lines: Tensor<2>, matrix: Tensor<2>) -> Tensor<2> {
        let ImageShape { height, width, .. } = self.shape;
        let planes = lines.dims()[0] / height;
        let columns = lines.reshape([planes, height, width]).swap_dims(1, 2).reshape([planes * width, height]);
        matmul(columns, matrix).reshape([planes, width, height]).swap_dims(1, 2).reshape([planes * height, width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(len: usize) -> Vec<f64> {
        (0..len).map(|i| ((i * 7 % 11) as f64 - 5.0) / 4.0).collect()
    }

    /// Coefficient at place `p` of a complex plane, computed as a double sum.
    fn coefficient(shape: ImageShape, re: &[f64], im: &[f64], p: usize) -> (f64, f64) {
        let (h, w) = (shape.height, shape.width);
        let centered = |k: usize, n: usize| k as f64 - (n / 2) as f64;
        let part = |k: usize, i: usize, n: usize| centered(k, n) * centered(i, n) / n as f64;
        let mut sum = (0.0, 0.0);
        for q in 0..h * w {
            let turns = part(p / w, q / w, h) + part(p % w, q % w, w);
            let (sin, cos) = (-std::f64::consts::TAU * turns).sin_cos();
            sum.0 += re[q] * cos - im[q] * sin;
            sum.1 += re[q] * sin + im[q] * cos;
        }
        let root = (h as f64 * w as f64).sqrt();
        (sum.0 / root, sum.1 / root)
    }

    fn near(found: &[f64], expected: &[f64], most: f64) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < most), "{found:?} {expected:?}");
    }

    #[test]
    fn coefficients_are_the_double_sums_and_come_back() {
        for (height, width) in [(5, 3), (4, 6), (1, 7)] {
            let shape = ImageShape { channels: 2, height, width };
            let (x, pixels) = (image(shape.len()), shape.pixels());
            let zeros = vec![0.0; pixels];
            let real = Fourier::new(shape, false);
            let y = real.forward(&x);
            for (p, y) in y.iter().enumerate() {
                let plane = &x[p / pixels * pixels..][..pixels];
                let (re, im) = coefficient(shape, plane, &zeros, p % pixels);
                assert!((y - (re - im)).abs() < 1e-12, "{shape:?} coefficient {p}");
            }
            near(&real.inverse(&y), &x, 1e-12);

            let complex = Fourier::new(shape, true);
            let y = complex.forward(&x);
            for p in 0..pixels {
                let (re, im) = coefficient(shape, &x[..pixels], &x[pixels..], p);
                assert!((y[p] - re).abs() < 1e-12 && (y[pixels + p] - im).abs() < 1e-12, "{shape:?} coefficient {p}");
            }
            near(&complex.inverse(&y), &x, 1e-12);
        }
    }

    #[test]
    fn the_opposite_frequency_of_a_real_image_has_the_conjugate_coefficient() {
        for (height, width) in [(5, 4), (4, 7)] {
            let shape = ImageShape { channels: 1, height, width };
            let basis = Fourier::new(shape, false);
            let (re, im) = basis.waves(&image(shape.len()), &vec![0.0; shape.len()], 1.0);
            for p in 0..shape.len() {
                let q = basis.opposite(p);
                assert!((re[p] - re[q]).abs() < 1e-12 && (im[p] + im[q]).abs() < 1e-12, "{p} {q}");
            }
        }
    }

    /// |X|² of a mirrored image is the mirrored |X|².
    #[test]
    fn the_power_of_a_mirrored_image_is_mirrored() {
        let shape = ImageShape { channels: 1, height: 3, width: 6 };
        let basis = Fourier::new(shape, false);
        let power = |x: &[f64]| -> Vec<f64> {
            let (re, im) = basis.waves(x, &vec![0.0; shape.len()], 1.0);
            re.iter().zip(&im).map(|(re, im)| re * re + im * im).collect()
        };
        let (mut x, mut expected) = (image(shape.len()), power(&image(shape.len())));
        shape.mirror(&mut x);
        basis.mirror(&mut expected);
        near(&power(&x), &expected, 1e-12);
    }

    #[test]
    #[cfg(feature = "flex")]
    fn batches_on_a_device_are_transformed_alike() {
        for complex in [false, true] {
            let shape = ImageShape { channels: 2, height: 5, width: 4 };
            let (basis, device) = (Fourier::new(shape, complex), Device::flex());
            let x: Vec<f32> =
                image(shape.len()).iter().chain(&basis.forward(&image(shape.len()))).map(|&v| v as f32).collect();
            let batch = to_device(x.clone(), [2, shape.len()], &device);
            let on = basis.on(&device);
            let host = |t: Tensor<2>| -> Vec<f64> {
                t.into_data().try_to_vec::<f32>().unwrap().into_iter().map(f64::from).collect()
            };
            let y = host(on.forward(batch.clone()));
            near(&y[..shape.len()], &basis.forward(&image(shape.len())), 1e-5);
            let x: Vec<f64> = x.into_iter().map(f64::from).collect();
            near(&host(on.inverse(on.forward(batch))), &x, 1e-5);
        }
    }
}
