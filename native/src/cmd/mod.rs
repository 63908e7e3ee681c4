//! The commands, a verb a file.

pub mod about;
pub mod config;
pub mod corrupt;
pub mod evaluate;
pub mod plot;
pub mod sample;
pub mod train;

use crate::args::Compute;
use anyhow::{Context, Result, bail};

/// Sets the number of worker threads, once per process.
fn use_threads(compute: &Compute) -> Result<()> {
    match compute.threads {
        None => Ok(()),
        Some(0) => bail!("--threads 0: expected 1 or more"),
        Some(n) => rayon::ThreadPoolBuilder::new().num_threads(n).build_global().context("cannot start the worker threads"),
    }
}
