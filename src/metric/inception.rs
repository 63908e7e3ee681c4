//! Inception score of a set of images from the class logits of a network (Salimans et al., "Improved
//! techniques for training GANs", 2016):
//!
//! ```text
//! IS = exp(E_x KL(p(c | x) ‖ p(c))),   p(c) = E_x p(c | x)
//! ```

use super::{MetricError, check_rows};
use crate::Samples;

/// Mean and standard deviation (divided by their number) of IS over `splits` consecutive parts
/// of `logits [n, classes]`, as in torch-fidelity. Scores lie between 1 and the number of
/// classes; 1 <= splits <= n.
///
/// # Errors
/// Zero splits or more splits than rows, a value that is not finite.
pub fn inception_score(logits: &Samples, splits: usize) -> Result<(f64, f64), MetricError> {
    if splits == 0 {
        return Err(MetricError::Setting { name: "splits", value: 0.0, expected: "1 or more" });
    }
    check_rows("logits", logits, splits)?;
    let probabilities: Vec<Vec<f64>> = logits.rows().map(softmax).collect();
    let n = logits.n();
    let scores: Vec<f64> =
        (0..splits).map(|i| score(&probabilities[i * n / splits..(i + 1) * n / splits], logits.d())).collect();
    let mean = scores.iter().sum::<f64>() / splits as f64;
    let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / splits as f64;
    Ok((mean, variance.sqrt()))
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|&v| f64::from(v - top).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|v| v / sum).collect()
}

fn score(probabilities: &[Vec<f64>], classes: usize) -> f64 {
    let n = probabilities.len() as f64;
    let marginal: Vec<f64> = (0..classes).map(|c| probabilities.iter().map(|p| p[c]).sum::<f64>() / n).collect();
    let divergence =
        |p: &[f64]| p.iter().zip(&marginal).filter(|(p, _)| **p > 0.0).map(|(p, m)| p * (p / m).ln()).sum::<f64>();
    (probabilities.iter().map(|p| divergence(p)).sum::<f64>() / n).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sure_and_varied_images_score_the_number_of_classes() {
        let one_hot = |c: usize| (0..4).map(move |k| if k == c { 200.0 } else { 0.0 });
        let varied = Samples::new((0..8).flat_map(|i| one_hot(i % 4)).collect(), 4);
        let same = Samples::new((0..8).flat_map(|_| one_hot(1)).collect(), 4);
        let close = |found: (f64, f64), mean: f64| (found.0 - mean).abs() < 1e-12 && found.1.abs() < 1e-12;
        assert!(close(inception_score(&varied, 2).unwrap(), 4.0));
        assert!(close(inception_score(&same, 1).unwrap(), 1.0));
        assert!(inception_score(&varied, 0).is_err() && inception_score(&varied, 9).is_err());
    }
}
