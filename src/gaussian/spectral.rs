//! Gaussians that are diagonal in a basis U of images, for images too large for a full covariance whose channel is diagonal
//! there as well, such as a blur or a mask of frequencies: u = g U x + n, n ~ N(0, v). Every coefficient is a problem of
//! its own, in which an iteration of exact EM over the observations i is
//!
//! ```text
//! k_i = s g_i / (g_i² s + v_i),   e_i = k_i (u_i - g_i m),   m⁺ = m + ⟨e⟩,   s⁺ = ⟨e²⟩ - ⟨e⟩² + ⟨1 - k g⟩ s
//! ```
//!
//! Where all observations share their operator, it needs only the mean and the variance of u.

use crate::basis::Basis;
use crate::channel::{Channel, SpectralChannel, Spectrum, narrow};
use crate::error::{Error, Result};
use crate::noise::{Key, Purpose, Stream};
use crate::observations::Observations;
use crate::parallel;
use crate::samples::Samples;

/// Number of observations that a worker takes at a time.
const SHARD: usize = 64;

/// The distribution of an image x with U x ~ N(mean, diag variance).
#[derive(Clone, Debug, PartialEq)]
pub struct SpectralGaussian {
    basis: Basis,
    /// Mean of every coefficient, `[d]`.
    pub mean: Vec<f64>,
    /// Variance of every coefficient, `[d]`, >= 0.
    pub variance: Vec<f64>,
}

impl SpectralGaussian {
    /// The distribution of images with these moments of their coefficients in `basis`.
    ///
    /// # Errors
    /// Moments whose number differs from that of the image's values.
    pub fn new(basis: Basis, mean: Vec<f64>, variance: Vec<f64>) -> Result<Self> {
        let d = basis.shape().len();
        match mean.len() == d && variance.len() == d {
            true => Ok(Self { basis, mean, variance }),
            false => Err(Error::shape(
                "spectrum",
                format!("[{d}], [{d}]"),
                format!("[{}], [{}]", mean.len(), variance.len()),
            )),
        }
    }

    /// N(0, diag variance), which has as many variances as the images of `basis` have values.
    pub fn centered(basis: Basis, variance: Vec<f64>) -> Result<Self> {
        Self::new(basis, vec![0.0; variance.len()], variance)
    }

    /// The distribution with moments of the right lengths.
    pub(super) fn like(basis: Basis, mean: Vec<f64>, variance: Vec<f64>) -> Self {
        Self { basis, mean, variance }
    }

    /// Fits the distribution to observations of `channel` by `iterations` iterations of exact EM, starting from this one.
    ///
    /// # Errors
    /// A channel that is not diagonal in the basis of this distribution.
    pub fn fitted(mut self, channel: &dyn Channel, observations: &Observations, iterations: usize) -> Result<Self> {
        let spectral = self.spectral(channel).ok_or(Error::NotLinear("a Gaussian of independent coefficients"))?;
        match channel.operator_len() {
            0 => self.fit_shared(spectral, &observations.y, iterations),
            _ => self.fit_each(spectral, observations, iterations)?,
        }
        Ok(self)
    }

    /// The distribution with `factor` times the variances.
    pub(super) fn scaled(mut self, factor: f64) -> Self {
        self.variance.iter_mut().for_each(|v| *v *= factor);
        self
    }

    /// A draw from the distribution.
    pub(super) fn draw(&self, stream: &mut Stream) -> Vec<f32> {
        let moments = self.mean.iter().zip(&self.variance);
        let c: Vec<f64> = moments.map(|(m, s)| m + s.sqrt() * f64::from(stream.normal())).collect();
        narrow(&self.basis.inverse(&c))
    }

    /// EM for one operator.
    fn fit_shared(&mut self, spectral: &dyn SpectralChannel, y: &Samples, iterations: usize) {
        let (mean, variance) = moments(spectral, y);
        let spectrum = Spectrum::of(spectral, &[]);
        for _ in 0..iterations {
            let gain = self.gain(&spectrum);
            for (j, k) in gain.into_iter().enumerate() {
                let g = spectrum.gain[j];
                self.mean[j] += k * (mean[j] - g * self.mean[j]);
                self.variance[j] = k * k * variance[j] + (1.0 - k * g) * self.variance[j];
            }
        }
    }

    /// EM for operators that differ.
    fn fit_each(
        &mut self,
        spectral: &dyn SpectralChannel,
        observations: &Observations,
        iterations: usize,
    ) -> Result<()> {
        let (n, d) = (observations.n(), self.mean.len());
        let mut coefficients = Samples::zeros(n, d);
        parallel::fill_each_row(&mut coefficients, SHARD, |i| {
            Ok(narrow(&spectral.coefficients(observations.operator(i), observations.y.row(i))))
        })?;
        for _ in 0..iterations {
            let shards = parallel::map(n.div_ceil(SHARD), |shard| {
                let rows = shard * SHARD..n.min((shard + 1) * SHARD);
                self.sums(spectral, observations, &coefficients, rows)
            });
            for j in 0..d {
                let mean = |part: usize| shards.iter().map(|sums| sums[3 * j + part]).sum::<f64>() / n as f64;
                let (first, second, left) = (mean(0), mean(1), mean(2));
                self.mean[j] += first;
                self.variance[j] = second - first * first + left * self.variance[j];
            }
        }
        Ok(())
    }

