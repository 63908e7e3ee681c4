//! EM for a scalar Gaussian in closed form. The signal is x ~ N(0, s*), the observation y = x + N(0, n) and
//! the prior of lap k N(0, s_k), so that
//!
//! ```text
//! s⁺ = s n / (s + n) + (s / (s + n))² (s* + n),   KL_k = KL(N(0, s* + n) ‖ N(0, s_k + n))
//! ```
//!
//! and the theorem bounds the mean over j = 0..k of KL_j by KL(N(0, s*) ‖ N(0, s_0)) / (k + 1) (arXiv
//! 2510.12691).

use diffem::gaussian::{Gaussian, LinearGaussian};
use diffem::{Error, Result};
use nalgebra::{DMatrix, DVector};

/// Result of [`gaussian_run`], one value per lap from lap 0.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianRun {
    /// Variance s_k of the prior.
    pub variance: Vec<f64>,
    /// KL divergence of the true distribution of observations from the one that the prior implies, in nats.
    pub kl: Vec<f64>,
    /// Upper bound on the mean of the KL divergences up to this lap.
    pub bound: Vec<f64>,
}

const MAX_LAPS: usize = 100_000;

fn scalar(variance: f64) -> Result<Gaussian> {
    Gaussian::new(DVector::zeros(1), DMatrix::from_element(1, 1, variance))
}

fn positive(name: &str, value: f64) -> Result<f64> {
    let good = value > 0.0 && value.is_finite();
    good.then_some(value).ok_or_else(|| Error::config(name, format!("expected a variance > 0, found {value}")))
}

/// Runs `laps` exact laps. `truth` (s*), `noise` (n) and `start` (s_0) are variances.
///
/// # Errors
/// Fails if a variance is not a positive number or if there are more than 100 000 laps.
pub fn gaussian_run(truth: f64, noise: f64, start: f64, laps: usize) -> Result<GaussianRun> {
    let (truth, noise, start) = (positive("truth", truth)?, positive("noise", noise)?, positive("start", start)?);
    if laps > MAX_LAPS {
        return Err(Error::config("laps", format!("expected at most {MAX_LAPS}, found {laps}")));
    }
    let channel =
        LinearGaussian { matrix: DMatrix::from_element(1, 1, 1.0), covariance: DMatrix::from_element(1, 1, noise) };
    let observed = scalar(truth + noise)?;
    let first = scalar(truth)?.kl(&scalar(start)?)?;
    let mut prior = scalar(start)?;
    let mut run = GaussianRun { variance: Vec::new(), kl: Vec::new(), bound: Vec::new() };
    for lap in 0..=laps {
        run.variance.push(prior.covariance[(0, 0)]);
        run.kl.push(observed.kl(&prior.observed(&channel))?);
        run.bound.push(first / (lap + 1) as f64);
        prior = prior.em_update(&channel, &observed)?;
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laps_follow_the_closed_form() {
        let run = gaussian_run(1.0, 1.0, 10.0, 9).unwrap();
        for (lap, variance) in [(1, 2.56198), (2, 1.75392), (3, 1.44812), (9, 1.05316)] {
            assert!((run.variance[lap] - variance).abs() < 1e-5, "lap {lap}: {}", run.variance[lap]);
        }
        for (kl, expected) in run.kl.iter().zip([0.443283, 0.069328, 0.023058, 0.009563, 0.004420]) {
            assert!((kl - expected).abs() < 1e-6, "{kl} {expected}");
        }
    }

    #[test]
    fn the_mean_kl_stays_below_the_bound() {
        for (truth, noise, start) in [(1.0, 1.0, 10.0), (2.0, 4.0, 0.05), (0.3, 0.01, 5.0)] {
            let run = gaussian_run(truth, noise, start, 50).unwrap();
            let mut sum = 0.0;
            for (lap, (kl, bound)) in run.kl.iter().zip(&run.bound).enumerate() {
                sum += kl;
                assert!(sum / (lap + 1) as f64 <= *bound, "lap {lap}");
            }
        }
    }

    #[test]
    fn bad_variances_are_named() {
        let message = |run: Result<GaussianRun>| run.unwrap_err().to_string();
        assert_eq!(message(gaussian_run(1.0, -1.0, 1.0, 3)), "noise: expected a variance > 0, found -1");
        assert!(message(gaussian_run(f64::NAN, 1.0, 1.0, 3)).starts_with("truth:"));
        assert!(message(gaussian_run(1.0, 1.0, 1.0, usize::MAX)).starts_with("laps:"));
    }
}
