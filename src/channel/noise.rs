//! Additive Gaussian noise: y = x + s n, n ~ N(0, I).

use super::{Channel, LinearChannel, Signal, Stage};
use crate::error::{Error, Result};
use crate::noise::Stream;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

/// A level of noise: a number, or what the observations say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "expected a number >= 0, or \"unknown\" to estimate it from the observations")]
pub enum Level {
    /// Known: a number >= 0, in units of the scaled signal.
    Known(f64),
    /// Estimated from the observations before training.
    Unknown(Unknown),
}

/// The word for a level that is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// The level is estimated.
    Unknown,
}

impl Level {
    /// A level that is estimated.
    pub const UNKNOWN: Self = Self::Unknown(Unknown::Unknown);

    /// The level where it is known.
    pub fn known(self) -> Option<f64> {
        match self {
            Self::Known(level) => Some(level),
            Self::Unknown(_) => None,
        }
    }
}

/// Reads the level `std`, which an error names.
pub(super) fn named_std<'de, D: Deserializer<'de>>(value: D) -> std::result::Result<Level, D::Error> {
    Level::deserialize(value).map_err(|error| D::Error::custom(format!("std: {error}")))
}

/// Reads the level `gain`, which an error names.
pub(super) fn named_gain<'de, D: Deserializer<'de>>(value: D) -> std::result::Result<Level, D::Error> {
    Level::deserialize(value).map_err(|error| D::Error::custom(format!("gain: {error}")))
}

impl From<f64> for Level {
    fn from(level: f64) -> Self {
        Self::Known(level)
    }
}

/// Additive Gaussian noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NoiseConfig {
    /// Standard deviation, >= 0, in units of the scaled signal; "unknown" estimates it from the observations.
    #[serde(deserialize_with = "named_std")]
    pub std: Level,
}

impl Stage for NoiseConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(match self.std {
            Level::Known(std) => Box::new(AdditiveNoise::new(signal.d(), std)?),
            Level::Unknown(_) => Box::new(AdditiveNoise::unknown(signal.d())),
        })
    }

    fn unknown_noise(&self) -> usize {
        usize::from(self.std.known().is_none())
    }

    fn set_noise(&mut self, levels: &[f64]) {
        self.std = levels.first().map_or(self.std, |level| Level::Known(*level));
    }
}

/// Adds independent noise of standard deviation `std` to every coordinate.
#[derive(Clone, Debug, PartialEq)]
pub struct AdditiveNoise {
    d: usize,
    std: f64,
    unknown: bool,
}

impl AdditiveNoise {
    /// Creates noise for signals of length `d`; `std` >= 0 is in units of the scaled signal.
    pub fn new(d: usize, std: f64) -> Result<Self> {
        if !(std >= 0.0 && std.is_finite()) {
            return Err(Error::config("std", format!("expected a number >= 0, found {std}")));
        }
        Ok(Self { d, std, unknown: false })
    }

    /// Creates noise of an unknown standard deviation; until it is estimated, it is 1.
    pub fn unknown(d: usize) -> Self {
        Self { d, std: 1.0, unknown: true }
    }
}

impl Channel for AdditiveNoise {
    fn signal_len(&self) -> usize {
        self.d
    }

    fn observation_len(&self) -> usize {
        self.d
    }

    fn observe(&self, x: &[f32], _a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        stream.add_noise(x, self.std as f32, y);
    }

    fn observe_all(&self, x: &[f32], a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        self.observe(x, a, stream, y);
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        Some(self)
    }

    fn unknown_noise(&self) -> usize {
        usize::from(self.unknown)
    }

    fn with_noise(&self, levels: &[f64]) -> Option<Arc<dyn Channel>> {
        match levels {
            [std] if self.unknown => Some(Arc::new(Self { std: *std, unknown: false, ..self.clone() })),
            _ => None,
        }
    }

    fn noise_terms(&self, clean: &[f32]) -> Vec<Vec<f64>> {
        if self.unknown { vec![vec![0.0; clean.len()], vec![1.0; clean.len()]] } else { Vec::new() }
    }
}

impl LinearChannel for AdditiveNoise {
    fn apply(&self, _a: &[f32], x: &[f32], y: &mut [f32]) {
        y.copy_from_slice(x);
    }

    fn adjoint(&self, _a: &[f32], y: &[f32], x: &mut [f32]) {
        x.copy_from_slice(y);
    }

    fn write_noise_variance(&self, _a: &[f32], out: &mut [f64]) {
        out.fill(self.std * self.std);
    }

    fn is_noiseless(&self) -> bool {
        false
    }

    fn is_diagonal(&self) -> bool {
        true
    }

    fn write_diagonal(&self, _a: &[f32], matrix: &mut [f64], variance: &mut [f64]) {
        matrix.fill(1.0);
        variance.fill(self.std * self.std);
    }

    fn write_noise(&self, _a: &[f32], out: &mut [f64]) {
        let m = self.d;
        out.iter_mut().enumerate().for_each(|(i, v)| *v = if i / m == i % m { self.std * self.std } else { 0.0 });
    }
}
