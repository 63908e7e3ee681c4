//! `diffem check`: what the observations hold, and whether it makes sense.

use crate::args::Check;
use crate::check::Report;
use crate::config::load_for;
use anyhow::Result;

/// Runs `diffem check`.
pub fn run(args: &Check) -> Result<()> {
    super::use_threads(&args.compute)?;
    let config = load_for(&args.config, &args.settings.set, args.observations.as_deref())?;
    let (name, device) = crate::device::open(&args.compute.device)?;
    super::print(&Report::of(&config, &device, name)?.to_string())
}
