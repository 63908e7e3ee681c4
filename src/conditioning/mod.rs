//! How an observation enters the denoiser: the features c(y, a) that the network sees, and, for linear channels with
//! Gaussian noise, a measurement update of its output.
//!
//! EDM's denoiser D₀ = c_skip x_t + c_out F leaves the network to learn A x = y from examples: for operators that differ from
//! observation to observation that takes most of its capacity. Here D₀ is taken for a Gaussian estimate of x with variance
//! v = c_out² (which it is for F = 0 under x ~ N(0, σ_d² I)) and updated by the observation, as in a Kalman filter:
//!
//! ```text
//! D = D₀ + K (y - A D₀),   K = v Aᵀ (v A Aᵀ + Σ_y)⁻¹,   v = σ² σ_d² / (σ² + σ_d²)
//! ```
//!
//! As σ falls below the noise, K vanishes and the network has the last word. The loss and the samplers stay as they are; a
//! channel without a linear-Gaussian form gets no update.
//!
//! In the cosine basis U of an image, where a blur is diagonal, x has a spectrum P (the power of the first reconstructions)
//! and everything is one number a coefficient: the estimate before the update is P/(P + σ²) x_t + c_out F in place of
//! c_skip x_t + c_out F, its variance v = σ² P/(σ² + P), and K = v g / (v g² + s²). F = 0 is then Wiener's filter.

mod measurement;
mod standardizer;
mod whitened;

pub use measurement::{Measurement, OperatorStructure};
pub use standardizer::{Standardize, Standardizer};
pub use whitened::Whitened;

use crate::channel::{Channel, Spectrum};
use crate::dct::Dct;
use crate::error::{Error, Result};
use crate::method::{AmbientConfig, MmpsConfig};
use crate::samples::Samples;
use measurement::Parts;
use serde::{Deserialize, Serialize};

/// Least standard deviation ascribed to an observation, in units of the scaled signal: keeps noiseless channels invertible.
const MIN_STD: f64 = 1e-4;

/// Least power of a coefficient, relative to the greatest: keeps a basis for what no reconstruction shows.
const MIN_POWER: f64 = 1e-9;

/// Longest signal for which dense linear channels get a measurement update, geometry features and standardized directions:
/// each needs d x d numbers an observation. Longer ones are shown y and a as they are; channels that are diagonal, in their
/// coordinates or in the cosine basis, have no limit.
pub const MAX_DENSE: usize = 256;

/// What the network is shown of an observation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Features {
    /// The observation y and its operator's parameters a, as they are.
    Observation,
    /// For dense linear channels what (y, A) say of x whatever the order, sign and scale of A's rows: the least-norm solution
    /// A⁺ y and the projector A⁺ A. For channels that are diagonal in the cosine basis (blur) the image
    /// P Aᵀ (A P Aᵀ + Σ_y)⁻¹ y, P the covariance of the first reconstructions' spectrum. For all others y and a.
    #[default]
    Geometry,
}

/// How the posterior comes about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The network is trained as the posterior: it is shown the observation.
    #[default]
    Diffem,
    /// The network is trained as the prior and guided to the observation when it samples, see [`crate::method::Mmps`]; `features`
    /// and `measurement_update` do not apply.
    EmMmps,
    /// For masks: the network is trained on the observations alone, hidden further, see [`crate::method::AmbientConfig`].
    /// Reconstructions are made, but not trained on.
    Ambient,
}

/// How an observation enters the denoiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ConditioningConfig {
    /// DiffEM or a rival.
    pub method: Method,
    /// What the network is shown.
    pub features: Features,
    /// Coordinates in which the diffusion runs, from the moments of the first reconstructions.
    pub standardize: Standardize,
    /// Updates the network's estimate by the observation (linear channels with Gaussian noise).
    pub measurement_update: bool,
    /// Least and greatest value that a signal can have, such as [-2, 2] for images: the first reconstructions and the
    /// estimates of the sampler are clipped to it (a mean of such signals lies within it). Not in coordinates of standardized
    /// directions. Off by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// Moment matching of `em-mmps`.
    pub mmps: MmpsConfig,
    /// Settings of `ambient`.
    pub ambient: AmbientConfig,
}

