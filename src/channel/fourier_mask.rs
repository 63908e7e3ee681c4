//! Missing frequencies, as in accelerated magnetic resonance imaging with one coil: y = M F x, where F is the centered
//! Fourier transform of [`crate::basis::Fourier`] and M in {0, 1} the mask of an observation.
//!
//! Images are real, or complex as pairs of planes (real part, imaginary part). An observation is complex: it has a pair
//! of planes for every real plane or pair. A real image has conjugate coefficients at opposite frequencies, so a
//! frequency is known as soon as one of the two is measured.

use super::{Channel, LinearChannel, Signal, SpectralChannel, Stage, wide};
use crate::basis::{Basis, Fourier, MAX_SIDE};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Missing frequencies (images): y holds the measured ones, real and imaginary part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FourierMaskConfig {
    /// Number of frequencies per measured one, >= 1, on average.
    pub acceleration: f64,
    /// Share of the frequencies, around 0, that is always measured, in [0, 1 / acceleration].
    #[serde(default = "default_center")]
    pub center: f64,
    /// Which frequencies are measured together.
    #[serde(default)]
    pub pattern: Pattern,
    /// Whether images are complex: pairs of planes with the real and the imaginary part.
    #[serde(default)]
    pub complex: bool,
}

/// Frequencies that are measured together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Pattern {
    /// Whole columns, the phase encodings of a Cartesian scan.
    #[default]
    Columns,
    /// Single frequencies.
    Points,
}

/// The share of fastMRI's masks for acceleration 4.
pub(super) fn default_center() -> f64 {
    0.08
}

impl Stage for FourierMaskConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(FourierMask::new(signal.image("fourier-mask")?, self)?))
    }

    fn output(&self, signal: Signal, length: usize) -> Signal {
        signal.planes(length)
    }
}

/// Measures some frequencies of every image.
#[derive(Clone, Debug, PartialEq)]
pub struct FourierMask {
    shape: ImageShape,
    complex: bool,
    pattern: Pattern,
    /// Half the height and width of the block around frequency 0 that is always measured; columns ignore the height.
    center: [f64; 2],
    /// Probability that a frequency outside the center is measured.
    probability: f64,
    basis: Basis,
}

/// Checks that the planes of complex images come in pairs.
pub(super) fn check_planes(ImageShape { channels, .. }: ImageShape, complex: bool) -> Result<()> {
    if complex && !channels.is_multiple_of(2) {
        let message = format!("complex images are pairs of planes, found {channels} planes; set complex=false");
        return Err(Error::config("complex", message));
    }
    Ok(())
}

impl FourierMask {
    /// Creates the channel for images of `shape`, with sides up to 1024.
    ///
    /// # Errors
    /// A setting outside its range; an odd number of planes for complex images.
    pub fn new(shape: ImageShape, config: &FourierMaskConfig) -> Result<Self> {
        shape.validate("image")?;
        let FourierMaskConfig { acceleration, center, pattern, complex } = *config;
        let ImageShape { height, width, .. } = shape;
        if height.max(width) > MAX_SIDE {
            let message =
                format!("\"fourier-mask\" takes images with sides up to {MAX_SIDE}, found {height} x {width}");
            return Err(Error::config("kind", message));
        }
        if !(acceleration >= 1.0 && acceleration.is_finite()) {
            return Err(Error::config("acceleration", format!("expected a number >= 1, found {acceleration}")));
        }
        if !(0.0..=1.0 / acceleration).contains(&center) {
            let message = format!("expected a number in [0, {}], found {center}", 1.0 / acceleration);
            return Err(Error::config("center", message));
        }
        check_planes(shape, complex)?;
        let side = |share: f64, n: usize| (share * n as f64).round() / 2.0;
        let center = match pattern {
            Pattern::Columns => [f64::INFINITY, side(center, width)],
            Pattern::Points => [side(center.sqrt(), height), side(center.sqrt(), width)],
        };
        let mut channel = Self {
            shape,
            complex,
            pattern,
            center,
            probability: 1.0,
            basis: Basis::Fourier(Fourier::new(shape, complex)),
        };
        let (all, kept) = channel.count();
        channel.probability = ((all / acceleration - kept) / (all - kept).max(1.0)).clamp(0.0, 1.0);
        Ok(channel)
    }

    /// Number of frequencies that are drawn one by one or by column, and how many of them are in the center.
    fn count(&self) -> (f64, f64) {
        let (width, rows) = (self.shape.width, if self.pattern == Pattern::Columns { 1 } else { self.shape.height });
        let kept = (0..rows * width).filter(|p| self.is_center(p / width, p % width)).count();
        ((rows * width) as f64, kept as f64)
    }

    fn is_center(&self, row: usize, column: usize) -> bool {
        let inside = |k: usize, n: usize, half: f64| {
            let distance = k as f64 - (n / 2) as f64;
            distance >= -half && distance < half
        };
        inside(column, self.shape.width, self.center[1])
            && (self.pattern == Pattern::Columns || inside(row, self.shape.height, self.center[0]))
    }

    /// Planes of one image part: a plane, or a pair of planes.
    fn part(&self) -> usize {
        if self.complex { 2 * self.shape.pixels() } else { self.shape.pixels() }
    }

