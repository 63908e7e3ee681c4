//! The operator of a channel without parameters, factored once for all observations. With Σ_y + δ I = C Cᵀ,
//!
//! ```text
//! C⁻¹ A L = W diag(s) Vᵀ,   u = Wᵀ C⁻¹ (y - A μ) = s Vᵀ x̃ + n,   n ~ N(0, I)
//! ```
//!
//! so that a measurement and its update are one number per direction of V, whatever the noise level.

use super::measurement::{MAX_DENSE, MIN_STD, Measurement, OperatorStructure, Parts};
use crate::basis::{DeviceBasis, DeviceDirections};
use crate::channel::{Channel, LinearChannel, wide};
use crate::parallel;
use crate::transfer::{Kept, to_device};
use burn::tensor::Device;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use std::sync::{Arc, OnceLock};

/// Maximum length of an observation; the eigenvectors of a matrix of this size take a few seconds, once.
const MAX_OBSERVATION: usize = 1024;
/// Maximum number of values of A.
const MAX_VALUES: usize = 1 << 23;
/// Squared singular value, relative to the largest, up to which a direction counts as unseen: the rounding of A Aᵀ.
const UNSEEN: f64 = 1e-9;

/// True where one matrix serves all observations of `channel`, and conjugate gradient would have to otherwise.
pub(super) fn applies(channel: &dyn Channel) -> bool {
    let (d, m) = (channel.signal_len(), channel.observation_len());
    let free = |linear: &dyn LinearChannel| !linear.is_diagonal() && linear.as_spectral().is_none();
    let sized = d > MAX_DENSE && m <= MAX_OBSERVATION && m.saturating_mul(d) <= MAX_VALUES;
    sized && channel.operator_len() == 0 && channel.as_linear().is_some_and(free)
}

/// Place of the factors of a channel beside the coordinates that they belong to; clones share it.
#[derive(Clone, Default)]
pub(super) struct Place(Arc<OnceLock<Owned>>);

/// A channel, which stays alive so that its address is its own, and its factors once they were asked for.
struct Owned {
    channel: Arc<dyn Channel>,
    factors: OnceLock<Factors>,
}

impl Place {
    /// The place of `channel`: this one, unless another channel has it.
    pub fn of(self, channel: &Arc<dyn Channel>) -> Self {
        let owned = || Owned { channel: channel.clone(), factors: OnceLock::new() };
        self.0.get_or_init(owned);
        if self.is_of(channel.as_ref()) { self } else { Self(Arc::new(OnceLock::from(owned()))) }
    }

    pub fn is_of(&self, channel: &dyn Channel) -> bool {
        self.0.get().is_some_and(|owned| std::ptr::addr_eq(Arc::as_ptr(&owned.channel), channel))
    }

    /// The factors of `channel` in the coordinates x = μ + L x̃, where this is its place.
    pub fn factors(&self, channel: &dyn Channel, mean: &[f64], root: &[f64]) -> Option<&Factors> {
        let owned = self.0.get().filter(|_| self.is_of(channel))?;
        let linear = channel.as_linear()?;
        Some(owned.factors.get_or_init(|| Factors::of(linear, mean, root)))
    }
}

/// What is kept is no part of a value.
impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

/// The factors, with k directions.
pub(super) struct Factors {
    /// s, `[k]`.
    singular: Vec<f64>,
    /// Vᵀ, `[k, d]` row by row.
    directions: Vec<f32>,
    /// Wᵀ C⁻¹, `[k, m]`.
    reads: DMatrix<f64>,
    /// A μ, `[m]`.
    center: Vec<f64>,
    /// V and Vᵀ on the device that asked last.
    tensors: Kept<2>,
}

/// The matrix of `product`, which writes columns of length `rows`, for `columns` unit vectors; transposed.
fn transposed(columns: usize, rows: usize, product: impl Fn(&[f32], &mut [f32]) + Sync + Send) -> DMatrix<f64> {
    let lines = parallel::map(columns, |i| {
        let (mut unit, mut line) = (vec![0.0f32; columns], vec![0.0f32; rows]);
        unit[i] = 1.0;
        product(&unit, &mut line);
        line
    });
    DMatrix::from_row_iterator(columns, rows, lines.into_iter().flatten().map(f64::from))
}

