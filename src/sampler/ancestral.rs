//! First-order samplers.

use super::{Sampler, Step, Stepped};
use burn::tensor::Tensor;

/// Ancestral sampling (Ho et al. 2020, in σ): x_s = x_t - τ (x_t - D) + σ_s √τ ε, τ = 1 - σ_s²/σ_t².
///
/// The paper's E-step. With few steps its draws are too narrow (on a Gaussian of variance .7 with 64 steps: .61), since the
/// noise of each step is drawn around the posterior mean as if that were x.
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

/// Deterministic first order (Song et al. 2021): x_s = x_t - (1 - σ_s/σ_t)(x_t - D), Euler on the probability-flow ODE.
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
