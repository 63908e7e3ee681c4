//! Axes with limits from data, round tick positions and short tick labels.

use std::ops::{Range, RangeInclusive};

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::text::text_width;
use crate::figures::style::{NORMAL, SMALL};

/// An axis with limits, labeled ticks and a name, which plotters uses directly.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Values at the lower and upper end.
    pub limits: (f64, f64),
    /// Name printed along the axis; may be empty.
    pub name: String,
    /// Whether tick labels and name are printed; in a grid of panels, only the outer panels print them.
    pub labelled: bool,
    /// Whether a faint line crosses the panel at each tick.
    pub grid: bool,
    ticks: Vec<(f64, String)>,
    logarithmic: bool,
}

impl Axis {
    /// An axis for values in `lo..=hi` with at most `most` ticks.
    pub fn linear(lo: f64, hi: f64, most: usize, name: &str) -> Self {
        Self::new((lo, hi), round_ticks(lo, hi, most), name)
    }

    /// A logarithmic axis for values in `lo..=hi`, `lo > 0`.
    pub fn log(lo: f64, hi: f64, most: usize, name: &str) -> Self {
        Self { logarithmic: true, ..Self::new((lo, hi), log_ticks(lo, hi, most), name) }
    }

    /// An axis for counts (laps, steps, coordinates), with ticks at whole numbers only.
    pub fn whole(lo: f64, hi: f64, most: usize, name: &str) -> Self {
        let mut ticks = round_ticks(lo, hi, most);
        ticks.retain(|tick| tick.fract() == 0.0);
        Self::new((lo, hi), ticks, name)
    }

    /// An axis with a named tick at each of `1, 2, ..`.
    pub fn named(names: &[String]) -> Self {
        let ticks = names.iter().enumerate().map(|(i, name)| ((i + 1) as f64, name.clone())).collect();
        Self { ticks, ..Self::new((0.7, names.len() as f64 + 0.3), Vec::new(), "") }
    }

    /// An axis without ticks or labels.
    pub fn bare(lo: f64, hi: f64) -> Self {
        Self { labelled: false, ..Self::new((lo, hi), Vec::new(), "") }
    }

    fn new(limits: (f64, f64), ticks: Vec<f64>, name: &str) -> Self {
        let ticks = ticks.into_iter().map(|v| (v, label(v))).collect();
        Self { limits, ticks, name: name.into(), labelled: true, grid: true, logarithmic: false }
    }

    /// Returns the same axis without labels and name.
    pub fn unlabelled(self) -> Self {
        Self { labelled: false, ..self }
    }

    /// Returns the same axis without lines across the panel.
    pub fn without_grid(self) -> Self {
        Self { grid: false, ..self }
    }

    /// Width in pixels of tick labels and name if the axis is at the left of a panel; 0 if it is unlabeled.
    pub fn room(&self) -> f64 {
        let widest = self.ticks.iter().map(|tick| text_width(&tick.1, SMALL)).fold(0.0, f64::max);
        let name = if self.name.is_empty() { 0.0 } else { 1.9 * NORMAL };
        if self.labelled { 12.0 + widest + name } else { 0.0 }
    }

    /// Returns whether `value` lies within the limits.
    pub fn holds(&self, value: f64) -> bool {
        (self.limits.0..=self.limits.1).contains(&value)
    }

    /// Returns the position of `value` between the ends, from 0 to 1; values beyond an end are clamped to it.
    fn share(&self, value: f64) -> f64 {
        let place = |v: f64| if self.logarithmic { v.log10() } else { v };
        let (lo, hi) = (place(self.limits.0), place(self.limits.1));
        ((place(value) - lo) / (hi - lo)).clamp(0.0, 1.0)
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (self.share(*value) * f64::from(to - from)).round() as i32
    }

    /// Returns the ticks. plotters also requests the ticks of a finer mesh, which does not exist.
    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let coarse = !hint.weight().allow_light_points();
        self.ticks.iter().filter(|_| coarse).map(|tick| tick.0).collect()
    }

    fn range(&self) -> Range<f64> {
        self.limits.0..self.limits.1
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        label(*value)
    }

    fn format_ext(&self, value: &f64) -> String {
        self.ticks.iter().find(|tick| tick.0 == *value).map(|tick| tick.1.clone()).unwrap_or_default()
    }
}

