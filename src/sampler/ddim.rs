//! The deterministic sampler of first order.

use super::{Sampler, SamplerSettings, Spacing, Step, Stepped};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Deterministic sampler of first order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DdimConfig {
    /// Number of steps, 1 or more, 30 if none is given; each takes one network call, and the final denoising takes one more.
    #[serde(default = "super::settings::default_steps")]
    pub steps: usize,
    /// Spacing of the noise levels.
    #[serde(default)]
    pub spacing: Spacing,
}

impl SamplerSettings for DdimConfig {
    fn build(&self) -> Box<dyn Sampler> {
        Box::new(Ddim)
    }
}

/// The deterministic sampler of first order (Song et al. 2021), x_s = x_t - (1 - σ_s/σ_t)(x_t - D), which is
/// Euler's method on the probability-flow ODE.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ddim;

impl Sampler for Ddim {
    fn step(&self, x: Tensor<2>, step: Step<'_>) -> Stepped {
        let denoised = step.denoiser.denoise(x.clone(), step.from);
        let x = x.clone() - (x - denoised.clone()) * (1.0 - step.to / step.from);
        Stepped { x, denoised }
    }

    fn order(&self) -> usize {
        1
    }
}
