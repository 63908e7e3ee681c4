//! Ancestral sampling, first order.

use super::{Sampler, SamplerSettings, Spacing, Step, Stepped};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Ancestral sampler of first order, as in the paper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DdpmConfig {
    /// Number of steps, 1 or more, 30 if none is given; each takes one network call, and the final denoising takes one more.
    #[serde(default = "super::settings::default_steps")]
    pub steps: usize,
    /// Spacing of the noise levels.
    #[serde(default)]
    pub spacing: Spacing,
}

impl SamplerSettings for DdpmConfig {
    fn build(&self) -> Box<dyn Sampler> {
        Box::new(Ddpm)
    }
}

/// Ancestral sampling (Ho et al. 2020, in σ): x_s = x_t - τ (x_t - D) + σ_s √τ ε, τ = 1 - σ_s²/σ_t².
///
/// The paper uses it in the E-step. With few steps its draws are too narrow (64 steps on a Gaussian of
/// variance .7 give .61), because each step draws its noise around the posterior mean as if that were x.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ddpm;

impl Sampler for Ddpm {
    fn step(&self, x: Tensor<2>, step: Step<'_>) -> Stepped {
        let denoised = step.denoiser.denoise(x.clone(), step.from);
        let tau = 1.0 - (step.to / step.from).powi(2);
        let mean = x.clone() - (x - denoised.clone()) * tau;
        Stepped { x: mean + (step.noise)() * (step.to * tau.sqrt()), denoised }
    }

    fn order(&self) -> usize {
        1
    }
}
