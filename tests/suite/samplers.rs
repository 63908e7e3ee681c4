//! Samplers on Gaussians, where the exact denoiser is known: their order of convergence and the distribution
//! of their draws.

use burn::tensor::{Device, Tensor, TensorData};
use diffem::Samples;
use diffem::channel::{Channel, ChannelConfig, LinearConfig, NoiseConfig};
use diffem::denoiser::{Denoiser, GaussianDenoiser, to_samples, to_tensor};
use diffem::gaussian::Gaussian;
use diffem::noise::{Key, Purpose};
use diffem::sampler::{
    DdimConfig, DdpmConfig, Dpmpp2mConfig, Dpmpp2mSdeConfig, HeunConfig, PredictorCorrector, PredictorCorrectorConfig,
    Sampler, SamplerConfig, Spacing, Step, sample,
};
use diffem::schedule::Schedule;
use nalgebra::{DMatrix, DVector};
use std::ops::ControlFlow;

const SPACING: Spacing = Spacing::Geometric;

fn device() -> Device {
    Device::flex()
}

fn schedule() -> Schedule {
    Schedule { sigma_min: 0.1, sigma_max: 5.0, ..Default::default() }
}

/// Returns the final variance of the sampler for x ~ N(0, 1) without Monte Carlo: on a Gaussian every sampler
/// is linear in its starting point and its noises, so feeding in each of them alone (one per row) gives the
/// coefficients, whose squares add up. The start has the exact marginal variance 1 + sigma_max^2; the result
/// excludes the last denoising.
fn variance(config: &SamplerConfig) -> f64 {
    let (schedule, device) = (schedule(), device());
    let exact = GaussianDenoiser::new(&Gaussian::isotropic(1, 1.0), &device);
    let grid = config.grid(&schedule);
    let noises = (grid.len() - 1) * 2;
    let rows = noises + 1;
    let unit = |hot: usize| {
        let values: Vec<f32> = (0..rows).map(|r| f32::from(r == hot)).collect();
        Tensor::<2>::from_data(TensorData::new(values, [rows, 1]), &device)
    };
    let start = unit(0) * (1.0 + schedule.sigma_max.powi(2)).sqrt();
    let end =
        sample(config.build().as_ref(), &exact, &grid, start, &mut |i| unit(1 + i), &mut |_| ControlFlow::Continue(()));
    let scale = 1.0 / (1.0 + schedule.sigma_min.powi(2));
    let coefficients = to_samples(end.unwrap()).unwrap();
    coefficients.as_slice().iter().map(|&c| (c as f64 / scale).powi(2)).sum()
}

/// Slope of log error against log step, from `steps` to `4 steps`.
fn slope(make: impl Fn(usize) -> SamplerConfig, steps: usize) -> f64 {
    let exact = 1.0 + schedule().sigma_min.powi(2);
    let error = |steps| (variance(&make(steps)) - exact).abs();
    (error(steps) / error(4 * steps)).ln() / 4f64.ln()
}

#[test]
fn ddim_converges_at_first_order() {
    let slope = slope(|steps| DdimConfig { steps, spacing: SPACING }.into(), 32);
    assert!((slope - 1.0).abs() < 0.1, "{slope}");
}

#[test]
fn ddpm_converges_at_first_order() {
    let slope = slope(|steps| DdpmConfig { steps, spacing: SPACING }.into(), 32);
    assert!((slope - 1.0).abs() < 0.1, "{slope}");
}

#[test]
fn heun_converges_at_second_order() {
    let slope = slope(|steps| HeunConfig { steps, spacing: SPACING, churn: 0.0 }.into(), 16);
    assert!((slope - 2.0).abs() < 0.2, "{slope}");
}

#[test]
fn dpmpp_2m_converges_at_second_order() {
    let slope = slope(|steps| Dpmpp2mConfig { steps, spacing: SPACING }.into(), 16);
    assert!((slope - 2.0).abs() < 0.25, "{slope}");
}

#[test]
fn dpmpp_2m_sde_converges_at_second_order() {
    // At fewer steps the error is so small that its sign still changes.
    let slope = slope(|steps| Dpmpp2mSdeConfig { steps, spacing: SPACING }.into(), 64);
    assert!((slope - 2.0).abs() < 0.35, "{slope}");
}

#[test]
fn predictor_corrector_converges_at_the_predictors_order() {
    let small =
        |steps| PredictorCorrectorConfig { steps, spacing: SPACING, corrections: 1, tau: 0.01 / steps as f64 }.into();
    let slope = slope(small, 32);
    assert!((slope - 1.0).abs() < 0.1, "{slope}");
}

#[test]
fn corrector_is_stationary_where_the_closed_form_says() {
    // x <- (1 - tau a) x + sigma sqrt(2 tau) e with a = s^2/(1 + s^2) has the stationary variance (1 +
    // s^2)/(1 - tau a/2): a bias of order tau. The coefficients are found as in `variance`, with one noise
    // alone per row.
    let (sigma, device, corrections) = (2.0f64, device(), 300);
    let exact = GaussianDenoiser::new(&Gaussian::isotropic(1, 1.0), &device);
    let a = sigma * sigma / (1.0 + sigma * sigma);
    for tau in [0.4, 0.1] {
        let unit = |hot: usize| {
            let values: Vec<f32> = (0..corrections).map(|r| f32::from(r == hot)).collect();
            Tensor::<2>::from_data(TensorData::new(values, [corrections, 1]), &device)
        };
        let sampler = PredictorCorrector { corrections, tau };
        let mut draws = 0;
        let mut noise = || {
            draws += 1;
            unit(draws - 1)
        };
        let step = Step { denoiser: &exact, noise: &mut noise, from: sigma, to: sigma, previous: None };
        let x = to_samples(sampler.step(Tensor::zeros([corrections, 1], &device), step).x).unwrap();
        let variance: f64 = x.as_slice().iter().map(|&c| (c as f64).powi(2)).sum();
        let expected = (1.0 + sigma * sigma) / (1.0 - tau * a / 2.0);
        assert!((variance / expected - 1.0).abs() < 1e-4, "tau {tau}: {variance}, expected {expected}");
    }
}

