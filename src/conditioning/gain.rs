//! The measurement update of a batch, from the measurements of its rows.

use super::{Conditioning, Measurement, OperatorStructure};
use crate::denoiser::{Gain, to_tensor};
use crate::samples::Samples;
use crate::schedule::Schedule;
use burn::tensor::Device;

/// Gain of `measurements`, with noise level `sigma(i)` for row i; `None` without measurements.
pub(crate) fn gain(
    measurements: &[Measurement],
    sigma: impl Fn(usize) -> f64,
    schedule: &Schedule,
    conditioning: Conditioning<'_>,
    device: &Device,
) -> Option<Gain> {
    let (n, d) = (measurements.len(), conditioning.coefficients());
    // Updates without a matrix are made on the host, after the network.
    measurements.first().filter(|m| m.structure() != OperatorStructure::MatrixFree)?;
    let power = conditioning.power();
    let (mut ka, mut ky) = (Samples::zeros(n, conditioning.update_len()), Samples::zeros(n, d));
    let mut skip = power.map(|_| Samples::zeros(n, d));
    for (i, measurement) in measurements.iter().enumerate() {
        let (ka, ky, s) = (ka.row_mut(i), ky.row_mut(i), sigma(i));
        let (Some(power), Some(skip)) = (power, &mut skip) else {
            measurement.update(schedule.posterior_variance(s), ka, ky);
            continue;
        };
        // For a signal with this spectrum: its variance given x_t, and the weight of x_t beyond c_skip.
        let variance = variances(power, s);
        measurement.update_each(&variance, ka, ky);
        let plain = schedule.sigma_data.powi(2) / (schedule.sigma_data.powi(2) + s * s);
        skip.row_mut(i).iter_mut().zip(power).for_each(|(out, p)| *out = (p / (p + s * s) - plain) as f32);
    }
    let basis = conditioning.basis_on(device);
    let skip = skip.map(|skip| to_tensor(&skip, device));
    Some(Gain { ka: to_tensor(&ka, device), ky: to_tensor(&ky, device), basis, skip })
}

/// Variance of each coordinate given x_t at noise level `sigma`, where its variance before that is `prior`.
pub(super) fn variances(prior: &[f64], sigma: f64) -> Vec<f64> {
    prior.iter().map(|p| p * sigma * sigma / (p + sigma * sigma)).collect()
}
