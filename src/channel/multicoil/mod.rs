//! Magnetic resonance imaging with several coils: y_c = M F (S_c ∘ x) for every coil c, where S_c is its complex
//! sensitivity, F the centered Fourier transform and M the mask of measured frequencies, as in
//! [`super::FourierMask`]. The sensitivities are known, and the same for all observations or measured for each, as the maps
//! that ESPIRiT and its like make of the center of k-space.

mod normal;
mod transform;

use self::transform::Transform;
use super::fourier_mask::{check_planes, default_center};
use super::{Channel, FourierMask, FourierMaskConfig, LinearChannel, Normal, OperatorPart, Pattern, Signal, Stage};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::noise::Stream;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::ops::Range;

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
    /// Number of coils, 1 to 64.
    pub coils: usize,
    /// Where their sensitivities come from.
    #[serde(default)]
    pub maps: Maps,
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

/// Where the sensitivities of the coils come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Maps {
    /// Made for all images: coils evenly on a circle around the image, with sensitivities that fall like Gaussians and
    /// whose squares sum to 1 in every pixel.
    #[default]
    Made,
    /// Maps per image, as parameters of its operator behind the mask. Observations of your own bring them as `maps`, complex
    /// \[n, coils, height, width\] or \[coils, height, width\] for all; others get those of `made` turned by an angle.
    Each,
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
        Ok(Box::new(match self.maps {
            Maps::Made => Multicoil::new(shape, &mask, made_sensitivities(shape, self.coils, 0.0))?,
            Maps::Each => Multicoil::with_own_maps(shape, &mask, self.coils)?,
        }))
    }

    fn output(&self, signal: Signal, length: usize) -> Signal {
        signal.planes(length)
    }
}

/// Real and imaginary part of a sensitivity, a plane each.
pub type Sensitivity = [Vec<f32>; 2];

