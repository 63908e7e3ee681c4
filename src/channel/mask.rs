//! Missing coordinates: y = a ∘ x with a in {0, 1}^d.

use super::{Channel, LinearChannel, Signal, Stage};
use crate::error::{Error, Result};
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Missing coordinates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MaskConfig {
    /// Probability that a coordinate is missing, in [0, 1).
    pub rate: f64,
}

impl Stage for MaskConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(Mask::new(signal.d(), self.rate)?))
    }

    fn is_mask(&self) -> bool {
        true
    }
}

/// Each coordinate is missing (a = 0, y = 0) independently with probability `rate`; every
/// observation has a fresh mask.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    d: usize,
    rate: f64,
}

impl Mask {
    /// Creates a mask for signals of length `d`; `rate` in [0, 1) is the probability that a
    /// coordinate is missing.
    pub fn new(d: usize, rate: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&rate) {
            return Err(Error::config("rate", format!("expected a number in [0, 1), found {rate}")));
        }
        Ok(Self { d, rate })
    }
}

impl Channel for Mask {
    fn signal_len(&self) -> usize {
        self.d
    }

    fn observation_len(&self) -> usize {
        self.d
    }

    fn operator_len(&self) -> usize {
        self.d
    }

    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) {
        a.iter_mut().for_each(|a| *a = f32::from(stream.uniform() >= self.rate));
    }

    fn observe(&self, x: &[f32], a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
        self.apply(a, x, y);
    }

    fn operator_lifts(&self) -> bool {
        true
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        Some(self)
    }
}

impl LinearChannel for Mask {
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(a).zip(x).for_each(|((y, a), x)| *y = a * x);
    }

    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) {
        self.apply(a, y, x);
    }

    fn is_diagonal(&self) -> bool {
        true
    }

    fn write_diagonal(&self, a: &[f32], matrix: &mut [f64], variance: &mut [f64]) {
        matrix.iter_mut().zip(a).for_each(|(m, &a)| *m = a as f64);
        variance.fill(0.0);
    }
}
