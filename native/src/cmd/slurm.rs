//! `diffem slurm`: prints the job script of a run.

use crate::args::Slurm;
use crate::run::job::script;
use anyhow::{Context, Result};

/// Runs the command.
pub fn run(args: &Slurm) -> Result<()> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    super::print(&script(args, &program)?)
}
