//! Channels: adjointness over a registry of linear channels, the distributions that they promise, and the
//! features that the network receives.

mod images;
mod missing;
mod noise;
mod position;

use diffem::channel::{
    BlackBox, Channel, ChannelConfig, Compose, LinearConfig, MaskConfig, NoiseConfig, NoiseLevelConfig,
    ProjectionConfig, SelfMaskConfig, Side,
};
use diffem::em::corrupted_init;
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Samples};
use nalgebra::DMatrix;

/// Name, length of the signal and channel.
fn registry() -> Vec<(&'static str, usize, Compose)> {
    let vectors = vectors().into_iter().map(|(name, d, config)| (name, d, config.build(d).unwrap()));
    vectors.chain(images::registry()).collect()
}

fn vectors() -> Vec<(&'static str, usize, ChannelConfig)> {
    let matrix = || {
        LinearConfig { matrix: vec![vec![1.0, -2.0, 0.5, 0.0], vec![0.0, 3.0, 1.0, -1.0], vec![2.0, 0.0, 0.0, 1.0]] }
            .into()
    };
    vec![
        ("projection", 5, ChannelConfig(vec![ProjectionConfig { rows: 2 }.into()])),
        ("mask", 16, ChannelConfig(vec![MaskConfig { rate: 0.4 }.into()])),
        ("noise", 3, ChannelConfig(vec![NoiseConfig { std: 0.2.into() }.into()])),
        ("noise-level", 3, ChannelConfig(vec![NoiseLevelConfig { min: 0.05, max: 0.2 }.into()])),
        ("self-mask", 5, ChannelConfig(vec![SelfMaskConfig { threshold: 0.5, width: 0.3, side: Side::Below }.into()])),
        ("linear", 4, ChannelConfig(vec![matrix()])),
        (
            "mask, linear, noise",
            4,
            ChannelConfig(vec![MaskConfig { rate: 0.3 }.into(), matrix(), NoiseConfig { std: 0.1.into() }.into()]),
        ),
        (
            "noise, linear, noise",
            4,
            ChannelConfig(vec![
                NoiseConfig { std: 0.2.into() }.into(),
                matrix(),
                NoiseConfig { std: 0.1.into() }.into(),
            ]),
        ),
        (
            "linear, projection, mask",
            4,
            ChannelConfig(vec![matrix(), ProjectionConfig { rows: 6 }.into(), MaskConfig { rate: 0.5 }.into()]),
        ),
    ]
}

fn normal(n: usize, index: usize) -> Vec<f32> {
    let mut v = vec![0.0; n];
    Key::new(11, Purpose::Truth, 0).stream(index, 0).fill_normal(&mut v);
    v
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum()
}

#[test]
fn every_linear_channel_has_its_adjoint() {
    for (name, d, channel) in registry() {
        let linear = channel.as_linear().expect(name);
        for trial in 0..8 {
            let mut a = vec![0.0; channel.operator_len()];
            channel.draw_operator(&mut Key::new(1, Purpose::Observe, 0).stream(trial, 0), &mut a);
            let (x, y) = (normal(d, 2 * trial), normal(channel.observation_len(), 2 * trial + 1));
            let (mut ax, mut aty) = (vec![0.0; y.len()], vec![0.0; d]);
            linear.apply(&a, &x, &mut ax);
            linear.adjoint(&a, &y, &mut aty);
            let (left, right) = (dot(&ax, &y), dot(&x, &aty));
            // The tolerance covers f32 rounding of sums of a few dozen products.
            assert!((left - right).abs() < 1e-5 * (1.0 + left.abs()), "{name}: <Ax, y> = {left}, <x, Aty> = {right}");
        }
    }
}

#[test]
fn linear_gaussian_form_has_the_mean_and_covariance_of_the_draws() {
    for (name, d, channel) in registry() {
        let mut a = vec![0.0; channel.operator_len()];
        channel.draw_operator(&mut Key::new(2, Purpose::Observe, 0).stream(0, 0), &mut a);
        let model = channel.linear_gaussian(&a).expect(name);
        let (x, m, n) = (normal(d, 3), channel.observation_len(), 20_000);
        let expected = &model.matrix * nalgebra::DVector::from_iterator(d, x.iter().map(|&v| v as f64));
        let mut covariance = DMatrix::<f64>::zeros(m, m);
        let mut y = vec![0.0; m];
        for i in 0..n {
            channel.observe(&x, &a, &mut Key::new(3, Purpose::Observe, 0).stream(i, 0), &mut y);
            let error = nalgebra::DVector::from_iterator(m, y.iter().map(|&v| v as f64)) - &expected;
            covariance += &error * error.transpose() / n as f64;
        }
        // Noise of at most 0.2 and rows of norm at most 4 give standard errors below .005.
        assert!((covariance - &model.covariance).amax() < 0.02, "{name}");
    }
}

