//! Orthonormal bases U of the images of one shape, in which a linear channel can be diagonal: A of one observation then
//! is one factor per coefficient, and a posterior costs two transforms instead of operations on d x d matrices.

mod cosine;
mod fourier;

pub(crate) use cosine::cosines;
pub use cosine::{Dct, DeviceDct};
pub use fourier::{DeviceFourier, Fourier};

use crate::image::ImageShape;
use crate::kernels;
use burn::tensor::{Device, Tensor};

/// Maximum side of an image that gets a transform; its matrix takes 8 MB.
pub(crate) const MAX_SIDE: usize = 1024;

/// An orthonormal basis of images.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Basis {
    /// Cosines with mirrored borders.
    Cosine(Dct),
    /// Waves with periodic borders.
    Fourier(Fourier),
}

/// A [`Basis`] on a device.
#[derive(Clone, Debug)]
pub enum DeviceBasis {
    /// Cosines with mirrored borders.
    Cosine(Box<DeviceDct>),
    /// Waves with periodic borders.
    Fourier(Box<DeviceFourier>),
    /// Orthonormal directions, fewer than a signal has values.
    Directions(Box<DeviceDirections>),
}

/// Orthonormal directions V on a device.
#[derive(Clone, Debug)]
pub struct DeviceDirections {
    /// V, `[d, k]`.
    pub down: Tensor<2>,
    /// Vᵀ, `[k, d]`.
    pub up: Tensor<2>,
}

impl Basis {
    /// Shape of the images, and of their coefficients.
    pub fn shape(&self) -> ImageShape {
        match self {
            Self::Cosine(basis) => basis.shape(),
            Self::Fourier(basis) => basis.shape(),
        }
    }

    /// Coefficients U x of the image `x`, both of the shape's length.
    pub fn forward(&self, x: &[f64]) -> Vec<f64> {
        match self {
            Self::Cosine(basis) => basis.forward(x),
            Self::Fourier(basis) => basis.forward(x),
        }
    }

    /// The image with coefficients `x`.
    pub fn inverse(&self, x: &[f64]) -> Vec<f64> {
        match self {
            Self::Cosine(basis) => basis.inverse(x),
            Self::Fourier(basis) => basis.inverse(x),
        }
    }

    /// Turns `values`, one per coefficient and the same for a wave's sine and cosine, into those of the images
    /// mirrored left to right.
    pub(crate) fn mirror(&self, values: &mut [f64]) {
        // The coefficients of a mirrored image change their sign only.
        if let Self::Fourier(basis) = self {
            basis.mirror(values);
        }
    }

    /// Eigenvalue ℓ of the discrete Laplacian (five points, with the borders of the basis) for every coefficient.
    pub fn laplacian(&self) -> Vec<f64> {
        let shape = self.shape();
        let side = |k: usize, n: usize| match self {
            Self::Cosine(_) => 2.0 - 2.0 * (std::f64::consts::PI * k as f64 / n as f64).cos(),
            Self::Fourier(_) => 2.0 - 2.0 * (std::f64::consts::TAU * (k as f64 - (n / 2) as f64) / n as f64).cos(),
        };
        let value = |p: usize| side(p / shape.width, shape.height) + side(p % shape.width, shape.width);
        (0..shape.len()).map(|p| value(p % shape.pixels())).collect()
    }

    /// ℓ² of every coefficient, by which smooth priors weigh it.
    pub(crate) fn roughness(&self) -> Vec<f64> {
        self.laplacian().into_iter().map(|l| l * l).collect()
    }

    /// The Fourier transform that a channel of frequencies made its basis of.
    pub(crate) fn waves(&self) -> &Fourier {
        match self {
            Self::Fourier(waves) => waves,
            Self::Cosine(_) => unreachable!("the channel makes its basis as a Fourier transform"),
        }
    }

    /// The same transform for batches of images on `device`.
    pub fn on(&self, device: &Device) -> DeviceBasis {
        match self {
            Self::Cosine(basis) => DeviceBasis::Cosine(Box::new(basis.on(device))),
            Self::Fourier(basis) => DeviceBasis::Fourier(Box::new(basis.on(device))),
        }
    }
}

impl DeviceBasis {
    /// Coefficients of the images `x [n, d]`: `[n, d]`, or `[n, k]` for k directions.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Cosine(basis) => basis.forward(x),
            Self::Fourier(basis) => basis.forward(x),
            Self::Directions(directions) => kernels::matmul(x, directions.down.clone()),
        }
    }

    /// Images with the coefficients `x [n, d]`, or `[n, k]` for k directions.
    pub fn inverse(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Cosine(basis) => basis.inverse(x),
            Self::Fourier(basis) => basis.inverse(x),
            Self::Directions(directions) => kernels::matmul(x, directions.up.clone()),
        }
    }
}
