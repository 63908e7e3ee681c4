//! Stores the reconstructions of the current lap in the run directory as they are made.

use crate::data::mapped;
use crate::ranks::world;
use crate::run::dir::RunDir;
use diffem::{Samples, Store};
use std::path::PathBuf;

impl Store for RunDir {
    fn reconstructions(&self, lap: usize, n: usize, d: usize) -> diffem::Result<Samples> {
        let table = mapped::table(&self.e_step(lap), "x", n, d, false);
        table.map_err(|error| diffem::Error::Storage(format!("{error:#}")))
    }

    fn resumed(&self, lap: usize, n: usize, d: usize) -> diffem::Result<Option<Samples>> {
        let advice = "delete the run's state.safetensors to continue from the previous lap";
        let table = mapped::table(&self.e_step(lap), "x", n, d, true);
        table.map(Some).map_err(|error| diffem::Error::Storage(format!("{error:#}; {advice}")))
    }
}

/// Keeps the reconstructions of a rank that writes nothing into the run directory.
pub struct Local;

impl Store for Local {
    fn reconstructions(&self, _lap: usize, n: usize, d: usize) -> diffem::Result<Samples> {
        let dir = std::env::temp_dir();
        let table = mapped::scratch(&dir, n, d);
        table.map_err(|error| {
            let advice = "make room, or name another directory in TMPDIR";
            diffem::Error::Storage(format!("{}: {error:#}; {advice}", dir.display()))
        })
    }
}

/// The directory for large tables that no other process needs: the run directory, and one of its own machine for a rank that
/// writes nothing there.
pub fn scratch_dir(run: &RunDir) -> PathBuf {
    if world().leads() { run.path().to_path_buf() } else { std::env::temp_dir() }
}
