//! Noise that depends on the signal, and noise whose level is known.

use diffem::channel::{
    Channel, ChannelConfig, Compose, NoiseConfig, NoiseLevelConfig, PoissonConfig, PoissonGaussianConfig, StageConfig,
};
use diffem::conditioning::{ConditioningConfig, OperatorStructure, structure_for};
use diffem::image::ImageShape;
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Samples};

const N: usize = 40_000;

fn mixed(std: f64, gain: f64, offset: f64) -> StageConfig {
    PoissonGaussianConfig { std: std.into(), gain: gain.into(), offset, plug_in: false }.into()
}

/// Observations of N values that are all `value`.
fn of_constant(stages: Vec<StageConfig>, value: f32) -> Vec<f32> {
    let channel = ChannelConfig(stages).build(N).unwrap();
    let mut y = vec![0.0; N];
    channel.observe(&vec![value; N], &[], &mut Key::new(3, Purpose::Observe, 0).stream(0, 0), &mut y);
    y
}

/// Means of the first four powers of the values less `center`, in units of `std`.
fn moments(y: &[f32], center: f64, std: f64) -> [f64; 4] {
    let z = y.iter().map(|&y| (f64::from(y) - center) / std);
    [1, 2, 3, 4].map(|k| z.clone().map(|z| z.powi(k)).sum::<f64>() / N as f64)
}

/// On a constant signal it is Gaussian noise of one variance, s² + g max(x - offset, 0).
#[test]
fn mixed_noise_is_gaussian_with_the_variance_of_the_signal() {
    for (std, gain, offset, value) in [
        (0.1, 0.04, -2.0, 1.0),
        (0.1, 0.04, -2.0, -2.0),
        (0.0, 0.2, -2.0, 0.5),
        (0.3, 0.5, 1.0, 0.0),
        (0.2, 0.1, 0.0, 3.0),
    ] {
        let variance = std * std + gain * (f64::from(value) - offset).max(0.0);
        let [mean, square, cube, fourth] =
            moments(&of_constant(vec![mixed(std, gain, offset)], value), f64::from(value), variance.sqrt());
        // Standard errors of the moments of N(0, 1): 1, sqrt 2, sqrt 15 and sqrt 96 over the root of N.
        let root = (N as f64).sqrt();
        let case = format!("std {std}, gain {gain}, offset {offset}, x {value}");
        assert!(mean.abs() < 4.5 / root, "{case}: mean {mean}");
        assert!((square - 1.0).abs() < 4.5 * 2f64.sqrt() / root, "{case}: variance {square}");
        assert!(cube.abs() < 4.5 * 15f64.sqrt() / root, "{case}: third moment {cube}");
        assert!((fourth - 3.0).abs() < 4.5 * 96f64.sqrt() / root, "{case}: fourth moment {fourth}");
    }
    // Without light there is no noise, and below the offset no light.
    assert_eq!(of_constant(vec![mixed(0.0, 0.2, -2.0)], -2.5), vec![-2.5; N]);
}

/// Its variance is that of counts with read noise, where a photon adds 4 / peak to the scaled signal.
#[test]
fn mixed_noise_has_the_moments_of_counts_with_read_noise() {
    let (peak, std) = (50.0, 0.15);
    for value in [-1.5, 0.0, 2.0] {
        let counted = of_constant(vec![PoissonConfig { peak }.into(), NoiseConfig { std: std.into() }.into()], value);
        let gaussian = of_constant(vec![mixed(std, 4.0 / peak, -2.0)], value);
        let [counted, gaussian] = [counted, gaussian].map(|y| moments(&y, f64::from(value), 1.0));
        // Standard errors of a variance v are v sqrt(2 / N), somewhat more for counts.
        assert!(
            (counted[0] - gaussian[0]).abs() < 5.0 * (2.0 * gaussian[1] / N as f64).sqrt(),
            "{counted:?} {gaussian:?}"
        );
        assert!((counted[1] / gaussian[1] - 1.0).abs() < 5.0 * 2.0 / (N as f64).sqrt(), "{counted:?} {gaussian:?}");
    }
}

fn levels(min: f64, max: f64) -> Compose {
    ChannelConfig(vec![NoiseLevelConfig { min, max }.into()]).build(4).unwrap()
}

/// ln a is uniform, and the noise of every observation has its own level.
#[test]
fn levels_are_uniform_on_a_logarithmic_scale_and_are_those_of_the_noise() {
    let channel = levels(0.01, 1.0);
    let seen = Observations::simulate(&channel, &Samples::zeros(N, 4), Key::new(4, Purpose::Observe, 0), 0);
    let place = |i: usize| (f64::from(seen.operator(i)[0]).ln() - 0.01f64.ln()) / 100f64.ln();
    let mut parts = [0usize; 10];
    (0..N).for_each(|i| parts[((place(i) * 10.0) as usize).min(9)] += 1);
    // A tenth of the draws each, with a standard deviation of 60.
    assert!(parts.iter().all(|n| n.abs_diff(N / 10) < 270), "{parts:?}");
    let square = |i: usize| seen.y.row(i).iter().map(|y| f64::from(y / seen.operator(i)[0]).powi(2)).sum::<f64>();
    let variance = (0..N).map(square).sum::<f64>() / (4 * N) as f64;
    assert!((variance - 1.0).abs() < 4.5 * (2.0 / (4 * N) as f64).sqrt(), "{variance}");
}

