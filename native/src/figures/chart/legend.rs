//! Legends, which are placed beside panels and never over data.

use anyhow::Result;
use plotters::prelude::*;

use super::canvas::{Area, line, units};
use super::text::{Align, text, text_width};
use crate::figures::style::{NORMAL, RoleColor, TEXT};

/// Symbol of a series in a legend.
#[derive(Clone, Copy, Debug)]
pub enum Swatch {
    /// A round dot.
    Dot,
    /// A line.
    Line,
    /// A dashed line.
    Dashes,
    /// A filled box with this opacity.
    Box(f64),
    /// A ring, which marks a chosen point.
    Ring,
}

/// One entry of a legend.
#[derive(Clone, Debug)]
pub struct Entry {
    pub swatch: Swatch,
    pub color: RoleColor,
    pub label: String,
}

impl Entry {
    /// Creates an entry that shows `label` beside `swatch` in `color`.
    pub fn new(swatch: Swatch, color: RoleColor, label: impl Into<String>) -> Self {
        Self { swatch, color, label: label.into() }
    }
}

/// Distance between the lines of a legend.
pub const LEGEND_LINE: f64 = 20.0;
const SWATCH: f64 = 26.0;
const GAP: f64 = 18.0;

/// Lays out the entries of a legend of this `width`, left to right and then down; returns their offsets from
/// the top left corner.
pub fn legend_layout(entries: &[Entry], width: f64) -> Vec<(f64, f64)> {
    let (mut x, mut y) = (0.0, 0.0);
    let mut place = |entry: &Entry| {
        let own = SWATCH + text_width(&entry.label, NORMAL);
        if x > 0.0 && x + own > width {
            (x, y) = (0.0, y + LEGEND_LINE);
        }
        let at = (x, y);
        x += own + GAP;
        at
    };
    entries.iter().map(&mut place).collect()
}

/// Height of a legend of this `width`.
pub fn legend_height(entries: &[Entry], width: f64) -> f64 {
    legend_layout(entries, width).last().map_or(0.0, |last| last.1 + LEGEND_LINE)
}

/// Draws a legend whose top left corner is `at`.
pub fn legend(area: &Area<'_>, entries: &[Entry], at: (f64, f64), width: f64) -> Result<()> {
    for (entry, (x, y)) in entries.iter().zip(legend_layout(entries, width)) {
        let (x, y) = (at.0 + x, at.1 + y + LEGEND_LINE / 2.0);
        swatch(area, entry, (x, y))?;
        text(area, &entry.label, (x + SWATCH, y), NORMAL, TEXT, Align::Left)?;
    }
    Ok(())
}

fn swatch(area: &Area<'_>, entry: &Entry, (x, y): (f64, f64)) -> Result<()> {
    let (left, right, middle, height) = (units(x), units(x + 20.0), units(x + 10.0), units(y));
    let stroke = line(entry.color, 1.0, 2.0);
    let path = |from: i32, to: i32| PathElement::new(vec![(from, height), (to, height)], stroke);
    match entry.swatch {
        Swatch::Dot => area.draw(&Circle::new((middle, height), units(4.0), entry.color.filled()))?,
        Swatch::Ring => area.draw(&Circle::new((middle, height), units(5.0), stroke))?,
        Swatch::Line => area.draw(&path(left, right))?,
        Swatch::Dashes => {
            area.draw(&path(left, units(x + 8.0)))?;
            area.draw(&path(units(x + 12.0), right))?;
        }
        Swatch::Box(alpha) => {
            let corners = [(left, units(y - 6.0)), (right, units(y + 6.0))];
            area.draw(&Rectangle::new(corners, entry.color.mix(alpha).filled()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_wraps_and_its_entries_never_overlap() {
        let entries: Vec<Entry> = (0..5).map(|i| Entry::new(Swatch::Dot, TEXT, "x".repeat(8 + i))).collect();
        let places = legend_layout(&entries, 260.0);
        for (i, pair) in places.windows(2).enumerate() {
            let end = pair[0].0 + SWATCH + text_width(&entries[i].label, NORMAL);
            assert!(pair[1].1 > pair[0].1 || pair[1].0 >= end, "{places:?}");
        }
        assert!(legend_height(&entries, 260.0) > LEGEND_LINE);
    }
}
