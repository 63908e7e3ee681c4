//! Sensors that lose values one by one: saturation and quantization. Not linear.

use super::Channel;
use crate::error::{Error, Result};
use crate::noise::Stream;

/// y = min(max(x, low), high): what exceeds the sensor's range is lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Saturation {
    d: usize,
    low: f32,
    high: f32,
}

impl Saturation {
    /// Clamps signals of length `d` to [low, high], finite, low < high, in units of the scaled signal.
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

/// y is the nearest of L levels -2 + 4 l / (L - 1), l = 0 .. L - 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    d: usize,
    levels: u32,
}

impl Quantization {
    /// Quantizes signals of length `d` to `levels` levels, 2 to 65536, uniform on [-2, 2].
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
        y.iter_mut()
            .zip(x)
            .for_each(|(y, x)| *y = ((x + 2.0) / 4.0 * last).round().clamp(0.0, last) / last * 4.0 - 2.0);
    }
}
