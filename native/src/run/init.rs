//! Checks of the other run that a run starts from.

use crate::config::InitConfig;
use crate::run::laps::{lap_dir, reconstructions_of};
use crate::run::prior::Prior;
use anyhow::{Context, Result};
use std::path::Path;

/// Returns an error if the run that `init` names lacks what the start needs, before anything is created for a
/// run that cannot start.
pub fn check(init: &InitConfig) -> Result<()> {
    match init {
        InitConfig::Checkpoint(place) => lap_dir(Path::new(&place.path), None).map(drop),
        InitConfig::Reconstructions(place) => reconstructions_of(Path::new(&place.path)).map(drop),
        InitConfig::Prior(guided) => Prior::check(Path::new(&guided.path)),
        _ => Ok(()),
    }
    .context("init.path")
}
