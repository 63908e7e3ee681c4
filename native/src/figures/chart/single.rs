//! A figure with one panel below a legend.

use anyhow::{Result, ensure};

use super::axis::{Axis, padded};
use super::canvas::{Area, Rect, sheet};
use super::legend::{Entry, legend, legend_height};
use super::panel::{MARGIN_BELOW, Panel, panel};
use crate::figures::style::SMALL;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const EDGE: f64 = 16.0;
/// Minimum ratio of values for a logarithmic axis; below it, such an axis would only bend the curve, for
/// example one in decibels.
const LOG_SPAN: f64 = 4.0;

/// Draws a legend with one panel below it.
pub fn single(
    entries: &[Entry],
    x: &Axis,
    y: &Axis,
    paint: impl for<'a> FnOnce(&Area<'a>, &mut Panel<'a>) -> Result<()>,
) -> Result<String> {
    let left = EDGE / 2.0 + y.room();
    let width = WIDTH - left - EDGE;
    let top = EDGE + legend_height(entries, width) + SMALL;
    let rect = Rect { x: left, y: top, w: width, h: HEIGHT - top - MARGIN_BELOW - EDGE / 2.0 };
    sheet(WIDTH, HEIGHT, |area, _| {
        legend(area, entries, (left, EDGE / 2.0), width)?;
        paint(area, &mut panel(area, rect, x, y)?)
    })
}

/// Returns an axis that contains every finite value and is logarithmic if that helps (see [`LOG_SPAN`]).
pub fn value_axis(values: impl Iterator<Item = f64>, name: &str) -> Result<Axis> {
    let finite: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    ensure!(!finite.is_empty(), "nothing to draw: {name:?} has no finite value");
    let (lo, hi) = (finite.iter().copied().fold(f64::MAX, f64::min), finite.iter().copied().fold(f64::MIN, f64::max));
    if lo <= 0.0 || hi < LOG_SPAN * lo {
        let (lo, hi) = padded(lo, hi, 0.05);
        return Ok(Axis::linear(lo, hi, 7, name));
    }
    let (lo, hi) = padded(lo.log10(), hi.log10(), 0.05);
    Ok(Axis::log(10f64.powf(lo), 10f64.powf(hi), 7, name))
}

#[cfg(test)]
mod tests {
    use plotters::coord::ranged1d::Ranged;

    use super::*;

    #[test]
    fn the_axis_is_logarithmic_for_positive_values_that_span_much() {
        // The middle of a logarithmic axis is the geometric mean.
        let middle = |values: &[f64], value| value_axis(values.iter().copied(), "m").unwrap().map(&value, (0, 100));
        assert_eq!(middle(&[0.001, 10.0, f64::NAN], 0.1), 50);
        assert_eq!(middle(&[0.0, 10.0], 5.0), 50);
        assert_eq!(middle(&[20.0, 30.0], 25.0), 50);
    }
}
