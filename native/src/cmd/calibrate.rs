//! `diffem calibrate`: tests whether the posteriors are as wide as their errors.

use crate::args::{Calibrate, at_least};
use crate::eval::calibration::{calibrate, table, write};
use crate::figures;
use crate::ranks::world;
use crate::run::together;
use anyhow::Result;

/// Runs the command.
pub fn run(args: &Calibrate) -> Result<()> {
    let world = world();
    world.agree(super::use_threads(&args.compute).and_then(|()| checked(args)))?;
    let session = together::view(&args.run, &args.settings.set, &args.compute.device)?;
    let tested = calibrate(args, &session)?;
    let report = || {
        write(&session, &tested)?;
        figures::run::calibration(&session, &tested)?;
        let clean = session.clean_use().map_or(String::new(), |clean| format!("{clean}\n"));
        super::print(&(clean + &table(&tested)))
    };
    world.by_first(report).map(drop)
}

/// Checks the counts of the command.
fn checked(args: &Calibrate) -> Result<()> {
    at_least("--draws", args.draws, 2)?;
    at_least("--signals", args.signals, 2)
}
