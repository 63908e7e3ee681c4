//! Writes a run's images as folders of 8-bit PNG files, for tools that score images (dgm-eval, clean-fid,
//! torch-fidelity).

use crate::args::ExportImages;
use crate::data::pixels::Bytes;
use crate::files;
use crate::run::laps::chosen_lap;
use crate::run::session::Session;
use anyhow::{Context, Result, bail};
use diffem::Samples;
use diffem::image::ImageShape;
use rayon::prelude::*;
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
    files::replace_dir(&out, |dir| {
        write_folder(&dir.join("reconstructions"), &x, shape)?;
        truth.map_or(Ok(()), |truth| write_folder(&dir.join("truth"), truth, shape))
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
fn refuse_content(out: &Path) -> Result<()> {
    if !out.is_dir() {
        return Ok(());
    }
    let mut entries = std::fs::read_dir(out).with_context(|| format!("cannot list {}", out.display()))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => bail!("{} is not empty: delete it, or choose another --out", out.display()),
    }
}

/// Writes the rows of `x` in order as 000000.png, 000001.png and so on.
fn write_folder(dir: &Path, x: &Samples, shape: ImageShape) -> Result<()> {
    files::ensure_writable_dir(dir)?;
    (0..x.n()).into_par_iter().try_for_each(|i| Bytes::of(x.row(i), shape)?.write(&dir.join(format!("{i:06}.png"))))
}
