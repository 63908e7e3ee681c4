//! Photon counts: y = 4 N / peak - 2, N ~ Poisson(peak · p), where p = max((x + 2) / 4, 0) is the intensity.
//! The channel is not linear: the noise depends on the signal, Var(y | x) = 16 p / peak.

use super::{Channel, Signal, Stage};
use crate::error::{Error, Result};
use crate::image::{PIXEL_MIN, PIXEL_RANGE};
use crate::noise::Stream;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// Maximum expected count of a pixel at full intensity.
const MAX_PEAK: f64 = 1e9;

/// Photon counts, y = 4 Poisson(peak p) / peak - 2 with p = (x + 2) / 4.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PoissonConfig {
    /// Expected count at x = 2, in (0, 1e9].
    pub peak: f64,
}

impl Stage for PoissonConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(Poisson::new(signal.d(), self.peak)?))
    }
}

/// Independent photon counts at every value.
#[derive(Clone, Debug, PartialEq)]
pub struct Poisson {
    d: usize,
    peak: f64,
}

impl Poisson {
    /// Creates photon counts for signals of length `d`; `peak` in (0, 1e9] is the expected
    /// count at intensity 1.
    pub fn new(d: usize, peak: f64) -> Result<Self> {
        if !(peak > 0.0 && peak <= MAX_PEAK) {
            return Err(Error::config("peak", format!("expected a number in (0, {MAX_PEAK}], found {peak}")));
        }
        Ok(Self { d, peak })
    }
}

impl Channel for Poisson {
    fn signal_len(&self) -> usize {
        self.d
    }

    fn observation_len(&self) -> usize {
        self.d
    }

    fn observe(&self, x: &[f32], _a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        let (low, range) = (f64::from(PIXEL_MIN), f64::from(PIXEL_RANGE));
        for (y, &x) in y.iter_mut().zip(x) {
            let mean = self.peak * ((f64::from(x) - low) / range).max(0.0);
            *y = (range * count(mean, stream) / self.peak + low) as f32;
        }
    }
}

/// A draw from Poisson(mean), exact for any mean >= 0.
fn count(mean: f64, stream: &mut Stream) -> f64 {
    if mean < 10.0 { by_inversion(mean, stream) } else { by_rejection(mean, stream) }
}

/// The smallest k with u < P(N <= k).
fn by_inversion(mean: f64, stream: &mut Stream) -> f64 {
    let (mut k, mut p, mut u) = (0.0, (-mean).exp(), stream.uniform());
    // P(N > 200) is below 1e-200 for means under 10: the bound only guards against a sum that rounds below 1.
    while u >= p && k < 200.0 {
        u -= p;
        k += 1.0;
        p *= mean / k;
    }
    k
}

/// Transformed rejection with squeeze, for means of 10 or more (Hörmann 1993, "The transformed rejection
/// method for generating Poisson random variables", algorithm PTRS).
fn by_rejection(mean: f64, stream: &mut Stream) -> f64 {
    let b = 0.931 + 2.53 * mean.sqrt();
    let a = -0.059 + 0.02483 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    let squeeze = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let (u, v) = (stream.uniform() - 0.5, stream.uniform());
        let us = 0.5 - u.abs();
        let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
        if us >= 0.07 && v <= squeeze {
            return k;
        }
        if k < 0.0 || (us < 0.013 && v > us) {
            continue;
        }
        if (v * inverse_alpha / (a / (us * us) + b)).ln() <= log_probability(k, mean) {
            return k;
        }
    }
}

/// ln P(N = k) in a form that stays accurate for large k (Loader 2000, "Fast and accurate computation of
/// binomial probabilities"): -k h(mean / k) - ln √(2πk) - δ(k) with h(r) = r - 1 - ln r and δ the error of
/// Stirling's formula.
fn log_probability(k: f64, mean: f64) -> f64 {
    if k == 0.0 {
        return -mean;
    }
    if k < 10.0 {
        return k * mean.ln() - mean - (1..=k as u32).map(|i| (i as f64).ln()).sum::<f64>();
    }
    let stirling = (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * k * k)) / (k * k)) / k;
    let e = (mean - k) / k;
    -k * (e - e.ln_1p()) - 0.5 * (TAU * k).ln() - stirling
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Key, Purpose};

    #[test]
    fn probabilities_sum_to_one_and_agree_across_the_two_forms() {
        for mean in [10.0, 40.0, 3000.0] {
            let sum: f64 = (0..9000).map(|k| log_probability(k as f64, mean).exp()).sum();
            assert!((sum - 1.0).abs() < 1e-8, "{mean}: {sum}");
        }
    }

    /// Compares frequencies of single counts, not only moments: at a mean of 10, both samplers draw from the
    /// same distribution.
    #[test]
    fn frequencies_are_the_probabilities_in_both_samplers() {
        let n = 200_000;
        let samplers: [fn(f64, &mut Stream) -> f64; 2] = [by_inversion, by_rejection];
        for (s, sampler) in samplers.into_iter().enumerate() {
            let mut seen = [0usize; 41];
            for i in 0..n {
                let k = sampler(10.0, &mut Key::new(s as u64, Purpose::Observe, 0).stream(i, 0));
                seen[(k as usize).min(40)] += 1;
            }
            for (k, &count) in seen.iter().enumerate().take(22).skip(2) {
                let p = log_probability(k as f64, 10.0).exp();
                let error = (count as f64 / n as f64 - p) / (p * (1.0 - p) / n as f64).sqrt();
                assert!(error.abs() < 4.5, "sampler {s}, count {k}: {error} standard errors");
            }
        }
    }
}
