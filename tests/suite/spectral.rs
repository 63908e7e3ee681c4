//! Channels that are diagonal in the cosine basis: their spectrum against their matrices, the measurement update against the
//! dense formula, whole E-steps against the exact posterior, and deconvolution against scikit-image.

use burn::tensor::Device;
use diffem::baseline::{RichardsonLucy, Wiener};
use diffem::basis::Basis;
use diffem::channel::{
    BlurConfig, Channel, ChannelConfig, Compose, DownsampleConfig, MaskConfig, NoiseConfig, PixelMaskConfig,
    QuantizationConfig, SpectralChannel, Spectrum, StageConfig,
};
use diffem::checkpoint;
use diffem::conditioning::{Conditioning, ConditioningConfig, Features, OperatorStructure, feature_len};
use diffem::conditioning::{Standardize, Standardizer};
use diffem::denoiser::{Gain, Preconditioned, to_samples, to_tensor};
use diffem::em::{EStep, GaussianInit, InitialPrior};
use diffem::gaussian::{Gaussian, LinearGaussian, SpectralGaussian};
use diffem::image::ImageShape;
use diffem::method::Method;
use diffem::network::{Mlp, MlpConfig, flatten, from_host, unflatten};
use diffem::noise::{Key, Purpose};
use diffem::posterior::{Model, Posterior};
use diffem::sampler::{DdpmConfig, HeunConfig, SamplerConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{Observations, Samples};
use nalgebra::{DMatrix, DVector};
use serde::Deserialize;
use std::sync::Arc;

const SHAPE: ImageShape = ImageShape { channels: 2, height: 4, width: 6 };
const D: usize = 48;

fn build(stages: &[StageConfig]) -> Compose {
    ChannelConfig(stages.to_vec()).build_image(SHAPE).unwrap()
}

fn spectral(channel: &Compose) -> &dyn SpectralChannel {
    channel.as_linear().unwrap().as_spectral().expect("diagonal in a basis of images")
}

fn blur(sigma: f64) -> StageConfig {
    BlurConfig { sigma }.into()
}

fn noise(std: f64) -> StageConfig {
    NoiseConfig { std: std.into() }.into()
}

/// Coordinates given by an image's own scale and mean.
fn standardizer() -> Standardizer {
    Standardizer::new(vec![0.3; D], vec![1.7; D]).unwrap()
}

/// The same with a spectrum.
fn spectral_standardizer() -> Standardizer {
    let power = (0..D).map(|j| 4.0 / (1.0 + (j % 24) as f64).powi(2)).collect();
    standardizer().with_power(Some(power)).unwrap()
}

/// The distribution of x that such a standardizer assumes.
fn law(standardizer: &Standardizer, basis: &Basis) -> Gaussian {
    let unit = vec![1.0; D];
    let covariance = Gaussian::stationary(
        &SpectralGaussian::centered(basis.clone(), standardizer.power.clone().unwrap_or(unit)).unwrap(),
    )
    .covariance
        * (1.7 * 1.7);
    Gaussian::new(DVector::from_element(D, 0.3), covariance).unwrap()
}

fn column(values: impl IntoIterator<Item = f64>) -> DVector<f64> {
    DVector::from_vec(values.into_iter().collect())
}

fn normal(n: usize, index: usize) -> Samples {
    let mut x = Samples::zeros(n, D);
    Key::new(5, Purpose::Truth, index).stream(0, 0).fill_normal(x.as_mut_slice());
    x
}

/// A network that returns 0, for which the preconditioned denoiser is the exact one of N(0, σ_d² I).
fn zero(channel: &Compose, config: &ConditioningConfig, device: &Device) -> Mlp {
    let network = MlpConfig { width: 8, depth: 1, embedding: 8 }.init(D, feature_len(channel, config), 0, device);
    let weights = flatten(&network);
    let zeros = from_host(vec![0.0; weights.dims()[0]], device);
    unflatten(network, &zeros)
}

#[test]
fn the_spectrum_is_that_of_the_matrices() {
    for stages in [
        vec![blur(0.7)],
        vec![blur(1.5), noise(0.2)],
        vec![noise(0.2), blur(0.8)],
        vec![blur(0.8), noise(0.1), blur(3.0), noise(0.3)],
    ] {
        let channel = build(&stages);
        let (basis, spectrum) = (spectral(&channel).basis(), Spectrum::of(spectral(&channel), &[]));
        let model = channel.linear_gaussian(&[]).unwrap();
        let x: Vec<f64> = normal(1, 3).as_slice().iter().map(|&v| v as f64).collect();
        for (matrix, diagonal) in [(&model.matrix, &spectrum.gain), (&model.covariance, &spectrum.variance)] {
            let mut coefficients = basis.forward(&x);
            coefficients.iter_mut().zip(diagonal).for_each(|(c, g)| *c *= g);
            let found = column(basis.inverse(&coefficients));
            // The matrices are products of f32 kernels.
            assert!((matrix * column(x.clone()) - found).amax() < 1e-6, "{stages:?}");
        }
    }
}

#[test]
fn other_channels_have_no_spectrum() {
    for stages in [
        vec![noise(0.1)],
        vec![PixelMaskConfig { rate: 0.5, max_rate: None }.into(), blur(1.0)],
        vec![blur(1.0), DownsampleConfig { factor: 2 }.into()],
        vec![blur(1.0), MaskConfig { rate: 0.2 }.into()],
    ] {
        assert!(build(&stages).as_linear().unwrap().as_spectral().is_none(), "{stages:?}");
    }
    assert!(build(&[blur(1.0), QuantizationConfig { levels: 8 }.into()]).as_linear().is_none());
}

/// Distribution of x given x_t and y under the standardizer's prior, by the dense formula.
fn exact(channel: &Compose, standardizer: &Standardizer, x_t: &[f32], sigma: f64, y: &[f32]) -> Gaussian {
    let model = channel.linear_gaussian(&[]).unwrap();
    let prior = law(standardizer, spectral(channel).basis());
    // x_t = (x - μ) / s + σ z.
    let noisy =
        LinearGaussian { matrix: DMatrix::identity(D, D) / 1.7, covariance: DMatrix::identity(D, D) * (sigma * sigma) };
    let shifted: Vec<f64> = x_t.iter().map(|&v| v as f64 + 0.3 / 1.7).collect();
    let y: Vec<f64> = y.iter().map(|&v| v as f64).collect();
    prior.posterior(&noisy, &shifted).unwrap().posterior(&model, &y).unwrap()
}

/// The gain of one observation at noise level `sigma`, from the formulas.
fn gain(conditioning: Conditioning<'_>, y: &[f32], sigma: f64, features: &mut [f32], device: &Device) -> Gain {
    let measurement = conditioning.condition(y, &[], features).expect("an update");
    assert_eq!(measurement.structure(), OperatorStructure::Spectral);
    let (mut ka, mut ky, mut skip) = (Samples::zeros(1, D), Samples::zeros(1, D), Samples::zeros(1, D));
    let square = sigma * sigma;
    match conditioning.power() {
        None => measurement.update(square / (1.0 + square), ka.row_mut(0), ky.row_mut(0)),
        Some(power) => {
            let variance: Vec<f64> = power.iter().map(|p| p * square / (p + square)).collect();
            measurement.update_each(&variance, ka.row_mut(0), ky.row_mut(0));
            let weight = |p: &f64| (p / (p + square) - 1.0 / (1.0 + square)) as f32;
            skip.row_mut(0).iter_mut().zip(power).for_each(|(skip, p)| *skip = weight(p));
        }
    }
    let basis = conditioning.basis().map(|basis| basis.on(device));
    let [ka, ky, skip] = [&ka, &ky, &skip].map(|s| to_tensor(s, device));
    Gain { ka, ky, basis, skip: conditioning.power().map(|_| skip) }
}

#[test]
fn the_updated_denoiser_of_a_gaussian_is_its_exact_posterior() {
    let (device, schedule, config) = (Device::flex(), Schedule::default(), ConditioningConfig::default());
    for stages in [vec![blur(0.9), noise(0.1)], vec![noise(0.2), blur(0.6), noise(0.05)]] {
        let channel = build(&stages);
        let seen = Observations::simulate(&channel, &normal(1, 1), Key::new(2, Purpose::Observe, 0), 0);
        let network = zero(&channel, &config, &device);
        for (standardizer, sigma) in
            [standardizer(), spectral_standardizer()].iter().flat_map(|f| [0.02f64, 0.5, 30.0].map(|s| (f, s)))
        {
            let conditioning = Conditioning { channel: &channel, config: &config, standardizer };
            let mut x_t = normal(1, 2);
            x_t.as_mut_slice().iter_mut().for_each(|v| *v *= (1.0 + sigma * sigma).sqrt() as f32);
            let mut features = Samples::zeros(1, conditioning.feature_len());
            let gain = gain(conditioning, seen.y.row(0), sigma, features.row_mut(0), &device);
            let denoiser = Preconditioned { network: &network, schedule: &schedule };
            let [x, c] = [&x_t, &features].map(|s| to_tensor(s, &device));
            let found = standardizer.restore(&to_samples(denoiser.forward(x, &[sigma], c, Some(&gain))).unwrap());
            let expected = exact(&channel, standardizer, x_t.row(0), sigma, seen.y.row(0)).mean;
            for (j, (found, expected)) in found.row(0).iter().zip(&expected).enumerate() {
                assert!((*found as f64 - expected).abs() < 1e-5, "σ {sigma}, value {j}: {found} {expected}");
            }
        }
    }
}

#[test]
fn the_network_is_shown_the_regularized_inverse() {
    let channel = build(&[blur(0.9), noise(0.1)]);
    let (config, standardizers) = (ConditioningConfig::default(), [standardizer(), spectral_standardizer()]);
    let seen = Observations::simulate(&channel, &normal(1, 1), Key::new(2, Purpose::Observe, 0), 0);
    let mut features = vec![0.0; feature_len(&channel, &config)];
    assert_eq!(features.len(), D);
    for standardizer in &standardizers {
        let conditioning = Conditioning { channel: &channel, config: &config, standardizer };
        conditioning.condition(seen.y.row(0), &[], &mut features);
        // The posterior mean without x_t, in the standardizer's coordinates.
        let expected = exact(&channel, standardizer, &[0.0; D], 1e6, seen.y.row(0)).mean.map(|x| (x - 0.3) / 1.7);
        assert!(features.iter().zip(&expected).all(|(a, b)| (*a as f64 - b).abs() < 1e-5));
    }
    let conditioning = Conditioning { channel: &channel, config: &config, standardizer: &standardizers[0] };
    let plain = ConditioningConfig { features: Features::Observation, ..config.clone() };
    Conditioning { config: &plain, ..conditioning }.condition(seen.y.row(0), &[], &mut features);
    assert_eq!(features, seen.y.row(0));
}

#[test]
fn coordinates_of_their_own_scale_fall_back_to_the_dense_update() {
    let (channel, config) = (build(&[blur(0.9), noise(0.1)]), ConditioningConfig::default());
    let standardizer = Standardizer::of(&normal(50, 4), Standardize::Coordinates, false);
    let conditioning = Conditioning { channel: &channel, config: &config, standardizer: &standardizer };
    let mut features = vec![0.0; conditioning.feature_len()];
    let measurement = conditioning.condition(normal(1, 1).row(0), &[], &mut features).expect("an update");
    assert_eq!((measurement.structure(), conditioning.basis().is_none()), (OperatorStructure::Dense, true));
    // By default a blur uses a single scale and the spectrum, which a file preserves.
    let standardizer = config.standardizer(&channel, &normal(50, 4));
    assert!(standardizer.uniform().is_some());
    // By Parseval the variances have mean 1 per coordinate.
    let power = standardizer.power.as_ref().expect("a spectrum");
    assert!((power.iter().sum::<f64>() / D as f64 - 1.0).abs() < 1e-5);
    let bytes = checkpoint::encode_standardizer(&standardizer).unwrap();
    assert_eq!(checkpoint::decode_standardizer(&bytes, D).unwrap(), standardizer);
    assert!(standardizer.with_power(Some(vec![1.0; D - 1])).is_err());
}

/// In the start, the components that a blur hides keep the power of the smooth prior: the draws are not noise
/// there, and the means are at least as good as those of the prior itself.
#[test]
fn a_blurred_start_is_smooth_where_nothing_was_seen() {
    let shape = ImageShape { channels: 1, height: 16, width: 12 };
    let channel = ChannelConfig(vec![blur(2.0), noise(0.02)]).build_image(shape).unwrap();
    let basis = spectral(&channel).basis().clone();
    let variance =
        basis.laplacian().iter().map(|l| 0.05 * ((std::f64::consts::PI / 8.0).powi(2) + l).powf(-1.5)).collect();
    let law = Gaussian::stationary(&SpectralGaussian::centered(basis, variance).unwrap());
    let (root, key) = (law.root(), Key::new(1, Purpose::Truth, 0));
    let draw = |i| law.draw(&root, &mut key.stream(i, 0)).iter().map(|&v| v as f32).collect::<Vec<_>>();
    let x = Samples::new((0..600).flat_map(draw).collect(), shape.len());
    let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
    let prior = InitialPrior::fit(&channel, &seen, &GaussianInit { iterations: 4, ..Default::default() }, 0).unwrap();
    let error = |y: &Samples| -> f64 {
        x.as_slice().iter().zip(y.as_slice()).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
    };
    let means = prior.means(&channel, &seen).unwrap();
    let filter = Wiener::fitted(spectral(&channel), &seen.y).unwrap();
    assert!(error(&means) < 1.02 * error(&filter.restore(&seen.y)));
    let draws = prior.reconstruct(&channel, &seen, 0).unwrap();
    let last =
        |row: &[f32]| spectral(&channel).basis().forward(&row.iter().map(|&v| v as f64).collect::<Vec<_>>())[191];
    let power = |x: &Samples| x.rows().map(|row| last(row).powi(2)).sum::<f64>() / x.n() as f64;
    // The bound allows for the fitted τ, within 10 %, and for 600 draws.
    assert!((power(&draws) / power(&x) - 1.0).abs() < 0.4, "{} {}", power(&draws), power(&x));
}

fn posterior(
    (channel, network, sampler): (&Arc<Compose>, Mlp, SamplerConfig),
    schedule: Schedule,
    shard: usize,
) -> Posterior<MlpConfig> {
    let model = Model {
        channel: channel.clone(),
        image: None,
        schedule,
        conditioning: ConditioningConfig::default(),
        method: Method::default(),
        network: MlpConfig::default(),
        sampler,
        shard,
    };
    Posterior::new(model, network, spectral_standardizer(), Device::flex())
}

fn draws(posterior: &Posterior<MlpConfig>, observations: &Observations) -> Samples {
    EStep { posterior, observations, key: Key::new(3, Purpose::Sample, 1) }.all().unwrap()
}

/// With exact scores the sampler draws from the exact posterior.
#[test]
fn draws_follow_the_exact_posterior() {
    let (channel, config, device) = (build(&[blur(0.8), noise(0.3)]), ConditioningConfig::default(), Device::flex());
    let network = zero(&channel, &config, &device);
    let sampler = HeunConfig { steps: 40, spacing: Spacing::Edm, churn: 0.0 }.into();
    let schedule = Schedule { sigma_min: 2e-3, sigma_max: 80.0, ..Default::default() };
    let seen = Observations::simulate(&channel, &normal(1, 1), Key::new(2, Purpose::Observe, 0), 0);
    let n = 3000;
    let repeated = Observations::new(&channel, seen.y.select(&vec![0; n]), None).unwrap();
    let channel = Arc::new(channel);
    let draws = draws(&posterior((&channel, network, sampler), schedule, 500), &repeated);
    // At a very high noise level x_t carries no information.
    let exact = exact(&channel, &spectral_standardizer(), &[0.0; D], 1e6, seen.y.row(0));
    let mean = |j: usize| draws.rows().map(|row| row[j] as f64).sum::<f64>() / n as f64;
    let means: Vec<f64> = (0..D).map(mean).collect();
    for i in 0..D {
        let std = exact.covariance[(i, i)].sqrt();
        assert!((means[i] - exact.mean[i]).abs() < 5.0 * std / (n as f64).sqrt(), "mean {i}");
        for j in [i, (i + 1) % D] {
            let product = |row: &[f32]| (row[i] as f64 - means[i]) * (row[j] as f64 - means[j]);
            let covariance = draws.rows().map(product).sum::<f64>() / n as f64;
            // The bound is five standard errors plus the sampler's own error.
            let bound = 5.0 * 1.5 * std * std / (n as f64).sqrt() + 0.01;
            assert!((covariance - exact.covariance[(i, j)]).abs() < bound, "covariance {i} {j}: {covariance}");
        }
    }
}

#[test]
fn draws_do_not_depend_on_the_shard() {
    let (channel, config, device) = (build(&[blur(0.8), noise(0.3)]), ConditioningConfig::default(), Device::flex());
    let network = MlpConfig { width: 16, depth: 2, embedding: 8 }.init(D, feature_len(&channel, &config), 0, &device);
    let sampler: SamplerConfig = DdpmConfig { steps: 5, spacing: Spacing::Edm }.into();
    let seen = Observations::simulate(&channel, &normal(37, 1), Key::new(2, Purpose::Observe, 0), 0);
    let channel = Arc::new(channel);
    let of = |shard| {
        let parts = (&channel, network.clone(), sampler.clone());
        draws(&posterior(parts, Schedule::default(), shard), &seen)
    };
    let whole = of(64);
    for size in [1, 10] {
        assert!(whole == of(size), "shards of {size}");
    }
}

#[derive(Deserialize)]
struct Golden {
    grid: f32,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    height: usize,
    width: usize,
    sigma: f64,
    balance: f64,
    iterations: usize,
    y: Vec<i32>,
    wiener: Vec<f64>,
    lucy: Vec<f64>,
}

#[test]
fn deconvolution_is_that_of_scikit_image() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/deconvolution.json")).unwrap();
    assert_eq!(golden.cases.len(), 2);
    for case in golden.cases {
        let shape = ImageShape { channels: 1, height: case.height, width: case.width };
        let channel = ChannelConfig(vec![blur(case.sigma)]).build_image(shape).unwrap();
        let linear = channel.as_linear().unwrap();
        let y = Samples::new(case.y.iter().map(|&v| v as f32 / golden.grid).collect(), shape.len());
        let worst = |found: &Samples, expected: &[f64]| {
            let difference = |(a, b): (&f32, &f64)| (*a as f64 - b).abs();
            found.as_slice().iter().zip(expected).map(difference).fold(0.0, f64::max)
        };
        let wiener = Wiener::new(linear.as_spectral().unwrap(), case.balance).restore(&y);
        assert!(worst(&wiener, &case.wiener) < 1e-5, "Wiener: {}", worst(&wiener, &case.wiener));
        let mut lucy = RichardsonLucy::new(linear, &y);
        lucy.run(case.iterations);
        assert!(worst(lucy.x(), &case.lucy) < 1e-5, "Richardson-Lucy: {}", worst(lucy.x(), &case.lucy));
    }
}
