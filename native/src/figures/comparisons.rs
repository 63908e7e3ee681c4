//! Figures that compare several laps or models.

use crate::eval::features;
use crate::eval::features::network::Names;
use crate::eval::features::scores::FeatureScores;
use crate::eval::report::Report;
use crate::eval::restoration::{Estimate, Restoration};
use crate::figures::chart::tiles::{RANGE, Shape, Tile};
use crate::figures::corner::{Series, corner};
use crate::figures::curves::{Best, Curve, Floor, metric};
use crate::figures::grid::{Column, image_grid, named_grid};
use crate::figures::observed::Observed;
use crate::figures::save::save;
use crate::figures::style::{DRAW, POSTERIOR, PRIOR, RECONSTRUCTIONS, RoleColor, TRUTH};
use crate::run::prior::Prior;
use crate::run::session::Session;
use anyhow::Result;
use diffem::Samples;
use std::path::Path;

/// Number of rows in the prior's grid, and of columns in each of its halves.
const SIDE: usize = 6;
/// Maximum number of points in a cloud.
const POINTS: usize = 4096;
/// Maximum number of laps side by side.
const LAPS: usize = 9;

/// Plots prior draws beside the reconstructions on which the prior was trained: images in a grid, vectors in
/// a corner plot.
pub fn prior(session: &Session, prior: &Prior) -> Result<()> {
    let dir = session.run.file("figures");
    crate::files::ensure_writable_dir(&dir)?;
    let lap = prior.origin.lap;
    let x = session.run.reconstructions(lap)?;
    let learned = format!("reconstructions (lap {lap})");
    let svg = match session.picture_shape() {
        Some(image) => {
            let draws = prior.draws(SIDE * SIDE, 0)?;
            halves(&[("prior draws", &draws), (&learned, &x)], Shape::from(image))?
        }
        None => {
            let draws = prior.draws(x.n().min(POINTS), 0)?;
            let mut series = vec![
                Series { label: learned, color: RECONSTRUCTIONS, samples: &x },
                Series { label: "prior draws".into(), color: PRIOR, samples: &draws },
            ];
            let truth = session.dataset.truth.x.iter();
            series.extend(truth.map(|x| Series { label: "truth".into(), color: TRUTH, samples: x }));
            corner(&series, &[])?
        }
    };
    save(&svg, &dir, "prior")
}

/// Shows images of several sets side by side, one block of columns per set; a small set is repeated.
fn halves(sets: &[(&str, &Samples)], shape: Shape) -> Result<String> {
    let columns: Vec<Column> =
        sets.iter().flat_map(|(name, _)| std::iter::repeat_n(Column::images(name, RANGE), SIDE)).collect();
    let row = |row: usize| {
        let places = sets.iter().flat_map(|(_, x)| (0..SIDE).map(move |column| (*x, row * SIDE + column)));
        places.map(|(x, i)| Tile { values: x.row(i % x.n()), known: None }).collect()
    };
    let rows: Vec<Vec<Tile>> = (0..SIDE).map(row).collect();
    image_grid(&columns, &rows, shape)
}

/// Shows reconstructions of the same observations lap by lap, beside the observation and, if known, the
/// truth.
pub fn laps(session: &Session, shape: Shape, finished: &[usize]) -> Result<()> {
    let shown = spread(finished, LAPS);
    let laps: Vec<Samples> = shown.iter().map(|lap| session.run.reconstructions(*lap)).collect::<Result<_>>()?;
    let (seen, truth) = (&session.dataset.observations, session.dataset.truth.x.as_ref());
    let count = seen.n().min(SIDE);
    // Observations that give no image of the signal have no column.
    let observed = Observed::of(session, seen, &(0..count).collect::<Vec<_>>(), shape);
    let heading = |lap: &usize| if *lap == 0 { "start".to_string() } else { format!("lap {lap}") };
    let mut headings: Vec<String> = observed.iter().map(|_| "observation".into()).collect();
    headings.extend(shown.iter().map(heading));
    headings.extend(truth.map(|_| "truth".into()));
    let columns: Vec<Column> = headings.iter().map(|heading| Column::images(heading, RANGE)).collect();
    let whole = |values| Tile { values, known: None };
    let row = |i: usize| {
        let mut tiles: Vec<Tile> = observed.iter().map(|observed| observed.tile(i)).collect();
        tiles.extend(laps.iter().map(|x| whole(x.row(i))));
        tiles.extend(truth.map(|x| whole(x.row(i))));
        tiles
    };
    let rows: Vec<Vec<Tile>> = (0..count).map(row).collect();
    let names: Vec<String> = session.dataset.names.iter().flatten().take(count).cloned().collect();
    save(&named_grid(&columns, &rows, shape, &names)?, &session.run.file("figures"), "laps")
}