impl ConditioningConfig {
    /// Checks the ranges, and that the method suits `channel`.
    pub fn validate(&self, channel: &dyn Channel) -> Result<()> {
        self.mmps.validate("conditioning.mmps")?;
        self.ambient.validate("conditioning.ambient")?;
        self.validate_range(channel)?;
        let refuse = |name: &str, needed: String| {
            Err(Error::config("conditioning.method", format!("\"{name}\" needs {needed}")))
        };
        let masks = channel.as_linear().is_some_and(|linear| linear.is_diagonal()) && channel.operator_len() > 0;
        match self.method {
            Method::EmMmps
                if form(channel, &Standardizer::identity(channel.signal_len())) == OperatorStructure::None =>
            {
                let needed = format!(
                    "masks, blurs, or another linear channel of at most {MAX_DENSE} values, with Gaussian noise"
                );
                refuse("em-mmps", needed)
            }
            Method::Ambient if !masks => refuse("ambient", "a channel of masks, with or without noise".into()),
            _ => Ok(()),
        }
    }
}

impl ConditioningConfig {
    fn validate_range(&self, channel: &dyn Channel) -> Result<()> {
        let Some([least, greatest]) = self.range else {
            return Ok(());
        };
        let refuse = |message: String| Err(Error::config("conditioning.range", message));
        if !(least < greatest && least.is_finite() && greatest.is_finite()) {
            return refuse(format!("expected [least, greatest], two finite numbers, found [{least}, {greatest}]"));
        }
        if self.standardize.is_full(channel.signal_len(), diagonal(channel)) {
            return refuse("needs conditioning.standardize = \"coordinates\", \"scale\" or \"none\"".into());
        }
        Ok(())
    }
}

impl Default for ConditioningConfig {
    fn default() -> Self {
        Self {
            method: Method::Diffem,
            features: Features::Geometry,
            standardize: Standardize::Auto,
            measurement_update: true,
            range: None,
            mmps: MmpsConfig::default(),
            ambient: AmbientConfig::default(),
        }
    }
}

impl ConditioningConfig {
    /// The coordinates for `channel` from the first reconstructions `x [n, d]`.
    pub fn standardizer(&self, channel: &dyn Channel, x: &Samples) -> Standardizer {
        let standardize = match self.standardize {
            Standardize::Auto if spectrum(channel).is_some() => Standardize::Scale,
            other => other,
        };
        let mut standardizer = Standardizer::of(x, standardize, diagonal(channel));
        standardizer.power =
            spectrum(channel).filter(|_| standardizer.uniform().is_some()).map(|s| power(s.basis(), &standardizer, x));
        standardizer
    }
}

/// A channel together with how its observations enter the denoiser.
#[derive(Clone, Copy)]
pub struct Conditioning<'a> {
    /// The channel.
    pub channel: &'a dyn Channel,
    /// Settings.
    pub config: &'a ConditioningConfig,
    /// Coordinates of the signal; A and y are taken to them as A L and y - A μ.
    pub standardizer: &'a Standardizer,
}

/// Mean square of every coefficient of the rows of `x` in the standardizer's coordinates.
fn power(basis: &Dct, standardizer: &Standardizer, x: &Samples) -> Vec<f64> {
    let mut sums = vec![0.0; x.d()];
    for row in 0..x.n() {
        let row: Vec<f64> =
            standardizer.standardize(&x.slice(row..row + 1)).as_slice().iter().map(|&v| v as f64).collect();
        sums.iter_mut().zip(basis.forward(&row)).for_each(|(sum, c)| *sum += c * c);
    }
    let least = sums.iter().fold(0.0f64, |most, v| most.max(*v)) * MIN_POWER;
    sums.into_iter().map(|v| (v.max(least) / x.n() as f64).max(f64::MIN_POSITIVE)).collect()
}

fn diagonal(channel: &dyn Channel) -> bool {
    channel.as_linear().is_none_or(|linear| linear.is_diagonal())
}

fn spectrum(channel: &dyn Channel) -> Option<&Spectrum> {
    channel.as_linear()?.spectrum()
}

fn geometric(channel: &dyn Channel, config: &ConditioningConfig) -> bool {
    // The same operator for all observations has nothing to tell them apart by.
    let dense = channel.as_linear().is_some_and(|linear| !linear.is_diagonal() && linear.spectrum().is_none());
    dense && channel.signal_len() <= MAX_DENSE && config.features == Features::Geometry
}

/// Number of features that the network sees of an observation.
pub fn feature_len(channel: &dyn Channel, config: &ConditioningConfig) -> usize {
    let d = channel.signal_len();
    match config.method {
        Method::Diffem => {}
        Method::EmMmps => return 0,
        Method::Ambient => return d,
    }
    if geometric(channel, config) { d + d * (d + 1) / 2 } else { channel.condition_len() }
}

