//! Channels by name, for configuration files.

use super::{AdditiveNoise, Channel, Compose, FixedLinear, Mask, Projection};
use crate::error::{Error, Result};
use crate::samples::Samples;
use serde::{Deserialize, Serialize};

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
}

/// A channel: its stages in the order in which they act.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ChannelConfig(pub Vec<StageConfig>);

impl StageConfig {
    fn build(&self, d: usize) -> Result<Box<dyn Channel>> {
        Ok(match self {
            Self::Projection { rows } => Box::new(Projection::new(d, *rows)?),
            Self::Mask { rate } => Box::new(Mask::new(d, *rate)?),
            Self::Noise { std } => Box::new(AdditiveNoise::new(d, *std)?),
            Self::Linear { matrix } => {
                if let Some((i, row)) = matrix.iter().enumerate().find(|(_, row)| row.len() != d) {
                    let message = format!("row {i} has {} numbers, expected {d} (the signal's length)", row.len());
                    return Err(Error::config("matrix", message));
                }
                Box::new(FixedLinear::new(Samples::new(matrix.concat(), d))?)
            }
        })
    }
}

impl ChannelConfig {
    /// Builds the channel for signals of length `d`.
    pub fn build(&self, d: usize) -> Result<Compose> {
        let (mut stages, mut length) = (Vec::new(), d);
        for (i, stage) in self.0.iter().enumerate() {
            let built = stage.build(length).map_err(|e| match e {
                Error::Config { field, message } => Error::config(format!("channel[{i}].{field}"), message),
                other => other,
            })?;
            length = built.observation_len();
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
