//! Samplers: from noise at σ_max to a draw of the law whose denoiser is given, through a decreasing grid of σ.
//!
//! All reverse the variance-exploding diffusion; the score is (D - x)/σ². The last level's D is returned.

mod ancestral;
mod config;
mod corrector;
mod second_order;

pub use ancestral::{Ddim, Ddpm};
pub use config::{SamplerConfig, Spacing};
pub use corrector::PredictorCorrector;
pub use second_order::{DpmPp2m, Heun};

use crate::denoiser::Denoiser;
use crate::error::{Error, Result};
use burn::tensor::Tensor;
use std::ops::ControlFlow;

/// Everything one step from `from` to `to` may use.
pub struct Step<'a> {
    /// D(x, σ), one network call each.
    pub denoiser: &'a dyn Denoiser,
    /// Fresh standard normal noise like x; every call gives new numbers.
    pub noise: &'a mut dyn FnMut() -> Tensor<2>,
    /// σ before the step.
    pub from: f64,
    /// σ after the step.
    pub to: f64,
    /// The last step's starting σ and D, for multistep methods.
    pub previous: Option<(f64, Tensor<2>)>,
}

/// What a step leaves: x at the new level and D at the old one.
pub struct Stepped {
    /// x at σ = `to`, `[n, d]`.
    pub x: Tensor<2>,
    /// D at σ = `from`.
    pub denoised: Tensor<2>,
}

/// One rule for going from a noise level to the next lower one.
pub trait Sampler: Send + Sync {
    /// Advances x from `step.from` to `step.to`.
    fn step(&self, x: Tensor<2>, step: Step<'_>) -> Stepped;

    /// Network calls of one step.
    fn calls_per_step(&self) -> usize {
        1
    }

    /// Order of convergence of the sampled law in the number of steps, on smooth denoisers.
    fn order(&self) -> usize;
}

/// What a callback is shown after each step.
pub struct Progress<'a> {
    /// Step, from 0.
    pub index: usize,
    /// Number of steps.
    pub steps: usize,
    /// σ reached.
    pub sigma: f64,
    /// x at that level, `[n, d]`.
    pub x: &'a Tensor<2>,
    /// The denoiser's mean at the level before.
    pub denoised: &'a Tensor<2>,
}

/// Draws from `x_start` (x at `grid[0]`, N(0, σ_max² I) in the usual case) down the decreasing `grid` of σ.
///
/// `noise(i)` gives standard normal noise for a step: it is called with i = 0, 1, 2... `on_step` may stop the run, which
/// then ends with [`Error::Stopped`].
pub fn sample(
    sampler: &dyn Sampler,
    denoiser: &dyn Denoiser,
    grid: &[f64],
    x_start: Tensor<2>,
    noise: &mut dyn FnMut(usize) -> Tensor<2>,
    on_step: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Tensor<2>> {
    let (mut x, mut previous, mut draws) = (x_start, None, 0);
    let mut fresh = || {
        draws += 1;
        noise(draws - 1)
    };
    for (index, pair) in grid.windows(2).enumerate() {
        let (from, to) = (pair[0], pair[1]);
        let step = Step { denoiser, noise: &mut fresh, from, to, previous: previous.take() };
        let stepped = sampler.step(x, step);
        let progress = Progress { index, steps: grid.len() - 1, sigma: to, x: &stepped.x, denoised: &stepped.denoised };
        if on_step(progress).is_break() {
            return Err(Error::Stopped);
        }
        previous = Some((from, stepped.denoised));
        x = stepped.x;
    }
    Ok(denoiser.denoise(x, grid[grid.len() - 1]))
}
