//! Samplers take noise at σ_max to a draw from the distribution whose denoiser is given, along a decreasing
//! grid of σ.
//!
//! All of them reverse the variance-exploding diffusion; the score is (D - x)/σ². D at the last level is
//! returned.

mod config;
mod ddim;
mod ddpm;
mod dpmpp2m;
mod heun;
mod predictor_corrector;
mod settings;
mod share;

pub use config::*;
pub use settings::{SamplerSettings, Spacing};
pub use share::SPREADS;

use crate::denoiser::Denoiser;
use crate::error::{Error, Result};
use burn::tensor::Tensor;
use std::ops::ControlFlow;

/// Everything that one step from `from` to `to` may use.
pub struct Step<'a> {
    /// D(x, σ); each evaluation is one network call.
    pub denoiser: &'a dyn Denoiser,
    /// Draws standard normal noise of the shape of x; every call returns new numbers.
    pub noise: &'a mut dyn FnMut() -> Tensor<2>,
    /// σ before the step.
    pub from: f64,
    /// σ after the step.
    pub to: f64,
    /// σ and D at the start of the previous step, for multistep methods; `None` in the first step.
    pub previous: Option<(f64, Tensor<2>)>,
}

/// Result of a step: x at the new level and D at the old one.
pub struct Stepped {
    /// x at σ = `to`, `[n, d]`.
    pub x: Tensor<2>,
    /// D at σ = `from`.
    pub denoised: Tensor<2>,
}

/// Rule for going from one noise level to the next lower one.
pub trait Sampler: Send + Sync {
    /// Advances x from `step.from` to `step.to`.
    fn step(&self, x: Tensor<2>, step: Step<'_>) -> Stepped;

    /// Network calls per step.
    fn calls_per_step(&self) -> usize {
        1
    }

    /// Order of convergence of the sampled distribution in the number of steps, on smooth denoisers.
    fn order(&self) -> usize;
}

/// State of a chain, which a callback receives after each step.
pub struct Progress<'a> {
    /// Index of the step, from 0.
    pub index: usize,
    /// Number of steps.
    pub steps: usize,
    /// σ reached.
    pub sigma: f64,
    /// x at that level, `[n, d]`.
    pub x: &'a Tensor<2>,
    /// The denoiser's mean at the previous level.
    pub denoised: &'a Tensor<2>,
}

/// A draw in progress: x at one of the levels of a decreasing grid of σ.
///
/// It serves callers that do something else between two steps; [`sample`] takes all steps at once.
pub struct Chain {
    grid: Vec<f64>,
    /// Number of steps taken.
    index: usize,
    x: Tensor<2>,
    previous: Option<(f64, Tensor<2>)>,
    /// Number of noise draws so far.
    draws: usize,
}

impl Chain {
    /// Starts from `x_start [n, d]`, x at `grid[0]`; `grid` holds one level or more.
    pub fn new(grid: Vec<f64>, x_start: Tensor<2>) -> Self {
        Self { grid, index: 0, x: x_start, previous: None, draws: 0 }
    }

    /// True when the last level is reached.
    pub fn is_done(&self) -> bool {
        self.index + 1 >= self.grid.len()
    }

    /// Takes one step, or none at the last level. `noise(i)` returns standard normal noise for a step; over
    /// the whole chain it is called with i = 0, 1, 2...
    pub fn step(
        mut self,
        sampler: &dyn Sampler,
        denoiser: &dyn Denoiser,
        noise: &mut dyn FnMut(usize) -> Tensor<2>,
    ) -> Self {
        if self.is_done() {
            return self;
        }
        let (from, to) = (self.grid[self.index], self.grid[self.index + 1]);
        let mut fresh = || {
            self.draws += 1;
            noise(self.draws - 1)
        };
        let previous = self.previous.take();
        let Stepped { x, denoised } = sampler.step(self.x, Step { denoiser, noise: &mut fresh, from, to, previous });
        Self { x, previous: Some((from, denoised)), index: self.index + 1, ..self }
    }

    /// State after the last step; `None` before the first step.
    pub fn progress(&self) -> Option<Progress<'_>> {
        let (_, denoised) = self.previous.as_ref()?;
        let (index, steps) = (self.index - 1, self.grid.len() - 1);
        Some(Progress { index, steps, sigma: self.grid[self.index], x: &self.x, denoised })
    }

    /// σ at the current level.
    pub fn sigma(&self) -> f64 {
        self.grid[self.index]
    }

    /// D at the current level, `[n, d]`, which is the draw itself once the last level is reached.
    pub fn finish(self, denoiser: &dyn Denoiser) -> Tensor<2> {
        denoiser.denoise(self.x, self.grid[self.index])
    }
}

/// Draws a sample from `x_start` (x at `grid[0]`, usually N(0, σ_max² I)) along the decreasing `grid` of σ.
///
/// `noise(i)` returns standard normal noise for a step and is called with i = 0, 1, 2... `on_step` may stop
/// the run, which then ends with [`Error::Stopped`].
pub fn sample(
    sampler: &dyn Sampler,
    denoiser: &dyn Denoiser,
    grid: &[f64],
    x_start: Tensor<2>,
    noise: &mut dyn FnMut(usize) -> Tensor<2>,
    on_step: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Tensor<2>> {
    let mut chain = Chain::new(grid.to_vec(), x_start);
    while !chain.is_done() {
        chain = chain.step(sampler, denoiser, noise);
        if chain.progress().is_some_and(|progress| on_step(progress).is_break()) {
            return Err(Error::Stopped);
        }
    }
    Ok(chain.finish(denoiser))
}
