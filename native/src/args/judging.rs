//! Commands that assess trained models, or the backends that models are trained on.

use super::shared::{Compute, Settings};
use crate::report::progress::ProgressMode;
use clap::Args;
use std::path::PathBuf;
use std::str::FromStr;

/// `diffem evaluate`
#[derive(Args, Debug)]
pub struct Evaluate {
    /// Run directory
    pub run: PathBuf,
    /// Clean signals x [n, d] to compare with; they are split into three equal parts [default: the run's own
    /// truth, such as the x of its file of observations]
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// A file of samples x [n, d] or [n, draws, d], as `sample` writes it, to score instead of the run's laps
    #[arg(long, value_name = "FILE", conflicts_with = "laps")]
    pub samples: Option<PathBuf>,
    /// Laps to score, or all; two or more add curves to the run's figures [default: the start, the best and
    /// the last]
    #[arg(long, value_delimiter = ',', value_name = "LAP,...|all")]
    pub laps: Vec<LapChoice>,
    /// Maximum number of points per side of the Sinkhorn divergence
    #[arg(long, default_value_t = 16_384, value_name = "N")]
    pub points: usize,
    /// Posterior draws per test observation
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub draws: usize,
    /// Observe the test signals through this channel instead of the run's, and write evaluation-channel.json;
    /// its stages are given as TOML, such as '[{ kind = "mask", rate = 0.9 }]'
    #[arg(long, value_name = "STAGES", conflicts_with_all = ["samples", "truth", "features"])]
    pub channel: Option<String>,
    /// Also compare images in the features of these networks
    #[arg(long, value_delimiter = ',', value_name = "NETWORK,...")]
    pub features: Vec<String>,
    /// Directory of the networks' weights [default: diffem/weights in the user's data directory; see `diffem
    /// fetch-weights`]
    #[arg(long, value_name = "DIR", requires = "features")]
    pub weights: Option<PathBuf>,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub progress: ProgressMode,
    #[command(flatten)]
    pub compute: Compute,
}

/// Laps that `evaluate` scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LapChoice {
    /// All finished laps.
    All,
    /// One lap; 0 is the start.
    Lap(usize),
}

impl FromStr for LapChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            _ => text.parse().map(Self::Lap).map_err(|_| "expected the number of a lap, or all"),
        }
    }
}

/// `diffem fetch-weights`
///
/// diffem itself downloads nothing: this command lists what to get and where to put it.
#[derive(Args, Debug)]
pub struct FetchWeights {
    /// Directory of the weights [default: diffem/weights in the user's data directory]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `diffem calibrate`
///
/// The report holds ranks of the truth among the posterior draws, coverage of central intervals and of balls
/// (TARP), proper scores, and spread next to skill. It covers the clean test signals of the run, if it has
/// any, and the run's own reconstructions corrupted afresh.
#[derive(Args, Debug)]
pub struct Calibrate {
    /// Run directory
    pub run: PathBuf,
    /// Maximum number of signals per set
    #[arg(long, default_value_t = 512, value_name = "N")]
    pub signals: usize,
    /// Posterior draws per observation
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub draws: usize,
    /// Lap whose posterior is tested [default: the best]
    #[arg(long)]
    pub lap: Option<usize>,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    pub settings: Settings,
    #[command(flatten)]
    pub compute: Compute,
}

/// `diffem check-backends`
///
/// The network, loss, gradients, training steps, posterior draws and optimizer of every backend in this build
/// are compared with the results of flex for the same weights, inputs and noise. A backend that finds no
/// device is named and left out; a backend that disagrees fails the command.
#[derive(Args, Debug)]
pub struct CheckBackends {
    /// Golden file [default: the one in this build]
    #[arg(long, value_name = "FILE")]
    pub golden: Option<PathBuf>,
    /// Only write a golden file, computed on flex
    #[arg(long, value_name = "FILE", conflicts_with_all = ["golden", "with", "out"])]
    pub write_golden: Option<PathBuf>,
    /// Report of another backend, as the browser tests write it; may be repeated
    #[arg(long, value_name = "JSON")]
    pub with: Vec<PathBuf>,
    /// Also write the printed table to this file
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
