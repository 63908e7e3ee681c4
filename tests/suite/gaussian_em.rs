//! EM on Gaussians in closed form: every lap of the exact algorithm is known, and so is the theory's bound.
//! In one dimension, s* is the true variance, n the variance of the noise and s_k that of the prior after lap
//! k.

use diffem::channel::{ChannelConfig, NoiseConfig, ProjectionConfig};
use diffem::em::{GaussianInit, InitialPrior};
use diffem::gaussian::{Gaussian, LinearGaussian};
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Samples};
use nalgebra::{DMatrix, DVector};

fn scalar(v: f64) -> DMatrix<f64> {
    DMatrix::from_element(1, 1, v)
}

fn normal(v: f64) -> Gaussian {
    Gaussian::new(DVector::zeros(1), scalar(v)).unwrap()
}

/// Priors of laps 0..=laps from N(0, s0) for y = x + N(0, n), x ~ N(0, truth).
fn laps(truth: f64, n: f64, s0: f64, laps: usize) -> Vec<f64> {
    let model = LinearGaussian { matrix: scalar(1.0), covariance: scalar(n) };
    let observed = normal(truth).observed(&model);
    let mut priors = vec![normal(s0)];
    for _ in 0..laps {
        priors.push(priors[priors.len() - 1].em_update(&model, &observed).unwrap());
    }
    priors.iter().map(|p| p.covariance[(0, 0)]).collect()
}

#[test]
fn variances_follow_the_recursion() {
    let s = laps(1.0, 1.0, 10.0, 9);
    for (k, expected) in [(1, 2.56198), (2, 1.75392), (3, 1.44812), (9, 1.05316)] {
        assert!((s[k] - expected).abs() < 5e-6, "s_{k} = {}", s[k]);
    }
    for w in s.windows(2) {
        let (v, n, truth) = (w[0], 1.0, 1.0);
        let next = v * n / (v + n) + (v / (v + n)).powi(2) * (truth + n);
        assert!((w[1] - next).abs() < 1e-12);
    }
}

#[test]
fn divergence_of_the_observations_falls_as_published() {
    let model = LinearGaussian { matrix: scalar(1.0), covariance: scalar(1.0) };
    let truth = normal(1.0).observed(&model);
    let kl: Vec<f64> =
        laps(1.0, 1.0, 10.0, 4).iter().map(|s| truth.kl(&normal(*s).observed(&model)).unwrap()).collect();
    for (k, expected) in [0.443283, 0.069328, 0.023058, 0.009563, 0.004420].into_iter().enumerate() {
        assert!((kl[k] - expected).abs() < 1e-6, "KL at lap {k}: {}", kl[k]);
    }
}

#[test]
fn contraction_tends_to_its_limit() {
    let (truth, n) = (2.0, 3.0);
    let s = laps(truth, n, 10.0, 100);
    let ratio = (s[100] - truth) / (s[99] - truth);
    assert!((ratio - (1.0 - (truth / (truth + n)).powi(2))).abs() < 1e-6, "{ratio}");
}

#[test]
fn too_narrow_a_start_barely_moves() {
    assert!((laps(2.0, 4.0, 0.05, 50)[50] - 0.0707).abs() < 5e-5);
}

/// A correlated truth, a start whose mean and shape are wrong, and an operator that observes every direction.
fn multivariate() -> (Gaussian, Gaussian, LinearGaussian) {
    let truth = DMatrix::from_row_slice(3, 3, &[2.0, 0.5, 0.1, 0.5, 1.0, -0.3, 0.1, -0.3, 0.7]);
    let truth = Gaussian::new(DVector::from_column_slice(&[1.0, -0.5, 0.2]), truth).unwrap();
    let a = DMatrix::from_row_slice(3, 3, &[1.0, 0.2, 0.0, -0.3, 0.8, 0.5, 0.1, 0.0, 1.2]);
    (truth, Gaussian::isotropic(3, 3.0), LinearGaussian { matrix: a, covariance: DMatrix::identity(3, 3) * 0.5 })
}

#[test]
fn update_is_the_multivariate_formula() {
    let (truth, start, model) = multivariate();
    let observed = truth.observed(&model);
    let next = start.em_update(&model, &observed).unwrap();
    let a = &model.matrix;
    let k = &start.covariance
        * a.transpose()
        * (a * &start.covariance * a.transpose() + &model.covariance).try_inverse().unwrap();
    let mean = &start.mean + &k * (&observed.mean - a * &start.mean);
    let identity = DMatrix::identity(3, 3);
    let covariance = &k * &observed.covariance * k.transpose() + (identity - &k * a) * &start.covariance;
    assert!((next.mean - mean).amax() < 1e-10 && (next.covariance - covariance).amax() < 1e-10);
}

