//! Convolution with periodic borders, or with zeros around the image: y = k * x on every plane, with one kernel for all
//! images or one per image, such as the point spread function of an exposure.
//!
//! With periodic borders A has the eigenvalues k̂, the kernel's Fourier transform. With U from [`crate::basis::Fourier`], Aᵀ A is diagonal with
//! |k̂|², and the coefficients of an observation are those of y without the phase of k̂.

use super::{Channel, LinearChannel, Signal, SpectralChannel, Stage, wide};
use crate::basis::{Basis, Fourier, MAX_SIDE};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::noise::Stream;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What lies around the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Border {
    /// The image again, so that the convolution is diagonal in waves.
    #[default]
    Periodic,
    /// Zeros: the channel is then linear without a basis.
    Zero,
}

/// Convolution with a kernel (images).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KernelConfig {
    /// The kernel of all images, row by row; both sides are odd and at most the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Vec<Vec<f32>>>,
    /// Instead of `weights`, a Gaussian kernel per image, with sum 1: its two standard deviations are drawn uniformly
    /// from this range of pixels, and its angle from all. Observations of your own bring their kernels as `a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<[f64; 2]>,
    /// Side of the kernels of `sigma`, odd and at most the image's sides.
    #[serde(default = "default_size")]
    pub size: usize,
    /// What lies around the image.
    #[serde(default)]
    pub border: Border,
}

fn default_size() -> usize {
    9
}

impl Stage for KernelConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        let shape = signal.image("kernel")?;
        let kernel = match (&self.weights, self.sigma) {
            (Some(weights), None) => Kernel::new(shape, weights)?,
            (None, Some(sigma)) => Kernel::random(shape, sigma, self.size)?,
            _ => return Err(Error::config("weights", "expected one of weights and sigma")),
        };
        Ok(Box::new(kernel.with_border(self.border)))
    }
}

/// Convolution of every plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    shape: ImageShape,
    /// Height and width of the kernel, both odd.
    size: [usize; 2],
    source: Source,
    border: Border,
    basis: Basis,
    /// k̂ of a kernel that all images share.
    shared: Option<Transfer>,
}

/// Real and imaginary part of k̂.
type Transfer = (Vec<f64>, Vec<f64>);

/// Where the kernel comes from.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    /// One for all images, row by row.
    Shared(Vec<f32>),
    /// One per image; new ones have deviations in this range.
    Each([f64; 2]),
}

impl Kernel {
    /// Creates a convolution with one kernel, given row by row, whose sides are odd and at most the image's.
    ///
    /// # Errors
    /// Rows of different length, values that are not finite, or sides outside their range.
    pub fn new(shape: ImageShape, weights: &[Vec<f32>]) -> Result<Self> {
        let size = [weights.len(), weights.first().map_or(0, Vec::len)];
        let values: Vec<f32> = weights.concat();
        if weights.iter().any(|row| row.len() != size[1]) || values.iter().any(|v| !v.is_finite()) {
            return Err(Error::config("weights", "expected rows of finite numbers, all of the same length"));
        }
        Self::sized(shape, size, Source::Shared(values), "weights")
    }

    /// Creates convolutions with a kernel of `size` x `size` values per image. New kernels are Gaussian, with
    /// deviations in the range `sigma` = [least, greatest] of pixels.
    ///
    /// # Errors
    /// A setting outside its range.
    pub fn random(shape: ImageShape, sigma: [f64; 2], size: usize) -> Result<Self> {
        let [least, greatest] = sigma;
        if !(least > 0.0 && least <= greatest && greatest.is_finite()) {
            let message = format!("expected [least, greatest] with 0 < least <= greatest, found [{least}, {greatest}]");
            return Err(Error::config("sigma", message));
        }
        Self::sized(shape, [size; 2], Source::Each(sigma), "size")
    }

