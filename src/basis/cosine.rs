//! The orthonormal discrete cosine transform (DCT-II) of every plane of an image:
//!
//! ```text
//! X = C_h x C_wᵀ,   C_n[k, i] = √((1 + [k > 0]) / n) cos(π k (2 i + 1) / 2 n)
//! ```
//!
//! Every symmetric convolution with mirrored borders is diagonal in this basis (Strang 1999, "The discrete
//! cosine transform"). Images here have sides of tens to hundreds of pixels, so the transform is two matrix
//! products, on the host in f64 or on a device.

use crate::image::ImageShape;
use crate::kernels;
use crate::transfer::{Kept, to_device};
use burn::tensor::{Device, Tensor};
use nalgebra::{DMatrix, DMatrixView};

/// The transform of images of one shape; coefficient (c, k, l) is stored where an image
/// stores value (c, k, l).
#[derive(Clone, Debug, PartialEq)]
pub struct Dct {
    shape: ImageShape,
    /// C_h, `[height, height]`.
    down: DMatrix<f64>,
    /// C_w, `[width, width]`.
    across: DMatrix<f64>,
    kept: Kept<2>,
}

/// The matrix C_n.
pub(crate) fn cosines(n: usize) -> DMatrix<f64> {
    // Angles are multiples of π / 2 n: a table of one full turn holds all of them, without rounding
    // in large products.
    let table: Vec<f64> = (0..4 * n).map(|p| (std::f64::consts::PI * p as f64 / (2 * n) as f64).cos()).collect();
    let square = |k: usize| if k == 0 { 1.0 } else { 2.0 };
    DMatrix::from_fn(n, n, |k, i| (square(k) / n as f64).sqrt() * table[k * (2 * i + 1) % (4 * n)])
}

impl Dct {
    /// The transform of images of `shape`.
    pub fn new(shape: ImageShape) -> Self {
        Self { shape, down: cosines(shape.height), across: cosines(shape.width), kept: Kept::default() }
    }

    /// Shape of the images, and of their coefficients.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// Coefficients of the image `x`, both of the shape's length.
    pub fn forward(&self, x: &[f64]) -> Vec<f64> {
        self.planes(x, &self.across, &self.down.transpose())
    }

    /// The image with coefficients `x`.
    pub fn inverse(&self, x: &[f64]) -> Vec<f64> {
        self.planes(x, &self.across.transpose(), &self.down)
    }

    /// Computes `left` P `right` for every plane P, read as a column-major matrix and therefore transposed.
    fn planes(&self, x: &[f64], left: &DMatrix<f64>, right: &DMatrix<f64>) -> Vec<f64> {
        let (width, height) = (self.shape.width, self.shape.height);
        let plane = |x: &[f64]| (left * DMatrixView::from_slice(x, width, height) * right).as_slice().to_vec();
        x.chunks_exact(self.shape.pixels()).flat_map(plane).collect()
    }

    /// The same transform for batches of images on `device`.
    pub fn on(&self, device: &Device) -> DeviceDct {
        let tensor = |m: &DMatrix<f64>, device: &Device| {
            let values: Vec<f32> = m.transpose().iter().map(|&v| v as f32).collect();
            to_device(values, [m.nrows(), m.ncols()], device)
        };
        let [down, across] = self.kept.on(device, |device| [&self.down, &self.across].map(|m| tensor(m, device)));
        DeviceDct { shape: self.shape, down, across }
    }
}

/// A [`Dct`] on a device.
#[derive(Clone, Debug)]
pub struct DeviceDct {
    shape: ImageShape,
    down: Tensor<2>,
    across: Tensor<2>,
}

impl DeviceDct {
    /// Coefficients of the images `x [n, d]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.apply(x, self.across.clone().transpose(), self.down.clone().transpose())
    }

    /// Images with the coefficients `x [n, d]`.
    pub fn inverse(&self, x: Tensor<2>) -> Tensor<2> {
        self.apply(x, self.across.clone(), self.down.clone())
    }

    /// Multiplies every line of every plane by `across`, then every column by `down`.
    fn apply(&self, x: Tensor<2>, across: Tensor<2>, down: Tensor<2>) -> Tensor<2> {
        let ([n, d], ImageShape { height, width, .. }) = (x.dims(), self.shape);
        let planes = n * d / (height * width);
        let lines = kernels::matmul(x.reshape([planes * height, width]), across);
        let columns = lines.reshape([planes, height, width]).swap_dims(1, 2).reshape([planes * width, height]);
        kernels::matmul(columns, down).reshape([planes, width, height]).swap_dims(1, 2).reshape([n, d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape { channels: 2, height: 5, width: 3 };

    fn image() -> Vec<f64> {
        (0..SHAPE.len()).map(|i| ((i * 7 % 11) as f64 - 5.0) / 4.0).collect()
    }

    /// Coefficient (c, k, l), computed as a double sum.
    fn coefficient(x: &[f64], c: usize, k: usize, l: usize) -> f64 {
        let part = |k: usize, i: usize, n: usize| {
            let square = if k == 0 { 1.0 } else { 2.0 };
            (square / n as f64).sqrt() * (std::f64::consts::PI * k as f64 * (2 * i + 1) as f64 / (2 * n) as f64).cos()
        };
        let (h, w) = (SHAPE.height, SHAPE.width);
        let place = |p: usize| (p / w, p % w);
        (0..h * w).map(place).map(|(i, j)| x[(c * h + i) * w + j] * part(k, i, h) * part(l, j, w)).sum()
    }

    #[test]
    fn coefficients_are_the_double_sums_and_come_back() {
        let (dct, x) = (Dct::new(SHAPE), image());
        let y = dct.forward(&x);
        for (p, y) in y.iter().enumerate() {
            let (c, k, l) = (p / SHAPE.pixels(), p % SHAPE.pixels() / SHAPE.width, p % SHAPE.width);
            assert!((y - coefficient(&x, c, k, l)).abs() < 1e-12, "coefficient {c} {k} {l}");
        }
        assert!(dct.inverse(&y).iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    #[cfg(feature = "flex")]
    fn batches_on_a_device_are_transformed_alike() {
        let (dct, device) = (Dct::new(SHAPE), Device::flex());
        let x: Vec<f32> = image().iter().chain(&dct.forward(&image())).map(|&v| v as f32).collect();
        let batch = to_device(x.clone(), [2, SHAPE.len()], &device);
        let on = dct.on(&device);
        let host = |t: Tensor<2>| t.into_data().try_to_vec::<f32>().unwrap();
        let y = host(on.forward(batch.clone()));
        let expected = dct.forward(&image());
        assert!(y[..SHAPE.len()].iter().zip(&expected).all(|(a, b)| (*a as f64 - b).abs() < 1e-5));
        let back = host(on.inverse(on.forward(batch)));
        assert!(back.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}
