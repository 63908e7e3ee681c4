//! Denoisers: D(x_t, σ, c) = E[x | x_t, c], and EDM's preconditioning of a network into one.

use crate::basis::DeviceBasis;
use crate::error::Result;
use crate::gaussian::Gaussian;
use crate::kernels;
use crate::network::{Network, embedding};
use crate::noise::RowStreams;
use crate::samples::Samples;
use crate::schedule::Schedule;
use crate::transfer;
use burn::tensor::{Device, Tensor};
use nalgebra::{DMatrix, SymmetricEigen};

/// D(x_t, σ): the mean of x given x_t = x + σ z (and whatever the denoiser is conditioned on).
pub trait Denoiser {
    /// Maps `x_t [n, d]` to `[n, d]`, at one noise level for the whole batch, as in sampling.
    fn denoise(&self, x_t: Tensor<2>, sigma: f64) -> Tensor<2>;
}

impl<F: Fn(Tensor<2>, f64) -> Tensor<2>> Denoiser for F {
    fn denoise(&self, x_t: Tensor<2>, sigma: f64) -> Tensor<2> {
        self(x_t, sigma)
    }
}

/// The exact denoiser of x ~ N(μ, Σ): D = μ + Σ (Σ + σ² I)⁻¹ (x_t - μ).
///
/// Built from a posterior N(μ_y, Σ_y), it is the exact conditional denoiser for that y.
#[derive(Clone, Debug)]
pub struct GaussianDenoiser {
    mean: Tensor<2>,
    eigenvectors: DMatrix<f64>,
    eigenvalues: Vec<f64>,
    device: Device,
}

impl GaussianDenoiser {
    /// Builds the exact denoiser of the distribution `law` on `device`.
    pub fn new(law: &Gaussian, device: &Device) -> Self {
        let eigen = SymmetricEigen::new(law.covariance.clone());
        let mean: Vec<f32> = law.mean.iter().map(|&v| v as f32).collect();
        Self {
            mean: transfer::to_device(mean, [1, law.d()], device),
            eigenvectors: eigen.eigenvectors,
            eigenvalues: eigen.eigenvalues.iter().copied().collect(),
            device: device.clone(),
        }
    }
}

impl Denoiser for GaussianDenoiser {
    fn denoise(&self, x_t: Tensor<2>, sigma: f64) -> Tensor<2> {
        let d = self.eigenvalues.len();
        let shrink = DMatrix::from_fn(d, d, |i, j| {
            if i == j { self.eigenvalues[i] / (self.eigenvalues[i] + sigma * sigma) } else { 0.0 }
        });
        let matrix = &self.eigenvectors * shrink * self.eigenvectors.transpose();
        // The matrix is symmetric, so column-major order is also row-major order.
        let values: Vec<f32> = matrix.iter().map(|&v| v as f32).collect();
        let matrix = transfer::to_device(values, [d, d], &self.device);
        kernels::matmul(x_t - self.mean.clone(), matrix) + self.mean.clone()
    }
}

/// EDM preconditioning (arXiv 2206.00364, table 1) of a network F:
/// D = c_skip x_t + c_out F(c_in x_t, emb(ln σ), c), with
/// c_skip = σ_d²/(σ² + σ_d²), c_out = σ σ_d/√(σ² + σ_d²), c_in = 1/√(σ² + σ_d²).
#[derive(Clone, Copy, Debug)]
pub struct Preconditioned<'a, N: ?Sized> {
    /// F.
    pub network: &'a N,
    /// σ_d and the range of σ.
    pub schedule: &'a Schedule,
}

/// c_skip, c_out and c_in of all rows or of each.
pub(crate) struct Scalings {
    pub c_skip: Scaling,
    pub c_out: Scaling,
    pub c_in: Scaling,
}

/// What the rows of a batch are multiplied by.
pub(crate) enum Scaling {
    /// The same number, which needs no tensor.
    All(f32),
    /// One number per row, `[n, 1]`.
    Each(Box<Tensor<2>>),
}

impl Scaling {
    pub fn times(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::All(factor) => x * *factor,
            Self::Each(factors) => x * factors.as_ref().clone(),
        }
    }
}

impl Scalings {
    pub fn new(schedule: &Schedule, sigma: &[f64], device: &Device) -> Self {
        let data = schedule.sigma_data;
        let column = |f: &dyn Fn(f64) -> f64| match sigma {
            [sigma] => Scaling::All(f(*sigma) as f32),
            _ => {
                let values = sigma.iter().map(|&s| f(s) as f32).collect();
                Scaling::Each(Box::new(transfer::to_device(values, [sigma.len(), 1], device)))
            }
        };
        let total = |s: f64| (s * s + data * data).sqrt();
        Self {
            c_skip: column(&|s| (data / total(s)).powi(2)),
            c_out: column(&|s| s * data / total(s)),
            c_in: column(&|s| 1.0 / total(s)),
        }
    }
}

