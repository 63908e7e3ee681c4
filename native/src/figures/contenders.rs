//! Scores of the contenders of a comparison, plotted against laps and against time.

use super::curves::{Best, Curve, Floor, metric_over};
use super::save::save;
use super::style::CONTENDERS;
use crate::eval::compare::Comparison;
use crate::eval::compare::outcome::{Outcome, Row};
use crate::files;
use anyhow::Result;

/// Maximum number of contenders in a figure.
pub const MAX_CONTENDERS: usize = CONTENDERS.len();

/// Writes the figures of `comparison` to its directory.
pub fn contenders(comparison: &Comparison) -> Result<()> {
    figure(comparison, &|row| row.lap as f64, "lap", "laps")?;
    figure(comparison, &|row| row.seconds, "training and sampling time, s", "seconds")
}

/// Plots the mean over the seeds against `x`, with a band of one standard deviation.
fn figure(comparison: &Comparison, x: &dyn Fn(&Row) -> f64, x_name: &str, file: &str) -> Result<()> {
    let Comparison { out, score, outcomes } = comparison;
    let dir = out.join("figures");
    files::ensure_writable_dir(&dir)?;
    let points: Vec<Vec<(f64, f64)>> =
        outcomes.iter().map(|o| o.laps.iter().map(|row| (x(row), row.spread.mean)).collect()).collect();
    // The band stops at the best seed, since it could reach below zero on a logarithmic axis.
    let low =
        |row: &Row| (row.spread.mean - row.spread.deviation).max(row.scores.iter().copied().fold(f64::MAX, f64::min));
    let band = |row: &Row| (low(row), row.spread.mean + row.spread.deviation);
    let bands: Vec<Vec<(f64, f64)>> = outcomes.iter().map(|o| o.laps.iter().map(band).collect()).collect();
    let floor = |o: &Outcome| o.laps.last().and_then(|row| row.floor);
    let curves: Vec<Curve<'_>> = outcomes
        .iter()
        .enumerate()
        .map(|(i, o)| Curve {
            label: o.contender.clone(),
            color: CONTENDERS[i],
            points: &points[i],
            band: if o.seeds.len() > 1 { &bands[i] } else { &[] },
            floor: floor(o).filter(|_| i == 0).map(|value| Floor { value, label: "truth against truth".into() }),
            best: Best::Unmarked,
        })
        .collect();
    save(&metric_over(&curves, x_name, score.name())?, &dir, file)
}
