//! `diffem plot`: the figures of a run.

use crate::args::Plot;
use crate::eval::report::Report;
use crate::figures::chart::canvas::{BLUE, GRAY, VERMILLION};
use crate::figures::chart::tiles::{Shape, Tile};
use crate::figures::corner::{Series, corner};
use crate::figures::curves::{Best, Curve, Floor, metric};
use crate::figures::fan::{Posterior, fan};
use crate::figures::grid::{Column, image_grid};
use crate::figures::loss::loss;
use crate::figures::save::save;
use crate::run::metrics::{self, Line, with_total_steps};
use crate::run::prior::Prior;
use crate::run::session::{Session, chosen_lap};
use anyhow::{Result, bail};
use diffem::{Observations, Samples};
use std::path::Path;

/// Draws shown in a row of an image grid.
const GRID_DRAWS: usize = 4;
/// Most draws of a posterior.
const MAX_DRAWS: usize = 65_536;

/// Runs the command.
pub fn run(args: &Plot) -> Result<()> {
    super::use_threads(&args.compute)?;
    let session = Session::open(&args.run, &[], &args.compute.device)?;
    let n = shown(&session).1.n();
    if let Some(i) = args.observations.iter().find(|i| **i >= n) {
        bail!("--observations {i}: the run has observations 0 to {} to show", n - 1);
    }
    if !(2..=MAX_DRAWS).contains(&args.draws) {
        bail!("--draws {}: expected 2 to {MAX_DRAWS}", args.draws);
    }
    draw(&session, &args.observations, args.draws)?;
    if crate::run::prior::exists(&session.run) {
        crate::figures::comparisons::prior(&session, &Prior::load(&session.run, &[], &session.device)?)?;
    }
    super::print(&format!("figures in {}\n", session.run.file("figures").display()))
}

/// Truth and observations whose posteriors are shown: images that were not trained on, else the run's own.
fn shown(session: &Session) -> (Option<&Samples>, &Observations) {
    match (&session.image_shape(), &session.dataset.truth.test) {
        (Some(_), Some((x, seen))) => (Some(x), seen),
        _ => (session.dataset.truth.x.as_ref(), &session.dataset.observations),
    }
}

/// Draws all figures; the posteriors shown are those of the observations `chosen` that the run has.
pub fn draw(session: &Session, chosen: &[usize], draws: usize) -> Result<()> {
    let dir = session.run.file("figures");
    crate::files::ensure_writable_dir(&dir)?;
    let lines = metrics::read(&session.run.file("metrics.jsonl"))?;
    curves(&lines, &dir)?;
    let laps = session.run.laps()?;
    let Some(&last) = laps.last().filter(|lap| **lap > 0) else {
        return Ok(());
    };
    let best = chosen_lap(&session.run, &laps, last)?;
    corners(session, best, &dir)?;
    if let Some(image) = session.image_shape() {
        crate::figures::comparisons::laps(session, Shape::from(image), &laps)?;
    }
    if let Some(report) = Report::read(&session.run)? {
        crate::figures::comparisons::scores(session, &report)?;
    }
    let (truth, seen) = shown(session);
    let chosen: Vec<usize> = chosen.iter().copied().filter(|i| *i < seen.n()).collect();
    let posteriors = posteriors(session, best, seen, &chosen, draws)?;
    let truth = |i: usize| truth.map(|x| x.row(i));
    match session.image_shape() {
        Some(image) => grid(&posteriors, seen, &chosen, &truth, Shape::from(image), &dir),
        None => {
            let titled = |(draws, i): (_, &usize)| Posterior {
                title: format!("observation {i}"),
                draws,
                truth: truth(*i),
                density: None,
            };
            let posteriors: Vec<Posterior> = posteriors.iter().zip(&chosen).map(titled).collect();
            save(&fan(&posteriors, &[])?, &dir, "posterior")
        }
    }
}

/// Loss, divergence to the truth, held-out scores.
fn curves(lines: &[Line], dir: &Path) -> Result<()> {
    let (mut losses, mut begins, mut current) = (Vec::new(), Vec::new(), 0);
    let (mut truth, mut score, mut energy, mut sinkhorn) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut truth_floor, mut floors) = (None, None);
    for (total, line) in with_total_steps(lines) {
        match line {
            Line::MStep { lap, step, loss, .. } => {
                if *lap != current {
                    begins.push((total - step) as f64);
                    current = *lap;
                }
                losses.push((total as f64, *loss));
            }
            Line::Lap { lap, monitor, truth: t, .. } => {
                let lap = *lap as f64;
                truth.extend(t.map(|t| (lap, t.sinkhorn)));
                score.extend(monitor.map(|m| (lap, m.energy_score)));
                energy.extend(monitor.map(|m| (lap, m.energy)));
                sinkhorn.extend(monitor.map(|m| (lap, m.sinkhorn)));
                truth_floor = t.map(|t| t.sinkhorn_floor).or(truth_floor);
                floors = monitor.map(|m| (m.energy_floor, m.sinkhorn_floor)).or(floors);
            }
        }
    }
    if !losses.is_empty() {
        save(&loss(&losses, &begins, "denoising loss")?, dir, "loss")?;
    }
    let floor = |value: Option<f64>, label: &str| value.map(|value| Floor { value, label: label.to_string() });
    if !truth.is_empty() {
        let floor = floor(truth_floor, "truth against truth");
        let curve = Curve {
            label: "reconstructions".into(),
            color: BLUE,
            points: &truth,
            band: &[],
            floor,
            best: Best::Lowest,
        };
        save(&metric(&[curve], "Sinkhorn divergence to the truth")?, dir, "divergence")?;
    }
    for (points, value, name, axis) in [
        (&score, None, "held-out-score", "held-out energy score"),
        (&energy, floors.map(|f| f.0), "held-out-energy", "held-out energy distance"),
        (&sinkhorn, floors.map(|f| f.1), "held-out-sinkhorn", "held-out Sinkhorn divergence"),
    ] {
        if !points.is_empty() {
            let floor = floor(value, "real observations");
            let label = "re-corrupted reconstructions".to_string();
            let curve = Curve { label, color: VERMILLION, points, band: &[], floor, best: Best::Lowest };
            save(&metric(&[curve], axis)?, dir, name)?;
        }
    }
    Ok(())
}