/// Returns limits that contain the `values` within the quantiles `span`, with a margin of 4 % at both ends.
/// Values that are not finite are ignored; if none are left, the limits are `(-1, 1)`.
pub fn bulk_limits(values: impl IntoIterator<Item = f32>, span: RangeInclusive<f64>) -> (f64, f64) {
    let sorted = sorted(values);
    if sorted.is_empty() {
        return (-1.0, 1.0);
    }
    padded(quantile(&sorted, *span.start()), quantile(&sorted, *span.end()), 0.04)
}

/// Returns the finite values in ascending order.
pub fn sorted(values: impl IntoIterator<Item = f32>) -> Vec<f32> {
    let mut finite: Vec<f32> = values.into_iter().filter(|v| v.is_finite()).collect();
    finite.sort_unstable_by(f32::total_cmp);
    finite
}

/// Returns the quantile `q` in `[0, 1]` of `sorted` (ascending, not empty), interpolated linearly between
/// order statistics (definition 7 of Hyndman & Fan 1996).
pub fn quantile(sorted: &[f32], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize] as f64, sorted[place.ceil() as usize] as f64);
    below + (above - below) * place.fract()
}

/// Widens `lo..hi` at both ends by the fraction `room` of its length, or by ½ if its length is zero.
pub fn padded(lo: f64, hi: f64, room: f64) -> (f64, f64) {
    let pad = if hi > lo { (hi - lo) * room } else { 0.5 };
    (lo - pad, hi + pad)
}

/// Returns multiples of 1, 2 or 5 times a power of ten in `lo..=hi`: at most `most` of them, unless that
/// would leave fewer than three.
fn round_ticks(lo: f64, hi: f64, most: usize) -> Vec<f64> {
    let rough = ((hi - lo) / most.max(1) as f64).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let coarse_first = [10.0, 5.0, 2.0, 1.0, 0.5].map(|factor| multiples(lo, hi, factor * power));
    let fitting = coarse_first.iter().take_while(|ticks| ticks.len() <= most).last();
    let enough = coarse_first.iter().find(|ticks| ticks.len() >= 3);
    match (fitting, enough) {
        (Some(ticks), _) if ticks.len() >= 3 => ticks.clone(),
        (_, Some(ticks)) => ticks.clone(),
        _ => coarse_first[4].clone(),
    }
}

fn multiples(lo: f64, hi: f64, step: f64) -> Vec<f64> {
    let (first, last) = ((lo / step).ceil() as i64, (hi / step).floor() as i64);
    (first..=last).map(|k| clean(k as f64 * step)).collect()
}

/// Returns powers of ten. If there are fewer than three, returns 1, 2 and 5 in each decade; if there are
/// still fewer than three, returns round steps.
fn log_ticks(lo: f64, hi: f64, most: usize) -> Vec<f64> {
    let decades = lo.log10().floor() as i32..=hi.log10().ceil() as i32;
    let ticks = |factors: &[f64]| -> Vec<f64> {
        let all = decades.clone().flat_map(|k| factors.iter().map(move |f| clean(f * 10f64.powi(k))));
        all.filter(|tick| (lo..=hi).contains(tick)).collect()
    };
    let tens = ticks(&[1.0]);
    if tens.len() >= 3 {
        return tens.iter().copied().step_by(tens.len().div_ceil(most.max(1))).collect();
    }
    let fine = ticks(&[1.0, 2.0, 5.0]);
    if fine.len() >= 3 { fine } else { round_ticks(lo, hi, most) }
}

/// Removes rounding errors of the last bits, so that 3 · 0.1 is 0.3.
fn clean(value: f64) -> f64 {
    format!("{value:.9e}").parse().unwrap_or(value)
}

