//! Whether the sampler keeps the width of what it draws from, and what would.

use anyhow::Result;
use burn::tensor::Device;
use diffem::sampler::{Dpmpp2mSdeConfig, SamplerConfig, Spacing};
use diffem::schedule::Schedule;

/// Share of the variance by which draws may be too wide or too narrow before the estimate gives advice.
const FAITHFUL: f64 = 0.03;
/// Most steps that are advised.
const MOST: usize = 256;

fn is_faithful(shares: &[f64]) -> bool {
    shares.iter().all(|share| (share - 1.0).abs() <= FAITHFUL)
}

/// What to set so that draws are as wide as they should be, where those of `sampler`, with these shares of the variance, are
/// not: more steps of the sampler that converges best, or that one.
pub fn advice(sampler: &SamplerConfig, shares: &[f64], schedule: &Schedule, device: &Device) -> Result<Option<String>> {
    if is_faithful(shares) {
        return Ok(None);
    }
    let best = |steps| SamplerConfig::from(Dpmpp2mSdeConfig { steps, spacing: Spacing::Geometric });
    let is_best = *sampler == best(sampler.steps());
    // Two steps are the fewest of a method of second order.
    let first = if is_best { sampler.steps() + 1 } else { 2 };
    for steps in first..=MOST {
        if is_faithful(&best(steps).variance_shares(schedule, device)?) {
            let kept = 100.0 * (1.0 - FAITHFUL);
            return Ok(Some(match is_best {
                true => {
                    format!("where widths matter, set e_step.sampler.steps to {steps}, which keep {kept:.0} % or more")
                }
                false => format!(
                    "where widths matter, take \"dpmpp2m-sde\" on the geometric grid with {steps} steps, which keep {kept:.0} % \
                     or more"
                ),
            }));
        }
    }
    Ok(Some("where widths matter, take more steps, or a smaller range of noise levels in schedule".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use diffem::sampler::DdpmConfig;

    #[test]
    fn the_advised_steps_are_the_fewest_that_keep_the_variance() {
        let schedule = Schedule { sigma_min: 0.01, sigma_max: 50.0, ..Default::default() };
        let device = Device::flex();
        let sde = |steps| SamplerConfig::from(Dpmpp2mSdeConfig { steps, spacing: Spacing::Geometric });
        let shares = |sampler: &SamplerConfig| sampler.variance_shares(&schedule, &device).unwrap();
        let advised = |sampler: &SamplerConfig| advice(sampler, &shares(sampler), &schedule, &device).unwrap();
        let said = advised(&sde(12)).unwrap();
        let words: Vec<&str> = said.split(&[' ', ','][..]).collect();
        let steps: usize = words[words.iter().position(|word| *word == "to").unwrap() + 1].parse().unwrap();
        assert!(steps > 12 && said.contains("set e_step.sampler.steps to") && !said.contains("dpmpp2m-sde"), "{said}");
        assert_eq!(advised(&sde(steps)), None);
        assert!((12..steps).all(|steps| !is_faithful(&shares(&sde(steps)))), "{steps}");
        let other = advised(&DdpmConfig { steps: 20, spacing: Spacing::Geometric }.into()).unwrap();
        assert!(other.contains(&format!("\"dpmpp2m-sde\" on the geometric grid with {steps} steps")), "{other}");
    }
}
