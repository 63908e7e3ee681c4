//! Curves: a metric against the lap.

use anyhow::{Result, ensure};
use plotters::prelude::*;

use super::chart::axis::{Axis, padded, short};
use super::chart::canvas::{Area, MARGIN_BELOW, Panel, Rect, SMALL, SeriesColor, line, panel, sheet};
use super::chart::legend::{Entry, Swatch, legend, legend_height};

/// A value that a curve cannot be expected to pass, such as the metric of truth against truth.
#[derive(Clone, Debug)]
pub struct Floor {
    pub value: f64,
    /// Shown in the legend.
    pub label: String,
}

/// A metric lap by lap.
#[derive(Clone, Debug)]
pub struct Curve<'a> {
    /// Shown in the legend.
    pub label: String,
    pub color: SeriesColor,
    /// (lap, value) in ascending order of laps; values that are not finite interrupt the line.
    pub points: &'a [(f64, f64)],
    /// Low and high end of a band around the points, one each; may be empty.
    pub band: &'a [(f64, f64)],
    pub floor: Option<Floor>,
    /// Which point is ringed.
    pub best: Best,
}

/// Which value of a metric is best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Best {
    /// None is marked.
    Unmarked,
    /// The lowest.
    Lowest,
    /// The highest.
    Highest,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const EDGE: f64 = 16.0;
