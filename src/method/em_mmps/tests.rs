//! Moment matching against exact Gaussians, azula and, without a matrix, its own form with one.

use super::*;
use crate::Observations;
use crate::channel::{
    Channel, ChannelConfig, Compose, LinearConfig, MaskConfig, NoiseConfig, ProjectionConfig, StageConfig,
};
use crate::conditioning::Conditioning;
use crate::conditioning::Standardizer;
use crate::denoiser::{GaussianDenoiser, to_samples, to_tensor};
use crate::gaussian::Gaussian;
use crate::noise::{Key, Purpose};
use burn::tensor::Device;
use burn::tensor::activation::softmax;
use nalgebra::{DMatrix, DVector};

fn prior(d: usize) -> Gaussian {
    let root = DMatrix::from_fn(d, d, |i, j| ((i * 7 + j * 3) % 5) as f64 / 4.0 + f64::from(i == j));
    Gaussian::new(DVector::from_fn(d, |i, _| 0.3 * i as f64 - 0.5), &root * root.transpose()).unwrap()
}

fn signals(n: usize, d: usize) -> Samples {
    let mut x = Samples::zeros(n, d);
    Key::new(3, Purpose::Truth, 0).stream(0, 0).fill_normal(x.as_mut_slice());
    x
}

/// Returns the channel, the observations of `x` and their whitened form.
fn whitened(stages: Vec<StageConfig>, x: &Samples, device: &Device) -> (Compose, Observations, Whitened) {
    let channel = ChannelConfig(stages).build(x.d()).unwrap();
    let seen = Observations::simulate(&channel, x, Key::new(1, Purpose::Observe, 0), 0);
    let (standardizer, config) = (Standardizer::identity(x.d()), ConditioningConfig::default());
    let conditioning = Conditioning { channel: &channel, config: &config, standardizer: &standardizer };
    let measurements: Vec<Measurement> =
        (0..x.n()).filter_map(|i| conditioning.measurement(seen.y.row(i), seen.operator(i))).collect();
    let whitened = Whitened::new(&measurements, conditioning, device);
    (channel, seen, whitened)
}

/// Largest distance to the exact E[x | x_t, y], which conditions the prior on x_t and then on y.
fn worst(stages: Vec<StageConfig>, d: usize, sigma: f64, iterations: usize) -> f64 {
    let (device, x) = (Device::flex(), signals(6, d));
    let (channel, seen, observations) = whitened(stages, &x, &device);
    let law = prior(d);
    let x_t = Samples::new(x.as_slice().iter().map(|v| 1.5 * v + 0.2).collect(), d);
    let mmps = Mmps { prior: GaussianDenoiser::new(&law, &device), observations, iterations };
    let found = to_samples(mmps.denoise(to_tensor(&x_t, &device), sigma)).unwrap();
    let noise = DMatrix::identity(d, d) * (sigma * sigma);
    let direct = crate::gaussian::LinearGaussian { matrix: DMatrix::identity(d, d), covariance: noise };
    let mut worst = 0.0f64;
    for i in 0..x.n() {
        let at: Vec<f64> = x_t.row(i).iter().map(|&v| v as f64).collect();
        let given = law.posterior(&direct, &at).unwrap();
        let exact = given.posterior_of(&channel, &seen, i).unwrap().mean;
        let distance = found.row(i).iter().zip(exact.iter()).map(|(a, b)| (*a as f64 - b).abs());
        worst = distance.fold(worst, f64::max);
    }
    worst
}

/// Products on the host, in coordinates of different scales, give the estimates of the matrices.
#[test]
fn estimates_without_a_matrix_are_those_with_one() {
    let (device, d) = (Device::flex(), 6);
    let x = signals(9, d);
    let root = (0..d).map(|j| 0.5 + j as f64 / 5.0).collect();
    let standardizer = Standardizer::new((0..d).map(|j| j as f64 / 10.0).collect(), root).unwrap();
    let config = ConditioningConfig::default();
    for stages in [
        vec![ProjectionConfig { rows: 3 }.into(), NoiseConfig { std: 0.1.into() }.into()],
        vec![
            NoiseConfig { std: 0.2.into() }.into(),
            MaskConfig { rate: 0.4 }.into(),
            NoiseConfig { std: 0.1.into() }.into(),
        ],
    ] {
        let channel = ChannelConfig(stages).build(d).unwrap();
        let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
        let conditioning = Conditioning { channel: &channel, config: &config, standardizer: &standardizer };
        let linear = channel.as_linear().unwrap();
        let rows = || (0..x.n()).map(|i| (seen.y.row(i), seen.operator(i)));
        let with: Vec<Measurement> = rows().filter_map(|(y, a)| conditioning.measurement(y, a)).collect();
        let without: Vec<Measurement> = rows().map(|(y, a)| conditioning.unsolved(linear, y, a)).collect();
        let x_t = to_tensor(&Samples::new(x.as_slice().iter().map(|v| 1.5 * v + 0.2).collect(), d), &device);
        let law = prior(d);
        let exact = || GaussianDenoiser::new(&law, &device);
        for (sigma, iterations) in [(0.05, 3), (0.5, 6), (5.0, 12)] {
            let observations = Whitened::new(&with, conditioning, &device);
            let expected = Mmps { prior: exact(), observations, iterations }.denoise(x_t.clone(), sigma);
            let free = conditioning.matrix_free(&without).unwrap();
            let observations = OnHost { free, device: &device };
            let found = Mmps { prior: exact(), observations, iterations }.denoise(x_t.clone(), sigma);
            let worst: f32 = (found - expected).abs().max().into_scalar();
            assert!(worst < 2e-4, "sigma {sigma}: {worst}");
        }
    }
}