#[test]
fn the_network_is_told_the_logarithm_of_the_level() {
    let channel = levels(0.01, 1.0);
    for (level, expected) in [(0.01, -1.0), (0.1, 0.0), (1.0, 1.0), (0.0, -3.0), (1e9, 3.0)] {
        let mut c = vec![9.0; channel.condition_len()];
        channel.condition(&[0.5, 0.0, 0.0, -1.0], &[level], &mut c);
        assert_eq!(c[..4], [0.5, 0.0, 0.0, -1.0]);
        assert!((c[4] - expected).abs() < 1e-6, "{level}: {}", c[4]);
    }
    // Images have it as a plane.
    let shape = ImageShape { channels: 3, height: 4, width: 5 };
    let channel = ChannelConfig(vec![NoiseLevelConfig { min: 0.1, max: 0.1 }.into()]).build_image(shape).unwrap();
    let mut c = vec![9.0; channel.condition_len()];
    channel.condition(&[0.0; 60], &[0.1], &mut c);
    assert_eq!(c.len(), 80);
    assert!(c[60..].iter().all(|v| v.abs() < 1e-3), "{:?}", &c[60..]);
}

#[test]
fn the_update_knows_a_level_and_has_none_for_mixed_noise() {
    let shape = ImageShape { channels: 1, height: 20, width: 20 };
    let blur = || diffem::channel::BlurConfig { sigma: 1.0 }.into();
    let level = || NoiseLevelConfig { min: 0.1, max: 0.3 }.into();
    for (stages, expected) in [
        (vec![level()], OperatorStructure::Diagonal),
        (vec![blur(), level()], OperatorStructure::Spectral),
        (vec![level(), blur()], OperatorStructure::Spectral),
        (vec![blur(), mixed(0.1, 0.1, -2.0)], OperatorStructure::None),
        (vec![blur(), plug_in(0.1, 0.1)], OperatorStructure::Spectral),
    ] {
        let channel = ChannelConfig(stages).build_image(shape).unwrap();
        assert_eq!(structure_for(&channel, &ConditioningConfig::default()), expected);
    }
}

fn plug_in(std: f64, gain: f64) -> StageConfig {
    PoissonGaussianConfig { std: std.into(), gain: gain.into(), offset: -2.0, plug_in: true }.into()
}

/// The level is the root of the mean variance, so that it is exact where the signal is constant, and χ² is one on any.
#[test]
fn the_mean_variance_of_an_observation_is_its_level() {
    let (std, gain, d) = (0.1, 0.04, 4096);
    let channel = ChannelConfig(vec![plug_in(std, gain)]).build(d).unwrap();
    let flat = vec![1.0f32; d];
    let steep: Vec<f32> = (0..d).map(|i| -2.0 + 4.0 * i as f32 / d as f32).collect();
    for (x, mean) in [(flat, 1.0), (steep, 0.0)] {
        let seen =
            Observations::simulate(&channel, &Samples::new(x.repeat(20), d), Key::new(5, Purpose::Observe, 0), 0);
        let variance = std * std + gain * (mean + 2.0);
        for i in 0..20 {
            let level = f64::from(seen.operator(i)[0]);
            // The mean of y has the standard error .36 / 64, the variance .04 of it.
            assert!((level * level - variance).abs() < 4.5 * gain * 0.36 / 64.0, "{level} {variance}");
            let error = seen.y.row(i).iter().zip(&x).map(|(y, x)| f64::from(y - x).powi(2)).sum::<f64>() / d as f64;
            assert!((error / (level * level) - 1.0).abs() < 0.12, "{error} {level}");
        }
    }
    let linear = channel.as_linear().unwrap();
    assert!(!linear.is_exact() && channel.sees_signal());
    assert_eq!(channel.condition_len(), d + 1);
}

#[test]
fn bad_noise_is_named() {
    let message = |stage: StageConfig| ChannelConfig(vec![stage]).build(3).err().map(|e| e.to_string()).unwrap();
    for (stage, expected) in [
        (mixed(-1.0, 0.1, 0.0), "std: expected a number >= 0, found -1"),
        (mixed(0.1, f64::NAN, 0.0), "gain: expected a number >= 0, found NaN"),
        (mixed(0.1, 0.1, f64::INFINITY), "offset: expected a finite number, found inf"),
        (plug_in(0.0, 0.1), "std: expected a number > 0 for plug_in = true, found 0"),
        (NoiseLevelConfig { min: 0.0, max: 1.0 }.into(), "min: expected a number > 0, found 0"),
        (NoiseLevelConfig { min: 0.2, max: 0.1 }.into(), "max: expected a number >= 0.2 (min), found 0.1"),
    ] {
        assert_eq!(message(stage), format!("channel[0].{expected}"));
    }
}