/// Formats a short label: plain decimals, `k` and `M` for large counts, and powers of ten for very large and
/// very small values.
pub fn label(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => "0".into(),
        1e-3..1e4 => format!("{size}"),
        1e4..1e6 => format!("{}k", clean(size / 1e3)),
        1e6..1e9 => format!("{}M", clean(size / 1e6)),
        _ => scientific(size),
    };
    if value < 0.0 { format!("−{text}") } else { text }
}

/// Formats a label with at most three significant digits.
pub fn short(value: f64) -> String {
    label(format!("{value:.2e}").parse().unwrap_or(value))
}

fn scientific(size: f64) -> String {
    let text = format!("{size:e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: String = power.chars().map(superscript).collect();
    if digits == "1" { format!("10{power}") } else { format!("{digits}·10{power}") }
}

fn superscript(c: char) -> char {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    c.to_digit(10).map_or('⁻', |digit| digits[digit as usize])
}

/// Returns `x₁` for coordinate 0 and so on.
pub fn coordinate_name(j: usize) -> String {
    let digits = ['₀', '₁', '₂', '₃', '₄', '₅', '₆', '₇', '₈', '₉'];
    let index = (j + 1).to_string();
    let index = index.chars().filter_map(|c| c.to_digit(10)).map(|digit| digits[digit as usize]);
    std::iter::once('x').chain(index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis) -> Vec<String> {
        axis.ticks.into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn ticks_are_round_inside_the_limits_and_not_too_many() {
        assert_eq!(labels(Axis::linear(-2.1, 2.1, 5, "")), ["−2", "−1", "0", "1", "2"]);
        assert_eq!(labels(Axis::linear(0.0, 0.31, 4, "")), ["0", "0.1", "0.2", "0.3"]);
        assert_eq!(labels(Axis::whole(0.0, 65536.0, 4, "")), ["0", "20k", "40k", "60k"]);
        assert_eq!(labels(Axis::whole(1.0, 2.0, 9, "")), ["1", "2"]);
    }

    #[test]
    fn log_ticks_follow_the_span() {
        assert_eq!(labels(Axis::log(2e-5, 0.3, 6, "")), ["10⁻⁴", "0.001", "0.01", "0.1"]);
        assert_eq!(labels(Axis::log(0.9, 30.0, 6, "")), ["1", "2", "5", "10", "20"]);
        assert_eq!(labels(Axis::log(3.05, 3.45, 4, "")), ["3.1", "3.2", "3.3", "3.4"]);
    }

    #[test]
    fn a_logarithmic_axis_places_by_exponent_and_keeps_inside() {
        let axis = Axis::log(0.01, 100.0, 5, "");
        assert_eq!([0.01, 1.0, 10.0, 1e9, 0.0].map(|v| axis.map(&v, (400, 0))), [400, 200, 100, 0, 400]);
    }

    #[test]
    fn labels_are_short() {
        assert_eq!([2e4, 1.5e6, 2e-7, 1e12, -0.25].map(label), ["20k", "1.5M", "2·10⁻⁷", "10¹²", "−0.25"]);
    }

    #[test]
    fn short_labels_round() {
        assert_eq!([24.954, 0.062_512, 3.14159e-5].map(short), ["25", "0.0625", "3.14·10⁻⁵"]);
    }

    #[test]
    fn limits_ignore_outliers_and_what_is_not_finite() {
        let values = (0..=1000).map(|i| i as f32).chain([f32::NAN, 1e9]);
        let (lo, hi) = bulk_limits(values, 0.001..=0.999);
        assert!((-50.0..0.0).contains(&lo) && (1000.0..1050.0).contains(&hi), "{lo} {hi}");
        assert_eq!(bulk_limits([f32::NAN], 0.0..=1.0), (-1.0, 1.0));
        assert_eq!(bulk_limits([3.0], 0.0..=1.0), (2.5, 3.5));
    }

    #[test]
    fn quantiles_match_numpy() {
        // numpy.quantile([1, 2, 4, 8], [0, .25, .5, 1]) = [1, 1.75, 3, 8]
        assert_eq!([0.0, 0.25, 0.5, 1.0].map(|q| quantile(&[1.0, 2.0, 4.0, 8.0], q)), [1.0, 1.75, 3.0, 8.0]);
    }
}
