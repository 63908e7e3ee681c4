//! Where the first reconstructions come from: the core makes some, and only the command line reads the others
//! from files.

use crate::home;
use anyhow::{Result, bail};
use diffem::channel::Channel;
use diffem::em::{self, GaussianInit};
use diffem::method::EmMmps;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The first reconstructions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum InitConfig {
    /// Posterior draws under a Gaussian prior fitted by exact EM, for linear channels with Gaussian noise.
    Gaussian(GaussianInit),
    /// The pseudo-inverse of the observation, or the observation itself for other channels of equal lengths.
    Corrupted(Nothing),
    /// Reconstructions of the same observations by another run or program, for example by another method; the
    /// weights are new. Starting from the truth itself and running one lap gives a bound that no method
    /// without clean signals can beat.
    Reconstructions(Place),
    /// Draws from another run's prior, guided to the observations by moment matching, for the channels that
    /// `em-mmps` supports; the weights are new.
    Prior(GuidedPrior),
    /// Draws from the posterior of another run's checkpoint, whose weights are trained further.
    Checkpoint(Place),
}

/// A start without settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Where a start is read from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// A run directory, which stands for its best lap, or a lap directory inside one; for reconstructions
    /// also a .safetensors, .npz, .fits, .tif or .h5 file with `x [n, d]`.
    pub path: String,
}

/// A prior that is guided to the observations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuidedPrior {
    /// A run directory with a prior (`diffem prior`), a run of `em-mmps`, or a lap directory of one.
    pub path: String,
    /// Conjugate-gradient iterations of the moment matching, 1 to 1000.
    #[serde(default = "iterations")]
    pub iterations: usize,
}

fn iterations() -> usize {
    EmMmps::default().iterations
}

impl Default for InitConfig {
    fn default() -> Self {
        Self::Gaussian(GaussianInit::default())
    }
}

impl InitConfig {
    /// The start as the core defines it; `None` if it is read from files.
    pub fn of_core(&self) -> Option<em::InitConfig> {
        match self {
            Self::Gaussian(gaussian) => Some(em::InitConfig::Gaussian(gaussian.clone())),
            Self::Corrupted(_) => Some(em::InitConfig::Corrupted {}),
            Self::Reconstructions(_) | Self::Prior(_) | Self::Checkpoint(_) => None,
        }
    }

    /// The same start with the home directory for a `~` at the start of its path.
    pub(super) fn expanded(mut self) -> Self {
        if let Self::Reconstructions(Place { path })
        | Self::Checkpoint(Place { path })
        | Self::Prior(GuidedPrior { path, .. }) = &mut self
            && path.starts_with("~/")
        {
            *path = home::expanded(Path::new(path)).display().to_string();
        }
        self
    }

    /// Checks the ranges, and that this start is possible with `channel`; the error names the field.
    pub fn validate(&self, channel: &dyn Channel) -> Result<()> {
        if let Self::Prior(prior) = self
            && !(1..=1000).contains(&prior.iterations)
        {
            bail!("init.iterations: expected 1 to 1000, found {}", prior.iterations);
        }
        self.of_core().map_or(Ok(()), |init| Ok(init.validate(channel)?))
    }
}