fn form(channel: &dyn Channel, standardizer: &Standardizer) -> OperatorStructure {
    match channel.as_linear() {
        Some(linear) if linear.is_diagonal() && standardizer.is_diagonal() => OperatorStructure::Diagonal,
        Some(linear) if linear.spectrum().is_some() && standardizer.uniform().is_some() => OperatorStructure::Spectral,
        Some(linear) if linear.signal_len() <= MAX_DENSE => OperatorStructure::Dense,
        _ => OperatorStructure::None,
    }
}

impl<'a> Conditioning<'a> {
    /// OperatorStructure of the linear-Gaussian form of an observation.
    fn form(&self) -> OperatorStructure {
        form(self.channel, self.standardizer)
    }

    /// The spectrum of x̃ under spectral measurements.
    pub fn power(&self) -> Option<&'a [f64]> {
        self.standardizer.power.as_deref().filter(|_| self.form() == OperatorStructure::Spectral)
    }

    /// The cosine basis of spectral measurements.
    pub fn basis(&self) -> Option<&'a Dct> {
        spectrum(self.channel).filter(|_| self.form() == OperatorStructure::Spectral).map(Spectrum::basis)
    }

    /// Least and greatest value of each of the standardizer's coordinates, where signals have a range: `[d]` each.
    pub fn bounds(&self) -> Option<[Samples; 2]> {
        let bounds = self.config.range?;
        let bound = |v: f64| {
            self.standardizer
                .standardize(&Samples::new(vec![v as f32; self.standardizer.mean.len()], self.standardizer.mean.len()))
        };
        self.standardizer.is_diagonal().then(|| bounds.map(bound))
    }

    /// Number of features.
    pub fn feature_len(&self) -> usize {
        feature_len(self.channel, self.config)
    }

    /// Writes the features of (y, a) into `features` and returns the measurement for updates; `None` where there is no
    /// update.
    pub fn condition(&self, y: &[f32], a: &[f32], features: &mut [f32]) -> Option<Measurement> {
        if self.config.method != Method::Diffem {
            return None;
        }
        let needed = self.config.measurement_update || self.config.features == Features::Geometry;
        let measurement = needed.then(|| self.measurement(y, a)).flatten();
        match measurement.as_ref().filter(|_| self.config.features == Features::Geometry) {
            Some(measurement) if geometric(self.channel, self.config) => {
                measurement.write_geometry(self.channel.signal_len(), features);
            }
            Some(measurement) if measurement.structure == OperatorStructure::Diagonal => {
                self.channel.condition(y, a, features);
                measurement.write_estimates(&mut features[..y.len()]);
            }
            Some(measurement) if spectrum(self.channel).is_some() => {
                self.channel.condition(y, a, features);
                measurement.write_solution(self.basis(), self.power(), features);
            }
            _ => self.channel.condition(y, a, features),
        }
        measurement.filter(|_| self.config.measurement_update)
    }

    /// The linear-Gaussian form of (y, a), if the channel has one.
    pub(crate) fn measurement(&self, y: &[f32], a: &[f32]) -> Option<Measurement> {
        let (linear, structure) = (self.channel.as_linear()?, self.form());
        if structure == OperatorStructure::Spectral {
            return self.spectral(linear.spectrum()?, y);
        }
        if structure == OperatorStructure::None {
            return None;
        }
        let d = self.channel.signal_len();
        let mut measurement = Measurement::zeros(structure, y.len(), d);
        let Parts { matrix, noise, y: seen } = measurement.parts();
        seen.iter_mut().zip(y).for_each(|(seen, &v)| *seen = v as f64);
        let (mean, floor) = (&self.standardizer.mean, MIN_STD * MIN_STD);
        if structure == OperatorStructure::Diagonal {
            linear.write_diagonal(a, matrix, noise);
            seen.iter_mut().zip(&*matrix).zip(mean).for_each(|((y, a), mean)| *y -= a * mean);
            noise.iter_mut().for_each(|v| *v += floor);
        } else {
            linear.write_matrix(a, matrix);
            let shift = |row: &[f64]| row.iter().zip(mean).map(|(a, mean)| a * mean).sum::<f64>();
            seen.iter_mut().zip(matrix.chunks_exact(d)).for_each(|(y, row)| *y -= shift(row));
            linear.write_noise(a, noise);
            noise.iter_mut().step_by(y.len() + 1).for_each(|v| *v += floor);
            measurement.drop_silent_rows(d);
        }
        self.standardizer.compose(measurement.parts().matrix, structure == OperatorStructure::Diagonal);
        Some(measurement)
    }

    /// U (y - A μ), U A L Uᵀ and U Σ_y Uᵀ for the cosine basis U.
    fn spectral(&self, spectrum: &Spectrum, y: &[f32]) -> Option<Measurement> {
        let scale = self.standardizer.uniform()?;
        let coefficients = |x: &[f64]| spectrum.basis().forward(x);
        let y = coefficients(&y.iter().map(|&v| v as f64).collect::<Vec<_>>());
        let mean = coefficients(&self.standardizer.mean);
        let mut measurement = Measurement::zeros(OperatorStructure::Spectral, y.len(), y.len());
        let parts = measurement.parts();
        for (j, (gain, variance)) in spectrum.gain.iter().zip(&spectrum.variance).enumerate() {
            parts.y[j] = y[j] - gain * mean[j];
            parts.matrix[j] = gain * scale;
            parts.noise[j] = variance + MIN_STD * MIN_STD;
        }
        Some(measurement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{ChannelConfig, MaskConfig, NoiseConfig, ProjectionConfig, StageConfig};
    use crate::gaussian::Gaussian;
    use crate::noise::{Key, Purpose};
    use crate::{Observations, Samples};

    /// The update of an estimate with variance v is the exact Gaussian posterior mean.
    fn agrees(stages: Vec<StageConfig>, structure: OperatorStructure) {
        let (d, v) = (4, 0.7f64);
        let channel = ChannelConfig(stages).build(d).unwrap();
        let standardizer = Standardizer::identity(d);
        let conditioning =
            Conditioning { channel: &channel, config: &ConditioningConfig::default(), standardizer: &standardizer };
        assert_eq!(conditioning.form(), structure);
        let x = Samples::new(vec![0.3, -1.0, 0.8, 0.1], d);
        let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
        let size = if structure == OperatorStructure::Dense { d * d } else { d };
        let (mut ka, mut ky) = (vec![0.0; size], vec![0.0; d]);
        let mut features = vec![0.0; conditioning.feature_len()];
        let measurement = conditioning.condition(seen.y.row(0), seen.operator(0), &mut features).unwrap();
        measurement.update(v, &mut ka, &mut ky);
        let estimate = [0.5f32, 0.2, -0.4, 1.0];
        let mean = nalgebra::DVector::from_iterator(d, estimate.iter().map(|&e| e as f64));
        let prior = Gaussian { mean, covariance: nalgebra::DMatrix::identity(d, d) * v };
        let exact = prior.posterior_of(&channel, &seen, 0).unwrap().mean;
        for p in 0..d {
            let kad: f32 = match structure {
                OperatorStructure::Dense => (0..d).map(|q| ka[p * d + q] * estimate[q]).sum(),
                _ => ka[p] * estimate[p],
            };
            let updated = estimate[p] + ky[p] - kad;
            assert!((updated as f64 - exact[p]).abs() < 1e-5, "{structure:?} coordinate {p}: {updated} {}", exact[p]);
        }
    }

    #[test]
    fn updates_are_the_exact_gaussian_posterior() {
        agrees(vec![ProjectionConfig { rows: 2 }.into(), NoiseConfig { std: 0.1 }.into()], OperatorStructure::Dense);
        agrees(vec![NoiseConfig { std: 0.2 }.into(), ProjectionConfig { rows: 3 }.into()], OperatorStructure::Dense);
        agrees(vec![MaskConfig { rate: 0.5 }.into(), NoiseConfig { std: 0.1 }.into()], OperatorStructure::Diagonal);
        agrees(vec![NoiseConfig { std: 0.1 }.into(), MaskConfig { rate: 0.5 }.into()], OperatorStructure::Diagonal);
    }

    #[test]
    fn geometry_does_not_depend_on_the_order_and_sign_of_the_rows() {
        let channel = ChannelConfig(vec![ProjectionConfig { rows: 2 }.into()]).build(3).unwrap();
        let standardizer = Standardizer::identity(3);
        let conditioning =
            Conditioning { channel: &channel, config: &ConditioningConfig::default(), standardizer: &standardizer };
        let features = |y: [f32; 2], a: [f32; 6]| {
            let mut out = vec![0.0; conditioning.feature_len()];
            conditioning.condition(&y, &a, &mut out);
            out
        };
        let one = features([0.5, -0.3], [1.0, 0.0, 0.0, 0.6, 0.8, 0.0]);
        let other = features([0.3, 0.5], [-0.6, -0.8, 0.0, 1.0, 0.0, 0.0]);
        assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-5), "{one:?} {other:?}");
        // The projector onto the first two axes.
        for (found, expected) in one[3..].iter().zip([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-5);
        }
    }
}
