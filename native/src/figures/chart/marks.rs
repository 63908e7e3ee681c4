//! Marks in panels: lines, bands and histograms.

use anyhow::Result;
use diffem::Samples;
use plotters::prelude::*;

use super::canvas::line;
use super::panel::Panel;
use crate::figures::style::RoleColor;

/// Draws a line through the points, with a gap at every value that is not finite.
pub fn join(panel: &mut Panel<'_>, points: impl Iterator<Item = (f64, f64)>, style: ShapeStyle) -> Result<()> {
    let points: Vec<(f64, f64)> = points.collect();
    for run in points.split(|point| !point.1.is_finite()) {
        panel.draw_series(LineSeries::new(run.iter().copied(), style))?;
    }
    Ok(())
}

/// Fills the band of (x, low, high), with a gap wherever a limit is not finite.
pub fn fill(panel: &mut Panel<'_>, band: &[(f64, f64, f64)], color: RoleColor, alpha: f64) -> Result<()> {
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

/// Density of coordinate `j` in `bins` bins over `limits`; samples outside count in the total but in no bin.
pub fn histogram(samples: &Samples, j: usize, limits: (f64, f64), bins: usize) -> Vec<f64> {
    let width = (limits.1 - limits.0) / bins as f64;
    let mut heights = vec![0.0; bins];
    let weight = 1.0 / (samples.n().max(1) as f64 * width);
    for row in samples.rows() {
        let place = (row[j] as f64 - limits.0) / width;
        if (0.0..bins as f64).contains(&place) {
            heights[place as usize] += weight;
        }
    }
    heights
}

/// Draws a histogram over `limits` as an outline with a light fill.
pub fn steps(panel: &mut Panel<'_>, heights: &[f64], limits: (f64, f64), color: RoleColor) -> Result<()> {
    let edge = |i: usize| limits.0 + (limits.1 - limits.0) * i as f64 / heights.len() as f64;
    let tops = heights.iter().enumerate().flat_map(|(i, &h)| [(edge(i), h), (edge(i + 1), h)]);
    let outline: Vec<(f64, f64)> =
        std::iter::once((limits.0, 0.0)).chain(tops).chain(std::iter::once((limits.1, 0.0))).collect();
    panel.draw_series([Polygon::new(outline.clone(), color.mix(0.13).filled())])?;
    panel.draw_series([PathElement::new(outline, line(color, 1.0, 1.3))])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of bins in the histogram.
    const BINS: usize = 60;

    #[test]
    fn histograms_are_densities() {
        let samples = Samples::new((0..10_000).map(|i| i as f32 / 10_000.0).collect(), 1);
        let uniform = histogram(&samples, 0, (-0.5, 2.5), BINS);
        let total: f64 = uniform.iter().sum::<f64>() * 3.0 / BINS as f64;
        assert!((total - 1.0).abs() < 1e-9 && (uniform[20] - 1.0).abs() < 0.01, "{total} {uniform:?}");
    }
}
