//! Channels by name, for configuration files.

use super::{
    AdditiveNoise, BlockMask, Blur, Channel, Compose, Downsample, FixedLinear, Mask, PixelMask, Poisson, Projection,
    Quantization, Saturation,
};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::samples::Samples;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// One stage of a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum StageConfig {
    /// Random projections, rows uniform on the unit sphere: y = A x.
    Projection {
        /// Number of rows of A, 1 or more.
        rows: usize,
    },
    /// Missing coordinates.
    Mask {
        /// Probability that a coordinate is missing, in [0, 1).
        rate: f64,
    },
    /// Additive Gaussian noise.
    Noise {
        /// Standard deviation, >= 0, in units of the scaled signal.
        std: f64,
    },
    /// One fixed linear map.
    Linear {
        /// A row by row; every row as long as the signal.
        matrix: Vec<Vec<f32>>,
    },
    /// Missing pixels, the same in every color channel (images).
    PixelMask {
        /// Probability that a pixel is missing, in [0, 1).
        rate: f64,
        /// If given, each image's own rate is drawn uniformly from [rate, max_rate]; below 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_rate: Option<f64>,
    },
    /// A missing block at a random place, the same in every color channel (images).
    BlockMask {
        /// Rows of the block, 1 to the image's.
        height: usize,
        /// Columns of the block, 1 to the image's.
        width: usize,
    },
    /// Gaussian blur, mirrored at the edges (images).
    Blur {
        /// Standard deviation in pixels, in (0, 1e5].
        sigma: f64,
    },
    /// Mean over blocks of pixels (images).
    Downsample {
        /// Side of a block, >= 1; divides the image's height and width.
        factor: usize,
    },
    /// Photon counts, y = 4 Poisson(peak p) / peak - 2 with p = (x + 2) / 4.
    Poisson {
        /// Expected count at x = 2, in (0, 1e9].
        peak: f64,
    },
    /// Values clamped to [low, high].
    Saturation {
        /// Least value.
        low: f64,
        /// Greatest value, above `low`.
        high: f64,
    },
    /// Values rounded to uniform levels on [-2, 2].
    Quantization {
        /// Number of levels, 2 to 65536.
        levels: u32,
    },
    /// JPEG compression (images of 1 or 3 color channels; cargo feature `jpeg`).
    Jpeg {
        /// 1 (smallest file) to 100.
        quality: u8,
    },
}

/// A channel: its stages in the order in which they act.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ChannelConfig(pub Vec<StageConfig>);

impl FromStr for ChannelConfig {
    type Err = serde_json::Error;

    /// Stages in JSON, in the words of configuration files.
    fn from_str(json: &str) -> std::result::Result<Self, Self::Err> {
        serde_json::from_str(json)
    }
}

/// What a stage acts on.
#[derive(Clone, Copy)]
enum Signal {
    Vector(usize),
    Image(ImageShape),
}

impl Signal {
    fn len(self) -> usize {
        match self {
            Self::Vector(d) => d,
            Self::Image(shape) => shape.len(),
        }
    }

    fn image(self, kind: &str) -> Result<ImageShape> {
        match self {
            Self::Image(shape) => Ok(shape),
            Self::Vector(d) => {
                let message = format!("\"{kind}\" needs images: here the signal is a vector of length {d}");
                Err(Error::config("kind", message))
            }
        }
    }
}

impl StageConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        let d = signal.len();
        Ok(match *self {
            Self::Projection { rows } => Box::new(Projection::new(d, rows)?),
            Self::Mask { rate } => Box::new(Mask::new(d, rate)?),
            Self::Noise { std } => Box::new(AdditiveNoise::new(d, std)?),
            Self::Linear { ref matrix } => Box::new(linear(d, matrix)?),
            Self::PixelMask { rate, max_rate } => {
                Box::new(PixelMask::new(signal.image("pixel-mask")?, rate, max_rate)?)
            }
            Self::BlockMask { height, width } => Box::new(BlockMask::new(signal.image("block-mask")?, height, width)?),
            Self::Blur { sigma } => Box::new(Blur::new(signal.image("blur")?, sigma)?),
            Self::Downsample { factor } => Box::new(Downsample::new(signal.image("downsample")?, factor)?),
            Self::Poisson { peak } => Box::new(Poisson::new(d, peak)?),
            Self::Saturation { low, high } => Box::new(Saturation::new(d, low, high)?),
            Self::Quantization { levels } => Box::new(Quantization::new(d, levels)?),
            Self::Jpeg { quality } => jpeg(signal.image("jpeg")?, quality)?,
        })
    }

    /// What the next stage acts on, `length` values: rows of a matrix are not an image.
    fn output(&self, signal: Signal, length: usize) -> Signal {
        match (self, signal) {
            (Self::Projection { .. } | Self::Linear { .. }, _) | (_, Signal::Vector(_)) => Signal::Vector(length),
            (Self::Downsample { factor }, Signal::Image(shape)) => {
                Signal::Image(ImageShape { height: shape.height / factor, width: shape.width / factor, ..shape })
            }
            (_, image) => image,
        }
    }
}

fn linear(d: usize, matrix: &[Vec<f32>]) -> Result<FixedLinear> {
    if let Some((i, row)) = matrix.iter().enumerate().find(|(_, row)| row.len() != d) {
        let message = format!("row {i} has {} numbers, expected {d} (the signal's length)", row.len());
        return Err(Error::config("matrix", message));
    }
    FixedLinear::new(Samples::new(matrix.concat(), d))
}

#[cfg(feature = "jpeg")]
fn jpeg(shape: ImageShape, quality: u8) -> Result<Box<dyn Channel>> {
    Ok(Box::new(super::Jpeg::new(shape, quality)?))
}

#[cfg(not(feature = "jpeg"))]
fn jpeg(_shape: ImageShape, _quality: u8) -> Result<Box<dyn Channel>> {
    Err(Error::config("kind", "\"jpeg\" needs the cargo feature `jpeg`, which this build lacks"))
}

impl ChannelConfig {
    /// Builds the channel for signals of length `d`.
    pub fn build(&self, d: usize) -> Result<Compose> {
        self.build_for(Signal::Vector(d))
    }

    /// Builds the channel for images; every stage gets the shape that the one before it leaves.
    pub fn build_image(&self, shape: ImageShape) -> Result<Compose> {
        shape.validate("image")?;
        self.build_for(Signal::Image(shape))
    }

    fn build_for(&self, mut signal: Signal) -> Result<Compose> {
        let mut stages = Vec::new();
        for (i, stage) in self.0.iter().enumerate() {
            let built = stage.build(signal).map_err(|e| match e {
                Error::Config { field, message } => Error::config(format!("channel[{i}].{field}"), message),
                other => other,
            })?;
            signal = stage.output(signal, built.observation_len());
            stages.push(built);
        }
        Compose::new(stages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_stages_are_named() {
        let message = |stages| ChannelConfig(stages).build(3).err().map(|e| e.to_string()).unwrap_or_default();
        let noise = message(vec![StageConfig::Mask { rate: 0.5 }, StageConfig::Noise { std: -1.0 }]);
        assert_eq!(noise, "channel[1].std: expected a number >= 0, found -1");
        let linear = message(vec![StageConfig::Linear { matrix: vec![vec![1.0, 2.0]] }]);
        assert!(linear.contains("channel[0].matrix: row 0 has 2 numbers, expected 3"), "{linear}");
        assert!(message(vec![]).contains("one or more stages"));
    }
}
