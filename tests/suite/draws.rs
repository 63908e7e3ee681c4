//! Draws are as wide as the posterior. All weights are 0, hence also the network's output, so the denoiser is the exact posterior mean of a
//! standard normal signal, and all that is left to err is the sampler.

use burn::tensor::Device;
use diffem::channel::{
    BlurConfig, Channel, ChannelConfig, LinearConfig, MaskConfig, NoiseConfig, ProjectionConfig, StageConfig,
};
use diffem::conditioning::{ConditioningConfig, Standardizer};
use diffem::image::ImageShape;
use diffem::method::Method;
use diffem::network::{MlpConfig, flatten, unflatten};
use diffem::noise::{Key, Purpose};
use diffem::posterior::{Model, Posterior};
use diffem::sampler::{DdpmConfig, Dpmpp2mSdeConfig, SamplerConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{Observations, Samples};
use std::sync::Arc;

/// Standard deviation of the noise, below the smallest noise level of the sampler.
const NOISE: f64 = 0.007;
const SCHEDULE: Schedule = Schedule { sigma_min: 0.01, sigma_max: 50.0, sigma_data: 1.0, time_alpha: 3, time_beta: 3 };
/// Draws per observation; a variance then has a standard error of 3 %.
const DRAWS: usize = 2048;
const SHAPE: ImageShape = ImageShape { channels: 1, height: 4, width: 4 };

fn sde() -> SamplerConfig {
    Dpmpp2mSdeConfig { steps: 24, spacing: Spacing::Geometric }.into()
}

/// An observation of a standard normal signal through `stages`, and draws from its posterior.
fn draws(stages: Vec<StageConfig>, sampler: SamplerConfig) -> (Arc<dyn Channel>, Observations, Samples) {
    let channel: Arc<dyn Channel> = Arc::new(ChannelConfig(stages).build_image(SHAPE).unwrap());
    let mut x = Samples::zeros(1, SHAPE.len());
    Key::new(5, Purpose::Truth, 0).stream(0, 0).fill_normal(x.as_mut_slice());
    let seen = Observations::observe(channel.as_ref(), &x, 5);
    let mut standardizer = Standardizer::identity(SHAPE.len());
    if channel.as_linear().is_some_and(|linear| linear.as_spectral().is_some()) {
        standardizer = standardizer.with_power(Some(vec![1.0; SHAPE.len()])).unwrap();
    }
    let model = Model {
        channel: channel.clone(),
        image: Some(SHAPE),
        schedule: SCHEDULE,
        conditioning: ConditioningConfig::default(),
        method: Method::default(),
        network: MlpConfig { width: 4, depth: 1, embedding: 2 },
        sampler,
        shard: 256,
    };
    let device = Device::flex();
    let network = model.build_network(0, &device).unwrap();
    let network = unflatten(network.clone(), &flatten(&network).zeros_like());
    let draws = Posterior::new(model, network, standardizer, device).sample(&seen, DRAWS).unwrap();
    (channel, seen, draws)
}

/// Compares the variance of `draws` along `direction` with the exact posterior's.
fn check(channel: &dyn Channel, seen: &Observations, draws: &Samples, direction: &[f64]) -> f64 {
    let prior = diffem::gaussian::Gaussian::isotropic(SHAPE.len(), 1.0);
    let exact = prior.posterior_of(channel, seen, 0).unwrap();
    let direction = nalgebra::DVector::from_column_slice(direction);
    let along = |row: &[f32]| row.iter().zip(direction.iter()).map(|(x, u)| f64::from(*x) * u).sum::<f64>();
    let mean = draws.rows().map(along).sum::<f64>() / draws.n() as f64;
    let variance = draws.rows().map(|row| (along(row) - mean).powi(2)).sum::<f64>() / (draws.n() - 1) as f64;
    variance / direction.dot(&(&exact.covariance * &direction))
}

/// The direction of coordinate `i`.
fn axis(i: usize) -> Vec<f64> {
    (0..SHAPE.len()).map(|j| f64::from(u8::from(i == j))).collect()
}

fn noise() -> StageConfig {
    NoiseConfig { std: NOISE.into() }.into()
}

#[test]
fn draws_through_a_mask_are_as_wide_as_the_posterior() {
    let (channel, seen, draws) = draws(vec![noise(), MaskConfig { rate: 0.5 }.into()], sde());
    let ratios: Vec<f64> = (0..SHAPE.len()).map(|i| check(channel.as_ref(), &seen, &draws, &axis(i))).collect();
    assert!(ratios.iter().all(|r| (r - 1.0).abs() < 0.12), "{ratios:?}");
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    assert!((mean - 1.0).abs() < 0.03, "{mean}");
}

#[test]
fn ddpm_draws_what_is_unseen_too_narrowly() {
    let (channel, seen, draws) = draws(
        vec![noise(), MaskConfig { rate: 0.5 }.into()],
        DdpmConfig { steps: 24, spacing: Spacing::Geometric }.into(),
    );
    let ratio = |i| check(channel.as_ref(), &seen, &draws, &axis(i));
    let unseen: Vec<f64> = (0..SHAPE.len()).filter(|i| seen.operator(0)[*i] == 0.0).map(ratio).collect();
    let mean = unseen.iter().sum::<f64>() / unseen.len() as f64;
    assert!((0.68..0.76).contains(&mean), "{mean}");
}

#[test]
fn draws_through_a_projection_are_as_wide_as_the_posterior() {
    let (channel, seen, draws) = draws(vec![ProjectionConfig { rows: 3 }.into(), noise()], sde());
    let rows: Vec<f64> = seen.operator(0).iter().map(|&a| f64::from(a)).collect();
    let mut ratios: Vec<f64> =
        rows.chunks_exact(SHAPE.len()).map(|row| check(channel.as_ref(), &seen, &draws, row)).collect();
    ratios.extend((0..4).map(|i| check(channel.as_ref(), &seen, &draws, &axis(i))));
    assert!(ratios.iter().all(|r| (r - 1.0).abs() < 0.12), "{ratios:?}");
}

/// Without noise and with a strong operator, nothing is left uncertain in the measured directions, up to rounding.
#[test]
fn draws_through_a_strong_operator_without_noise_are_finite() {
    let row = |i: usize| axis(i).iter().zip(axis(i + 1)).map(|(a, b)| 500.0 * (a + 0.7 * b) as f32).collect();
    let matrix = (0..6).map(row).collect();
    let (_, _, draws) = draws(vec![LinearConfig { matrix }.into()], sde());
    assert!(draws.as_slice().iter().all(|v| v.is_finite() && v.abs() < 10.0));
}

/// A blur lets coefficients through that are measured well and others that are hardly measured.
#[test]
fn draws_through_a_blur_are_as_wide_as_the_posterior() {
    let (channel, seen, draws) = draws(vec![BlurConfig { sigma: 0.7 }.into(), noise()], sde());
    let basis = |k: usize| {
        let at = |i: usize, k: usize| (std::f64::consts::PI * (i as f64 + 0.5) * k as f64 / 4.0).cos();
        let direction: Vec<f64> = (0..16).map(|p| at(p / 4, k / 4) * at(p % 4, k % 4)).collect();
        let length = direction.iter().map(|v| v * v).sum::<f64>().sqrt();
        direction.iter().map(|v| v / length).collect::<Vec<_>>()
    };
    let ratios: Vec<f64> = (0..16).map(|k| check(channel.as_ref(), &seen, &draws, &basis(k))).collect();
    assert!(ratios.iter().all(|r| (r - 1.0).abs() < 0.12), "{ratios:?}");
}