impl Factors {
    fn of(linear: &dyn LinearChannel, mean: &[f64], root: &[f64]) -> Self {
        let (d, m) = (linear.signal_len(), linear.observation_len());
        let mut center = vec![0.0f32; m];
        linear.apply(&[], &mean.iter().map(|&v| v as f32).collect::<Vec<_>>(), &mut center);
        let mut a = transposed(m, d, |unit, row| linear.adjoint(&[], unit, row));
        a.column_iter_mut().zip(root).for_each(|(mut column, l)| column *= *l);
        let noise = transposed(m, m, |unit, row| linear.apply_noise(&[], unit, row));
        let c = Root::of(noise);
        let whitened = c.solve(a);
        let eigen = SymmetricEigen::new(&whitened * whitened.transpose());
        let least = eigen.eigenvalues.max() * UNSEEN;
        let seen: Vec<usize> = (0..m).filter(|&i| eigen.eigenvalues[i] > least).collect();
        let singular: Vec<f64> = seen.iter().map(|&i| eigen.eigenvalues[i].sqrt()).collect();
        let w = eigen.eigenvectors.select_columns(&seen);
        let mut directions = whitened.transpose() * &w;
        directions.column_iter_mut().zip(&singular).for_each(|(mut column, s)| column /= *s);
        Self {
            // Columns of V are rows of Vᵀ.
            directions: directions.iter().map(|&v| v as f32).collect(),
            reads: c.solve_transposed(w).transpose(),
            center: wide(&center),
            singular,
            tensors: Kept::default(),
        }
    }

    /// Number k of directions.
    pub fn len(&self) -> usize {
        self.singular.len()
    }

    /// The measurement of the observation `y [m]`: u, s and unit noise.
    pub fn measurement(&self, y: &[f32]) -> Measurement {
        let k = self.len();
        let centered = y.iter().zip(&self.center).map(|(&y, center)| f64::from(y) - center);
        let u = &self.reads * DVector::from_iterator(y.len(), centered);
        let mut measurement = Measurement::zeros(OperatorStructure::Shared, k, k);
        let Parts { matrix, noise, y } = measurement.parts();
        matrix.copy_from_slice(&self.singular);
        noise.fill(1.0);
        y.copy_from_slice(u.as_slice());
        measurement
    }

    /// Writes V c into `out [d]`.
    pub fn write_image(&self, c: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        for (c, direction) in c.iter().zip(self.directions.chunks_exact(out.len())) {
            out.iter_mut().zip(direction).for_each(|(out, v)| *out += c * v);
        }
    }

    /// V as a basis of what is seen, on `device`.
    pub fn on(&self, device: &Device) -> DeviceBasis {
        let [down, up] = self.tensors.on(device, |device| {
            let (k, d) = (self.len(), self.directions.len() / self.len().max(1));
            let down = (0..d).flat_map(|j| self.directions.iter().skip(j).step_by(d).copied()).collect();
            [to_device(down, [d, k], device), to_device(self.directions.clone(), [k, d], device)]
        });
        DeviceBasis::Directions(Box::new(DeviceDirections { down, up }))
    }
}

/// C of a covariance C Cᵀ.
enum Root {
    /// C is diagonal.
    Diagonal(DVector<f64>),
    /// C = U diag(c).
    Full(DMatrix<f64>, DVector<f64>),
}

impl Root {
    /// C of `covariance` + δ I.
    fn of(covariance: DMatrix<f64>) -> Self {
        let floor = MIN_STD * MIN_STD;
        let alone = |i: usize| covariance.column(i).iter().enumerate().all(|(j, v)| i == j || *v == 0.0);
        if (0..covariance.nrows()).all(alone) {
            return Self::Diagonal(covariance.diagonal().map(|v| (v + floor).sqrt()));
        }
        let eigen = SymmetricEigen::new((&covariance + covariance.transpose()) * 0.5);
        // Rounding leaves eigenvalues below 0.
        Self::Full(eigen.eigenvectors, eigen.eigenvalues.map(|v| (v.max(0.0) + floor).sqrt()))
    }

