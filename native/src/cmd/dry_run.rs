//! `diffem train --dry-run`: estimates the cost of a run and writes nothing.

use crate::args::{Train, at_least};
use crate::config::Config;
use crate::estimate::Estimate;
use crate::estimate::ranks::WithRanks;
use crate::report::progress::ProgressMode;
use crate::run::clean;
use crate::run::dataset::{check_file, count};
use crate::run::sizes;
use anyhow::Result;

/// Seconds over which each part of a run is timed.
const PATIENCE: f64 = 0.5;

/// Prints the estimate, with what is predicted for each of the ranks, as JSON where progress is shown as JSON.
pub fn run(config: Config, args: &Train) -> Result<()> {
    let ranks = args.ranks.as_slice();
    ranks.iter().try_for_each(|&count| at_least("--ranks", count, 1))?;
    let there = config.data.images().is_some_and(|images| images.path().exists());
    let observations = match count(&config) {
        // Without the data a run can be estimated; data that cannot be used end it.
        Err(error) if there => return Err(error),
        count => count,
    };
    clean::load(&config)?;
    let (name, device) = crate::device::open(&args.compute.device)?;
    let config = &sizes::suit(config, &device, &args.settings.set)?;
    for warning in check_file(config, &config.build_channel()?)? {
        eprintln!("warning: {warning}");
    }
    let estimate = Estimate::make(config, &device, name, observations, (PATIENCE, true))?;
    let on_ranks = WithRanks::new(&estimate, config, ranks);
    super::print(&match (args.progress, ranks) {
        (ProgressMode::Json, []) => serde_json::to_string(&estimate)? + "\n",
        (ProgressMode::Json, _) => serde_json::to_string(&on_ranks)? + "\n",
        (_, []) => estimate.table(),
        _ => estimate.table() + &on_ranks.table(),
    })
}
