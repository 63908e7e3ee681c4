//! What the settings of every sampler have in common.

use super::Sampler;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// How the noise levels are spread between σ_max and σ_min.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Spacing {
    /// Equal ratios (the schedule's own time).
    #[default]
    Geometric,
    /// EDM's: equal steps of σ^(1/7), denser at low noise than linear, sparser than geometric.
    Edm,
}

/// The settings of a sampler. Beside what it asks for here every sampler has the fields `steps` and
/// `spacing`.
pub trait SamplerSettings {
    /// The sampler itself.
    fn build(&self) -> Box<dyn Sampler>;

    /// Checks the ranges of the sampler's own fields.
    ///
    /// # Errors
    /// A field outside its range, named without the sampler's place in the configuration.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}
