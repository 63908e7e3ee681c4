//! Wiener deconvolution with a Laplacian prior (Hunt, "The application of constrained least squares
//! estimation to image restoration by digital computer", 1973; scikit-image's `restoration.wiener`): in the
//! basis U of images in which the operator is diagonal, with its Laplacian ℓ,
//!
//! ```text
//! x̂ = Uᵀ diag(g / (g² + β ℓ²)) u,   ℓ_kl = 4 - 2 cos(π k / h) - 2 cos(π l / w) for cosines
//! ```
//!
//! This is the posterior mean under x ~ N(0, τ / ℓ²), with β = (noise variance) / τ. With mirrored
//! instead of periodic borders, it is scikit-image's filter applied to the mirrored image, whose sides
//! are twice as long.

use crate::channel::{SpectralChannel, Spectrum, narrow};
use crate::parallel;
use crate::samples::Samples;

/// Decades of τ that are searched on either side of 1.
const DECADES: f64 = 8.0;
/// Number of points in the search grid.
const GRID: usize = 161;
/// Number of golden-section steps between the two neighbors of the best point.
const SECTIONS: usize = 40;

/// Wiener filter for one operator, which all observations share.
#[derive(Clone)]
pub struct Wiener<'a> {
    channel: &'a dyn SpectralChannel,
    spectrum: Spectrum,
    /// β.
    balance: f64,
}

impl<'a> Wiener<'a> {
    /// Creates the filter with weight β = `balance` >= 0 for the prior; 0 gives the plain inverse.
    /// `channel` has no operator parameters.
    pub fn new(channel: &'a dyn SpectralChannel, balance: f64) -> Self {
        Self { channel, spectrum: Spectrum::of(channel, &[]), balance }
    }

    /// Creates the filter with the balance that maximizes the likelihood of the observations `y [n, d]`, U
    /// y ~ N(0, g² τ / ℓ² + v), not counting the mean of each image. `None` for operators without noise.
    pub fn fitted(channel: &'a dyn SpectralChannel, y: &Samples) -> Option<Self> {
        let spectrum = Spectrum::of(channel, &[]);
        let noise = spectrum.variance.iter().sum::<f64>() / spectrum.variance.len() as f64;
        if noise == 0.0 || y.n() == 0 {
            return None;
        }
        let power = power(channel, y);
        let roughness = channel.basis().roughness();
        let cost = |log_tau: f64| -> f64 {
            let terms = (0..power.len()).filter(|&j| roughness[j] > 0.0).map(|j| {
                let expected = spectrum.gain[j].powi(2) * log_tau.exp() / roughness[j] + spectrum.variance[j];
                expected.ln() + power[j] / expected
            });
            terms.sum()
        };
        let balance = noise / lowest(cost).exp();
        Some(Self { channel, spectrum, balance })
    }

    /// The weight β.
    pub fn balance(&self) -> f64 {
        self.balance
    }

    /// The restored images of `y [n, d]`.
    pub fn restore(&self, y: &Samples) -> Samples {
        let (gain, roughness) = (&self.spectrum.gain, self.channel.basis().roughness());
        let factor = |(g, l): (&f64, &f64)| match g * g + self.balance * l {
            0.0 => 0.0,
            total => g / total,
        };
        let factors: Vec<f64> = gain.iter().zip(&roughness).map(factor).collect();
        let rows = parallel::map(y.n(), |i| {
            let mut x = self.channel.coefficients(&[], y.row(i));
            x.iter_mut().zip(&factors).for_each(|(x, factor)| *x *= factor);
            narrow(&self.channel.basis().inverse(&x))
        });
        Samples::new(rows.concat(), self.channel.signal_len())
    }
}

/// Mean square of each coefficient of the rows of `y`.
fn power(channel: &dyn SpectralChannel, y: &Samples) -> Vec<f64> {
    const SHARD: usize = 256;
    let shards = parallel::map(y.n().div_ceil(SHARD), |shard| {
        let mut sums = vec![0.0; channel.signal_len()];
        for i in shard * SHARD..y.n().min((shard + 1) * SHARD) {
            sums.iter_mut().zip(channel.coefficients(&[], y.row(i))).for_each(|(sum, c)| *sum += c * c);
        }
        sums
    });
    let mut total = vec![0.0; channel.signal_len()];
    shards.iter().for_each(|sums| total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum / y.n() as f64));
    total
}

/// The ln τ with the lowest `cost`: the best point of a grid, refined by golden-section search
/// between its neighbors.
fn lowest(cost: impl Fn(f64) -> f64) -> f64 {
    let end = DECADES * std::f64::consts::LN_10;
    let step = 2.0 * end / (GRID - 1) as f64;
    let point = |i: usize| -end + step * i as f64;
    let best = (0..GRID).map(point).min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap_or(0.0);
    let (mut low, mut high) = (best - step, best + step);
    let section = (5f64.sqrt() - 1.0) / 2.0;
    for _ in 0..SECTIONS {
        let (a, b) = (high - section * (high - low), low + section * (high - low));
        if cost(a) < cost(b) { high = b } else { low = a }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{BlurConfig, Channel, ChannelConfig, NoiseConfig};
    use crate::image::ImageShape;
    use crate::noise::{Key, Purpose};
    use crate::observations::Observations;

    const SHAPE: ImageShape = ImageShape { channels: 1, height: 12, width: 16 };

    /// On images drawn from the prior itself, the fitted balance is noise / τ, and no other balance
    /// restores them better.
    #[test]
    fn the_balance_of_the_prior_is_found_and_is_the_best() {
        let (tau, std) = (0.4, 0.05);
        let channel = ChannelConfig(vec![BlurConfig { sigma: 1.2 }.into(), NoiseConfig { std: std.into() }.into()]);
        let channel = channel.build_image(SHAPE).unwrap();
        let spectral = channel.as_linear().unwrap().as_spectral().unwrap();
        let roughness = spectral.basis().roughness();
        let draw = |i: usize| {
            let mut stream = Key::new(1, Purpose::Truth, 0).stream(i, 0);
            let value = |l: &f64| if *l > 0.0 { (tau / l).sqrt() * stream.normal() as f64 } else { 1.0 };
            let x = spectral.basis().inverse(&roughness.iter().map(value).collect::<Vec<_>>());
            x.iter().map(|&v| v as f32).collect::<Vec<f32>>()
        };
        let x = Samples::new((0..400).flat_map(draw).collect(), SHAPE.len());
        let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
        let fitted = Wiener::fitted(spectral, &seen.y).unwrap();
        let ratio = fitted.balance() / (std * std / tau);
        // The 400 x 50 informative coefficients give a standard error of about 1 %.
        assert!((ratio - 1.0).abs() < 0.05, "{ratio}");
        let error = |filter: &Wiener| -> f64 {
            let restored = filter.restore(&seen.y);
            x.as_slice().iter().zip(restored.as_slice()).map(|(a, b)| (a - b).powi(2) as f64).sum()
        };
        let least = error(&fitted);
        for factor in [0.25, 4.0] {
            assert!(error(&Wiener::new(spectral, fitted.balance() * factor)) > 1.005 * least);
        }
    }

    #[test]
    fn nothing_is_fitted_without_noise() {
        let channel = ChannelConfig(vec![BlurConfig { sigma: 1.0 }.into()]).build_image(SHAPE).unwrap();
        let spectral = channel.as_linear().unwrap().as_spectral().unwrap();
        assert!(Wiener::fitted(spectral, &Samples::zeros(3, SHAPE.len())).is_none());
    }
}
