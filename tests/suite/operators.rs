//! Channels that are diagonal in a basis of images, with an operator per observation: their coefficients against their
//! matrices, and the Gaussian start, the measurement update, the last draw and whole E-steps against the exact posterior
//! of a Gaussian.

use burn::tensor::Device;
use diffem::channel::{
    Border, Channel, ChannelConfig, Compose, FourierMaskConfig, KernelConfig, NoiseConfig, NoiseLevelConfig, Pattern,
    RadonConfig, SpectralChannel, Spectrum, StageConfig,
};
use diffem::conditioning::{Conditioning, ConditioningConfig, OperatorStructure, Standardizer, feature_len};
use diffem::em::EStep;
use diffem::gaussian::{Gaussian, SpectralGaussian};
use diffem::image::ImageShape;
use diffem::method::Method;
use diffem::metric::MeasurementFit;
use diffem::network::{MlpConfig, flatten, from_host, unflatten};
use diffem::noise::{Key, Purpose};
use diffem::posterior::{Model, Posterior};
use diffem::sampler::{HeunConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{Observations, Samples};
use nalgebra::{DMatrix, DVector};
use serde::Deserialize;
use std::sync::Arc;

const SHAPE: ImageShape = ImageShape { channels: 2, height: 5, width: 6 };
const D: usize = 60;
const STD: f64 = 0.2;

fn noise(std: f64) -> StageConfig {
    NoiseConfig { std: std.into() }.into()
}

fn frequencies(pattern: Pattern, complex: bool) -> StageConfig {
    FourierMaskConfig { acceleration: 2.0, center: 0.2, pattern, complex }.into()
}

fn kernels() -> StageConfig {
    KernelConfig { weights: None, sigma: Some([0.4, 1.2]), size: 3, border: Border::Periodic }.into()
}

/// Chains that are diagonal in waves.
fn chains() -> Vec<Vec<StageConfig>> {
    let shared = KernelConfig {
        weights: Some(vec![vec![0.1, 0.3, 0.0], vec![0.0, 0.4, 0.15], vec![0.0, 0.05, 0.0]]),
        sigma: None,
        size: 9,
        border: Border::Periodic,
    };
    vec![
        vec![frequencies(Pattern::Columns, false), noise(STD)],
        vec![frequencies(Pattern::Points, false), noise(STD)],
        vec![frequencies(Pattern::Columns, true), noise(STD)],
        vec![noise(0.1), frequencies(Pattern::Points, true), noise(STD)],
        vec![shared.into(), noise(STD)],
        vec![kernels(), noise(STD)],
        vec![noise(0.1), kernels(), noise(STD)],
        vec![kernels(), noise(0.1), frequencies(Pattern::Columns, false), noise(STD)],
        vec![kernels(), NoiseLevelConfig { min: 0.15, max: 0.3 }.into()],
    ]
}

fn build(stages: &[StageConfig]) -> Compose {
    ChannelConfig(stages.to_vec()).build_image(SHAPE).unwrap()
}

fn spectral(channel: &Compose) -> &dyn SpectralChannel {
    channel.as_linear().unwrap().as_spectral().expect("diagonal in a basis of images")
}

fn normal(n: usize, index: usize) -> Samples {
    let mut x = Samples::zeros(n, D);
    Key::new(5, Purpose::Truth, index).stream(0, 0).fill_normal(x.as_mut_slice());
    x
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn simulated(channel: &Compose, n: usize) -> (Samples, Observations) {
    let x = normal(n, 1);
    let seen = Observations::simulate(channel, &x, Key::new(2, Purpose::Observe, 0), 0);
    (x, seen)
}

/// A spectrum P that falls, the same for a frequency and its opposite.
fn power(channel: &Compose) -> Vec<f64> {
    spectral(channel).basis().laplacian().iter().map(|l| 3.0 / (0.5 + l)).collect()
}

/// N(0, diag P).
fn first(channel: &Compose) -> SpectralGaussian {
    SpectralGaussian::centered(spectral(channel).basis().clone(), power(channel)).unwrap()
}

/// The distribution of x whose standardizer is [`standardizer`].
fn law(channel: &Compose) -> Gaussian {
    let covariance = Gaussian::stationary(&first(channel)).covariance * (1.7 * 1.7);
    Gaussian::new(DVector::from_element(D, 0.3), covariance).unwrap()
}

fn standardizer(channel: &Compose) -> Standardizer {
    Standardizer::new(vec![0.3; D], vec![1.7; D]).unwrap().with_power(Some(power(channel))).unwrap()
}

/// u = g U x + n, n ~ N(0, v): the mean from the matrix, the covariance of the noise from the covariance.
#[test]
fn coefficients_are_those_of_the_matrices() {
    for stages in chains() {
        let channel = build(&stages);
        let (_, seen) = simulated(&channel, 3);
        for i in 0..3 {
            let (a, x) = (seen.operator(i), normal(1, 7 + i));
            let spectrum = Spectrum::of(spectral(&channel), a);
            let model = channel.linear_gaussian(a).unwrap();
            let coefficients = |y: &DVector<f64>| {
                let (y, mut u) = (y.iter().map(|&v| v as f32).collect::<Vec<_>>(), vec![0.0; D]);
                spectral(&channel).write_coefficients(a, &y, &mut u);
                DVector::from_vec(u)
            };
            let mean = coefficients(&(&model.matrix * DVector::from_vec(wide(x.row(0)))));
            let expected = spectral(&channel).basis().forward(&wide(x.row(0)));
            for j in 0..D {
                // A small factor divides the rounding of a product of matrices.
                let worst = spectrum.gain[j].min(1.0) * (mean[j] - spectrum.gain[j] * expected[j]).abs();
                assert!(worst < 1e-5, "{stages:?} coefficient {j}: {worst}");
            }
            let columns: Vec<DVector<f64>> =
                model.covariance.column_iter().map(|column| coefficients(&column.into_owned())).collect();
            let half = DMatrix::from_columns(&columns).transpose();
            let rows: Vec<DVector<f64>> = half.column_iter().map(|column| coefficients(&column.into_owned())).collect();
            let covariance = DMatrix::from_columns(&rows);
            for (j, k) in (0..D).flat_map(|j| (0..D).map(move |k| (j, k))) {
                let seen = spectrum.gain[j] != 0.0 && j == k;
                let expected = if seen { spectrum.variance[j] } else { 0.0 };
                let small = (spectrum.gain[j] * spectrum.gain[k]).min(1.0);
                assert!(
                    small * (covariance[(j, k)] - expected).abs() < 1e-5,
                    "{stages:?} {j} {k}: {}",
                    covariance[(j, k)]
                );
            }
        }
    }
}

#[test]
fn the_update_of_a_gaussian_is_its_exact_posterior() {
    let config = ConditioningConfig::default();
    for stages in chains() {
        let channel = build(&stages);
        let (_, seen) = simulated(&channel, 3);
        let standardizer = standardizer(&channel);
        let conditioning = Conditioning { channel: &channel, config: &config, standardizer: &standardizer };
        for i in 0..3 {
            let mut features = vec![0.0; conditioning.feature_len()];
            let measurement = conditioning.condition(seen.y.row(i), seen.operator(i), &mut features).unwrap();
            assert_eq!(measurement.structure(), OperatorStructure::Spectral);
            let (mut ka, mut ky) = (vec![0.0; D], vec![0.0; D]);
            measurement.update_each(&power(&channel), &mut ka, &mut ky);
            let image = conditioning.basis().unwrap().inverse(&wide(&ky));
            let exact = law(&channel).posterior_of(&channel, &seen, i).unwrap().mean;
            for (j, (v, expected)) in image.iter().zip(&exact).enumerate() {
                let found = 0.3 + 1.7 * v;
                assert!((found - expected).abs() < 1e-4, "{stages:?} value {j}: {found} {expected}");
                // The network is shown the same image.
                assert!((f64::from(features[j]) - v).abs() < 1e-5);
            }
        }
    }
}

/// An iteration of EM for independent coefficients is one for full covariances where the prior has them.
#[test]
fn the_start_is_exact_em() {
    for stages in chains() {
        let channel = build(&stages);
        let (_, seen) = simulated(&channel, 40);
        let prior = first(&channel).fitted(&channel, &seen, 1).unwrap();
        let full = Gaussian::stationary(&first(&channel)).fitted(&channel, &seen, 1).unwrap();
        let basis = spectral(&channel).basis();
        let mean = basis.forward(full.mean.as_slice());
        for j in 0..D {
            let mut unit = vec![0.0; D];
            unit[j] = 1.0;
            let wave = DVector::from_vec(basis.inverse(&unit));
            let variance = (wave.transpose() * &full.covariance * &wave)[(0, 0)];
            assert!((prior.mean[j] - mean[j]).abs() < 1e-4, "{stages:?} {j}: {} {}", prior.mean[j], mean[j]);
            assert!(
                (prior.variance[j] / variance - 1.0).abs() < 1e-4,
                "{stages:?} {j}: {} {variance}",
                prior.variance[j]
            );
        }
        let means = prior.means(&channel, &seen).unwrap();
        let exact = Gaussian::stationary(&prior).posterior_of(&channel, &seen, 5).unwrap().mean;
        assert!(means.row(5).iter().zip(&exact).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-4), "{stages:?}");
    }
}

#[test]
fn the_truth_has_a_chi_square_of_one() {
    for stages in chains() {
        let channel = build(&stages);
        let (x, seen) = simulated(&channel, 400);
        let fit = MeasurementFit::of(&channel, &seen, &x).unwrap().unwrap();
        // Five standard errors.
        assert!((fit.chi2 - 1.0).abs() < 5.0 * (2.0 / fit.measurements as f64).sqrt(), "{stages:?}: {fit:?}");
        let zero = MeasurementFit::of(&channel, &seen, &Samples::zeros(400, D)).unwrap().unwrap();
        assert!(zero.chi2 > 2.0, "{stages:?}: {zero:?}");
    }
}

/// With exact scores, whole E-steps draw from the exact posterior: mean and variance of the draws of one observation.
#[test]
fn draws_follow_the_exact_posterior() {
    let (config, device, n) = (ConditioningConfig::default(), Device::flex(), 2000);
    for stages in chains() {
        let channel = Arc::new(build(&stages));
        let (_, seen) = simulated(&channel, 1);
        // A network that returns 0 is the exact denoiser of the standardizer's distribution.
        let features = feature_len(channel.as_ref(), &config);
        let network = MlpConfig { width: 8, depth: 1, embedding: 8 }.init(D, features, 0, &device);
        let zeros = from_host(vec![0.0; flatten(&network).dims()[0]], &device);
        let network = unflatten(network, &zeros);
        let model = Model {
            channel: channel.clone(),
            image: None,
            schedule: Schedule { sigma_min: 2e-3, sigma_max: 80.0, ..Default::default() },
            conditioning: config.clone(),
            method: Method::default(),
            network: MlpConfig::default(),
            sampler: HeunConfig { steps: 40, spacing: Spacing::Edm, churn: 0.0 }.into(),
            shard: 500,
        };
        let posterior = Posterior::new(model, network, standardizer(&channel), device.clone());
        let a = (channel.operator_len() > 0).then(|| Samples::new(seen.operator(0).repeat(n), channel.operator_len()));
        let repeated = Observations::new(channel.as_ref(), seen.y.select(&vec![0; n]), a).unwrap();
        let key = Key::new(3, Purpose::Sample, 1);
        let draws = EStep { posterior: &posterior, observations: &repeated, key }.all().unwrap();
        let exact = law(&channel).posterior_of(channel.as_ref(), &seen, 0).unwrap();
        for j in 0..D {
            let values = || draws.rows().map(|row| f64::from(row[j]));
            let mean = values().sum::<f64>() / n as f64;
            let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
            let expected = exact.covariance[(j, j)];
            // Four standard errors: sixty coordinates of eight channels are looked at. The sampler's own error is 1 %.
            let bound = 4.0 * (expected / n as f64).sqrt() + 1e-3;
            assert!((mean - exact.mean[j]).abs() < bound, "{stages:?} mean {j}: {mean} {}", exact.mean[j]);
            let bound = 4.0 * (2.0 / n as f64).sqrt() + 0.01;
            assert!((variance / expected - 1.0).abs() < bound, "{stages:?} variance {j}: {variance} {expected}");
        }
    }
}

/// The kernel is moved by its center, in the direction of a convolution, across periodic borders.
#[test]
fn a_kernel_convolves_with_periodic_borders() {
    let shape = ImageShape { channels: 1, height: 3, width: 4 };
    let weights = vec![vec![0.0, 0.0, 0.0], vec![0.0, 2.0, 1.0], vec![0.0, 0.5, 0.0]];
    let stage = KernelConfig { weights: Some(weights), sigma: None, size: 9, border: Border::Periodic }.into();
    let channel = ChannelConfig(vec![stage]).build_image(shape).unwrap();
    let (mut x, mut y) = (vec![0.0; 12], vec![0.0; 12]);
    x[2 * 4 + 3] = 1.0;
    channel.as_linear().unwrap().apply(&[], &x, &mut y);
    let mut expected = vec![0.0; 12];
    (expected[2 * 4 + 3], expected[2 * 4], expected[3]) = (2.0, 1.0, 0.5);
    assert_eq!(y, expected);
}

#[test]
fn masks_of_frequencies_keep_the_center_and_their_share() {
    let shape = ImageShape { channels: 1, height: 64, width: 64 };
    for pattern in [Pattern::Columns, Pattern::Points] {
        let stage = FourierMaskConfig { acceleration: 4.0, center: 0.08, pattern, complex: false }.into();
        let channel = ChannelConfig(vec![stage]).build_image(shape).unwrap();
        let x = Samples::zeros(400, shape.len());
        let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
        let masks = seen.a.as_ref().unwrap();
        let share = masks.as_slice().iter().map(|a| f64::from(*a)).sum::<f64>() / (400.0 * 4096.0);
        // 400 masks of 59 independent columns leave a standard error of .003.
        assert!((share - 0.25).abs() < 0.012, "{pattern:?}: {share}");
        assert!(masks.rows().all(|mask| mask[32 * 64 + 32] == 1.0));
        let columns = masks.rows().all(|mask| mask.chunks(64).all(|row| row == &mask[..64]));
        assert_eq!(columns, pattern == Pattern::Columns);
    }
}

#[test]
fn settings_outside_their_ranges_are_named() {
    let message = |stage: StageConfig| ChannelConfig(vec![stage]).build_image(SHAPE).err().unwrap().to_string();
    let mask = FourierMaskConfig { acceleration: 2.0, center: 0.2, pattern: Pattern::Columns, complex: false };
    let found = message(FourierMaskConfig { acceleration: 0.5, ..mask.clone() }.into());
    assert_eq!(found, "channel[0].acceleration: expected a number >= 1, found 0.5");
    let found = message(FourierMaskConfig { center: 0.6, ..mask }.into());
    assert_eq!(found, "channel[0].center: expected a number in [0, 0.5], found 0.6");
    let kernel = KernelConfig { weights: None, sigma: Some([0.5, 1.0]), size: 3, border: Border::Periodic };
    let found = message(KernelConfig { size: 4, ..kernel.clone() }.into());
    assert_eq!(found, "channel[0].size: expected a kernel with odd sides, at most the image's 5 x 6, found 4 x 4");
    let found = message(KernelConfig { sigma: Some([1.0, 0.5]), ..kernel.clone() }.into());
    assert!(found.starts_with("channel[0].sigma: expected [least, greatest]"), "{found}");
    let found = message(KernelConfig { sigma: None, ..kernel }.into());
    assert_eq!(found, "channel[0].weights: expected one of weights and sigma");
}

#[derive(Deserialize)]
struct Golden {
    grid: f32,
    radon: GoldenRadon,
    kernel: GoldenKernel,
    fourier: GoldenFourier,
}

#[derive(Deserialize)]
struct GoldenRadon {
    side: usize,
    angles: usize,
    x: Vec<i32>,
    y: Vec<f64>,
}

#[derive(Deserialize)]
struct GoldenKernel {
    kernel: Vec<Vec<i32>>,
    x: Vec<i32>,
    y: Vec<f64>,
    y_zero: Vec<f64>,
}

#[derive(Deserialize)]
struct GoldenFourier {
    x: Vec<i32>,
    y: Vec<f64>,
}

/// Largest difference between A x and golden values, which are multiplied by `scale`.
fn worst(stage: StageConfig, shape: ImageShape, a: &[f32], x: &[f32], expected: &[f64], scale: f64) -> f64 {
    let channel = ChannelConfig(vec![stage]).build_image(shape).unwrap();
    let mut y = vec![0.0; channel.observation_len()];
    channel.as_linear().unwrap().apply(a, x, &mut y);
    assert_eq!(y.len(), expected.len());
    y.iter().zip(expected).map(|(y, e)| (f64::from(*y) - e * scale).abs()).fold(0.0, f64::max)
}

/// The golden values come from tests/golden/operators.py.
#[test]
fn operators_are_those_of_scikit_image_scipy_and_numpy() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/operators.json")).unwrap();
    let values = |v: &[i32]| v.iter().map(|&v| v as f32 / golden.grid).collect::<Vec<_>>();
    let GoldenRadon { side, angles, x, y } = &golden.radon;
    let shape = ImageShape { channels: 1, height: *side, width: *side };
    let radon = RadonConfig { angles: *angles, random_start: false };
    let found = worst(radon.into(), shape, &[], &values(x), y, 1.0 / *side as f64);
    // The line integrals reach .4; f32 sums of 24 values.
    assert!(found < 1e-5, "radon: {found}");

    let GoldenKernel { kernel, x, y, y_zero } = &golden.kernel;
    let shape = ImageShape { channels: 1, height: 6, width: 9 };
    for (border, y) in [(Border::Periodic, y), (Border::Zero, y_zero)] {
        let weights = kernel.iter().map(|row| values(row)).collect();
        let stage = KernelConfig { weights: Some(weights), sigma: None, size: 9, border };
        let found = worst(stage.into(), shape, &[], &values(x), y, 1.0);
        assert!(found < 2e-6, "kernel, {border:?}: {found}");
    }

    let GoldenFourier { x, y } = &golden.fourier;
    let shape = ImageShape { channels: 2, height: 6, width: 9 };
    let all = FourierMaskConfig { acceleration: 1.0, center: 1.0, pattern: Pattern::Columns, complex: true };
    let found = worst(all.into(), shape, &[1.0; 54], &values(x), y, 1.0);
    assert!(found < 2e-6, "fourier: {found}");
}
