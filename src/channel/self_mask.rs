//! Values that are missing because of what they are: y = a ∘ x, where a depends on x. The flag a is known, as that of a
//! saturated pixel or of a reading below the limit of detection is.
//!
//! Whether a value is seen then says something about it: posteriors of the values that are missing lean to those that
//! would be missing. The network learns this, since its training corrupts with the same rule. The measurement update
//! uses only y = x where a = 1, which holds, and the Gaussian start takes values as missing at random.

use super::{Channel, LinearChannel, Signal, Stage};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::noise::Stream;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Which values are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Side {
    /// Those above the threshold, such as saturated pixels.
    #[default]
    Above,
    /// Those below the threshold, such as readings under the limit of detection.
    Below,
}

/// Values that are missing because of what they are: beyond a threshold, or likelier the further beyond.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SelfMaskConfig {
    /// Threshold, in units of the scaled signal.
    pub threshold: f64,
    /// Width w of the transition, >= 0: a value x is missing with probability 1 / (1 + exp(-(x - threshold) / w)), and with
    /// 0 exactly beyond the threshold (censoring).
    #[serde(default)]
    pub width: f64,
    /// Which values are missing.
    #[serde(default)]
    pub side: Side,
}

impl Stage for SelfMaskConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        let mask = SelfMask::new(signal.d(), self.threshold, self.width, self.side)?;
        let shape = match signal {
            Signal::Image(shape) => Some(shape),
            Signal::Vector(_) => None,
        };
        Ok(Box::new(SelfMask { shape, ..mask }))
    }

    fn is_mask(&self) -> bool {
        true
    }
}

/// Each value is missing (a = 0, y = 0) with a probability that depends on it.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfMask {
    d: usize,
    shape: Option<ImageShape>,
    threshold: f64,
    width: f64,
    side: Side,
}

impl SelfMask {
    /// Creates the channel for signals of length `d`; see [`SelfMaskConfig`].
    ///
    /// # Errors
    /// A threshold that is not finite, or a width that is not finite and >= 0.
    pub fn new(d: usize, threshold: f64, width: f64, side: Side) -> Result<Self> {
        if !threshold.is_finite() {
            return Err(Error::config("threshold", format!("expected a finite number, found {threshold}")));
        }
        if !(width >= 0.0 && width.is_finite()) {
            return Err(Error::config("width", format!("expected a number >= 0, found {width}")));
        }
        Ok(Self { d, shape: None, threshold, width, side })
    }

    /// Probability that a value x is missing.
    fn missing(&self, x: f32) -> f64 {
        let beyond = match self.side {
            Side::Above => f64::from(x) - self.threshold,
            Side::Below => self.threshold - f64::from(x),
        };
        match self.width {
            0.0 => f64::from(u8::from(beyond > 0.0)),
            width => 1.0 / (1.0 + (-beyond / width).exp()),
        }
    }
}

impl Channel for SelfMask {
    fn signal_len(&self) -> usize {
        self.d
    }

    fn signal_image(&self) -> Option<ImageShape> {
        self.shape
    }

    fn observation_len(&self) -> usize {
        self.d
    }

    fn operator_len(&self) -> usize {
        self.d
    }

    fn operator_shape(&self) -> Vec<usize> {
        self.shape.map_or(vec![self.d], |shape| vec![shape.channels, shape.height, shape.width])
    }

    /// Everything is seen of a signal that is not given.
    fn draw_operator(&self, _stream: &mut Stream, a: &mut [f32]) {
        a.fill(1.0);
    }

    fn sees_signal(&self) -> bool {
        true
    }

    fn corrupt(&self, x: &[f32], stream: &mut Stream, a: &mut [f32], y: &mut [f32]) {
        a.iter_mut().zip(x).for_each(|(a, &x)| *a = f32::from(stream.uniform() >= self.missing(x)));
        self.apply(a, x, y);
    }

    fn observe(&self, x: &[f32], a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
        self.apply(a, x, y);
    }

    fn operator_lifts(&self) -> bool {
        true
    }

    fn masks(&self) -> Vec<Range<usize>> {
        std::iter::once(0..self.d).collect()
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        Some(self)
    }
}

impl LinearChannel for SelfMask {
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(a).zip(x).for_each(|((y, a), x)| *y = a * x);
    }

    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) {
        self.apply(a, y, x);
    }

    fn is_diagonal(&self) -> bool {
        true
    }
}
