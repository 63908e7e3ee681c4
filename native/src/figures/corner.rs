//! Corner plot: the density of every coordinate on the diagonal, and every pair of coordinates below it.

use anyhow::{Result, ensure};

use super::chart::axis::{Axis, bulk_limits, coordinate_name};
use super::chart::canvas::{Area, Rect, dots, sheet};
use super::chart::legend::{Entry, Swatch, legend, legend_height};
use super::chart::marks::{histogram, steps};
use super::chart::panel::{MARGIN_BELOW, panel};
use super::chart::text::paragraph;
use super::style::{NOTE, RoleColor, SMALL};
use diffem::Samples;

/// One series of points.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    /// Label in the legend.
    pub label: String,
    pub color: RoleColor,
    /// Points `[n, d]`.
    pub samples: &'a Samples,
}

/// Maximum number of coordinates, since a page holds no more panels.
const MAX_COORDINATES: usize = 8;
/// Maximum number of points per series in a panel.
const MAX_POINTS: usize = 3000;
/// Maximum number of points in all panels together; at about 10 bytes per point, the SVG stays under 2 MB.
const MAX_DOTS: usize = 150_000;
const BINS: usize = 60;
const GAP: f64 = 10.0;
const TOP: f64 = 16.0;

/// Draws the first eight coordinates of `series` against each other and returns the SVG. Series are drawn in
/// order, so the widest cloud should come first. Densities use all points; scatter panels show at most 3000
/// per series, taken at even strides. Limits contain the central 99.8 % of every series.
///
/// `names` labels the coordinates; if it is too short, the rest are called `x₁, x₂, ..`.
///
/// # Errors
/// Fails if there is no series or if two series differ in their number of coordinates.
pub fn corner(series: &[Series<'_>], names: &[String]) -> Result<String> {
    ensure!(!series.is_empty(), "a corner plot needs at least one series of samples");
    let d = series[0].samples.d();
    for other in series {
        let (label, own) = (&other.label, other.samples.d());
        ensure!(own == d, "corner plot: series {label:?} has {own} coordinates, {:?} has {d}", series[0].label);
    }
    let layout = Layout::new(series, names);
    let (width, height) = layout.size();
    sheet(width, height, |area, layer| layout.paint(area, layer))
}

struct Layout<'a> {
    series: &'a [Series<'a>],
    axes: Vec<Axis>,
    left: f64,
    side: f64,
    top: f64,
    entries: Vec<Entry>,
    points: usize,
}

impl<'a> Layout<'a> {
    fn new(series: &'a [Series<'a>], names: &[String]) -> Self {
        let d = series[0].samples.d().min(MAX_COORDINATES);
        let side = (620.0 / d as f64).clamp(110.0, 230.0);
        let axes: Vec<Axis> = (0..d).map(|j| axis(series, j, names, (side / 30.0) as usize)).collect();
        let entries: Vec<Entry> = series.iter().map(|s| Entry::new(Swatch::Dot, s.color, s.label.clone())).collect();
        let panels = (d * (d - 1) / 2).max(1);
        let points = MAX_POINTS.min(MAX_DOTS / panels / series.len());
        // With one coordinate, there is no free corner for the legend.
        let top = if d == 1 { TOP + legend_height(&entries, side) } else { TOP };
        let left = axes.iter().map(Axis::room).fold(0.0, f64::max) + GAP;
        Self { series, axes, left, side, top, entries, points }
    }

    fn size(&self) -> (f64, f64) {
        let panels = self.axes.len() as f64 * (self.side + GAP);
        (self.left + panels + GAP, self.top + panels + MARGIN_BELOW)
    }

    fn cell(&self, row: usize, column: usize) -> Rect {
        let step = self.side + GAP;
        Rect { x: self.left + column as f64 * step, y: self.top + row as f64 * step, w: self.side, h: self.side }
    }

    fn paint(&self, area: &Area<'_>, layer: &mut String) -> Result<()> {
        for row in 0..self.axes.len() {
            for column in 0..row {
                self.pair(area, layer, row, column)?;
            }
            self.density(area, row)?;
        }
        self.explain(area)
    }

    /// Axis of coordinate `j`, labeled only at the edge of the figure.
    fn axis(&self, j: usize, at_edge: bool) -> Axis {
        let axis = self.axes[j].clone();
        if at_edge { axis } else { axis.unlabelled() }
    }

    fn pair(&self, area: &Area<'_>, layer: &mut String, row: usize, column: usize) -> Result<()> {
        let x = self.axis(column, row + 1 == self.axes.len());
        let y = self.axis(row, column == 0);
        let panel = panel(area, self.cell(row, column), &x, &y)?;
        for series in self.series {
            let kept = thinned(series.samples, self.points).map(|point| (point[column] as f64, point[row] as f64));
            let inside = kept.filter(|&(u, v)| x.holds(u) && y.holds(v));
            let places: Vec<(i32, i32)> = inside.map(|place| panel.backend_coord(&place)).collect();
            dots(layer, &places, series.color, 0.35, 0.95);
        }
        Ok(())
    }

    fn density(&self, area: &Area<'_>, j: usize) -> Result<()> {
        let x = self.axis(j, j + 1 == self.axes.len());
        let curves: Vec<Vec<f64>> = self.series.iter().map(|s| histogram(s.samples, j, x.limits, BINS)).collect();
        let highest = curves.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
        let mut panel = panel(area, self.cell(j, j), &x, &Axis::bare(0.0, 1.06 * highest))?;
        for (series, curve) in self.series.iter().zip(&curves) {
            steps(&mut panel, curve, x.limits, series.color)?;
        }
        Ok(())
    }

    /// Draws the legend and a note in the free upper right corner.
    fn explain(&self, area: &Area<'_>) -> Result<()> {
        let d = self.axes.len();
        // The legend starts at the first column that leaves the width of a panel free at the top.
        let free = if d == 1 { Rect { y: 6.0, ..self.cell(0, 0) } } else { self.cell(0, (d / 2).max(1)) };
        let width = self.size().0 - GAP - free.x;
        legend(area, &self.entries, (free.x, free.y), width)?;
        let below = free.y + legend_height(&self.entries, width) + SMALL;
        paragraph(area, &self.note(), (free.x, below), width, SMALL, NOTE)
    }

    fn note(&self) -> String {
        let all = self.series.iter().map(|s| s.samples.n()).max().unwrap_or(0);
        let mut notes = Vec::new();
        if self.series[0].samples.d() > self.axes.len() {
            notes.push(format!("First {} of {} coordinates.", self.axes.len(), self.series[0].samples.d()));
        }
        if self.axes.len() > 1 && all > self.points {
            notes.push(format!("Panels show up to {} points per series; densities use all points.", self.points));
        }
        notes.join(" ")
    }
}

