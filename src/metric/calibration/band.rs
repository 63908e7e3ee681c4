//! Curves with simultaneous bootstrap bands, and the Kolmogorov-Smirnov test.

use crate::noise::Key;
use crate::parallel;

/// Number of bootstrap resamples of the signals.
const RESAMPLES: usize = 1000;
/// Probability that the whole band contains the curve.
const CONFIDENCE: f64 = 0.95;

/// A score at several levels, with a band that the curve for infinitely many signals leaves with a
/// probability of at most 5 %.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Levels, ascending.
    pub levels: Vec<f64>,
    /// Mean over signals.
    pub values: Vec<f64>,
    /// Values of a perfect posterior.
    pub expected: Vec<f64>,
    /// Half width of the simultaneous band around `values`.
    pub half_width: Vec<f64>,
}

impl Curve {
    /// True when the expected values lie in the band everywhere.
    pub fn within(&self) -> bool {
        self.largest_excess() <= 0.0
    }

    /// The largest |value - expected| less the half width; negative within the band.
    pub fn largest_excess(&self) -> f64 {
        let at = |i: usize| (self.values[i] - self.expected[i]).abs() - self.half_width[i];
        (0..self.values.len()).map(at).fold(f64::MIN, f64::max)
    }
}

/// Number of times that each signal occurs in each resample.
pub(super) struct Bands(Vec<Vec<u16>>);

impl Bands {
    pub(super) fn new(n: usize, key: Key) -> Self {
        Self(parallel::map(RESAMPLES, |r| {
            let (mut stream, mut counts) = (key.stream(r, 0), vec![0u16; n]);
            (0..n).for_each(|_| counts[stream.below(n)] += 1);
            counts
        }))
    }
}

/// The mean of `rows` (one per signal, one value per level) with its band. In units of each level's bootstrap
/// deviation, the band is as wide as 95 % of the resamples need at their worst level.
pub(super) fn curve(bands: &Bands, rows: &[Vec<f64>], expected: Vec<f64>, levels: Vec<f64>) -> Curve {
    let (n, k) = (rows.len() as f64, expected.len());
    let mean = |weight: &dyn Fn(usize) -> f64| {
        let mut sum = vec![0.0; k];
        for (i, row) in rows.iter().enumerate() {
            let weight = weight(i) / n;
            sum.iter_mut().zip(row).for_each(|(sum, v)| *sum += weight * v);
        }
        sum
    };
    let values = mean(&|_| 1.0);
    let resampled: Vec<Vec<f64>> = parallel::map(bands.0.len(), |r| mean(&|i| f64::from(bands.0[r][i])));
    let variance =
        |j: usize| resampled.iter().map(|m| (m[j] - values[j]).powi(2)).sum::<f64>() / resampled.len() as f64;
    // A level at which all signals agree has no deviation of its own, so it gets that of one signal in n.
    let deviations: Vec<f64> = (0..k).map(|j| variance(j).sqrt().max(1.0 / n)).collect();
    let worst = |m: &Vec<f64>| (0..k).map(|j| (m[j] - values[j]).abs() / deviations[j]).fold(0.0, f64::max);
    let mut worst: Vec<f64> = resampled.iter().map(worst).collect();
    worst.sort_by(f64::total_cmp);
    let factor = worst[(CONFIDENCE * worst.len() as f64) as usize];
    Curve { levels, values, expected, half_width: deviations.iter().map(|d| factor * d).collect() }
}

/// p-value of the hypothesis that `u` are independent and uniform on [0, 1], from the asymptotic distribution
/// of √n sup|F_n - F| with Stephens's correction for small n.
pub(super) fn kolmogorov_smirnov(mut u: Vec<f64>) -> f64 {
    u.sort_by(f64::total_cmp);
    let n = u.len() as f64;
    let distance = |(i, u): (usize, &f64)| (u - i as f64 / n).max((i as f64 + 1.0) / n - u);
    let distance = u.iter().enumerate().map(distance).fold(0.0, f64::max);
    let x = (n.sqrt() + 0.12 + 0.11 / n.sqrt()) * distance;
    let term = |k: i32| (-1f64).powi(k - 1) * (-2.0 * f64::from(k * k) * x * x).exp();
    // The series converges quickly only from here on; below, the p-value is above .9999.
    if x < 0.3 { 1.0 } else { (2.0 * (1..=20).map(term).sum::<f64>()).clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Critical values of the limiting distribution: P(x > 1.3581) = .05, P(x > 1.6276) = .01.
    #[test]
    fn p_values_are_those_of_the_tables() {
        let n = 1_000_000usize;
        for (critical, p) in [(1.3581, 0.05), (1.6276, 0.01)] {
            let shift = critical / (n as f64).sqrt();
            let u = (0..n).map(|i| ((i as f64 + 0.5) / n as f64 + shift).min(1.0)).collect();
            let found = kolmogorov_smirnov(u);
            assert!((found - p).abs() < 0.002, "{found}, expected {p}");
        }
        assert!(kolmogorov_smirnov((0..100).map(|i| (i as f64 + 0.5) / 100.0).collect()) > 0.999);
    }
}
