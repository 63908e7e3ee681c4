//! Random projections: y = A x, the rows of A uniform on the unit sphere (DiffEM's manifold experiment).

use super::{Channel, LinearChannel, Signal, Stage};
use crate::error::{Error, Result};
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Random projections, rows uniform on the unit sphere: y = A x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProjectionConfig {
    /// Number of rows of A, 1 or more.
    pub rows: usize,
}

impl Stage for ProjectionConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(Projection::new(signal.d(), self.rows)?))
    }

    /// The measurements form a vector, not an image.
    fn output(&self, _signal: Signal, length: usize) -> Signal {
        Signal::Vector(length)
    }

    fn multiplier(&self) -> Option<(&'static str, usize)> {
        Some(("rows", self.rows))
    }
}

/// y = A x with a fresh A in R^(m x d) for every observation; `a` holds A row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    d: usize,
    rows: usize,
}

impl Projection {
    /// Creates projections onto `rows` (1 or more) random directions in `d` dimensions.
    pub fn new(d: usize, rows: usize) -> Result<Self> {
        if rows == 0 || d == 0 {
            return Err(Error::config("rows", "expected 1 or more projections of a signal of length 1 or more"));
        }
        Ok(Self { d, rows })
    }
}

impl Channel for Projection {
    fn signal_len(&self) -> usize {
        self.d
    }

    fn observation_len(&self) -> usize {
        self.rows
    }

    fn operator_len(&self) -> usize {
        self.rows * self.d
    }

    fn operator_shape(&self) -> Vec<usize> {
        vec![self.rows, self.d]
    }

    fn draw_operator(&self, stream: &mut Stream, a: &mut [f32]) {
        stream.fill_normal(a);
        for row in a.chunks_exact_mut(self.d) {
            let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            row.iter_mut().for_each(|v| *v /= norm);
        }
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

impl LinearChannel for Projection {
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]) {
        for (y, row) in y.iter_mut().zip(a.chunks_exact(self.d)) {
            *y = row.iter().zip(x).map(|(a, x)| a * x).sum();
        }
    }

    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]) {
        x.fill(0.0);
        for (&y, row) in y.iter().zip(a.chunks_exact(self.d)) {
            x.iter_mut().zip(row).for_each(|(x, a)| *x += a * y);
        }
    }

    fn write_matrix(&self, a: &[f32], out: &mut [f64]) {
        out.iter_mut().zip(a).for_each(|(out, &a)| *out = a as f64);
    }

    fn write_noise(&self, _a: &[f32], out: &mut [f64]) {
        out.fill(0.0);
    }
}
