//! `diffem evaluate`: scores a run against the truth, with more points than training does.

use crate::args::{Evaluate, at_least};
use crate::eval::evaluation::evaluate;
use crate::figures::comparisons;
use crate::ranks::world;
use crate::run::together;
use anyhow::Result;

/// Runs the command.
pub fn run(args: &Evaluate) -> Result<()> {
    let world = world();
    world.agree(super::use_threads(&args.compute).and_then(|()| checked(args)))?;
    let mut session = together::view(&args.run, &[], &args.compute.device)?;
    let report = evaluate(args, &mut session)?;
    let show = || {
        report.write(&session.run)?;
        // The run's figures show its own channel, so scores under another channel are not drawn into them.
        let curves = args.channel.is_none() && comparisons::scores(&session, &report)?;
        let curves = curves.then(|| format!("curves in {}\n", session.run.file("figures").display()));
        super::print(&(report.table() + &curves.unwrap_or_default()))
    };
    world.by_first(show).map(drop)
}

/// Checks the counts of the command.
fn checked(args: &Evaluate) -> Result<()> {
    at_least("--points", args.points, 2)?;
    at_least("--draws", args.draws, 1)
}
