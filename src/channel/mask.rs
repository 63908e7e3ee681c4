//! Missing coordinates: y = a ∘ x with a in {0, 1}^d.

use super::{Channel, LinearChannel, Signal, Stage};
use crate::error::{Error, Result};
use crate::noise::{Key, Purpose, Stream};
use serde::{Deserialize, Serialize};
use std::ops::Range;

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
        stream.fill_at_least(self.rate, a);
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

/// Operators that are drawn to tell masks from other diagonal channels.
const TRIALS: usize = 16;

/// True for diagonal channels of which all parameters are zeros and ones that hide values or show them, whatever the
/// signal.
pub(crate) fn is_mask(channel: &dyn Channel) -> bool {
    let Some(linear) = channel.as_linear().filter(|linear| linear.is_diagonal()) else { return false };
    let (d, k) = (channel.signal_len(), channel.operator_len());
    let (mut a, mut matrix, mut noise) = (vec![0.0; k], vec![0.0; d], vec![0.0; d]);
    let zeros_and_ones = |trial| {
        channel.draw_operator(&mut Key::new(0, Purpose::Corrupt, 0).stream(trial, 0), &mut a);
        linear.write_diagonal(&a, &mut matrix, &mut noise);
        matrix.iter().map(|m| *m as f32).chain(a.iter().copied()).all(|v| v == 0.0 || v == 1.0)
    };
    k > 0 && !channel.sees_signal() && (0..TRIALS).all(zeros_and_ones)
}

/// Writes which values of a signal the mask `a` shows, as 0 or 1 each, into `seen [d]`.
pub(crate) fn write_seen(channel: &dyn Channel, a: &[f32], seen: &mut [f32]) {
    let (mut matrix, mut noise) = (vec![0.0; seen.len()], vec![0.0; seen.len()]);
    if let Some(linear) = channel.as_linear() {
        linear.write_diagonal(a, &mut matrix, &mut noise);
    }
    seen.iter_mut().zip(&matrix).for_each(|(seen, m)| *seen = f32::from(*m != 0.0));
}
