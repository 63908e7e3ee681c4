//! Predictor-corrector sampling (Song et al. 2021).

use super::{Ddim, Sampler, SamplerSettings, Spacing, Step, Stepped};
use crate::error::{Error, Result};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Maximum number of Langevin steps per level, far above any practical use.
const MAX_CORRECTIONS: usize = 1000;

/// Predictor-corrector sampler: a ddim step, then Langevin steps at each level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PredictorCorrectorConfig {
    /// Number of steps, 1 or more, 30 if none is given; each takes 1 + `corrections` network calls, and the final denoising takes
    /// one more.
    #[serde(default = "super::settings::default_steps")]
    pub steps: usize,
    /// Spacing of the noise levels.
    #[serde(default)]
    pub spacing: Spacing,
    /// Number of Langevin steps per level, at most 1000.
    #[serde(default = "one")]
    pub corrections: usize,
    /// Langevin step size in units of σ², in (0, 1).
    #[serde(default = "tenth")]
    pub tau: f64,
}

impl SamplerSettings for PredictorCorrectorConfig {
    fn build(&self) -> Box<dyn Sampler> {
        Box::new(PredictorCorrector { corrections: self.corrections, tau: self.tau })
    }

    fn validate(&self) -> Result<()> {
        let Self { corrections, tau, .. } = *self;
        if corrections > MAX_CORRECTIONS {
            let message = format!("expected at most {MAX_CORRECTIONS}, found {corrections}");
            return Err(Error::config("corrections", message));
        }
        if !(tau > 0.0 && tau < 1.0) {
            return Err(Error::config("tau", format!("expected a number in (0, 1), found {tau}")));
        }
        Ok(())
    }
}

fn one() -> usize {
    1
}

fn tenth() -> f64 {
    0.1
}

/// Takes a [`Ddim`] step as the predictor, then `corrections` Langevin steps at the new level:
/// x ← x - τ (x - D) + σ √(2τ) ε.
#[derive(Clone, Copy, Debug)]
pub struct PredictorCorrector {
    /// Number of Langevin steps per level.
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
        self.corrections.saturating_add(1)
    }

    /// The predictor's order; the corrector adds a bias of order τ that does not vanish with the number of
    /// steps.
    fn order(&self) -> usize {
        1
    }
}
