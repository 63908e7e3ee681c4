//! Figures that show several laps or models beside each other.

use crate::prior::Prior;
use crate::report::canvas::{BLUE, GREY, VERMILLION};
use crate::report::corner::{Series, corner};
use crate::report::figures::save;
use crate::report::grid::{Column, image_grid};
use crate::report::tiles::{Shape, Tile};
use crate::session::Session;
use anyhow::Result;
use diffem::Samples;

/// Pixel values at the ends of the grey or colour scale.
const RANGE: (f32, f32) = (-2.0, 2.0);
/// Rows of the prior's grid, and columns of each of its halves.
const SIDE: usize = 6;
/// Most points of a cloud.
const POINTS: usize = 4096;

/// Draws of the prior beside the reconstructions that it was trained on: images in a grid, vectors in a corner plot.
pub fn prior(session: &Session, prior: &Prior) -> Result<()> {
    let dir = session.run.file("figures");
    crate::files::ensure_writable_dir(&dir)?;
    let lap = prior.origin.lap;
    let x = session.run.reconstructions(lap)?;
    let learned = format!("reconstructions (lap {lap})");
    let svg = match session.image_shape() {
        Some(image) => {
            let draws = prior.draws(SIDE * SIDE, 0)?;
            halves(&[("draws of the prior", &draws), (&learned, &x)], Shape::from(image))?
        }
        None => {
            let draws = prior.draws(x.n().min(POINTS), 0)?;
            let mut series = vec![
                Series { label: learned, colour: GREY, samples: &x },
                Series { label: "draws of the prior".into(), colour: BLUE, samples: &draws },
            ];
            let truth = session.problem.truth.x.iter();
            series.extend(truth.map(|x| Series { label: "truth".into(), colour: VERMILLION, samples: x }));
            corner(&series, &[])?
        }
    };
    save(&svg, &dir, "prior")
}

/// Images of several sets side by side, a block of columns each; a set that is too small begins anew.
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
