//! How an observation enters the denoiser: the features c(y, a) that the network receives and, for linear
//! channels with Gaussian noise, a measurement update of the network's output.
//!
//! With EDM's denoiser D₀ = c_skip x_t + c_out F, the network has to learn A x = y from examples, which takes
//! most of its capacity when operators differ between observations. Here D₀ is treated as a Gaussian estimate
//! of x with variance v = c_out² (which it is for F = 0 under x ~ N(0, σ_d² I)) and updated by the
//! observation, as in a Kalman filter:
//!
//! ```text
//! D = D₀ + K (y - A D₀),   K = v Aᵀ (v A Aᵀ + Σ_y)⁻¹,   v = σ² σ_d² / (σ² + σ_d²)
//! ```
//!
//! As σ falls below the noise level, K vanishes and the network alone determines the output. The loss and the
//! samplers are unchanged, and a channel without a linear-Gaussian form gets no update.
//!
//! In a basis U of images where the channel is diagonal, as a blur is in that of cosines, x has a spectrum P (the power
//! of the first reconstructions) and every quantity is one number per coefficient: the estimate before the update is P /
//! (P + σ²) x_t + c_out F instead of c_skip x_t + c_out F, its variance is v = σ² P/(σ² + P), and K = v g /
//! (v g² + s²). With F = 0, this is the Wiener filter.

mod config;
mod gain;
mod matrix_free;
mod measurement;
mod remainder;
mod shared;
mod standardizer;
mod structure;
mod whitened;

pub use config::{ConditioningConfig, Features};
pub(crate) use gain::gain;
pub(crate) use matrix_free::MatrixFree;
pub use measurement::{MAX_DENSE, Measurement, OperatorStructure};
pub(crate) use remainder::remainder;
pub use standardizer::{Standardize, Standardizer};
pub(crate) use structure::operator_structure;
pub use structure::{feature_len, structure_for};
pub(crate) use whitened::OnHost;
pub use whitened::{LinearBatch, Whitened};

use crate::basis::{Basis, DeviceBasis};
use crate::channel::{Channel, LinearChannel, SpectralChannel, narrow, wide};
use crate::image::ImageShape;
use crate::samples::Samples;
use crate::scratch::with_scratch;
use burn::tensor::Device;
use measurement::{MIN_STD, Parts};
use shared::Factors;
use structure::{geometric, shows_solution, spectral};

/// A channel together with how its observations enter the denoiser.
#[derive(Clone, Copy)]
pub struct Conditioning<'a> {
    /// The channel.
    pub channel: &'a dyn Channel,
    /// Settings.
    pub config: &'a ConditioningConfig,
    /// Coordinates of the signal, in which A and y become A L and y - A μ.
    pub standardizer: &'a Standardizer,
}

impl<'a> Conditioning<'a> {
    /// Operator structure of the linear-Gaussian form of an observation.
    fn operator_structure(&self) -> OperatorStructure {
        operator_structure(self.channel, self.standardizer)
    }

