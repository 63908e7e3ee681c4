//! Heun's method, second order.

use super::{Sampler, SamplerSettings, Spacing, Step, Stepped};
use crate::error::{Error, Result};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Heun's method of second order on the probability-flow ODE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HeunConfig {
    /// Number of steps, 1 or more, 30 if none is given; each takes two network calls, and the final denoising takes one more.
    #[serde(default = "super::settings::default_steps")]
    pub steps: usize,
    /// Spacing of the noise levels.
    #[serde(default)]
    pub spacing: Spacing,
    /// EDM's γ per step, in [0, 1]; 0 is deterministic.
    #[serde(default)]
    pub churn: f64,
}

impl SamplerSettings for HeunConfig {
    fn build(&self) -> Box<dyn Sampler> {
        Box::new(Heun { churn: self.churn })
    }

    fn validate(&self) -> Result<()> {
        match (0.0..=1.0).contains(&self.churn) {
            true => Ok(()),
            false => Err(Error::config("churn", format!("expected a number in [0, 1], found {}", self.churn))),
        }
    }
}

/// Heun's method on the probability-flow ODE dx/dσ = (x - D)/σ (EDM, arXiv 2206.00364, algorithms 1 and 2).
/// It takes two network calls per step. With `churn` > 0 each step first raises σ by the factor 1 + `churn`
/// with fresh noise (EDM's γ).
#[derive(Clone, Copy, Debug, Default)]
pub struct Heun {
    /// γ >= 0 of every step; 0 is the deterministic method.
    pub churn: f64,
}

impl Sampler for Heun {
    fn step(&self, x: Tensor<2>, step: Step<'_>) -> Stepped {
        let from = step.from * (1.0 + self.churn);
        let x = match self.churn > 0.0 {
            true => x + (step.noise)() * (from * from - step.from * step.from).sqrt(),
            false => x,
        };
        let denoised = step.denoiser.denoise(x.clone(), from);
        let slope = (x.clone() - denoised.clone()) / from;
        let euler = x.clone() + slope.clone() * (step.to - from);
        let slope_end = (euler.clone() - step.denoiser.denoise(euler, step.to)) / step.to;
        Stepped { x: x + (slope + slope_end) * (0.5 * (step.to - from)), denoised }
    }

    fn calls_per_step(&self) -> usize {
        2
    }

    fn order(&self) -> usize {
        if self.churn > 0.0 { 1 } else { 2 }
    }
}
