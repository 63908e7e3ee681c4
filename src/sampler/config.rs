//! Samplers by name, for configuration files.

use super::{Ddim, Ddpm, DpmPp2m, Heun, PredictorCorrector, Sampler};
use crate::error::{Error, Result};
use crate::schedule::Schedule;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

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

/// A sampler, its number of steps and its grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SamplerConfig {
    /// Ancestral, first order; the paper's.
    Ddpm {
        /// Steps, 1 or more; one network call each, and one at the end.
        steps: usize,
        /// Grid.
        #[serde(default)]
        spacing: Spacing,
    },
    /// Deterministic, first order.
    Ddim {
        /// Steps, 1 or more; one network call each, and one at the end.
        steps: usize,
        /// Grid.
        #[serde(default)]
        spacing: Spacing,
    },
    /// Second order on the probability-flow ODE.
    Heun {
        /// Steps, 1 or more; two network calls each, and one at the end.
        steps: usize,
        /// Grid.
        #[serde(default)]
        spacing: Spacing,
        /// EDM's γ per step, >= 0; 0 is deterministic.
        #[serde(default)]
        churn: f64,
    },
    /// DPM-Solver++(2M): multistep second order.
    Dpmpp2m {
        /// Steps, 1 or more; one network call each, and one at the end.
        steps: usize,
        /// Grid.
        #[serde(default)]
        spacing: Spacing,
    },
    /// The SDE form of DPM-Solver++(2M).
    Dpmpp2mSde {
        /// Steps, 1 or more; one network call each, and one at the end.
        steps: usize,
        /// Grid.
        #[serde(default)]
        spacing: Spacing,
    },
    /// Predictor-corrector: ddim and Langevin steps.
    Pc {
        /// Steps, 1 or more; 1 + `corrections` network calls each, and one at the end.
        steps: usize,
        /// Grid.
        #[serde(default)]
        spacing: Spacing,
        /// Langevin steps a level.
        #[serde(default = "one")]
        corrections: usize,
        /// Langevin step size in units of σ², in (0, 1).
        #[serde(default = "tenth")]
        tau: f64,
    },
}

fn one() -> usize {
    1
}

fn tenth() -> f64 {
    0.1
}

impl FromStr for SamplerConfig {
    type Err = serde_json::Error;

    /// A sampler in JSON, in the words of configuration files.
    fn from_str(json: &str) -> std::result::Result<Self, Self::Err> {
        serde_json::from_str(json)
    }
}

impl SamplerConfig {
    fn grid_of(&self) -> (usize, Spacing) {
        match *self {
            Self::Ddpm { steps, spacing }
            | Self::Ddim { steps, spacing }
            | Self::Heun { steps, spacing, .. }
            | Self::Dpmpp2m { steps, spacing }
            | Self::Dpmpp2mSde { steps, spacing }
            | Self::Pc { steps, spacing, .. } => (steps, spacing),
        }
    }

    /// The sampler itself.
    pub fn build(&self) -> Box<dyn Sampler> {
        match *self {
            Self::Ddpm { .. } => Box::new(Ddpm),
            Self::Ddim { .. } => Box::new(Ddim),
            Self::Heun { churn, .. } => Box::new(Heun { churn }),
            Self::Dpmpp2m { .. } => Box::new(DpmPp2m { eta: 0.0 }),
            Self::Dpmpp2mSde { .. } => Box::new(DpmPp2m { eta: 1.0 }),
            Self::Pc { corrections, tau, .. } => Box::new(PredictorCorrector { corrections, tau }),
        }
    }

    /// Decreasing noise levels, `steps + 1` of them from σ_max to σ_min.
    pub fn grid(&self, schedule: &Schedule) -> Vec<f64> {
        let (steps, spacing) = self.grid_of();
        let (low, high) = (schedule.sigma_min, schedule.sigma_max);
        let level = |i: usize| {
            let t = 1.0 - i as f64 / steps as f64;
            match spacing {
                Spacing::Geometric => schedule.sigma(t),
                Spacing::Edm => (low.powf(1.0 / 7.0) + t * (high.powf(1.0 / 7.0) - low.powf(1.0 / 7.0))).powi(7),
            }
        };
        (0..=steps).map(level).collect()
    }

    /// Network calls per draw.
    pub fn calls(&self) -> usize {
        self.grid_of().0 * self.build().calls_per_step() + 1
    }

    /// The same sampler with the largest number of steps that takes at most `calls` network calls (at least one step).
    pub fn with_calls(&self, calls: usize) -> Self {
        let target = (calls.saturating_sub(1) / self.build().calls_per_step()).max(1);
        let mut new = self.clone();
        match &mut new {
            Self::Ddpm { steps, .. }
            | Self::Ddim { steps, .. }
            | Self::Heun { steps, .. }
            | Self::Dpmpp2m { steps, .. }
            | Self::Dpmpp2mSde { steps, .. }
            | Self::Pc { steps, .. } => *steps = target,
        }
        new
    }

    /// Checks the ranges; `field` names the sampler in messages.
    pub fn validate(&self, field: &str) -> Result<()> {
        let (steps, _) = self.grid_of();
        if !(1..=1_000_000).contains(&steps) {
            return Err(Error::config(format!("{field}.steps"), format!("expected 1 to 1000000, found {steps}")));
        }
        match *self {
            Self::Heun { churn, .. } if !(0.0..=1.0).contains(&churn) => {
                Err(Error::config(format!("{field}.churn"), format!("expected a number in [0, 1], found {churn}")))
            }
            Self::Pc { tau, .. } if !(tau > 0.0 && tau < 1.0) => {
                Err(Error::config(format!("{field}.tau"), format!("expected a number in (0, 1), found {tau}")))
            }
            _ => Ok(()),
        }
    }
}