/// Selects at most `most` of `all`, evenly spaced, including the first and the last.
fn spread(all: &[usize], most: usize) -> Vec<usize> {
    let (n, m) = (all.len(), most.min(all.len()));
    (0..m).map(|i| all[(i * (n - 1) + (m - 1) / 2) / (m - 1).max(1)]).collect()
}

/// A metric of the report as curves over the laps.
struct Chart<'a> {
    file: String,
    axis: String,
    best: Best,
    traces: Vec<Trace<'a>>,
}

/// One curve of a chart.
struct Trace<'a> {
    label: &'a str,
    color: RoleColor,
    /// Points (lap, value) in ascending order of laps.
    points: Vec<(f64, f64)>,
    floor: Option<Floor>,
}

/// Draws a curve for each score that two or more laps have; returns whether there is such a score.
pub fn scores(session: &Session, report: &Report) -> Result<bool> {
    let dir = session.run.file("figures");
    crate::files::ensure_writable_dir(&dir)?;
    let charts = [
        quality(report, "psnr", "PSNR, dB", Estimate::Observation, |row| row.psnr),
        quality(report, "psnr-missing", "PSNR of missing values, dB", Estimate::Observation, |row| row.psnr_missing),
        quality(report, "ssim", "SSIM", Estimate::Observation, |row| row.ssim),
        Chart {
            best: Best::Unmarked, ..quality(report, "fit", "χ² per measurement", Estimate::Truth, |row| row.chi2)
        },
    ];
    let features = distances(&report.features, "", "to the truth");
    let proximal = distances(&report.proximal, "-proximal", "of re-corrupted reconstructions");
    let charts = charts.into_iter().chain(features).chain(proximal);
    let drawn = charts.map(|chart| chart.draw(&dir)).collect::<Result<Vec<bool>>>()?;
    Ok(drawn.contains(&true))
}

/// Builds the chart of a score for posterior means and single draws; `floor` is the estimate of reference.
fn quality(
    report: &Report,
    file: &str,
    axis: &str,
    floor: Estimate,
    value: fn(&Restoration) -> Option<f64>,
) -> Chart<'static> {
    let points = |estimate: Estimate| {
        let rows = report.test.iter().filter(|row| row.estimate == estimate);
        ascending(rows.filter_map(|row| Some((row.lap? as f64, value(row)?))).collect())
    };
    let label = if floor == Estimate::Truth { "truth" } else { "observation" };
    let floor = report.test.iter().filter(|row| row.estimate == floor).find_map(value);
    let floor = floor.map(|value| Floor { value, label: label.into() });
    let traces = vec![
        Trace { label: "posterior mean", color: POSTERIOR, points: points(Estimate::Mean), floor },
        Trace { label: "one draw", color: DRAW, points: points(Estimate::Draw), floor: None },
    ];
    Chart { file: file.to_string(), axis: axis.to_string(), best: Best::Highest, traces }
}

/// Builds the charts of the Fréchet distances of the laps' reconstructions, one chart per network.
fn distances(rows: &[FeatureScores], suffix: &str, to: &str) -> Vec<Chart<'static>> {
    let networks = features::names().filter(|names| rows.iter().any(|row| row.names == *names));
    let chart = |names: Names| {
        let own = || rows.iter().filter(|row| row.names == names);
        let points = own().filter_map(|row| Some((row.lap? as f64, row.frechet))).collect();
        let floor = own().find(|row| row.sample.ends_with("(floor)"));
        let floor =
            floor.map(|row| Floor { value: row.frechet, label: row.sample.trim_end_matches(" (floor)").into() });
        Chart {
            file: names.frechet[1].replace('_', "-") + suffix,
            axis: format!("{} {to}", names.frechet[0]),
            best: Best::Lowest,
            traces: vec![Trace { label: "reconstructions", color: RECONSTRUCTIONS, points: ascending(points), floor }],
        }
    };
    networks.map(chart).collect()
}

fn ascending(mut points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

impl Chart<'_> {
    /// Draws the curves if one of them has at least two points; returns whether it does.
    fn draw(&self, dir: &Path) -> Result<bool> {
        if self.traces.iter().all(|trace| trace.points.len() < 2) {
            return Ok(false);
        }
        let traces = self.traces.iter();
        let curves: Vec<Curve> = traces
            .map(|trace| Curve {
                label: trace.label.to_string(),
                color: trace.color,
                points: &trace.points,
                band: &[],
                floor: trace.floor.clone(),
                best: self.best,
            })
            .collect();
        save(&metric(&curves, &self.axis)?, dir, &self.file).map(|()| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_laps_are_thinned_evenly() {
        let all: Vec<usize> = (0..=32).collect();
        assert_eq!(spread(&all, 9), [0, 4, 8, 12, 16, 20, 24, 28, 32]);
        assert_eq!(spread(&all[..4], 9), [0, 1, 2, 3]);
        assert_eq!((spread(&[0], 9), spread(&[], 9)), (vec![0], vec![]));
    }
}
