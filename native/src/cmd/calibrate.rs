//! `diffem calibrate`: tests whether the posteriors are as wide as their errors.

use crate::args::Calibrate;
use crate::eval::calibration::{calibrate, table, write};
use crate::figures;
use crate::run::session::Session;
use anyhow::{Result, bail};

/// Runs the command.
pub fn run(args: &Calibrate) -> Result<()> {
    super::use_threads(&args.compute)?;
    for (name, value) in [("--draws", args.draws), ("--signals", args.signals)] {
        if value < 2 {
            bail!("{name} {value}: expected 2 or more");
        }
    }
    let session = Session::open(&args.run, &args.settings.set, &args.compute.device)?;
    let tested = calibrate(args, &session)?;
    write(&session, &tested)?;
    figures::run::calibration(&session, &tested)?;
    let clean = session.clean_use().map_or(String::new(), |clean| format!("{clean}\n"));
    super::print(&(clean + &table(&tested)))
}
