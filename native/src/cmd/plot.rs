//! `diffem plot`: draws the figures of a run.

use crate::args::Plot;
use crate::figures::run::plot;
use crate::run::session::Session;
use anyhow::Result;

/// Runs the command.
pub fn run(args: &Plot) -> Result<()> {
    super::use_threads(&args.compute)?;
    let session = Session::open(&args.run, &[], &args.compute.device)?;
    plot(args, &session)?;
    super::print(&format!("figures in {}\n", session.run.file("figures").display()))
}
