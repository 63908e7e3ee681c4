//! Sizes of a U-Net and their ranges.

use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::kernels::MatmulPrecision;
use serde::{Deserialize, Serialize};

/// Sizes of a [`Unet`](super::Unet); the defaults suit small gray images on a CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UnetConfig {
    /// Number of channels per level, finest first; every level halves height and width.
    pub channels: Vec<usize>,
    /// Number of residual blocks per level, on the way down and again on the way up.
    pub blocks: Vec<usize>,
    /// Number of attention heads per level; 0 for none.
    pub heads: Vec<usize>,
    /// Length of the noise embedding, even, 2 to 4096.
    pub embedding: usize,
    /// Side of the square patches of pixels that the finest level treats as one pixel (with that many times
    /// more channels); 1 in the paper.
    pub patch: usize,
    /// Probability that a value inside a residual block is dropped in training, in [0, 1).
    pub dropout: f64,
    /// The format in which the layers of blocks and attention are multiplied; the first and the last layer stay in single
    /// precision.
    #[serde(skip_serializing_if = "MatmulPrecision::is_default")]
    pub precision: MatmulPrecision,
}

impl Default for UnetConfig {
    fn default() -> Self {
        Self {
            channels: vec![32, 64],
            blocks: vec![2, 2],
            heads: vec![0, 0],
            embedding: 64,
            patch: 2,
            dropout: 0.0,
            precision: MatmulPrecision::F32,
        }
    }
}

impl UnetConfig {
    /// Checks the ranges, that images of `shape` are not small for the number of levels, and that the
    /// `condition` features form whole planes of that size.
    ///
    /// # Errors
    /// A size outside its range, levels too many for the image, features that do not form whole planes.
    pub fn validate(&self, shape: ImageShape, condition: usize) -> Result<()> {
        self.validate_sizes()?;
        self.validate_fit(shape, condition)
    }

    fn validate_sizes(&self) -> Result<()> {
        let levels = self.channels.len();
        if !(1..=8).contains(&levels) || self.channels.iter().any(|c| !(1..=8192).contains(c)) {
            return error(
                "channels",
                format!("expected 1 to 8 levels of 1 to 8192 channels, found {:?}", self.channels),
            );
        }
        if self.blocks.len() != levels || self.blocks.iter().any(|b| !(1..=64).contains(b)) {
            return error("blocks", format!("expected 1 to 64 for each of {levels} levels, found {:?}", self.blocks));
        }
        if self.heads.len() != levels
            || self.heads.iter().zip(&self.channels).any(|(h, c)| *h > 0 && !c.is_multiple_of(*h))
        {
            let message = format!(
                "expected 0 or a divisor of the channels {:?} for each level, found {:?}",
                self.channels, self.heads
            );
            return error("heads", message);
        }
        if !(2..=4096).contains(&self.embedding) || !self.embedding.is_multiple_of(2) {
            return error("embedding", format!("expected an even number from 2 to 4096, found {}", self.embedding));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return error("dropout", format!("expected a number in [0, 1), found {}", self.dropout));
        }
        Ok(())
    }

    /// Side of the square of pixels that the coarsest level sees as one.
    fn unit(&self) -> usize {
        self.patch.saturating_mul(1 << (self.channels.len() - 1))
    }

    /// Height and width that images of `shape` are padded to: those that every level can halve.
    pub(crate) fn padded(&self, shape: ImageShape) -> [usize; 2] {
        [shape.height, shape.width].map(|side| side.next_multiple_of(self.unit()))
    }

    fn validate_fit(&self, shape: ImageShape, condition: usize) -> Result<()> {
        let (levels, side) = (self.channels.len(), shape.height.max(shape.width));
        // Up to twice the larger side there is something left to see at the coarsest level.
        if self.patch == 0 || self.unit() > 2 * side {
            let most = (2 * side) >> (levels - 1);
            let message = format!(
                "with {levels} levels, images of {} x {} pixels allow patches of 1 to {most} pixels, found {}; lower it, or \
                 take fewer levels (network.channels, blocks and heads)",
                shape.height, shape.width, self.patch
            );
            return error("patch", message);
        }
        if !condition.is_multiple_of(shape.pixels()) {
            let message = format!(
                "a U-Net needs features that are whole planes of {} pixels, the channel gives {condition}; use kind = \"mlp\"",
                shape.pixels()
            );
            return error("kind", message);
        }
        Ok(())
    }
}

fn error(field: &str, message: String) -> Result<()> {
    Err(Error::config(format!("network.{field}"), message))
}