/// Measurement update of a batch, D = D₀ + K y - K A D₀; see [`crate::conditioning`].
#[derive(Clone, Debug)]
pub struct Gain {
    /// K A, `[n, d]` (diagonal) or `[n, d * d]` (dense).
    pub ka: Tensor<2>,
    /// K y, `[n, d]`.
    pub ky: Tensor<2>,
    /// Basis in which K A is diagonal and K y is given; `None` for the basis of the coordinates. For k directions both are
    /// `[n, k]`.
    pub basis: Option<DeviceBasis>,
    /// Correction to c_skip in that basis, `[n, d]`: it gives x_t the weight in D₀ that it has for a signal
    /// with a spectrum.
    pub skip: Option<Tensor<2>>,
}

impl Gain {
    /// Applies the update to D₀ `[n, d]` at `x_t [n, d]` and returns D.
    pub(crate) fn apply(&self, d0: Tensor<2>, x_t: Tensor<2>) -> Tensor<2> {
        if let Some(basis) = &self.basis {
            if let DeviceBasis::Directions(_) = basis {
                // What they do not span is not updated.
                let change = self.ky.clone() - basis.forward(d0.clone()) * self.ka.clone();
                return d0 + basis.inverse(change);
            }
            let mut c = basis.forward(d0);
            if let Some(skip) = &self.skip {
                c = c + basis.forward(x_t) * skip.clone();
            }
            return basis.inverse(c.clone() + self.ky.clone() - c * self.ka.clone());
        }
        d0.clone() + self.ky.clone() - times(&self.ka, d0)
    }
}

/// Product of every row of `x [n, d]` with its own matrix: a diagonal, `matrix [n, d]`, or all of it,
/// `matrix [n, d * d]`.
pub(crate) fn times(matrix: &Tensor<2>, x: Tensor<2>) -> Tensor<2> {
    let [n, d] = x.dims();
    match matrix.dims()[1] == d {
        true => x * matrix.clone(),
        false => (matrix.clone().reshape([n, d, d]) * x.reshape([n, 1, d])).sum_dim(2).reshape([n, d]),
    }
}

impl<N: Network + ?Sized> Preconditioned<'_, N> {
    /// Returns D for `x_t [n, d]` and `features [n, c]`, with one noise level per row or a single one for all
    /// rows (`sigma` of length n or 1).
    pub fn forward(&self, x_t: Tensor<2>, sigma: &[f64], features: Tensor<2>, gain: Option<&Gain>) -> Tensor<2> {
        self.around(x_t, sigma, gain, |x, embedded| {
            let shape = [x.dims()[0], self.network.embedding_len()];
            self.network.forward(x, embedded.expand(shape), features)
        })
    }

    /// Equals [`Preconditioned::forward`] up to rounding, at one noise level for all rows and with features
    /// that the network has prepared.
    pub fn forward_prepared(&self, x_t: Tensor<2>, sigma: f64, prepared: Tensor<2>, gain: Option<&Gain>) -> Tensor<2> {
        self.around(x_t, &[sigma], gain, |x, embedded| self.network.forward_prepared(x, embedded, prepared))
    }

    /// [`Preconditioned::forward`] in training, where dropout takes its randomness from the `streams` of the rows.
    pub fn forward_training(
        &self,
        x_t: Tensor<2>,
        sigma: &[f64],
        features: Tensor<2>,
        gain: Option<&Gain>,
        streams: RowStreams,
    ) -> Tensor<2> {
        self.around(x_t, sigma, gain, |x, embedded| {
            let shape = [x.dims()[0], self.network.embedding_len()];
            self.network.forward_training(x, embedded.expand(shape), features, streams)
        })
    }

    /// Computes D from F = `network(c_in x_t, emb(ln σ))`; the embedding has as many rows as `sigma`.
    fn around(
        &self,
        x_t: Tensor<2>,
        sigma: &[f64],
        gain: Option<&Gain>,
        network: impl FnOnce(Tensor<2>, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let device = x_t.device();
        let Scalings { c_skip, c_out, c_in } = Scalings::new(self.schedule, sigma, &device);
        let embedded = embedding(sigma, self.network.embedding_len(), &device);
        let f = network(c_in.times(x_t.clone()), embedded);
        let d0 = c_skip.times(x_t.clone()) + c_out.times(f);
        match gain {
            Some(gain) => gain.apply(d0, x_t),
            None => d0,
        }
    }
}

/// Device tensor of host rows.
pub fn to_tensor(samples: &Samples, device: &Device) -> Tensor<2> {
    transfer::to_device(samples.as_slice().to_vec(), [samples.n(), samples.d()], device)
}

/// Host rows of a device tensor, in 32 bits whatever the precision of the device.
///
/// # Errors
/// A device that fails.
pub fn to_samples(tensor: Tensor<2>) -> Result<Samples> {
    let d = tensor.dims()[1];
    Ok(Samples::new(transfer::to_host(&tensor)?, d))
}

/// [`to_samples`] for platforms where reads cannot block, such as WebGPU in a browser.
///
/// # Errors
/// A device that fails.
pub async fn to_samples_async(tensor: Tensor<2>) -> Result<Samples> {
    let d = tensor.dims()[1];
    Ok(Samples::new(transfer::to_host_async(tensor).await?, d))
}
