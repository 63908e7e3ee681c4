//! Predictor-corrector sampling (Song et al. 2021).

use super::{Ddim, Sampler, Step, Stepped};
use burn::tensor::Tensor;

/// A [`Ddim`] predictor, then `corrections` Langevin steps at the new level:
/// x ← x - τ (x - D) + σ √(2τ) ε.
#[derive(Clone, Copy, Debug)]
pub struct PredictorCorrector {
    /// Langevin steps a level.
    pub corrections: usize,
    /// Step size τ in (0, 1), in units of σ².
    pub tau: f64,
}

impl Sampler for PredictorCorrector {
    fn step(&self, x: Tensor<2>, step: Step<'_>) -> Stepped {
        let (denoiser, to, noise) = (step.denoiser, step.to, step.noise);
        let predictor = Step { denoiser, noise: &mut *noise, from: step.from, to, previous: None };
        let Stepped { mut x, denoised } = Ddim.step(x, predictor);
        for _ in 0..self.corrections {
            let mean = x.clone() - (x.clone() - denoiser.denoise(x, to)) * self.tau;
            x = mean + noise() * (to * (2.0 * self.tau).sqrt());
        }
        Stepped { x, denoised }
    }

    fn calls_per_step(&self) -> usize {
        1 + self.corrections
    }

    /// The predictor's order; the corrector adds a bias of order τ that does not vanish with the number of steps.
    fn order(&self) -> usize {
        1
    }
}
