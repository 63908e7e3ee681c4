//! Writes images as folders of PNG files under the names of the pictures that they belong to, for a look and
//! for tools that score images (dgm-eval, clean-fid, torch-fidelity).

use crate::args::ExportImages;
use crate::data::pixels::{Bits, write_png};
use crate::files;
use crate::run::laps::chosen_lap;
use crate::run::names::targets;
use crate::run::session::Session;
use anyhow::{Context, Result, bail};
use diffem::Samples;
use diffem::image::{ImageShape, PIXEL_MAX, from_unit};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What [`export`] wrote.
pub struct Written {
    /// Output directory.
    pub out: PathBuf,
    /// Lap whose reconstructions were written.
    pub lap: usize,
    /// Number of reconstructions.
    pub reconstructions: usize,
    /// Number of true images, if the truth is known.
    pub truth: Option<usize>,
}

/// Writes the reconstructed images of a lap of `session` and, if the truth is known, the true images.
///
/// # Errors
/// If the signals are not images, if the lap is not finished, or if the output directory is not empty.
pub fn export(args: &ExportImages, session: &Session) -> Result<Written> {
    let Some(shape) = session.image_shape() else {
        bail!("the signals of {} are not images: there is nothing to export", args.run.display());
    };
    let lap = lap(args, session)?;
    let out = args.out.clone().unwrap_or_else(|| session.run.file(&format!("images-lap-{lap:03}")));
    refuse_content(&out)?;
    let x = session.run.reconstructions(lap)?;
    let truth = session.dataset.truth.x.as_ref();
    let gallery = Gallery::new(session.dataset.names.as_deref(), x.n(), shape, args.bits);
    files::replace_dir(&out, |dir| {
        gallery.write(&dir.join("reconstructions"), &|i| x.row(i).to_vec())?;
        truth.map_or(Ok(()), |truth| gallery.write(&dir.join("truth"), &|i| truth.row(i).to_vec()))
    })?;
    Ok(Written { out, lap, reconstructions: x.n(), truth: truth.map(Samples::n) })
}

/// The lap that was asked for, or else the one chosen by the held-out observations.
fn lap(args: &ExportImages, session: &Session) -> Result<usize> {
    let finished = session.run.laps()?;
    let Some(&last) = finished.last() else { bail!("{} has no finished lap yet", args.run.display()) };
    match args.lap {
        None => chosen_lap(&session.run, &finished, last),
        Some(lap) if finished.contains(&lap) => Ok(lap),
        Some(lap) => bail!("--lap: lap {lap} is not finished; {} has laps 0 to {last}", args.run.display()),
    }
}

/// Refuses a directory that is not empty, because its content may be the user's own.
pub fn refuse_content(out: &Path) -> Result<()> {
    if !out.is_dir() {
        return Ok(());
    }
    let mut entries = std::fs::read_dir(out).with_context(|| format!("cannot list {}", out.display()))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => bail!("--out {}: is not empty; expected a new folder", out.display()),
    }
}

/// Files of the images of some rows.
pub struct Gallery {
    targets: Vec<PathBuf>,
    shape: ImageShape,
    bits: Bits,
}

impl Gallery {
    /// The files of `n` images of `shape`: those of `names` as .png, or 000000.png, 000001.png and so on.
    pub fn new(names: Option<&[String]>, n: usize, shape: ImageShape, bits: Bits) -> Self {
        Self { targets: targets(names, n), shape, bits }
    }

    /// Writes the image `of(i)` of every row i into the folder `dir`.
    pub fn write(&self, dir: &Path, of: &(dyn Fn(usize) -> Vec<f32> + Sync)) -> Result<()> {
        files::ensure_writable_dir(dir)?;
        for folder in self.targets.iter().filter_map(|target| target.parent()).collect::<BTreeSet<_>>() {
            files::ensure_writable_dir(&dir.join(folder))?;
        }
        let targets = self.targets.par_iter().enumerate();
        targets.try_for_each(|(i, target)| write_png(&dir.join(target), &of(i), self.shape, self.bits))
    }

    /// Writes `draws` draws per row, row by row in `x`: into `dir` if there is one draw, else into its folders
    /// `draw-1` and so on, with their `mean` and their standard `deviation`, which is black for 0 and white
    /// for half the range of pixels.
    pub fn write_draws(&self, dir: &Path, x: &Samples, draws: usize) -> Result<()> {
        if draws == 1 {
            return self.write(dir, &|i| x.row(i).to_vec());
        }
        let digits = draws.to_string().len();
        for draw in 0..draws {
            let folder = dir.join(format!("draw-{:0digits$}", draw + 1));
            self.write(&folder, &|i| x.row(i * draws + draw).to_vec())?;
        }
        let moments = |i: usize| -> Vec<(f64, f64)> {
            let value = |draw: usize, v: usize| f64::from(x.row(i * draws + draw)[v]);
            let moment = |v: usize| {
                let mean = (0..draws).map(|draw| value(draw, v)).sum::<f64>() / draws as f64;
                let squares = (0..draws).map(|draw| (value(draw, v) - mean).powi(2)).sum::<f64>();
                (mean, (squares / (draws - 1) as f64).sqrt())
            };
            (0..x.d()).map(moment).collect()
        };
        self.write(&dir.join("mean"), &|i| moments(i).into_iter().map(|(mean, _)| mean as f32).collect())?;
        let shown = |deviation: f64| from_unit((deviation / f64::from(PIXEL_MAX)) as f32);
        self.write(&dir.join("deviation"), &|i| moments(i).into_iter().map(|(_, s)| shown(s)).collect())
    }
}
