//! Stores the reconstructions of the current lap in the run directory as they are made.

use crate::data::mapped;
use crate::run::dir::RunDir;
use diffem::{Samples, Store};

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