    fn sized(shape: ImageShape, size: [usize; 2], source: Source, field: &str) -> Result<Self> {
        shape.validate("image")?;
        let ImageShape { height, width, .. } = shape;
        if height.max(width) > MAX_SIDE {
            let message = format!("\"kernel\" takes images with sides up to {MAX_SIDE}, found {height} x {width}");
            return Err(Error::config("kind", message));
        }
        let [rows, columns] = size;
        if rows.is_multiple_of(2) || columns.is_multiple_of(2) || rows > height || columns > width {
            let message = format!(
                "expected a kernel with odd sides, at most the image's {height} x {width}, found {rows} x {columns}"
            );
            return Err(Error::config(field, message));
        }
        let basis = Basis::Fourier(Fourier::new(shape, false));
        let mut kernel = Self { shape, size, source, border: Border::Periodic, basis, shared: None };
        if let Source::Shared(weights) = &kernel.source {
            kernel.shared = Some(kernel.transform(weights));
        }
        Ok(kernel)
    }

    /// The same with another border.
    pub fn with_border(self, border: Border) -> Self {
        Self { border, ..self }
    }

    /// The kernel of an observation with the parameters `a`.
    fn weights<'a>(&'a self, a: &'a [f32]) -> &'a [f32] {
        match &self.source {
            Source::Shared(weights) => weights,
            Source::Each(_) => a,
        }
    }

    /// Σ_t k_t x[p ∓ (t - center)] for every pixel p of every plane, with - for `sign` 1.
    fn convolve(&self, k: &[f32], x: &[f32], sign: isize, y: &mut [f32]) {
        let (height, width) = (self.shape.height, self.shape.width);
        let zero = self.border == Border::Zero;
        let offset = |t: usize, side: usize| sign * (t as isize - (side / 2) as isize);
        let shifted =
            |p: usize, t: usize, side: usize, n: usize| (p as isize - offset(t, side)).rem_euclid(n as isize) as usize;
        let outside = |p: usize, t: usize, side: usize, n: usize| {
            zero && !(0..n as isize).contains(&(p as isize - offset(t, side)))
        };
        y.fill(0.0);
        for (x, y) in x.chunks_exact(height * width).zip(y.chunks_exact_mut(height * width)) {
            for (t, &weight) in k.iter().enumerate() {
                let (down, across) = (t / self.size[1], t % self.size[1]);
                // A line is shifted in two runs, since its end continues at its start.
                let start = shifted(0, across, self.size[1], width);
                // The run that would come from the other end of the line is left out.
                let wraps = if zero { offset(across, self.size[1]).signum() } else { 0 };
                for (row, line) in y.chunks_exact_mut(width).enumerate() {
                    if outside(row, down, self.size[0], height) {
                        continue;
                    }
                    let from = &x[shifted(row, down, self.size[0], height) * width..][..width];
                    let (left, right) = line.split_at_mut(width - start);
                    if wraps <= 0 {
                        left.iter_mut().zip(&from[start..]).for_each(|(y, x)| *y += weight * x);
                    }
                    if wraps >= 0 {
                        right.iter_mut().zip(&from[..start]).for_each(|(y, x)| *y += weight * x);
                    }
                }
            }
        }
    }

    /// k̂ of an observation with the parameters `a`.
    fn transfer(&self, a: &[f32]) -> Cow<'_, Transfer> {
        self.shared.as_ref().map_or_else(|| Cow::Owned(self.transform(a)), Cow::Borrowed)
    }

    /// k̂ of the kernel `k`.
    fn transform(&self, k: &[f32]) -> Transfer {
        let (pixels, root) = (self.shape.pixels(), (self.shape.pixels() as f64).sqrt());
        let mut plane = vec![0.0; pixels];
        self.embed(k, |p, v| plane[p] = f64::from(v) * root);
        self.basis.waves().waves(&plane, &vec![0.0; pixels], 1.0)
    }

    /// Calls `put` with the place in a plane, around the center, of every value of the kernel.
    fn embed(&self, k: &[f32], mut put: impl FnMut(usize, f32)) {
        let ImageShape { height, width, .. } = self.shape;
        let place = |t: usize, side: usize, n: usize| (n / 2 + t + n - side / 2) % n;
        for (t, &v) in k.iter().enumerate() {
            let (row, column) = (t / self.size[1], t % self.size[1]);
            put(place(row, self.size[0], height) * width + place(column, self.size[1], width), v);
        }
    }
}