/// Compares draws from the exact posterior of one observation of a 3-D Gaussian with its mean and covariance.
fn law(config: SamplerConfig) {
    let prior = DMatrix::from_row_slice(3, 3, &[1.0, 0.6, 0.2, 0.6, 0.8, 0.1, 0.2, 0.1, 0.5]);
    let prior = Gaussian::new(DVector::zeros(3), prior).unwrap();
    let stages =
        vec![LinearConfig { matrix: vec![vec![0.6, 0.8, 0.0]] }.into(), NoiseConfig { std: 0.3.into() }.into()];
    let channel = ChannelConfig(stages).build(3).unwrap();
    let posterior = prior.posterior(&channel.linear_gaussian(&[]).unwrap(), &[0.7]).unwrap();
    let schedule = Schedule { sigma_min: 1e-3, sigma_max: 40.0, ..Default::default() };
    let (device, n, key) = (device(), 16_384, Key::new(2, Purpose::Sample, 0));
    let noise = |step: usize| {
        let mut z = Samples::zeros(n, 3);
        (0..n).for_each(|i| key.stream(i, step).fill_normal(z.row_mut(i)));
        to_tensor(&z, &device)
    };
    let grid = config.grid(&schedule);
    let exact: &dyn Denoiser = &GaussianDenoiser::new(&posterior, &device);
    let start = noise(0) * schedule.sigma_max;
    let x =
        sample(config.build().as_ref(), exact, &grid, start, &mut |i| noise(i + 1), &mut |_| ControlFlow::Continue(()));
    let x = to_samples(x.unwrap()).unwrap();
    let rows = || x.rows().map(|r| DVector::from_iterator(3, r.iter().map(|&v| v as f64)));
    let mean = rows().sum::<DVector<f64>>() / n as f64;
    let centered = rows().map(|r| r - &mean);
    let covariance = centered.map(|r| &r * r.transpose()).sum::<DMatrix<f64>>() / n as f64;
    // The bounds are five standard errors of a mean and of a covariance entry at unit variance, .039 and
    // .055.
    assert!((mean - &posterior.mean).amax() < 0.039, "{config:?}");
    assert!((&covariance - &posterior.covariance).amax() < 0.055, "{config:?}: {covariance} {}", posterior.covariance);
}

#[test]
fn every_sampler_draws_from_the_exact_posterior() {
    law(DdpmConfig { steps: 400, spacing: SPACING }.into());
    law(DdimConfig { steps: 400, spacing: SPACING }.into());
    law(HeunConfig { steps: 30, spacing: SPACING, churn: 0.0 }.into());
    law(HeunConfig { steps: 60, spacing: Spacing::Edm, churn: 0.2 }.into());
    law(Dpmpp2mConfig { steps: 60, spacing: SPACING }.into());
    law(Dpmpp2mSdeConfig { steps: 60, spacing: SPACING }.into());
    law(PredictorCorrectorConfig { steps: 300, spacing: SPACING, corrections: 1, tau: 0.02 }.into());
}

#[test]
fn callback_sees_every_step_and_can_stop() {
    let (device, schedule) = (device(), schedule());
    let exact = GaussianDenoiser::new(&Gaussian::isotropic(2, 1.0), &device);
    let config = SamplerConfig::from(HeunConfig { steps: 7, spacing: SPACING, churn: 0.0 });
    let run = |stop_at: usize| {
        let mut seen = Vec::new();
        let start = Tensor::<2>::ones([4, 2], &device) * schedule.sigma_max;
        let out = sample(
            config.build().as_ref(),
            &exact,
            &config.grid(&schedule),
            start,
            &mut |_| unreachable!(),
            &mut |p| {
                seen.push((p.index, p.steps, p.x.dims(), p.denoised.dims()));
                if p.index == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        (seen, out)
    };
    let (seen, out) = run(99);
    assert!(out.is_ok() && seen.len() == 7 && seen[6] == (6, 7, [4, 2], [4, 2]));
    let (seen, out) = run(2);
    assert_eq!((seen.len(), out.err()), (3, Some(diffem::Error::Stopped)));
}

#[test]
fn network_calls_are_counted() {
    let device = device();
    for config in [
        SamplerConfig::from(DdpmConfig { steps: 5, spacing: SPACING }),
        HeunConfig { steps: 5, spacing: SPACING, churn: 0.1 }.into(),
        Dpmpp2mSdeConfig { steps: 5, spacing: SPACING }.into(),
        PredictorCorrectorConfig { steps: 5, spacing: SPACING, corrections: 2, tau: 0.1 }.into(),
    ] {
        let calls = std::cell::Cell::new(0);
        let counting = |x: Tensor<2>, _: f64| {
            calls.set(calls.get() + 1);
            x
        };
        let start = Tensor::<2>::ones([1, 1], &device);
        let mut noise = |_| Tensor::<2>::zeros([1, 1], &device);
        let grid = config.grid(&schedule());
        sample(config.build().as_ref(), &counting, &grid, start, &mut noise, &mut |_| ControlFlow::Continue(()))
            .unwrap();
        assert_eq!(calls.get(), config.calls(), "{config:?}");
        assert!(config.with_calls(32).calls() <= 32);
    }
}
