//! The prior is an unconditional denoiser, trained and sampled by the code of the posterior through a channel
//! that shows nothing.

use burn::tensor::Device;
use diffem::channel::Unobserved;
use diffem::conditioning::{ConditioningConfig, Standardize};
use diffem::em::*;
use diffem::gaussian::Gaussian;
use diffem::image::ImageShape;
use diffem::network::{MlpConfig, NetworkConfig, UnetConfig, flatten, to_host};
use diffem::noise::{Key, Purpose};
use diffem::sampler::{HeunConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{Em, Observations, Samples};
use nalgebra::{DMatrix, DVector};
use std::ops::ControlFlow;

fn samples(law: &Gaussian, n: usize) -> Samples {
    let (root, key) = (law.root(), Key::new(3, Purpose::Truth, 0));
    let row = |i| law.draw(&root, &mut key.stream(i, 0)).iter().map(|&v| v as f32).collect::<Vec<_>>();
    Samples::new((0..n).flat_map(row).collect(), law.d())
}

/// Trains a prior of `x` without standardized coordinates, so that the network has everything to learn;
/// returns `draws` draws from it.
fn draws_of_prior(
    x: Samples,
    network: &NetworkConfig,
    image: Option<ImageShape>,
    steps: usize,
    draws: usize,
) -> Samples {
    let (device, d) = (Device::flex(), x.d());
    let sampler = HeunConfig { steps: 20, spacing: Spacing::Geometric, churn: 0.0 }.into();
    let mut run = Em::new(Unobserved::new(d), Observations::nothing(x.n()))
        .network(network.clone())
        .schedule(Schedule { sigma_min: 0.01, sigma_max: 40.0, ..Default::default() })
        .conditioning(ConditioningConfig { standardize: Standardize::None, ..Default::default() })
        .m_step(MStepConfig { steps, batch: 256, micro_batch: 64, ema: 0.99, ..Default::default() })
        .e_step(EStepConfig { sampler, shard: 64 })
        .monitor(MonitorConfig { holdout: 0.0, ..Default::default() })
        .seed(5);
    if let Some(shape) = image {
        run = run.image(shape);
    }
    let run = run.trainer(&device).unwrap();
    // The initial weights are those of seed 1.
    let weights = flatten(&run.model().build_network(1, &device).unwrap());
    let before = to_host(&weights).unwrap();
    let mut state = run.begin_with(x, weights, None).unwrap();
    run.train(&mut state, &mut |_: Event<'_>, _: &State| ControlFlow::Continue(())).unwrap();
    assert_eq!((state.step, state.phase), (steps, Phase::EStep));
    assert!(to_host(&state.optim.average).unwrap() != before);
    let (posterior, observations) = (run.posterior(&state), Observations::nothing(draws));
    EStep { posterior: &posterior, observations: &observations, key: Key::new(5, Purpose::Draw, 0) }.all().unwrap()
}

/// Mean and covariance.
fn moments(x: &Samples) -> (DVector<f64>, DMatrix<f64>) {
    let row = |r: &[f32]| DVector::from_iterator(x.d(), r.iter().map(|&v| v as f64));
    let mean = x.rows().map(row).sum::<DVector<f64>>() / x.n() as f64;
    let outer = |r: &[f32]| (row(r) - &mean) * (row(r) - &mean).transpose();
    let covariance = x.rows().map(outer).sum::<DMatrix<f64>>() / x.n() as f64;
    (mean, covariance)
}

#[test]
fn a_prior_of_a_gaussian_has_its_moments() {
    let covariance = DMatrix::from_row_slice(2, 2, &[0.8, -0.5, -0.5, 0.6]);
    let law = Gaussian::new(DVector::from_column_slice(&[1.0, -0.5]), covariance).unwrap();
    let network = NetworkConfig::Mlp(MlpConfig { width: 64, depth: 2, embedding: 16 });
    let found = moments(&draws_of_prior(samples(&law, 8192), &network, None, 1500, 8192));
    // With 8192 draws the standard errors are .01 (means) and .013 (variances); training and sampling add a
    // few hundredths.
    assert!((&found.0 - &law.mean).amax() < 0.06, "mean {}", found.0);
    assert!((&found.1 - &law.covariance).amax() < 0.08, "covariance {}", found.1);
}

/// Covers a U-Net without planes of features.
#[test]
fn a_prior_of_images_has_their_means() {
    let image = ImageShape { channels: 1, height: 4, width: 4 };
    let mean = DVector::from_fn(16, |i, _| if i % 4 < 2 { -1.0 } else { 1.0 });
    let law = Gaussian::new(mean, DMatrix::identity(16, 16) * 0.09).unwrap();
    let sizes =
        UnetConfig { channels: vec![16, 16], blocks: vec![1, 1], heads: vec![0, 0], patch: 1, ..Default::default() };
    let found = draws_of_prior(samples(&law, 1024), &NetworkConfig::Unet(sizes), Some(image), 150, 256);
    assert!((&moments(&found).0 - &law.mean).amax() < 0.15, "mean {}", moments(&found).0);
}
