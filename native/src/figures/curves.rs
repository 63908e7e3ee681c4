//! Curves of a metric against the lap.

use anyhow::{Result, ensure};
use plotters::prelude::*;

use super::chart::axis::{Axis, padded, short};
use super::chart::canvas::line;
use super::chart::legend::{Entry, Swatch};
use super::chart::marks::{fill, join};
use super::chart::panel::Panel;
use super::chart::single::{single, value_axis};
use super::style::{FLOOR, RoleColor};

/// A reference value for a curve, such as the metric of truth against truth.
#[derive(Clone, Debug)]
pub struct Floor {
    pub value: f64,
    /// Label in the legend.
    pub label: String,
}

/// Values of a metric, lap by lap.
#[derive(Clone, Debug)]
pub struct Curve<'a> {
    /// Label in the legend.
    pub label: String,
    pub color: RoleColor,
    /// Points (lap, value) in ascending order of laps; values that are not finite interrupt the line.
    pub points: &'a [(f64, f64)],
    /// Lower and upper limits of a band, one pair per point; may be empty.
    pub band: &'a [(f64, f64)],
    pub floor: Option<Floor>,
    /// Which point is marked with a ring.
    pub best: Best,
}

/// Which value of a metric is best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Best {
    /// No value is marked.
    Unmarked,
    /// The lowest value.
    Lowest,
    /// The highest value.
    Highest,
}

/// Draws `curves` over the laps and returns the SVG. The vertical axis is logarithmic if every value is
/// positive and the largest is more than four times the smallest. A `floor` is a dashed line, and the best
/// point is marked with a ring.
///
/// # Errors
/// Fails if no curve has a finite value or if a band does not have one pair per point.
pub fn metric(curves: &[Curve<'_>], name: &str) -> Result<String> {
    metric_over(curves, "lap", name)
}

/// Like [`metric`], with a quantity other than the lap on the horizontal axis.
pub fn metric_over(curves: &[Curve<'_>], x_name: &str, name: &str) -> Result<String> {
    for curve in curves {
        let (bands, points) = (curve.band.len(), curve.points.len());
        let fits = bands == 0 || bands == points;
        ensure!(fits, "curve {:?}: {bands} band limits for {points} points, expected one pair per point", curve.label);
    }
    let x = lap_axis(curves, x_name)?;
    let y = value_axis(curves.iter().flat_map(values), name)?;
    single(&entries(curves), &x, &y, |_, panel| curves.iter().try_for_each(|curve| draw(panel, curve, &x)))
}

fn entries(curves: &[Curve<'_>]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for curve in curves {
        entries.push(Entry::new(Swatch::Line, curve.color, curve.label.clone()));
        if let Some((lap, value)) = best(curve) {
            entries.push(Entry::new(Swatch::Ring, curve.color, format!("best: {}, lap {lap}", short(value))));
        }
        if let Some(floor) = &curve.floor {
            entries.push(Entry::new(Swatch::Dashes, FLOOR, floor.label.clone()));
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

fn draw(panel: &mut Panel<'_>, curve: &Curve<'_>, x: &Axis) -> Result<()> {
    let band = curve.points.iter().zip(curve.band).map(|(point, &(low, high))| (point.0, low, high));
    fill(panel, &band.collect::<Vec<_>>(), curve.color, 0.18)?;
    if let Some(floor) = &curve.floor {
        let ends = [x.limits.0, x.limits.1].map(|lap| (lap, floor.value));
        // Lengths are in tenths of a pixel: dashes of 6 pixels and gaps of 4 pixels.
        panel.draw_series(DashedLineSeries::new(ends, 60, 40, line(FLOOR, 0.9, 1.2)))?;
    }
    join(panel, curve.points.iter().copied(), line(curve.color, 1.0, 1.8))?;
    let finite = || curve.points.iter().filter(|point| point.1.is_finite());
    panel.draw_series(finite().map(|&point| Circle::new(point, 26, curve.color.filled())))?;
    panel.draw_series(best(curve).map(|point| Circle::new(point, 65, line(curve.color, 1.0, 2.0))))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::style::{RECONSTRUCTIONS, TRUTH};

    fn curve(points: &[(f64, f64)]) -> Curve<'_> {
        let floor = Some(Floor { value: 0.01, label: "truth against truth".into() });
        Curve { label: "DiffEM".into(), color: RECONSTRUCTIONS, points, band: &[], floor, best: Best::Lowest }
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
    fn bad_input_is_named() {
        assert!(metric(&[], "FID").unwrap_err().to_string().contains("nothing to draw"));
        let band = Curve { band: &[(0.0, 1.0)], color: TRUTH, ..curve(&[(1.0, 1.0), (2.0, 1.0)]) };
        assert!(metric(&[band], "FID").unwrap_err().to_string().contains("1 band limits for 2 points"));
    }
}