/// Start, reconstructions and truth of each pair of coordinates, the widest cloud first.
fn corners(session: &Session, best: usize, dir: &Path) -> Result<()> {
    let (start, x) = (session.run.reconstructions(0)?, session.run.reconstructions(best)?);
    let label = format!("reconstructions (lap {best})");
    let mut series = vec![
        Series { label: "start (lap 0)".into(), color: GRAY, samples: &start },
        Series { label, color: BLUE, samples: &x },
    ];
    let truth = session.dataset.truth.x.iter();
    series.extend(truth.map(|x| Series { label: "truth".into(), color: VERMILLION, samples: x }));
    save(&corner(&series, &[])?, dir, "corner")
}

/// `draws` posterior draws of each chosen observation.
fn posteriors(
    session: &Session,
    lap: usize,
    seen: &Observations,
    chosen: &[usize],
    draws: usize,
) -> Result<Vec<Samples>> {
    let (_, network) = session.posterior(Some(lap))?;
    let x = session.draws(&network, &seen.select(chosen), draws, session.config.seed)?;
    Ok((0..chosen.len()).map(|k| x.slice(k * draws..(k + 1) * draws)).collect())
}

/// Mean and standard deviation of each column.
fn moments(draws: &Samples) -> (Vec<f32>, Vec<f32>) {
    let n = draws.n() as f64;
    let column = |j: usize| draws.rows().map(move |row| row[j] as f64);
    let mean: Vec<f64> = (0..draws.d()).map(|j| column(j).sum::<f64>() / n).collect();
    let std =
        (0..draws.d()).map(|j| (column(j).map(|v| (v - mean[j]).powi(2)).sum::<f64>() / n).sqrt() as f32).collect();
    (mean.iter().map(|&v| v as f32).collect(), std)
}

/// Which pixels a mask shows: one entry for each pixel, or for each value, where a pixel is seen if one of its colors
/// is. Empty for other operators.
pub fn known(a: &[f32], shape: Shape) -> Vec<bool> {
    let pixels = shape.height * shape.width;
    if a.is_empty() || !a.len().is_multiple_of(pixels) || a.len() > shape.channels * pixels {
        return Vec::new();
    }
    (0..pixels).map(|i| a[i..].iter().step_by(pixels).any(|a| *a != 0.0)).collect()
}

/// Observation, draws, posterior mean and spread, truth; one observation a row.
fn grid<'a>(
    posteriors: &[Samples],
    seen: &Observations,
    chosen: &[usize],
    truth: &dyn Fn(usize) -> Option<&'a [f32]>,
    shape: Shape,
    dir: &Path,
) -> Result<()> {
    let range = (diffem::image::PIXEL_MIN, diffem::image::PIXEL_MAX);
    let known: Vec<Vec<bool>> = chosen.iter().map(|&i| known(seen.operator(i), shape)).collect();
    // Observations of another size, and a truth that is not known, have no column.
    let (image_like, has_truth) = (seen.y.d() == shape.channels * shape.height * shape.width, truth(0).is_some());
    let moments: Vec<(Vec<f32>, Vec<f32>)> = posteriors.iter().map(moments).collect();
    let mut columns: Vec<Column> = image_like.then(|| Column::images("observation", range)).into_iter().collect();
    columns.extend((0..GRID_DRAWS).map(|_| Column::images("posterior draws", range)));
    columns.extend([Column::images("mean", range), Column::spread("std")]);
    columns.extend(has_truth.then(|| Column::images("truth", range)));
    let whole = |values| Tile { values, known: None };
    let row = |k: usize| {
        let known = Some(known[k].as_slice()).filter(|known| !known.is_empty());
        let observed = Tile { values: seen.y.row(chosen[k]), known };
        let mut tiles: Vec<Tile> = image_like.then_some(observed).into_iter().collect();
        tiles.extend((0..GRID_DRAWS).map(|draw| whole(posteriors[k].row(draw % posteriors[k].n()))));
        tiles.extend([whole(moments[k].0.as_slice()), whole(moments[k].1.as_slice())]);
        tiles.extend(truth(chosen[k]).map(whole));
        tiles
    };
    let rows: Vec<Vec<Tile>> = (0..chosen.len()).map(row).collect();
    save(&image_grid(&columns, &rows, shape)?, dir, "grid")
}
