//! Levels of the noise that are estimated from the observations.

use burn::tensor::Device;
use diffem::channel::{
    BlurConfig, Border, Channel, ChannelConfig, Compose, FourierMaskConfig, KernelConfig, Level, MaskConfig,
    NoiseConfig, Pattern, PixelMaskConfig, PoissonGaussianConfig, ProjectionConfig, StageConfig,
};
use diffem::em::estimate_noise;
use diffem::image::ImageShape;
use diffem::network::MlpConfig;
use diffem::noise::{Key, Purpose};
use diffem::{Em, Observations, Samples};

const D: usize = 12;
/// Dimensions that the signals span.
const SPANNED: usize = 4;
const STD: f64 = 0.3;
const UNKNOWN: StageConfig = StageConfig::Noise(NoiseConfig { std: Level::UNKNOWN });
const SHAPE: ImageShape = ImageShape { channels: 1, height: 16, width: 16 };

fn noise(std: impl Into<Level>) -> StageConfig {
    NoiseConfig { std: std.into() }.into()
}

fn build(stages: &[StageConfig]) -> Compose {
    ChannelConfig(stages.to_vec()).build(D).unwrap()
}

/// Signals of a Gaussian law on a subspace of 4 dimensions.
fn signals(n: usize) -> Samples {
    let mut x = Samples::zeros(n, D);
    for i in 0..n {
        let mut stream = Key::new(5, Purpose::Truth, 0).stream(i, 0);
        let z: Vec<f32> = (0..SPANNED).map(|_| stream.normal()).collect();
        for (j, x) in x.row_mut(i).iter_mut().enumerate() {
            *x = 0.5 + z.iter().enumerate().map(|(k, z)| z * ((j * (k + 1)) as f32 * 0.4).cos()).sum::<f32>() * 0.7;
        }
    }
    x
}

/// Smooth images of dark and bright places: sums of two slow waves.
fn images(n: usize) -> Samples {
    let mut x = Samples::zeros(n, SHAPE.len());
    for i in 0..n {
        let mut stream = Key::new(6, Purpose::Truth, 0).stream(i, 0);
        let [a, b, c]: [f32; 3] = std::array::from_fn(|_| stream.normal());
        for (j, x) in x.row_mut(i).iter_mut().enumerate() {
            let (row, column) = ((j / 16) as f32, (j % 16) as f32);
            *x = 0.5 * a * (0.3 * row + b).sin() + 0.5 * c * (0.3 * column + b).cos() + 0.3 * b;
        }
    }
    x
}

/// What is found where the noise of `known` is told as `unknown`.
fn found(x: &Samples, image: Option<ImageShape>, known: &[StageConfig], unknown: &[StageConfig]) -> Vec<f64> {
    let build = |stages: &[StageConfig]| match image {
        Some(shape) => ChannelConfig(stages.to_vec()).build_image(shape).unwrap(),
        None => build(stages),
    };
    let seen = Observations::observe(&build(known), x, 3);
    estimate_noise(&build(unknown), image, &seen).unwrap()
}

fn close(level: f64, truth: f64, tolerance: f64) {
    assert!((level / truth - 1.0).abs() < tolerance, "{level}, where {truth} is right");
}

/// The closed form: the noise of maximum likelihood is that of the 8 dimensions that the signals leave. Its standard error is
/// 1 / sqrt(2 * 8 * 3000) = .5 %, more through masks, which show a part of them.
#[test]
fn noise_beside_a_subspace_is_found() {
    let x = signals(3000);
    let stages: [(Vec<StageConfig>, f64); 2] = [(vec![], 0.015), (vec![MaskConfig { rate: 0.25 }.into()], 0.03)];
    for (before, tolerance) in stages {
        for std in [0.1, STD] {
            let [known, unknown] = [noise(std), UNKNOWN].map(|last| [before.clone(), vec![last]].concat());
            close(found(&x, None, &known, &unknown)[0], std, tolerance);
        }
    }
}

#[test]
fn noise_in_images_is_found_after_a_blur_and_under_masks() {
    let x = images(400);
    let masked = |noise: StageConfig| vec![noise, PixelMaskConfig { rate: 0.4, max_rate: None }.into()];
    let blurred = |noise: StageConfig| vec![BlurConfig { sigma: 1.0 }.into(), noise];
    close(found(&x, Some(SHAPE), &[noise(STD)], &[UNKNOWN])[0], STD, 0.02);
    close(found(&x, Some(SHAPE), &blurred(noise(STD)), &blurred(UNKNOWN))[0], STD, 0.02);
    close(found(&x, Some(SHAPE), &masked(noise(STD)), &masked(UNKNOWN))[0], STD, 0.05);
}