#[test]
fn projections_lie_on_the_unit_sphere_and_masks_hide_at_their_rate() {
    let x = Samples::new(vec![1.0; 4000 * 5], 5);
    let channel = ChannelConfig(vec![ProjectionConfig { rows: 2 }.into()]).build(5).unwrap();
    let a = Observations::simulate(&channel, &x, Key::new(4, Purpose::Observe, 0), 0).a.unwrap();
    for row in a.rows().flat_map(|a| a.chunks(5)) {
        assert!((dot(row, row) - 1.0).abs() < 1e-5);
    }
    let mask = ChannelConfig(vec![MaskConfig { rate: 0.75 }.into()]).build(5).unwrap();
    let seen = Observations::simulate(&mask, &x, Key::new(4, Purpose::Observe, 0), 0);
    let hidden = seen.a.as_ref().unwrap().as_slice().iter().filter(|a| **a == 0.0).count() as f64 / 20_000.0;
    assert!((hidden - 0.75).abs() < 0.02, "{hidden}");
    assert!(seen.y.as_slice().iter().zip(seen.a.as_ref().unwrap().as_slice()).all(|(y, a)| y == a));
}

#[test]
fn conditions_tell_a_masked_coordinate_from_a_dark_one() {
    let channel = ChannelConfig(vec![MaskConfig { rate: 0.5 }.into()]).build(2).unwrap();
    let mut c = vec![0.0; channel.condition_len()];
    channel.condition(&[0.0, 0.0], &[1.0, 0.0], &mut c);
    assert_eq!(c, [0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn simulation_does_not_depend_on_how_rows_are_grouped() {
    let channel = ChannelConfig(vec![ProjectionConfig { rows: 2 }.into(), NoiseConfig { std: 0.1.into() }.into()])
        .build(5)
        .unwrap();
    let x = Samples::new(normal(1000 * 5, 1), 5);
    let key = Key::new(9, Purpose::Observe, 0);
    let all = Observations::simulate(&channel, &x, key, 3);
    let part = Observations::simulate(&channel, &x.slice(0..301), key, 3);
    assert_eq!(all.select(&(0..301).collect::<Vec<_>>()), part);
    assert_ne!(all, Observations::simulate(&channel, &x, key, 4));
}

#[test]
fn signals_observed_together_are_those_observed_one_by_one() {
    const N: usize = 40;
    for (name, d, channel) in registry() {
        let mut stream = Key::new(9, Purpose::Observe, 0).stream(0, 0);
        let (x, mut a) = (normal(N * d, 1), vec![0.0; channel.operator_len()]);
        channel.draw_operator(&mut stream, &mut a);
        let mut one = stream.clone();
        let (mut found, mut expected) = ([(); 2]).map(|()| vec![0.0; N * channel.observation_len()]).into();
        channel.observe_all(&x, &a, &mut stream, &mut found);
        for (x, y) in x.chunks_exact(d).zip(expected.chunks_exact_mut(channel.observation_len())) {
            channel.observe(x, &a, &mut one, y);
        }
        assert_eq!(found, expected, "{name}");
        assert_eq!(stream.bits(), one.bits(), "{name}");
    }
}

#[test]
fn corrupted_start_solves_the_observations() {
    for (name, d, channel) in registry() {
        let x = Samples::new(normal(64 * d, 5), d);
        let seen = Observations::simulate(&channel, &x, Key::new(6, Purpose::Observe, 0), 0);
        let x0 = corrupted_init(&channel, &seen).unwrap();
        let linear = channel.as_linear().unwrap();
        // Noise may leave the range of a rank-deficient operator, and more rows than d over-determine x.
        let solvable = channel.observation_len() <= d && linear.noise_covariance(seen.operator(0)).amax() == 0.0;
        for i in 0..64 {
            let mut y = vec![0.0; channel.observation_len()];
            linear.apply(seen.operator(i), x0.row(i), &mut y);
            let error = y.iter().zip(seen.y.row(i)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(!solvable || error < 2e-2, "{name}: {error}");
        }
    }
}

#[test]
fn a_black_box_needs_no_linearity_and_says_so() {
    let quantize =
        BlackBox::new(2, 2, |x, a, _, y| y.iter_mut().zip(x).for_each(|(y, x)| *y = (x * a[0]).round() / a[0]))
            .with_operator(1, |stream, a| a[0] = 1.0 + stream.below(4) as f32);
    let x = Samples::new(vec![0.3, -0.7, 0.1, 0.9], 2);
    let seen = Observations::simulate(&quantize, &x, Key::new(1, Purpose::Observe, 0), 0);
    assert!(seen.a.as_ref().unwrap().as_slice().iter().all(|a| (1.0..=4.0).contains(a)));
    assert!(quantize.linear_gaussian(&[1.0]).is_none());
    assert_eq!(corrupted_init(&quantize, &seen).unwrap(), seen.y);
    let fit = diffem::em::InitialPrior::fit(&quantize, &seen, &Default::default(), 0);
    let message = fit.err().unwrap().to_string();
    assert!(message.contains("not linear"), "{message}");
}
