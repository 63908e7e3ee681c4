//! Additive Gaussian noise: y = x + s n, n ~ N(0, I).

use super::{Channel, LinearChannel, Signal, Stage};
use crate::error::{Error, Result};
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Additive Gaussian noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NoiseConfig {
    /// Standard deviation, >= 0, in units of the scaled signal.
    pub std: f64,
}

impl Stage for NoiseConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(AdditiveNoise::new(signal.d(), self.std)?))
    }
}

/// Adds independent noise of standard deviation `std` to every coordinate.
#[derive(Clone, Debug, PartialEq)]
pub struct AdditiveNoise {
    d: usize,
    std: f64,
}

impl AdditiveNoise {
    /// Creates noise for signals of length `d`; `std` >= 0 is in units of the scaled signal.
    pub fn new(d: usize, std: f64) -> Result<Self> {
        if !(std >= 0.0 && std.is_finite()) {
            return Err(Error::config("std", format!("expected a number >= 0, found {std}")));
        }
        Ok(Self { d, std })
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
        y.iter_mut().zip(x).for_each(|(y, x)| *y = x + self.std as f32 * stream.normal());
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        Some(self)
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