/// The closed form where the image has no texture: s² + g f is the variance where the light is f.
#[test]
fn mixed_noise_is_found_in_its_two_parts() {
    let x = images(800);
    let mixed = |std: Level, gain: Level| -> [StageConfig; 1] {
        [PoissonGaussianConfig { std, gain, offset: -2.0, plug_in: false }.into()]
    };
    let known = mixed(0.1.into(), 0.02.into());
    let both = found(&x, Some(SHAPE), &known, &mixed(Level::UNKNOWN, Level::UNKNOWN));
    close(both[0], 0.1, 0.1);
    close(both[1].powi(2), 0.02, 0.05);
    close(found(&x, Some(SHAPE), &known, &mixed(0.1.into(), Level::UNKNOWN))[0].powi(2), 0.02, 0.03);
    close(found(&x, Some(SHAPE), &known, &mixed(Level::UNKNOWN, 0.02.into()))[0], 0.1, 0.05);
}

/// White signals hide noise: what is found is the largest noise that the observations allow, all of their deviation.
#[test]
fn noise_under_white_signals_is_an_upper_bound() {
    let mut x = Samples::zeros(3000, D);
    Key::new(7, Purpose::Truth, 0).stream(0, 0).fill_normal(x.as_mut_slice());
    close(found(&x, None, &[noise(STD)], &[UNKNOWN])[0], 1f64.hypot(STD), 0.02);
}

#[test]
fn a_run_takes_what_is_found() {
    let seen = Observations::observe(&build(&[noise(STD)]), &signals(500), 3);
    let network = MlpConfig { width: 16, depth: 1, embedding: 8 };
    let run = Em::new(build(&[UNKNOWN]), seen).network(network).build(&Device::flex()).unwrap();
    let channel = &run.trainer().model().channel;
    let mut variance = [0.0; D];
    channel.as_linear().unwrap().write_noise_variance(&[], &mut variance);
    assert_eq!(channel.unknown_noise(), 0);
    close(variance[0].sqrt(), STD, 0.05);
}

/// Real images have conjugate coefficients at opposite frequencies, so what both measure tells the noise, whatever the images
/// are: here white ones, in which nothing else would. With columns in the center alone there are some 50 such values per image,
/// and the estimate has a standard error of 1 / sqrt(2 * 50 * 400) = .5 %.
#[test]
fn noise_of_frequencies_is_found_from_what_opposite_ones_say() {
    let mut white = Samples::zeros(400, SHAPE.len());
    Key::new(7, Purpose::Truth, 0).stream(0, 0).fill_normal(white.as_mut_slice());
    let mask =
        |pattern, complex| StageConfig::from(FourierMaskConfig { acceleration: 3.0, center: 0.2, pattern, complex });
    for pattern in [Pattern::Columns, Pattern::Points] {
        for std in [0.05, STD] {
            let chain = |last| [mask(pattern, false), last];
            close(found(&white, Some(SHAPE), &chain(noise(std)), &chain(UNKNOWN))[0], std, 0.02);
            let weights = Some(vec![vec![0.2, 0.6, 0.2]]);
            let kernel = KernelConfig { weights, sigma: None, size: 3, border: Border::Periodic };
            let blurred = |last| [kernel.clone().into(), mask(pattern, false), last];
            let level = found(&white, Some(SHAPE), &blurred(noise(std)), &blurred(UNKNOWN));
            close(level[0], std, 0.02);
        }
    }
    let complex = ImageShape { channels: 2, height: 16, width: 8 };
    let channel = ChannelConfig(vec![mask(Pattern::Columns, true), UNKNOWN]).build_image(complex).unwrap();
    let seen = Observations::observe(&channel, &white, 3);
    let error = estimate_noise(&channel, Some(complex), &seen).unwrap_err().to_string();
    assert!(
        error.contains("no value says again what others say (as opposite frequencies of real images do)"),
        "{error}"
    );
    // Noise of the images themselves leaves no contradiction.
    let before = ChannelConfig(vec![UNKNOWN, mask(Pattern::Columns, false)]).build_image(SHAPE).unwrap();
    assert!(estimate_noise(&before, Some(SHAPE), &Observations::observe(&before, &white, 3)).is_err());
}

#[test]
fn what_cannot_be_told_is_refused() {
    let refused = |stages: &[StageConfig], n: usize| {
        let channel = build(stages);
        let seen = Observations::observe(&channel, &signals(n), 3);
        estimate_noise(&channel, None, &seen).unwrap_err().to_string()
    };
    let two = refused(&[noise(0.1), UNKNOWN], 500);
    assert!(two.starts_with("std: \"unknown\" is estimated only where it is the only noise"), "{two}");
    let projected = refused(&[ProjectionConfig { rows: 3 }.into(), UNKNOWN], 500);
    assert!(projected.contains("their operators differ"), "{projected}");
    let few = refused(&[UNKNOWN], 20);
    assert_eq!(few, "std: \"unknown\" needs at least 48 observations of 12 values each, found 20");
}
