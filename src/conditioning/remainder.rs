//! What a sampler leaves out when it returns the mean at the last noise level.
//!
//! At σ_min the signal is still uncertain: Var[x | x_t, y] = V = (I - K A) v. Where nothing was measured, V is
//! about σ_min² and far below the spread of the posterior. Where the noise s of an observation is not far
//! above σ_min, V is most of the posterior's variance: draws without it keep the share s²/(s² + σ_min²). So a
//! draw is D + P V^½ ε, with P = K A at σ_d², the directions that were measured.

use super::gain::variances;
use super::{Conditioning, Measurement, OperatorStructure};
use crate::denoiser::{times, to_tensor};
use crate::noise::Stream;
use crate::samples::Samples;
use crate::schedule::Schedule;
use burn::tensor::{Device, Tensor};

/// Rounding of K A, which is given in 32 bits, with some margin.
const ROUNDING: f64 = 1e-6;

/// P e for e ~ N(0, V) of `measurements` at noise level `sigma`, `[n, d]`; `None` without measurements. The normal
/// numbers of row i come from `stream(i)`.
pub(crate) fn remainder(
    measurements: &[Measurement],
    sigma: f64,
    schedule: &Schedule,
    conditioning: Conditioning<'_>,
    device: &Device,
    stream: &(dyn Fn(usize) -> Stream + Sync),
) -> Option<Tensor<2>> {
    let (n, d) = (measurements.len(), conditioning.channel.signal_len());
    let structure = measurements.first()?.structure();
    if let Some(free) = conditioning.matrix_free(measurements) {
        let (variance, prior) = (schedule.posterior_variance(sigma), schedule.sigma_data.powi(2));
        return Some(to_tensor(&free.remainder(variance, prior, stream), device));
    }
    let dense = structure == OperatorStructure::Dense;
    let prior = match conditioning.power() {
        Some(power) => power.to_vec(),
        None => vec![schedule.sigma_data.powi(2); conditioning.coefficients()],
    };
    let variance = variances(&prior, sigma);
    let mut roots = Samples::zeros(n, conditioning.update_len());
    for (i, measurement) in measurements.iter().enumerate() {
        match dense {
            true => write_dense(measurement, [prior[0], variance[0]], d, roots.row_mut(i)),
            false => write_diagonal(measurement, [&prior, &variance], roots.row_mut(i)),
        }
    }
    let mut noise = Samples::zeros(n, d);
    (0..n).for_each(|i| stream(i).fill_normal(noise.row_mut(i)));
    let (roots, noise) = (to_tensor(&roots, device), to_tensor(&noise, device));
    Some(match conditioning.basis_on(device) {
        // Along orthonormal directions, normal numbers are normal.
        Some(basis) if structure == OperatorStructure::Shared => basis.inverse(times(&roots, basis.forward(noise))),
        Some(basis) => basis.inverse(times(&roots, noise)),
        None => times(&roots, noise),
    })
}

fn write_diagonal(measurement: &Measurement, [prior, variance]: [&[f64]; 2], root: &mut [f32]) {
    let mut shares = [vec![0.0; root.len()], vec![0.0; root.len()]];
    for (share, v) in shares.iter_mut().zip([prior, variance]) {
        measurement.update_each(v, share, &mut vec![0.0; root.len()]);
    }
    let [measured, gain] = shares;
    for (j, root) in root.iter_mut().enumerate() {
        let left = (1.0 - f64::from(gain[j])) * variance[j];
        *root = measured[j] * left.max(0.0).sqrt() as f32;
    }
}

/// P L with V = L Lᵀ, row by row.
fn write_dense(measurement: &Measurement, [prior, variance]: [f64; 2], d: usize, root: &mut [f32]) {
    let mut shares = [vec![0.0; d * d], vec![0.0; d * d]];
    for (share, v) in shares.iter_mut().zip([prior, variance]) {
        measurement.update(v, share, &mut vec![0.0; d]);
    }
    let [measured, gain] = shares;
    let identity = |place: usize| if place.is_multiple_of(d + 1) { 1.0 } else { 0.0 };
    let mut l: Vec<f64> = gain.iter().enumerate().map(|(p, g)| (identity(p) - f64::from(*g)) * variance).collect();
    cholesky(&mut l, d, ROUNDING * variance);
    for (i, row) in root.chunks_exact_mut(d).enumerate() {
        for (j, root) in row.iter_mut().enumerate() {
            *root = (j..d).map(|k| f64::from(measured[i * d + k]) * l[k * d + j]).sum::<f64>() as f32;
        }
    }
}

/// Replaces the lower triangle of the positive semidefinite `v [d, d]` by L with v = L Lᵀ. A pivot of at most
/// `least` counts as 0, since dividing by what rounding left would give any number.
fn cholesky(v: &mut [f64], d: usize, least: f64) {
    for i in 0..d {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| v[i * d + k] * v[j * d + k]).sum();
            let rest = v[i * d + j] - dot;
            v[i * d + j] = match (i == j, v[j * d + j]) {
                (true, _) => {
                    if rest > least {
                        rest.sqrt()
                    } else {
                        0.0
                    }
                }
                (false, 0.0) => 0.0,
                (false, pivot) => rest / pivot,
            };
        }
    }
}
