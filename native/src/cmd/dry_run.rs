//! `diffem train --dry-run`: estimates the cost of a run and writes nothing.

use crate::config::Config;
use crate::estimate::Estimate;
use crate::report::progress::ProgressMode;
use crate::run::dataset::{check_file, count};
use anyhow::Result;

/// Prints the estimate, as JSON where progress is shown as JSON.
pub fn run(config: &Config, device: &str, progress: ProgressMode) -> Result<()> {
    let (name, device) = crate::device::open(device)?;
    for warning in check_file(config, &config.build_channel()?)? {
        eprintln!("warning: {warning}");
    }
    let estimate = Estimate::make(config, &device, name, count(config))?;
    super::print(&match progress {
        ProgressMode::Json => serde_json::to_string(&estimate)? + "\n",
        _ => estimate.table(),
    })
}