#[test]
fn every_lap_obeys_the_monotone_inequality_and_the_bound() {
    let (truth, start, model) = multivariate();
    let observed = truth.observed(&model);
    let kl_y = |prior: &Gaussian| observed.kl(&prior.observed(&model)).unwrap();
    let (mut prior, mut sum) = (start.clone(), 0.0);
    for k in 0..40 {
        sum += kl_y(&prior);
        // Theorem, part 2: the mean of KL(P* || P_k) over laps 0..=k is at most KL(p* || pi_0) / (k + 1).
        assert!(sum / (k + 1) as f64 <= truth.kl(&start).unwrap() / (k + 1) as f64 + 1e-12, "bound at lap {k}");
        let next = prior.em_update(&model, &observed).unwrap();
        // Part 1: KL(P* || P_k+1) <= KL(P* || P_k) - KL(pi_k+1 || pi_k).
        assert!(kl_y(&next) <= kl_y(&prior) - next.kl(&prior).unwrap() + 1e-12, "inequality at lap {k}");
        prior = next;
    }
    assert!(kl_y(&prior) < 1e-3);
}

#[test]
fn directions_in_the_kernel_of_a_single_operator_never_move() {
    let model = LinearGaussian { matrix: DMatrix::from_row_slice(1, 2, &[1.0, 1.0]), covariance: scalar(0.1) };
    let truth = Gaussian::new(DVector::from_column_slice(&[3.0, -1.0]), DMatrix::identity(2, 2) * 0.2).unwrap();
    let observed = truth.observed(&model);
    let unseen = DVector::from_column_slice(&[1.0, -1.0]);
    let spread = |p: &Gaussian| unseen.dot(&(&p.covariance * &unseen));
    let mut prior = Gaussian::isotropic(2, 1.5);
    let before = (spread(&prior), unseen.dot(&prior.mean));
    for _ in 0..50 {
        prior = prior.em_update(&model, &observed).unwrap();
    }
    assert!((spread(&prior) - before.0).abs() < 1e-9 && (unseen.dot(&prior.mean) - before.1).abs() < 1e-9);
    // The observed direction does move to the truth.
    assert!((prior.mean.sum() - truth.mean.sum()).abs() < 1e-2);
}

fn projected(truth: &Gaussian, n: usize) -> (impl diffem::channel::Channel, Observations) {
    let stages = vec![ProjectionConfig { rows: 2 }.into(), NoiseConfig { std: 0.1.into() }.into()];
    let channel = ChannelConfig(stages).build(truth.d()).unwrap();
    let (root, key) = (truth.root(), Key::new(3, Purpose::Truth, 0));
    let row = |i| truth.draw(&root, &mut key.stream(i, 0)).iter().map(|&v| v as f32).collect::<Vec<_>>();
    let x = Samples::new((0..n).flat_map(row).collect(), truth.d());
    let observations = Observations::simulate(&channel, &x, Key::new(3, Purpose::Observe, 0), 0);
    (channel, observations)
}

#[test]
fn random_projections_identify_the_gaussian_behind_them() {
    let entry = |i: usize, j: usize| if i == j { 1.0 + 0.3 * i as f64 } else { 0.4 };
    let truth = Gaussian::new(DVector::from_element(5, 0.5), DMatrix::from_fn(5, 5, entry)).unwrap();
    let n = 8192;
    let (channel, observations) = projected(&truth, n);
    let fit = Gaussian::fit(&channel, &observations, 1.0, 60).unwrap();
    // A covariance entry estimated from n full observations has a standard error near 2/sqrt(n) = .022; two
    // projections of five coordinates carry a few times less information.
    assert!((&fit.covariance - &truth.covariance).amax() < 0.25, "{}", fit.covariance);
    assert!((&fit.mean - &truth.mean).amax() < 0.1);
    // By the likelihood bound the fit is never worse than the start.
    assert!(truth.kl(&fit).unwrap() < 0.02 && truth.kl(&Gaussian::isotropic(5, 1.0)).unwrap() > 0.5);
}

#[test]
fn gaussian_start_draws_have_the_next_priors_law() {
    // Posterior draws under the prior N(0, s_k) have variance s_k+1: EM's own identity.
    let channel = ChannelConfig(vec![NoiseConfig { std: 1.0.into() }.into()]).build(1).unwrap();
    let key = Key::new(5, Purpose::Truth, 0);
    let n = 40_000;
    let x = Samples::new((0..n).map(|i| key.stream(i, 0).normal()).collect(), 1);
    let observations = Observations::simulate(&channel, &x, Key::new(5, Purpose::Observe, 0), 0);
    let init = GaussianInit { iterations: 0, std: 10f64.sqrt(), rank: 0 };
    let x0 =
        InitialPrior::fit(&channel, &observations, &init, 7).unwrap().reconstruct(&channel, &observations, 7).unwrap();
    let variance = x0.as_slice().iter().map(|&v| v as f64 * v as f64).sum::<f64>() / n as f64;
    // The standard error is s_1 sqrt(2/n) = .018.
    assert!((variance - 2.56198).abs() < 0.09, "{variance}");
}
