//! A sensor that rounds every value to one of a few levels. The channel is not linear.

use super::{Channel, Signal, Stage};
use crate::error::{Error, Result};
use crate::image::{from_unit, to_unit};
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Values rounded to uniform levels on [-2, 2].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QuantizationConfig {
    /// Number of levels, 2 to 65536.
    pub levels: u32,
}

impl Stage for QuantizationConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(Quantization::new(signal.d(), self.levels)?))
    }
}

/// y is the nearest of L levels -2 + 4 l / (L - 1), l = 0 .. L - 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    d: usize,
    levels: u32,
}

impl Quantization {
    /// Creates a channel that quantizes signals of length `d` to `levels` levels, 2 to 65536,
    /// uniform on [-2, 2].
    pub fn new(d: usize, levels: u32) -> Result<Self> {
        if !(2..=65536).contains(&levels) {
            return Err(Error::config("levels", format!("expected 2 to 65536, found {levels}")));
        }
        Ok(Self { d, levels })
    }
}

impl Channel for Quantization {
    fn signal_len(&self) -> usize {
        self.d
    }

    fn observation_len(&self) -> usize {
        self.d
    }

    fn observe(&self, x: &[f32], _a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
        let last = (self.levels - 1) as f32;
        let nearest = |x: f32| (to_unit(x) * last).round().clamp(0.0, last) / last;
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = from_unit(nearest(x)));
    }
}
