//! One fixed linear map for all observations: y = A x.

use super::{Channel, LinearChannel, Signal, Stage};
use crate::error::{Error, Result};
use crate::noise::Stream;
use crate::samples::Samples;
use serde::{Deserialize, Serialize};

/// One fixed linear map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LinearConfig {
    /// A, row by row; every row is as long as the signal.
    pub matrix: Vec<Vec<f32>>,
}

impl Stage for LinearConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        let d = signal.d();
        if let Some((i, row)) = self.matrix.iter().enumerate().find(|(_, row)| row.len() != d) {
            let message = format!("row {i} has {} numbers, expected {d} (the signal's length)", row.len());
            return Err(Error::config("matrix", message));
        }
        Ok(Box::new(FixedLinear::new(Samples::new(self.matrix.concat(), d))?))
    }

    /// The measurements form a vector, not an image.
    fn output(&self, _signal: Signal, length: usize) -> Signal {
        Signal::Vector(length)
    }
}

/// y = A x with one given A in R^(m x d). With a rank-deficient A, components in ker A never change under EM:
/// corrupted data identify the signal's distribution through many operators, not through one.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedLinear {
    matrix: Samples,
}

impl FixedLinear {
    /// Creates the channel from A = `matrix [m, d]`, one row per measurement, all values finite.
    pub fn new(matrix: Samples) -> Result<Self> {
        if matrix.n() == 0 || matrix.as_slice().iter().any(|v| !v.is_finite()) {
            return Err(Error::config("matrix", "expected one or more rows of finite numbers"));
        }
        Ok(Self { matrix })
    }
}

impl Channel for FixedLinear {
    fn signal_len(&self) -> usize {
        self.matrix.d()
    }

    fn observation_len(&self) -> usize {
        self.matrix.n()
    }

    fn observe(&self, x: &[f32], a: &[f32], _stream: &mut Stream, y: &mut [f32]) {
        self.apply(a, x, y);
    }

    /// Measurements are not coordinates of the signal, even when there are d of them.
    fn lifts(&self) -> bool {
        false
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        Some(self)
    }
}

impl LinearChannel for FixedLinear {
    fn apply(&self, _a: &[f32], x: &[f32], y: &mut [f32]) {
        for (y, row) in y.iter_mut().zip(self.matrix.rows()) {
            *y = row.iter().zip(x).map(|(a, x)| a * x).sum();
        }
    }

    fn adjoint(&self, _a: &[f32], y: &[f32], x: &mut [f32]) {
        x.fill(0.0);
        for (&y, row) in y.iter().zip(self.matrix.rows()) {
            x.iter_mut().zip(row).for_each(|(x, a)| *x += a * y);
        }
    }
}