#[test]
fn moment_matching_is_exact_for_gaussians() {
    let projection = || vec![ProjectionConfig { rows: 2 }.into(), NoiseConfig { std: 0.1.into() }.into()];
    let mask = || vec![MaskConfig { rate: 0.4 }.into(), NoiseConfig { std: 0.2.into() }.into()];
    for sigma in [0.05, 0.5, 5.0] {
        // With f32 rounding the five directions of a mask take a few more than five iterations.
        let (few, all) = (worst(projection(), 5, sigma, 2), worst(mask(), 5, sigma, 12));
        assert!(few < 2e-4 && all < 2e-4, "sigma {sigma}: {few} {all}");
    }
    assert!(worst(mask(), 5, 5.0, 1) > 1e-2, "one iteration of five cannot be exact");
}

#[derive(serde::Deserialize)]
struct Golden {
    grid: f32,
    d: usize,
    m: usize,
    variance: f64,
    std: f64,
    centers: Vec<i32>,
    a: Vec<i32>,
    x_t: Vec<i32>,
    y: Vec<i32>,
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    sigma: f64,
    iterations: usize,
    mean: Vec<f32>,
}

/// Denoiser of ½ N(c₁, v I) + ½ N(c₂, v I).
fn mixture(centers: Tensor<2>, v: f64) -> impl Denoiser {
    move |x_t: Tensor<2>, sigma: f64| {
        let ([n, d], total) = (x_t.dims(), v + sigma * sigma);
        let offset = x_t.reshape([n, 1, d]) - centers.clone().reshape([1, 2, d]);
        let weight = softmax(offset.clone().square().sum_dim(2) * (-0.5 / total), 1);
        let mean = offset * (v / total) + centers.clone().reshape([1, 2, d]);
        (mean * weight).sum_dim(1).reshape([n, d])
    }
}

/// The golden values come from tests/golden/mmps.py.
#[test]
fn moment_matching_agrees_with_azula() {
    let golden: Golden = serde_json::from_str(include_str!("../../../tests/golden/mmps.json")).unwrap();
    let (device, d) = (Device::flex(), golden.d);
    let values = |v: &[i32]| v.iter().map(|&v| v as f32 / golden.grid).collect::<Vec<_>>();
    let matrix = values(&golden.a).chunks_exact(d).map(<[f32]>::to_vec).collect();
    let stages = vec![LinearConfig { matrix }.into(), NoiseConfig { std: golden.std.into() }.into()];
    let channel = ChannelConfig(stages).build(d).unwrap();
    let (standardizer, config) = (Standardizer::identity(d), ConditioningConfig::default());
    let conditioning = Conditioning { channel: &channel, config: &config, standardizer: &standardizer };
    let y = values(&golden.y);
    let measurements: Vec<Measurement> =
        y.chunks_exact(golden.m).filter_map(|y| conditioning.measurement(y, &[])).collect();
    let x_t = to_tensor(&Samples::new(values(&golden.x_t), d), &device);
    for case in &golden.cases {
        let prior = mixture(to_tensor(&Samples::new(values(&golden.centers), d), &device), golden.variance);
        let observations = Whitened::new(&measurements, conditioning, &device);
        let found = Mmps { prior, observations, iterations: case.iterations }.denoise(x_t.clone(), case.sigma);
        let found = to_samples(found).unwrap();
        let worst = found.as_slice().iter().zip(&case.mean).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "sigma {}, {} iterations: {worst}", case.sigma, case.iterations);
    }
}

#[test]
fn the_adjoint_is_the_transpose() {
    let device = Device::flex();
    for stages in [
        vec![ProjectionConfig { rows: 3 }.into(), NoiseConfig { std: 0.1.into() }.into()],
        vec![MaskConfig { rate: 0.5 }.into(), NoiseConfig { std: 0.1.into() }.into()],
    ] {
        let (_, seen, whitened) = whitened(stages, &signals(4, 6), &device);
        let (x, v) = (to_tensor(&signals(4, 6), &device), whitened.y() * 0.5 + 1.0);
        let (left, right) = (dot(&whitened.apply(x.clone()), &v), dot(&x, &whitened.adjoint(v.clone())));
        let scale: f32 = left.clone().abs().max().into_scalar();
        let difference: f32 = (left - right).abs().max().into_scalar();
        assert!(difference <= 1e-5 * scale, "{difference} of {scale} for {} observations", seen.n());
    }
}