    /// Σ e, Σ e² and Σ (1 - k g) over the observations `rows`, side by side for every coefficient.
    fn sums(
        &self,
        spectral: &dyn SpectralChannel,
        observations: &Observations,
        coefficients: &Samples,
        rows: std::ops::Range<usize>,
    ) -> Vec<f64> {
        let mut sums = vec![0.0; 3 * self.mean.len()];
        for i in rows {
            let spectrum = Spectrum::of(spectral, observations.operator(i));
            let gain = self.gain(&spectrum);
            for (j, (sums, k)) in sums.chunks_exact_mut(3).zip(gain).enumerate() {
                let e = k * (f64::from(coefficients.row(i)[j]) - spectrum.gain[j] * self.mean[j]);
                sums[0] += e;
                sums[1] += e * e;
                sums[2] += 1.0 - k * spectrum.gain[j];
            }
        }
        sums
    }

    /// The basis.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// One posterior draw per observation, keyed by (seed, observation), written into `out [n, d]`; by conjugate gradient
    /// for a channel that is not diagonal in this basis.
    ///
    /// # Errors
    /// A channel that is not linear with Gaussian noise.
    pub fn reconstruct_into(
        &self,
        channel: &dyn Channel,
        observations: &Observations,
        seed: u64,
        out: &mut Samples,
    ) -> Result<()> {
        let key = Key::new(seed, Purpose::Start, 0);
        match self.spectral(channel) {
            Some(spectral) => self.posteriors(spectral, observations, Some(key), out),
            None => self.sample_into(channel, observations, Some((key, 0)), out),
        }
    }

    /// The exact posterior mean for every observation, `[n, d]`; by conjugate gradient for a channel that is not diagonal
    /// in this basis.
    ///
    /// # Errors
    /// A channel that is not linear with Gaussian noise.
    pub fn means(&self, channel: &dyn Channel, observations: &Observations) -> Result<Samples> {
        let fill = |out: &mut Samples| match self.spectral(channel) {
            Some(spectral) => self.posteriors(spectral, observations, None, out),
            None => self.sample_into(channel, observations, None, out),
        };
        Samples::filled(observations.n(), channel.signal_len(), fill)
    }

    /// The spectral view of a channel that is diagonal in the basis of this distribution.
    fn spectral<'a>(&self, channel: &'a dyn Channel) -> Option<&'a dyn SpectralChannel> {
        channel.as_linear()?.as_spectral().filter(|spectral| *spectral.basis() == self.basis)
    }

    /// k of every coefficient.
    fn gain(&self, spectrum: &Spectrum) -> Vec<f64> {
        let gain = |(j, s): (usize, &f64)| {
            let g = spectrum.gain[j];
            // Without noise, a coefficient that is hidden or has no spread says nothing.
            let total = g * g * s + spectrum.variance[j];
            if total > 0.0 { s * g / total } else { 0.0 }
        };
        self.variance.iter().enumerate().map(gain).collect()
    }

    fn posteriors(
        &self,
        spectral: &dyn SpectralChannel,
        observations: &Observations,
        key: Option<Key>,
        out: &mut Samples,
    ) -> Result<()> {
        let shared = (spectral.operator_len() == 0).then(|| self.posterior(Spectrum::of(spectral, &[])));
        parallel::fill_each_row(out, SHARD, |i| {
            let a = observations.operator(i);
            let own = if shared.is_none() { Some(self.posterior(Spectrum::of(spectral, a))) } else { None };
            let posterior = own.as_ref().or(shared.as_ref()).expect("one of the two was made");
            let mut x = spectral.coefficients(a, observations.y.row(i));
            let mut stream = key.map(|key| key.stream(i, 0));
            for (j, x) in x.iter_mut().enumerate() {
                let noise = stream.as_mut().map_or(0.0, |stream| f64::from(stream.normal()));
                let error = *x - posterior.spectrum.gain[j] * self.mean[j];
                *x = self.mean[j] + posterior.gain[j] * error + posterior.widths[j] * noise;
            }
            Ok(narrow(&self.basis.inverse(&x)))
        })
    }

    /// What the posteriors of all observations with this spectrum share.
    fn posterior(&self, spectrum: Spectrum) -> PosteriorOf {
        let gain = self.gain(&spectrum);
        let width = |j: usize| ((1.0 - gain[j] * spectrum.gain[j]) * self.variance[j]).max(0.0).sqrt();
        let widths = (0..self.mean.len()).map(width).collect();
        PosteriorOf { spectrum, gain, widths }
    }
}

/// The posterior of one operator, but for the observation.
struct PosteriorOf {
    spectrum: Spectrum,
    /// k of every coefficient.
    gain: Vec<f64>,
    /// Standard deviation of every coefficient.
    widths: Vec<f64>,
}

