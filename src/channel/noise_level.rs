//! Additive Gaussian noise whose level is known and differs between observations: y = x + a n, n ~ N(0, I).

use super::{Channel, LinearChannel, Signal, Stage};
use crate::error::{Error, Result};
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Additive Gaussian noise with a known level of each observation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NoiseLevelConfig {
    /// Smallest standard deviation, > 0, in units of the scaled signal. Levels are drawn uniformly on a logarithmic scale;
    /// observations of your own bring theirs as `a`.
    pub min: f64,
    /// Greatest standard deviation, at least `min`.
    pub max: f64,
}

impl Stage for NoiseLevelConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(NoiseLevel::new(signal.d(), self.min, self.max)?.shown_to(signal)))
    }
}

/// Adds independent noise of standard deviation a to every coordinate.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseLevel {
    d: usize,
    min: f64,
    max: f64,
    plane: usize,
}

impl NoiseLevel {
    /// Creates noise for signals of length `d`; levels that are drawn lie in [`min`, `max`].
    ///
    /// # Errors
    /// Limits that are not finite numbers with 0 < `min` <= `max`.
    pub fn new(d: usize, min: f64, max: f64) -> Result<Self> {
        if !(min > 0.0 && min.is_finite()) {
            return Err(Error::config("min", format!("expected a number > 0, found {min}")));
        }
        if !(max >= min && max.is_finite()) {
            return Err(Error::config("max", format!("expected a number >= {min} (min), found {max}")));
        }
        Ok(Self { d, min, max, plane: 1 })
    }

    /// Tells a network of images the level as a plane of equal values.
    pub(super) fn shown_to(self, signal: Signal) -> Self {
        let plane = match signal {
            Signal::Image(shape) => shape.pixels(),
            Signal::Vector(_) => 1,
        };
        Self { plane, ..self }
    }

    fn variance(a: &[f32]) -> f64 {
        a.first().map_or(0.0, |a| f64::from(*a).powi(2))
    }
}

impl Channel for NoiseLevel {
    fn signal_len(&self) -> usize {
        self.d
    }

    fn observation_len(&self) -> usize {
        self.d
    }

    fn operator_len(&self) -> usize {
        1
    }

    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) {
        let level = |u: f64| (self.min * (self.max / self.min).powf(u)) as f32;
        a.iter_mut().for_each(|a| *a = level(stream.uniform()));
    }

    fn observe(&self, x: &[f32], a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        stream.add_noise(x, Self::variance(a).sqrt() as f32, y);
    }

    fn operator_feature_len(&self) -> usize {
        self.plane
    }

    /// Writes the logarithm of the level, -1 for `min` and 1 for `max`, clipped at -3 and 3.
    fn write_operator(&self, a: &[f32], out: &mut [f32]) {
        let (low, high) = (self.min.ln(), self.max.ln());
        let level = Self::variance(a).sqrt().max(f64::MIN_POSITIVE).ln();
        let half = (0.5 * (high - low)).max(1e-3);
        out.fill(((level - 0.5 * (low + high)) / half).clamp(-3.0, 3.0) as f32);
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        Some(self)
    }
}

impl LinearChannel for NoiseLevel {
    fn apply(&self, _a: &[f32], x: &[f32], y: &mut [f32]) {
        y.copy_from_slice(x);
    }

    fn adjoint(&self, _a: &[f32], y: &[f32], x: &mut [f32]) {
        x.copy_from_slice(y);
    }

    fn write_noise_variance(&self, a: &[f32], out: &mut [f64]) {
        out.fill(Self::variance(a));
    }

    fn is_noiseless(&self) -> bool {
        false
    }

    fn is_diagonal(&self) -> bool {
        true
    }

    fn is_isotropic(&self) -> bool {
        true
    }
}
