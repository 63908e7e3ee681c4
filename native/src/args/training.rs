//! Commands that train.

use super::shared::{Compute, Settings};
use crate::report::progress::ProgressMode;
use clap::Args;
use std::path::PathBuf;

/// `diffem train`
#[derive(Args, Debug)]
pub struct Train {
    /// A preset (see `diffem presets`) or a TOML file
    #[arg(default_value = "manifold", value_name = "PRESET|FILE")]
    pub config: PathBuf,
    #[command(flatten)]
    pub settings: Settings,
    /// Seed of all random numbers
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    /// Run directory [default: runs/out/NAME-seedS]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Your own observations (.safetensors, .npz, .fits, .tif or .h5) with y [n, m] and, where the channel has
    /// parameters, a [n, ...]
    #[arg(long, value_name = "FILE")]
    pub observations: Option<PathBuf>,
    /// Estimate the operations, memory, disk space and time of the run (a few steps are timed), and write
    /// nothing
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run, also predict the time on each of these numbers of ranks, such as 8,64,512
    #[arg(long, value_delimiter = ',', value_name = "N,...", requires = "dry_run")]
    pub ranks: Vec<usize>,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub progress: ProgressMode,
    #[command(flatten)]
    pub compute: Compute,
}

/// `diffem check`
///
/// Counts, scale, missing values, noise, constant values, repeated rows, the size of the network, the start and the
/// time of a lap. What is surely wrong ends with an error and exit code 2; what is odd is a numbered warning.
#[derive(Args, Debug)]
pub struct Check {
    /// A preset (see `diffem presets`) or a TOML file
    #[arg(default_value = "manifold", value_name = "PRESET|FILE")]
    pub config: PathBuf,
    #[command(flatten)]
    pub settings: Settings,
    /// Your own observations, as `train` takes them
    #[arg(long, value_name = "FILE")]
    pub observations: Option<PathBuf>,
    #[command(flatten)]
    pub compute: Compute,
}

/// `diffem resume`
#[derive(Args, Debug)]
pub struct Resume {
    /// Run directory
    pub run: PathBuf,
    #[command(flatten)]
    pub settings: Settings,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub progress: ProgressMode,
    #[command(flatten)]
    pub compute: Compute,
}

/// `diffem prior`
///
/// The weights are kept in DIR/prior, and `diffem sample DIR --prior` draws from them. A training that was
/// stopped or killed continues when the same command is given again.
#[derive(Args, Debug)]
pub struct Prior {
    /// Run directory
    pub run: PathBuf,
    /// Lap whose reconstructions are learned, 0 for the start [default: the best]
    #[arg(long)]
    pub lap: Option<usize>,
    /// Optimizer steps [default: as many as the run took up to that lap]
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Seed of all random numbers [default: the run's]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub settings: Settings,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub progress: ProgressMode,
    #[command(flatten)]
    pub compute: Compute,
}

/// `diffem compare`
///
/// Each contender is trained for each seed in a run directory of its own, or continued where that directory
/// exists. The results are a table, figures against laps and against seconds, and compare.json.
#[derive(Args, Debug)]
pub struct Compare {
    /// A preset (see `diffem presets`) or a TOML file that all contenders start from
    #[arg(default_value = "manifold", value_name = "PRESET|FILE")]
    pub config: PathBuf,
    /// A name and the settings that define this contender, such as "em-mmps method.kind=em-mmps"; may be
    /// repeated. {out} and {seed} stand for the directory and the seed: "warm init.kind=reconstructions
    /// init.path={out}/em-mmps-seed{seed}" starts from another contender
    #[arg(long = "contender", value_name = "NAME KEY=VALUE ...", default_values = ["diffem", "em-mmps method.kind=em-mmps"])]
    pub contenders: Vec<String>,
    /// Seeds that each contender is trained with
    #[arg(long, value_delimiter = ',', default_value = "0", value_name = "SEED,...")]
    pub seeds: Vec<u64>,
    /// Add a second table that scores the last lap's posteriors against signals not trained on, by the mean
    /// of COUNT draws and by a single draw; 0 leaves it out
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub draws: usize,
    /// Directory of the runs [default: runs/out/compare-NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub settings: Settings,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub progress: ProgressMode,
    #[command(flatten)]
    pub compute: Compute,
}