/// Mean and variance of every coefficient of the rows of `y`.
fn moments(spectral: &dyn SpectralChannel, y: &Samples) -> (Vec<f64>, Vec<f64>) {
    let d = spectral.signal_len();
    let sums = |center: &[f64], power: i32| {
        let shards = parallel::map(y.n().div_ceil(SHARD), |shard| {
            let mut sums = vec![0.0; d];
            for i in shard * SHARD..y.n().min((shard + 1) * SHARD) {
                let coefficients = spectral.coefficients(&[], y.row(i));
                sums.iter_mut()
                    .zip(coefficients.iter().zip(center))
                    .for_each(|(sum, (c, m))| *sum += (c - m).powi(power));
            }
            sums
        });
        let mut total = vec![0.0; d];
        shards.iter().for_each(|sums| total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum / y.n() as f64));
        total
    };
    let mean = sums(&vec![0.0; d], 1);
    let variance = sums(&mean, 2);
    (mean, variance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{BlurConfig, ChannelConfig, Compose, NoiseConfig};
    use crate::gaussian::Gaussian;
    use crate::image::ImageShape;
    use nalgebra::DVector;

    const SHAPE: ImageShape = ImageShape { channels: 2, height: 6, width: 5 };
    const FIRST: f64 = 0.8;

    fn setup(noise: f64) -> (Compose, Observations) {
        let channel = ChannelConfig::from([BlurConfig { sigma: 0.7 }.into(), NoiseConfig { std: noise.into() }.into()]);
        let channel = channel.build_image(SHAPE).unwrap();
        let mut x = Samples::zeros(200, SHAPE.len());
        for i in 0..x.n() {
            let mut stream = Key::new(1, Purpose::Truth, 0).stream(i, 0);
            let level = stream.normal();
            x.row_mut(i).iter_mut().for_each(|v| *v = 0.5 + level + 0.3 * stream.normal());
        }
        let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
        (channel, seen)
    }

    /// The same variance for all coefficients.
    fn flat(channel: &Compose, variance: f64) -> SpectralGaussian {
        let basis = channel.as_linear().unwrap().as_spectral().unwrap().basis().clone();
        SpectralGaussian::centered(basis, vec![variance; SHAPE.len()]).unwrap()
    }

    /// From the same start, one iteration of EM with a full covariance has the same mean and, in the cosine basis, the
    /// same diagonal.
    #[test]
    fn an_iteration_is_the_full_one_s_without_correlations() {
        let (channel, seen) = setup(0.1);
        let prior = flat(&channel, FIRST).fitted(&channel, &seen, 1).unwrap();
        let full = Gaussian::stationary(&flat(&channel, FIRST)).fitted(&channel, &seen, 1).unwrap();
        let mean = prior.basis.forward(full.mean.as_slice());
        assert!(prior.mean.iter().zip(&mean).all(|(a, b)| (a - b).abs() < 1e-6), "{:?} {mean:?}", prior.mean);
        for j in 0..SHAPE.len() {
            let mut unit = vec![0.0; SHAPE.len()];
            unit[j] = 1.0;
            let wave = DVector::from_vec(prior.basis.inverse(&unit));
            let expected = (wave.transpose() * &full.covariance * &wave)[(0, 0)];
            assert!((prior.variance[j] - expected).abs() < 1e-6 * expected, "{j}: {} {expected}", prior.variance[j]);
        }
    }

    #[test]
    fn means_and_draws_are_those_of_the_full_posterior() {
        let (channel, seen) = setup(0.1);
        let prior = flat(&channel, FIRST).fitted(&channel, &seen, 4).unwrap();
        let exact = Gaussian::stationary(&prior).posterior_of(&channel, &seen, 3).unwrap();
        let means = prior.means(&channel, &seen).unwrap();
        assert!(means.row(3).iter().zip(&exact.mean).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5));
        let n = 4000;
        let again = Observations::new(&channel, seen.y.select(&vec![3; n]), None).unwrap();
        let mut draws = Samples::zeros(n, SHAPE.len());
        prior.reconstruct_into(&channel, &again, 0, &mut draws).unwrap();
        for j in [0, 7, 31, SHAPE.len() - 1] {
            let values = || (0..n).map(|i| f64::from(draws.row(i)[j]));
            let mean = values().sum::<f64>() / n as f64;
            let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
            let expected = exact.covariance[(j, j)];
            // Five standard errors.
            assert!((mean - exact.mean[j]).abs() < 5.0 * (expected / n as f64).sqrt(), "{j}: {mean}");
            assert!((variance / expected - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt(), "{j}: {variance} {expected}");
        }
    }

    #[test]
    fn without_noise_nothing_is_divided_by_zero() {
        let (channel, seen) = setup(0.0);
        let prior = flat(&channel, 0.0).fitted(&channel, &seen, 3).unwrap();
        assert!(prior.means(&channel, &seen).unwrap().as_slice().iter().all(|v| v.is_finite()));
        let prior = flat(&channel, FIRST).fitted(&channel, &seen, 3).unwrap();
        assert!(prior.variance.iter().all(|v| v.is_finite() && *v > 0.0));
    }
}
