//! Channels of images: their distributions, the blur against an independent convolution and scipy, and the
//! features that the network receives.

use super::normal;
use diffem::channel::{
    BlockMaskConfig, BlurConfig, Border, Channel, ChannelConfig, Compose, DownsampleConfig, FourierMaskConfig,
    JpegConfig, KernelConfig, Maps, MulticoilConfig, NoiseConfig, NoiseLevelConfig, Pattern, PixelMaskConfig,
    PoissonConfig, ProjectionConfig, QuantizationConfig, RadonConfig, SaturationConfig, StageConfig,
};
use diffem::conditioning::Standardizer;
use diffem::conditioning::{Conditioning, ConditioningConfig, MAX_DENSE, feature_len};
use diffem::em::corrupted_init;
use diffem::image::ImageShape;
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Samples};

const SMALL: ImageShape = ImageShape { channels: 3, height: 6, width: 4 };
const LARGE: ImageShape = ImageShape { channels: 3, height: 64, width: 64 };

fn build(shape: ImageShape, stages: Vec<StageConfig>) -> Compose {
    ChannelConfig(stages).build_image(shape).unwrap()
}

fn pixel_mask(rate: f64) -> StageConfig {
    PixelMaskConfig { rate, max_rate: None }.into()
}

fn frequencies(pattern: Pattern, complex: bool) -> StageConfig {
    FourierMaskConfig { acceleration: 2.0, center: 0.25, pattern, complex }.into()
}

fn coils(complex: bool) -> StageConfig {
    MulticoilConfig { coils: 3, maps: Maps::Made, acceleration: 2.0, center: 0.25, pattern: Pattern::Columns, complex }
        .into()
}

fn own_coils(complex: bool) -> StageConfig {
    let (maps, pattern) = (Maps::Each, Pattern::Points);
    MulticoilConfig { coils: 2, maps, acceleration: 2.0, center: 0.25, pattern, complex }.into()
}

/// A kernel that no reflection and no rotation maps to itself.
fn kernel() -> StageConfig {
    bordered(Border::Periodic)
}

fn bordered(border: Border) -> StageConfig {
    let weights = vec![vec![0.1, 0.3, 0.0], vec![0.0, 0.4, 0.15], vec![0.0, 0.05, 0.0]];
    KernelConfig { weights: Some(weights), sigma: None, size: 9, border }.into()
}

/// Linear channels on color images.
pub fn registry() -> Vec<(&'static str, usize, Compose)> {
    let noise = || NoiseConfig { std: 0.1.into() }.into();
    let lower = || DownsampleConfig { factor: 2 }.into();
    let stages = [
        ("pixel-mask", vec![pixel_mask(0.4)]),
        ("pixel-mask, own rates", vec![PixelMaskConfig { rate: 0.1, max_rate: Some(0.9) }.into()]),
        ("block-mask", vec![BlockMaskConfig { height: 3, width: 2 }.into()]),
        ("blur", vec![BlurConfig { sigma: 0.7 }.into()]),
        ("blur wider than the image", vec![BlurConfig { sigma: 5.0 }.into()]),
        ("downsample", vec![lower()]),
        ("pixel-mask, noise", vec![pixel_mask(0.4), noise()]),
        ("blur, downsample, noise", vec![BlurConfig { sigma: 1.0 }.into(), lower(), noise()]),
        ("fourier-mask", vec![frequencies(Pattern::Columns, false)]),
        ("fourier-mask of points, noise", vec![frequencies(Pattern::Points, false), noise()]),
        ("kernel", vec![kernel(), noise()]),
        (
            "kernel per image",
            vec![
                KernelConfig { weights: None, sigma: Some([0.5, 1.5]), size: 3, border: Border::Periodic }.into(),
                noise(),
            ],
        ),
        ("kernel, noise-level", vec![kernel(), NoiseLevelConfig { min: 0.05, max: 0.2 }.into()]),
        ("kernel within zeros, noise", vec![bordered(Border::Zero), noise()]),
        (
            "kernel per image within zeros",
            vec![KernelConfig { weights: None, sigma: Some([0.5, 1.5]), size: 3, border: Border::Zero }.into()],
        ),
        ("multicoil", vec![coils(false)]),
        ("multicoil, noise, of complex images", vec![coils(true), noise()]),
        ("multicoil with maps of its own, noise", vec![own_coils(false), noise()]),
        ("noise, multicoil of complex images with maps of their own", vec![noise(), own_coils(true)]),
        ("radon", vec![RadonConfig { angles: 5, random_start: false }.into()]),
        ("radon from angles of their own, noise", vec![RadonConfig { angles: 4, random_start: true }.into(), noise()]),
        ("kernel, fourier-mask", vec![kernel(), frequencies(Pattern::Columns, false)]),
        ("downsample, blur, pixel-mask", vec![lower(), BlurConfig { sigma: 0.8 }.into(), pixel_mask(0.5)]),
    ];
    let complex = ImageShape { channels: 2, ..SMALL };
    let shape = |name: &str| if name.contains("complex") { complex } else { SMALL };
    stages.into_iter().map(|(name, stages)| (name, shape(name).len(), build(shape(name), stages))).collect()
}

