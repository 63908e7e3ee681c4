//! A few clean signals beside the observations.

use crate::home;
use anyhow::{Result, bail};
use diffem::channel::Channel;
use diffem::method::{Method, check_weight};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The published weight where the channel does not identify the distribution of the signals.
const WEIGHT: f64 = 0.2;

/// A few clean signals that are trained on as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CleanConfig {
    /// A .safetensors, .npz, .fits, .tif or .h5 file with `x [h, d]`, or, for images, a folder of clean pictures.
    pub path: String,
    /// Probability, in [0, 1), that a training signal is one of them, corrupted afresh, instead of a reconstruction. By default
    /// .2 where all observations share one operator that loses a part of the signals, as a blur, downsampling or JPEG do;
    /// elsewhere observations tell enough (0), and clean signals are used only with a weight given here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
}

impl CleanConfig {
    /// Probability that a training signal is a clean one.
    pub fn weight(&self) -> f64 {
        self.weight.unwrap_or(WEIGHT)
    }

    /// The same with its weight written out and the home directory for a `~` at the start of its path.
    pub(super) fn resolved(mut self) -> Self {
        if self.path.starts_with("~/") {
            self.path = home::expanded(Path::new(&self.path)).display().to_string();
        }
        Self { weight: Some(self.weight()), ..self }
    }

    /// Checks the weight, and that clean signals suit the method and the channel.
    pub(super) fn validate(&self, channel: &dyn Channel, method: &Method) -> Result<()> {
        check_weight(self.weight())?;
        method.check_clean()?;
        // Operators that differ, or a diagonal one, lose nothing of the distribution.
        let identifies = channel.operator_len() > 0 || channel.as_linear().is_some_and(|linear| linear.is_diagonal());
        if identifies && self.weight.is_none() {
            bail!(
                "clean.weight: observations of this channel tell the distribution of the signals without clean ones, so its \
                 default is 0; give a weight, such as {WEIGHT}, to train on them all the same, or leave [clean] out"
            );
        }
        Ok(())
    }
}
