//! The clean signals that a run is trained on beside its observations; it keeps its own copy of them.

use crate::config::Config;
use crate::data::fit::Fit;
use crate::data::folder::Folder;
use crate::data::image_set::{ImageSet, Opened, Sources};
use crate::data::observations::load_signals;
use crate::data::tensor_file::write_rows;
use crate::run::dataset::{inspection, signals};
use crate::run::dir::RunDir;
use anyhow::{Context, Result, bail};
use diffem::{Em, Samples};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// What tables say of clean signals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CleanUse {
    /// Number of clean signals.
    pub signals: usize,
    /// Probability that a training signal is a clean one.
    pub weight: f64,
}

impl fmt::Display for CleanUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trained with {} clean signals of weight {}", self.signals, self.weight)
    }
}

/// Reads the clean signals that `config` names; `None` where it names none.
///
/// # Errors
/// A file or folder that cannot be read, signals of another length than the observed ones.
pub fn load(config: &Config) -> Result<Option<Samples>> {
    let Some(clean) = &config.clean else { return Ok(None) };
    let path = Path::new(&clean.path);
    let x = match path.is_dir() {
        true => pictures(config, path).context("clean.path")?,
        false => load_signals(path, "x", &signals(config.signal_len(), config.image_shape())).context("clean.path")?,
    };
    if let Some(warning) = inspection(config, false).of_signals(&x) {
        eprintln!("warning: {}: {warning}", path.display());
    }
    Ok(Some(x))
}

/// The pictures below `path`, cropped and resized as those of the data are.
fn pictures(config: &Config, path: &Path) -> Result<Samples> {
    let all = |set: &dyn ImageSet| set.read(&(0..set.len()).collect::<Vec<_>>());
    let of_clean = config.data.images().is_some_and(|images| images.test().is_some());
    let data = of_clean.then(|| config.data.clone().at(path)).transpose()?;
    if let Some(Opened::Clean(Sources { train, .. })) =
        data.as_ref().and_then(|data| data.images()).map(|images| images.open(false)).transpose()?
    {
        return all(&*train);
    }
    match config.image_shape() {
        Some(shape) if matches!(shape.channels, 1 | 3) => {
            all(&Folder::open(path, Fit { shape, crop: None, background: 255, resize: true }, false)?)
        }
        _ => bail!("{} is a folder; expected a file with x [h, d], since the signals are no pictures", path.display()),
    }
}

/// Where a run keeps its clean signals.
fn file(run: &RunDir) -> PathBuf {
    run.file("clean.safetensors")
}

/// Writes the copy that `run` keeps.
pub fn write(run: &RunDir, x: Option<&Samples>) -> Result<()> {
    x.map_or(Ok(()), |x| write_rows(&file(run), &[("x", x)]))
}

/// Reads the copy that `run` keeps, if it is trained with any.
pub fn read(run: &RunDir, config: &Config) -> Result<Option<Samples>> {
    let length = signals(config.signal_len(), None);
    config.clean.as_ref().map(|_| load_signals(&file(run), "x", &length)).transpose()
}

/// How `x` are used; `None` where there are none.
pub fn used(config: &Config, x: Option<&Samples>) -> Option<CleanUse> {
    let (clean, x) = config.clean.as_ref().zip(x)?;
    Some(CleanUse { signals: x.n(), weight: clean.weight() })
}

/// Adds the clean signals `x` to a run.
pub fn with_clean(em: Em, config: &Config, x: Option<&Samples>) -> Em {
    match config.clean.as_ref().zip(x) {
        Some((clean, x)) => em.clean(x.clone(), clean.weight()),
        None => em,
    }
}