fn observe(channel: &Compose, x: &[f32], index: usize) -> Vec<f32> {
    let (mut y, mut a) = (vec![0.0; channel.observation_len()], vec![0.0; channel.operator_len()]);
    let mut stream = Key::new(21, Purpose::Observe, 0).stream(index, 0);
    channel.draw_operator(&mut stream, &mut a);
    channel.observe(x, &a, &mut stream, &mut y);
    y
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// A smooth color image with values in [-2, 2].
fn picture(shape: ImageShape) -> Vec<f32> {
    let place = |i: usize| (i / shape.pixels(), i % shape.pixels() / shape.width, i % shape.width);
    let value = |(c, i, j): (usize, usize, usize)| {
        let (u, v) = (i as f32 / shape.height as f32, j as f32 / shape.width as f32);
        1.6 * (3.0 * u + c as f32).sin() * (4.0 * v - 0.5 * c as f32).cos()
    };
    (0..shape.len()).map(|i| value(place(i))).collect()
}

#[test]
fn masks_are_shared_by_the_colors_and_hide_at_their_rates() {
    let channel = build(LARGE, vec![PixelMaskConfig { rate: 0.2, max_rate: Some(0.8) }.into()]);
    let x = Samples::new(vec![1.0; 100 * LARGE.len()], LARGE.len());
    let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
    let rate = |i: usize| seen.operator(i).iter().filter(|a| **a == 0.0).count() as f64 / LARGE.pixels() as f64;
    let rates: Vec<f64> = (0..100).map(rate).collect();
    for i in 0..100 {
        assert!(seen.y.row(i).chunks(LARGE.pixels()).all(|plane| plane == seen.operator(i)));
    }
    // With 4096 pixels per image, the standard error of a rate is below .008; 100 rates leave no tenth of the
    // range empty at either end.
    let (least, most) = rates.iter().fold((1.0f64, 0.0f64), |(l, m), r| (l.min(*r), m.max(*r)));
    assert!((0.17..0.26).contains(&least) && (0.74..0.83).contains(&most), "{least} {most}");
    let mean = rates.iter().sum::<f64>() / 100.0;
    assert!((mean - 0.5).abs() < 4.0 * 0.6 / 12f64.sqrt() / 10.0, "{mean}");
    assert_eq!(channel.operator_shape(), [64, 64]);
}

#[test]
fn a_block_is_missing_at_every_place_that_fits() {
    let channel = build(SMALL, vec![BlockMaskConfig { height: 2, width: 3 }.into()]);
    let mut places = std::collections::BTreeMap::new();
    for i in 0..1000 {
        let mut a = vec![0.0; SMALL.pixels()];
        channel.draw_operator(&mut Key::new(2, Purpose::Observe, 0).stream(i, 0), &mut a);
        let hidden: Vec<usize> = (0..a.len()).filter(|&p| a[p] == 0.0).collect();
        let corner = hidden[0];
        assert_eq!(hidden, [0, 1, 2, 4, 5, 6].map(|p| corner + p));
        *places.entry(corner).or_insert(0) += 1;
    }
    // Each of the 5 x 2 places is drawn 100 times on average, with standard deviation 9.5.
    assert!(places.len() == 10 && places.values().all(|n| (60..140).contains(n)), "{places:?}");
}

/// Blurs the image by a plain sum over the plane with the 2-D kernel, mirroring one step at a time.
fn direct(shape: ImageShape, sigma: f64, x: &[f32]) -> Vec<f32> {
    let reach = (4.0 * sigma).ceil() as i64;
    let mirror = |mut p: i64, n: i64| {
        while !(0..n).contains(&p) {
            p = if p < 0 { -1 - p } else { 2 * n - 1 - p };
        }
        p
    };
    let (h, w) = (shape.height as i64, shape.width as i64);
    let weight = |i: i64, j: i64| (-((i * i + j * j) as f64) / (2.0 * sigma * sigma)).exp();
    let offsets: Vec<(i64, i64)> = (-reach..=reach).flat_map(|i| (-reach..=reach).map(move |j| (i, j))).collect();
    let total: f64 = offsets.iter().map(|&(i, j)| weight(i, j)).sum();
    let at = |c: i64, i: i64, j: i64| x[((c * h + mirror(i, h)) * w + mirror(j, w)) as usize] as f64;
    let pixel = |p: i64| {
        let (c, i, j) = (p / (h * w), p / w % h, p % w);
        (offsets.iter().map(|&(k, l)| weight(k, l) * at(c, i + k, j + l)).sum::<f64>() / total) as f32
    };
    (0..shape.len() as i64).map(pixel).collect()
}

#[test]
fn blur_is_the_plain_convolution_and_keeps_constants() {
    for sigma in [0.1, 0.6, 1.5, 7.0] {
        let blur = build(SMALL, vec![BlurConfig { sigma }.into()]);
        let x = normal(SMALL.len(), 4);
        let y = observe(&blur, &x, 0);
        assert!(worst(&y, &direct(SMALL, sigma, &x)) < 1e-5, "sigma {sigma}");
        assert!(worst(&observe(&blur, &vec![1.5; SMALL.len()], 0), &vec![1.5; SMALL.len()]) < 1e-5);
        // The DC gain is 1 in every color, so the mean of a plane is preserved.
        for (x, y) in x.chunks(SMALL.pixels()).zip(y.chunks(SMALL.pixels())) {
            assert!((x.iter().sum::<f32>() - y.iter().sum::<f32>()).abs() < 1e-4);
        }
    }
}

#[derive(serde::Deserialize)]
struct Golden {
    grid: f32,
    cases: Vec<GoldenCase>,
}

#[derive(serde::Deserialize)]
struct GoldenCase {
    height: usize,
    width: usize,
    sigma: f64,
    x: Vec<i32>,
    y: Vec<f32>,
}

#[test]
fn blur_agrees_with_scipy() {
    let golden: Golden = serde_json::from_str(include_str!("../../golden/blur.json")).unwrap();
    assert_eq!(golden.cases.len(), 3);
    for GoldenCase { height, width, sigma, x, y } in golden.cases {
        let blur = build(ImageShape { channels: 1, height, width }, vec![BlurConfig { sigma }.into()]);
        let x: Vec<f32> = x.iter().map(|&v| v as f32 / golden.grid).collect();
        assert!(worst(&observe(&blur, &x, 0), &y) < 2e-6, "sigma {sigma}");
    }
}

#[test]
fn downsampling_is_the_mean_of_blocks_and_lifting_repeats_it() {
    let shape = ImageShape { channels: 1, height: 2, width: 4 };
    let channel = build(shape, vec![DownsampleConfig { factor: 2 }.into()]);
    let y = observe(&channel, &[1.0, 2.0, 0.0, 0.5, 3.0, 4.0, -1.0, 0.5], 0);
    assert_eq!(y, [2.5, 0.0]);
    let mut c = vec![9.0; channel.condition_len()];
    channel.condition(&y, &[], &mut c);
    assert_eq!(c, [2.5, 2.5, 0.0, 0.0, 2.5, 2.5, 0.0, 0.0]);
}

#[test]
fn the_network_sees_whole_planes() {
    let shape = ImageShape { channels: 1, height: 2, width: 4 };
    let stages = vec![
        pixel_mask(0.5),
        DownsampleConfig { factor: 2 }.into(),
        NoiseConfig { std: 0.1.into() }.into(),
        pixel_mask(0.5),
    ];
    let channel = build(shape, stages);
    assert_eq!((channel.observation_len(), channel.operator_len(), channel.condition_len()), (2, 10, 24));
    let (y, first) = ([0.5, 0.0], [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0]);
    let mut c = vec![9.0; 24];
    channel.condition(&y, &[&first[..], &[1.0, 0.0]].concat(), &mut c);
    assert_eq!(c[..8], [0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0]);
    assert_eq!(c[8..16], first);
    assert_eq!(c[16..], [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    let pixels = LARGE.pixels();
    let planes = |stages| build(LARGE, stages).condition_len() / pixels;
    assert_eq!(planes(vec![pixel_mask(0.5), NoiseConfig { std: 0.1.into() }.into()]), 4);
    assert_eq!(planes(vec![DownsampleConfig { factor: 4 }.into(), NoiseConfig { std: 0.1.into() }.into()]), 3);
}

/// 64 x 64 color images: a d x d matrix would take 1.2 GB, and 64 of them all memory.
#[test]
fn large_images_start_from_what_was_seen_without_matrices() {
    let mut x = Samples::new(picture(LARGE).repeat(64), LARGE.len());
    (0..64).for_each(|i| x.row_mut(i).iter_mut().for_each(|v| *v *= 1.0 - i as f32 / 200.0));
    let settings = ConditioningConfig::default();
    let standardizer = Standardizer::of(&x, diffem::conditioning::Standardize::Directions, false);
    assert!(standardizer.is_diagonal());
    let noise = || NoiseConfig { std: 0.1.into() }.into();
    for (stages, linear, whole) in [
        (vec![pixel_mask(0.5), noise()], true, true),
        (vec![BlurConfig { sigma: 2.0 }.into(), noise()], true, true),
        (vec![DownsampleConfig { factor: 4 }.into(), noise()], true, false),
        (vec![QuantizationConfig { levels: 4 }.into(), DownsampleConfig { factor: 2 }.into()], false, false),
    ] {
        let channel = build(LARGE, stages);
        let seen = Observations::simulate(&channel, &x, Key::new(3, Purpose::Observe, 0), 0);
        let start = corrupted_init(&channel, &seen).unwrap();
        assert_eq!((start.n(), start.d()), (64, LARGE.len()));
        let mut lifted = vec![0.0; LARGE.len()];
        channel.lift(seen.y.row(7), &mut lifted);
        assert_eq!(start.row(7), lifted);
        assert_eq!(start == seen.y, whole);
        let conditioning = Conditioning { channel: &channel, config: &settings, standardizer: &standardizer };
        let mut features = vec![0.0; feature_len(&channel, &settings)];
        assert_eq!(features.len(), channel.condition_len());
        let update = conditioning.condition(seen.y.row(0), seen.operator(0), &mut features);
        assert_eq!(update.is_some(), linear);
        // In coordinates with a single scale a blur is diagonal in its basis.
        let standardizer = Standardizer::of(&x, diffem::conditioning::Standardize::Scale, false);
        let scaled = Conditioning { standardizer: &standardizer, ..conditioning };
        let update = scaled.condition(seen.y.row(0), seen.operator(0), &mut features);
        assert_eq!(update.is_some(), linear);
    }
    assert!(SMALL.len() <= MAX_DENSE && LARGE.len() > MAX_DENSE);
}

#[test]
fn counts_have_the_mean_and_variance_of_a_poisson_law() {
    let n = 40_000;
    let shape = ImageShape { channels: 1, height: 200, width: 200 };
    for (peak, value) in [(0.5, 0.0), (8.0, 2.0), (12.0, 2.0), (40.0, -1.0), (1e4, 1.0), (1e8, 2.0)] {
        let channel = build(shape, vec![PoissonConfig { peak }.into()]);
        let y = observe(&channel, &vec![value; n], 5);
        let mean = peak * (value as f64 + 2.0) / 4.0;
        let counts: Vec<f64> = y.iter().map(|&y| (y as f64 + 2.0) / 4.0 * peak).collect();
        let average = counts.iter().sum::<f64>() / n as f64;
        let variance = counts.iter().map(|k| (k - average) * (k - average)).sum::<f64>() / n as f64;
        // The standard errors are sqrt(λ/n) for the mean and λ sqrt((2 + 1/λ)/n) for the variance.
        let (e, v) = ((mean / n as f64).sqrt(), mean * ((2.0 + 1.0 / mean) / n as f64).sqrt());
        assert!((average - mean).abs() < 4.5 * e, "mean {mean}: {average}");
        assert!((variance - mean).abs() < 4.5 * v, "variance {mean}: {variance}");
    }
    // Values below -2 are dark.
    let channel = build(shape, vec![PoissonConfig { peak: 10.0 }.into()]);
    assert!(observe(&channel, &vec![-2.5; n], 0).iter().all(|y| *y == -2.0));
}

#[test]
fn sensors_saturate_and_quantize() {
    let x: Vec<f32> = (0..SMALL.len()).map(|i| -2.5 + 5.0 * i as f32 / (SMALL.len() - 1) as f32).collect();
    let y = observe(&build(SMALL, vec![SaturationConfig { low: -0.5, high: 1.0 }.into()]), &x, 0);
    assert!(x.iter().zip(&y).all(|(x, y)| *y == x.clamp(-0.5, 1.0)));
    for levels in [2u32, 5, 16] {
        let mut y = observe(&build(SMALL, vec![QuantizationConfig { levels }.into()]), &x, 0);
        assert!(x.iter().zip(&y).all(|(x, y)| (x.clamp(-2.0, 2.0) - y).abs() <= 2.0 / (levels - 1) as f32 + 1e-6));
        y.dedup();
        assert_eq!(y.len(), levels as usize);
        assert_eq!((y[0], y[y.len() - 1]), (-2.0, 2.0));
    }
}

#[test]
fn the_same_key_gives_the_same_draw() {
    for stages in [
        vec![pixel_mask(0.5)],
        vec![BlockMaskConfig { height: 2, width: 2 }.into()],
        vec![PoissonConfig { peak: 30.0 }.into()],
    ] {
        let channel = build(LARGE, stages);
        let x = picture(LARGE);
        assert_eq!(observe(&channel, &x, 1), observe(&channel, &x, 1));
        assert!((2..6).any(|i| observe(&channel, &x, 1) != observe(&channel, &x, i)));
    }
}

#[cfg(feature = "jpeg")]
#[test]
fn jpeg_loses_little_at_95_and_much_at_5() {
    for shape in [LARGE, ImageShape { channels: 1, height: 28, width: 30 }] {
        // The picture is smooth with some noise; colors and rows must return to their places.
        let x: Vec<f32> = picture(shape).iter().zip(normal(shape.len(), 9)).map(|(x, z)| x + 0.05 * z).collect();
        let error = |quality: u8| {
            let channel = build(shape, vec![JpegConfig { quality }.into()]);
            let y = observe(&channel, &x, 0);
            assert_eq!(y, observe(&channel, &x, 1), "deterministic");
            let difference: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x - y).collect();
            (super::dot(&difference, &difference) / x.len() as f64).sqrt()
        };
        let (fine, coarse) = (error(95), error(5));
        // Rounding to 8 bits alone gives .0045; values span 4.
        assert!(fine < 0.06 && coarse > 0.08 && coarse > 2.0 * fine, "{fine} {coarse}");
    }
}

#[cfg(not(feature = "jpeg"))]
#[test]
fn without_its_feature_jpeg_says_so() {
    let message = ChannelConfig(vec![JpegConfig { quality: 50 }.into()]).build_image(SMALL).err().unwrap().to_string();
    assert_eq!(message, "channel[0].kind: \"jpeg\" needs the cargo feature `jpeg`, which this build lacks");
}

#[test]
fn bad_parameters_are_named() {
    let message = |stages| ChannelConfig(stages).build_image(SMALL).err().map(|e| e.to_string()).unwrap_or_default();
    for (stage, expected) in [
        (pixel_mask(1.0), "rate: expected a number in [0, 1), found 1"),
        (
            PixelMaskConfig { rate: 0.5, max_rate: Some(0.4) }.into(),
            "max_rate: expected a number in [0.5, 1), found 0.4",
        ),
        (BlockMaskConfig { height: 7, width: 1 }.into(), "height: expected 1 to 6 (the image's height), found 7"),
        (BlockMaskConfig { height: 1, width: 0 }.into(), "width: expected 1 to 4 (the image's width), found 0"),
        (BlurConfig { sigma: 0.0 }.into(), "sigma: expected a number in (0, 100000] pixels, found 0"),
        (
            DownsampleConfig { factor: 4 }.into(),
            "factor: expected a number >= 1 that divides the image's sides 6 x 4, found 4",
        ),
        (PoissonConfig { peak: -1.0 }.into(), "peak: expected a number in (0, 1000000000], found -1"),
        (SaturationConfig { low: 1.0, high: 1.0 }.into(), "high: expected a finite number above low = 1, found 1"),
        (QuantizationConfig { levels: 1 }.into(), "levels: expected 2 to 65536, found 1"),
        #[cfg(feature = "jpeg")]
        (JpegConfig { quality: 0 }.into(), "quality: expected 1 to 100, found 0"),
    ] {
        assert_eq!(message(vec![stage]), format!("channel[0].{expected}"));
    }
    // The shape is followed through the stages, and lost where a matrix mixes the pixels.
    assert_eq!(
        message(vec![DownsampleConfig { factor: 2 }.into(), BlockMaskConfig { height: 4, width: 1 }.into()]),
        "channel[1].height: expected 1 to 3 (the image's height), found 4"
    );
    assert_eq!(
        message(vec![ProjectionConfig { rows: 8 }.into(), BlurConfig { sigma: 1.0 }.into()]),
        "channel[1].kind: \"blur\" needs images: here the signal is a vector of length 8"
    );
    let vector = ChannelConfig(vec![pixel_mask(0.5)]).build(9).err().unwrap().to_string();
    assert_eq!(vector, "channel[0].kind: \"pixel-mask\" needs images: here the signal is a vector of length 9");
}
