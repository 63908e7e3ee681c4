//! A missing block of pixels, the same in every color channel: y = a ∘ x, with y = 0 inside the block.

use super::pixel_mask::{hide, mask_channel};
use super::{Channel, LinearChannel, Signal, Stage};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// A missing block at a random place, the same in every color channel (images).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BlockMaskConfig {
    /// Number of rows in the block, from 1 to the image's height.
    pub height: usize,
    /// Number of columns in the block, from 1 to the image's width.
    pub width: usize,
}

impl Stage for BlockMaskConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(BlockMask::new(signal.image("block-mask")?, self.height, self.width)?))
    }

    fn is_mask(&self) -> bool {
        true
    }
}

/// One missing block, drawn uniformly among the positions inside the image.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockMask {
    shape: ImageShape,
    height: usize,
    width: usize,
}

impl BlockMask {
    /// Creates a mask with a missing block of `height` x `width` pixels, from 1 x 1 up to the
    /// size of the image.
    pub fn new(shape: ImageShape, height: usize, width: usize) -> Result<Self> {
        shape.validate("image")?;
        for (field, size, most) in [("height", height, shape.height), ("width", width, shape.width)] {
            if !(1..=most).contains(&size) {
                return Err(Error::config(field, format!("expected 1 to {most} (the image's {field}), found {size}")));
            }
        }
        Ok(Self { shape, height, width })
    }

    fn draw(&self, stream: &mut Stream, a: &mut [f32]) {
        let top = stream.below(self.shape.height - self.height + 1);
        let left = stream.below(self.shape.width - self.width + 1);
        a.fill(1.0);
        for row in a.chunks_exact_mut(self.shape.width).skip(top).take(self.height) {
            row[left..left + self.width].fill(0.0);
        }
    }
}

mask_channel!(BlockMask);
