//! What a run starts from, where that is another run.

use crate::run::laps::{lap_dir, reconstructions_of};
use crate::run::prior::Prior;
use anyhow::{Context, Result};
use diffem::em::InitConfig;
use std::path::Path;

/// Fails where the run that `init` names has not what the start needs, before anything is made for a run that
/// cannot start.
pub fn check(init: &InitConfig) -> Result<()> {
    match init {
        InitConfig::Checkpoint { path } => lap_dir(Path::new(path), None).map(drop),
        InitConfig::Reconstructions { path } => reconstructions_of(Path::new(path)).map(drop),
        InitConfig::Prior { path } => Prior::check(Path::new(path)),
        _ => Ok(()),
    }
    .context("em.start.path")
}
