//! Posterior fan: the spread of the posterior draws over the coordinates, for each of a few observations.

use anyhow::{Result, ensure};
use plotters::prelude::*;

use super::chart::axis::{Axis, bulk_limits, coordinate_name, padded, quantile, sorted};
use super::chart::canvas::{Area, Rect, line, sheet};
use super::chart::legend::{Entry, Swatch, legend, legend_height};
use super::chart::marks::{fill, histogram, steps};
use super::chart::panel::{Panel, panel};
use super::chart::text::{Align, text};
use super::style::{EXACT, NORMAL, POSTERIOR, TEXT, TRUTH};
use diffem::Samples;

/// Draws from the posterior of one observation.
#[derive(Clone, Debug)]
pub struct Posterior<'a> {
    /// Title above the panel.
    pub title: String,
    /// Draws `[draws, d]`.
    pub draws: &'a Samples,
    /// Truth `[d]`, if it is known.
    pub truth: Option<&'a [f32]>,
    /// Exact density as (x, p(x)) in ascending x; it is shown only for d = 1.
    pub density: Option<&'a [(f64, f64)]>,
}

const COLUMNS: usize = 4;
const PANEL_WIDTH: f64 = 210.0;
const PANEL_HEIGHT: f64 = 170.0;
const GAP: f64 = 16.0;
const TITLE: f64 = 24.0;
/// Height of the tick labels below a panel, without an axis name.
const BELOW: f64 = 26.0;
const BINS: usize = 40;
/// Maximum number of coordinates whose names fit below a panel; beyond it, their numbers are shown.
const MAX_NAMES: usize = 8;

