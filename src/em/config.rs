//! Settings of a run, with ranges checked in one place.

use crate::channel::Channel;
use crate::error::{Error, Result};
use crate::method::{Method, Operators, Recorruption};
use crate::optim::{Decay, OptimizerKind, check_rate};
use crate::sampler::{Dpmpp2mSdeConfig, SamplerConfig, Spacing};
use serde::{Deserialize, Serialize};

/// Laps and stopping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EmConfig {
    /// Number of laps (M-step then E-step), 1 or more.
    pub laps: usize,
    /// Number of laps without a better held-out score after which the run stops; 0 never stops early.
    pub patience: usize,
}

impl Default for EmConfig {
    fn default() -> Self {
        Self { laps: 12, patience: 0 }
    }
}

/// Training of the posterior on the reconstructions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct MStepConfig {
    /// Optimizer steps per lap, 1 or more.
    pub steps: usize,
    /// Observations per step, 1 or more.
    pub batch: usize,
    /// Rows that a worker takes at a time; the gradient is the sum over these pieces in order, so this number
    /// (not the number of threads) determines the rounding.
    pub micro_batch: usize,
    /// How weights follow their gradients.
    pub optimizer: OptimizerKind,
    /// First learning rate of a lap.
    pub learning_rate: f64,
    /// Last learning rate of a lap.
    pub final_learning_rate: f64,
    /// How the learning rate goes from the first to the last.
    pub decay: Decay,
    /// Bound on the gradient's global norm; 0 for none.
    pub clip_norm: f64,
    /// Decay of the exponential moving average of the weights that the E-step samples with, in [0, 1); 0 samples with the
    /// weights themselves.
    pub ema: f64,
    /// Whether every lap starts with a new optimizer and schedule. `false` is what the published manifold
    /// script does: it creates them once, so that from the second lap on it trains at the final learning
    /// rate.
    pub restart_optimizer: bool,
    /// When new corruption is drawn.
    pub recorruption: Recorruption,
    /// Which operators corrupt the reconstructions.
    pub operators: Operators,
    /// Whether each image is mirrored with probability 1/2 before it is corrupted, for channels that suit
    /// mirrored images as well.
    pub flip: bool,
    /// Whether layers are computed again for their gradients instead of being kept, which takes a third more time and a
    /// fraction of the memory; for U-Nets whose micro-batch of one image does not fit a device.
    pub gradient_checkpointing: bool,
}

impl Default for MStepConfig {
    fn default() -> Self {
        Self {
            steps: 2000,
            batch: 1024,
            micro_batch: 256,
            optimizer: OptimizerKind::Adam,
            learning_rate: 1e-3,
            final_learning_rate: 1e-5,
            decay: Decay::Cosine,
            clip_norm: 1.0,
            ema: 0.999,
            restart_optimizer: true,
            recorruption: Recorruption::EveryBatch,
            operators: Operators::Auto,
            flip: false,
            gradient_checkpointing: false,
        }
    }
}

/// Sampling of the posterior for every observation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EStepConfig {
    /// The sampler.
    pub sampler: SamplerConfig,
    /// Observations that a worker takes at a time, 1 or more; the number does not change the result.
    pub shard: usize,
}

impl Default for EStepConfig {
    fn default() -> Self {
        Self { sampler: Dpmpp2mSdeConfig { steps: 30, spacing: Spacing::Geometric }.into(), shard: 256 }
    }
}

/// Comparison of re-corrupted reconstructions with held-out observations, which needs no clean data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct MonitorConfig {
    /// Fraction of the observations that is never trained on, in [0, 0.5]; 0 turns the comparison off.
    pub holdout: f64,
    /// Maximum number of observations on each side of the comparison, 2 or more.
    pub points: usize,
    /// Entropic regularization of the Sinkhorn divergence, > 0, in squared units of the observations.
    pub regularization: f64,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self { holdout: 0.1, points: 1024, regularization: 0.1 }
    }
}

fn at_least_one(field: &str, value: usize) -> Result<()> {
    (value >= 1).then_some(()).ok_or_else(|| Error::config(field, format!("expected 1 or more, found {value}")))
}

impl EmConfig {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<()> {
        at_least_one("em.laps", self.laps)
    }
}

impl MStepConfig {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<()> {
        at_least_one("m_step.steps", self.steps)?;
        at_least_one("m_step.batch", self.batch)?;
        at_least_one("m_step.micro_batch", self.micro_batch)?;
        check_rate("m_step.learning_rate", self.learning_rate)?;
        check_rate("m_step.final_learning_rate", self.final_learning_rate)?;
        if !(self.clip_norm >= 0.0 && self.clip_norm.is_finite()) {
            return Err(Error::config("m_step.clip_norm", format!("expected a number >= 0, found {}", self.clip_norm)));
        }
        if !(0.0..1.0).contains(&self.ema) {
            return Err(Error::config("m_step.ema", format!("expected a number in [0, 1), found {}", self.ema)));
        }
        Ok(())
    }

    /// Checks that operators of other observations suit any signal, if they are to corrupt it.
    pub fn check_operators(&self, channel: &dyn Channel) -> Result<()> {
        if self.operators == Operators::Observed && channel.sees_signal() {
            let message = "\"observed\" needs operators that do not depend on the signal, as this channel's do; set it to \"drawn\"";
            return Err(Error::config("m_step.operators", message));
        }
        Ok(())
    }
}

impl EStepConfig {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<()> {
        at_least_one("e_step.shard", self.shard)?;
        self.sampler.validate("e_step.sampler")
    }
}

impl MonitorConfig {
    /// Checks that over-relaxed E-steps of `method` can be judged.
    pub fn check_method(&self, method: &Method) -> Result<()> {
        let factor = method.relaxation();
        if factor > 1.0 && self.holdout == 0.0 {
            let message =
                format!("{factor} needs held-out observations: set monitor.holdout to 0.1, for example, or this to 1");
            return Err(Error::config("method.relaxation", message));
        }
        Ok(())
    }

    /// Checks the ranges.
    pub fn validate(&self) -> Result<()> {
        if !(0.0..=0.5).contains(&self.holdout) {
            return Err(Error::config(
                "monitor.holdout",
                format!("expected a number in [0, 0.5], found {}", self.holdout),
            ));
        }
        if self.points < 2 {
            return Err(Error::config("monitor.points", format!("expected 2 or more, found {}", self.points)));
        }
        if !(self.regularization > 0.0 && self.regularization.is_finite()) {
            let message = format!("expected a number > 0, found {}", self.regularization);
            return Err(Error::config("monitor.regularization", message));
        }
        Ok(())
    }
}