    /// Spectrum of x̃, if measurements are spectral.
    pub fn power(&self) -> Option<&'a [f64]> {
        self.standardizer.power.as_deref().filter(|_| self.operator_structure() == OperatorStructure::Spectral)
    }

    /// The basis of the measurements, if they are spectral.
    pub fn basis(&self) -> Option<&'a Basis> {
        let spectral = spectral(self.channel).filter(|_| self.operator_structure() == OperatorStructure::Spectral);
        spectral.map(SpectralChannel::basis)
    }

    /// The basis of the measurements on `device`: one of images, or of the directions that all observations see.
    pub(crate) fn basis_on(&self, device: &Device) -> Option<DeviceBasis> {
        let images = self.basis().map(|basis| basis.on(device));
        images.or_else(|| Some(self.factors()?.on(device)))
    }

    /// The operator that all observations share, if measurements are given along its singular vectors.
    fn factors(&self) -> Option<&'a Factors> {
        let shared = self.operator_structure() == OperatorStructure::Shared;
        self.standardizer.factors(self.channel).filter(|_| shared)
    }

    /// Number of coefficients of a signal that are updated.
    pub(crate) fn coefficients(&self) -> usize {
        self.factors().map_or(self.channel.signal_len(), Factors::len)
    }

    /// Smallest and largest value of each of the standardizer's coordinates, if signals have a
    /// range: `[d]` each.
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

    /// Writes the features of (y, a) into `features` and returns the measurement for updates, or `None` if
    /// there is no update.
    pub fn condition(&self, y: &[f32], a: &[f32], features: &mut [f32]) -> Option<Measurement> {
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
            Some(measurement) if shows_solution(self.channel, self.config) => {
                let (solution, operator) = features.split_at_mut(self.channel.signal_len());
                self.channel.write_operator(a, operator);
                self.write_solution(measurement, solution);
            }
            _ => self.channel.condition(y, a, features),
        }
        measurement.filter(|_| self.config.measurement_update)
    }

    /// Writes the update of the estimate 0 by `measurement` into `out [d]`.
    fn write_solution(&self, measurement: &Measurement, out: &mut [f32]) {
        if let Some(factors) = self.factors() {
            let (mut ka, mut ky) = (vec![0.0; factors.len()], vec![0.0; factors.len()]);
            measurement.update(1.0, &mut ka, &mut ky);
            return factors.write_image(&ky, out);
        }
        match self.matrix_free(std::slice::from_ref(measurement)) {
            Some(free) => out.copy_from_slice(free.update(&Samples::zeros(1, out.len()), |_| 1.0).as_slice()),
            None => measurement.write_solution(self.basis(), self.power(), out),
        }
    }

    /// The linear-Gaussian form of (y, a), if the channel has one.
    pub(crate) fn measurement(&self, y: &[f32], a: &[f32]) -> Option<Measurement> {
        self.measurement_of(y, a, None)
    }

    /// [`Conditioning::measurement`] of an operator that sees a mirrored image of shape `mirrored` as `a` sees
    /// the image itself.
    fn measurement_of(&self, y: &[f32], a: &[f32], mirrored: Option<ImageShape>) -> Option<Measurement> {
        let (linear, structure) = (self.channel.as_linear()?, self.operator_structure());
        if structure == OperatorStructure::Spectral {
            return self.spectral(linear.as_spectral()?, y, a, mirrored.is_some());
        }
        if structure == OperatorStructure::None {
            return None;
        }
        if structure == OperatorStructure::MatrixFree {
            return Some(self.unsolved(linear, y, a));
        }
        if let Some(factors) = self.factors() {
            return Some(factors.measurement(y));
        }
        let d = self.channel.signal_len();
        let mut measurement = Measurement::zeros(structure, y.len(), d);
        let Parts { matrix, noise, y: seen } = measurement.parts();
        seen.iter_mut().zip(y).for_each(|(seen, &v)| *seen = v as f64);
        let (mean, floor) = (&self.standardizer.mean, MIN_STD * MIN_STD);
        if structure == OperatorStructure::Diagonal {
            linear.write_diagonal(a, matrix, noise);
            if let Some(shape) = mirrored {
                [&mut *matrix, &mut *noise, &mut *seen].into_iter().for_each(|part| shape.mirror(part));
            }
            seen.iter_mut().zip(&*matrix).zip(mean).for_each(|((y, a), mean)| *y -= a * mean);
            noise.iter_mut().for_each(|v| *v += floor);
        } else {
            linear.write_matrix(a, matrix);
            if let Some(shape) = mirrored {
                shape.mirror(matrix);
            }
            let shift = |row: &[f64]| row.iter().zip(mean).map(|(a, mean)| a * mean).sum::<f64>();
            seen.iter_mut().zip(matrix.chunks_exact(d)).for_each(|(y, row)| *y -= shift(row));
            linear.write_noise(a, noise);
            noise.iter_mut().step_by(y.len() + 1).for_each(|v| *v += floor);
            measurement.drop_silent_rows(d);
        }
        self.standardizer.compose(measurement.parts().matrix, structure == OperatorStructure::Diagonal);
        Some(measurement)
    }

    /// The measurement of a channel without a matrix, which is not mirrored: see [`MatrixFree::measured`].
    pub(crate) fn unsolved(&self, linear: &dyn LinearChannel, y: &[f32], a: &[f32]) -> Measurement {
        let mean = narrow(&self.standardizer.mean);
        let mut seen = vec![0.0f32; y.len()];
        linear.apply(a, &mean, &mut seen);
        let residual = wide(y).iter().zip(wide(&seen)).map(|(y, seen)| y - seen).collect();
        Measurement::matrix_free(a.to_vec(), residual)
    }

    /// True where observations differ in what they measure, so that [`Conditioning::write_measured`] can tell
    /// measured directions from imputed ones. Where what is measured depends on the signal, measured values are a biased
    /// choice, and do not count more.
    pub(crate) fn tells_measured(&self) -> bool {
        let (structure, channel) = (self.operator_structure(), self.channel);
        channel.operator_len() > 0 && !channel.sees_signal() && structure != OperatorStructure::None
    }

    /// The updates of `measurements` by conjugate gradient; `None` for those that have a matrix, and for none at all.
    pub(crate) fn matrix_free<'b>(&self, measurements: &'b [Measurement]) -> Option<MatrixFree<'b>>
    where
        'a: 'b,
    {
        let free = measurements.first()?.structure() == OperatorStructure::MatrixFree;
        let linear = self.channel.as_linear().filter(|_| free)?;
        Some(MatrixFree { measurements, linear, standardizer: self.standardizer, solver: self.config.solver })
    }

    /// True where updates take conjugate gradient.
    pub(crate) fn is_matrix_free(&self) -> bool {
        self.operator_structure() == OperatorStructure::MatrixFree
    }

    /// Number of values of K A, by the operator structure.
    pub(crate) fn update_len(&self) -> usize {
        let d = self.coefficients();
        if self.operator_structure() == OperatorStructure::Dense { d * d } else { d }
    }

    /// Writes which directions of the signal an observation with the operator `a` measures: K A of an
    /// estimate whose variance is `v`, as a diagonal `[d]` or a matrix `[d * d]`. For masks it is the mask,
    /// otherwise the projector onto the rows of A, both up to the noise. `mirrored` is the shape of the images
    /// if the signal is a mirrored one.
    pub(crate) fn write_measured(&self, a: &[f32], v: f64, mirrored: Option<ImageShape>, out: &mut [f32]) {
        let measurement = with_scratch(self.channel.observation_len(), |y| self.measurement_of(y, a, mirrored));
        if let Some(measurement) = measurement {
            with_scratch(self.channel.signal_len(), |ky| measurement.update(v, out, ky));
        }
    }

    /// The measurement in the basis U of `channel`: the coefficients of y - A μ, the factors of those of x̃, and
    /// their noise.
    fn spectral(&self, channel: &dyn SpectralChannel, y: &[f32], a: &[f32], mirrored: bool) -> Option<Measurement> {
        let scale = self.standardizer.uniform()?;
        let (basis, d) = (channel.basis(), channel.signal_len());
        let mean = basis.forward(&self.standardizer.mean);
        let mut measurement = Measurement::zeros(OperatorStructure::Spectral, d, d);
        let Parts { matrix, noise, y: seen } = measurement.parts();
        channel.write_spectrum(a, matrix, noise);
        channel.write_coefficients(a, y, seen);
        if mirrored {
            [&mut *matrix, &mut *noise].into_iter().for_each(|part| basis.mirror(part));
        }
        for (j, (gain, variance)) in matrix.iter_mut().zip(noise).enumerate() {
            seen[j] -= *gain * mean[j];
            *gain *= scale;
            *variance += MIN_STD * MIN_STD;
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

    /// Checks that the update of an estimate with variance v equals the exact Gaussian posterior mean.
    fn agrees(stages: Vec<StageConfig>, structure: OperatorStructure) {
        let (d, v) = (4, 0.7f64);
        let channel = ChannelConfig(stages).build(d).unwrap();
        let standardizer = Standardizer::identity(d);
        let conditioning =
            Conditioning { channel: &channel, config: &ConditioningConfig::default(), standardizer: &standardizer };
        assert_eq!(conditioning.operator_structure(), structure);
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
        agrees(
            vec![ProjectionConfig { rows: 2 }.into(), NoiseConfig { std: 0.1.into() }.into()],
            OperatorStructure::Dense,
        );
        agrees(
            vec![NoiseConfig { std: 0.2.into() }.into(), ProjectionConfig { rows: 3 }.into()],
            OperatorStructure::Dense,
        );
        agrees(
            vec![MaskConfig { rate: 0.5 }.into(), NoiseConfig { std: 0.1.into() }.into()],
            OperatorStructure::Diagonal,
        );
        agrees(
            vec![NoiseConfig { std: 0.1.into() }.into(), MaskConfig { rate: 0.5 }.into()],
            OperatorStructure::Diagonal,
        );
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