/// Sensitivities of `coils` coils around images of `shape`, of which the first is at the angle `turn`.
fn made_sensitivities(shape: ImageShape, coils: usize, turn: f64) -> Vec<Sensitivity> {
    let (height, width) = (shape.height as f64, shape.width as f64);
    let place = |p: usize, n: f64| 2.0 * (p as f64 + 0.5) / n - 1.0;
    let raw = |coil: usize, p: usize| {
        let angle = turn + TAU * coil as f64 / coils as f64;
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
    coils: usize,
    /// The sensitivities that all observations share, coil by coil, real and imaginary part; otherwise an observation's
    /// parameters hold them, behind its mask.
    shared: Option<Vec<f32>>,
    /// The mask of one complex image, which one coil sees.
    mask: FourierMask,
    transform: Transform<f64>,
    #[cfg(not(target_arch = "wasm32"))]
    rough: Transform<f32>,
}

impl Multicoil {
    /// Creates the channel for images of `shape` with the settings of a mask and the sensitivities `coils`.
    ///
    /// # Errors
    /// The errors of [`FourierMask::new`]; no coil, or a sensitivity of another size than the image.
    pub fn new(shape: ImageShape, config: &FourierMaskConfig, coils: Vec<Sensitivity>) -> Result<Self> {
        if coils.is_empty() || coils.iter().flatten().any(|plane| plane.len() != shape.pixels()) {
            return Err(Error::config("coils", format!("expected one or more pairs of {} values", shape.pixels())));
        }
        Ok(Self { shared: Some(coils.concat().concat()), ..Self::with_own_maps(shape, config, coils.len())? })
    }

    /// Creates the channel for images of `shape` whose observations bring the sensitivities of their `coils` coils: their
    /// parameters are the mask and, coil by coil, the real and the imaginary plane of every sensitivity.
    ///
    /// # Errors
    /// The errors of [`FourierMask::new`].
    pub fn with_own_maps(shape: ImageShape, config: &FourierMaskConfig, coils: usize) -> Result<Self> {
        shape.validate("image")?;
        check_planes(shape, config.complex)?;
        let one = ImageShape { channels: 2, ..shape };
        let mask = FourierMask::new(one, &FourierMaskConfig { complex: true, ..config.clone() })?;
        Ok(Self {
            shape,
            complex: config.complex,
            coils,
            shared: None,
            mask,
            transform: Transform::new(shape),
            #[cfg(not(target_arch = "wasm32"))]
            rough: Transform::new(shape),
        })
    }

    /// The mask and the sensitivities, `[coils, 2, pixels]`, of an operator.
    fn parts<'a>(&'a self, a: &'a [f32]) -> (&'a [f32], &'a [f32]) {
        let (mask, maps) = a.split_at(self.mask.operator_len());
        (mask, self.shared.as_deref().unwrap_or(maps))
    }

    /// Values of what all coils see of an image part.
    fn seen(&self) -> usize {
        self.coils * 2 * self.shape.pixels()
    }

    /// Values of one image part: a plane, or a pair of planes.
    fn part(&self) -> usize {
        self.shape.pixels() * if self.complex { 2 } else { 1 }
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
        self.shape.len() / self.part() * self.seen()
    }

    fn operator_len(&self) -> usize {
        self.mask.operator_len() + if self.shared.is_some() { 0 } else { self.seen() }
    }

    fn operator_shape(&self) -> Vec<usize> {
        match self.shared {
            Some(_) => self.mask.operator_shape(),
            None => vec![1 + 2 * self.coils, self.shape.height, self.shape.width],
        }
    }

    fn operator_parts(&self) -> Vec<OperatorPart> {
        let shape = vec![2 * self.coils, self.shape.height, self.shape.width];
        let maps = OperatorPart { name: "maps", range: self.mask.operator_len()..self.operator_len(), shape };
        Some(maps).filter(|maps| !maps.range.is_empty()).into_iter().collect()
    }

    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) {
        let (mask, maps) = a.split_at_mut(self.mask.operator_len());
        self.mask.draw_operator(stream, mask);
        if !maps.is_empty() {
            let made = made_sensitivities(self.shape, self.coils, TAU * stream.uniform());
            maps.chunks_exact_mut(self.shape.pixels())
                .zip(made.iter().flatten())
                .for_each(|(to, map)| to.copy_from_slice(map));
        }
    }

    fn operator_feature_len(&self) -> usize {
        self.mask.operator_len()
    }

    /// Writes the mask; the maps are in the image that the measurement update makes.
    fn write_operator(&self, a: &[f32], out: &mut [f32]) {
        out.copy_from_slice(self.parts(a).0);
    }

    fn observe(&self, x: &[f32], a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
        self.apply(a, x, y);
    }

    /// Without the maps of an observation nothing says how its coils make one image.
    fn lifts(&self) -> bool {
        self.shared.is_some()
    }

    /// The images of all coils, weighted with their sensitivities; missing frequencies are 0.
    fn lift(&self, y: &[f32], out: &mut [f32]) {
        let (maps, mut image) = (self.shared.as_deref().unwrap_or_default(), vec![0.0; out.len()]);
        self.combine(&vec![1.0; self.mask.operator_len()], maps, y, &mut image);
        out.iter_mut().zip(image).for_each(|(out, v)| *out = v as f32);
    }

    fn operator_lifts(&self) -> bool {
        self.shared.is_some()
    }

    fn masks(&self) -> Vec<Range<usize>> {
        self.mask.masks()
    }

    fn write_hidden(&self, a: &[f32], signal: &[f64], hidden: &mut [f64]) {
        self.mask.write_hidden(self.parts(a).0, signal, hidden);
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        Some(self)
    }
}

impl LinearChannel for Multicoil {
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) {
        self.forward(a, x, y);
    }

    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) {
        let (mask, maps) = self.parts(a);
        let mut wide = vec![0.0; x.len()];
        self.combine(mask, maps, y, &mut wide);
        x.iter_mut().zip(wide).for_each(|(x, v)| *x = v as f32);
    }

    fn as_normal<'a>(&'a self, a: &'a [f32]) -> Option<Normal<'a>> {
        Some(self.normal(a))
    }
}
