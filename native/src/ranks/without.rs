//! What stands for MPI in a build without it.

use super::started::{Traffic, leave_it_to_the_first, started};
use anyhow::{Result, bail};
use diffem::Ranks;
use std::sync::Arc;

/// Never made in this build.
pub enum Universe {}

/// Refuses ranks, which would all make the same run.
pub fn join(_traffic: &'static Traffic) -> Result<(Universe, Arc<dyn Ranks>, usize)> {
    leave_it_to_the_first();
    bail!(
        "{} processes were started together, and this build has no MPI: build it with `cargo build --release --features mpi`",
        started()
    )
}

/// Ends this process.
pub fn abort(code: i32) -> ! {
    std::process::exit(code)
}
