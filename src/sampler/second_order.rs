//! Second-order samplers.

use super::{Sampler, Step, Stepped};
use burn::tensor::Tensor;

/// Heun's method on the probability-flow ODE dx/dσ = (x - D)/σ (EDM, arXiv 2206.00364, algorithms 1 and 2); two network
/// calls a step. With `churn` > 0 each step first raises σ by the factor 1 + `churn` with fresh noise (EDM's γ).
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

/// DPM-Solver++(2M) and its SDE form (Lu et al. 2022, arXiv 2211.01095) in λ = -ln σ, h = ln(σ_t/σ_s), one call a step:
/// x_s = (σ_s/σ_t) e^(-ηh) x_t + (1 - e^(-h(1+η))) D̃ + σ_s √(1 - e^(-2ηh)) ε, D̃ = D + (D - D_prev) h/(2 h_prev).
#[derive(Clone, Copy, Debug, Default)]
pub struct DpmPp2m {
    /// 0: deterministic; 1: the reverse SDE.
    pub eta: f64,
}

impl Sampler for DpmPp2m {
    fn step(&self, x: Tensor<2>, step: Step<'_>) -> Stepped {
        let denoised = step.denoiser.denoise(x.clone(), step.from);
        let h = (step.from / step.to).ln();
        let extrapolated = match &step.previous {
            Some((sigma, previous)) => {
                let h_previous = (sigma / step.from).ln();
                denoised.clone() + (denoised.clone() - previous.clone()) * (h / (2.0 * h_previous))
            }
            None => denoised.clone(),
        };
        let keep = step.to / step.from * (-self.eta * h).exp();
        let mean = x * keep + extrapolated * (-(-h * (1.0 + self.eta)).exp_m1());
        let std = step.to * (-(-2.0 * self.eta * h).exp_m1()).sqrt();
        let x = if self.eta > 0.0 { mean + (step.noise)() * std } else { mean };
        Stepped { x, denoised }
    }

    fn order(&self) -> usize {
        2
    }
}
