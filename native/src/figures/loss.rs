//! Plot of the loss against the optimizer step.

use anyhow::Result;
use plotters::prelude::*;

use super::chart::axis::{Axis, quantile, sorted};
use super::chart::canvas::{Area, line};
use super::chart::legend::{Entry, Swatch};
use super::chart::marks::{fill, join};
use super::chart::panel::Panel;
use super::chart::single::{single, value_axis};
use super::chart::text::{Align, text};
use super::style::{LAP, LOSS, NOTE, SMALL};

/// Maximum number of means along a loss curve, beyond which lines fill the pixels.
const MAX_MEANS: usize = 1000;
/// Minimum number of steps per mean, if the curve is long enough.
const MIN_STEPS: usize = 8;

/// Draws the loss of each optimizer step and returns the SVG: the means over up to 1000 stretches as a line,
/// and the central 90 % of each stretch as a band. `laps` are the first steps of the laps, each marked by a
/// faint line.
///
/// # Errors
/// Fails if no loss is finite.
pub fn loss(points: &[(f64, f64)], laps: &[f64], name: &str) -> Result<String> {
    let stretches = stretches(points);
    let spread = stretches.iter().flat_map(|s| [s.low, s.mean, s.high]);
    let y = value_axis(spread, name)?;
    let (first, last) = (points[0].0, points[points.len() - 1].0);
    let x = Axis::whole(first.min(0.0), last.max(first + 1.0), 9, "step");
    let key = [
        Entry::new(Swatch::Line, LOSS, "mean"),
        Entry::new(Swatch::Box(0.25), LOSS, "central 90 % of the steps"),
        Entry::new(Swatch::Line, LAP, "start of a lap"),
    ];
    let shown = if laps.is_empty() { &key[..2] } else { &key };
    single(shown, &x, &y, |area, panel| {
        boundaries(area, panel, laps, &x, &y)?;
        let band = stretches.iter().map(|s| (s.step, s.low, s.high)).collect::<Vec<_>>();
        fill(panel, &band, LOSS, 0.25)?;
        join(panel, stretches.iter().map(|s| (s.step, s.mean)), line(LOSS, 1.0, 1.1))
    })
}

/// Draws a line at the start of each lap, and numbers as many laps above the panel as there is space for.
fn boundaries(area: &Area<'_>, panel: &mut Panel<'_>, laps: &[f64], x: &Axis, y: &Axis) -> Result<()> {
    let every = laps.len().div_ceil(16).max(1);
    for (i, &step) in laps.iter().enumerate().filter(|(_, step)| x.holds(**step)) {
        panel.draw_series([PathElement::new(vec![(step, y.limits.0), (step, y.limits.1)], line(LAP, 1.0, 0.8))])?;
        if i % every == 0 {
            let (px, py) = panel.backend_coord(&(step, y.limits.1));
            let at = (f64::from(px) / 10.0, f64::from(py) / 10.0 - 8.0);
            text(area, &(i + 1).to_string(), at, SMALL * 0.9, NOTE, Align::Center)?;
        }
    }
    Ok(())
}

/// Summary of consecutive steps.
#[derive(Debug, PartialEq)]
struct Stretch {
    /// Mean step.
    step: f64,
    mean: f64,
    /// 5 % quantile.
    low: f64,
    /// 95 % quantile.
    high: f64,
}

fn stretches(points: &[(f64, f64)]) -> Vec<Stretch> {
    let length = points.len().div_ceil(MAX_MEANS).max(MIN_STEPS.min(points.len() / MIN_STEPS)).max(1);
    points.chunks(length).map(stretch).collect()
}

fn stretch(points: &[(f64, f64)]) -> Stretch {
    let values = sorted(points.iter().map(|point| point.1 as f32));
    let step = points.iter().map(|point| point.0).sum::<f64>() / points.len() as f64;
    if values.len() < points.len() {
        // A stretch with any loss that is not finite is a gap, since it must not look like a good one.
        return Stretch { step, mean: f64::NAN, low: f64::NAN, high: f64::NAN };
    }
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
    Stretch { step, mean, low: quantile(&values, 0.05), high: quantile(&values, 0.95) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_loss_is_thinned_without_bias() {
        let points: Vec<(f64, f64)> = (0..100_000).map(|i| (f64::from(i), f64::from(i % 10))).collect();
        let means = stretches(&points);
        assert_eq!(means.len(), 1000);
        assert!(means.iter().all(|s| (s.mean - 4.5).abs() < 1e-9 && s.low == 0.0 && s.high == 9.0), "{:?}", means[0]);
        assert!(loss(&points, &[0.0, 50_000.0], "loss").unwrap().len() < 100_000);
    }

    #[test]
    fn short_losses_keep_every_step_and_diverged_ones_show_a_gap() {
        let short: Vec<(f64, f64)> = (0..15).map(|i| (f64::from(i), 1.0)).collect();
        assert_eq!(stretches(&short).len(), 15);
        assert!(stretch(&[(0.0, 1.0), (1.0, f64::INFINITY)]).mean.is_nan());
    }

    #[test]
    fn without_a_finite_loss_there_is_nothing_to_draw() {
        assert!(loss(&[], &[], "loss").unwrap_err().to_string().contains("\"loss\" has no finite value"));
        assert!(loss(&[(0.0, f64::NAN)], &[], "loss").is_err());
    }
}
