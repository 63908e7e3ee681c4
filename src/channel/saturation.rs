//! A sensor that saturates: values beyond its range are lost. The channel is not linear.

use super::{Channel, Signal, Stage};
use crate::error::{Error, Result};
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Values clamped to [low, high].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SaturationConfig {
    /// Lower limit.
    pub low: f64,
    /// Upper limit, above `low`.
    pub high: f64,
}

impl Stage for SaturationConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(Saturation::new(signal.d(), self.low, self.high)?))
    }
}

/// y = min(max(x, low), high): values beyond the sensor's range are lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Saturation {
    d: usize,
    low: f32,
    high: f32,
}

impl Saturation {
    /// Creates a channel that clamps signals of length `d` to [low, high], finite, low < high, in units of
    /// the scaled signal.
    pub fn new(d: usize, low: f64, high: f64) -> Result<Self> {
        if !low.is_finite() {
            return Err(Error::config("low", format!("expected a finite number, found {low}")));
        }
        if !(high > low && high.is_finite()) {
            return Err(Error::config("high", format!("expected a finite number above low = {low}, found {high}")));
        }
        Ok(Self { d, low: low as f32, high: high as f32 })
    }
}

impl Channel for Saturation {
    fn signal_len(&self) -> usize {
        self.d
    }

    fn observation_len(&self) -> usize {
        self.d
    }

    fn observe(&self, x: &[f32], _a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = x.max(self.low).min(self.high));
    }
}