/// A ratio of values below which a logarithmic axis (of decibels, say) only bends the curve.
const LOG_SPAN: f64 = 4.0;
/// Draws `curves` over the laps and returns the SVG; the vertical axis is logarithmic when every value is positive and
/// the largest more than four times the smallest. A `floor` is a dashed line of its curve's color, the best point a ring.
///
/// # Errors
/// When no curve has a finite value, or a band has not one pair for each point.
pub fn metric(curves: &[Curve<'_>], name: &str) -> Result<String> {
    metric_over(curves, "lap", name)
}

/// [`metric`] with another quantity than the lap along the horizontal axis.
pub fn metric_over(curves: &[Curve<'_>], x_name: &str, name: &str) -> Result<String> {
    for curve in curves {
        let (bands, points) = (curve.band.len(), curve.points.len());
        let fits = bands == 0 || bands == points;
        ensure!(fits, "curve {:?}: {bands} band limits for {points} points, expected one pair a point", curve.label);
    }
    let x = lap_axis(curves, x_name)?;
    let y = value_axis(curves.iter().flat_map(values), name)?;
    chart(&entries(curves), &x, &y, |_, panel| curves.iter().try_for_each(|curve| draw(panel, curve, &x)))
}

/// Legend above, one panel below.
pub fn chart(
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

fn entries(curves: &[Curve<'_>]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for curve in curves {
        entries.push(Entry::new(Swatch::Line, curve.color, curve.label.clone()));
        if let Some((lap, value)) = best(curve) {
            entries.push(Entry::new(Swatch::Ring, curve.color, format!("best: {}, lap {lap}", short(value))));
        }
        if let Some(floor) = &curve.floor {
            entries.push(Entry::new(Swatch::Dashes, curve.color, floor.label.clone()));
        }
    }
    entries
}

fn best(curve: &Curve<'_>) -> Option<(f64, f64)> {
    let finite = curve.points.iter().copied().filter(|point| point.1.is_finite());
    match curve.best {
        Best::Unmarked => None,
        Best::Lowest => finite.min_by(|a, b| a.1.total_cmp(&b.1)),
        Best::Highest => finite.max_by(|a, b| a.1.total_cmp(&b.1)),
    }
}

fn values<'a>(curve: &'a Curve<'_>) -> impl Iterator<Item = f64> + 'a {
    let band = curve.band.iter().flat_map(|&(low, high)| [low, high]);
    curve.points.iter().map(|point| point.1).chain(band).chain(curve.floor.iter().map(|floor| floor.value))
}

fn lap_axis(curves: &[Curve<'_>], name: &str) -> Result<Axis> {
    let laps = || curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.0));
    let (first, last) = (laps().fold(f64::MAX, f64::min), laps().fold(f64::MIN, f64::max));
    ensure!(first <= last, "nothing to draw: no curve has a point");
    let (lo, hi) = padded(first, last, 0.02);
    Ok(Axis::whole(lo, hi, 12, name))
}

/// An axis that holds every finite value, logarithmic where that helps (see [`LOG_SPAN`]).
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

fn draw(panel: &mut Panel<'_>, curve: &Curve<'_>, x: &Axis) -> Result<()> {
    let band = curve.points.iter().zip(curve.band).map(|(point, &(low, high))| (point.0, low, high));
    fill(panel, &band.collect::<Vec<_>>(), curve.color, 0.18)?;
    if let Some(floor) = &curve.floor {
        let ends = [x.limits.0, x.limits.1].map(|lap| (lap, floor.value));
        // Lengths count in the sheet's tenths of a pixel: dashes of 6, gaps of 4.
        panel.draw_series(DashedLineSeries::new(ends, 60, 40, line(curve.color, 0.9, 1.2)))?;
    }
    join(panel, curve.points.iter().copied(), line(curve.color, 1.0, 1.8))?;
    let finite = || curve.points.iter().filter(|point| point.1.is_finite());
    panel.draw_series(finite().map(|&point| Circle::new(point, 26, curve.color.filled())))?;
    panel.draw_series(best(curve).map(|point| Circle::new(point, 65, line(curve.color, 1.0, 2.0))))?;
    Ok(())
}

/// Joins points by a line, with a gap where a value is not finite.
pub fn join(panel: &mut Panel<'_>, points: impl Iterator<Item = (f64, f64)>, style: ShapeStyle) -> Result<()> {
    let points: Vec<(f64, f64)> = points.collect();
    for run in points.split(|point| !point.1.is_finite()) {
        panel.draw_series(LineSeries::new(run.iter().copied(), style))?;
    }
    Ok(())
}

/// Fills between `low` and `high` of (x, low, high), with a gap where an end is not finite.
pub fn fill(panel: &mut Panel<'_>, band: &[(f64, f64, f64)], color: SeriesColor, alpha: f64) -> Result<()> {
    for run in band.split(|(_, low, high)| !(low.is_finite() && high.is_finite())) {
        let low = run.iter().map(|&(x, low, _)| (x, low));
        let high = run.iter().rev().map(|&(x, _, high)| (x, high));
        let outline: Vec<(f64, f64)> = low.chain(high).collect();
        if !outline.is_empty() {
            panel.draw_series([Polygon::new(outline, color.mix(alpha).filled())])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use plotters::coord::ranged1d::Ranged;

    use super::*;
    use crate::figures::chart::canvas::{BLUE, VERMILLION};

    fn curve(points: &[(f64, f64)]) -> Curve<'_> {
        let floor = Some(Floor { value: 0.01, label: "truth against truth".into() });
        Curve { label: "DiffEM".into(), color: BLUE, points, band: &[], floor, best: Best::Lowest }
    }

    #[test]
    fn the_best_lap_is_ringed_and_named() {
        let points = [(1.0, 0.5), (2.0, f64::NAN), (3.0, 0.0625), (4.0, 0.07)];
        let svg = metric(&[curve(&points)], "Sinkhorn").unwrap();
        assert!(svg.contains("best: 0.0625, lap 3") && svg.contains("truth against truth"));
        assert_eq!(svg.matches("r=\"26\"").count(), 3, "a dot for each finite value");
        assert_eq!(svg.matches("r=\"65\"").count(), 1, "one ring in the panel");
        let with = |which| best(&Curve { best: which, ..curve(&points) });
        let found = [Best::Lowest, Best::Highest, Best::Unmarked].map(with);
        assert_eq!(found, [Some((3.0, 0.0625)), Some((1.0, 0.5)), None]);
    }

    #[test]
    fn the_axis_is_logarithmic_for_positive_values_that_span_much() {
        // The middle of a logarithmic axis is the geometric mean.
        let middle = |values: &[f64], value| value_axis(values.iter().copied(), "m").unwrap().map(&value, (0, 100));
        assert_eq!(middle(&[0.001, 10.0, f64::NAN], 0.1), 50);
        assert_eq!(middle(&[0.0, 10.0], 5.0), 50);
        assert_eq!(middle(&[20.0, 30.0], 25.0), 50);
    }

    #[test]
    fn bad_input_is_named() {
        assert!(metric(&[], "FID").unwrap_err().to_string().contains("nothing to draw"));
        let band = Curve { band: &[(0.0, 1.0)], color: VERMILLION, ..curve(&[(1.0, 1.0), (2.0, 1.0)]) };
        assert!(metric(&[band], "FID").unwrap_err().to_string().contains("1 band limits for 2 points"));
    }
}
