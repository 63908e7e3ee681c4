//! What the settings of every sampler have in common.

use super::Sampler;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// How the noise levels are spaced between σ_max and σ_min.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Spacing {
    /// Equal ratios: equal steps in the schedule's own time.
    #[default]
    Geometric,
    /// EDM's spacing: equal steps in σ^(1/7), denser at low noise than linear spacing and sparser than
    /// geometric spacing.
    Edm,
}

/// Settings of a sampler. Besides implementing these methods, the settings of every sampler have the fields
/// `steps` and `spacing`.
pub trait SamplerSettings {
    /// Builds the sampler.
    fn build(&self) -> Box<dyn Sampler>;

    /// Checks the ranges of the sampler's own fields.
    ///
    /// # Errors
    /// A field outside its range; the message names it without the sampler's place in the configuration.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}

/// Number of steps of a sampler whose settings name none.
pub(super) fn default_steps() -> usize {
    30
}
