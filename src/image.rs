//! Images at the core's boundary: flattened channel by channel, row by row.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Shape of an image. Value (c, i, j) of a flattened image stands at (c · height + i) · width + j.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// Color channels, 1 or 3 (any number for other data).
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Most values of an image; keeps products of sizes from overflowing.
const MAX_VALUES: usize = 1 << 28;

impl ImageShape {
    /// Length of a flattened image.
    pub fn len(&self) -> usize {
        self.channels * self.pixels()
    }

    /// True for a shape without values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pixels of one channel.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Checks the ranges; `field` is named in messages.
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