impl Channel for Kernel {
    fn signal_len(&self) -> usize {
        self.shape.len()
    }

    fn signal_image(&self) -> Option<ImageShape> {
        Some(self.shape)
    }

    fn observation_len(&self) -> usize {
        self.shape.len()
    }

    fn operator_len(&self) -> usize {
        match self.source {
            Source::Shared(_) => 0,
            Source::Each(_) => self.size[0] * self.size[1],
        }
    }

    fn operator_shape(&self) -> Vec<usize> {
        match self.source {
            Source::Shared(_) => vec![0],
            Source::Each(_) => self.size.to_vec(),
        }
    }

    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) {
        let Source::Each([least, greatest]) = self.source else { return };
        let mut drawn = || least + (greatest - least) * stream.uniform();
        let (long, short) = (drawn(), drawn());
        let (sin, cos) = (std::f64::consts::PI * stream.uniform()).sin_cos();
        let mut weight = |t: usize| {
            let [i, j] = [t / self.size[1], t % self.size[1]].map(|v| v as f64 - (self.size[0] / 2) as f64);
            let (u, v) = ((cos * j + sin * i) / long, (cos * i - sin * j) / short);
            (-0.5 * (u * u + v * v)).exp()
        };
        let weights: Vec<f64> = (0..a.len()).map(&mut weight).collect();
        let total: f64 = weights.iter().sum();
        a.iter_mut().zip(weights).for_each(|(a, w)| *a = (w / total) as f32);
    }

    fn observe(&self, x: &[f32], a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
        self.apply(a, x, y);
    }

    fn operator_feature_len(&self) -> usize {
        if self.operator_len() > 0 { self.shape.pixels() } else { 0 }
    }

    /// Writes a plane tiled with the kernel in units of its largest value, so that every neighborhood of the plane
    /// shows the kernel.
    fn write_operator(&self, a: &[f32], out: &mut [f32]) {
        let most = a.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
        for (p, out) in out.iter_mut().enumerate() {
            let (row, column) = (p / self.shape.width % self.size[0], p % self.shape.width % self.size[1]);
            *out = a[row * self.size[1] + column] / most;
        }
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        Some(self)
    }
}

impl LinearChannel for Kernel {
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) {
        self.convolve(self.weights(a), x, 1, y);
    }

    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) {
        self.convolve(self.weights(a), y, -1, x);
    }

    fn as_spectral(&self) -> Option<&dyn SpectralChannel> {
        (self.border == Border::Periodic).then_some(self)
    }
}

impl SpectralChannel for Kernel {
    fn basis(&self) -> &Basis {
        &self.basis
    }

    fn write_spectrum(&self, a: &[f32], gain: &mut [f64], variance: &mut [f64]) {
        variance.fill(0.0);
        let transfer = self.transfer(a);
        let (re, im) = transfer.as_ref();
        for plane in gain.chunks_exact_mut(re.len()) {
            plane.iter_mut().zip(re.iter().zip(im)).for_each(|(g, (re, im))| *g = re.hypot(*im));
        }
    }

    fn write_coefficients(&self, a: &[f32], y: &[f32], out: &mut [f64]) {
        let transfer = self.transfer(a);
        let (re, im) = transfer.as_ref();
        let none = vec![0.0; re.len()];
        for (y, out) in y.chunks_exact(re.len()).zip(out.chunks_exact_mut(re.len())) {
            let (y_re, y_im) = self.basis.waves().waves(&wide(y), &none, 1.0);
            for (p, out) in out.iter_mut().enumerate() {
                let gain = re[p].hypot(im[p]);
                // The real part less the imaginary part of y times the conjugate of k̂ / |k̂|.
                let turned = (re[p] * y_re[p] + im[p] * y_im[p]) - (re[p] * y_im[p] - im[p] * y_re[p]);
                *out = if gain == 0.0 { 0.0 } else { turned / gain };
            }
        }
    }
}
