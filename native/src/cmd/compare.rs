//! `diffem compare`: trains several methods on the same observations over seeds, and shows them in one table
//! and two figures.

use crate::args::Compare;
use crate::eval::compare::{compare, write};
use crate::figures::contenders::{MAX_CONTENDERS, contenders};
use crate::signals::EXIT_STOPPED;
use anyhow::Result;
use std::process::ExitCode;

/// Runs the command.
pub fn run(args: &Compare) -> Result<ExitCode> {
    super::use_threads(&args.compute)?;
    let Some(comparison) = compare(args, MAX_CONTENDERS)? else { return Ok(ExitCode::from(EXIT_STOPPED)) };
    let tables = write(&comparison.outcomes, comparison.score, &comparison.out)?;
    contenders(&comparison)?;
    super::print(&tables)?;
    Ok(ExitCode::SUCCESS)
}