fn axis(series: &[Series<'_>], j: usize, names: &[String], ticks: usize) -> Axis {
    let each = series.iter().map(|s| bulk_limits(s.samples.rows().map(|row| row[j]), 0.001..=0.999));
    let (lo, hi) = each.fold((f64::MAX, f64::MIN), |all, own| (all.0.min(own.0), all.1.max(own.1)));
    let name = names.get(j).cloned().unwrap_or_else(|| coordinate_name(j));
    Axis::linear(lo, hi, ticks, &name).without_grid()
}

/// Selects at most `most` rows at even strides.
fn thinned(samples: &Samples, most: usize) -> impl Iterator<Item = &[f32]> {
    samples.rows().step_by(samples.n().div_ceil(most.max(1)).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::style::{START, TRUTH};

    fn samples(n: usize, d: usize) -> Samples {
        Samples::new((0..n * d).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect(), d)
    }

    fn series(samples: &Samples) -> [Series<'_>; 2] {
        [(START, "start"), (TRUTH, "truth")].map(|(color, label)| Series { label: label.into(), color, samples })
    }

    #[test]
    fn draws_a_panel_a_pair_and_says_what_it_leaves_out() {
        let few = corner(&series(&samples(100, 3)), &[]).unwrap();
        assert_eq!(few.matches("<g fill").count(), 3 * 2, "3 pairs of 2 series");
        assert!(few.contains("x₃") && !few.contains("First"));
        let many = corner(&series(&samples(100, 12)), &[]).unwrap();
        assert_eq!(many.matches("<g fill").count(), 28 * 2);
        assert!(many.contains("First 8 of 12") && !many.contains("x₉"));
        assert_eq!(corner(&series(&samples(100, 1)), &[]).unwrap().matches("<g fill").count(), 0);
    }

    #[test]
    fn the_file_stays_small_whatever_is_given() {
        let samples = samples(50_000, 8);
        let three: Vec<Series<'_>> = [0, 1, 2].iter().flat_map(|_| series(&samples)).take(3).collect();
        let svg = corner(&three, &[]).unwrap();
        assert!(svg.len() < 3_000_000, "{} bytes", svg.len());
        assert!(svg.contains("Panels show up to"));
    }

    #[test]
    fn bad_input_is_named() {
        assert!(corner(&[], &[]).unwrap_err().to_string().contains("at least one series"));
        let (two, three) = (samples(5, 2), samples(5, 3));
        let mixed = [series(&two)[0].clone(), series(&three)[1].clone()];
        assert!(corner(&mixed, &[]).unwrap_err().to_string().contains("\"truth\" has 3"));
    }

    #[test]
    fn a_diverged_run_can_still_be_looked_at() {
        let constant = [1e30; 8];
        let wild = [f32::NAN, f32::INFINITY, f32::MAX, -f32::MAX, 0.0, -0.0, 1e-40, 1.0];
        for values in [[f32::NAN; 8], constant, wild] {
            let svg = corner(&series(&Samples::new(values.into(), 2)), &[]).unwrap();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
