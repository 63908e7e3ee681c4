//! Values that are missing because of what they are.

use burn::tensor::Device;
use diffem::channel::{Channel, ChannelConfig, Compose, MaskConfig, NoiseConfig, SelfMaskConfig, Side, StageConfig};
use diffem::em::{EStepConfig, MStepConfig};
use diffem::image::ImageShape;
use diffem::network::MlpConfig;
use diffem::noise::{Key, Purpose};
use diffem::sampler::{Dpmpp2mSdeConfig, Spacing};
use diffem::{Em, Observations, Samples};

fn self_mask(threshold: f64, width: f64, side: Side) -> StageConfig {
    SelfMaskConfig { threshold, width, side }.into()
}

fn build(stages: Vec<StageConfig>, d: usize) -> Compose {
    ChannelConfig(stages).build(d).unwrap()
}

/// Observations of `n` signals that are all `x`.
fn seen(channel: &Compose, x: &[f32], n: usize) -> Observations {
    Observations::simulate(channel, &Samples::new(x.repeat(n), x.len()), Key::new(8, Purpose::Observe, 0), 0)
}

#[test]
fn a_censored_value_is_flagged_and_all_others_are_seen() {
    for (side, expected) in [(Side::Above, [1.0, 1.0, 0.0]), (Side::Below, [0.0, 1.0, 1.0])] {
        let channel = build(vec![self_mask(0.5, 0.0, side)], 3);
        let observed = seen(&channel, &[-1.0, 0.5, 2.0], 5);
        for i in 0..5 {
            assert_eq!(observed.operator(i), expected, "{side:?}");
            let shown = [if expected[0] == 0.0 { 0.0 } else { -1.0 }, 0.5, if expected[2] == 0.0 { 0.0 } else { 2.0 }];
            assert_eq!(observed.y.row(i), shown, "{side:?}");
        }
    }
}

#[test]
fn values_are_missing_with_the_probability_of_a_logistic() {
    let (n, x) = (20_000, [-1.0f32, 0.0, 0.3, 1.5]);
    for (side, sign) in [(Side::Above, 1.0), (Side::Below, -1.0)] {
        let channel = build(vec![self_mask(0.3, 0.5, side)], 4);
        let observed = seen(&channel, &x, n);
        for (j, &x) in x.iter().enumerate() {
            let missing = (0..n).filter(|&i| observed.operator(i)[j] == 0.0).count() as f64 / n as f64;
            let expected = 1.0 / (1.0 + (-sign * (f64::from(x) - 0.3) / 0.5).exp());
            let error = (expected * (1.0 - expected) / n as f64).sqrt();
            assert!((missing - expected).abs() < 4.5 * error, "{side:?} {x}: {missing}, expected {expected}");
        }
    }
}

/// A stage after the noise flags what the noise made of a signal: the same noise that the observation has.
#[test]
fn a_stage_sees_its_own_signal() {
    let channel = build(vec![NoiseConfig { std: 1.0.into() }.into(), self_mask(0.0, 0.0, Side::Above)], 4);
    let observed = seen(&channel, &[0.0; 4], 2000);
    let (mut flagged, mut total) = (0, 0);
    for i in 0..2000 {
        for (y, a) in observed.y.row(i).iter().zip(observed.operator(i)) {
            assert!(if *a == 1.0 { *y <= 0.0 } else { *y == 0.0 }, "y {y}, a {a}");
            (flagged, total) = (flagged + usize::from(*a == 0.0), total + 1);
        }
    }
    // Half of 8000, with a standard deviation of 45.
    assert!((flagged as f64 - total as f64 / 2.0).abs() < 200.0, "{flagged} of {total}");
    // Other parameters keep their place in `a`.
    let channel = build(vec![MaskConfig { rate: 0.5 }.into(), self_mask(0.5, 0.0, Side::Above)], 3);
    let observed = seen(&channel, &[1.0; 3], 50);
    for i in 0..50 {
        let (first, second) = observed.operator(i).split_at(3);
        assert!(first.iter().zip(second).all(|(first, second)| *second == 1.0 - *first), "{first:?} {second:?}");
    }
}

#[test]
fn chains_whose_parameters_depend_on_no_signal_draw_as_before() {
    let stages = vec![NoiseConfig { std: 0.5.into() }.into(), MaskConfig { rate: 0.5 }.into()];
    let channel = build(stages, 3);
    let (x, mut a, mut y) = ([0.3f32, -1.0, 2.0], [0.0; 3], [0.0; 3]);
    let observed = seen(&channel, &x, 4);
    for i in 0..4 {
        let mut stream = Key::new(8, Purpose::Observe, 0).stream(i, 0);
        channel.draw_operator(&mut stream, &mut a);
        channel.observe(&x, &a, &mut stream, &mut y);
        assert_eq!((observed.operator(i), observed.y.row(i)), (&a[..], &y[..]));
    }
}

