//! Gaussian blur: y = (B_h ⊗ B_w) x on every color channel, where B_n convolves a line of n pixels with w_k ∝
//! exp(-k² / 2σ²), |k| <= ⌈4σ⌉, Σ w_k = 1.
//!
//! Beyond its ends, a line is mirrored about the outer edge of its last pixel (... 1 0 | 0 1 2 ... n-1 | n-1
//! n-2 ..., the half-sample symmetric extension, "reflect" in scipy). A constant image stays constant, and
//! B_n is symmetric: it is diagonal in the DCT-II basis with eigenvalues Σ_k w_k cos(π j k / n) (Strang 1999,
//! "The discrete cosine transform").

use super::{Channel, LinearChannel, Signal, SpectralChannel, Stage, wide};
use crate::basis::{Basis, Dct, MAX_SIDE};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Maximum standard deviation in pixels: far larger than any image, which such a blur reduces to its mean.
const MAX_SIGMA: f64 = 1e5;

/// Gaussian blur, mirrored at the edges (images).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BlurConfig {
    /// Standard deviation in pixels, in (0, 1e5].
    pub sigma: f64,
}

impl Stage for BlurConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(Blur::new(signal.image("blur")?, self.sigma)?))
    }
}

/// Gaussian blur of every color channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Blur {
    shape: ImageShape,
    rows: Vec<Tap>,
    columns: Vec<Tap>,
    /// The cosine basis and the eigenvalues there, unless the image is too large.
    spectrum: Option<(Basis, Vec<f64>)>,
}

/// One row of B_n: its non-zero weights from pixel `start`.
#[derive(Clone, Debug, PartialEq)]
struct Tap {
    start: usize,
    weights: Vec<f32>,
}

impl Blur {
    /// Creates a blur with a standard deviation of `sigma` pixels, in (0, 1e5].
    pub fn new(shape: ImageShape, sigma: f64) -> Result<Self> {
        shape.validate("image")?;
        if !(sigma > 0.0 && sigma <= MAX_SIGMA) {
            return Err(Error::config("sigma", format!("expected a number in (0, {MAX_SIGMA}] pixels, found {sigma}")));
        }
        let (across, down) = (kernel(shape.width, sigma), kernel(shape.height, sigma));
        let spectrum = (shape.width.max(shape.height) <= MAX_SIDE).then(|| spectrum(shape, &down, &across));
        Ok(Self { shape, rows: taps(&across, sigma), columns: taps(&down, sigma), spectrum })
    }

    /// The basis and the eigenvalues of a channel that gave its spectral view.
    fn eigen(&self) -> &(Basis, Vec<f64>) {
        self.spectrum.as_ref().expect("a blur without a basis has no spectral view")
    }

    fn blur(&self, x: &[f32], y: &mut [f32]) {
        let (pixels, width) = (self.shape.pixels(), self.shape.width);
        let mut across = vec![0.0f32; pixels];
        for (x, y) in x.chunks_exact(pixels).zip(y.chunks_exact_mut(pixels)) {
            for (line, out) in x.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
                for (out, tap) in out.iter_mut().zip(&self.rows) {
                    *out = tap.weights.iter().zip(&line[tap.start..]).map(|(w, x)| w * x).sum();
                }
            }
            // The vertical pass adds whole lines, which are contiguous in memory.
            y.fill(0.0);
            for (out, tap) in y.chunks_exact_mut(width).zip(&self.columns) {
                for (&w, line) in tap.weights.iter().zip(across.chunks_exact(width).skip(tap.start)) {
                    out.iter_mut().zip(line).for_each(|(out, x)| *out += w * x);
                }
            }
        }
    }
}

/// Reach of the kernel to either side, in pixels.
fn reach(sigma: f64) -> usize {
    (4.0 * sigma).ceil() as usize
}

/// Kernel on the mirrored line, which has period 2 n; longer kernels are wrapped around.
fn kernel(n: usize, sigma: f64) -> Vec<f64> {
    let weight = |k: usize| (-0.5 * (k as f64 / sigma).powi(2)).exp();
    let total = 1.0 + 2.0 * (1..=reach(sigma)).map(weight).sum::<f64>();
    let mut kernel = vec![0.0; 2 * n];
    kernel[0] = 1.0 / total;
    for k in 1..=reach(sigma) {
        kernel[k % (2 * n)] += weight(k) / total;
        kernel[(2 * n - k % (2 * n)) % (2 * n)] += weight(k) / total;
    }
    kernel
}

/// Eigenvalues of B_h ⊗ B_w on every channel: each is the product of a vertical and a horizontal one, Σ_k
/// w_k cos(π j k / n).
fn spectrum(shape: ImageShape, down: &[f64], across: &[f64]) -> (Basis, Vec<f64>) {
    let values = |kernel: &[f64]| -> Vec<f64> {
        let n = kernel.len() / 2;
        // The angles π j k / n repeat with period 2 n.
        let cosine: Vec<f64> = (0..2 * n).map(|p| (std::f64::consts::PI * p as f64 / n as f64).cos()).collect();
        let value = |j: usize| kernel.iter().enumerate().map(|(k, w)| w * cosine[j * k % (2 * n)]).sum();
        (0..n).map(value).collect()
    };
    let (down, across) = (values(down), values(across));
    let plane: Vec<f64> = down.iter().flat_map(|d| across.iter().map(move |a| d * a)).collect();
    (Basis::Cosine(Dct::new(shape)), plane.repeat(shape.channels))
}

/// The rows of B_n.
fn taps(kernel: &[f64], sigma: f64) -> Vec<Tap> {
    let n = kernel.len() / 2;
    (0..n).map(|i| tap(i, n, reach(sigma), kernel)).collect()
}

fn tap(i: usize, n: usize, radius: usize, kernel: &[f64]) -> Tap {
    // A mirrored pixel is nearer to i than the pixel that it replaces, so the row keeps the kernel's reach.
    let (start, end) = (i.saturating_sub(radius), (i + radius + 1).min(n));
    let weights = (start..end).map(|j| {
        let (direct, mirrored) = ((j + 2 * n - i) % (2 * n), (2 * (2 * n) - 1 - j - i) % (2 * n));
        (kernel[direct] + kernel[mirrored]) as f32
    });
    Tap { start, weights: weights.collect() }
}

impl Channel for Blur {
    fn signal_len(&self) -> usize {
        self.shape.len()
    }

    fn signal_image(&self) -> Option<ImageShape> {
        Some(self.shape)
    }

    fn observation_len(&self) -> usize {
        self.shape.len()
    }

    fn observe(&self, x: &[f32], _a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
        self.blur(x, y);
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        Some(self)
    }
}

impl LinearChannel for Blur {
    fn apply(&self, _a: &[f32], x: &[f32], y: &mut [f32]) {
        self.blur(x, y);
    }

    /// B is symmetric.
    fn adjoint(&self, _a: &[f32], y: &[f32], x: &mut [f32]) {
        self.blur(y, x);
    }

    fn as_spectral(&self) -> Option<&dyn SpectralChannel> {
        self.spectrum.is_some().then_some(self)
    }
}

impl SpectralChannel for Blur {
    fn basis(&self) -> &Basis {
        &self.eigen().0
    }

    fn write_spectrum(&self, _a: &[f32], gain: &mut [f64], variance: &mut [f64]) {
        gain.copy_from_slice(&self.eigen().1);
        variance.fill(0.0);
    }

    /// B is symmetric, so that U y = g ∘ U x.
    fn write_coefficients(&self, _a: &[f32], y: &[f32], out: &mut [f64]) {
        out.copy_from_slice(&self.basis().forward(&wide(y)));
    }
}
