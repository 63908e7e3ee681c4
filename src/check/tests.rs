use super::*;
use crate::channel::{
    ChannelConfig, Compose, MaskConfig, NoiseConfig, PixelMaskConfig, QuantizationConfig, StageConfig,
};
use crate::image::ImageShape;
use crate::observations::Observations;

const SHAPE: ImageShape = ImageShape { channels: 3, height: 4, width: 5 };
const TRAINING: Inspection = Inspection { training: true, image: None, range: None };

fn mask() -> StageConfig {
    MaskConfig { rate: 0.5 }.into()
}

fn noise(std: f64) -> StageConfig {
    NoiseConfig { std: std.into() }.into()
}

/// Signals of 4 values with a common part.
fn signals(n: usize) -> Samples {
    Samples::new((0..4 * n).map(|i| (i as f32 * 0.7).sin() + (i as f32 * 0.05).cos()).collect(), 4)
}

fn seen(stages: Vec<StageConfig>, n: usize) -> (Compose, Observations) {
    let channel = ChannelConfig(stages).build(4).unwrap();
    let seen = Observations::observe(&channel, &signals(n), 0);
    (channel, seen)
}

/// What the check says of masked signals after `change` of (y, a): an error, or the warnings.
fn said(change: impl Fn(&mut f32, &mut f32)) -> String {
    let (channel, Observations { mut y, a }) = seen(vec![mask()], 50);
    let mut a = a.unwrap();
    y.as_mut_slice().iter_mut().zip(a.as_mut_slice()).for_each(|(y, a)| change(y, a));
    told(&channel, Observations { y, a: Some(a) }, &TRAINING)
}

