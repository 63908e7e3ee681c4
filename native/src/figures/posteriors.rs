//! Posteriors of a few observations, as a grid for images and as fans for other signals.

use super::chart::tiles::{RANGE, Shape, Tile};
use super::fan::{Posterior, fan};
use super::grid::{Column, named_grid};
use super::observed::Observed;
use super::save::save;
use crate::run::session::Session;
use anyhow::Result;
use diffem::{Observations, Samples};
use std::path::Path;

/// Number of draws in a row of an image grid.
const GRID_DRAWS: usize = 4;

/// Returns the truth and the observations whose posteriors are shown: those of test images if there are any,
/// else the run's own.
pub fn shown(session: &Session) -> (Option<&Samples>, &Observations) {
    match (&session.image_shape(), &session.dataset.truth.test) {
        (Some(_), Some((x, seen))) => (Some(x), seen),
        _ => (session.dataset.truth.x.as_ref(), &session.dataset.observations),
    }
}

/// Writes figures of the posteriors of lap `lap` to `dir`, with `draws` draws for each observation in
/// `chosen` that the run has.
pub fn posteriors(session: &Session, lap: usize, chosen: &[usize], draws: usize, dir: &Path) -> Result<()> {
    let (truth, seen) = shown(session);
    let chosen: Vec<usize> = chosen.iter().copied().filter(|i| *i < seen.n()).collect();
    let draws = drawn(session, lap, seen, &chosen, draws)?;
    let names = session.dataset.names.as_ref().filter(|_| std::ptr::eq(seen, &session.dataset.observations));
    let names = names.map_or(Vec::new(), |names| chosen.iter().map(|i| names[*i].clone()).collect());
    let shown = Shown { draws: &draws, chosen: &chosen, truth, names };
    match session.picture_shape().map(Shape::from) {
        Some(shape) => save(&shown.grid(shape, Observed::of(session, seen, &chosen, shape))?, dir, "grid"),
        None => save(&shown.fans()?, dir, "posterior"),
    }
}

/// Returns `draws` posterior draws for each of the observations `chosen`.
fn drawn(session: &Session, lap: usize, seen: &Observations, chosen: &[usize], draws: usize) -> Result<Vec<Samples>> {
    let (_, posterior) = session.posterior(Some(lap))?;
    let x = posterior.sample_of(seen, chosen, draws, session.config.seed)?;
    Ok((0..chosen.len()).map(|k| x.slice(k * draws..(k + 1) * draws)).collect())
}

/// Posterior draws for some of the observations.
struct Shown<'a> {
    /// Draws for each of `chosen`.
    draws: &'a [Samples],
    chosen: &'a [usize],
    truth: Option<&'a Samples>,
    /// Names of the files of `chosen`, or nothing.
    names: Vec<String>,
}

impl<'a> Shown<'a> {
    fn truth(&self, i: usize) -> Option<&'a [f32]> {
        self.truth.map(|x| x.row(i))
    }

    /// Draws one fan per observation.
    fn fans(&self) -> Result<String> {
        let titled = |(draws, i): (&'a Samples, &usize)| Posterior {
            title: format!("observation {i}"),
            draws,
            truth: self.truth(*i),
            density: None,
        };
        let posteriors: Vec<Posterior> = self.draws.iter().zip(self.chosen).map(titled).collect();
        fan(&posteriors, &[])
    }

    /// Draws the grid: observation, posterior draws, mean, standard deviation and truth; one observation per
    /// row.
    fn grid(&self, shape: Shape, observed: Option<Observed>) -> Result<String> {
        let Self { draws, chosen, .. } = *self;
        let moments: Vec<(Vec<f32>, Vec<f32>)> = draws.iter().map(moments).collect();
        let whole = |values| Tile { values, known: None };
        let row = |k: usize| {
            let mut tiles: Vec<Tile> = observed.iter().map(|observed| observed.tile(k)).collect();
            tiles.extend((0..GRID_DRAWS).map(|draw| whole(draws[k].row(draw % draws[k].n()))));
            tiles.extend([whole(moments[k].0.as_slice()), whole(moments[k].1.as_slice())]);
            tiles.extend(self.truth(chosen[k]).map(whole));
            tiles
        };
        let rows: Vec<Vec<Tile>> = (0..chosen.len()).map(row).collect();
        named_grid(&self.columns(observed.is_some()), &rows, shape, &self.names)
    }

    fn columns(&self, observed: bool) -> Vec<Column> {
        let observation = observed.then(|| Column::images("observation", RANGE));
        let mut columns: Vec<Column> = observation.into_iter().collect();
        columns.extend((0..GRID_DRAWS).map(|_| Column::images("posterior draws", RANGE)));
        columns.extend([Column::images("posterior mean", RANGE), Column::spread("posterior std")]);
        columns.extend(self.truth.map(|_| Column::images("truth", RANGE)));
        columns
    }
}

/// Returns the mean and standard deviation of each column.
fn moments(draws: &Samples) -> (Vec<f32>, Vec<f32>) {
    let n = draws.n() as f64;
    let column = |j: usize| draws.rows().map(move |row| row[j] as f64);
    let mean: Vec<f64> = (0..draws.d()).map(|j| column(j).sum::<f64>() / n).collect();
    let std =
        (0..draws.d()).map(|j| (column(j).map(|v| (v - mean[j]).powi(2)).sum::<f64>() / n).sqrt() as f32).collect();
    (mean.iter().map(|&v| v as f32).collect(), std)
}
