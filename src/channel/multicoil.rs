//! Magnetic resonance imaging with several coils: y_c = M F (S_c ∘ x) for every coil c, where S_c is its complex
//! sensitivity, F the centered Fourier transform and M the mask of measured frequencies, as in
//! [`super::FourierMask`]. The sensitivities are known and the same for all observations.

use super::fourier_mask::{check_planes, default_center};
use super::{Channel, FourierMask, FourierMaskConfig, LinearChannel, Pattern, Signal, Stage};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Maximum number of coils.
const MAX_COILS: usize = 64;
/// Width of a made sensitivity, in units of half the image's side.
const WIDTH: f64 = 0.9;
/// Distance of a coil from the center, in the same units.
const RADIUS: f64 = 1.1;

/// Missing frequencies, seen by several coils (images): y holds a pair of planes, real and imaginary part, per coil.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MulticoilConfig {
    /// Number of coils, 1 to 64, evenly on a circle around the image, with sensitivities that fall like Gaussians and
    /// whose squares sum to 1 in every pixel.
    pub coils: usize,
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

impl Stage for MulticoilConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        let shape = signal.image("multicoil")?;
        let mask = FourierMaskConfig {
            acceleration: self.acceleration,
            center: self.center,
            pattern: self.pattern,
            complex: self.complex,
        };
        if !(1..=MAX_COILS).contains(&self.coils) {
            return Err(Error::config("coils", format!("expected 1 to {MAX_COILS}, found {}", self.coils)));
        }
        Ok(Box::new(Multicoil::new(shape, &mask, made_sensitivities(shape, self.coils))?))
    }

    fn output(&self, signal: Signal, length: usize) -> Signal {
        signal.planes(length)
    }
}

/// Real and imaginary part of a sensitivity, a plane each.
pub type Sensitivity = [Vec<f32>; 2];

/// Sensitivities of `coils` coils around images of `shape`.
fn made_sensitivities(shape: ImageShape, coils: usize) -> Vec<Sensitivity> {
    let (height, width) = (shape.height as f64, shape.width as f64);
    let place = |p: usize, n: f64| 2.0 * (p as f64 + 0.5) / n - 1.0;
    let raw = |coil: usize, p: usize| {
        let angle = std::f64::consts::TAU * coil as f64 / coils as f64;
        let (y, x) = (place(p / shape.width, height), place(p % shape.width, width));
        let (dy, dx) = (y - RADIUS * angle.sin(), x - RADIUS * angle.cos());
        ((-0.5 * (dx * dx + dy * dy) / (WIDTH * WIDTH)).exp(), angle + 0.5 * (dx - dy))
    };
    let total: Vec<f64> =
        (0..shape.pixels()).map(|p| (0..coils).map(|coil| raw(coil, p).0.powi(2)).sum::<f64>().sqrt()).collect();
    let part = |coil: usize, f: fn(f64) -> f64| {
        let value = |p: usize| raw(coil, p).0 / total[p] * f(raw(coil, p).1);
        (0..shape.pixels()).map(|p| value(p) as f32).collect()
    };
    (0..coils).map(|coil| [part(coil, f64::cos), part(coil, f64::sin)]).collect()
}

/// Measures some frequencies of every image with several coils.
#[derive(Clone, Debug, PartialEq)]
pub struct Multicoil {
    shape: ImageShape,
    complex: bool,
    coils: Vec<Sensitivity>,
    /// The mask of one complex image, which one coil sees.
    mask: FourierMask,
}

impl Multicoil {
    /// Creates the channel for images of `shape` with the settings of a mask and the sensitivities `coils`.
    ///
    /// # Errors
    /// The errors of [`FourierMask::new`]; no coil, or a sensitivity of another size than the image.
    pub fn new(shape: ImageShape, config: &FourierMaskConfig, coils: Vec<Sensitivity>) -> Result<Self> {
        shape.validate("image")?;
        check_planes(shape, config.complex)?;
        if coils.is_empty() || coils.iter().flatten().any(|plane| plane.len() != shape.pixels()) {
            return Err(Error::config("coils", format!("expected one or more pairs of {} values", shape.pixels())));
        }
        let one = ImageShape { channels: 2, ..shape };
        let mask = FourierMask::new(one, &FourierMaskConfig { complex: true, ..config.clone() })?;
        Ok(Self { shape, complex: config.complex, coils, mask })
    }

    /// Values of one image part: a plane, or a pair of planes.
    fn part(&self) -> usize {
        self.shape.pixels() * if self.complex { 2 } else { 1 }
    }

    /// What one coil sees of an image part before its transform, a pair of planes.
    fn weighted(&self, [re, im]: &Sensitivity, x: &[f32], out: &mut [f32]) {
        let pixels = self.shape.pixels();
        for p in 0..pixels {
            let (x_re, x_im) = (x[p], x.get(pixels + p).copied().unwrap_or(0.0));
            out[p] = re[p] * x_re - im[p] * x_im;
            out[pixels + p] = re[p] * x_im + im[p] * x_re;
        }
    }

    /// Σ_c conj(S_c) Fᴴ M y_c, without its imaginary part for real images.
    fn combine(&self, a: &[f32], y: &[f32], x: &mut [f32]) {
        let pixels = self.shape.pixels();
        let mut image = vec![0.0f32; 2 * pixels];
        x.fill(0.0);
        for (x, y) in x.chunks_exact_mut(self.part()).zip(y.chunks_exact(self.coils.len() * 2 * pixels)) {
            for ([re, im], y) in self.coils.iter().zip(y.chunks_exact(2 * pixels)) {
                self.mask.adjoint(a, y, &mut image);
                for p in 0..pixels {
                    x[p] += re[p] * image[p] + im[p] * image[pixels + p];
                    if let Some(x) = x.get_mut(pixels + p) {
                        *x += re[p] * image[pixels + p] - im[p] * image[p];
                    }
                }
            }
        }
    }
}

impl Channel for Multicoil {
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
        self.shape.len() / self.part() * self.coils.len() * 2 * self.shape.pixels()
    }

    fn operator_len(&self) -> usize {
        self.mask.operator_len()
    }

    fn operator_shape(&self) -> Vec<usize> {
        self.mask.operator_shape()
    }

    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) {
        self.mask.draw_operator(stream, a);
    }

    fn observe(&self, x: &[f32], a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
        self.apply(a, x, y);
    }

    fn lifts(&self) -> bool {
        true
    }

    /// The images of all coils, weighted with their sensitivities; missing frequencies are 0.
    fn lift(&self, y: &[f32], out: &mut [f32]) {
        self.combine(&vec![1.0; self.mask.operator_len()], y, out);
    }

    fn operator_lifts(&self) -> bool {
        true
    }

    fn masks(&self) -> Vec<std::ops::Range<usize>> {
        self.mask.masks()
    }

    fn write_hidden(&self, a: &[f32], signal: &[f64], hidden: &mut [f64]) {
        self.mask.write_hidden(a, signal, hidden);
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        Some(self)
    }
}

impl LinearChannel for Multicoil {
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) {
        let pixels = self.shape.pixels();
        let mut weighted = vec![0.0f32; 2 * pixels];
        for (x, y) in x.chunks_exact(self.part()).zip(y.chunks_exact_mut(self.coils.len() * 2 * pixels)) {
            for (coil, y) in self.coils.iter().zip(y.chunks_exact_mut(2 * pixels)) {
                self.weighted(coil, x, &mut weighted);
                self.mask.apply(a, &weighted, y);
            }
        }
    }

    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) {
        self.combine(a, y, x);
    }
}
