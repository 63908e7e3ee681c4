//! The scale of signals: a known range, that of pixels, or a standard deviation near 1.

use super::inspection::Inspection;
use super::tally::{Span, Tally};
use super::told::Y;
use crate::channel::{Channel, LinearChannel};
use crate::error::Warning;
use crate::image::{PIXEL_MAX, PIXEL_MIN};
use crate::samples::Samples;

/// Standard deviations for which the noise levels of the schedule are made.
const STD: [f64; 2] = [0.05, 20.0];
/// Number of values from which a narrow range is no chance.
const MIN_VALUES: usize = 1000;
/// Standard deviations of noise by which a value may leave the range.
const NOISE: f64 = 8.0;
/// Number of observations whose noise is looked at.
const FIRST: usize = 16;
/// Distance by which noise may carry values out of a smaller range that is told from that of pixels.
const NARROW: f64 = 0.5;
/// Share of the range by which a value may leave it where the noise is not known.
const SLACK: f64 = 0.01;

/// Warns where the values that are seen do not fit the scale that is expected.
pub(super) fn warning(
    channel: &dyn Channel,
    tally: &Tally,
    a: Option<&Samples>,
    inspection: &Inspection,
) -> Option<Warning> {
    if tally.seen.count == 0 {
        return None;
    }
    let range = expected(inspection);
    let zeros = if tally.masked { ", and 0 where a value is missing" } else { "" };
    let message = match range.filter(|_| keeps_scale(channel)) {
        Some(range) => {
            let message = beyond(&tally.seen, range, noise(channel, a), inspection.image.is_some());
            message.map(|message| message + zeros)
        }
        None => spread(tally).filter(|_| inspection.training && range.is_none()),
    };
    message.map(|message| Warning { what: Y, message })
}

/// Warns where signals, such as a truth, do not fit the scale that is expected of them.
pub(super) fn of_signals(x: &Samples, inspection: &Inspection) -> Option<Warning> {
    let message = beyond(&Span::of(x.as_slice()), expected(inspection)?, 0.0, inspection.image.is_some())?;
    Some(Warning { what: "signals x", message })
}

/// Smallest and largest value of the signals, where they are known.
fn expected(inspection: &Inspection) -> Option<[f64; 2]> {
    inspection.range.or(inspection.image.map(|_| [f64::from(PIXEL_MIN), f64::from(PIXEL_MAX)]))
}

/// True for channels whose observations have the scale of their signals.
fn keeps_scale(channel: &dyn Channel) -> bool {
    let as_long = channel.observation_len() == channel.signal_len();
    let kept = |linear: &dyn LinearChannel| linear.is_diagonal() || (linear.as_spectral().is_some() && as_long);
    channel.lifts() && channel.as_linear().is_none_or(kept)
}

fn beyond(seen: &Span, [low, high]: [f64; 2], noise: f64, image: bool) -> Option<String> {
    let slack = SLACK * (high - low) + NOISE * noise;
    let (least, greatest) = (f64::from(seen.least), f64::from(seen.greatest));
    let within = |from: f64, to: f64| least >= from - slack && greatest <= to + slack;
    let [from, to] = [least, greatest].map(|v| (v * 1e4).round() / 1e4);
    let found = format!("the values lie in [{from}, {to}], and signals are expected in [{low}, {high}]");
    // Much noise would hide that values are in a smaller range.
    let narrow = |from: f64, to: f64| within(from, to) && NOISE * noise < NARROW;
    let pixels = image && [low, high] == [f64::from(PIXEL_MIN), f64::from(PIXEL_MAX)];
    let remedy = match (pixels, within(low, high)) {
        (true, true) if seen.count < MIN_VALUES => return None,
        (true, true) if narrow(0.0, 1.0) => "If they are pixels in [0, 1], save `y * 4 - 2`",
        (true, true) if narrow(-1.0, 1.0) => "If they are pixels in [-1, 1], save `y * 2`",
        (_, true) => return None,
        (true, false) if within(0.0, 255.0) && greatest > 16.0 => {
            "If they are pixels in [0, 255], save `y / 255 * 4 - 2`"
        }
        _ => "Scale them, or set conditioning.range to what signals can be",
    };
    Some(format!("{found}. {remedy}"))
}

/// Largest standard deviation of the noise of the first observations; 0 where it is not known.
fn noise(channel: &dyn Channel, a: Option<&Samples>) -> f64 {
    let Some(linear) = channel.as_linear() else { return 0.0 };
    let (mut matrix, mut variance) = (vec![0.0; channel.signal_len()], vec![0.0; channel.signal_len()]);
    let mut most = 0.0f64;
    for i in 0..a.map_or(1, |a| a.n().min(FIRST)) {
        let a = a.map_or(&[][..], |a| a.row(i));
        match linear.as_spectral() {
            Some(spectral) => spectral.write_spectrum(a, &mut matrix, &mut variance),
            None if linear.is_diagonal() => linear.write_diagonal(a, &mut matrix, &mut variance),
            None => return 0.0,
        }
        most = variance.iter().copied().fold(most, f64::max);
    }
    most.sqrt()
}

fn spread(tally: &Tally) -> Option<String> {
    let (mean, std) = (tally.seen.mean(), tally.seen.std());
    let far = mean.abs() > STD[1] * std.max(1.0);
    (far || !(STD[0]..=STD[1]).contains(&std)).then(|| {
        format!(
            "the values that are seen have mean {mean:.3e} and standard deviation {std:.3e}; the noise levels of the \
             schedule assume about 0 and 1. Shift and scale the signals, and the noise of the channel with them"
        )
    })
}
