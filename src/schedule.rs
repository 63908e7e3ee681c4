//! Noise levels of the diffusion and of its training.
//!
//! σ(t) = σ_min^(1-t) σ_max^t, t in [0, 1];  x_t = x + σ(t) z, z ~ N(0, I)  (variance exploding).

use crate::error::{Error, Result};
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Maximum parameter of the distribution of t.
const MAX_SHAPE: u32 = 64;

/// Geometric variance-exploding schedule (DiffEM, arXiv 2510.12691, appendix; Song et al. 2021).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Smallest noise level, > 0, in units of the (scaled) signal.
    pub sigma_min: f64,
    /// Largest noise level, > `sigma_min`; it should be well above the signal's spread.
    pub sigma_max: f64,
    /// Standard deviation of the signal that the preconditioning assumes (EDM's σ_data), > 0.
    pub sigma_data: f64,
    /// Distribution of t during training: Beta(`time_alpha`, `time_beta`), whole numbers >= 1;
    /// (1, 1) is uniform.
    pub time_alpha: u32,
    /// See `time_alpha`.
    pub time_beta: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { sigma_min: 1e-3, sigma_max: 10.0, sigma_data: 1.0, time_alpha: 3, time_beta: 3 }
    }
}

impl Schedule {
    /// σ(t), t in [0, 1].
    pub fn sigma(&self, t: f64) -> f64 {
        self.sigma_min.powf(1.0 - t) * self.sigma_max.powf(t)
    }

    /// Weight of the loss, λ(σ) = 1/σ² + 1/σ_data² (EDM, arXiv 2206.00364, table 1).
    pub fn loss_weight(&self, sigma: f64) -> f64 {
        1.0 / (sigma * sigma) + 1.0 / (self.sigma_data * self.sigma_data)
    }

    /// Variance of x ~ N(0, σ_data² I) given x_t, v = σ² σ_data² / (σ² + σ_data²): c_out² of
    /// the preconditioning.
    pub fn posterior_variance(&self, sigma: f64) -> f64 {
        let (s, d) = (sigma * sigma, self.sigma_data * self.sigma_data);
        s * d / (s + d)
    }

    /// Draws t ~ Beta(α, β) as the α-th smallest of α + β - 1 uniforms, which has exactly that distribution.
    pub fn draw_time(&self, stream: &mut Stream) -> f64 {
        let n = (self.time_alpha + self.time_beta - 1) as usize;
        let mut sorted = [0.0; 2 * MAX_SHAPE as usize];
        for i in 0..n {
            let uniform = stream.uniform();
            let mut place = i;
            while place > 0 && sorted[place - 1] > uniform {
                sorted[place] = sorted[place - 1];
                place -= 1;
            }
            sorted[place] = uniform;
        }
        sorted[self.time_alpha as usize - 1]
    }

    /// Checks the ranges.
    pub fn validate(&self) -> Result<()> {
        let positive = |v: f64| v > 0.0 && v.is_finite();
        if !positive(self.sigma_min) {
            return Err(Error::config(
                "schedule.sigma_min",
                format!("expected a number > 0, found {}", self.sigma_min),
            ));
        }
        if !(positive(self.sigma_max) && self.sigma_max > self.sigma_min) {
            let message = format!("expected a number > sigma_min = {}, found {}", self.sigma_min, self.sigma_max);
            return Err(Error::config("schedule.sigma_max", message));
        }
        if !positive(self.sigma_data) {
            return Err(Error::config(
                "schedule.sigma_data",
                format!("expected a number > 0, found {}", self.sigma_data),
            ));
        }
        for (name, v) in [("time_alpha", self.time_alpha), ("time_beta", self.time_beta)] {
            if !(1..=MAX_SHAPE).contains(&v) {
                return Err(Error::config(format!("schedule.{name}"), format!("expected 1 to {MAX_SHAPE}, found {v}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Key, Purpose};

    #[test]
    fn sigma_interpolates_geometrically() {
        let s = Schedule::default();
        assert!((s.sigma(0.0) - 1e-3).abs() < 1e-15 && (s.sigma(1.0) - 10.0).abs() < 1e-12);
        assert!((s.sigma(0.5) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn time_follows_beta_3_3() {
        let (s, n) = (Schedule::default(), 20_000);
        let mut stream = Key::new(1, Purpose::Loss, 0).stream(0, 0);
        let t: Vec<f64> = (0..n).map(|_| s.draw_time(&mut stream)).collect();
        let mean = t.iter().sum::<f64>() / n as f64;
        let var = t.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        // Beta(3, 3): mean 1/2, variance 1/28.
        assert!((mean - 0.5).abs() < 5.0 * (1.0 / 28.0 / n as f64).sqrt());
        assert!((var - 1.0 / 28.0).abs() < 1e-3);
    }

    #[test]
    fn bad_ranges_are_named() {
        let s = Schedule { sigma_max: 1e-4, ..Default::default() };
        assert!(s.validate().unwrap_err().to_string().contains("schedule.sigma_max"));
    }
}
