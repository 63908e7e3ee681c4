//! Smooth images as a first prior, with the level and the power that the observations have:
//!
//! ```text
//! x ~ N(c 1, τ (κ + ℓ)^-3/2) in a basis with the Laplacian ℓ
//! ```
//!
//! so beyond two half waves per image the power falls with the third power of the frequency, as in pictures of objects with
//! sharp outlines. EM moves a variance only as far as observations show it: one that is too wide where
//! they show little stays too wide for many iterations, and fills the first reconstructions with noise.
//!
//! τ is that of the greatest likelihood, by its score equation: with r = y - A c 1 and z = (τ A S Aᵀ + Σ_y)⁻¹ r, the mean
//! of zᵀ A S Aᵀ z over the observations is the one over observations that the model itself draws.

use super::combination::dot;
use super::spectral::SpectralGaussian;
use crate::basis::Basis;
use crate::channel::{LinearChannel, narrow, wide};
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::parallel;

/// Frequency below which the power is nearly the same, in half waves per image.
const KNEE: f64 = 2.0;
/// Maximum number of observations that level and power are fitted to.
const MAX_FITTED: usize = 32;
/// Number of corrections of ln τ; the first finds it where the signal outweighs the noise.
const CORRECTIONS: usize = 6;
/// Greatest correction.
const MAX_STEP: f64 = 5.0;
/// Least slope of the score that is believed; in noise it is nearly flat.
const MIN_SLOPE: f64 = 0.05;
/// Maximum number of iterations of a solution.
const ITERATIONS: usize = 200;

impl SpectralGaussian {
    /// Smooth images in `basis` with the level and the power of at most 32 of the `observations` of `linear`.
    pub fn smooth(linear: &dyn LinearChannel, basis: Basis, observations: &Observations) -> Self {
        let seen = observations.first(observations.n().min(MAX_FITTED));
        let mean = basis.forward(&vec![level(linear, &seen); linear.signal_len()]);
        let variance = smooth_variance(&basis);
        let first = Self::like(basis, mean, variance);
        let x = narrow(&first.basis().inverse(&first.mean));
        let middle = parallel::map(seen.n(), |i| image(linear, seen.operator(i), &x));
        let excess = |log_tau: f64| excess(linear, &first.clone().scaled(log_tau.exp()), (&seen, &middle));
        let tau = root(excess).exp();
        first.scaled(tau)
    }
}

/// (κ + ℓ)^-3/2 of every coefficient.
fn smooth_variance(basis: &Basis) -> Vec<f64> {
    let side = basis.shape().height.max(basis.shape().width) as f64;
    let knee = (KNEE * std::f64::consts::PI / side).powi(2);
    basis.laplacian().into_iter().map(|l| (knee + l).powf(-1.5)).collect()
}

/// The c under which the observations y are nearest to A c 1.
fn level(linear: &dyn LinearChannel, seen: &Observations) -> f64 {
    let ones = vec![1.0f32; linear.signal_len()];
    let products = parallel::map(seen.n(), |i| {
        let image = image(linear, seen.operator(i), &ones);
        (dot(&image, &wide(seen.y.row(i))), dot(&image, &image))
    });
    let (with, square) = products.into_iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    if square > 0.0 { with / square } else { 0.0 }
}

/// The root of a function that falls, with slopes of -1 or less steep ones, by secants from 0.
fn root(f: impl Fn(f64) -> f64) -> f64 {
    let (mut last, mut value) = (0.0, f(0.0));
    let mut next = last + value;
    for _ in 0..CORRECTIONS {
        let found = f(next);
        let slope = ((found - value) / (next - last)).clamp(-1.0, -MIN_SLOPE);
        // Two equal arguments have no slope, and are the root.
        let step = if slope.is_finite() { -found / slope } else { 0.0 };
        (last, value) = (next, found);
        next += step.clamp(-MAX_STEP, MAX_STEP);
    }
    next
}

/// The logarithm of the factor by which the score zᵀ A S Aᵀ z of the observations exceeds that of observations of draws
/// from the prior, the same draws for all τ. `middle` are the images A m of the prior's mean.
fn excess(linear: &dyn LinearChannel, prior: &SpectralGaussian, (seen, middle): (&Observations, &[Vec<f64>])) -> f64 {
    let key = Key::new(0, Purpose::Start, 0);
    let scores = parallel::map(seen.n(), |i| {
        let (a, mut stream) = (seen.operator(i), key.stream(i, 0));
        let mut drawn = vec![0.0f32; linear.observation_len()];
        linear.observe(&prior.draw(&mut stream), a, &mut stream, &mut drawn);
        let score = |y: &[f32]| {
            let r: Vec<f64> = y.iter().zip(&middle[i]).map(|(y, m)| f64::from(*y) - m).collect();
            prior.system(linear, a, ITERATIONS).score(&r)
        };
        (score(seen.y.row(i)), score(&drawn))
    });
    let (found, expected) = scores.into_iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    let excess = (found / expected).ln();
    if excess.is_finite() { excess.clamp(-MAX_STEP, MAX_STEP) } else { 0.0 }
}

/// A x.
fn image(linear: &dyn LinearChannel, a: &[f32], x: &[f32]) -> Vec<f64> {
    let mut y = vec![0.0f32; linear.observation_len()];
    linear.apply(a, x, &mut y);
    wide(&y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::basis::Dct;
    use crate::channel::{Channel, ChannelConfig};
    use crate::image::ImageShape;
    use crate::samples::Samples;

    const SHAPE: ImageShape = ImageShape { channels: 1, height: 16, width: 12 };

    /// Images drawn from such a prior in the basis of the channel, or in that of cosines.
    #[test]
    fn level_and_power_are_those_of_the_images() {
        let (tau, level, key) = (0.05, -1.2, Key::new(3, Purpose::Truth, 0));
        for stages in [
            r#"[{"kind":"kernel","sigma":[0.5,1.0],"size":5},{"kind":"noise","std":0.05}]"#,
            r#"[{"kind":"downsample","factor":2},{"kind":"noise","std":0.05}]"#,
            r#"[{"kind":"radon","angles":6,"random_start":true},{"kind":"noise","std":0.01}]"#,
            r#"[{"kind":"fourier-mask","acceleration":3.0},{"kind":"noise","std":0.3}]"#,
        ] {
            let channel = stages.parse::<ChannelConfig>().unwrap().build_image(SHAPE).unwrap();
            let linear = channel.as_linear().unwrap();
            let cosines = Basis::Cosine(Dct::new(SHAPE));
            let basis = linear.as_spectral().map_or(&cosines, |spectral| spectral.basis());
            let variance: Vec<f64> = smooth_variance(basis).iter().map(|v| v * tau).collect();
            let truth = SpectralGaussian::like(basis.clone(), basis.forward(&[level; 192]), variance.clone());
            let x = Samples::new((0..64).flat_map(|i| truth.draw(&mut key.stream(i, 0))).collect(), SHAPE.len());
            let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
            let found = SpectralGaussian::smooth(linear, basis.clone(), &seen);
            let (c, ratio) = (basis.inverse(&found.mean)[0], found.variance[100] / variance[100]);
            assert!((c - level).abs() < 0.3, "{stages}: {c}");
            // 32 images with 27 to 192 measured coefficients each.
            assert!((ratio - 1.0).abs() < 0.15, "{stages}: {ratio}");
        }
    }
}
