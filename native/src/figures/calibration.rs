//! Calibration of posterior draws: ranks, coverage of intervals and balls, and spread versus skill.

use anyhow::Result;

use super::chart::axis::{Axis, padded};
use super::chart::canvas::{Area, Rect, line, sheet};
use super::chart::legend::{Entry, Swatch, legend, legend_height};
use super::chart::marks::{fill, join};
use super::chart::panel::{MARGIN_BELOW, Panel, panel};
use super::chart::text::{Align, text};
use super::style::{NORMAL, PERFECT, RECONSTRUCTIONS, RoleColor, TEXT, TRUTH};
use crate::eval::calibration::{Signals, Tested};
use diffem::metric::{Calibration, Curve};

const WIDTH: f64 = 760.0;
const PANEL_HEIGHT: f64 = 230.0;
const EDGE: f64 = 16.0;
const TITLE: f64 = 22.0;
/// Returns the color of a set of signals.
fn color_of(set: &Tested) -> RoleColor {
    match set.signals {
        Signals::Truth => TRUTH,
        Signals::Own => RECONSTRUCTIONS,
    }
}

/// Draws the calibrations of sets of signals and returns the SVG. Bands are simultaneous 95 % bootstrap
/// bands: a curve is not calibrated if its band excludes the gray line anywhere.
pub fn calibration(sets: &[Tested]) -> Result<String> {
    let mut entries: Vec<Entry> =
        sets.iter().map(|set| Entry::new(Swatch::Line, color_of(set), set.signals.name())).collect();
    entries.push(Entry::new(Swatch::Line, PERFECT, "perfect calibration"));
    let top = EDGE + legend_height(&entries, WIDTH - 2.0 * EDGE);
    let row = TITLE + PANEL_HEIGHT + MARGIN_BELOW + EDGE;
    sheet(WIDTH, top + 2.0 * row, |area, _| {
        legend(area, &entries, (EDGE, EDGE / 2.0), WIDTH - 2.0 * EDGE)?;
        let place = |column: f64, line: f64| (column * WIDTH / 2.0, top + line * row);
        curves(area, place(0.0, 0.0), ("Ranks of the truth", "rank among the draws", "density"), sets, |c| &c.ranks)?;
        curves(area, place(1.0, 0.0), ("Central intervals", "level", "coverage"), sets, |c| &c.coverage)?;
        curves(area, place(0.0, 1.0), ("Balls around random points (TARP)", "level", "coverage"), sets, |c| &c.tarp)?;
        spread_skill(area, place(1.0, 1.0), sets)
    })
}

/// Draws a titled panel whose top left corner is `at`.
fn titled<'a>(area: &Area<'a>, at: (f64, f64), title: &str, x: &Axis, y: &Axis) -> Result<Panel<'a>> {
    let left = at.0 + EDGE / 2.0 + y.room();
    text(area, title, (left, at.1 + TITLE / 2.0), NORMAL, TEXT, Align::Left)?;
    let rect = Rect { x: left, y: at.1 + TITLE, w: at.0 + WIDTH / 2.0 - EDGE - left, h: PANEL_HEIGHT };
    panel(area, rect, x, y)
}

fn curves(
    area: &Area<'_>,
    at: (f64, f64),
    (title, across, up): (&str, &str, &str),
    sets: &[Tested],
    of: impl Fn(&Calibration) -> &Curve,
) -> Result<()> {
    let ends = sets.iter().flat_map(|set| {
        let curve = of(&set.calibration);
        (0..curve.values.len()).flat_map(|i| {
            [curve.values[i] - curve.half_width[i], curve.values[i] + curve.half_width[i], curve.expected[i]]
        })
    });
    let (lo, hi) = ends.fold((0.0, 1.0), |(lo, hi): (f64, f64), v| (lo.min(v), hi.max(v)));
    let (lo, hi) = padded(lo, hi, 0.03);
    let mut panel = titled(area, at, title, &Axis::linear(0.0, 1.0, 6, across), &Axis::linear(lo, hi, 6, up))?;
    for set in sets {
        let (curve, color) = (of(&set.calibration), color_of(set));
        let points = || curve.levels.iter().copied().zip(curve.values.iter().copied());
        let band: Vec<(f64, f64, f64)> =
            points().zip(&curve.half_width).map(|((x, v), half)| (x, v - half, v + half)).collect();
        fill(&mut panel, &band, color, 0.18)?;
        join(&mut panel, points(), line(color, 1.0, 1.8))?;
    }
    if let Some(first) = sets.first() {
        let curve = of(&first.calibration);
        let expected = curve.levels.iter().copied().zip(curve.expected.iter().copied());
        join(&mut panel, expected, line(PERFECT, 1.0, 1.2))?;
    }
    Ok(())
}

fn spread_skill(area: &Area<'_>, at: (f64, f64), sets: &[Tested]) -> Result<()> {
    let all = || sets.iter().flat_map(|set| &set.calibration.spread_skill);
    let highest = all().map(|(spread, skill)| spread.max(*skill)).fold(f64::MIN_POSITIVE, f64::max) * 1.05;
    let (x, y) =
        (Axis::linear(0.0, highest, 6, "spread of the draws"), Axis::linear(0.0, highest, 6, "error of their mean"));
    let mut panel = titled(area, at, "Spread and skill, by decile of spread", &x, &y)?;
    join(&mut panel, [(0.0, 0.0), (highest, highest)].into_iter(), line(PERFECT, 1.0, 1.2))?;
    for set in sets {
        join(&mut panel, set.calibration.spread_skill.iter().copied(), line(color_of(set), 1.0, 1.8))?;
    }
    Ok(())
}