#[test]
fn images_have_a_flag_for_every_color() {
    let shape = ImageShape { channels: 3, height: 4, width: 5 };
    let channel = ChannelConfig(vec![self_mask(1.9, 0.0, Side::Above)]).build_image(shape).unwrap();
    assert_eq!(channel.operator_shape(), [3, 4, 5]);
    assert_eq!((channel.condition_len(), channel.masks().into_iter().map(|mask| mask.len()).sum::<usize>()), (120, 60));
    let bad = |stage| ChannelConfig(vec![stage]).build(2).err().unwrap().to_string();
    let message = bad(self_mask(f64::NAN, 0.0, Side::Above));
    assert_eq!(message, "channel[0].threshold: expected a finite number, found NaN");
    let message = bad(self_mask(0.0, -1.0, Side::Above));
    assert_eq!(message, "channel[0].width: expected a number >= 0, found -1");
}

/// Observed pairs.
const PAIRS: usize = 4096;
/// Probability that the two values of a pair agree.
const AGREE: f64 = 0.8;
/// Deviation of a value from -1 or 1.
const SPREAD: f32 = 0.1;
/// Probabilities that a low and a high value is missing.
const MISSING: [f64; 2] = [0.2, 0.8];

/// Pairs of values near -1 or 1, as often low as high.
fn pairs() -> Samples {
    let mut x = Samples::zeros(PAIRS, 2);
    for i in 0..PAIRS {
        let mut stream = Key::new(1, Purpose::Truth, 0).stream(i, 0);
        let first = if stream.uniform() < 0.5 { -1.0 } else { 1.0 };
        let second = if stream.uniform() < AGREE { first } else { -first };
        for (x, center) in x.row_mut(i).iter_mut().zip([first, second]) {
            *x = center + SPREAD * stream.normal();
        }
    }
    x
}

/// Share of high values by exact EM on the four kinds of pairs, where a missing value was high with odds that count
/// `missing` [low, high] as the probabilities of its flag.
fn exact(observed: &Observations, missing: [f64; 2]) -> f64 {
    let high = |kind: usize, j: usize| kind >> j & 1;
    let mut law = [0.25f64; 4];
    for _ in 0..200 {
        let mut counts = [0.0f64; 4];
        for i in 0..observed.n() {
            let (y, a) = (observed.y.row(i), observed.operator(i));
            let of_value = |kind: usize, j: usize| match a[j] {
                0.0 => missing[high(kind, j)],
                _ => f64::from(u8::from((y[j] > 0.0) == (high(kind, j) == 1))),
            };
            let weights = [0, 1, 2, 3].map(|kind| law[kind] * of_value(kind, 0) * of_value(kind, 1));
            let total: f64 = weights.iter().sum();
            counts.iter_mut().zip(weights).for_each(|(count, weight)| *count += weight / total);
        }
        law = counts.map(|count| count / observed.n() as f64);
    }
    law[3] + 0.5 * (law[1] + law[2])
}

/// Share of high values among the reconstructions by a posterior that was trained with `stage`.
fn learned(stage: StageConfig, observed: &Observations) -> f64 {
    let sampler = Dpmpp2mSdeConfig { steps: 20, spacing: Spacing::Geometric };
    let em = Em::new(build(vec![stage], 2), observed.clone())
        .network(MlpConfig { width: 64, depth: 2, embedding: 16 })
        .e_step(EStepConfig { sampler: sampler.into(), ..Default::default() })
        .m_step(MStepConfig { batch: 256, ..Default::default() })
        .laps(6)
        .steps(300);
    let mut run = em.build(&Device::flex()).unwrap();
    run.run(|_| ()).unwrap();
    let x = run.reconstructions();
    x.as_slice().iter().filter(|v| **v > 0.0).count() as f64 / x.as_slice().len() as f64
}

/// High values are missing four times as often as low ones. The channel that knows it finds that half of the values are
/// high; one that takes values as missing at random does not, however well it fits: it finds the share that exact EM
/// finds without the flags.
#[test]
fn em_finds_values_that_are_missing_because_they_are_high() {
    // 1 / (1 + exp(-1 / w)) = .8 at a distance of 1 from the threshold.
    let stage = || self_mask(0.0, 1.0 / 4f64.ln(), Side::Above);
    let observed = Observations::observe(&build(vec![stage()], 2), &pairs(), 0);
    let (known, random) = (exact(&observed, MISSING), exact(&observed, [0.5, 0.5]));
    // The standard error of a share of 8192 values, half of them seen, is about .01.
    assert!((known - 0.5).abs() < 0.04 && random < 0.35, "known {known}, at random {random}");
    let found = learned(stage(), &observed);
    let biased = learned(MaskConfig { rate: 0.5 }.into(), &observed);
    // Six laps leave .4^6 of the start's error of .2, draws of missing values add .01, the network a few hundredths.
    assert!((found - known).abs() < 0.05, "found {found}, exact {known}");
    assert!((biased - random).abs() < 0.05, "found {biased} at random, exact {random}");
}