fn told(channel: &Compose, seen: Observations, inspection: &Inspection) -> String {
    match seen.inspected(channel, inspection) {
        Err(error) => format!("error: {error}"),
        Ok((_, warnings)) => warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn simulated_observations_pass_unchanged() {
    let stages = [vec![mask()], vec![noise(0.3), mask()], vec![mask(), noise(0.3)], vec![noise(0.1)]];
    for stages in stages {
        let (channel, seen) = seen(stages, 2000);
        let (same, warnings) = seen.clone().inspected(&channel, &TRAINING).unwrap();
        // A mask of four values sometimes shows none of them.
        let chance = warnings.iter().all(|w| w.message.contains("shows nothing"));
        assert!(same == seen && chance, "{warnings:?}");
    }
}

#[test]
fn a_mask_holds_zeros_and_ones_only() {
    type Change = fn(f32) -> f32;
    let cases: [(Change, &str); 7] = [
        (
            |a| 255.0 * a,
            "is 255; a mask holds 0 where a value is missing and 1 where it is seen. It holds 0 and 255: divide it by 255",
        ),
        (|a| -a, "It holds -1 and 0: save `-a` if -1 means seen"),
        (|a| 2.0 * a - 1.0, "It holds -1 and 1: save `(a + 1) / 2`"),
        (|a| a.max(0.001), "save `a > 0.5`, and 0 in `y` where that is false"),
        (|a| 0.7 * a + 0.1, "It holds values between 0.1 and 0.8"),
        (|a| a + 1.0, "It holds values up to 2"),
        (|a| if a > 0.0 { f32::NAN } else { 0.0 }, "is NaN; expected finite numbers"),
    ];
    for (change, expected) in cases {
        let said = said(|_, a| *a = change(*a));
        assert!(said.starts_with("error: operators a: the value at [0, ") && said.contains(expected), "{said}");
    }
}

#[test]
fn an_inverted_mask_is_told_by_what_it_shows() {
    for fill in [0.0, -999.0, f32::NAN] {
        let said = said(|y, a| {
            *y = if *a == 0.0 { fill } else { *y };
            *a = 1.0 - *a;
        });
        let expected = format!("error: operators a: the mask is inverted: y is {fill} wherever a = 1");
        assert!(said.starts_with(&expected) && said.ends_with("save `1 - a`"), "{said}");
    }
}

#[test]
fn an_inverted_mask_is_told_through_noise() {
    let (channel, mut inverted) = seen(vec![mask(), noise(0.05)], 50);
    inverted.a.iter_mut().for_each(|a| a.as_mut_slice().iter_mut().for_each(|a| *a = 1.0 - *a));
    assert!(told(&channel, inverted, &TRAINING).contains("the mask is inverted: y is noise wherever a = 1"));
}

#[test]
fn values_under_the_mask_are_read_as_zero() {
    for stages in [vec![mask()], vec![noise(0.1), mask()], vec![mask(), noise(0.1)]] {
        let (channel, right) = seen(stages, 50);
        let hidden = |i: usize, j: usize| right.a.as_ref().unwrap().row(i)[j] == 0.0;
        for fill in [f32::NAN, f32::INFINITY, -999.0, 5.0] {
            let mut wrong = right.clone();
            (0..50).for_each(|i| (0..4).filter(|&j| hidden(i, j)).for_each(|j| wrong.y.row_mut(i)[j] = fill));
            let (read, warnings) = wrong.inspected(&channel, &TRAINING).unwrap();
            for i in 0..50 {
                (0..4).for_each(|j| {
                    let expected = if hidden(i, j) { 0.0 } else { right.y.row(i)[j] };
                    assert_eq!(read.y.row(i)[j], expected);
                });
            }
            let told =
                warnings.iter().any(|w| w.message.contains("where `a` says that nothing is seen; they are read as 0"));
            assert_eq!(told, fill.is_finite(), "{warnings:?}");
        }
    }
}

#[test]
fn a_number_that_is_none_is_refused_where_it_is_seen() {
    let said = said(|y, a| *y = if *a > 0.0 && *y > 1.5 { f32::INFINITY } else { *y });
    assert!(said.starts_with("error: observations y: the value at [") && said.contains("] is inf (the first of "));
    assert!(said.ends_with("mark it as missing (0 in `a` and in `y`), or remove that row"), "{said}");
    // A stage after the mask turns what is missing into something else, which must be a number.
    let (channel, mut seen) = seen(vec![mask(), QuantizationConfig { levels: 8 }.into()], 50);
    seen.y.as_mut_slice()[3] = f32::NAN;
    assert!(told(&channel, seen, &TRAINING).contains("the value at [0, 3] is NaN; expected"));
}

#[test]
fn rows_and_columns_that_are_never_seen_are_told_once() {
    let (channel, Observations { y, a }) = seen(vec![mask()], 50);
    let mut a = a.unwrap();
    (0..50).for_each(|i| a.row_mut(i)[2] = 0.0);
    a.row_mut(7).fill(0.0);
    let y = Samples::new(y.as_slice().iter().zip(a.as_slice()).map(|(y, a)| y * a).collect(), 4);
    let said = told(&channel, Observations { y, a: Some(a) }, &TRAINING);
    assert!(said.contains("observations y: row ") && said.contains("shows nothing"), "{said}");
    assert!(said.contains("observations y: value 2 is missing in every row"), "{said}");
}

#[test]
fn there_is_something_to_learn() {
    let nothing = said(|y, a| (*y, *a) = (0.0, 0.0));
    assert!(nothing.starts_with("error: observations y: all values are missing"), "{nothing}");
    let constant = said(|y, a| *y = 0.5 * *a);
    assert!(constant.starts_with("error: observations y: all values that are seen are 0.5: there is no spread"));
    let (channel, seen) = seen(vec![noise(0.1)], 50);
    let same = seen.select(&[3; 50]);
    assert!(told(&channel, same.clone(), &TRAINING).contains("all rows are the same"));
    assert_eq!(told(&channel, same, &Inspection::default()), "");
}

#[test]
fn another_scale_is_told() {
    let scaled = |scale: f32, shift: f32| {
        let (channel, mut seen) = seen(vec![noise(0.01)], 500);
        seen.y.as_mut_slice().iter_mut().for_each(|v| *v = *v * scale + shift);
        told(&channel, seen, &TRAINING)
    };
    assert_eq!(scaled(1.0, 0.0), "");
    for (scale, shift) in [(1e-6, 0.0), (1e6, 0.0), (1.0, 1000.0)] {
        assert!(scaled(scale, shift).contains("the noise levels of the schedule assume about 0 and 1"));
    }
}

fn pictures(n: usize) -> (Compose, Observations) {
    let stages = vec![noise(0.01), PixelMaskConfig { rate: 0.5, max_rate: None }.into()];
    let channel = ChannelConfig(stages).build_image(SHAPE).unwrap();
    let x = Samples::new((0..60 * n).map(|i| 2.0 * (i as f32 * 0.7).sin()).collect(), 60);
    let seen = Observations::observe(&channel, &x, 0);
    (channel, seen)
}

#[test]
fn pixels_of_another_scale_are_told_with_the_way_to_ours() {
    let (channel, seen) = pictures(100);
    let pictures = Inspection { image: Some(SHAPE), ..TRAINING };
    let scaled = |f: &dyn Fn(f32) -> f32| {
        let mut seen = seen.clone();
        seen.y.as_mut_slice().iter_mut().filter(|v| **v != 0.0).for_each(|v| *v = f(*v));
        told(&channel, seen, &pictures)
    };
    assert_eq!(scaled(&|v| v), "");
    let byte = |v: f32| ((v + 2.0) / 4.0 * 255.0).clamp(0.0, 255.0);
    assert!(scaled(&byte).contains("save `y / 255 * 4 - 2`, and 0 where a value is missing"), "{}", scaled(&byte));
    assert!(scaled(&|v| byte(v) / 255.0).contains("pixels in [0, 1], save `y * 4 - 2`"));
    assert!(scaled(&|v| v / 2.0).contains("pixels in [-1, 1], save `y * 2`"));
    assert!(scaled(&|v| v * 3.0).contains("or set conditioning.range"));
    let truth = Samples::new((0..1200).map(|i| (i % 256) as f32).collect(), 60);
    let told = pictures.of_signals(&truth).unwrap().to_string();
    assert!(told.starts_with("signals x: the values lie in [0, 255]"), "{told}");
    assert_eq!(TRAINING.of_signals(&truth), None);
}

#[test]
fn noise_may_leave_the_range_behind_a_blur_too() {
    let stages = r#"[{"kind":"kernel","sigma":[0.5,1.0],"size":3},{"kind":"noise","std":0.3}]"#;
    let channel = stages.parse::<ChannelConfig>().unwrap().build_image(SHAPE).unwrap();
    let x = Samples::new((0..60 * 50).map(|i| 2.0 * (i as f32 * 0.7).sin()).collect(), 60);
    let seen = Observations::observe(&channel, &x, 0);
    let range = Inspection { image: Some(SHAPE), range: Some([-1.0, 1.0]), ..TRAINING };
    assert!(seen.y.as_slice().iter().any(|v| v.abs() > 1.1));
    assert_eq!(told(&channel, seen.clone(), &range), "");
    let scaled = Observations { y: Samples::new(seen.y.as_slice().iter().map(|v| v * 10.0).collect(), 60), ..seen };
    assert!(told(&channel, scaled, &range).contains("signals are expected in [-1, 1]"));
}

#[test]
fn pictures_with_their_colors_last_are_told_by_their_mask() {
    let (channel, seen) = pictures(10);
    let last = |row: &[f32]| (0..60).map(|j| row[j % 3 * 20 + j / 3]).collect::<Vec<_>>();
    let turned = Observations { y: Samples::new(seen.y.rows().flat_map(last).collect(), 60), ..seen };
    let said = told(&channel, turned, &Inspection { image: Some(SHAPE), ..TRAINING });
    assert!(
        said.contains("flattened as [height, width, channels]") && said.contains("transpose(0, 3, 1, 2)"),
        "{said}"
    );
}

/// Pictures of one smooth wave each, or of one stripe with sharp edges each, with normal noise.
fn images(noise: f32, sharp: bool) -> Observations {
    let key = crate::noise::Key::new(4, crate::noise::Purpose::Observe, 0);
    let row = |i: usize| {
        let (mut stream, mut values) = (key.stream(i, 0), vec![0.0; 256]);
        stream.fill_normal(&mut values);
        for (at, v) in values.iter_mut().enumerate() {
            let wave = ((at / 16 + at % 16 + i) as f32 * 0.1).sin();
            let stripe = f32::from(u8::from((at / 16 + at % 16 + i) % 7 < 2 + i % 3));
            *v = noise * *v + if sharp { stripe } else { wave };
        }
        values
    };
    Observations { y: Samples::new((0..60).flat_map(row).collect(), 256), a: None }
}

/// The channel of these pictures and what is said of their noise where it is `stated`.
fn noise_of(seen: &Observations, stated: f64) -> (Noise, Vec<crate::error::Warning>) {
    let shape = ImageShape { channels: 1, height: 16, width: 16 };
    let channel = ChannelConfig(vec![noise(stated)]).build_image(shape).unwrap();
    let survey = seen.survey(&channel, &Inspection { image: Some(shape), ..TRAINING }).unwrap();
    (survey.noise.unwrap(), survey.warnings())
}

#[test]
fn the_noise_of_smooth_images_is_estimated_to_a_few_percent() {
    let seen = images(0.2, false);
    let (found, warnings) = noise_of(&seen, 0.2);
    assert!(found.details.unwrap().iter().all(|std| (std - 0.2).abs() < 0.01), "{found:?}");
    assert_eq!((found.stated, warnings), (Some(0.2), vec![]));
    for (stated, expected) in [(0.05, "as if by noise of"), (0.5, "by too little for the noise of 5.00e-1")] {
        let (_, warnings) = noise_of(&seen, stated);
        assert!(warnings.len() == 1 && warnings[0].message.contains(expected), "{warnings:?}");
    }
}

/// What is sharp in images bounds the noise from above, and is no noise.
#[test]
fn the_edges_of_images_are_no_noise() {
    for stated in [0.0, 0.01] {
        let (found, warnings) = noise_of(&images(0.01, true), stated);
        let [low, _, high] = found.details.unwrap();
        assert!(low > 0.0099 && high > 1.2 * low && warnings.is_empty(), "{found:?} {warnings:?}");
    }
}

#[test]
fn a_value_that_varies_less_than_its_noise_is_told() {
    let (channel, mut seen) = seen(vec![noise(0.3)], 100);
    let survey = |seen: &Observations| seen.survey(&channel, &TRAINING).unwrap();
    assert_eq!(survey(&seen).warnings(), []);
    (0..100).for_each(|i| seen.y.row_mut(i)[2] *= 0.01);
    let found = survey(&seen);
    assert_eq!(found.noise.unwrap().still, Some((2, 1)));
    assert!(found.warnings()[0].message.contains("value 2 varies by"), "{found:?}");
}

#[test]
fn whole_numbers_repeat_by_chance_and_others_do_not() {
    let (channel, mut seen) = seen(vec![noise(0.3)], 400);
    let survey = |seen: &Observations| seen.survey(&channel, &TRAINING).unwrap();
    assert_eq!(survey(&seen).repeated, None);
    let row = seen.y.row(17).to_vec();
    (300..303).for_each(|i| seen.y.row_mut(i).copy_from_slice(&row));
    let found = survey(&seen);
    let repeated = found.repeated.unwrap();
    assert_eq!((repeated.count, repeated.first), (3, (17, 300)));
    assert!(found.warnings()[0].message.contains("as 3 of 400 rows repeat"), "{:?}", found.warnings());
    seen.y.as_mut_slice().iter_mut().for_each(|v| *v = v.round());
    let rounded = survey(&seen);
    assert!(rounded.repeated.unwrap().count > 100 && rounded.warnings().is_empty(), "{:?}", rounded.warnings());
}

#[test]
fn what_is_missing_is_counted_by_value_and_by_row() {
    let (channel, Observations { y, a }) = seen(vec![mask()], 10);
    let mut a = a.unwrap();
    a.as_mut_slice().fill(1.0);
    (0..10).for_each(|i| a.row_mut(i)[3] = 0.0);
    a.row_mut(4)[1] = 0.0;
    let survey = Observations { y, a: Some(a) }.survey(&channel, &TRAINING).unwrap();
    assert_eq!((survey.seen, survey.shown, survey.missing_by_value), (29, [2, 3], [(0, 0.0), (3, 1.0)]));
    assert!((survey.missing - 11.0 / 40.0).abs() < 1e-12);
}
