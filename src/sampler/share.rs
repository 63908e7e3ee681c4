//! Which share of a distribution's variance the draws of a sampler have.

use super::{SamplerConfig, sample};
use crate::denoiser::to_samples;
use crate::error::Result;
use crate::schedule::Schedule;
use crate::transfer::to_device;
use burn::tensor::{Device, Tensor};
use std::ops::ControlFlow;

/// Standard deviations, relative to σ_data, of the distributions that [`SamplerConfig::variance_shares`] tries.
pub const SPREADS: [f64; 3] = [1.0, 0.3, 0.1];

impl SamplerConfig {
    /// The variance of draws with the exact denoiser of x ~ N(0, u), relative to u, for the three standard
    /// deviations √u of [`SPREADS`]: 1 for a sampler whose draws are as wide as they should be. EM raises a
    /// share other than 1 to a higher power in each lap.
    ///
    /// It is computed without chance: the denoiser is linear, so every draw is a sum of its noises, and the
    /// squares of their coefficients add up.
    ///
    /// # Errors
    /// A device that fails.
    pub fn variance_shares(&self, schedule: &Schedule, device: &Device) -> Result<[f64; SPREADS.len()]> {
        let grid = self.grid(schedule);
        let columns = SPREADS.len();
        let variances = SPREADS.map(|s| (s * schedule.sigma_data).powi(2));
        let exact = |x_t: Tensor<2>, sigma: f64| {
            let gain = variances.map(|u| (u / (u + sigma * sigma)) as f32);
            x_t * to_device(gain.to_vec(), [1, columns], device)
        };
        // The first row follows the start, each of the others one noise.
        let rows = 1 + self.steps().saturating_mul(self.build().calls_per_step());
        let unit = |hot: usize| {
            let values = (0..rows * columns).map(|at| f32::from(at / columns == hot)).collect();
            to_device(values, [rows, columns], device)
        };
        let start = unit(0) * grid[0];
        let mut noise = |i: usize| unit(1 + i);
        let end = sample(self.build().as_ref(), &exact, &grid, start, &mut noise, &mut |_| ControlFlow::Continue(()))?;
        let coefficients = to_samples(end)?;
        Ok(std::array::from_fn(|column| {
            coefficients.rows().map(|row| f64::from(row[column]).powi(2)).sum::<f64>() / variances[column]
        }))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::sampler::{DdpmConfig, Dpmpp2mConfig, Dpmpp2mSdeConfig, HeunConfig, Spacing};

    fn shares(sampler: impl Into<SamplerConfig>, sigma: (f64, f64)) -> [f64; 3] {
        let schedule = Schedule { sigma_min: sigma.0, sigma_max: sigma.1, ..Default::default() };
        sampler.into().variance_shares(&schedule, &Device::flex()).unwrap()
    }

    /// With one step from σ to s, ddpm's draw is g ((1 - τ + τ G) x + s √τ ε) with G and g the exact gains.
    #[test]
    fn the_share_of_one_step_has_a_closed_form() {
        let (from, to) = (2.0f64, 0.5f64);
        let found = shares(DdpmConfig { steps: 1, spacing: Spacing::Geometric }, (to, from));
        for (found, spread) in found.iter().zip(SPREADS) {
            let (u, tau) = (spread * spread, 1.0 - (to / from).powi(2));
            let (wide, narrow) = (u / (u + from * from), u / (u + to * to));
            let x = (1.0 - tau + tau * wide) * from;
            let exact = narrow * narrow * (x * x + to * to * tau) / u;
            assert!((found - exact).abs() < 1e-5, "{found} {exact}");
        }
    }

    #[test]
    fn the_sde_sampler_keeps_the_variance_at_few_steps_and_ddpm_does_not() {
        for (steps, sigma) in [(24, (0.01, 50.0)), (30, (1e-3, 10.0)), (64, (1e-3, 100.0))] {
            let sde = shares(Dpmpp2mSdeConfig { steps, spacing: Spacing::Geometric }, sigma);
            let ode = shares(Dpmpp2mConfig { steps, spacing: Spacing::Geometric }, sigma);
            let ddpm = shares(DdpmConfig { steps, spacing: Spacing::Geometric }, sigma);
            assert!(sde.iter().all(|c| (c - 1.0).abs() < 0.02), "{steps} steps: {sde:?}");
            assert!(ode.iter().all(|c| (c - 1.0).abs() < 0.03), "{steps} steps: {ode:?}");
            assert!(ddpm.iter().all(|c| *c < 0.85), "{steps} steps: {ddpm:?}");
        }
        let heun = shares(HeunConfig { steps: 60, spacing: Spacing::Geometric, churn: 0.0 }, (1e-3, 40.0));
        assert!(heun.iter().all(|c| (c - 1.0).abs() < 0.03), "{heun:?}");
    }
}
