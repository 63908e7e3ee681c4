//! Images at the core's boundary: flattened channel by channel, row by row, with pixels in [-2, 2].

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Value of a black pixel.
pub const PIXEL_MIN: f32 = -2.0;
/// Value of a white pixel.
pub const PIXEL_MAX: f32 = 2.0;
/// Width of the pixel scale.
pub const PIXEL_RANGE: f32 = PIXEL_MAX - PIXEL_MIN;

/// A pixel on [-2, 2] as an intensity, 0 for black and 1 for white; values beyond the scale lie outside [0,
/// 1].
pub fn to_unit(pixel: f32) -> f32 {
    (pixel - PIXEL_MIN) / PIXEL_RANGE
}

/// An intensity, 0 for black and 1 for white, as a pixel on [-2, 2].
pub fn from_unit(intensity: f32) -> f32 {
    intensity * PIXEL_RANGE + PIXEL_MIN
}

/// A pixel on [-2, 2] as the nearest of 256 levels; values beyond the scale are clamped to its ends.
pub fn to_byte(pixel: f32) -> u8 {
    (to_unit(pixel) * 255.0).round().clamp(0.0, 255.0) as u8
}

/// The pixel on [-2, 2] nearest to level `byte` of 256.
pub fn from_byte(byte: u8) -> f32 {
    (f64::from(PIXEL_RANGE) * f64::from(byte) / 255.0 + f64::from(PIXEL_MIN)) as f32
}

/// Shape of an image. Value (c, i, j) of a flattened image is at index (c · height + i) · width + j.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// Color channels, 1 or 3 (any number for other data).
    pub channels: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
}

/// Maximum number of values in an image; keeps products of sizes from overflowing.
const MAX_VALUES: usize = 1 << 28;

impl ImageShape {
    /// Length of a flattened image.
    pub fn len(&self) -> usize {
        self.channels * self.pixels()
    }

    /// Mirrors the flattened `image` left to right.
    pub(crate) fn mirror<T>(self, image: &mut [T]) {
        image.chunks_exact_mut(self.width.max(1)).for_each(<[T]>::reverse);
    }

    /// True for a shape without values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of pixels in one channel.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Checks the ranges; error messages name `field`.
    pub fn validate(&self, field: &str) -> Result<()> {
        let product = self.channels.checked_mul(self.height).and_then(|v| v.checked_mul(self.width));
        match product {
            Some(1..=MAX_VALUES) => Ok(()),
            _ => {
                let found = format!("{} x {} x {}", self.channels, self.height, self.width);
                Err(Error::config(
                    field,
                    format!("expected 1 to {MAX_VALUES} values, found channels x height x width = {found}"),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_scale() {
        assert!((0..=255).all(|byte| to_byte(from_byte(byte)) == byte));
        assert_eq!([0, 51, 255].map(from_byte), [PIXEL_MIN, -1.2, PIXEL_MAX]);
        assert_eq!([-7.0, 0.0, 7.0].map(to_byte), [0, 128, 255]);
        assert_eq!([0.0, 0.25, 1.0].map(from_unit).map(to_unit), [0.0, 0.25, 1.0]);
    }
}