/// Draws one panel per posterior and returns the SVG. For d ≥ 2, a panel shows the coordinates side by side,
/// with bands of the central 90 % and 50 % of the draws, their median and the truth. For d = 1, it shows a
/// histogram of the draws, the exact density and the truth. `names` labels the coordinates; if it is too
/// short, the rest are called `x₁, x₂, ..`.
///
/// # Errors
/// Fails if there is no posterior, if one has no draws, or if they differ in their number of coordinates.
pub fn fan(posteriors: &[Posterior<'_>], names: &[String]) -> Result<String> {
    ensure!(!posteriors.is_empty(), "a fan needs at least one posterior");
    let d = posteriors[0].draws.d();
    posteriors.iter().try_for_each(|posterior| check(posterior, d))?;
    let names: Vec<String> = (0..d).map(|j| names.get(j).cloned().unwrap_or_else(|| coordinate_name(j))).collect();
    if d == 1 { histograms(posteriors, &names[0]) } else { fans(posteriors, &names) }
}

fn check(posterior: &Posterior<'_>, d: usize) -> Result<()> {
    let (title, own) = (&posterior.title, posterior.draws.d());
    ensure!(posterior.draws.n() > 0, "posterior {title:?} has no draws");
    ensure!(own == d, "posterior {title:?}: draws have {own} coordinates, those before it have {d}");
    let truth = posterior.truth.map_or(d, <[f32]>::len);
    ensure!(truth == d, "posterior {title:?}: the truth has {truth} coordinates, its draws have {d}");
    Ok(())
}

fn fans(posteriors: &[Posterior<'_>], names: &[String]) -> Result<String> {
    let entries = [
        Entry::new(Swatch::Box(0.2), POSTERIOR, "central 90 % of the draws"),
        Entry::new(Swatch::Box(0.5), POSTERIOR, "central 50 %"),
        Entry::new(Swatch::Line, POSTERIOR, "median"),
        Entry::new(Swatch::Line, TRUTH, "truth"),
    ];
    let known = posteriors.iter().any(|posterior| posterior.truth.is_some());
    let x = if names.len() <= MAX_NAMES { Axis::named(names) } else { Axis::whole(1.0, names.len() as f64, 5, "") };
    let y = shared_axis(posteriors);
    let all: Vec<Vec<[f64; 5]>> = posteriors.iter().map(|posterior| quantiles(posterior.draws)).collect();
    multiples(posteriors, &entries[..if known { 4 } else { 3 }], y.room(), |area, rect, i| {
        let y = if i % COLUMNS == 0 { y.clone() } else { y.clone().unlabelled() };
        draw_fan(&mut panel(area, rect, &x, &y)?, &all[i], posteriors[i].truth)
    })
}

/// Returns the 5, 25, 50, 75 and 95 % quantiles of each coordinate.
fn quantiles(draws: &Samples) -> Vec<[f64; 5]> {
    let coordinate = |j: usize| sorted(draws.rows().map(move |row| row[j]));
    let levels = |values: Vec<f32>| [0.05, 0.25, 0.5, 0.75, 0.95].map(|q| quantile(&values, q));
    let none = [f64::NAN; 5];
    (0..draws.d()).map(coordinate).map(|values| if values.is_empty() { none } else { levels(values) }).collect()
}

/// Returns one vertical axis for all panels, so that they can be compared.
fn shared_axis(posteriors: &[Posterior<'_>]) -> Axis {
    let each = posteriors.iter().map(|posterior| {
        let draws = bulk_limits(posterior.draws.as_slice().iter().copied(), 0.005..=0.995);
        let truth = posterior.truth.unwrap_or(&[]).iter().filter(|v| v.is_finite());
        truth.fold(draws, |all, &v| (all.0.min(f64::from(v)), all.1.max(f64::from(v))))
    });
    let (lo, hi) = each.fold((f64::MAX, f64::MIN), |all, own| (all.0.min(own.0), all.1.max(own.1)));
    let (lo, hi) = padded(lo, hi, 0.02);
    Axis::linear(lo, hi, 6, "")
}

fn draw_fan(panel: &mut Panel<'_>, quantiles: &[[f64; 5]], truth: Option<&[f32]>) -> Result<()> {
    let place = |j: usize| (j + 1) as f64;
    let band = |low: usize, high: usize| -> Vec<(f64, f64, f64)> {
        quantiles.iter().enumerate().map(|(j, q)| (place(j), q[low], q[high])).collect()
    };
    fill(panel, &band(0, 4), POSTERIOR, 0.2)?;
    fill(panel, &band(1, 3), POSTERIOR, 0.35)?;
    let median = quantiles.iter().enumerate().map(|(j, q)| (place(j), q[2]));
    panel.draw_series(LineSeries::new(median.filter(|point| point.1.is_finite()), line(POSTERIOR, 1.0, 1.8)))?;
    let places = || truth.unwrap_or(&[]).iter().enumerate().map(|(j, &v)| (place(j), f64::from(v)));
    let truth = || places().filter(|point| point.1.is_finite());
    panel.draw_series(LineSeries::new(truth(), line(TRUTH, 1.0, 1.4)))?;
    if quantiles.len() <= 4 * MAX_NAMES {
        panel.draw_series(truth().map(|point| Circle::new(point, 22, TRUTH.filled())))?;
    }
    Ok(())
}

fn histograms(posteriors: &[Posterior<'_>], name: &str) -> Result<String> {
    let exact = posteriors.iter().any(|posterior| posterior.density.is_some());
    let known = posteriors.iter().any(|posterior| posterior.truth.is_some());
    let mut entries = vec![Entry::new(Swatch::Box(0.3), POSTERIOR, format!("draws of {name}"))];
    entries.extend(exact.then(|| Entry::new(Swatch::Line, EXACT, "exact density")));
    entries.extend(known.then(|| Entry::new(Swatch::Dashes, TRUTH, "truth")));
    multiples(posteriors, &entries, 0.0, |area, rect, i| draw_histogram(area, rect, &posteriors[i]))
}

fn draw_histogram(area: &Area<'_>, rect: Rect, posterior: &Posterior<'_>) -> Result<()> {
    let truth = posterior.truth.map(|truth| f64::from(truth[0]));
    let (lo, hi) = bulk_limits(posterior.draws.as_slice().iter().copied(), 0.001..=0.999);
    let limits = truth.map_or((lo, hi), |truth| (lo.min(truth), hi.max(truth)));
    let heights = histogram(posterior.draws, 0, limits, BINS);
    let inside = || posterior.density.unwrap_or(&[]).iter().copied().filter(|p| (limits.0..=limits.1).contains(&p.0));
    let highest = heights.iter().copied().chain(inside().map(|p| p.1)).fold(f64::MIN_POSITIVE, f64::max);
    let x = Axis::linear(limits.0, limits.1, 5, "").without_grid();
    let mut panel = panel(area, rect, &x, &Axis::bare(0.0, 1.08 * highest))?;
    steps(&mut panel, &heights, limits, POSTERIOR)?;
    panel.draw_series(LineSeries::new(inside(), line(EXACT, 1.0, 1.8)))?;
    if let Some(truth) = truth {
        panel.draw_series(DashedLineSeries::new(
            [(truth, 0.0), (truth, 1.08 * highest)],
            50,
            30,
            line(TRUTH, 1.0, 1.4),
        ))?;
    }
    Ok(())
}

/// Draws several panels under a common legend; `paint(area, rect, i)` fills panel `i`. `left` is the space
/// for the labels of the first column.
fn multiples(
    posteriors: &[Posterior<'_>],
    entries: &[Entry],
    left: f64,
    paint: impl for<'a> Fn(&Area<'a>, Rect, usize) -> Result<()>,
) -> Result<String> {
    let columns = posteriors.len().min(COLUMNS);
    let left = left + GAP;
    let width = left + columns as f64 * (PANEL_WIDTH + GAP);
    let top = GAP / 2.0 + legend_height(entries, width - left - GAP);
    let step = TITLE + PANEL_HEIGHT + BELOW;
    let height = top + posteriors.len().div_ceil(COLUMNS) as f64 * step + GAP / 2.0;
    sheet(width, height, |area, _| {
        legend(area, entries, (left, GAP / 2.0), width - left - GAP)?;
        for (i, posterior) in posteriors.iter().enumerate() {
            let x = left + (i % COLUMNS) as f64 * (PANEL_WIDTH + GAP);
            let y = top + (i / COLUMNS) as f64 * step + TITLE;
            text(area, &posterior.title, (x, y - TITLE / 2.0 + 2.0), NORMAL, TEXT, Align::Left)?;
            paint(area, Rect { x, y, w: PANEL_WIDTH, h: PANEL_HEIGHT }, i)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(d: usize) -> Samples {
        Samples::new((0..101 * d).map(|i| (i / d) as f32).collect(), d)
    }

    fn posterior<'a>(draws: &'a Samples, truth: &'a [f32]) -> Posterior<'a> {
        Posterior { title: "observation 7".into(), draws, truth: Some(truth), density: None }
    }

    #[test]
    fn the_bands_are_the_quantiles() {
        assert_eq!(quantiles(&draws(2)), [[5.0, 25.0, 50.0, 75.0, 95.0]; 2]);
    }

    #[test]
    fn panels_are_laid_out_and_titled() {
        let (draws, truth) = (draws(3), [50.0; 3]);
        let svg = fan(&vec![posterior(&draws, &truth); 5], &["height".into()]).unwrap();
        assert_eq!(svg.matches("observation 7").count(), 5);
        assert_eq!(svg.matches("<polygon").count(), 10, "two bands each");
        assert!(svg.contains("height") && svg.contains("x₂"));
    }

    #[test]
    fn one_coordinate_becomes_a_histogram_with_its_exact_density() {
        let (draws, density) = (draws(1), [(0.0, 0.01), (100.0, 0.01)]);
        let exact = Posterior { density: Some(&density), ..posterior(&draws, &[400.0]) };
        let svg = fan(&[exact], &[]).unwrap();
        assert!(svg.contains("exact density") && svg.contains(">\n400\n<"), "the truth widens the limits");
        assert!(!fan(&[posterior(&draws, &[4.0])], &[]).unwrap().contains("exact"));
    }

    #[test]
    fn a_diverged_run_can_still_be_looked_at() {
        for d in [1, 3] {
            let broken = Samples::new([f32::NAN, f32::INFINITY, f32::MAX, -f32::MAX, 0.0, 1.0].repeat(d), d);
            let none = Samples::new(vec![f32::NAN; 6 * d], d);
            let truth = vec![f32::NAN; d];
            for draws in [&broken, &none] {
                let svg = fan(&[posterior(draws, &truth)], &[]).unwrap();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }

    #[test]
    fn bad_input_is_named() {
        let error = |posteriors: &[Posterior<'_>]| fan(posteriors, &[]).unwrap_err().to_string();
        let (two, three, none) = (draws(2), draws(3), Samples::new(Vec::new(), 2));
        assert!(error(&[]).contains("at least one"));
        assert!(error(&[posterior(&two, &[1.0; 3])]).contains("truth has 3 coordinates, its draws have 2"));
        assert!(error(&[posterior(&none, &[1.0; 2])]).contains("\"observation 7\" has no draws"));
        assert!(error(&[posterior(&two, &[1.0; 2]), posterior(&three, &[1.0; 3])]).contains("draws have 3"));
    }
}