    /// The real and the imaginary part of what `y` leaves under the mask, if there is one.
    fn masked(pair: &[f32], a: Option<&[f32]>) -> (Vec<f64>, Vec<f64>) {
        let part = |values: &[f32]| match a {
            Some(a) => values.iter().zip(a).map(|(v, a)| f64::from(v * a)).collect(),
            None => wide(values),
        };
        let (re, im) = pair.split_at(pair.len() / 2);
        (part(re), part(im))
    }

    /// Fᴴ y of every pair of planes of `y`, without its imaginary part for real images.
    fn image(&self, y: &[f32], a: Option<&[f32]>, x: &mut [f32]) {
        for (pair, x) in y.chunks_exact(2 * self.shape.pixels()).zip(x.chunks_exact_mut(self.part())) {
            let (re, im) = Self::masked(pair, a);
            let (re, im) = self.basis.waves().waves(&re, &im, -1.0);
            x.iter_mut().zip(re.iter().chain(&im)).for_each(|(x, v)| *x = *v as f32);
        }
    }
}

impl Channel for FourierMask {
    fn signal_len(&self) -> usize {
        self.shape.len()
    }

    fn signal_image(&self) -> Option<ImageShape> {
        Some(self.shape)
    }

    fn observation_image(&self) -> Option<ImageShape> {
        Some(ImageShape { channels: self.observation_len() / self.shape.pixels(), ..self.shape })
    }

    fn observation_len(&self) -> usize {
        self.shape.len() / self.part() * 2 * self.shape.pixels()
    }

    fn operator_len(&self) -> usize {
        self.shape.pixels()
    }

    fn operator_shape(&self) -> Vec<usize> {
        vec![self.shape.height, self.shape.width]
    }

    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) {
        let width = self.shape.width;
        let rows = if self.pattern == Pattern::Columns { 1 } else { self.shape.height };
        let (drawn, rest) = a.split_at_mut(rows * width);
        for (p, a) in drawn.iter_mut().enumerate() {
            let seen = stream.uniform() < self.probability;
            *a = f32::from(u8::from(seen || self.is_center(p / width, p % width)));
        }
        rest.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(drawn));
    }

    fn observe(&self, x: &[f32], a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
        self.apply(a, x, y);
    }

    fn lifts(&self) -> bool {
        true
    }

    /// The image whose missing frequencies are 0.
    fn lift(&self, y: &[f32], out: &mut [f32]) {
        self.image(y, None, out);
    }

    fn operator_lifts(&self) -> bool {
        true
    }

    fn masks(&self) -> Vec<std::ops::Range<usize>> {
        std::iter::once(0..self.shape.pixels()).collect()
    }

    fn write_hidden(&self, a: &[f32], _signal: &[f64], hidden: &mut [f64]) {
        let left = |a: &f32| if *a == 0.0 { 0.0 } else { f64::INFINITY };
        hidden.chunks_exact_mut(a.len()).for_each(|plane| plane.iter_mut().zip(a).for_each(|(h, a)| *h = left(a)));
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        Some(self)
    }
}

impl LinearChannel for FourierMask {
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) {
        let pixels = self.shape.pixels();
        for (x, pair) in x.chunks_exact(self.part()).zip(y.chunks_exact_mut(2 * pixels)) {
            let (re, im) = x.split_at(pixels);
            let im = if im.is_empty() { vec![0.0; pixels] } else { wide(im) };
            let (re, im) = self.basis.waves().waves(&wide(re), &im, 1.0);
            for (plane, values) in pair.chunks_exact_mut(pixels).zip([re, im]) {
                plane.iter_mut().zip(values).zip(a).for_each(|((y, v), a)| *y = v as f32 * a);
            }
        }
    }

    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) {
        self.image(y, Some(a), x);
    }

    fn as_spectral(&self) -> Option<&dyn SpectralChannel> {
        Some(self)
    }
}

impl SpectralChannel for FourierMask {
    fn basis(&self) -> &Basis {
        &self.basis
    }

    /// For real images, half of Aᵀ A belongs to a frequency and half to its opposite.
    fn write_spectrum(&self, a: &[f32], gain: &mut [f64], variance: &mut [f64]) {
        variance.fill(0.0);
        for plane in gain.chunks_exact_mut(a.len()) {
            for (p, gain) in plane.iter_mut().enumerate() {
                let opposite = if self.complex { p } else { self.basis.waves().opposite(p) };
                *gain = (f64::from(a[p] + a[opposite]) / 2.0).sqrt();
            }
        }
    }

    /// Real images have the coefficients Re z - Im z of the mean z of a frequency and its conjugated opposite.
    fn write_coefficients(&self, a: &[f32], y: &[f32], out: &mut [f64]) {
        for (pair, out) in y.chunks_exact(2 * a.len()).zip(out.chunks_exact_mut(self.part())) {
            let (re, im) = Self::masked(pair, Some(a));
            if self.complex {
                out.iter_mut().zip(re.iter().chain(&im)).for_each(|(out, v)| *out = *v);
                continue;
            }
            for (p, out) in out.iter_mut().enumerate() {
                let q = self.basis.waves().opposite(p);
                let gain = (f64::from(a[p] + a[q]) / 2.0).sqrt();
                *out = if gain == 0.0 { 0.0 } else { (re[p] + re[q] - im[p] + im[q]) / (2.0 * gain) };
            }
        }
    }
}