    /// C⁻¹ x.
    fn solve(&self, x: DMatrix<f64>) -> DMatrix<f64> {
        match self {
            Self::Diagonal(c) => divided(x, c),
            Self::Full(u, c) => divided(u.transpose() * x, c),
        }
    }

    /// C⁻ᵀ x.
    fn solve_transposed(&self, x: DMatrix<f64>) -> DMatrix<f64> {
        match self {
            Self::Diagonal(c) => divided(x, c),
            Self::Full(u, c) => u * divided(x, c),
        }
    }
}

/// Every row of `x` divided by its value of `c`.
fn divided(mut x: DMatrix<f64>, c: &DVector<f64>) -> DMatrix<f64> {
    x.row_iter_mut().zip(c).for_each(|(mut row, c)| row /= *c);
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{
        BlurConfig, ChannelConfig, DownsampleConfig, LinearConfig, NoiseConfig, RadonConfig, StageConfig,
    };
    use crate::conditioning::{Conditioning, ConditioningConfig, Standardizer, gain, remainder};
    use crate::denoiser::{to_samples, to_tensor};
    use crate::gaussian::Gaussian;
    use crate::image::ImageShape;
    use crate::noise::{Key, Purpose};
    use crate::schedule::Schedule;
    use crate::{Observations, Samples};

    /// Just above the limit of matrices.
    const SHAPE: ImageShape = ImageShape { channels: 1, height: 16, width: 18 };
    const D: usize = 288;

    fn normal(n: usize) -> Samples {
        let mut x = Samples::zeros(n, D);
        Key::new(5, Purpose::Truth, 0).stream(0, 0).fill_normal(x.as_mut_slice());
        x
    }

    fn chains() -> Vec<Arc<dyn Channel>> {
        let noise = |std| StageConfig::from(NoiseConfig { std: f64::into(std) });
        let matrix = (0..9).map(|i| (0..D).map(|j| ((i * 5 + j * 3) % 7) as f32 / 20.0 - 0.15).collect()).collect();
        let chains = [
            vec![DownsampleConfig { factor: 2 }.into(), noise(0.2)],
            vec![RadonConfig { angles: 6, random_start: false }.into(), noise(0.05)],
            // The noise of its values is correlated.
            vec![noise(0.1), BlurConfig { sigma: 0.8 }.into(), DownsampleConfig { factor: 2 }.into(), noise(0.1)],
            vec![LinearConfig { matrix }.into(), noise(0.1)],
        ];
        chains.into_iter().map(|c| Arc::new(ChannelConfig(c).build_image(SHAPE).unwrap()) as Arc<dyn Channel>).collect()
    }

    /// Calls `check` for every chain with its conditioning, `n` observations of one signal and their measurements.
    fn each(n: usize, check: impl Fn(&dyn Channel, Conditioning<'_>, &Observations, &[Measurement])) {
        let root = (0..D).map(|j| 0.7 + (j % 5) as f64 / 10.0).collect();
        // One place for all, which the first channel takes.
        let given = Standardizer::new((0..D).map(|j| (j % 3) as f64 / 10.0).collect(), root).unwrap();
        let config = ConditioningConfig::default();
        for channel in chains() {
            let standardizer = given.clone().of_channel(&channel);
            let channel = channel.as_ref();
            let x = Samples::new(normal(1).as_slice().repeat(n), D);
            let seen = Observations::simulate(channel, &x, Key::new(2, Purpose::Observe, 0), 0);
            let conditioning = Conditioning { channel, config: &config, standardizer: &standardizer };
            let measure = |i| conditioning.measurement(seen.y.row(i), &[]).unwrap();
            let measurements: Vec<Measurement> = (0..n).map(measure).collect();
            assert!(measurements.iter().all(|m| m.structure() == OperatorStructure::Shared));
            check(channel, conditioning, &seen, &measurements);
        }
    }

    #[test]
    fn updates_and_features_are_exact_posterior_means() {
        let (n, device, schedule) = (9, Device::flex(), Schedule::default());
        each(n, |channel, conditioning, seen, measurements| {
            let standardizer = conditioning.standardizer;
            // The mean of N(start, v L Lᵀ) given observation 8, in the standardizer's coordinates.
            let exact = |start: &[f32], v: f64| -> Vec<f64> {
                let start = standardizer.restore(&Samples::new(start.to_vec(), D)).as_slice().to_vec();
                let variance = DVector::from_iterator(D, standardizer.root.iter().map(|l| v * l * l));
                let law = Gaussian::new(DVector::from_vec(wide(&start)), DMatrix::from_diagonal(&variance)).unwrap();
                let mean = law.posterior_of(channel, seen, 8).unwrap().mean;
                (0..D).map(|j| (mean[j] - standardizer.mean[j]) / standardizer.root[j]).collect()
            };
            let near = |found: &[f32], exact: &[f64]| {
                let most = exact.iter().fold(0.0f64, |most, v| most.max(v.abs()));
                let worst = found.iter().zip(exact).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
                assert!(worst < 1e-5 * most, "{worst} of {most}");
            };
            let estimate = normal(n);
            for sigma in [80.0, 1.0, 0.1, 1e-3] {
                let gain = gain(measurements, |_| sigma, &schedule, conditioning, &device).unwrap();
                let x = to_tensor(&estimate, &device);
                let found = to_samples(gain.apply(x.clone(), x)).unwrap();
                near(found.row(8), &exact(estimate.row(8), schedule.posterior_variance(sigma)));
            }
            let mut features = vec![0.0; conditioning.feature_len()];
            conditioning.condition(seen.y.row(8), &[], &mut features);
            near(&features[..D], &exact(&[0.0; D], 1.0));
        });
    }

    /// P e has the covariance P V P, V = v (I - K A).
    #[test]
    fn the_remainder_has_the_covariance_that_is_left() {
        let (n, device, schedule, sigma) = (1000, Device::flex(), Schedule::default(), 0.2);
        each(n, |channel, conditioning, _, measurements| {
            let model = channel.linear_gaussian(&[]).unwrap();
            let a = &model.matrix * DMatrix::from_diagonal(&DVector::from_vec(conditioning.standardizer.root.clone()));
            let measured = |v: f64| {
                let evidence = &a * a.transpose() * v + &model.covariance;
                a.transpose() * evidence.try_inverse().unwrap() * &a * v
            };
            let (p, v) = (measured(1.0), schedule.posterior_variance(sigma));
            let exact = &p * (DMatrix::identity(D, D) - measured(v)) * &p * v;
            let key = Key::new(3, Purpose::Sample, 0);
            let stream = |i: usize| key.stream(i, 0);
            let found = remainder(measurements, sigma, &schedule, conditioning, &device, &stream).unwrap();
            let found = to_samples(found).unwrap();
            let total = found.as_slice().iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / n as f64;
            let error = (2.0 * (&exact * &exact).trace() / n as f64).sqrt();
            assert!((total - exact.trace()).abs() < 4.0 * error, "{total} {}: {error}", exact.trace());
            for (i, j) in (0..D).step_by(7).flat_map(|i| (0..=i).step_by(5).map(move |j| (i, j))) {
                let product = found.rows().map(|row| f64::from(row[i]) * f64::from(row[j])).sum::<f64>() / n as f64;
                let error = ((exact[(i, i)] * exact[(j, j)] + exact[(i, j)].powi(2)) / n as f64).sqrt();
                // Five standard errors: 1200 products of four channels are looked at.
                assert!((product - exact[(i, j)]).abs() < 5.0 * error + 1e-9, "{i} {j}: {product} {}", exact[(i, j)]);
            }
        });
    }
}
